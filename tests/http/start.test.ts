import { describe, expect, test } from "bun:test"
import { expectProblem, httpWorld, returnUrl } from "../support/http-world.ts"

const path = "/v1/oauth/x/start"

async function worldWithApp(app: object = {}) {
  const world = httpWorld()
  const as = await world.key()
  return { world, as, app: await world.storeApp(as, app) }
}

const encoded = (query: Readonly<Record<string, string>>) => `${path}?${new URLSearchParams(query)}`

test("a query made of question marks is refused at once, without a credential too", async () => {
  const { world } = await worldWithApp()
  const startedAt = performance.now()
  for (const query of ["?a=".repeat(26), "?a=".repeat(4000), `?${"a=&".repeat(4000)}`, "?a".repeat(4000)])
    await expectProblem(await world.call("GET", `${path}${query}&`), 401, "unauthenticated")
  // Not a matter of speed: what tries every reading of such a text needs seconds for the first and ages for the next.
  expect(performance.now() - startedAt).toBeLessThan(1000)
})

describe("starting a connect", () => {
  test("answers with the authorize URL, the flow and its end in ten minutes, and nothing else", async () => {
    const { world, as } = await worldWithApp()
    const response = await world.call("GET", encoded({ return_url: returnUrl, reference: "user-17" }), { as })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      authorize_url: expect.stringMatching(/^https:\/\/provider\.example\/x\/authorize\?state=/),
      flow_id: expect.stringMatching(/^flow_[0-9a-z]{36}$/),
      expires_at: "2026-11-22T10:10:00.000Z",
    })
  })

  test("uses the default app, or the one that is named", async () => {
    const { world, as } = await worldWithApp()
    const other = await world.storeApp(as, { client_id: "fake-other-id" })
    const clientId = async (query: Readonly<Record<string, string>>) => {
      const started = (await (await world.call("GET", encoded(query), { as })).json()) as {
        authorize_url: string
      }
      return new URL(started.authorize_url).searchParams.get("client_id")
    }
    expect(await clientId({})).toBe("fake-client-id")
    expect(await clientId({ oauth_app_id: other.id })).toBe("fake-other-id")
  })

  test("reconnects an account that is named", async () => {
    const { world, as } = await worldWithApp()
    const [accountId = ""] = await world.connect(as)
    const response = await world.call("GET", encoded({ account_id: accountId }), { as })
    const started = (await response.json()) as { authorize_url: string }
    expect(new URL(started.authorize_url).searchParams.get("again")).toBe("true")
  })

  test("keeps the reference exactly, whatever characters it has", async () => {
    const { world, as } = await worldWithApp()
    for (const reference of [
      "a,b",
      "a+b c%20&=?",
      "[1]",
      '{"a":1}',
      "null",
      "ユーザー 😀",
      "x".repeat(200),
      "1",
    ]) {
      const { id } = await world.startFlow(as, { reference })
      const flow = await (await world.call("GET", `/v1/oauth/flows/${id}`, { as })).json()
      expect(flow).toMatchObject({ reference })
    }
  })
})

