import { describe, expect, test } from "bun:test"
import { ConnectError, type FieldFault } from "../../src/domain/errors.ts"
import {
  checkOAuthAppInput,
  maxReturnUrls,
  type OAuthAppInput,
  requestedScopes,
  returnUrlPolicy,
} from "../../src/domain/oauth-app.ts"
import { defaultScopes, type ProviderName, providerNames } from "../../src/domain/provider.ts"

function faultsOf(input: OAuthAppInput, provider: ProviderName = "x"): readonly FieldFault[] {
  try {
    checkOAuthAppInput(provider, input)
    return []
  } catch (error) {
    if (error instanceof ConnectError && error.code === "invalid_input") return error.faults
    throw error
  }
}

const fieldsOf = (input: OAuthAppInput, provider?: ProviderName) =>
  faultsOf(input, provider).map((fault) => fault.field)

const nothing = {
  name: undefined,
  clientId: undefined,
  clientSecret: undefined,
  allowedReturnUrls: undefined,
  scopes: undefined,
  options: undefined,
}

describe("checked input", () => {
  test("leaves absent what was absent", () => {
    for (const provider of providerNames) expect(checkOAuthAppInput(provider, {})).toEqual(nothing)
  })

  test("is trimmed where people paste, and nowhere else", () => {
    const pasted = {
      name: " \tMy app\n",
      clientId: "\r\n id-1 \t",
      clientSecret: "\uFEFF\xA0made-up secret\n",
    }
    expect(checkOAuthAppInput("x", pasted)).toEqual({
      ...nothing,
      name: "My app",
      clientId: "id-1",
      clientSecret: "made-up secret",
    })
    expect(fieldsOf({ allowedReturnUrls: [" https://app.example.com"], scopes: ["users.read "] })).toEqual([
      "allowed_return_urls[0]",
      "scopes[0]",
    ])
  })

  test("drops repeated return URLs and scopes, and keeps their order", () => {
    const urls = ["https://b.example/", "https://a.example", "https://b.example/", "https://b.example"]
    const checked = checkOAuthAppInput("x", { allowedReturnUrls: urls, scopes: ["b", "a", "b", "A"] })
    expect(checked.allowedReturnUrls).toEqual([
      "https://b.example/",
      "https://a.example",
      "https://b.example",
    ])
    expect(checked.scopes).toEqual(["b", "a", "A"])
  })

  test("may empty the list of return URLs, while empty scopes mean the provider's defaults", () => {
    expect(checkOAuthAppInput("x", { allowedReturnUrls: [] }).allowedReturnUrls).toEqual([])
    for (const provider of providerNames) {
      expect(checkOAuthAppInput(provider, { scopes: [] }).scopes).toEqual(defaultScopes[provider])
    }
  })
})

describe("a field is refused", () => {
  test.each([
    ["name", { name: "" }],
    ["name", { name: " \n " }],
    ["name", { name: "n".repeat(121) }],
    ["name", { name: "My\napp" }],
    ["name", { name: "My\0app" }],
    ["name", { name: "My\x9Fapp" }],
    ["client_id", { clientId: "" }],
    ["client_id", { clientId: "   " }],
    ["client_id", { clientId: "i".repeat(257) }],
    ["client_id", { clientId: "id\u200B" }],
    ["client_id", { clientId: "id\n1" }],
    ["client_id", { clientId: "idé" }],
    ["client_secret", { clientSecret: "" }],
    ["client_secret", { clientSecret: "\t" }],
    ["client_secret", { clientSecret: "s".repeat(1025) }],
    ["client_secret", { clientSecret: "made\nup" }],
    ["client_secret", { clientSecret: "made\0up" }],
    ["client_secret", { clientSecret: "made\u2011up" }],
    ["client_secret", { clientSecret: "made\x7Fup" }],
    ["allowed_return_urls", { allowedReturnUrls: Array(maxReturnUrls + 1).fill("https://a.example") }],
    ["allowed_return_urls[0]", { allowedReturnUrls: [""] }],
    ["allowed_return_urls[1]", { allowedReturnUrls: ["https://a.example", "http://a.example"] }],
    ["allowed_return_urls[0]", { allowedReturnUrls: ["https://*.example.com"] }],
    ["allowed_return_urls[0]", { allowedReturnUrls: ["https://a.example/?b"] }],
    ["scopes", { scopes: Array(51).fill("a") }],
    ["scopes[0]", { scopes: [""] }],
    ["scopes[1]", { scopes: ["a", "b c"] }],
    ["scopes[0]", { scopes: ["b,c"] }],
    ["scopes[0]", { scopes: ['b"'] }],
    ["scopes[0]", { scopes: ["b\\"] }],
    ["scopes[0]", { scopes: ["b\n"] }],
    ["scopes[0]", { scopes: ["é"] }],
    ["scopes[0]", { scopes: ["s".repeat(129)] }],
  ] as const)("by the name %s", (field, input) => {
    expect(fieldsOf(input)).toEqual([field])
  })

  test("at its boundary only", () => {
    expect(
      fieldsOf({
        name: "n".repeat(120),
        clientId: "i".repeat(256),
        clientSecret: "s".repeat(1024),
        allowedReturnUrls: Array.from({ length: maxReturnUrls }, (_, i) => `https://a.example/${i}`),
        scopes: Array.from({ length: 50 }, (_, i) => `s${i}`.padEnd(128, "!~")),
      }),
    ).toEqual([])
    expect(fieldsOf({ name: "n", clientId: "i", clientSecret: "s", scopes: ["s"] })).toEqual([])
  })

  test("with all the others at once", () => {
    const input: OAuthAppInput = {
      name: "\0".repeat(200),
      clientId: "",
      clientSecret: "é",
      allowedReturnUrls: ["javascript:alert(1)", "https://a.example", "https://u@a.example"],
      scopes: ["a b", "c", "d,e"],
      options: { hosts: "evil.example", pkce: "off" },
    }
    expect(fieldsOf(input)).toEqual([
      "name",
      "name",
      "client_id",
      "client_secret",
      "allowed_return_urls[0]",
      "allowed_return_urls[2]",
      "scopes[0]",
      "scopes[2]",
      "options.hosts",
      "options.pkce",
    ])
    expect(() => checkOAuthAppInput("x", input)).toThrow(/^name: .* \(and 9 more, see errors\)$/)
  })

  test("without a word of what was sent, since it may be a secret", () => {
    const planted = "planted-made-up-secret"
    const faults = faultsOf({
      name: `${planted}\0`,
      clientId: `${planted}é`,
      clientSecret: `${planted}\n${planted}`,
      scopes: [`${planted} ${planted}`],
      options: { hosts: planted },
    })
    expect(faults).toHaveLength(5)
    expect(JSON.stringify(faults)).not.toContain(planted)
  })
})

