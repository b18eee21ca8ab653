import { describe, expect, test } from "bun:test"
import { ProviderFailure } from "../../src/ports/providers.ts"
import { refreshedTokens, refusal, upstreamAccount } from "../support/connect-world.ts"
import { expectProblem, type HttpWorld, httpWorld } from "../support/http-world.ts"

const hour = 3_600_000

async function json<Body>(response: Response): Promise<Body> {
  return (await response.json()) as Body
}

/** A connected X account whose token lives two hours, and a key that may do everything but make keys. */
async function connected() {
  const world = httpWorld()
  const key = await world.key()
  await world.storeApp(key)
  const inTwoHours = () => new Date(world.now().getTime() + 2 * hour)
  world.provider.answer = async () => [
    upstreamAccount({ tokens: { ...upstreamAccount().tokens, expiresAt: inTwoHours() } }),
  ]
  world.provider.refresh = async () => refreshedTokens({ expiresAt: inTwoHours() })
  const [id = ""] = await world.connect(key)
  return { world, key, id }
}

function refuseRefresh(
  world: HttpWorld,
  reason: ProviderFailure["reason"],
  retryAfterSeconds?: number,
): void {
  world.provider.refresh = async () => {
    const { evidence } = refusal(reason)
    throw new ProviderFailure({ reason, evidence, ...(retryAfterSeconds && { retryAfterSeconds }) })
  }
}

describe("GET /v1/accounts/{id}/token", () => {
  test("answers with the documented fields, never to be stored by a cache", async () => {
    const { world, key, id } = await connected()
    const response = await world.call("GET", `/v1/accounts/${id}/token`, { as: key })
    expect(response.status).toBe(200)
    expect(response.headers.get("cache-control")).toBe("no-store")
    expect(await json<unknown>(response)).toEqual({
      access_token: "fake-access-token-of-ann",
      token_type: "bearer",
      expires_at: new Date(world.now().getTime() + 2 * hour).toISOString(),
      scopes: upstreamAccount().scopes,
      platform_account_id: "2244994945",
    })
  })

  test("takes a key with the scope tokens", async () => {
    const { world, id } = await connected()
    const weak = await world.key({ scopes: ["accounts", "connect", "apps"] })
    await expectProblem(
      await world.call("GET", `/v1/accounts/${id}/token`, { as: weak }),
      403,
      "insufficient_key_scope",
      { words: /tokens/ },
    )
    const narrow = await world.key({ scopes: ["tokens"] })
    expect((await world.call("GET", `/v1/accounts/${id}/token`, { as: narrow })).status).toBe(200)
    await expectProblem(
      await world.call("GET", `/v1/accounts/${id}`, { as: narrow }),
      403,
      "insufficient_key_scope",
      { words: /accounts/ },
    )
  })

  test.each([
    ["reauth_required", 409, "reauthorization_required"],
    ["invalid_client", 409, "invalid_client"],
    ["provider_unavailable", 502, "provider_unavailable"],
    ["rate_limited", 502, "provider_unavailable"],
  ] as const)(
    "a refresh refused with %s is %p %s once the old token has ended",
    async (reason, status, code) => {
      const { world, key, id } = await connected()
      refuseRefresh(world, reason, 90)
      world.pass(2 * hour)
      const response = await world.call("GET", `/v1/accounts/${id}/token`, { as: key })
      if (status === 502) expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(89)
      await expectProblem(response, status, code, {})
    },
  )

  test("no token is in any log line", async () => {
    const { world, key, id } = await connected()
    await world.call("GET", `/v1/accounts/${id}/token`, { as: key })
    world.pass(2 * hour)
    await world.call("GET", `/v1/accounts/${id}/token`, { as: key })
    await world.call("POST", `/v1/accounts/${id}/refresh`, { as: key })
    expect(JSON.stringify(world.entries)).not.toContain("fake-")
  })
})

describe("POST /v1/accounts/{id}/refresh", () => {
  test("renews at once and needs no body", async () => {
    const { world, key, id } = await connected()
    world.pass(1000)
    const response = await world.call("POST", `/v1/accounts/${id}/refresh`, { as: key })
    expect(response.status).toBe(200)
    expect(await json<unknown>(response)).toEqual({
      id,
      health: "active",
      token_expires_at: new Date(world.now().getTime() + 2 * hour).toISOString(),
    })
    expect(world.refreshes).toHaveLength(1)
  })

  test("is 409 when the account must be connected again", async () => {
    const { world, key, id } = await connected()
    refuseRefresh(world, "reauth_required")
    await expectProblem(
      await world.call("POST", `/v1/accounts/${id}/refresh`, { as: key }),
      409,
      "reauthorization_required",
      { words: /connect again/ },
    )
    expect(await json<unknown>(await world.call("GET", `/v1/accounts/${id}`, { as: key }))).toMatchObject({
      health: "reauthorization_required",
    })
  })
})

