import { describe, expect, test } from "bun:test"
import { keyMint } from "../../src/adapters/crypto/key-mint.ts"
import { type KeyScope, keyScopes } from "../../src/domain/api-key.ts"
import {
  dashboardToken,
  expectProblem,
  type HttpWorld,
  httpWorld,
  jwtSecret,
  newApp,
} from "../support/http-world.ts"

const list = "/v1/accounts"

async function expectRefused(response: Response, words?: RegExp): Promise<void> {
  expect(response.headers.get("www-authenticate")).toBe('Bearer realm="mooring"')
  await expectProblem(response, 401, "unauthenticated", words ? { words } : {})
}

/** The secret part of a key's text and the rest of it. */
function parts(key: string) {
  const [prefix = "", environment = "", id = "", secret = "", checksum = ""] = key.split("_")
  return { prefix, environment, id, secret, checksum }
}

/** A key's text as the mint writes it, with a checksum that fits, around a secret of our choosing. */
function textWith(environment: "live" | "test", id: string, secret: string): string {
  const bytes = Uint8Array.fromHex(secret)
  return keyMint(() => bytes).mint(environment, `key_${id}`).text
}

describe("an API key", () => {
  test("is taken from the Authorization header, whatever the scheme's letter case", async () => {
    const world = httpWorld()
    const key = await world.key()
    for (const scheme of ["Bearer", "bearer", "BEARER"]) {
      const headers = { authorization: `${scheme} ${key}` }
      expect((await world.call("GET", list, { headers })).status).toBe(200)
    }
  })

  test("is taken from nowhere else", async () => {
    const world = httpWorld()
    const key = await world.key()
    for (const query of ["access_token", "api_key", "key", "authorization"]) {
      await expectRefused(await world.call("GET", `${list}?${query}=${key}`), /^Send Authorization: Bearer/)
    }
    for (const headers of [
      { cookie: `authorization=Bearer ${key}; key=${key}` },
      { "x-api-key": key },
      { "proxy-authorization": `Bearer ${key}` },
    ]) {
      await expectRefused(await world.call("GET", list, { headers }), /^Send Authorization: Bearer/)
    }
    await expectRefused(
      await world.call("POST", "/v1/oauth-apps", { body: { ...newApp, authorization: key } }),
    )
  })

  test("is refused in the same words, whatever is wrong with it", async () => {
    const world = httpWorld()
    const key = await world.key()
    const other = await world.key({ tenant: "globex" })
    const [mine, theirs] = [parts(key), parts(other)]
    const flipped = mine.secret.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))
    const wrong = {
      "a wrong checksum": `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`,
      "no checksum": key.slice(0, -9),
      "a mistyped secret": key.replace(mine.secret, flipped),
      "a wrong secret with the right id": textWith("live", mine.id, flipped),
      "another key's id with this secret": textWith("live", theirs.id, mine.secret),
      "the other environment": textWith("test", mine.id, mine.secret),
      "an unknown id": textWith("live", `${"0".repeat(35)}g`, mine.secret),
      "another prefix": key.replace("moor_", "boor_"),
      capitals: key.toUpperCase(),
      "something behind it": `${key}x`,
      "its digest": (await world.storage.keys.findById(`key_${mine.id}`))?.digest ?? "",
      "its id": `key_${mine.id}`,
      "a prefix alone": "moor_live_",
      "ten thousand characters": `moor_live_${"0".repeat(10_000)}`,
    }
    const details = new Set<string>()
    for (const [what, text] of Object.entries(wrong)) {
      const response = await world.call("GET", list, { as: text })
      expect(response.status, what).toBe(401)
      details.add(((await response.json()) as { detail: string }).detail)
    }
    expect([...details]).toEqual([expect.stringMatching(/mistyped, revoked or expired/)])
  })

  test("is refused in a header of another form", async () => {
    const world = httpWorld()
    const key = await world.key()
    for (const authorization of [
      key,
      `Basic ${key}`,
      `Token ${key}`,
      `Bearer: ${key}`,
      `Bearer ${key} ${key}`,
      `Bearer ${key}, Bearer ${key}`,
      `Bearer ${key},${key}`,
      "Bearer",
      "Bearer ",
      `Bearer "${key}"`,
      `bearer\t${key}`,
      "",
    ]) {
      const response = await world.call("GET", list, { headers: { authorization } })
      expect([authorization, response.status]).toEqual([authorization, 401])
    }
  })

  test("counts until the moment it expires, and no longer", async () => {
    const world = httpWorld()
    const key = await world.key({ expiresAt: new Date(world.now().getTime() + 1000) })
    world.pass(999)
    expect((await world.call("GET", list, { as: key })).status).toBe(200)
    world.pass(1)
    await expectRefused(await world.call("GET", list, { as: key }))
  })

  test("that is revoked no longer counts, nor can it start, read or list anything", async () => {
    const world = httpWorld()
    const key = await world.key()
    await world.apiKeys.revoke(
      { tenant: "acme", environment: "live", scopes: [], actor: "cli", kind: "user" },
      `key_${parts(key).id}`,
    )
    for (const [method, path] of routes) await expectRefused(await world.call(method, path, { as: key }))
  })
})