describe("options", () => {
  const rules: readonly (readonly [
    ProviderName,
    string,
    good: readonly unknown[],
    bad: readonly unknown[],
  ])[] = [
    ["x", "hosts", ["x.com", "twitter.com"], ["X.com", "evil.example", "", true]],
    ["x", "client_id_in_body", [true, false], ["true", 1, 0, ""]],
    ["linkedin", "extended_login", [true, false], ["true", 1]],
    ["linkedin", "api_version", ["202609", "202701"], ["202613", "2026-09", 202609]],
    ["tiktok", "pkce", ["off", "s256", "s256_hex"], ["S256", "plain", "none", false]],
    [
      "facebook",
      "config_id",
      ["12345", "1".repeat(32)],
      ["1234", "1".repeat(33), "12a45", "", "12345\n", " 12345", "١٢٣٤٥", 12345],
    ],
    ["facebook", "config_id_with_scope", [true, false], ["false", 0]],
    ...(["facebook", "instagram"] as const).map(
      (provider) =>
        [
          provider,
          "graph_version",
          ["v1.0", "v25.0", "v999.9"],
          ["25.0", "v25", "V25.0", "v0.1", "v25.10", "v1000.0", "v25.0/", "v25.0\n", "../v25.0", 25, true],
        ] as const,
    ),
    [
      "instagram",
      "authorize_host",
      ["www.instagram.com", "api.instagram.com"],
      ["instagram.com", "www.instagram.com.evil.example", "www.instagram.com/"],
    ],
    ["instagram", "enable_fb_login", [true, false], ["1", 1]],
  ]

  for (const [provider, name, good, bad] of rules) {
    test(`of ${provider}: ${name} may be ${good.join(" or ")}, and nothing else`, () => {
      for (const value of good) {
        const checked = checkOAuthAppInput(provider, { options: { [name]: value } })
        expect<unknown>(checked.options).toEqual({ [name]: value })
      }
      const never = [null, undefined, 1.5, {}, [], [good[0]], { toString: () => good[0] }]
      for (const value of [...bad, ...never]) {
        const fields = fieldsOf({ options: { [name]: value } }, provider)
        expect(fields, `${name} as ${Bun.inspect(value)}`).toEqual([`options.${name}`])
      }
    })
  }

  test("are each provider's own: another's is refused with the list of those there are", () => {
    for (const [owner, name, [value]] of rules) {
      for (const provider of providerNames) {
        const known = rules.some(([other, option]) => other === provider && option === name)
        if (provider === owner || known) continue
        const [fault] = faultsOf({ options: { [name]: value } }, provider)
        expect(fault?.field).toBe(`options.${name}`)
        for (const [other, option] of rules) {
          if (other === provider) expect(fault?.detail).toContain(option)
        }
      }
    }
  })

  test.each([
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "",
    "Hosts",
    "hosts ",
  ])("have no %p, wherever JavaScript finds one", (name) => {
    const options: Record<string, unknown> = JSON.parse(`{${JSON.stringify(name)}: "x.com"}`)
    for (const provider of providerNames) {
      expect(fieldsOf({ options }, provider)).toEqual([`options.${name}`])
    }
  })

  test("do not repeat a long unknown name whole", () => {
    expect(fieldsOf({ options: { ["o".repeat(1000)]: true } })).toEqual([`options.${"o".repeat(40)}`])
  })

  test("may be emptied", () => {
    expect(checkOAuthAppInput("x", { options: {} }).options).toEqual({})
  })
})

test("an app's policy is made of its own list", () => {
  const policy = returnUrlPolicy({ allowedReturnUrls: ["https://app.example.com/connect"] })
  expect<string>(policy.accept("https://app.example.com/connect/done")).toBe(
    "https://app.example.com/connect/done",
  )
  expect(() => policy.accept("https://app.example.com/")).toThrow("covers it")
})

describe("the scopes a flow asks for are the app's own", () => {
  const scopes = ["pages_show_list"]
  test.each([
    ["facebook", {}, scopes],
    ["facebook", { config_id_with_scope: true }, scopes],
    ["facebook", { config_id: "12345" }, []],
    ["facebook", { config_id: "12345", config_id_with_scope: false }, []],
    ["facebook", { config_id: "12345", config_id_with_scope: true }, scopes],
    ["instagram", { config_id: "12345" }, scopes],
  ] as const)("%s with %j: %j", (provider, options, asked) => {
    expect(requestedScopes({ provider, scopes, options })).toEqual([...asked])
  })
})
