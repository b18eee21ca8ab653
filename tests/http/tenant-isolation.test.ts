import { describe, expect, test } from "bun:test"
import type { Owner } from "../../src/domain/owner.ts"
import { upstreamAccount } from "../support/connect-world.ts"
import { type Call, dashboardToken, type HttpWorld, httpWorld, returnUrl } from "../support/http-world.ts"

/** Ids of the right form that nobody has. */
const nobody = {
  app: `oa_${"0".repeat(35)}g`,
  account: `acc_${"0".repeat(35)}g`,
  flow: `flow_${"0".repeat(35)}g`,
  key: `key_${"0".repeat(35)}g`,
}

/** A tenant with one of everything. */
async function tenantIn(world: HttpWorld, tenant: string) {
  const as = await world.key({ tenant, scopes: ["apps", "connect", "accounts", "tokens", "keys"] })
  const app = await world.storeApp(as, { name: `app of ${tenant}` })
  world.provider.answer = async () => [upstreamAccount({ handle: `person of ${tenant}` })]
  const [account = ""] = await world.connect(as)
  const flow = await world.startFlow(as)
  return {
    as,
    ids: { app: app.id, account, flow: flow.id, key: `key_${as.split("_")[2]}` },
    state: flow.state,
  }
}

async function twoTenants() {
  const world = httpWorld()
  const acme = await tenantIn(world, "acme")
  const globex = await tenantIn(world, "globex")
  return { world, acme, globex }
}

type Ids = typeof nobody

/** Every route and method that takes an id, in path, query or body. */
const attempts: readonly (readonly [string, (ids: Ids) => readonly [string, string, Call?]])[] = [
  ["read an app", ({ app }) => ["GET", `/v1/oauth-apps/${app}`]],
  [
    "change an app",
    ({ app }) => [
      "PATCH",
      `/v1/oauth-apps/${app}`,
      { body: { name: "taken over", client_secret: "fake-taken" } },
    ],
  ],
  [
    "change an app in a way that is refused anyway",
    ({ app }) => ["PATCH", `/v1/oauth-apps/${app}`, { body: { is_default: false } }],
  ],
  [
    "change an app with a fault in the body",
    ({ app }) => ["PATCH", `/v1/oauth-apps/${app}`, { body: { options: { pkce: "s256" } } }],
  ],
  ["check an app", ({ app }) => ["POST", `/v1/oauth-apps/${app}/check`]],
  ["delete an app", ({ app }) => ["DELETE", `/v1/oauth-apps/${app}`]],
  ["start with an app", ({ app }) => ["GET", `/v1/oauth/x/start?oauth_app_id=${app}`]],
  [
    "start another provider with an app",
    ({ app }) => ["GET", `/v1/oauth/x/start?oauth_app_id=${app}&return_url=https://evil.example`],
  ],
  ["reconnect an account", ({ account }) => ["GET", `/v1/oauth/x/start?account_id=${account}`]],
  [
    "reconnect an account of another provider",
    ({ account }) => ["GET", `/v1/oauth/tiktok/start?account_id=${account}`],
  ],
  ["read a flow", ({ flow }) => ["GET", `/v1/oauth/flows/${flow}`]],
  ["read an account", ({ account }) => ["GET", `/v1/accounts/${account}`]],
  ["read a token", ({ account }) => ["GET", `/v1/accounts/${account}/token`]],
  ["refresh an account", ({ account }) => ["POST", `/v1/accounts/${account}/refresh`]],
  ["disconnect an account", ({ account }) => ["DELETE", `/v1/accounts/${account}`]],
  [
    "choose the accounts of a flow",
    ({ flow }) => [
      "POST",
      `/v1/oauth/flows/${flow}/choose`,
      { body: { platform_account_ids: ["2244994945"] } },
    ],
  ],
  [
    "confirm a flow",
    ({ flow }) => ["POST", `/v1/oauth/flows/${flow}/confirm`, { body: { connect_code: "made-up-code" } }],
  ],
  [
    "register an account with an app",
    ({ app }) => [
      "POST",
      "/v1/accounts",
      {
        body: {
          provider: "x",
          platform_account_id: "1",
          oauth_app_id: app,
          credentials: { access_token: "fake-token" },
        },
      },
    ],
  ],
  ["revoke a key", ({ key }) => ["DELETE", `/v1/api-keys/${key}`]],
]

/** Status, headers and body of an answer, but for what names the request itself. */
async function shown(response: Response) {
  const id = response.headers.get("x-request-id") ?? "no id"
  const headers = [...response.headers].filter(([name]) => name !== "x-request-id")
  return { status: response.status, headers, body: (await response.text()).replaceAll(id, "<id>") }
}

async function everything(world: HttpWorld, owner: Owner, ids: Ids) {
  return structuredClone({
    apps: await world.storage.apps.list(owner),
    accounts: await world.storage.accounts.list(owner, {}, { limit: 100 }),
    flow: await world.storage.flows.find(owner, ids.flow),
    keys: await world.storage.keys.list(owner.tenant),
    events: await world.storage.events.list(owner, {}, { limit: 1000 }),
  })
}

