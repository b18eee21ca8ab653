import { expect, test } from "bun:test"
import type { ConnectFlow, FlowFailure } from "../../src/domain/connect-flow.ts"
import type { Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  aFlow,
  after,
  aKey,
  anApp,
  anEvent,
  anId,
  eventsOf,
  noon,
  sealed,
  someCalls,
  strangers,
  takenFlow,
} from "../support/storage-fixtures.ts"

const failure: FlowFailure = {
  reason: "code_invalid",
  detail: "The authorization code was wrong; start again.",
  evidence: { call: "token", status: 400, code: "invalid_grant", message: 'héhé \\ "no"\n', traceId: null },
}

export function flowsContract(storage: () => Storage): void {
  const add = async (change: Partial<ConnectFlow> = {}) => {
    const flow = aFlow(change)
    await storage().flows.add(flow)
    return flow
  }
  const find = (flow: ConnectFlow) => storage().flows.find(flow, flow.id)

  test("a flow comes back equal", async () => {
    const flow = await add({ reference: "user 🦤 'x' \\", options: { pkce: "s256" } })
    expect(await find(flow)).toEqual(flow)
  })

  test("a flow with nothing but what it must have comes back equal", async () => {
    const nothing = { returnUrl: null, reference: null, reconnectAccountId: null, codeVerifier: null }
    const flow = await add({ ...nothing, scopes: [], options: {} })
    expect(await find(flow)).toEqual(flow)
  })

  test("an ended flow comes back equal", async () => {
    const times = { takenAt: after(1), completedAt: after(2) }
    const flow = await add({ status: "failed", failure, accountIds: ["acc_1", "acc_2"], ...times })
    expect(await find(flow)).toEqual(flow)
  })

  test("a flow's calls come back equal, to the millisecond and in order, and so do proof and the callback's MAC", async () => {
    for (const proof of [true, false]) {
      const flow = await add({ proof, calls: someCalls, callbackMac: "made-up-mac" })
      expect(await find(flow)).toEqual(flow)
    }
  })

  test("an id is kept once: a second flow under it is refused", async () => {
    const flow = await add()
    await expect(storage().flows.add({ ...flow, reference: "other" })).rejects.toThrow()
    expect(await find(flow)).toEqual(flow)
  })

  test("of flows added at once each succeeds or fails alone", async () => {
    const flow = await add()
    const flows = [aFlow(), { ...flow, reference: "other" }, aFlow(), aFlow({ id: "flow_\0" }), aFlow()]
    const outcomes = await Promise.allSettled(flows.map((one) => storage().flows.add(one)))
    const statuses = outcomes.map(({ status }) => status)
    expect(statuses).toEqual(["fulfilled", "rejected", "fulfilled", "rejected", "fulfilled"])
    for (const i of [0, 2, 4]) expect(await find(flows[i] ?? flow)).toEqual(flows[i])
    expect(await find(flow)).toEqual(flow)
  })

  test("a stranger finds no flow", async () => {
    const flow = await add()
    for (const stranger of strangers) expect(await storage().flows.find(stranger, flow.id)).toBeUndefined()
    expect(await storage().flows.find(acme, anId("flow"))).toBeUndefined()
  })

  test("a pending flow is taken once; whoever comes later sees it as it is", async () => {
    const flow = await add()
    const taken: ConnectFlow = { ...flow, status: "exchanging", takenAt: after(1000) }
    expect(await storage().flows.consume(flow.id, after(1000))).toEqual({
      taken: true,
      flow: taken,
      app: null,
    })
    expect(await find(flow)).toEqual(taken)
    expect(await storage().flows.consume(flow.id, after(2000))).toEqual({
      taken: false,
      flow: taken,
      app: null,
    })
    expect(await find(flow)).toEqual(taken)
  })

  test("who takes a flow leaves the MAC of its callback there, and who comes later does not replace it", async () => {
    const flow = await add()
    const taken = { ...flow, status: "exchanging", takenAt: after(1000), callbackMac: "the first" } as const
    const first = await storage().flows.consume(flow.id, after(1000), "the first")
    expect(first).toEqual({ taken: true, flow: taken, app: null })
    const second = await storage().flows.consume(flow.id, after(2000), "the second")
    expect(second).toEqual({ taken: false, flow: taken, app: null })
    expect(await find(flow)).toEqual(taken)
  })

  test("a flow that was not taken has no MAC, however often somebody came", async () => {
    const flow = await add()
    await storage().flows.consume(flow.id, flow.expiresAt, "too late")
    expect(await find(flow)).toEqual(flow)
  })

  test("of many callers taking one flow at once the MAC is that of the one who got it", async () => {
    const flow = await add()
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => storage().flows.consume(flow.id, after(1000), `caller ${i}`)),
    )
    const winner = outcomes.findIndex((outcome) => outcome?.taken)
    expect(outcomes.map((outcome) => outcome?.flow.callbackMac)).toEqual(
      outcomes.map(() => `caller ${winner}`),
    )
  })

  test("of fifty callers taking one flow at once exactly one gets it, and the others see it taken", async () => {
    const flow = await add()
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () => storage().flows.consume(flow.id, after(1000))),
    )
    expect(outcomes.filter((outcome) => outcome?.taken)).toHaveLength(1)
    const seen = { ...flow, status: "exchanging", takenAt: after(1000) }
    expect(outcomes.map((outcome) => outcome?.flow)).toEqual(outcomes.map(() => seen as ConnectFlow))
  })

  test("a flow is taken up to its expiry and not at it", async () => {
    const [late, last] = [await add(), await add()]
    expect(await storage().flows.consume(late.id, late.expiresAt)).toEqual({
      taken: false,
      flow: late,
      app: null,
    })
    expect(await find(late)).toEqual(late)
    expect((await storage().flows.consume(last.id, after(-1, last.expiresAt)))?.taken).toBe(true)
  })

  test("an unknown flow is not taken", async () => {
    expect(await storage().flows.consume(anId("flow"), noon)).toBeUndefined()
  })

  test.each(["connected", "failed", "expired"] as const)(
    "a flow that has ended as %s is not taken",
    async (status) => {
      const flow = await add({ status, completedAt: after(2) })
      expect(await storage().flows.consume(flow.id, after(3))).toEqual({ taken: false, flow, app: null })
    },
  )

  test("the app comes along as it is now, until it is gone", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const flow = await add({ oauthAppId: app.id })
    const renamed = await storage().apps.change(acme, app.id, { name: "New", updatedAt: after(9) }, anEvent())
    expect((await storage().flows.consume(flow.id, after(1000)))?.app).toEqual(renamed ?? null)
    expect((await storage().flows.consume(flow.id, after(1000)))?.app).toEqual({
      ...app,
      name: "New",
      updatedAt: after(9),
    })
    await storage().apps.remove(acme, app.id, anEvent())
    const seen = await storage().flows.consume(flow.id, after(1000))
    expect(seen).toMatchObject({ app: null, flow: { oauthAppId: app.id } })
  })

  test("another owner's app does not come along", async () => {
    for (const stranger of strangers) {
      const app = await storage().apps.add(anApp(stranger), anEvent(stranger))
      const flow = await add({ oauthAppId: app.id })
      expect((await storage().flows.consume(flow.id, after(1000)))?.app).toBeNull()
    }
  })

  test("a taken flow fails, with what is known of it and its event", async () => {
    const flow = await takenFlow(storage())
    const event = anEvent({ type: "connect.failed", flowId: flow.id, reason: failure.reason, detail: "why" })
    expect(await storage().flows.fail(flow.id, failure, event, after(3000))).toBe(true)
    expect(await find(flow)).toEqual({ ...flow, status: "failed", failure, completedAt: after(3000) })
    expect(await eventsOf(storage())).toEqual([event])
  })

  test("a failure without evidence comes back equal", async () => {
    const flow = await takenFlow(storage())
    const bare = { ...failure, evidence: null }
    await storage().flows.fail(flow.id, bare, anEvent(), after(3000))
    expect((await find(flow))?.failure).toEqual(bare)
  })

  test.each(["pending", "connected", "failed", "expired"] as const)(
    "a flow that is %s does not fail",
    async (status) => {
      const flow = await add({ status })
      expect(await storage().flows.fail(flow.id, failure, anEvent(), noon)).toBe(false)
      expect(await storage().flows.fail(anId("flow"), failure, anEvent(), noon)).toBe(false)
      expect(await find(flow)).toEqual(flow)
      expect(await eventsOf(storage())).toEqual([])
    },
  )

  test("where the event cannot be kept, the flow has not ended", async () => {
    const flow = await takenFlow(storage())
    const event = anEvent()
    await storage().keys.add(aKey(), event)
    await expect(storage().flows.fail(flow.id, failure, event, noon)).rejects.toThrow()
    await expect(storage().flows.abandon(flow, failure, event, noon)).rejects.toThrow()
    expect(await find(flow)).toEqual(flow)
  })

  test("a flow ends once: of a failure and a connect at once one succeeds", async () => {
    for (let round = 0; round < 5; round++) {
      const flow = await takenFlow(storage())
      const [failed, connected, abandoned] = await Promise.all([
        storage().flows.fail(flow.id, failure, anEvent(), noon),
        storage().flows.connect(flow.id, [aConnection()], noon),
        storage().flows.abandon(flow, failure, anEvent(), noon),
      ])
      expect([failed, connected !== undefined, abandoned].filter(Boolean)).toHaveLength(1)
    }
    expect(await eventsOf(storage())).toHaveLength(5)
  })

  test("abandoned are pending flows at their expiry and exchanging ones taken at the limit, oldest first", async () => {
    const pending = await add({ createdAt: after(3), expiresAt: after(100) })
    const exchanging = await add({ createdAt: after(1), status: "exchanging", takenAt: after(50) })
    const foreign = await add({
      createdAt: after(2),
      expiresAt: after(10),
      tenant: "globex",
      environment: "test",
    })
    await add({ expiresAt: after(101) })
    await add({ status: "exchanging", takenAt: after(51), expiresAt: after(10) })
    for (const status of ["connected", "failed", "expired"] as const) {
      await add({ status, expiresAt: after(10), takenAt: after(10), completedAt: after(10) })
    }
    const abandoned = (limit: number) => storage().flows.findAbandoned(after(100), after(50), limit)
    expect(await abandoned(10)).toEqual([exchanging, foreign, pending])
    expect(await abandoned(2)).toEqual([exchanging, foreign])
    expect(await storage().flows.findAbandoned(after(9), after(49), 10)).toEqual([])
  })

  test.each([
    ["pending", "expired"],
    ["exchanging", "failed"],
  ] as const)("an abandoned %s flow ends as %s, with its event", async (status, ended) => {
    const flow = await add({ status })
    const event = anEvent({ type: "connect.failed", flowId: flow.id })
    expect(await storage().flows.abandon(flow, failure, event, after(7))).toBe(true)
    expect(await find(flow)).toEqual({ ...flow, status: ended, failure, completedAt: after(7) })
    expect(await eventsOf(storage())).toEqual([event])
  })

  test("of many sweepers that abandon one flow at once one succeeds", async () => {
    for (const status of ["pending", "exchanging"] as const) {
      const flow = await add({ status })
      const sweeps = Array.from({ length: 10 }, () => storage().flows.abandon(flow, failure, anEvent(), noon))
      expect((await Promise.all(sweeps)).filter(Boolean)).toHaveLength(1)
    }
    expect(await eventsOf(storage())).toHaveLength(2)
  })

  test("of a sweep and a callback at once one gets the flow", async () => {
    for (let round = 0; round < 5; round++) {
      const flow = await add()
      const [abandoned, consumed] = await Promise.all([
        storage().flows.abandon(flow, failure, anEvent(), noon),
        storage().flows.consume(flow.id, noon),
      ])
      expect([abandoned, consumed?.taken === true]).toContain(true)
      expect(abandoned).not.toBe(consumed?.taken === true)
    }
  })

  test("a flow that is no longer as it was seen is not abandoned", async () => {
    const seen = await add()
    const taken = (await storage().flows.consume(seen.id, noon))?.flow
    expect(await storage().flows.abandon(seen, failure, anEvent(), noon)).toBe(false)
    for (const stranger of strangers) {
      const theirs = { ...seen, ...stranger, status: "exchanging" } as const
      expect(await storage().flows.abandon(theirs, failure, anEvent(), noon)).toBe(false)
    }
    expect(await find(seen)).toEqual(taken)
    expect(await eventsOf(storage())).toEqual([])
  })

  test.each(["connected", "failed", "expired"] as const)(
    "a flow seen as %s is not abandoned",
    async (status) => {
      const flow = await add({ status })
      expect(await storage().flows.abandon(flow, failure, anEvent(), noon)).toBe(false)
      expect(await find(flow)).toEqual(flow)
      expect(await eventsOf(storage())).toEqual([])
    },
  )

  test("pruning forgets flows that ended before the given time, and no others", async () => {
    const old = await add({ status: "connected", completedAt: after(-1) })
    const kept = [
      await add({ status: "failed", completedAt: noon }),
      await add({ createdAt: after(-9000) }),
      await add({ status: "exchanging", takenAt: after(-9000) }),
    ]
    expect(await storage().flows.prune(noon, 10)).toBe(1)
    expect(await find(old)).toBeUndefined()
    for (const flow of kept) expect(await find(flow)).toEqual(flow)
    expect(await storage().flows.prune(noon, 10)).toBe(0)
  })

  test("an end brings the calls it is told of, and leaves those there are where it is told of none", async () => {
    for (const calls of [someCalls, [], undefined]) {
      const before = someCalls.slice(0, 1)
      const failed = await add({ status: "exchanging", takenAt: noon, calls: before })
      expect(await storage().flows.fail(failed.id, failure, anEvent(), after(3), calls)).toBe(true)
      expect((await find(failed))?.calls).toEqual(calls ?? before)
      const connected = await add({ status: "exchanging", takenAt: noon, calls: before })
      await storage().flows.connect(connected.id, [aConnection()], after(3), calls)
      expect(await find(connected)).toMatchObject({ status: "connected", calls: calls ?? before })
      const offered = await add({ status: "exchanging", takenAt: noon, calls: before })
      expect(await storage().flows.offer(offered.id, sealed("candidates"), after(9), calls)).toBe(true)
      expect(await find(offered)).toMatchObject({ status: "choosing", calls: calls ?? before })
    }
  })

  test("an end that comes too late brings no calls", async () => {
    const flow = await add({ status: "expired", completedAt: noon })
    expect(await storage().flows.fail(flow.id, failure, anEvent(), noon, someCalls)).toBe(false)
    expect(await storage().flows.connect(flow.id, [], noon, someCalls)).toBeUndefined()
    expect(await storage().flows.offer(flow.id, sealed("candidates"), noon, someCalls)).toBe(false)
    expect(await find(flow)).toEqual(flow)
  })

  test("pruning forgets at most the given number", async () => {
    for (let i = 0; i < 5; i++) await add({ status: "expired", completedAt: after(-i - 1) })
    const pruned: number[] = []
    for (let round = 0; round < 4; round++) pruned.push(await storage().flows.prune(noon, 2))
    expect(pruned).toEqual([2, 2, 1, 0])
  })
}
