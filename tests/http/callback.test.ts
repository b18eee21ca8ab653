import { describe, expect, test } from "bun:test"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import type { ReturnUrl } from "../../src/domain/return-url-policy.ts"
import { countedStorage, refusal, upstreamAccount } from "../support/connect-world.ts"
import { expectProblem, type HttpWorld, httpWorld, returnUrl } from "../support/http-world.ts"

async function worldWithApp(options: Parameters<typeof httpWorld>[0] = {}) {
  const world = httpWorld(options)
  const as = await world.key()
  const app = await world.storeApp(as, {
    allowed_return_urls: ["https://app.acme.example/connect", "http://localhost:5173/"],
  })
  return { world, as, app }
}

const callback = (world: HttpWorld, query: string, provider = "x") =>
  world.call("GET", `/v1/oauth/${provider}/callback?${query}`)

async function expectRedirect(response: Response, location: string): Promise<void> {
  expect(response.status).toBe(302)
  expect(response.headers.get("location")).toBe(location)
  expect(await response.text()).toBe("")
}

/** Our own 400 page: HTML, no address to go to, and none of what was sent. */
async function expectRefusal(
  response: Response,
  reason: string,
  unsaid: readonly string[] = [],
): Promise<void> {
  expect(response.status).toBe(400)
  expect(response.headers.get("location")).toBeNull()
  expect(response.headers.get("refresh")).toBeNull()
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8")
  const html = await response.text()
  expect(html).toContain(`<code>${reason}</code>`)
  for (const text of unsaid) expect(html).not.toContain(text)
}

