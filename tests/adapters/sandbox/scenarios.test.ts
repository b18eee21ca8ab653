import { describe, expect, test } from "bun:test"
import { type Scenario, scenarios, scenariosOf } from "../../../src/adapters/sandbox/scenarios.ts"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { connect } from "./careful-client.ts"
import {
  accessTokenIn,
  ask,
  authorizeAddress,
  callbackOf,
  codeOf,
  comeBack,
  get,
  openSandbox,
  press,
  state,
  tokenCall,
} from "./harness.ts"

const all: readonly (readonly [ProviderName, string, Scenario])[] = providerNames.flatMap((provider) =>
  scenariosOf(provider).map((scenario) => [provider, scenario.name, scenario] as const),
)

describe("the list of scenarios", () => {
  test("has many, each name once for a provider", () => {
    expect(all.length).toBeGreaterThanOrEqual(40)
    expect(new Set(scenarios.map(({ name }) => name)).size).toBeGreaterThanOrEqual(25)
    const keys = all.map(([provider, name]) => `${provider} ${name}`)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test("says in one line what each does", () => {
    for (const { does } of scenarios) expect(does).toMatch(/^[A-Z][^\n]{8,110}\.$/)
  })
})

describe("every scenario is reached by one query parameter and ends as it says", () => {
  test.each(all)("%s %s", async (provider, name, scenario) => {
    expect(await connect(openSandbox(), provider, name)).toBe(scenario.ends)
  })
})

describe("every scenario is a button of the consent page, and does the same there", () => {
  test.each(all)("%s %s", async (provider, name, scenario) => {
    const box = openSandbox()
    const url = authorizeAddress(provider)
    const buttons = (await (await get(box, url)).text()).split("<button")
    const button = name === "approve" ? 'name="person" value="ann"' : `name="scenario" value="${name}"`
    expect(buttons.filter((text) => text.includes(button))).toHaveLength(1)
    const byButton = await press(box, url, new URLSearchParams({ scenario: name }))
    const byQuery = await get(box, authorizeAddress(provider, { scenario: name }))
    expect(byButton.status).toBe(byQuery.status)
    expect(parameterNames(byButton)).toEqual(parameterNames(byQuery))
    expect(byButton.status).toBe(scenario.detour === "page" ? 200 : 302)
  })
})

function parameterNames(response: Response): readonly string[] {
  const location = response.headers.get("location")
  return location ? [...new URL(location).searchParams.keys()] : []
}

describe("what a test may add to a scenario", () => {
  test.each(providerNames)("a person: %s", async (provider) => {
    const box = openSandbox()
    for (const person of ["ann", "ben", "cleo", "dora", "zoe"]) {
      const back = await comeBack(box, provider, { scenario: "approve", person })
      expect(back.get("state")).toBe(state)
      expect(back.get("code")).toStartWith("sandbox_code.")
    }
    const nobody = await get(box, authorizeAddress(provider, { scenario: "approve", person: "nobody" }))
    expect(nobody.status).toBe(400)
    expect(await nobody.text()).toContain("ann, ben, cleo, dora, zoe")
  })

  test.each(["x", "linkedin", "tiktok"] as const)("the token's lifetime: %s", async (provider) => {
    const box = openSandbox()
    const expiresIn = async (changes: Record<string, string>) =>
      (await ask(box, tokenCall(provider, await codeOf(box, provider, changes)))).body.expires_in
    expect(await expiresIn({ scenario: "short_lived" })).toBe(60)
    expect(await expiresIn({ scenario: "approve", expires_in: "5" })).toBe(5)
    expect(await expiresIn({ scenario: "no_expires_in" })).toBeUndefined()
  })

  test.each(["0", "-1", "1e3", "soon", "99999999999", ""])("but no lifetime of %p", async (expires_in) => {
    const response = await get(openSandbox(), authorizeAddress("x", { scenario: "approve", expires_in }))
    expect(response.status).toBe(400)
    expect(await response.text()).toContain("expires_in must be a number of seconds")
  })

  test("scopes to untick, where they were asked for and can be", async () => {
    const box = openSandbox()
    const url = authorizeAddress("tiktok", { scenario: "approve", untick: "video.upload" })
    url.searchParams.append("untick", "video.publish")
    const location = (await get(box, url)).headers.get("location")
    expect(new URL(location ?? "").searchParams.get("scopes")).toBe("user.info.basic,user.info.profile")
    const strange = await get(box, authorizeAddress("tiktok", { scenario: "untick:made.up" }))
    expect([strange.status, await strange.text()]).toEqual([
      400,
      expect.stringContaining("untick names made.up, which the app does not ask for"),
    ])
    const whole = await get(box, authorizeAddress("x", { scenario: "approve", untick: "tweet.read" }))
    expect([whole.status, await whole.text()]).toEqual([400, expect.stringContaining("as a whole or not")])
  })
})

test.each(providerNames)("an unknown scenario is answered with the names there are: %s", async (provider) => {
  const box = openSandbox()
  const response = await get(box, authorizeAddress(provider, { scenario: "toString" }))
  const page = await response.text()
  expect(response.status).toBe(400)
  for (const { name } of scenariosOf(provider)) expect(page).toContain(name)
})

test("scenario=page is the page itself", async () => {
  const box = openSandbox()
  const plain = await (await get(box, authorizeAddress("x"))).text()
  expect(await (await get(box, authorizeAddress("x", { scenario: "page" }))).text()).toBe(plain)
})

test("the same person on the same app has the same ids, connect after connect", async () => {
  const box = openSandbox()
  const openId = async (changes: Record<string, string> = {}) =>
    (await ask(box, tokenCall("tiktok", await codeOf(box, "tiktok", changes)))).body.open_id
  expect(await openId()).toBe(await openId())
  expect(await openId({ person: "ben" })).not.toBe(await openId())
})

describe("a code", () => {
  const trespasses = providerNames.flatMap((issuer) =>
    providerNames.filter((taker) => taker !== issuer).map((taker) => [issuer, taker] as const),
  )

  test.each(trespasses)("of %s is refused by %s", async (issuer, taker) => {
    const box = openSandbox()
    const code = await codeOf(box, issuer)
    const { body } = await ask(box, tokenCall(taker, code, { redirect_uri: callbackOf(issuer) }))
    expect(() => accessTokenIn(body)).toThrow()
  })

  test.each(providerNames)("is refused for another client and another redirect URI: %s", async (provider) => {
    const box = openSandbox()
    const code = await codeOf(box, provider)
    const right = tokenCall(provider, code)
    const stranger =
      provider === "x"
        ? { ...right, basic: "another-client:made-up" }
        : tokenCall(provider, code, { client_id: "another-client", client_key: "another-client" })
    for (const asked of [stranger, tokenCall(provider, code, { redirect_uri: `${callbackOf(provider)}/` })]) {
      const { body } = await ask(box, asked)
      expect(() => accessTokenIn(body)).toThrow("no access token")
    }
    expect(accessTokenIn((await ask(box, right)).body)).toContain("sandbox")
  })

  test.each(providerNames)("is taken once: %s", async (provider) => {
    const box = openSandbox()
    const asked = tokenCall(provider, await codeOf(box, provider))
    expect(accessTokenIn((await ask(box, asked)).body)).toContain("sandbox")
    const { body } = await ask(box, asked)
    expect(() => accessTokenIn(body)).toThrow("no access token")
  })

  const lifetimes = { x: 30, linkedin: 1800, tiktok: 300, facebook: 600, instagram: 3600 }

  test.each(providerNames)(
    "is dead at the end of its time, and not a second before: %s",
    async (provider) => {
      const box = openSandbox()
      const [early, late] = [await codeOf(box, provider), await codeOf(box, provider)]
      box.pass(lifetimes[provider] - 1)
      expect(accessTokenIn((await ask(box, tokenCall(provider, early))).body)).toContain("sandbox")
      box.pass(1)
      const { body } = await ask(box, tokenCall(provider, late))
      expect(() => accessTokenIn(body)).toThrow("no access token")
    },
  )

  test("of one instance is taken by another that has the same keys", async () => {
    const [one, other] = [openSandbox(), openSandbox()]
    const { body } = await ask(other, tokenCall("linkedin", await codeOf(one, "linkedin")))
    expect(accessTokenIn(body)).toContain("sandbox")
  })

  test("altered in any one character is refused, and so is another spelling of its last", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "linkedin")
    const alphabet = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."]
    const altered = [...code].map((character, i) => {
      const other = character === "A" ? "B" : "A"
      return code.slice(0, i) + other + code.slice(i + 1)
    })
    const respelt = alphabet.map((last) => code.slice(0, -1) + last).filter((text) => text !== code)
    for (const text of [...altered, ...respelt, `${code}=`, ` ${code}`, `${code}\n`]) {
      const { body } = await ask(box, tokenCall("linkedin", text))
      expect(body, text).toMatchObject({ error: "invalid_request" })
    }
    expect(accessTokenIn((await ask(box, tokenCall("linkedin", code))).body)).toContain("sandbox")
  })

  test("fits the 4,096 characters of a callback, however many scopes are asked for", async () => {
    const box = openSandbox()
    const scopes = Array.from({ length: 40 }, (_, i) => `made_up_permission_${i}`)
    const asked = { scope: scopes.join(","), client_id: "c".repeat(256) }
    const url = authorizeAddress("facebook", { ...asked, scenario: "approve" })
    for (const scope of scopes) url.searchParams.append("untick", scope)
    const location = (await get(box, url)).headers.get("location")
    const code = new URL(location ?? "").searchParams.get("code") ?? ""
    expect(code.length).toBeGreaterThan(1000)
    expect(code.length).toBeLessThanOrEqual(4096)
    const scope = Array.from({ length: 11 }, (_, i) => `${"s".repeat(90)}${i}`).join(",")
    const tooMany = await get(box, authorizeAddress("facebook", { scope }))
    expect([tooMany.status, await tooMany.text()]).toEqual([400, expect.stringContaining("ask for fewer")])
  })
})
