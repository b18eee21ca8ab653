import { describe, expect, spyOn, test } from "bun:test"
import { ConnectError } from "../../src/domain/errors.ts"
import { ReturnUrlPolicy, returnUrlEntryFault, withResult } from "../../src/domain/return-url-policy.ts"
import { app, longest, nested, unseen, wideEntries } from "./return-url-corpus.ts"
import { refusals } from "./return-url-path-corpus.ts"

const wide = new ReturnUrlPolicy(wideEntries)

function refusalOf(policy: ReturnUrlPolicy, raw: string): ConnectError {
  try {
    const accepted = policy.accept(raw)
    throw new Error(`accepted ${JSON.stringify(raw)} as ${accepted}`)
  } catch (error) {
    if (error instanceof ConnectError) return error
    throw error
  }
}

/** A test name that a terminal can show: escapes for what it cannot, and not all of what is long. */
function shown(text: string): string {
  const visible = JSON.stringify(text).replace(
    /[^\x20-\x7E]/gu,
    (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`,
  )
  return visible.length <= 80 ? visible : `${visible.slice(0, 50)}… (${text.length} characters)`
}

describe("a return URL is refused whatever it resolves to when it has", () => {
  for (const { rule, says, addresses } of refusals) {
    describe(rule, () => {
      test.each(addresses.map((address) => [shown(address), address]))("%s", (_, address) => {
        const refusal = refusalOf(wide, address)
        expect(refusal.code).toBe("return_url_refused")
        expect(refusal.message).toContain(says)
      })
    })
  }

  test.each(Object.entries(unseen))("%s, anywhere", (_, character) => {
    const places = [
      `${character}${app}/connect`,
      `ht${character}tps://app.example.com/connect`,
      `https:${character}//app.example.com/connect`,
      `https:/${character}/app.example.com/connect`,
      `https://${character}app.example.com/connect`,
      `https://app.exam${character}ple.com/connect`,
      `https://app.example.com${character}:8443/connect`,
      `https://app.example.com:84${character}43/connect`,
      `${app}/con${character}nect`,
      `${app}/connect/.${character}./admin`,
      `${app}/connect?a=${character}b`,
      `${app}/connect${character}`,
    ]
    for (const place of places) expect(refusalOf(wide, place).message).toContain("invisible characters")
  })
})

test("a refusal names the field and what to change, and does not repeat the address", () => {
  const refusal = refusalOf(wide, "https://user:hunter2@app.example.com/")
  expect(refusal.message).toBe("return_url is refused: must not have user info before the host.")
  expect(refusal.faults).toEqual([{ field: "return_url", detail: "must not have user info before the host" }])
})

test("the deepest nesting that fits costs no more rounds of decoding than the shallowest refused", () => {
  const replace = spyOn(String.prototype, "replace")
  const rounds = [nested("%", 6), nested("%", 1010)].map((path) => {
    replace.mockClear()
    expect(() => wide.accept(`${app}/${path}`)).toThrow("over and over")
    return replace.mock.calls.length
  })
  replace.mockRestore()
  expect(rounds[0]).toBeGreaterThan(5)
  expect(rounds[1]).toBe(rounds[0] ?? 0)
})