describe("the way back", () => {
  const addresses: readonly (readonly [string, string])[] = [
    ["https://app.acme.example/connect", "https://app.acme.example/connect?connected=x"],
    [
      "https://app.acme.example/connect?tab=social",
      "https://app.acme.example/connect?tab=social&connected=x",
    ],
    ["https://app.acme.example/connect?", "https://app.acme.example/connect?connected=x"],
    [
      "https://app.acme.example/connect?a=%20/~+b&c",
      "https://app.acme.example/connect?a=%20/~+b&c&connected=x",
    ],
    [
      "https://app.acme.example/connect/caf\u00e9?n=\u00fc",
      "https://app.acme.example/connect/caf%C3%A9?n=%C3%BC&connected=x",
    ],
    ["http://localhost:5173/any/where", "http://localhost:5173/any/where?connected=x"],
  ]
  test.each(addresses)("%s gets %s", async (return_url, location) => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as, { return_url })
    await expectRedirect(await callback(world, `state=${state}&code=fake-code`), location)
  })

  test("without a return_url leads to the dashboard where there is one, else to our own page", async () => {
    const dashboard = await worldWithApp({ dashboardUrl: "https://dash.acme.example/a?b=c" as ReturnUrl })
    const there = await dashboard.world.startFlow(dashboard.as, {})
    await expectRedirect(
      await callback(dashboard.world, `state=${there.state}&code=fake-code`),
      "https://dash.acme.example/a?b=c&connected=x",
    )
    const bare = await worldWithApp()
    const here = await bare.world.startFlow(bare.as, {})
    const page = await callback(bare.world, `state=${here.state}&code=fake-code`)
    expect([page.status, page.headers.get("location")]).toEqual([200, null])
    expect(await page.text()).toContain("Your X account is connected")
  })

  test("carries the reason of a refusal, and nothing that the provider wrote", async () => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    const query = new URLSearchParams({
      state,
      error: "access_denied",
      error_description: "fake-description <script>",
      error_uri: "https://evil.example/",
    })
    await expectRedirect(await callback(world, query.toString()), `${returnUrl}&oauth_error=access_denied`)
  })

  test("carries the reason of a failed exchange", async () => {
    const { world, as } = await worldWithApp()
    world.provider.answer = async () => {
      throw refusal("code_invalid")
    }
    const { state } = await world.startFlow(as)
    await expectRedirect(
      await callback(world, `state=${state}&code=fake-code`),
      `${returnUrl}&oauth_error=code_invalid`,
    )
  })

  test("carries account_mismatch where another account came back", async () => {
    const { world, as } = await worldWithApp()
    const [accountId = ""] = await world.connect(as)
    world.provider.answer = async () => [upstreamAccount({ platformAccountId: "another" })]
    const { state } = await world.startFlow(as, { return_url: returnUrl, account_id: accountId })
    await expectRedirect(
      await callback(world, `state=${state}&code=fake-code`),
      `${returnUrl}&oauth_error=account_mismatch`,
    )
  })

  test("is our own page where the app no longer allows the address", async () => {
    const { world, as, app } = await worldWithApp()
    const { state } = await world.startFlow(as)
    const body = { allowed_return_urls: ["https://moved.acme.example"] }
    await world.call("PATCH", `/v1/oauth-apps/${app.id}`, { as, body })
    const response = await callback(world, `state=${state}&code=fake-code`)
    expect([response.status, response.headers.get("location")]).toEqual([200, null])
  })

  test("of a repeated callback is the recorded outcome, with no second exchange", async () => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    for (const query of ["code=fake-code", "code=another", "error=access_denied", "code=fake-code"]) {
      await expectRedirect(await callback(world, `state=${state}&${query}`), `${returnUrl}&connected=x`)
    }
    expect(world.exchanges).toHaveLength(1)
  })

  test("of fifty callbacks at once is the same for all, after one exchange", async () => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => callback(world, `state=${state}&code=fake-code`)),
    )
    expect(new Set(answers.map((response) => response.headers.get("location")))).toEqual(
      new Set([`${returnUrl}&connected=x`]),
    )
    expect(world.exchanges).toHaveLength(1)
  })

  test("while another callback is still at work is a page that asks again by itself", async () => {
    const { world, as } = await worldWithApp()
    const { promise, resolve } = Promise.withResolvers<void>()
    world.provider.answer = async () => {
      await promise
      return [upstreamAccount()]
    }
    const { state } = await world.startFlow(as)
    const first = callback(world, `state=${state}&code=fake-code`)
    const second = await callback(world, `state=${state}&code=fake-code`)
    expect([second.status, second.headers.get("refresh"), second.headers.get("location")]).toEqual([
      200,
      "3",
      null,
    ])
    resolve()
    await expectRedirect(await first, `${returnUrl}&connected=x`)
  })

  test("never carries the code, the state or a token, nor does what is shown", async () => {
    const { world, as } = await worldWithApp()
    for (const return_url of [returnUrl, undefined]) {
      for (const end of ["code=fake-code-canary", "error=fake-error-canary"]) {
        const { state } = await world.startFlow(as, return_url ? { return_url } : {})
        const response = await callback(world, `state=${state}&${end}`)
        const shown = `${[...response.headers].join("\n")}\n${await response.text()}`
        for (const secret of [
          state,
          "canary",
          "fake-access-token",
          "fake-refresh-token",
          "fake-client-secret",
        ]) {
          expect(shown).not.toContain(secret)
        }
      }
    }
  })
})

