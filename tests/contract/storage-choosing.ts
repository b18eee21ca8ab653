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
  strangers,
  takenFlow,
} from "../support/storage-fixtures.ts"

const failure: FlowFailure = { reason: "access_denied", detail: "Nothing was chosen.", evidence: null }
const candidates = sealed('two Pages 🦤 \\ "quoted"')

/** A taken flow whose accounts are laid aside until somebody chooses among them. */
export function choosingContract(storage: () => Storage): void {
  const find = (flow: ConnectFlow) => storage().flows.find(flow, flow.id)
  const findCandidates = (flow: ConnectFlow) => storage().flows.findCandidates(flow.id)
  const add = async (change: Partial<ConnectFlow>) => {
    const flow = aFlow(change)
    await storage().flows.add(flow)
    return flow
  }
  const offered = async (change: Partial<ConnectFlow> = {}): Promise<ConnectFlow> => {
    const flow = await takenFlow(storage(), { select: true, ...change })
    expect(await storage().flows.offer(flow.id, candidates, after(5001))).toBe(true)
    return { ...flow, status: "choosing", expiresAt: after(5001) }
  }

  test.each([true, false])("a flow comes back equal, with select %p", async (select) => {
    const flow = await add({ select })
    expect(await find(flow)).toEqual(flow)
  })

  test("a taken flow's accounts are laid aside: it is choosing, with a new expiry, and finds them again", async () => {
    const flow = await offered()
    expect(await find(flow)).toEqual(flow)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
    expect(await eventsOf(storage())).toEqual([])
  })

  test("the app comes along as it is now, and another owner's is none", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const flow = await offered({ oauthAppId: app.id })
    await storage().apps.change(acme, app.id, { name: "New", updatedAt: after(9) }, anEvent())
    expect((await findCandidates(flow))?.app).toEqual({ ...app, name: "New", updatedAt: after(9) })
    await storage().apps.remove(acme, app.id, anEvent())
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
    for (const stranger of strangers) {
      const theirs = await storage().apps.add(anApp(stranger), anEvent(stranger))
      expect((await findCandidates(await offered({ oauthAppId: theirs.id })))?.app).toBeNull()
    }
  })

  test.each(["pending", "choosing", "connected", "failed", "expired"] as const)(
    "a flow that is %s offers nothing",
    async (status) => {
      const flow = await add({ status })
      expect(await storage().flows.offer(flow.id, candidates, noon)).toBe(false)
      expect(await storage().flows.offer(anId("flow"), candidates, noon)).toBe(false)
      expect(await find(flow)).toEqual(flow)
    },
  )

  test("what was laid aside is not replaced", async () => {
    const flow = await offered()
    expect(await storage().flows.offer(flow.id, sealed("others"), noon)).toBe(false)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
  })

  test("a flow that is not choosing has no candidates", async () => {
    for (const status of ["pending", "exchanging", "connected", "failed", "expired"] as const)
      expect(await findCandidates(await add({ status }))).toBeUndefined()
    expect(await storage().flows.findCandidates(anId("flow"))).toBeUndefined()
  })

  test("a choosing flow is not taken; whoever comes sees it as it is", async () => {
    const flow = await offered()
    for (const now of [after(2000), after(9000)])
      expect(await storage().flows.consume(flow.id, now)).toEqual({ taken: false, flow, app: null })
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
  })

  test("the choice connects its accounts and ends the flow, and the candidates are forgotten", async () => {
    const flow = await offered()
    const connection = aConnection()
    expect(await storage().flows.connect(flow.id, [connection], after(3000))).toEqual([connection.account])
    const ended = { status: "connected", accountIds: [connection.account.id], completedAt: after(3000) }
    expect(await find(flow)).toEqual({ ...flow, ...ended } as ConnectFlow)
    expect(await findCandidates(flow)).toBeUndefined()
  })

  test("choosing nothing fails the flow, and the candidates are forgotten", async () => {
    const flow = await offered()
    const event = anEvent({ type: "connect.failed", flowId: flow.id })
    expect(await storage().flows.fail(flow.id, failure, event, after(3000))).toBe(true)
    expect(await find(flow)).toEqual({ ...flow, status: "failed", failure, completedAt: after(3000) })
    expect(await findCandidates(flow)).toBeUndefined()
    expect(await eventsOf(storage())).toEqual([event])
  })

  test("a choice that nobody makes expires, and the candidates are forgotten", async () => {
    const flow = await offered()
    const event = anEvent({ type: "connect.failed", flowId: flow.id })
    expect(await storage().flows.abandon(flow, failure, event, after(9000))).toBe(true)
    expect(await find(flow)).toEqual({ ...flow, status: "expired", failure, completedAt: after(9000) })
    expect(await findCandidates(flow)).toBeUndefined()
    expect(await eventsOf(storage())).toEqual([event])
  })

  test("a flow that ended is not chosen from", async () => {
    const flow = await offered()
    await storage().flows.fail(flow.id, failure, anEvent(), noon)
    const ended = await find(flow)
    const connection = aConnection()
    expect(await storage().flows.connect(flow.id, [connection], noon)).toBeUndefined()
    expect(await storage().flows.offer(flow.id, candidates, after(9))).toBe(false)
    expect(await find(flow)).toEqual(ended)
    expect(await storage().accounts.find(acme, connection.account.id)).toBeUndefined()
  })

  test("where an event cannot be kept, the choice may be made again", async () => {
    const flow = await offered()
    const event = anEvent()
    await storage().keys.add(aKey(), event)
    const connection = { ...aConnection(), event }
    await expect(storage().flows.connect(flow.id, [connection], noon)).rejects.toThrow()
    await expect(storage().flows.fail(flow.id, failure, event, noon)).rejects.toThrow()
    await expect(storage().flows.abandon(flow, failure, event, noon)).rejects.toThrow()
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
  })

  test("of a choice, a refusal and a sweep at once one ends the flow", async () => {
    for (let round = 0; round < 5; round++) {
      const flow = await offered()
      const [connected, again, failed, abandoned] = await Promise.all([
        storage().flows.connect(flow.id, [aConnection()], noon),
        storage().flows.connect(flow.id, [aConnection()], noon),
        storage().flows.fail(flow.id, failure, anEvent(), noon),
        storage().flows.abandon(flow, failure, anEvent(), noon),
      ])
      expect([connected, again, failed, abandoned].filter(Boolean)).toHaveLength(1)
    }
    expect(await eventsOf(storage())).toHaveLength(5)
  })

  test("of several offers and endings of one flow at once one comes first", async () => {
    for (let round = 0; round < 5; round++) {
      const flow = await takenFlow(storage())
      const offers = Array.from({ length: 5 }, (_, i) =>
        storage().flows.offer(flow.id, sealed(`offer ${i}`), after(9000)),
      )
      const won = (await Promise.all(offers)).indexOf(true)
      expect((await findCandidates(flow))?.candidates).toBe(sealed(`offer ${won}`))
      expect((await Promise.all(offers)).filter(Boolean)).toHaveLength(1)
    }
  })

  test("abandoned are choosing flows at their expiry too, by that alone", async () => {
    const late = await offered({ createdAt: after(2) })
    const pending = await add({ createdAt: after(1), expiresAt: after(5001) })
    const abandoned = (now: Date, limit = 10) => storage().flows.findAbandoned(now, after(9000), limit)
    expect(await abandoned(after(5000))).toEqual([])
    expect(await abandoned(after(5001))).toEqual([pending, late])
    expect(await abandoned(after(5001), 1)).toEqual([pending])
  })

  test("a flow that was seen before it was choosing is not abandoned as such", async () => {
    const flow = await offered()
    for (const seen of [
      { ...flow, status: "exchanging" as const },
      { ...flow, status: "pending" as const },
      ...strangers.map((stranger) => ({ ...flow, ...stranger })),
    ])
      expect(await storage().flows.abandon(seen, failure, anEvent(), noon)).toBe(false)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
    expect(await eventsOf(storage())).toEqual([])
  })

  test("pruning leaves a choice alone", async () => {
    const flow = await offered({ createdAt: after(-99_000) })
    expect(await storage().flows.prune(after(99_000), 10)).toBe(0)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
  })
}
