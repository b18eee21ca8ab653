import { expect, test } from "bun:test"
import { type DomainEvent, eventTypes } from "../../src/domain/event.ts"
import type { EventFilter, Storage } from "../../src/ports/storage.ts"
import {
  aClaimOfDeliveries,
  acme,
  addWebhook,
  after,
  aKey,
  anEvent,
  anId,
  eventsOf,
  fanOutAll,
  happen,
  noon,
  strangers,
} from "../support/storage-fixtures.ts"

export function eventsContract(storage: () => Storage): void {
  const idsOf = (events: readonly DomainEvent[]) => events.map(({ id }) => id)

  async function walk(limit: number, filter: EventFilter = {}): Promise<readonly (readonly DomainEvent[])[]> {
    const pages: (readonly DomainEvent[])[] = []
    let position: string | null = null
    for (;;) {
      const after: { after?: string } = position === null ? {} : { after: position }
      const page = await storage().events.list(acme, filter, { limit, ...after })
      pages.push(page.items)
      position = page.position
      if (!page.more) return pages
    }
  }

  test("events of every type come back equal, in the order in which they were stored, whatever their ids and times", async () => {
    const events = eventTypes.map((type, i) =>
      anEvent({ id: anId("evt", after(-i)), type, at: after(-2 * i) }),
    )
    for (const event of events) await storage().keys.add(aKey(), event)
    expect(await eventsOf(storage())).toEqual(events)
  })

  test("a page has at most so many, tells whether more follow, and the next begins behind it", async () => {
    const events = await happen(storage(), ...Array.from({ length: 7 }, () => ({})))
    expect((await walk(3)).map(idsOf)).toEqual(
      [events.slice(0, 3), events.slice(3, 6), events.slice(6)].map(idsOf),
    )
    expect((await walk(7)).map(idsOf)).toEqual([idsOf(events)])
  })

  test("a page without events keeps the position it was asked with, and has none where none was given", async () => {
    expect(await storage().events.list(acme, {}, { limit: 5 })).toEqual({
      items: [],
      position: null,
      more: false,
    })
    await happen(storage(), {})
    const { position } = await storage().events.list(acme, {}, { limit: 5 })
    expect(position?.length).toBeLessThanOrEqual(60)
    const end = await storage().events.list(acme, {}, { limit: 5, after: position ?? "" })
    expect(end).toEqual({ items: [], position, more: false })
  })

  test("who goes on from a position sees what is stored later, once", async () => {
    await happen(storage(), {}, {})
    const { position } = await storage().events.list(acme, {}, { limit: 5 })
    const later = await happen(storage(), { id: anId("evt", after(-1000)), at: after(-1000) }, {})
    const page = await storage().events.list(acme, {}, { limit: 5, after: position ?? "" })
    expect(page.items).toEqual(later)
  })

  test("a walk beside many writers passes every event once, in the order in which all later walks see it", async () => {
    const writers = Array.from({ length: 60 }, () => storage().keys.add(aKey(), anEvent()))
    const seen: string[] = []
    let position: string | null = null
    const look = async () => {
      const after: { after?: string } = position === null ? {} : { after: position }
      const page = await storage().events.list(acme, {}, { limit: 4, ...after })
      seen.push(...idsOf(page.items))
      position = page.position
      return page.more
    }
    for (let i = 0; i < 10; i++) await look()
    await Promise.all(writers)
    while (await look()) {}
    await look()
    expect(seen).toHaveLength(60)
    expect(seen).toEqual(idsOf(await eventsOf(storage())))
  })

  test("a filter keeps the types and the account that are asked for, over pages", async () => {
    const [mine, other] = [anId("acc"), anId("acc")]
    const given = await happen(
      storage(),
      { type: "account.connected", accountId: mine },
      { type: "account.connected", accountId: other },
      { type: "connect.failed" },
      { type: "account.expiring", accountId: mine },
      { type: "account.updated", accountId: mine },
    )
    const [connected, others, failed, expiring, updated] = idsOf(given)
    const found = async (filter: EventFilter) => (await walk(1, filter)).flat().map(({ id }) => id)
    expect(await found({ types: ["account.connected"] })).toEqual([connected ?? "", others ?? ""])
    expect(await found({ types: ["connect.failed", "account.expiring"] })).toEqual([
      failed ?? "",
      expiring ?? "",
    ])
    expect(await found({ accountId: mine })).toEqual([connected ?? "", expiring ?? "", updated ?? ""])
    expect(await found({ accountId: mine, types: ["account.updated", "connect.failed"] })).toEqual([
      updated ?? "",
    ])
    expect(await found({ types: ["webhook.disabled"] })).toEqual([])
    expect(await found({ accountId: anId("acc") })).toEqual([])
  })

  test.each([
    "",
    "0",
    "-1",
    "01",
    "1.5",
    "1e3",
    "evt_1",
    " 1",
    "99999999999999999999",
    "1; drop table events",
  ])("a position that no store gave is refused: %p", async (position) => {
    await expect(storage().events.list(acme, {}, { limit: 5, after: position })).rejects.toThrow(RangeError)
  })

  test("a stranger sees no event, not even of an account whose id it knows", async () => {
    const accountId = anId("acc")
    await happen(storage(), { accountId })
    for (const stranger of strangers) {
      expect(await eventsOf(storage(), stranger)).toEqual([])
      expect((await storage().events.list(stranger, { accountId }, { limit: 5 })).items).toEqual([])
    }
  })

  test("where a change cannot be kept, its event is never seen", async () => {
    const key = aKey()
    await storage().keys.add(key, anEvent())
    await expect(storage().keys.add(key, anEvent())).rejects.toThrow()
    const [last] = await happen(storage(), {})
    expect(idsOf(await eventsOf(storage())).slice(1)).toEqual([last?.id ?? ""])
  })

  test("events stored before a time are forgotten, at most so many, once they are fanned out", async () => {
    const events = await happen(storage(), ...[-3, -2, -1, 0].map((ms) => ({ at: after(ms) })))
    expect(await storage().events.prune(noon, 10)).toBe(0)
    expect(await storage().deliveries.fanOut(noon, 2)).toBe(2)
    expect(await storage().events.prune(noon, 10)).toBe(2)
    expect(idsOf(await eventsOf(storage()))).toEqual(idsOf(events.slice(2)))
    await fanOutAll(storage())
    expect(await storage().events.prune(after(1), 1)).toBe(1)
    expect(await storage().events.prune(noon, 10)).toBe(0)
    expect(idsOf(await eventsOf(storage()))).toEqual(idsOf(events.slice(3)))
  })

  test("an event stays while a delivery of it is pending, and its ended deliveries go with it", async () => {
    const [one, two] = [await addWebhook(storage()), await addWebhook(storage())]
    const [event] = await happen(storage(), { at: noon })
    await fanOutAll(storage())
    const deliveriesOf = async (webhook: string) =>
      (await storage().deliveries.list(acme, webhook, {}, { limit: 9 })).items.length
    const claimed = await storage().deliveries.claimDue(aClaimOfDeliveries())
    expect(claimed).toHaveLength(2)
    await storage().events.prune(noon, 10)
    const settled = [
      { kind: "delivered", status: 204 },
      { kind: "failed", status: 500, detail: "made up" },
    ] as const
    for (const [i, claim] of claimed.entries()) {
      expect(await storage().events.prune(after(1), 10)).toBe(0)
      expect(idsOf(await eventsOf(storage()))).toEqual([event?.id ?? ""])
      await storage().deliveries.settle(claim, settled[i] ?? settled[0], noon)
    }
    expect([await deliveriesOf(one.id), await deliveriesOf(two.id)]).toEqual([1, 1])
    expect(await storage().events.prune(after(1), 10)).toBe(1)
    expect([await deliveriesOf(one.id), await deliveriesOf(two.id)]).toEqual([0, 0])
    expect(await eventsOf(storage())).toEqual([])
  })

  test("what waits only for webhooks that are off goes with its event; what one that is on waits for stays", async () => {
    const off = await addWebhook(storage(), { enabled: false })
    await happen(storage(), { type: "account.updated" })
    const on = await addWebhook(storage(), { events: ["account.connected"] })
    const [kept] = await happen(storage(), { type: "account.connected" })
    await fanOutAll(storage())
    expect(await storage().events.prune(after(1), 10)).toBe(3)
    expect(idsOf(await eventsOf(storage()))).toEqual([kept?.id ?? ""])
    const deliveriesOf = async ({ id }: { readonly id: string }) =>
      (await storage().deliveries.list(acme, id, {}, { limit: 9 })).items.map(({ event }) => event.id)
    expect([await deliveriesOf(off), await deliveriesOf(on)]).toEqual([[kept?.id ?? ""], [kept?.id ?? ""]])
    await storage().webhooks.change(
      acme,
      on.id,
      { enabled: false, updatedAt: noon },
      anEvent({ at: after(2) }),
    )
    expect(await storage().events.prune(after(1), 10)).toBe(1)
    expect([await deliveriesOf(off), await deliveriesOf(on)]).toEqual([[], []])
  })

  test("after the newest event was forgotten, who goes on from it misses nothing that comes", async () => {
    await happen(storage(), {}, {}, {})
    const { position } = await storage().events.list(acme, {}, { limit: 5 })
    await fanOutAll(storage())
    expect(await storage().events.prune(after(1), 10)).toBe(3)
    const [later] = await happen(storage(), {})
    const page = await storage().events.list(acme, {}, { limit: 5, after: position ?? "" })
    expect(idsOf(page.items)).toEqual([later?.id ?? ""])
    expect(await storage().deliveries.fanOut(noon, 10)).toBe(1)
  })
}
