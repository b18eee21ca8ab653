import { afterEach, beforeEach, expect, test } from "bun:test"
import type { Delivery } from "../../src/domain/webhook.ts"
import type { ClaimedDelivery, Storage } from "../../src/ports/storage.ts"
import {
  aClaimOfDeliveries,
  acme,
  addWebhook,
  after,
  aKey,
  anEvent,
  anId,
  aWebhook,
  eventsOf,
  fanOutAll,
  happen,
  noon,
} from "../support/storage-fixtures.ts"
import type { DurableDatabase } from "./durable-storage.ts"

const delivered = { kind: "delivered", status: 204 } as const
const failed = { kind: "failed", status: 500, detail: "It answered 500." } as const

async function deliveriesOf(storage: Storage, webhookId: string): Promise<readonly Delivery[]> {
  const { items } = await storage.deliveries.list(acme, webhookId, {}, { limit: 1000 })
  return items.map(({ delivery }) => delivery)
}

/** What outlives the process of events, webhooks and deliveries. */
export function durableEventsContract(database: () => DurableDatabase): void {
  async function reopened(storage: Storage): Promise<Storage> {
    await storage.close()
    return await database().open()
  }

  test("webhooks, deliveries, leases and positions survive closing and opening again", async () => {
    const first = await database().open()
    const webhook = await addWebhook(first, { previousSecretUntil: after(7), failures: 2 })
    const events = await happen(first, {}, {}, {})
    await fanOutAll(first)
    const [one] = await first.deliveries.claimDue(aClaimOfDeliveries({ limit: 1, until: after(10) }))
    const [two] = await first.deliveries.claimDue(aClaimOfDeliveries({ limit: 1 }))
    if (two) await first.deliveries.settle(two, failed, after(1))
    const [kept, { position }] = [
      await deliveriesOf(first, webhook.id),
      await first.events.list(acme, {}, { limit: 2 }),
    ]

    const second = await reopened(first)
    expect(await second.webhooks.find(acme, webhook.id)).toEqual({
      ...webhook,
      failures: 3,
      failingSince: after(1),
    })
    expect(await deliveriesOf(second, webhook.id)).toEqual(kept)
    expect((await second.events.list(acme, {}, { limit: 9, after: position ?? "" })).items).toEqual(
      events.slice(1),
    )
    expect(await second.deliveries.fanOut(noon, 9)).toBe(0)
    const claims = await second.deliveries.claimDue(aClaimOfDeliveries({ now: after(9) }))
    expect(claims.map(({ event }) => event.id)).toEqual([events[2]?.id ?? ""])
    if (one) expect(await second.deliveries.settle(one, delivered, after(9))).toBe(true)
    await second.close()
  })

  test("after all events were forgotten and the store was opened again, no position is given twice", async () => {
    const first = await database().open()
    await happen(first, {}, {})
    const { position } = await first.events.list(acme, {}, { limit: 9 })
    await fanOutAll(first)
    expect(await first.events.prune(after(1), 9)).toBe(2)
    const second = await reopened(first)
    const [later] = await happen(second, {})
    expect((await second.events.list(acme, {}, { limit: 9, after: position ?? "" })).items).toEqual(
      later ? [later] : [],
    )
    await second.close()
  })

  test("a removed webhook leaves no delivery behind, and a forgotten event none either", async () => {
    const storage = await database().open()
    const [one, two] = [await addWebhook(storage), await addWebhook(storage)]
    await happen(storage, {}, {})
    await fanOutAll(storage)
    await storage.webhooks.remove(acme, one.id, anEvent({ at: after(9) }))
    const left = await database().query("select distinct webhook_id from deliveries")
    expect(left).toEqual([{ webhook_id: two.id }])
    for (const claimed of await storage.deliveries.claimDue(aClaimOfDeliveries()))
      await storage.deliveries.settle(claimed, delivered, noon)
    await storage.events.prune(after(1), 9)
    expect(await database().query("select * from deliveries")).toEqual([])
    await storage.close()
  })
}