describe("an allowed address goes into Location as the parser spells it", () => {
  const allowed: readonly (readonly [address: string, location: string])[] = [
    [app, `${app}/`],
    [`${app}/`, `${app}/`],
    ["https://APP.Example.COM/Connect", `${app}/Connect`],
    [`${app}:8443/connect`, `${app}:8443/connect`],
    ["https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"],
    ["https://XN--BCHER-KVA.example/", "https://xn--bcher-kva.example/"],
    ["http://localhost", "http://localhost/"],
    ["http://LOCALHOST:3000/a", "http://localhost:3000/a"],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"],
    ["http://[::1]:8080/connect", "http://[::1]:8080/connect"],
    [`${app}/a/./b/../c`, `${app}/a/c`],
    [`${app}/a/..`, `${app}/`],
    [`${app}/../../a`, `${app}/a`],
    [`${app}//a`, `${app}//a`],
    [`${app}/a//b/`, `${app}/a//b/`],
    [`${app}/.well-known/a.b..c/...`, `${app}/.well-known/a.b..c/...`],
    [`${app}/a;b=c;d/e`, `${app}/a;b=c;d/e`],
    [`${app}/a.;b/c..;d/e;..;f`, `${app}/a.;b/c..;d/e;..;f`],
    [`${app}/À«Á»`, `${app}/%C3%80%C2%AB%C3%81%C2%BB`], // would be overlong if its code points were bytes
    [`${app}/@user/a:b,c!d$e&f'(g)*+`, `${app}/@user/a:b,c!d$e&f'(g)*+`],
    [`${app}/100%25/%41%3b%3F%23%20`, `${app}/100%25/%41%3b%3F%23%20`],
    [`${app}/${nested("%", 5)}`, `${app}/${nested("%", 5)}`],
    [`${app}/%25%25%25%252`, `${app}/%25%25%25%252`],
    [`${app}/caf%E9`, `${app}/caf%E9`], // Latin-1: odd, but nothing a decoder turns into a slash
    [`${app}/caf%c3%a9/%E2%82%AC`, `${app}/caf%c3%a9/%E2%82%AC`],
    [`${app}/café/日本`, `${app}/caf%C3%A9/%E6%97%A5%E6%9C%AC`],
    [`${app}/\u{1F680}?q=\u{1F680}`, `${app}/%F0%9F%9A%80?q=%F0%9F%9A%80`],
    [`${app}/\uFF0F\uFF0E\u2215`, `${app}/%EF%BC%8F%EF%BC%8E%E2%88%95`],
    [`${app}/a"<b>{c}`, `${app}/a%22%3Cb%3E%7Bc%7D`],
    [`${app}?`, `${app}/?`],
    [`${app}/a?b=c`, `${app}/a?b=c`],
    [longest, longest],
  ]
  test.each(allowed.map(([address, location]) => [shown(address), address, location]))(
    "%s",
    (_, address, location) => {
      expect<string>(wide.accept(address)).toBe(location)
    },
  )
})

describe("a query is kept byte for byte", () => {
  const queries: readonly string[] = [
    "",
    "&",
    "a",
    "a=",
    "=a",
    "a=b&a=b&a",
    "a=b?c/d:e@f",
    "a=%20+%2B~%7e%7E",
    "a=%2f%5c%2e%2e%00%0d%0a%c0%af%ZZ%",
    "a=b;c=d",
    "next=https://evil.example/%23",
    "a=[]{}|^`()*!$,",
    "a%26connected%3Dx=b",
    "a=connected&b=oauth_error",
    "disconnected=1&connected_at=2&xoauth_error=3&oauth_errors=4&is_connected&connect=5&connect_codes=6&code=7",
    "a[connected]=b",
    "%2563onnected=1",
    "??connected=1",
  ]
  test.each(queries)("?%s", (query) => {
    expect<string>(wide.accept(`${app}/a?${query}`)).toBe(`${app}/a?${query}`)
  })

  test("save for what no Location header may hold", () => {
    expect<string>(wide.accept(`${app}/?a="<é>'`)).toBe(`${app}/?a=%22%3C%C3%A9%3E%27`)
  })
})

describe("an entry covers its own path and what continues it at a segment boundary", () => {
  const rows: readonly (readonly [entry: string, covered: readonly string[], not: readonly string[]])[] = [
    [
      `${app}/connect`,
      ["/connect", "/connect/", "/connect/done", "/connect?a=b", "/connect/../connect", "/x/../connect"],
      [
        "",
        "/",
        "/connectevil",
        "/connect.evil",
        "/connect;x",
        "/connect-",
        "/connect%41",
        "/Connect",
        "/CONNECT/done",
        "/%63onnect",
        "/connec",
        "//connect",
        "/a/connect",
        "/a/connect/done",
        "/connect/..",
        "/connect/../admin",
        "/connect/done/../../admin",
        "?/connect",
        "/?/connect",
      ],
    ],
    [
      `${app}/connect/`,
      ["/connect/", "/connect/done", "/connect//", "/connect/?a"],
      ["/connect", "/connect?a", "/connectevil", "/"],
    ],
    [app, ["", "/", "/a", "/a/b?c", "?a", "//a"], []],
    [`${app}/`, ["", "/", "/a", "/a/b?c", "?a", "//a"], []],
    [`${app}/a/./b/../c`, ["/a/c", "/a/c/d"], ["/a/b", "/a"]],
    [`${app}/caf%c3%a9`, ["/caf%c3%a9", "/caf%c3%a9/x"], ["/caf%C3%A9", "/café", "/cafe"]],
    [`${app}/café`, ["/café", "/caf%C3%A9"], ["/caf%c3%a9"]],
  ]
  for (const [entry, covered, not] of rows) {
    const policy = new ReturnUrlPolicy([entry])
    for (const rest of covered) {
      test(`${entry} covers ${shown(rest)}`, () => {
        expect(policy.accept(`${app}${rest}`)).toStartWith(app)
      })
    }
    for (const rest of not) {
      test(`${entry} does not cover ${shown(rest)}`, () => {
        expect(refusalOf(policy, `${app}${rest}`).message).toContain("no entry of the app's allowed")
      })
    }
  }
})

