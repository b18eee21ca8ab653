import { describe, expect, test } from "bun:test"
import { unlimited } from "../../src/adapters/http/limits.ts"
import { memoryRateLimits } from "../../src/adapters/http/rate-limit.ts"
import {
  dashboardToken,
  expectProblem,
  type HttpWorld,
  httpWorld,
  plainTokens,
} from "../support/http-world.ts"

const path = "/v1/oauth/flows/flow_none"

const limited = () => httpWorld({ limits: memoryRateLimits() })

/** How many of so many calls at once got which status. */
async function burst(world: HttpWorld, count: number, call: Parameters<HttpWorld["call"]>[2] = {}) {
  const answers = await Promise.all(Array.from({ length: count }, () => world.call("GET", path, call)))
  const statuses: Record<number, number> = {}
  for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1
  return statuses
}

async function expectLimited(response: Response, words: RegExp): Promise<void> {
  const seconds = Number(response.headers.get("retry-after"))
  expect(response.headers.get("retry-after")).toMatch(/^[1-9]\d?$/)
  await expectProblem(response, 429, "rate_limited", { words })
  expect(seconds).toBeLessThanOrEqual(60)
}

describe("calls of a known caller", () => {
  test("pass in a burst of 500, and the next is 429 with the seconds to wait", async () => {
    const world = limited()
    const as = await world.key()
    expect(await burst(world, 500, { as })).toEqual({ 404: 500 })
    await expectLimited(
      await world.call("GET", path, { as }),
      /more than 100 calls a second; wait \d s and go slower/,
    )
  })

  test("of a noisy key slow down neither another key of the tenant nor a quiet tenant", async () => {
    const world = limited()
    const [noisy, sibling, quiet] = [
      await world.key(),
      await world.key(),
      await world.key({ tenant: "globex" }),
    ]
    expect((await burst(world, 600, { as: noisy }))[429]).toBe(100)
    expect(await burst(world, 50, { as: sibling })).toEqual({ 404: 50 })
    expect(await burst(world, 50, { as: quiet })).toEqual({ 404: 50 })
  })

  test("count for the caller, from whatever address and for whatever route", async () => {
    const world = limited()
    const as = await world.key({ scopes: ["connect"] })
    await burst(world, 250, { as, address: "203.0.113.1" })
    await burst(world, 250, { as, address: "203.0.113.2" })
    for (const route of ["/v1/accounts", "/v1/nope", path]) {
      expect((await world.call("GET", route, { as, address: "203.0.113.3" })).status).toBe(429)
    }
  })

  test("of users whose tenants and names run together are told apart", async () => {
    const org = "org"
    const world = httpWorld({
      limits: memoryRateLimits(),
      dashboardTokens: { ...plainTokens, tenantClaim: org },
    })
    const noisy = await dashboardToken({ [org]: "a", sub: "b user:c" })
    const quiet = await dashboardToken({ [org]: "a user:b", sub: "c" })
    await burst(world, 501, { as: noisy })
    expect((await world.call("GET", path, { as: noisy })).status).toBe(429)
    expect((await world.call("GET", path, { as: quiet })).status).toBe(404)
  })

  test("stop nobody's browser: the callback and the health checks are not counted", async () => {
    const world = limited()
    const as = await world.key()
    await burst(world, 501, { as })
    expect((await world.call("GET", "/v1/oauth/x/callback", { as })).status).toBe(400)
    expect((await world.call("GET", "/healthz", { as })).status).toBe(200)
  })
})

describe("failed authentications", () => {
  test("are twenty a minute for an address; the next is 429 with the seconds to wait", async () => {
    const world = limited()
    for (const call of [
      {},
      { as: "moor_bad" },
      { as: "bad.token.here" },
      { headers: { authorization: "Basic x" } },
    ]) {
      expect(await burst(world, 5, call)).toEqual({ 401: 5 })
    }
    await expectLimited(
      await world.call("GET", path, { as: "moor_bad" }),
      /fails to authenticate too often; wait \d+ s/,
    )
  })

  test("of one address do not stop another, nor a good credential from the same", async () => {
    const world = limited()
    expect(await burst(world, 25)).toEqual({ 401: 20, 429: 5 })
    expect((await world.call("GET", path, { address: "203.0.113.8" })).status).toBe(401)
    expect((await world.call("GET", path, { as: await world.key() })).status).toBe(404)
  })

  test("of one IPv6 subscriber count together, whichever of its addresses they come from", async () => {
    const world = limited()
    for (let i = 1; i <= 20; i++)
      await world.call("GET", path, { address: `2001:db8:1:2::${i.toString(16)}` })
    const status = async (address: string) => (await world.call("GET", path, { address })).status
    expect(await status("2001:db8:1:2:ffff:ffff:ffff:ffff")).toBe(429)
    expect(await status("2001:db8:1:3::1")).toBe(401)
    for (let i = 0; i < 20; i++) await status("::ffff:203.0.113.9")
    expect(await status("::ffff:203.0.113.9")).toBe(429)
    expect(await status("::ffff:203.0.113.10")).toBe(401)
  })

  test("are not a missing scope, a bad input or an unknown path", async () => {
    const world = limited()
    const as = await world.key({ scopes: ["apps"] })
    expect(await burst(world, 30, { as })).toEqual({ 403: 30 })
    const token = await dashboardToken()
    expect(await burst(world, 30, { as: token, headers: { "mooring-environment": "nope" } })).toEqual({
      400: 30,
    })
    expect((await world.call("GET", path)).status).toBe(401)
  })

  test("are not told by an X-Forwarded-For that the caller wrote", async () => {
    const world = limited()
    for (let i = 0; i < 20; i++)
      await world.call("GET", path, { headers: { "x-forwarded-for": `198.51.100.${i}` } })
    expect((await world.call("GET", path, { headers: { "x-forwarded-for": "198.51.100.99" } })).status).toBe(
      429,
    )
  })
})

test("limits are kept apart from one server to the next, and can be switched off", async () => {
  const [one, other] = [memoryRateLimits(), memoryRateLimits()]
  const spend = async (limits: typeof one, count: number) =>
    (
      await Promise.allSettled(Array.from({ length: count }, () => limits.spendFailure("203.0.113.7")))
    ).filter(({ status }) => status === "rejected").length
  expect([await spend(one, 25), await spend(other, 20), await spend(unlimited, 1000)]).toEqual([5, 0, 0])
})