/** What two connections at once must not spoil. */
export function eventRacesContract(database: () => DurableDatabase): void {
  let one: Storage
  let two: Storage
  beforeEach(async () => {
    one = await database().open()
    two = await database().openBeside()
  })
  afterEach(async () => {
    await two.close()
    await one.close()
  })
  const either = (i: number) => (i % 2 ? one : two)

  test("who reads while two connections write passes every event once, in the order all later readers see", async () => {
    for (let round = 0; round < 3; round++) {
      let { position } = await one.events.list(acme, {}, { limit: 1000 })
      const writers = Array.from({ length: 60 }, (_, i) => either(i).keys.add(aKey(), anEvent()))
      const seen: string[] = []
      let written = false
      const writing = Promise.all(writers).then(() => {
        written = true
      })
      for (let i = 0, idle = 0; idle < 2; i++) {
        const page = await either(i).events.list(acme, {}, { limit: 5, ...(position && { after: position }) })
        seen.push(...page.items.map(({ id }) => id))
        position = page.position
        idle = written && page.items.length === 0 ? idle + 1 : 0
        await Bun.sleep(0) // a reader that never waits would let no writer in
      }
      await writing
      const ids = (await eventsOf(two)).map(({ id }) => id)
      expect(seen).toHaveLength(60)
      expect(ids.slice(-60)).toEqual(seen)
    }
  })

  test("of deliveries made over two connections beside writers none is made twice or left out, each account's in order", async () => {
    const webhook = await addWebhook(one)
    const accounts = [anId("acc"), anId("acc"), anId("acc")]
    const writers = accounts.map(async (accountId, i) => {
      for (let round = 0; round < 15; round++)
        await either(i + round).keys.add(aKey(), anEvent({ accountId }))
    })
    let writing = true
    const makers = [one, two].map(async (storage) => {
      while (writing) {
        await storage.deliveries.fanOut(noon, 4)
        await Bun.sleep(1)
      }
    })
    await Promise.all(writers)
    writing = false
    await Promise.all(makers)
    await fanOutAll(two)
    const made = (await deliveriesOf(one, webhook.id)).toReversed()
    const happened = (await eventsOf(one)).slice(1)
    expect(happened).toHaveLength(45)
    expect(made.map(({ eventId }) => eventId)).toEqual(happened.map(({ id }) => id))
  })

  test("of two who make deliveries at the same moment, each event is taken by one", async () => {
    const webhook = await addWebhook(one)
    await happen(one, ...Array.from({ length: 30 }, () => ({})))
    let taken = 0
    while (taken < 31) {
      const counts = await Promise.all([1, 2, 3, 4].map((i) => either(i).deliveries.fanOut(noon, 5)))
      taken += counts.reduce((sum, count) => sum + count, 0)
    }
    expect(taken).toBe(31)
    expect(await deliveriesOf(one, webhook.id)).toHaveLength(30)
  })

  test("of claims over two connections each delivery falls to one, and no webhook gets more than it may", async () => {
    const webhooks = [await addWebhook(one), await addWebhook(two)]
    for (let round = 0; round < 5; round++) {
      await happen(one, ...Array.from({ length: 12 }, () => ({})))
      await fanOutAll(one)
      const all: ClaimedDelivery[] = []
      for (let tries = 0; tries < 4; tries++) {
        const claims = await Promise.all(
          [1, 2, 3, 4].map((i) =>
            either(i).deliveries.claimDue(aClaimOfDeliveries({ limit: 5, perWebhook: 7 })),
          ),
        )
        all.push(...claims.flat())
      }
      const keys = all.map(({ delivery }) => `${delivery.webhookId} ${delivery.eventId}`)
      expect(new Set(keys).size).toBe(keys.length)
      for (const { id } of webhooks) expect(all.filter(({ webhook }) => webhook.id === id)).toHaveLength(7)
      const settled = await Promise.all(
        all.flatMap((claimed) => [one, two].map((each) => each.deliveries.settle(claimed, delivered, noon))),
      )
      expect(settled.filter(Boolean)).toHaveLength(14)
    }
  })

  test("of one account never two are under way at one webhook, whoever claims", async () => {
    const webhook = await addWebhook(one)
    const accountId = anId("acc")
    const events = await happen(one, ...Array.from({ length: 10 }, () => ({ accountId })))
    await fanOutAll(one)
    const order: string[] = []
    while (order.length < events.length) {
      const claims = await Promise.all(
        [1, 2, 3].map((i) => either(i).deliveries.claimDue(aClaimOfDeliveries())),
      )
      const [claimed, ...more] = claims.flat()
      expect(more).toEqual([])
      if (!claimed) continue
      order.push(claimed.event.id)
      await either(order.length).deliveries.settle(claimed, delivered, noon)
    }
    expect(order).toEqual(events.map(({ id }) => id))
    expect(await deliveriesOf(two, webhook.id)).toHaveLength(10)
  })

  test("a webhook that two switch off at once is switched off with one event, and every failure counts", async () => {
    const webhook = await addWebhook(one)
    await happen(one, ...Array.from({ length: 12 }, () => ({})))
    await fanOutAll(one)
    const claims = await one.deliveries.claimDue(aClaimOfDeliveries())
    const settled = claims.map((claimed, i) => {
      const event = anEvent({ type: "webhook.disabled" })
      const gone = { kind: "disabled", reason: "gone", since: null, status: 410, detail: "410" } as const
      const settled = { ...gone, dueAt: noon, holdUntil: null, event }
      return either(i).deliveries.settle(claimed, settled, noon)
    })
    expect(await Promise.all(settled)).toEqual(claims.map(() => true))
    expect((await two.webhooks.find(acme, webhook.id))?.failures).toBe(12)
    expect((await eventsOf(two)).filter(({ type }) => type === "webhook.disabled")).toHaveLength(1)
  })

  test("of webhooks added over two connections an owner gets as many as it may have", async () => {
    const all = Array.from({ length: 16 }, (_, i) => either(i))
    await Promise.all(all.map((storage) => storage.webhooks.list(acme))) // a pool opens what it needs
    for (let round = 0; round < 8; round++) {
      const owner = { ...acme, tenant: `acme ${round}` }
      const adds = all.map(({ webhooks }) => webhooks.add(aWebhook(owner), 2, anEvent(owner)))
      expect((await Promise.all(adds)).filter(Boolean)).toHaveLength(2)
      expect(await one.webhooks.list(owner)).toHaveLength(2)
    }
  })

  test("a replay that succeeded is not undone by who forgets old events at the same moment", async () => {
    for (let round = 0; round < 20; round++) {
      const webhook = await addWebhook(one)
      const [event] = await happen(one, {})
      await fanOutAll(one)
      for (const claimed of await one.deliveries.claimDue(aClaimOfDeliveries()))
        await one.deliveries.settle(claimed, failed, noon)
      const [replayed] = await Promise.all([
        one.deliveries.replay(acme, webhook.id, { eventId: event?.id ?? "" }, noon),
        two.events.prune(after(1), 100),
      ])
      const pending = (await deliveriesOf(two, webhook.id)).filter(({ status }) => status === "pending")
      expect(pending).toHaveLength(replayed)
      await one.webhooks.remove(acme, webhook.id, anEvent({ at: new Date(0) }))
    }
  })

  test("whatever is done to a webhook at once over two connections, nobody is refused, and nothing is left of it", async () => {
    for (let round = 0; round < 4; round++) {
      const webhook = await addWebhook(one)
      const accounts = [anId("acc"), anId("acc"), anId("acc"), anId("acc")]
      const work = Array.from({ length: 60 }, async (_, i) => {
        const storage = either(i)
        const { deliveries, events, webhooks } = storage
        await Bun.sleep(Math.random() * 40)
        switch (i % 6) {
          case 0:
            await happen(storage, { accountId: accounts[i % 4] ?? null }, { at: after(i) })
            return await deliveries.fanOut(noon, 10)
          case 1:
            for (const claimed of await deliveries.claimDue(aClaimOfDeliveries({ perWebhook: 4 })))
              await deliveries.settle(claimed, i % 4 ? failed : delivered, noon)
            return
          case 2:
            for (const claimed of await deliveries.claimDue(aClaimOfDeliveries({ limit: 3, now: after(1) })))
              await deliveries.settle(
                claimed,
                { ...failed, kind: "retry", dueAt: noon, holdUntil: null },
                noon,
              )
            return
          case 3:
            return await deliveries.replay(acme, webhook.id, { failedSince: new Date(0), limit: 1000 }, noon)
          case 4:
            return await events.prune(after(1000), 10)
          case 5:
            return await webhooks.change(
              acme,
              webhook.id,
              { failures: i, ...(i % 12 === 5 && { enabled: true }), updatedAt: noon },
              anEvent(),
            )
        }
      })
      await Promise.all(work)
      await Promise.all([
        one.webhooks.remove(acme, webhook.id, anEvent()),
        two.deliveries.fanOut(noon, 100),
        one.deliveries.claimDue(aClaimOfDeliveries()),
        two.events.prune(after(1000), 100),
        two.deliveries.replay(acme, webhook.id, { failedSince: new Date(0), limit: 1000 }, noon),
      ])
      expect(await database().query("select * from deliveries")).toEqual([])
    }
  })
}