describe("POST /v1/accounts", () => {
  const body = {
    provider: "x",
    platform_account_id: "42",
    handle: "ann",
    credentials: {
      access_token: "fake-typed-token",
      refresh_token: "fake-typed-refresh",
      expires_at: "2026-12-01T00:00:00Z",
    },
  }

  test("registers by hand with 201, and the second time updates in place with 200", async () => {
    const world = httpWorld()
    const key = await world.key()
    const first = await world.call("POST", "/v1/accounts", { as: key, body })
    expect(first.status).toBe(201)
    const account = await json<{ id: string }>(first)
    expect(account).toMatchObject({
      connection_type: "manual",
      platform_account_id: "42",
      handle: "ann",
      token_expires_at: "2026-12-01T00:00:00.000Z",
    })
    expect(JSON.stringify(account)).not.toContain("fake-typed")
    const second = await world.call("POST", "/v1/accounts", { as: key, body: { ...body, handle: "ben" } })
    expect(second.status).toBe(200)
    expect(await json<unknown>(second)).toMatchObject({ id: account.id, handle: "ben" })
    const token = await world.call("GET", `/v1/accounts/${account.id}/token`, { as: key })
    expect(await json<unknown>(token)).toMatchObject({ access_token: "fake-typed-token" })
  })

  test.each([
    ["no credentials", { ...body, credentials: undefined }, ["credentials"]],
    [
      "an unknown credential",
      { ...body, credentials: { ...body.credentials, acces_token: "x" } },
      ["credentials.acces_token"],
    ],
    ["an empty token", { ...body, credentials: { access_token: "" } }, ["credentials.access_token"]],
    [
      "a time that is none",
      { ...body, credentials: { ...body.credentials, expires_at: "tomorrow" } },
      ["credentials.expires_at"],
    ],
    [
      "a time in the past",
      { ...body, credentials: { ...body.credentials, expires_at: "2020-01-01T00:00:00Z" } },
      ["credentials.expires_at"],
    ],
    ["an unknown provider", { ...body, provider: "myspace" }, ["provider"]],
  ])("refuses %s and names the field", async (_, wrong, fields) => {
    const world = httpWorld()
    await expectProblem(
      await world.call("POST", "/v1/accounts", { as: await world.key(), body: wrong }),
      400,
      "invalid_input",
      { fields },
    )
  })

  test("refuses a token that the provider says is another account's", async () => {
    const world = httpWorld()
    world.provider.identify = async () => ({
      platformAccountId: "43",
      handle: null,
      displayName: null,
      avatarUrl: null,
      metadata: {},
    })
    await expectProblem(
      await world.call("POST", "/v1/accounts", { as: await world.key(), body }),
      400,
      "credentials_refused",
      { fields: ["platform_account_id"] },
    )
  })
})

describe("DELETE /v1/accounts/{id}", () => {
  test("forgets the account and its token, after which its app may go", async () => {
    const { world, key, id } = await connected()
    const [app] = await json<{ id: string }[]>(await world.call("GET", "/v1/oauth-apps", { as: key }))
    await expectProblem(
      await world.call("DELETE", `/v1/oauth-apps/${app?.id}`, { as: key }),
      409,
      "oauth_app_in_use",
      { words: /1 account/ },
    )
    expect((await world.call("DELETE", `/v1/accounts/${id}`, { as: key })).status).toBe(204)
    for (const path of [`/v1/accounts/${id}`, `/v1/accounts/${id}/token`]) {
      await expectProblem(await world.call("GET", path, { as: key }), 404, "not_found", {})
    }
    await expectProblem(await world.call("DELETE", `/v1/accounts/${id}`, { as: key }), 404, "not_found", {})
    expect((await world.call("DELETE", `/v1/oauth-apps/${app?.id}`, { as: key })).status).toBe(204)
  })
})