describe("a callback without a trusted state", () => {
  test("is refused on our own page before any storage is touched", async () => {
    const calls: string[] = []
    const { world, as } = await worldWithApp({
      storage: countedStorage(memoryStorage(), (name) => calls.push(name)),
    })
    const { state } = await world.startFlow(as)
    const [body = "", expiry = "", mac = ""] = state.split(".")
    const forged = [
      "",
      "state=",
      "code=fake-code",
      `state=${body}`,
      `state=${state}x`,
      `state=${state.slice(0, -1)}`,
      `state=${state.toUpperCase()}`,
      `state=${body}.${expiry}.${mac.startsWith("A") ? "B" : "A"}${mac.slice(1)}`,
      `state=${body}.${(Number.parseInt(expiry, 36) + 1).toString(36)}.${mac}`,
      `state=${body.slice(0, -1)}${body.endsWith("0") ? "g" : "0"}.${expiry}.${mac}`,
      `state=${state}.x`,
      `state=${state}&state=${state}`,
      `state=${state}&state=`,
      `state%5B%5D=${state}`,
      `State=${state}`,
      `state=${encodeURIComponent("<script>alert(1)</script>")}`,
      `state=%ff%fe`,
      `state=${"9".repeat(10_000)}`,
    ]
    calls.length = 0
    for (const query of forged)
      await expectRefusal(await callback(world, `${query}&code=fake-code`), "state_invalid", [
        "fake-code",
        "alert",
      ])
    await expectRefusal(await callback(world, `state=${state}&code=fake-code`, "tiktok"), "state_invalid")
    for (const provider of ["myspace", "%zz", "%2e%2e%2f", "X", "<b>"]) {
      await expectRefusal(await callback(world, `state=${state}&code=fake-code`, provider), "state_invalid", [
        "<b>",
      ])
    }
    world.pass(flowLifetimeMs)
    await expectRefusal(await callback(world, `state=${state}&code=fake-code`), "state_invalid")
    expect(calls).toEqual([])
    expect(world.exchanges).toEqual([])
  })

  test("needs no credential and ignores one that is wrong", async () => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    const response = await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`, {
      as: "moor_bad",
    })
    await expectRedirect(response, `${returnUrl}&connected=x`)
  })
})

describe("a callback of the wrong shape", () => {
  const shapes = [
    "",
    "&code=",
    "&error=",
    "&code=a&error=b",
    "&code=a&code=b",
    "&error=a&error=b",
    "&code=&error=",
    "&code=a&iss=b&iss=c",
    `&code=${"c".repeat(4097)}`,
    "&Code=a",
  ]
  test.each(shapes)("state%s is refused on our own page, and the flow stays as it was", async (shape) => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    await expectRefusal(await callback(world, `state=${state}${shape}`), "callback_invalid")
    expect(world.exchanges).toEqual([])
    await expectRedirect(await callback(world, `state=${state}&code=fake-code`), `${returnUrl}&connected=x`)
  })

  test("an unknown parameter, repeated or not, is no reason to refuse", async () => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    const response = await callback(
      world,
      `state=${state}&code=fake-code&scope=a&scope=b&%E0%A4%A=%zz&session_state=1`,
    )
    await expectRedirect(response, `${returnUrl}&connected=x`)
  })
})

test("markup and line breaks in any parameter change neither headers nor page", async () => {
  const { world, as } = await worldWithApp()
  const evil = [
    '"><script>alert(1)</script>',
    "a\r\nset-cookie: a=b\r\n\r\n<b>",
    "\0",
    "a\u2028b",
    "javascript:alert(1)",
  ]
  for (const value of evil) {
    for (const name of [
      "code",
      "error",
      "error_description",
      "error_uri",
      "error_reason",
      "error_code",
      "iss",
      "scope",
    ]) {
      const { state } = await world.startFlow(as)
      const rest = name === "code" || name === "error" ? {} : { error: "access_denied" }
      const query = new URLSearchParams({ state, ...rest, [name]: value })
      const response = await callback(world, query.toString())
      expect([302, 400]).toContain(response.status)
      expect(response.headers.get("set-cookie")).toBeNull()
      const location = response.headers.get("location")
      if (location !== null)
        expect(location).toMatch(
          /^https:\/\/app\.acme\.example\/connect\/done\?tab=social&(connected=x|oauth_error=[a-z_]+)$/,
        )
      expect(await response.text()).not.toMatch(/alert|<b>|set-cookie/)
    }
  }
})

test.each(["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(
  "%s is refused and takes nothing",
  async (method) => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    const path = `/v1/oauth/x/callback?state=${state}&code=fake-code`
    const response = await world.call(
      method,
      path,
      method === "HEAD" ? {} : { body: `state=${state}&code=fake-code` },
    )
    expect(response.headers.get("allow")).toBe("GET")
    await expectProblem(response, 405, "method_not_allowed", { words: /takes GET/ })
    expect(world.exchanges).toEqual([])
    await expectRedirect(await world.call("GET", path), `${returnUrl}&connected=x`)
  },
)