describe("a start that cannot be", () => {
  const ready = worldWithApp()
  const refusals: readonly (readonly [string, string, string, RegExp])[] = [
    [
      "a return_url that no entry covers",
      `return_url=${encodeURIComponent("https://evil.example/")}`,
      "return_url_refused",
      /allowed_return_urls covers it/,
    ],
    [
      "a return_url past a segment boundary",
      `return_url=${encodeURIComponent("https://app.acme.example/connectevil")}`,
      "return_url_refused",
      /allowed_return_urls/,
    ],
    ["an empty return_url", "return_url=", "return_url_refused", /must not be empty; leave it out/],
    ["a bare return_url", "return_url", "return_url_refused", /must not be empty/],
    ["a relative return_url", "return_url=/connect", "return_url_refused", /absolute address/],
    ["a javascript return_url", "return_url=javascript:alert(1)", "return_url_refused", /absolute address/],
    [
      "a return_url with CR and LF",
      "return_url=https://app.acme.example/connect%0d%0aset-cookie:a=b",
      "return_url_refused",
      /control/,
    ],
    [
      "a return_url with a NUL",
      "return_url=https://app.acme.example/connect%00",
      "return_url_refused",
      /control/,
    ],
    [
      "a return_url with a raw plus, which is a space",
      "return_url=https://app.acme.example/connect?q=a+b",
      "return_url_refused",
      /white space/,
    ],
    [
      "a return_url with user info",
      "return_url=https://app.acme.example%40evil.example/connect",
      "return_url_refused",
      /user info/,
    ],
    [
      "a return_url with a fragment",
      "return_url=https://app.acme.example/connect%23x",
      "return_url_refused",
      /fragment/,
    ],
    [
      "a return_url that brings its own result",
      "return_url=https://app.acme.example/connect?connected=x",
      "return_url_refused",
      /connected, connect_code or oauth_error/,
    ],
    [
      "a return_url that brings a connect_code",
      "return_url=https://app.acme.example/connect?connect_code=x",
      "return_url_refused",
      /connected, connect_code or oauth_error/,
    ],
    [
      "proof without a return_url for the code to come back on",
      "proof=required",
      "invalid_input",
      /return_url: is needed with proof=required/,
    ],
    ["proof that is neither", "proof=true", "invalid_input", /proof: must be one of required/],
    ["empty proof", "proof=", "invalid_input", /proof: must be one of required/],
    [
      "a return_url of 3,000 characters",
      `return_url=https://app.acme.example/connect/${"a".repeat(3000)}`,
      "return_url_refused",
      /2048/,
    ],
    [
      "two return_urls",
      `return_url=${encodeURIComponent(returnUrl)}&return_url=${encodeURIComponent(returnUrl)}`,
      "invalid_input",
      /return_url: is there more than once; send it once/,
    ],
    ["a repeated name behind a fragment", "reference=a#&reference=b", "invalid_input", /has a #/],
    ["a repeated name that is escaped once", "reference=a&%72eference=b", "invalid_input", /more than once/],
    [
      "a list of return_urls",
      "return_url[]=https://a.example",
      "invalid_input",
      /return_url\[\]: is not a field/,
    ],
    [
      "an unknown query field",
      "redirect_uri=https://a.example",
      "invalid_input",
      /redirect_uri: is not a field of this call/,
    ],
    ["a state of the caller's choosing", "state=mine", "invalid_input", /not a field/],
    ["a query field without a name", "=x", "invalid_input", /not a field/],
    ["__proto__", "__proto__=x", "invalid_input", /not a field/],
    ["an empty reference", "reference=", "invalid_input", /reference: must have 1 to 200 characters/],
    [
      "a reference of 201 characters",
      `reference=${"r".repeat(201)}`,
      "invalid_input",
      /at most 200|1 to 200/,
    ],
    ["a reference with a NUL", "reference=a%00b", "invalid_input", /control characters/],
    ["a reference with a C1 control", "reference=a%C2%85b", "invalid_input", /control characters/],
    [
      "a reference that is half a character",
      "reference=%ED%A0%80",
      "invalid_input",
      /% that begins no UTF-8 escape/,
    ],
    ["a reference with a malformed escape", "reference=100%", "invalid_input", /percent sign itself as %25/],
    [
      "an app that is none",
      "oauth_app_id=oa_none",
      "no_oauth_app",
      /no X app with this oauth_app_id; GET \/v1\/oauth-apps\?provider=x/,
    ],
    ["an empty app id", "oauth_app_id=", "no_oauth_app", /no X app with this oauth_app_id/],
  ]
  test.each(refusals)("is refused with 400: %s", async (_, query, code, words) => {
    const { world, as } = await ready
    await expectProblem(await world.call("GET", `${path}?${query}`, { as }), 400, code, { words })
  })

  test("is refused where the tenant has no app for the provider yet, and says how to store one", async () => {
    const { world, as } = await ready
    await expectProblem(await world.call("GET", "/v1/oauth/tiktok/start", { as }), 400, "no_oauth_app", {
      words: /no TikTok app yet; store its client_id and client_secret with POST \/v1\/oauth-apps/,
    })
  })

  test("is refused for an app or an account of another provider", async () => {
    const { world, as, app } = await worldWithApp()
    const [accountId = ""] = await world.connect(as)
    await world.storeApp(as, { provider: "tiktok" })
    const start = (query: string) => world.call("GET", `/v1/oauth/tiktok/start?${query}`, { as })
    await expectProblem(await start(`oauth_app_id=${app.id}`), 400, "invalid_input", {
      words: /is an app of x; start x/,
      fields: ["oauth_app_id"],
    })
    await expectProblem(await start(`account_id=${accountId}`), 400, "invalid_input", {
      words: /is an account of x; start x/,
      fields: ["account_id"],
    })
  })

  test("is 404 for an account that is none", async () => {
    const { world, as } = await ready
    for (const id of ["", "acc_none", "oa_none", "%00", `acc_${"0".repeat(36)}`]) {
      const response = await world.call("GET", `${path}?account_id=${id}`, { as })
      await expectProblem(response, 404, "not_found", { words: /No account with this id/ })
    }
  })

  test("is 404 for a provider that is none, and names those there are", async () => {
    const { world, as } = await ready
    for (const provider of ["myspace", "X", "x%20", "x%2Fcallback", "__proto__", "constructor"]) {
      await expectProblem(await world.call("GET", `/v1/oauth/${provider}/start`, { as }), 404, "not_found", {
        words: /one of instagram, facebook, x, linkedin, tiktok/,
      })
    }
  })

  test("stores nothing", async () => {
    const world = httpWorld()
    const as = await world.key()
    await world.storeApp(as)
    let added = 0
    const { add } = world.storage.flows
    world.storage.flows.add = async (flow) => {
      added++
      await add(flow)
    }
    for (const [, query] of refusals) await world.call("GET", `${path}?${query}`, { as })
    expect(added).toBe(0)
    await world.startFlow(as)
    expect(added).toBe(1)
  })
})

describe("in the test environment", () => {
  test("a tenant without apps starts with the built-in one, which returns to loopback alone", async () => {
    const world = httpWorld()
    const as = await world.key({ environment: "test" })
    const start = (url: string) => world.call("GET", encoded({ return_url: url }), { as })
    for (const url of ["http://localhost:5173/done", "http://127.0.0.1/x?a=b", "http://[::1]:8080/"]) {
      expect((await start(url)).status).toBe(200)
    }
    await expectProblem(await start(returnUrl), 400, "return_url_refused", {
      words: /localhost, 127\.0\.0\.1 or \[::1\] only/,
    })
  })
})