describe("another tenant's ids", () => {
  test.each(attempts)("are as absent as nobody's: %s", async (_, attempt) => {
    const { world, acme, globex } = await twoTenants()
    const owner = { tenant: "globex", environment: "live" } as const
    const before = await everything(world, owner, globex.ids)
    for (const as of [acme.as, await dashboardToken({ sub: "acme" })]) {
      const [method, foreign, call = {}] = attempt(globex.ids)
      const [, absent] = attempt(nobody)
      const answer = await shown(await world.call(method, foreign, { as, ...call }))
      expect(answer).toEqual(await shown(await world.call(method, absent, { as, ...call })))
      expect(answer.status).toBe(/oauth_app_id|accounts$/.test(foreign) ? 400 : 404)
      expect(answer.body).not.toContain("globex")
    }
    expect(await everything(world, owner, globex.ids)).toEqual(before)
    expect(world.exchanges).toHaveLength(2)
  })

  test("would have counted for the tenant itself, so the table above means something", async () => {
    for (const [what, attempt] of attempts.filter(
      ([what]) => !/refused|fault|another provider|choose/.test(what),
    )) {
      const { world, globex } = await twoTenants()
      if (what === "delete an app") continue
      const [method, path, call = {}] = attempt(globex.ids)
      const { status } = await world.call(method, path, { as: globex.as, ...call })
      expect([what, [400, 404].includes(status)]).toEqual([what, false])
    }
  })
})

describe("lists", () => {
  test("and counts hold the caller's own alone", async () => {
    const { world, acme } = await twoTenants()
    const read = async (path: string) => (await world.call("GET", path, { as: acme.as })).text()
    for (const path of [
      "/v1/oauth-apps",
      "/v1/accounts",
      "/v1/accounts?q=globex",
      "/v1/accounts?q=person",
      "/v1/api-keys",
    ]) {
      expect(await read(path)).not.toContain("globex")
    }
    expect(JSON.parse(await read("/v1/accounts"))).toMatchObject({ total: 1, next_cursor: null })
    expect(JSON.parse(await read("/v1/accounts?q=globex"))).toMatchObject({ total: 0 })
    expect(JSON.parse(await read("/v1/api-keys"))).toHaveLength(1)
  })

  test("take no cursor of another tenant or environment", async () => {
    const { world, acme, globex } = await twoTenants()
    world.provider.answer = async () => [upstreamAccount({ platformAccountId: "second" })]
    await world.connect(globex.as)
    const page = (await (await world.call("GET", "/v1/accounts?limit=1", { as: globex.as })).json()) as {
      next_cursor: string
    }
    const path = `/v1/accounts?limit=1&cursor=${page.next_cursor}`
    expect((await world.call("GET", path, { as: globex.as })).status).toBe(200)
    const user = await dashboardToken({ sub: "globex" })
    expect((await world.call("GET", path, { as: user })).status).toBe(200)
    expect((await world.call("GET", path, { as: acme.as })).status).toBe(400)
    expect(
      (await world.call("GET", path, { as: user, headers: { "mooring-environment": "test" } })).status,
    ).toBe(400)
  })
})

test("one person who connects with two tenants is two accounts, each with its own tokens", async () => {
  const { world, acme, globex } = await twoTenants()
  expect(acme.ids.account).not.toBe(globex.ids.account)
  const handle = async (as: string, id: string) =>
    ((await (await world.call("GET", `/v1/accounts/${id}`, { as })).json()) as { handle: string }).handle
  expect(await handle(acme.as, acme.ids.account)).toBe("person of acme")
  expect(await handle(globex.as, globex.ids.account)).toBe("person of globex")
})

test("a tenant that is named in body, query or header is refused or ignored", async () => {
  const { world, acme } = await twoTenants()
  const headers = {
    "x-tenant": "globex",
    "x-tenant-id": "globex",
    tenant: "globex",
    "mooring-tenant": "globex",
  }
  const apps = await (await world.call("GET", "/v1/oauth-apps", { as: acme.as, headers })).text()
  expect(apps).not.toContain("globex")
  expect((await world.call("GET", "/v1/oauth-apps?tenant=globex", { as: acme.as })).status).toBe(400)
  const body = { name: "ci", environment: "live", tenant: "globex" }
  expect((await world.call("POST", "/v1/api-keys", { as: acme.as, body })).status).toBe(400)
})

test("a state brings the person back to the tenant that made it, whoever else is connected", async () => {
  const { world, acme, globex } = await twoTenants()
  await world.call("PATCH", `/v1/oauth-apps/${globex.ids.app}`, {
    as: globex.as,
    body: { allowed_return_urls: ["https://globex.example"] },
  })
  const response = await world.call("GET", `/v1/oauth/x/callback?state=${acme.state}&code=fake-code`, {
    as: globex.as,
  })
  expect(response.headers.get("location")).toBe(`${returnUrl}&connected=x`)
  expect(
    ((await (await world.call("GET", "/v1/accounts", { as: globex.as })).json()) as { total: number }).total,
  ).toBe(1)
})

test("tenants whose names differ by little are different tenants", async () => {
  const world = httpWorld()
  const names = ["acme", "Acme", "acme ", "acme/live", "acme%", "acm\u0435", "acme\u200b", "test"]
  for (const tenant of names) await world.storeApp(await dashboardToken({ sub: tenant }), { name: tenant })
  for (const tenant of names) {
    const apps = (await (
      await world.call("GET", "/v1/oauth-apps", { as: await dashboardToken({ sub: tenant }) })
    ).json()) as { name: string }[]
    expect(apps.map(({ name }) => name)).toEqual([tenant.trim()])
  }
})
