import { expect, test } from "bun:test"
import { array, assert, asyncProperty, constantFrom, integer, option, record } from "fast-check"
import {
  type ConnectFlow,
  exchangeLimitMs,
  type FlowFailure,
  type FlowStatus,
  flowStatus,
  type StoredFlowStatus,
} from "../../src/domain/connect-flow.ts"
import type { FlowFilter, Storage } from "../../src/ports/storage.ts"
import { acme, aFlow, after, anEvent, anId, noon, someCalls, strangers } from "../support/storage-fixtures.ts"

const storedStatuses = [
  "pending",
  "exchanging",
  "choosing",
  "confirming",
  "connected",
  "failed",
  "expired",
] as const satisfies readonly StoredFlowStatus[]
const statuses = ["pending", "connected", "failed", "expired"] as const satisfies readonly FlowStatus[]

/** A database of tests need not shrink for minutes. */
const runs = { numRuns: 15, endOnFailure: true }

const failureOf = (reason: FlowFailure["reason"]): FlowFailure => ({
  reason,
  detail: "made up",
  evidence: null,
})

/** A tenant's flows, as the inspector looks through them. */
export function flowListContract(storage: () => Storage): void {
  const add = async (change: Partial<ConnectFlow> = {}) => {
    const flow = aFlow(change)
    await storage().flows.add(flow)
    return flow
  }
  const list = (filter: Partial<FlowFilter> = {}, limit = 500, last?: string) =>
    storage().flows.list(
      acme,
      { now: noon, ...filter },
      { limit, ...(last !== undefined && { after: last }) },
    )
  const idsOf = async (filter: Partial<FlowFilter>) => (await list(filter)).items.map(({ id }) => id)

  test("flows are listed newest first by their ids, whole, whenever they were kept", async () => {
    const [old, young, middle] = [
      await add({ id: anId("flow", after(-5)) }),
      await add({ id: anId("flow", after(5)), createdAt: after(-99) }),
      await add({
        status: "failed",
        failure: failureOf("code_invalid"),
        completedAt: after(9),
        calls: someCalls,
      }),
    ]
    expect(await list()).toEqual({ items: [young, middle, old], more: false })
  })

  test("an owner without flows has an empty list, and a stranger sees nobody else's", async () => {
    expect(await list()).toEqual({ items: [], more: false })
    const flow = await add()
    const listOf = (owner: typeof acme) => storage().flows.list(owner, { now: noon }, { limit: 10 })
    for (const stranger of strangers) {
      expect(await listOf(stranger)).toEqual({ items: [], more: false })
      const theirs = await add(stranger)
      expect(await listOf(stranger)).toEqual({ items: [theirs], more: false })
    }
    expect((await list()).items).toEqual([flow])
  })

  test("a page has at most so many, says whether more follow, and the next begins behind its last", async () => {
    for (let i = 0; i < 5; i++) await add({ id: anId("flow", after(i)) })
    const all = await list()
    const first = await list({}, 2)
    expect(first).toEqual({ items: all.items.slice(0, 2), more: true })
    const second = await list({}, 2, first.items.at(-1)?.id)
    expect(second).toEqual({ items: all.items.slice(2, 4), more: true })
    expect(await list({}, 2, second.items.at(-1)?.id)).toEqual({ items: all.items.slice(4), more: false })
    expect(await list({}, 3, first.items.at(-1)?.id)).toEqual({ items: all.items.slice(2), more: false })
    expect(await list({}, 2, all.items.at(-1)?.id)).toEqual({ items: [], more: false })
  })

  test("what is added while somebody pages is on no later page, and a flow that is gone leaves the place", async () => {
    const flows = [await add({ id: anId("flow", after(1)) })]
    flows.push(await add({ id: anId("flow", after(2)), status: "expired", completedAt: after(-1) }))
    const last = flows[1]?.id
    await add({ id: anId("flow", after(3)) })
    expect(await storage().flows.prune(noon, 10)).toBe(1)
    expect((await list({}, 10, last)).items).toEqual(flows.slice(0, 1))
  })

  test("a status is that of this moment, whether or not it is written down", async () => {
    const flows: ConnectFlow[] = []
    for (const status of storedStatuses) {
      for (const expires of [-1, 0, 1]) {
        for (const taken of [null, -exchangeLimitMs - 1, -exchangeLimitMs, -exchangeLimitMs + 1]) {
          const takenAt = taken === null ? null : after(taken)
          flows.push(aFlow({ status, expiresAt: after(expires), takenAt }))
        }
      }
    }
    await Promise.all(flows.map((flow) => storage().flows.add(flow)))
    for (const now of [noon, after(-1), after(1), after(-exchangeLimitMs), after(exchangeLimitMs)]) {
      for (const status of statuses) {
        const expected = flows.filter((flow) => flowStatus(flow, now) === status).map(({ id }) => id)
        expect((await idsOf({ status, now })).toSorted(), `${status} at ${now.toISOString()}`).toEqual(
          expected.toSorted(),
        )
      }
    }
  })

  test("a filter by reason finds the flows that failed or expired with it", async () => {
    const denied = await add({ status: "failed", failure: failureOf("access_denied"), completedAt: noon })
    const silent = await add({ status: "expired", failure: failureOf("no_response"), completedAt: noon })
    await add({ status: "connected", completedAt: noon })
    await add()
    expect(await idsOf({ reason: "access_denied" })).toEqual([denied.id])
    expect(await idsOf({ reason: "no_response" })).toEqual([silent.id])
    expect(await idsOf({ reason: "server_error" })).toEqual([])
    const late = await add({ status: "exchanging", takenAt: noon })
    await storage().flows.fail(late.id, failureOf("server_error"), anEvent(), after(1))
    expect(await idsOf({ reason: "server_error" })).toEqual([late.id])
  })

  test("a reference is found to the letter, and one that no store can keep as it was kept", async () => {
    const [seven, broken] = [await add({ reference: "user-7" }), await add({ reference: "user\0\uD800" })]
    await add({ reference: null })
    expect(await idsOf({ reference: "user-7" })).toEqual([seven.id])
    expect(await idsOf({ reference: "user\0\uD800" })).toEqual([broken.id])
    for (const reference of ["User-7", "user-", "user-77", "%", ""]) {
      expect(await idsOf({ reference })).toEqual([])
    }
  })

  test("a flow is found by its app when the app is gone, too", async () => {
    const [one, other] = [await add({ oauthAppId: anId("oa") }), await add({ oauthAppId: anId("oa") })]
    await add()
    expect(await idsOf({ oauthAppId: one.oauthAppId ?? "" })).toEqual([one.id])
    expect(await idsOf({ oauthAppId: other.oauthAppId ?? "" })).toEqual([other.id])
    expect(await idsOf({ oauthAppId: anId("oa") })).toEqual([])
  })

  test("whatever is filtered by, the pages together are all that match, in order", async () => {
    const someFlow = record({
      provider: constantFrom("x", "tiktok"),
      status: constantFrom(...storedStatuses),
      reason: option(constantFrom("access_denied", "no_response"), { nil: undefined }),
      oauthAppId: constantFrom(null, "oa_1", "oa_2"),
      reference: constantFrom(null, "a", "A"),
      expires: constantFrom(-1, 0, 1),
      taken: constantFrom(null, -exchangeLimitMs, -1),
    })
    const someFilter = record(
      {
        provider: constantFrom("x", "tiktok"),
        status: constantFrom(...statuses),
        reason: constantFrom("access_denied", "no_response"),
        oauthAppId: constantFrom("oa_1", "oa_2"),
        reference: constantFrom("a", "A"),
      } as const,
      { requiredKeys: [] },
    )
    let tenants = 0
    await assert(
      asyncProperty(
        array(someFlow, { minLength: 5, maxLength: 25 }),
        array(someFilter, { minLength: 3, maxLength: 8 }),
        integer({ min: 1, max: 9 }),
        async (given, filters, limit) => {
          const owner = { tenant: `tenant-${tenants++}`, environment: "live" } as const
          const flows = given.map(({ reason, expires, taken, ...rest }) =>
            aFlow({
              ...owner,
              ...rest,
              failure: reason ? failureOf(reason) : null,
              expiresAt: after(expires),
              takenAt: taken === null ? null : after(taken),
            } as Partial<ConnectFlow>),
          )
          await Promise.all(flows.map((flow) => storage().flows.add(flow)))
          for (const some of filters) {
            const filter: FlowFilter = { ...some, now: noon }
            expect(await pages(owner, filter, limit)).toEqual(matching(flows, filter))
          }
        },
      ),
      runs,
    )
  })

  async function pages(
    owner: typeof acme,
    filter: FlowFilter,
    limit: number,
  ): Promise<readonly ConnectFlow[]> {
    const found: ConnectFlow[] = []
    for (;;) {
      const last = found.at(-1)?.id
      const page = await storage().flows.list(owner, filter, { limit, ...(last && { after: last }) })
      found.push(...page.items)
      expect(page.more ? page.items.length : limit).toBe(limit)
      if (!page.more) return found
    }
  }
}

function matching(flows: readonly ConnectFlow[], filter: FlowFilter): readonly ConnectFlow[] {
  return flows
    .filter(
      (flow) =>
        [undefined, flow.provider].includes(filter.provider) &&
        [undefined, flowStatus(flow, filter.now)].includes(filter.status) &&
        [undefined, flow.failure?.reason].includes(filter.reason) &&
        [undefined, flow.oauthAppId].includes(filter.oauthAppId) &&
        [undefined, flow.reference].includes(filter.reference),
    )
    .toSorted((a, b) => (a.id < b.id ? 1 : -1))
}
