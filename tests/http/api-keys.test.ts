import { describe, expect, test } from "bun:test"
import { defaultKeyScopes, keyScopes } from "../../src/domain/api-key.ts"
import { dashboardToken, expectProblem, type HttpWorld, httpWorld } from "../support/http-world.ts"

const path = "/v1/api-keys"

interface MadeKey {
  readonly id: string
  readonly key: string
  readonly environment: string
}

async function dashboard(claims: Readonly<Record<string, unknown>> = {}) {
  return { world: httpWorld(), as: await dashboardToken(claims) }
}

async function make(world: HttpWorld, as: string, change: object = {}): Promise<MadeKey> {
  const response = await world.call("POST", path, {
    as,
    body: { name: "ci", environment: "live", ...change },
  })
  expect(response.status).toBe(201)
  return (await response.json()) as MadeKey
}

describe("making a key", () => {
  test("answers 201 with the documented fields and the key, which works at once", async () => {
    const { world, as } = await dashboard()
    const response = await world.call("POST", path, { as, body: { name: " ci ", environment: "test" } })
    expect(response.status).toBe(201)
    const made: unknown = await response.json()
    expect(made).toEqual({
      id: expect.stringMatching(/^key_[0-9a-z]{36}$/),
      name: "ci",
      environment: "test",
      scopes: [...defaultKeyScopes],
      created_at: "2026-11-22T10:00:00.000Z",
      expires_at: null,
      last_used_at: null,
      key: expect.stringMatching(/^moor_test_[0-9a-z]{36}_[0-9a-f]{40}_[0-9a-f]{8}$/),
    })
    expect((await world.call("GET", "/v1/accounts", { as: (made as MadeKey).key })).status).toBe(200)
  })

  test("shows the key this once: no list, event or stored row has it again", async () => {
    const { world, as } = await dashboard()
    const { id, key } = await make(world, as)
    const listed = await (await world.call("GET", path, { as })).text()
    const stored = await world.storage.keys.findById(id)
    const events = await world.storage.events.list({ tenant: "acme", environment: "live" }, {}, { limit: 10 })
    const secret = key.split("_")[3] ?? ""
    expect(secret).toHaveLength(40)
    for (const text of [listed, JSON.stringify(stored), JSON.stringify(events)])
      expect(text).not.toContain(secret)
  })

  test("takes scopes and an end, with a zone or in UTC", async () => {
    const { world, as } = await dashboard()
    const made = await make(world, as, {
      scopes: ["tokens", "keys", "tokens"],
      expires_at: "2030-01-31T02:00:00.5+02:00",
    })
    expect(made).toMatchObject({ scopes: ["tokens", "keys"], expires_at: "2030-01-31T00:00:00.500Z" })
    expect(await make(world, as, { expires_at: "2028-02-29t23:59:59z" })).toMatchObject({
      expires_at: "2028-02-29T23:59:59.000Z",
    })
  })

  const refusals: readonly (readonly [string, object, string, RegExp])[] = [
    ["no name", { name: undefined }, "name", /name: is required/],
    ["a blank name", { name: " " }, "name", /1 to 80 characters/],
    ["a name of 81 characters", { name: "n".repeat(81) }, "name", /1 to 80/],
    ["a name with a line break within", { name: "a\nb" }, "name", /control characters/],
    ["a name that is a number", { name: 1 }, "name", /must be text/],
    [
      "no environment",
      { environment: undefined },
      "environment",
      /environment: (is required|must be one of live, test)/,
    ],
    ["another environment", { environment: "production" }, "environment", /one of live, test/],
    ["scopes in one text", { scopes: "apps" }, "scopes", /list of scopes/],
    ["no scope at all", { scopes: [] }, "scopes", /at least one scope/],
    ["an unknown scope", { scopes: ["apps", "admin"] }, "scopes[1]", /one of apps, connect, accounts/],
    ["a scope in capitals", { scopes: ["Apps"] }, "scopes[0]", /one of apps/],
    ["a scope that is null", { scopes: [null] }, "scopes[0]", /must be a scope/],
    ["an end in the past", { expires_at: "2020-01-01T00:00:00Z" }, "expires_at", /in the future/],
    ["an end that is now", { expires_at: "2026-11-22T10:00:00Z" }, "expires_at", /in the future/],
    ["an end as a number", { expires_at: 1893456000 }, "expires_at", /RFC 3339/],
    ["an end as null", { expires_at: null }, "expires_at", /RFC 3339/],
    ["a digest", { digest: "x" }, "digest", /not a field/],
    ["a tenant", { tenant: "globex" }, "tenant", /not a field/],
    ...[
      "2030-01-31",
      "tomorrow",
      "",
      "2030-01-31T00:00:00",
      "2030-13-01T00:00:00Z",
      "2030-02-30T00:00:00Z",
      "2029-02-29T00:00:00Z",
      "2030-01-31T24:00:00Z",
      "2030-01-31T00:00:00+25:00",
      "2030-01-31 00:00:00Z",
      "+020300-01-01T00:00:00Z",
    ].map(
      (expires_at) =>
        [
          `the end "${expires_at}"`,
          { expires_at },
          "expires_at",
          /RFC 3339 time such as 2030-01-31T00:00:00Z/,
        ] as const,
    ),
  ]
  const ready = dashboard()
  test.each(refusals)("refuses %s and says what to change", async (_, change, field, words) => {
    const { world, as } = await ready
    const body = { name: "ci", environment: "live", ...change }
    const problem = await expectProblem(await world.call("POST", path, { as, body }), 400, "invalid_input", {
      words,
    })
    expect(problem.errors?.map((fault) => fault.field)).toContain(field)
    expect(await (await world.call("GET", path, { as })).json()).toEqual([])
  })

  test("a key makes none wider than itself and none for the other environment", async () => {
    const { world, as } = await dashboard()
    const { key } = await make(world, as, { scopes: ["keys", "apps"] })
    const attempt = (change: object) =>
      world.call("POST", path, { as: key, body: { name: "ci", environment: "live", ...change } })
    await expectProblem(
      await attempt({ scopes: ["apps", "tokens", "connect"] }),
      403,
      "insufficient_key_scope",
      {
        words: /lacks tokens, connect.*dashboard token/,
      },
    )
    await expectProblem(
      await attempt({ scopes: ["apps"], environment: "test" }),
      403,
      "insufficient_key_scope",
      {
        words: /live key makes live keys only/,
      },
    )
    expect(((await (await attempt({})).json()) as { scopes: string[] }).scopes).toEqual(["apps"])
  })

  test("a dashboard user makes keys of both environments, whatever the header says", async () => {
    const { world, as } = await dashboard()
    for (const environment of ["live", "test"]) {
      for (const header of ["live", "test"]) {
        const body = { name: "ci", environment, scopes: [...keyScopes] }
        const response = await world.call("POST", path, {
          as,
          body,
          headers: { "mooring-environment": header },
        })
        expect(((await response.json()) as MadeKey).key).toStartWith(`moor_${environment}_`)
      }
    }
  })
})

