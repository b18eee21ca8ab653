import { describe, expect, test } from "bun:test"
import { flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import { oauthErrorReasons, type ProviderCall, pageOnlyReasons } from "../../src/domain/oauth-error.ts"
import { refusal, upstreamAccount } from "../support/connect-world.ts"
import { expectProblem, httpWorld, returnUrl } from "../support/http-world.ts"

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
      docs_url: null,
      proof: null,
      account_ids: [],
      reference: "user-17",
      steps: [
        {
          step: "started",
          at: "2026-11-22T10:00:00.000Z",
          detail: expect.stringMatching(/^Your backend \(key:key_[0-9a-z]+\) called start for X; /),
          call: null,
          status: null,
          fault: null,
          duration_ms: null,
        },
      ],
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

interface Step {
  readonly step: string
  readonly at: string
  readonly detail: string
  readonly call: string | null
  readonly status: number | null
  readonly fault: string | null
  readonly duration_ms: number | null
}

const sent = (call: Partial<ProviderCall>): ProviderCall => ({
  call: "token",
  at: new Date("2026-11-22T10:00:05.000Z"),
  status: 200,
  fault: null,
  durationMs: 12,
  ...call,
})

describe("a flow tells its steps, in order of time, each in one sentence", () => {
  const namesOf = (flow: Readonly<Record<string, unknown>>) =>
    (flow.steps as readonly Step[]).map(({ step, call }) => call ?? step)

  test("to the end of a connect, with each call to the provider", async () => {
    const { world, as, flow } = await worldWithApp()
    world.provider.answer = async ({ onCall }) => {
      onCall?.(sent({ call: "token", durationMs: 180 }))
      world.pass(300)
      onCall?.(sent({ call: "profile", at: world.now() }))
      return [upstreamAccount()]
    }
    const { id, state } = await world.startFlow(as)
    world.pass(5000)
    await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    const shown = await flow(id)
    expect(shown.steps).toMatchObject([
      { step: "started", at: "2026-11-22T10:00:00.000Z", call: null, status: null, duration_ms: null },
      { step: "returned", at: "2026-11-22T10:00:05.000Z", detail: expect.stringContaining("with a code") },
      {
        step: "provider_call",
        at: "2026-11-22T10:00:05.000Z",
        detail: "Mooring called X to exchange the code for a token; the answer was HTTP 200 after 180 ms.",
        call: "token",
        status: 200,
        fault: null,
        duration_ms: 180,
      },
      { step: "provider_call", at: "2026-11-22T10:00:05.300Z", call: "profile", duration_ms: 12 },
      { step: "connected", at: "2026-11-22T10:00:05.300Z", detail: "1 account is connected." },
    ])
  })

  test.each([
    [sent({ status: 401 }), "the answer was HTTP 401 after 12 ms"],
    [
      sent({ status: null, fault: "timeout" }),
      "it gave no whole answer in time and was given up after 12 ms",
    ],
    [
      sent({ status: null, fault: "unreachable" }),
      "it could not be reached or broke off the connection after 12 ms",
    ],
    [sent({ status: null, fault: "too_large" }), "it answered with more than Mooring reads after 12 ms"],
  ])("to the call at which it failed: %#", async (call, words) => {
    const { world, as, flow } = await worldWithApp()
    world.provider.answer = async ({ onCall }) => {
      onCall?.(call)
      throw refusal("provider_error")
    }
    const { id, state } = await world.startFlow(as)
    await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    const shown = await flow(id)
    expect(namesOf(shown)).toEqual(["started", "returned", "token", "failed"])
    const [, , failing, last] = shown.steps as readonly Step[]
    expect(failing?.detail).toContain(`${words}, and here the connect failed.`)
    expect(last?.detail).toBe(`provider_error: ${shown.detail}`)
  })

  test("to a person's no, which is no call", async () => {
    const { world, as, flow } = await worldWithApp()
    const { id, state } = await world.startFlow(as)
    await world.call("GET", `/v1/oauth/x/callback?state=${state}&error=access_denied`)
    const shown = await flow(id)
    expect(namesOf(shown)).toEqual(["started", "returned", "failed"])
    expect((shown.steps as readonly Step[])[1]?.detail).toContain("with an error in place of a code")
  })

  test("to the choice, and what came of it", async () => {
    const { world, as, flow } = await worldWithApp()
    world.provider.answer = async () =>
      ["1", "2"].map((platformAccountId) => upstreamAccount({ platformAccountId }))
    const ends = [
      [{ platform_account_ids: ["1"] }, ["started", "returned", "choosing", "connected"]],
      [undefined, ["started", "returned", "choosing", "expired"]],
    ] as const
    for (const [body, steps] of ends) {
      const { id, state } = await world.startFlow(as, { return_url: returnUrl, select: "true" })
      world.pass(1000)
      await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
      expect(namesOf(await flow(id))).toEqual(["started", "returned", "choosing"])
      if (body) await world.call("POST", `/v1/oauth/flows/${id}/choose`, { as, body })
      else world.pass(flowLifetimeMs)
      expect(namesOf(await flow(id))).toEqual([...steps])
      await world.sweep()
      expect(namesOf(await flow(id))).toEqual([...steps])
    }
  })

  test("to an end that only the clock knows of, before and after it is written down", async () => {
    const { world, as, flow } = await worldWithApp()
    const { id } = await world.startFlow(as)
    world.pass(flowLifetimeMs)
    const before = await flow(id)
    expect((before.steps as readonly Step[]).at(-1)).toMatchObject({
      step: "expired",
      at: "2026-11-22T10:10:00.000Z",
    })
    world.pass(7000)
    await world.sweep()
    expect((await flow(id)).steps).toEqual(before.steps)
  })

  test("to a process that died, at the moment it must have been dead", async () => {
    const { world, as, flow } = await worldWithApp()
    const { promise, resolve } = Promise.withResolvers<readonly []>()
    world.provider.answer = () => promise
    const { id, state } = await world.startFlow(as)
    const callback = world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    await Bun.sleep(1)
    world.pass(31_000)
    const shown = await flow(id)
    expect(namesOf(shown)).toEqual(["started", "returned", "failed"])
    expect((shown.steps as readonly Step[]).at(-1)).toMatchObject({
      at: "2026-11-22T10:00:30.000Z",
      detail: expect.stringMatching(/^server_error: Mooring failed or was stopped/),
    })
    resolve([])
    await callback
  })
})

test("a flow that failed names the page about its reason, by the address from the configuration", async () => {
  const { world, as, flow } = await worldWithApp()
  const { id, state } = await world.startFlow(as)
  await world.call("GET", `/v1/oauth/x/callback?state=${state}&error=access_denied`)
  const { docs_url } = await flow(id)
  expect(docs_url).toBe("https://connect.example.com/docs/oauth-errors/access_denied")
  expect((await world.call("GET", new URL(String(docs_url)).pathname)).status).toBe(200)
})

describe("the list of flows", () => {
  interface Listing {
    readonly items: readonly { readonly id: string }[]
    readonly next_cursor: string | null
  }

  /** Five flows a second apart, oldest first: connected, failed, expired, of another provider, and pending. */
  async function worldWithFlows() {
    const { world, as, flow } = await worldWithApp()
    const other = await world.storeApp(as, { provider: "tiktok" })
    const begin = async (reference: string) => {
      world.pass(1000)
      return world.startFlow(as, { return_url: returnUrl, reference })
    }
    const connected = await begin("user-1")
    await world.call("GET", `/v1/oauth/x/callback?state=${connected.state}&code=fake-code`)
    const failed = await begin("user-2")
    await world.call("GET", `/v1/oauth/x/callback?state=${failed.state}&error=access_denied`)
    const expired = await begin("user-3")
    world.pass(flowLifetimeMs)
    await world.sweep()
    const started = await world.call("GET", "/v1/oauth/tiktok/start?reference=user-4", { as })
    const { flow_id } = (await started.json()) as { readonly flow_id: string }
    const pending = await begin("user-5")
    const list = async (query = "", key = as): Promise<Listing> => {
      const response = await world.call("GET", `/v1/oauth/flows${query}`, { as: key })
      expect(response.status).toBe(200)
      return (await response.json()) as Listing
    }
    const ids = {
      connected: connected.id,
      failed: failed.id,
      expired: expired.id,
      tiktok: flow_id,
      pending: pending.id,
    }
    return { world, as, flow, list, ids, other }
  }
  const ready = worldWithFlows()

  test("has the newest first, each as the flow itself is shown", async () => {
    const { list, ids, flow } = await ready
    const { items, next_cursor } = await list()
    expect(items.map(({ id }) => id)).toEqual([
      ids.pending,
      ids.tiktok,
      ids.expired,
      ids.failed,
      ids.connected,
    ])
    expect(next_cursor).toBeNull()
    for (const item of items) expect(await flow(item.id)).toEqual(item)
  })

  test.each([
    ["?status=pending", ["pending", "tiktok"]],
    ["?status=connected", ["connected"]],
    ["?status=failed", ["failed"]],
    ["?status=expired", ["expired"]],
    ["?reason=access_denied", ["failed"]],
    ["?reason=no_response", ["expired"]],
    ["?reason=server_error", []],
    ["?provider=tiktok", ["tiktok"]],
    ["?reference=user-5", ["pending"]],
    ["?reference=user", []],
    ["?provider=x&status=failed&reason=access_denied&reference=user-2", ["failed"]],
    ["?provider=tiktok&status=failed", []],
    ["?oauth_app_id=oa_none", []],
    ["?oauth_app_id=", []],
  ] as const)("is narrowed by %s", async (query, names) => {
    const { list, ids } = await ready
    expect((await list(query)).items.map(({ id }) => id)).toEqual(names.map((name) => ids[name]))
  })

  test("is narrowed by the app", async () => {
    const { list, ids, other } = await ready
    expect((await list(`?oauth_app_id=${other.id}`)).items.map(({ id }) => id)).toEqual([ids.tiktok])
  })

  test("comes in pages that join without a gap or a double, while flows come", async () => {
    const { world, as, list } = await worldWithFlows()
    const all = (await list()).items.map(({ id }) => id)
    const first = await list("?limit=2")
    world.pass(1000)
    await world.startFlow(as)
    const second = await list(`?limit=2&cursor=${first.next_cursor}`)
    const third = await list(`?limit=2&cursor=${second.next_cursor}`)
    expect([first, second, third].flatMap(({ items }) => items.map(({ id }) => id))).toEqual(all)
    expect(third.next_cursor).toBeNull()
    expect((await list("?limit=6")).next_cursor).toBeNull()
  })

  test("shows a tenant its own flows of its own environment alone, and takes no cursor of anybody else's", async () => {
    const { world, as, list } = await worldWithFlows()
    const { next_cursor } = await list("?limit=2")
    const accounts = (await (await world.call("GET", "/v1/accounts?limit=1", { as })).json()) as Listing
    for (const change of [{ tenant: "globex" }, { environment: "test" as const }]) {
      const key = await world.key(change)
      expect(await list("", key)).toEqual({ items: [], next_cursor: null })
      const response = await world.call("GET", `/v1/oauth/flows?cursor=${next_cursor}`, { as: key })
      await expectProblem(response, 400, "invalid_input", { fields: ["cursor"] })
    }
    const flipped = `${next_cursor?.slice(0, -1)}${next_cursor?.endsWith("A") ? "E" : "A"}`
    const signed = world.signer.sign(
      "cursor",
      JSON.stringify([JSON.stringify(["accounts", {}]), "acme", "live", "flow_0"]),
    )
    for (const cursor of [
      "",
      ".",
      "flow_none",
      "x".repeat(9000),
      flipped,
      `flow_0.${signed}`,
      accounts.items[0]?.id,
    ]) {
      const response = await world.call("GET", `/v1/oauth/flows?cursor=${cursor}`, { as })
      await expectProblem(response, 400, "invalid_input", { words: /next_cursor as it came/ })
    }
  })

  test("takes a cursor beside the filters it was given for alone", async () => {
    const { world, as, list, ids } = await worldWithFlows()
    await world.startFlow(as)
    for (const filters of ["", "status=pending&", "provider=x&"]) {
      const { next_cursor } = await list(`?${filters}limit=1`)
      expect((await list(`?${filters}cursor=${next_cursor}`)).items).not.toEqual([])
      const others = [
        "",
        "status=pending&",
        "status=failed&",
        "provider=x&",
        "reason=access_denied&",
        "reference=user-1&",
        `oauth_app_id=${ids.tiktok}&`,
      ]
      for (const other of others.filter((other) => other !== filters)) {
        const response = await world.call("GET", `/v1/oauth/flows?${other}cursor=${next_cursor}`, { as })
        await expectProblem(response, 400, "invalid_input", { words: /these filters/, fields: ["cursor"] })
      }
    }
  })

  test("refuses what it does not know", async () => {
    const { world, as } = await ready
    for (const [query, field] of [
      ["status=exchanging", "status"],
      ["status=", "status"],
      ["reason=nope", "reason"],
      ["provider=myspace", "provider"],
      ["limit=0", "limit"],
      ["limit=101", "limit"],
      ["limit=1e1", "limit"],
      ["q=x", "q"],
      ["reference=a%00b", "reference"],
    ] as const) {
      const response = await world.call("GET", `/v1/oauth/flows?${query}`, { as })
      await expectProblem(response, 400, "invalid_input", { fields: [field] })
    }
  })

  test("takes a credential with the scope connect", async () => {
    const { world } = await ready
    await expectProblem(await world.call("GET", "/v1/oauth/flows"), 401, "unauthenticated")
    const narrow = await world.key({ scopes: ["accounts"] })
    await expectProblem(
      await world.call("GET", "/v1/oauth/flows", { as: narrow }),
      403,
      "insufficient_key_scope",
    )
  })
})