describe("an entry covers its own origin alone", () => {
  const policy = new ReturnUrlPolicy([`${app}/`, "http://localhost:3000/", "https://[2001:db8::1]/"])
  test.each([
    "https://example.com/",
    "https://evil.example/",
    "https://evil.example/https://app.example.com/",
    "https://evil.example?https://app.example.com/",
    "https://app.example.com.evil.example/",
    "https://app.example.com./",
    "https://app.example.co/",
    "https://app.example.comm/",
    "https://xapp.example.com/",
    "https://x.app.example.com/",
    "https://app-example.com/",
    "https://app.example.com:8443/",
    "https://app.example.com:80/",
    "https://app.example.com:0/",
    "https://xn--pp-1ka.example.com/",
    "https://localhost:3000/",
    "http://localhost/",
    "http://localhost:3001/",
    "http://localhost:30000/",
    "http://127.0.0.1:3000/",
    "http://[::1]:3000/",
    "https://[2001:db8::2]/",
    "https://[2001:db8::1]:8443/",
  ])("%s is refused", (address) => {
    expect(refusalOf(policy, address).message).toContain(
      "no entry of the app's allowed_return_urls covers it",
    )
  })
})

test("a policy without entries allows nothing and says where to add one", () => {
  const none = new ReturnUrlPolicy([])
  for (const address of [app, "http://localhost", "https://evil.example"]) {
    expect(refusalOf(none, address).message).toContain("allows no return URL yet")
  }
})

test("an address accepted earlier is covered for as long as the list covers it", () => {
  const accepted = new ReturnUrlPolicy([`${app}/connect`]).accept(`${app}/connect/done?a=b`)
  expect(new ReturnUrlPolicy(["https://other.example", `${app}/connect`]).stillCovers(accepted)).toBe(true)
  expect(new ReturnUrlPolicy([app]).stillCovers(accepted)).toBe(true)
  expect(new ReturnUrlPolicy([]).stillCovers(accepted)).toBe(false)
  expect(new ReturnUrlPolicy([`${app}/connect/don`]).stillCovers(accepted)).toBe(false)
  expect(new ReturnUrlPolicy([`${app}:8443/connect`]).stillCovers(accepted)).toBe(false)
})

describe("the loopback policy", () => {
  const loopback = ReturnUrlPolicy.loopback()

  test.each([
    "http://localhost",
    "http://localhost:5173/a/b?c",
    "https://localhost:8443/",
    "http://127.0.0.1/",
    "http://127.0.0.1:1/",
    "http://[::1]:8080/done",
  ])("accepts %s, and still covers it later", (address) => {
    const accepted = loopback.accept(address)
    expect<string>(accepted).toBe(new URL(address).href)
    expect(loopback.stillCovers(accepted)).toBe(true)
  })

  test.each([
    "https://app.example.com/",
    "https://localhost.evil.example/",
    "https://localhost./",
    "https://app.localhost/",
    "https://127.0.0.1.evil.example/",
    "https://127.0.0.2/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://[::ffff:7f00:1]/",
  ])("refuses %s, and says which hosts it takes", (address) => {
    expect(refusalOf(loopback, address).message).toContain("localhost, 127.0.0.1 or [::1] only")
  })

  test.each([
    ["http://localhost\\@evil.example", "backslash"],
    ["http://localhost/%2e%2e", "encoded slash"],
    ["http://localhost/?connected=x", "Mooring adds"],
    ["http://2130706433/", "canonically"],
    ["http://app.example.com/", "must use https"],
  ])("keeps every other rule: %s", (address, says) => {
    expect(refusalOf(loopback, address).message).toContain(says)
  })

  test("no longer covers an address elsewhere", () => {
    expect(loopback.stillCovers(wide.accept(app))).toBe(false)
  })
})