describe("choosing among several accounts", () => {
  async function offered() {
    const world = httpWorld()
    const key = await world.key()
    await world.storeApp(key)
    world.provider.answer = async () =>
      ["1", "2", "3"].map((platformAccountId) =>
        upstreamAccount({ platformAccountId, displayName: `<b>Page ${platformAccountId}</b>` }),
      )
    const { id, state } = await world.startFlow(key, {
      return_url: "https://app.acme.example/connect",
      select: "true",
    })
    const callback = await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    const page = new URL(callback.headers.get("location") ?? "")
    return { world, key, id, state, path: `${page.pathname}${page.search}` }
  }

  const form = (...chosen: string[]) => ({
    body: chosen.map((id) => `account=${id}`).join("&"),
    headers: { "content-type": "application/x-www-form-urlencoded" },
  })

  test("the flow shows the choices without a token, and the backend chooses", async () => {
    const { world, key, id } = await offered()
    const flow = await json<{ status: string; choices: unknown[] }>(
      await world.call("GET", `/v1/oauth/flows/${id}`, { as: key }),
    )
    expect(flow.status).toBe("pending")
    expect(flow.choices).toHaveLength(3)
    expect(JSON.stringify(flow)).not.toContain("fake-")
    expect(
      (await world.storage.accounts.list({ tenant: "acme", environment: "live" }, {}, { limit: 9 })).total,
    ).toBe(0)
    const choose = (ids: unknown) =>
      world.call("POST", `/v1/oauth/flows/${id}/choose`, {
        as: key,
        body: { platform_account_ids: ids } as object,
      })
    await expectProblem(await choose([]), 400, "invalid_input", { fields: ["platform_account_ids"] })
    await expectProblem(await choose(["2", "99"]), 400, "invalid_input", { fields: ["platform_account_ids"] })
    const chosen = await choose(["1", "3"])
    expect(chosen.status).toBe(200)
    expect(await json<{ account_ids: string[] }>(chosen)).toMatchObject({
      status: "connected",
      account_ids: [expect.any(String), expect.any(String)],
    })
    await expectProblem(await choose(["2"]), 400, "invalid_input", { words: /waits for no choice/ })
  })

  test("the person chooses on our page, whose names are shown as text", async () => {
    const { world, key, id, path } = await offered()
    const page = await world.call("GET", path)
    const html = await page.text()
    expect(page.status).toBe(200)
    expect(html).not.toContain("<b>Page")
    expect(html).not.toContain("fake-")
    const done = await world.call("POST", path, form("2"))
    expect(done.headers.get("location")).toBe("https://app.acme.example/connect?connected=x")
    // A second click, and the callback repeated, end in the same place.
    expect((await world.call("POST", path, form("1"))).headers.get("location")).toBe(
      "https://app.acme.example/connect?connected=x",
    )
    expect((await world.call("GET", path)).headers.get("location")).toBe(
      "https://app.acme.example/connect?connected=x",
    )
    expect(await json<unknown>(await world.call("GET", `/v1/oauth/flows/${id}`, { as: key }))).toMatchObject({
      account_ids: [expect.any(String)],
    })
  })

  test("a callback repeated before the choice leads to the page again", async () => {
    const { world, state, path } = await offered()
    const again = await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    expect(again.headers.get("location")).toEndWith(path)
    expect(world.exchanges).toHaveLength(1)
  })

  test("nothing chosen is a decline", async () => {
    const { world, path } = await offered()
    expect((await world.call("POST", path, form())).headers.get("location")).toBe(
      "https://app.acme.example/connect?oauth_error=access_denied",
    )
  })

  test("a ticket that is altered, foreign or late shows the plain page and changes nothing", async () => {
    const { world, state, path } = await offered()
    const altered = `${path.slice(0, -1)}${path.endsWith("A") ? "E" : "A"}`
    for (const wrong of [
      altered,
      path.replace("/x/", "/tiktok/"),
      `/v1/oauth/x/choose?ticket=${state}`,
      "/v1/oauth/x/choose",
      `${path}&ticket=x`,
    ]) {
      for (const method of ["GET", "POST"]) {
        const response = await world.call(method, wrong, method === "POST" ? form("1") : {})
        expect(response.status, `${method} ${wrong}`).toBe(400)
        expect(response.headers.get("location")).toBeNull()
      }
    }
    world.pass(10 * 60_000)
    expect((await world.call("POST", path, form("1"))).status).toBe(400)
    expect(await world.sweep()).toMatchObject({ expired: 1 })
    expect(
      (await world.storage.accounts.list({ tenant: "acme", environment: "live" }, {}, { limit: 9 })).total,
    ).toBe(0)
  })
})