describe("listing keys", () => {
  test("has the newest first, without the keys themselves, and tells when one was last used", async () => {
    const { world, as } = await dashboard()
    const first = await make(world, as, { name: "first" })
    world.pass(1000)
    await make(world, as, { name: "second", environment: "test" })
    await world.call("GET", "/v1/accounts", { as: first.key })
    const response = await world.call("GET", path, { as })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual([
      expect.objectContaining({ name: "second", environment: "test", last_used_at: null }),
      {
        id: first.id,
        name: "first",
        environment: "live",
        scopes: [...defaultKeyScopes],
        created_at: "2026-11-22T10:00:00.000Z",
        expires_at: null,
        last_used_at: "2026-11-22T10:00:01.000Z",
      },
    ])
  })

  test("shows a key the keys of its own environment alone", async () => {
    const { world, as } = await dashboard()
    const live = await make(world, as, { scopes: ["keys"] })
    await make(world, as, { environment: "test" })
    const listed = (await (await world.call("GET", path, { as: live.key })).json()) as { id: string }[]
    expect(listed.map(({ id }) => id)).toEqual([live.id])
  })
})

describe("revoking a key", () => {
  test("answers 204, and from the next call on the key is no credential and no longer listed", async () => {
    const { world, as } = await dashboard()
    const { id, key } = await make(world, as)
    expect((await world.call("GET", "/v1/accounts", { as: key })).status).toBe(200)
    const response = await world.call("DELETE", `${path}/${id}`, { as })
    expect([response.status, await response.text()]).toEqual([204, ""])
    await expectProblem(await world.call("GET", "/v1/accounts", { as: key }), 401, "unauthenticated")
    expect(await (await world.call("GET", path, { as })).json()).toEqual([])
    await expectProblem(await world.call("DELETE", `${path}/${id}`, { as }), 404, "not_found", {
      words: /No API key/,
    })
  })

  test("reaches a dashboard user's keys of both environments, and a key's own environment alone", async () => {
    const { world, as } = await dashboard()
    const live = await make(world, as, { scopes: ["keys"] })
    const other = await make(world, as, { environment: "test" })
    await expectProblem(await world.call("DELETE", `${path}/${other.id}`, { as: live.key }), 404, "not_found")
    expect((await world.call("GET", "/v1/accounts", { as: other.key })).status).toBe(200)
    expect((await world.call("DELETE", `${path}/${other.id}`, { as })).status).toBe(204)
  })

  test("a key may revoke itself", async () => {
    const { world, as } = await dashboard()
    const { id, key } = await make(world, as, { scopes: ["keys"] })
    expect((await world.call("DELETE", `${path}/${id}`, { as: key })).status).toBe(204)
    await expectProblem(await world.call("GET", path, { as: key }), 401, "unauthenticated")
  })

  test("of an id that is none is 404", async () => {
    const { world, as } = await dashboard()
    for (const id of ["key_none", "acc_0", "%00", "a%2Fb", `key_${"0".repeat(36)}`]) {
      await expectProblem(await world.call("DELETE", `${path}/${id}`, { as }), 404, "not_found", {
        words: /No API key/,
      })
    }
  })
})
