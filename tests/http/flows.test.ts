import { describe, expect, test } from "bun:test"
import { flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import { oauthErrorReasons, pageOnlyReasons } from "../../src/domain/oauth-error.ts"
import { refusal } from "../support/connect-world.ts"
import { expectProblem, httpWorld } from "../support/http-world.ts"

async function worldWithApp() {
  const world = httpWorld()
  const as = await world.key()
  await world.storeApp(as)
  const flow = async (id: string) => {
    const response = await world.call("GET", `/v1/oauth/flows/${id}`, { as })
    expect(response.status).toBe(200)
    return (await response.json()) as Readonly<Record<string, unknown>>
  }
  return { world, as, flow }
}

describe("a flow tells what happened", () => {
  test("while the person is away: pending, with every documented field and no other", async () => {
    const { world, as, flow } = await worldWithApp()
    const { id } = await world.startFlow(as, { reference: "user-17" })
    expect(await flow(id)).toEqual({
      id,
      provider: "x",
      status: "pending",
      oauth_error: null,
      detail: null,
      provider_error: null,
      account_ids: [],
      reference: "user-17",
      created_at: "2026-11-22T10:00:00.000Z",
      expires_at: "2026-11-22T10:10:00.000Z",
      completed_at: null,
    })
  })

  test("when the person came back: connected, with the accounts", async () => {
    const { world, as, flow } = await worldWithApp()
    const { id, state } = await world.startFlow(as)
    world.pass(5000)
    await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    expect(await flow(id)).toMatchObject({
      status: "connected",
      oauth_error: null,
      account_ids: [expect.stringMatching(/^acc_/)],
      completed_at: "2026-11-22T10:00:05.000Z",
    })
  })

  const reasons = oauthErrorReasons.filter(
    (reason) => !(pageOnlyReasons as readonly string[]).includes(reason),
  )
  test.each(reasons)("when it failed with %s: why, and one sentence with the remedy", async (reason) => {
    const { world, as, flow } = await worldWithApp()
    world.provider.answer = async () => {
      throw refusal(reason)
    }
    const { id, state } = await world.startFlow(as)
    await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    expect(await flow(id)).toMatchObject({
      status: "failed",
      oauth_error: reason,
      detail: expect.stringMatching(/^[A-Z].{20,}\.$/),
      provider_error: {
        call: "token",
        status: 400,
        code: "seeded",
        message: "a seeded refusal",
        trace_id: null,
      },
      account_ids: [],
    })
  })

  test("when the person declined: access_denied", async () => {
    const { world, as, flow } = await worldWithApp()
    const { id, state } = await world.startFlow(as)
    await world.call("GET", `/v1/oauth/x/callback?state=${state}&error=access_denied`)
    expect(await flow(id)).toMatchObject({ status: "failed", oauth_error: "access_denied" })
  })

  test("when the person never came back: expired at the very moment, not before", async () => {
    const { world, as, flow } = await worldWithApp()
    const { id } = await world.startFlow(as)
    world.pass(flowLifetimeMs - 1)
    expect(await flow(id)).toMatchObject({ status: "pending" })
    world.pass(1)
    expect(await flow(id)).toMatchObject({
      status: "expired",
      oauth_error: "no_response",
      detail: expect.stringContaining("start again"),
      completed_at: null,
    })
  })
})

test("a flow that is none is 404", async () => {
  const { world, as } = await worldWithApp()
  for (const id of ["flow_none", "callback", "start", "acc_0", "x%2Fy", `flow_${"0".repeat(36)}`]) {
    await expectProblem(await world.call("GET", `/v1/oauth/flows/${id}`, { as }), 404, "not_found", {
      words: /No flow with this id/,
    })
  }
})