/** Every route under /v1 that takes a credential, with the scope it asks for. */
const routes: readonly (readonly [string, string, KeyScope])[] = [
  ["POST", "/v1/oauth-apps", "apps"],
  ["GET", "/v1/oauth-apps", "apps"],
  ["GET", "/v1/oauth-apps/oa_none", "apps"],
  ["PATCH", "/v1/oauth-apps/oa_none", "apps"],
  ["DELETE", "/v1/oauth-apps/oa_none", "apps"],
  ["POST", "/v1/oauth-apps/oa_none/check", "apps"],
  ["GET", "/v1/oauth/x/start", "connect"],
  ["GET", "/v1/oauth/flows", "connect"],
  ["GET", "/v1/oauth/flows/flow_none", "connect"],
  ["POST", "/v1/oauth/flows/flow_none/choose", "connect"],
  ["POST", "/v1/oauth/flows/flow_none/confirm", "connect"],
  ["GET", "/v1/accounts", "accounts"],
  ["POST", "/v1/accounts", "accounts"],
  ["POST", "/v1/accounts/acc_none/refresh", "accounts"],
  ["DELETE", "/v1/accounts/acc_none", "accounts"],
  ["GET", "/v1/accounts/acc_none/token", "tokens"],
  ["GET", "/v1/accounts/acc_none", "accounts"],
  ["GET", "/v1/events", "events"],
  ["POST", "/v1/webhooks", "webhooks"],
  ["GET", "/v1/webhooks", "webhooks"],
  ["GET", "/v1/webhooks/wh_none", "webhooks"],
  ["PATCH", "/v1/webhooks/wh_none", "webhooks"],
  ["DELETE", "/v1/webhooks/wh_none", "webhooks"],
  ["POST", "/v1/webhooks/wh_none/test", "webhooks"],
  ["POST", "/v1/webhooks/wh_none/rotate-secret", "webhooks"],
  ["GET", "/v1/webhooks/wh_none/deliveries", "webhooks"],
  ["POST", "/v1/webhooks/wh_none/deliveries/evt_none/replay", "webhooks"],
  ["POST", "/v1/webhooks/wh_none/replay", "webhooks"],
  ["POST", "/v1/api-keys", "keys"],
  ["GET", "/v1/api-keys", "keys"],
  ["DELETE", "/v1/api-keys/key_none", "keys"],
]

describe("every route", () => {
  const world = httpWorld()

  test.each(routes)("%s %s needs its scope: %s", async (method, path, scope) => {
    const isBodiless = /\/(check|refresh|test|rotate-secret|evt_none\/replay)$/.test(path)
    const body = (method === "POST" && !isBodiless) || method === "PATCH" ? { body: { name: "x" } } : {}
    const without = await world.key({ scopes: keyScopes.filter((other) => other !== scope) })
    await expectProblem(
      await world.call(method, path, { as: without, ...body }),
      403,
      "insufficient_key_scope",
      {
        words: new RegExp(`^This key lacks the scope ${scope}; use a key that has it`),
      },
    )
    const enough = await world.key({ scopes: [scope] })
    expect([401, 403]).not.toContain((await world.call(method, path, { as: enough, ...body })).status)
  })

  test.each(routes)(
    "%s %s refuses a caller without a credential, before it looks at the input",
    async (method, path) => {
      for (const sent of [{}, { body: "not json" }, { headers: { "content-type": "text/plain" } }]) {
        const given = method === "GET" ? {} : sent
        await expectRefused(
          await world.call(method, `${path}?unknown=1`, given),
          /^Send Authorization: Bearer/,
        )
      }
    },
  )

  test.each(routes)("%s %s takes a dashboard token", async (method, path) => {
    const body = method === "POST" || method === "PATCH" ? { body: { name: "x" } } : {}
    const response = await world.call(method, path, { as: await dashboardToken(), ...body })
    expect([200, 400, 404]).toContain(response.status)
  })

  test("the table above leaves none out", () => {
    const known = new Set(
      routes.map(
        ([method, path]) =>
          `${method} ${path
            .replace(/\/(oa|flow|acc|key|wh)_none/, "/:id")
            .replace("evt_none", ":event_id")
            .replace("/x/", "/:provider/")}`,
      ),
    )
    const browsers = /^\/v1\/oauth\/:provider\/(callback|choose)$/
    const served = world.routes().filter(({ path }) => path.startsWith("/v1/") && !browsers.test(path))
    expect(new Set(served.map(({ method, path }) => `${method} ${path}`))).toEqual(known)
  })
})