describe("an entry of an allow-list", () => {
  test.each([
    ...wideEntries,
    `${app}/connect`,
    `${app}/connect/`,
    "https://APP.example.com/Connect",
    "https://my_preview-1.example.com",
    "https://app.example.com.",
    "https://192.0.2.1/",
    "https://[2001:db8::1]:8443/a",
    longest,
  ])("may be %s", (entry) => {
    expect(returnUrlEntryFault(entry)).toBeUndefined()
  })

  test.each([
    ["https://*.example.com", "wildcard"],
    [`${app}/*`, "wildcard"],
    ["*", "wildcard"],
    [`${app}/?`, "query"],
    [`${app}/?a=b`, "query"],
    ["?", "query"],
    ["", "must not be empty"],
    ["/connect", "begins with https://"],
    ["app.example.com", "begins with https://"],
    ["http://app.example.com", "must use https"],
    [`${longest}a`, "at most 2048"],
    ["https://user@app.example.com", "user info"],
    [`${app}/#`, "fragment"],
    [`${app}:443`, "https://app.example.com".slice("https://".length)],
    ["https://bücher.example", "xn--bcher-kva.example"],
    [`${app}/%2e`, "encoded slash"],
    [` ${app}`, "white space"],
  ])("may not be %p", (entry, says) => {
    expect(returnUrlEntryFault(entry)).toContain(says)
  })

  test("obeys every rule that a return URL obeys, save that it has no query to bring a result in", () => {
    for (const { addresses } of refusals) {
      for (const address of addresses) expect(returnUrlEntryFault(address), shown(address)).toBeString()
    }
  })

  test("is not told to be left out, as an empty return_url is", () => {
    expect(returnUrlEntryFault("")).not.toContain("dashboard")
    expect(refusalOf(wide, "").message).toContain("leave it out to land on the dashboard")
  })
})

describe("a result is appended to the query that is there", () => {
  const rows: readonly (readonly [address: string, location: string])[] = [
    [app, `${app}/?connected=x`],
    [`${app}/a`, `${app}/a?connected=x`],
    [`${app}/a?`, `${app}/a?connected=x`],
    [`${app}/a?b`, `${app}/a?b&connected=x`],
    [`${app}/a?b=c&`, `${app}/a?b=c&connected=x`],
    [`${app}/a?&`, `${app}/a?&connected=x`],
    [`${app}/a?b=c?`, `${app}/a?b=c?&connected=x`],
    [`${app}/a??`, `${app}/a??&connected=x`],
    [`${app}/a?b=%`, `${app}/a?b=%&connected=x`],
    [`${app}/a?b;`, `${app}/a?b;&connected=x`],
  ]
  test.each(rows)("%s becomes %s", (address, location) => {
    expect(withResult(wide.accept(address), { connected: "x" })).toBe(location)
  })

  test("the code of a connect that is to be confirmed behind it, encoded", () => {
    expect(withResult(wide.accept(`${app}/a?b`), { connected: "x", connect_code: "a&b-_=" })).toBe(
      `${app}/a?b&connected=x&connect_code=a%26b-_%3D`,
    )
  })

  test("an error under its own name, its value encoded", () => {
    expect(withResult(wide.accept(app), { oauth_error: "access_denied" })).toBe(
      `${app}/?oauth_error=access_denied`,
    )
    expect(withResult(wide.accept(app), { oauth_error: "a&b=c#d\r\n" })).toBe(
      `${app}/?oauth_error=a%26b%3Dc%23d%0D%0A`,
    )
  })
})

test("what was refused is refused again, and what was accepted by one policy says nothing to another", () => {
  const policy = new ReturnUrlPolicy(["https://a.example/c"])
  const other = new ReturnUrlPolicy(["https://b.example/"])
  for (let i = 0; i < 3; i++) {
    expect(policy.accept("https://a.example/c")).toBe("https://a.example/c" as never)
    for (const raw of [
      "https://a.example/c?connected=x",
      "https://a.example/d",
      "https://b.example/",
      "nope",
    ])
      for (let j = 0; j < 2; j++) expect(() => policy.accept(raw)).toThrow("return_url is refused")
    expect(() => other.accept("https://a.example/c")).toThrow("return_url is refused")
  }
})