describe("environments", () => {
  const named = (environment: string) => ({ headers: { "mooring-environment": environment } })

  test("a dashboard token speaks for live unless the header names the other", async () => {
    const world = httpWorld()
    const as = await dashboardToken()
    await world.storeApp(as)
    const count = async (call: object) =>
      ((await (await world.call("GET", "/v1/oauth-apps", { as, ...call })).json()) as unknown[]).length
    expect([await count({}), await count(named("live")), await count(named("test"))]).toEqual([1, 1, 0])
  })

  test("a header that names neither is refused, and says what it may be", async () => {
    const world = httpWorld()
    const as = await dashboardToken()
    for (const environment of ["", "Live", "prod", "live, test", "live,live"]) {
      await expectProblem(
        await world.call("GET", list, { as, ...named(environment) }),
        400,
        "invalid_input",
        {
          words: /Mooring-Environment: must be live or test/,
          fields: ["Mooring-Environment"],
        },
      )
    }
  })

  test("a bad token with a bad header is refused for the token", async () => {
    await expectRefused(await httpWorld().call("GET", list, { as: "bad", ...named("nope") }))
  })

  test("a key stays in its own, whatever the header says", async () => {
    const world = httpWorld()
    const [live, pretended] = [await world.key(), await world.key({ environment: "test" })]
    await world.storeApp(live)
    const count = async (as: string, environment: string) =>
      ((await (await world.call("GET", "/v1/oauth-apps", { as, ...named(environment) })).json()) as unknown[])
        .length
    expect(await count(live, "test")).toBe(1)
    expect(await count(pretended, "live")).toBe(0)
    expect(await count(pretended, "nonsense")).toBe(0)
  })

  test("live and test data of one tenant never meet", async () => {
    const world = httpWorld()
    const [live, pretended] = [await world.key(), await world.key({ environment: "test" })]
    const apps = { live: await world.storeApp(live), test: await world.storeApp(pretended) }
    const [liveAccount = ""] = await world.connect(live)
    const [testAccount = ""] = await world.connect(pretended)
    expect(liveAccount).not.toBe(testAccount)
    const flow = await world.startFlow(live)
    const absent = [
      `/v1/oauth-apps/${apps.live.id}`,
      `/v1/accounts/${liveAccount}`,
      `/v1/oauth/flows/${flow.id}`,
      `/v1/oauth/x/start?account_id=${liveAccount}`,
    ]
    for (const path of absent) {
      expect((await world.call("GET", path, { as: live })).status).toBe(200)
      await expectProblem(await world.call("GET", path, { as: pretended }), 404, "not_found")
    }
    await expectProblem(
      await world.call("GET", `/v1/oauth/x/start?oauth_app_id=${apps.live.id}`, { as: pretended }),
      400,
      "no_oauth_app",
    )
    const ids = async (as: string) =>
      ((await (await world.call("GET", list, { as })).json()) as { items: { id: string }[] }).items.map(
        ({ id }) => id,
      )
    expect([await ids(live), await ids(pretended)]).toEqual([[liveAccount], [testAccount]])
  })
})

test("an installation without a dashboard takes keys and no token at all", async () => {
  const world: HttpWorld = httpWorld({ dashboardTokens: null })
  expect((await world.call("GET", list, { as: await world.key() })).status).toBe(200)
  await expectRefused(await world.call("GET", list, { as: await dashboardToken({}, { secret: jwtSecret }) }))
})
