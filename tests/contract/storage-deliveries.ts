import { describe, expect, test } from "bun:test"
import { array, assert, asyncProperty } from "fast-check"
import type { DomainEvent } from "../../src/domain/event.ts"
import type { Delivery, SettledAttempt, Webhook } from "../../src/domain/webhook.ts"
import type { ClaimedDelivery, DeliveryList, Storage } from "../../src/ports/storage.ts"
import {
  aClaimOfDeliveries,
  acme,
  addWebhook,
  after,
  anEvent,
  anId,
  eventsOf,
  fanOutAll,
  happen,
  noon,
  strangers,
} from "../support/storage-fixtures.ts"
import { deliveriesModel, someStep } from "./deliveries-model.ts"

const delivered = { kind: "delivered", status: 204 } as const
const failed = { kind: "failed", status: 500, detail: "It answered 500." } as const
const retry = (dueAt: Date, holdUntil: Date | null = null): SettledAttempt => ({
  kind: "retry",
  dueAt,
  holdUntil,
  status: null,
  detail: "Nobody answered.",
})

const gone = (event: DomainEvent, reason = "It is gone."): SettledAttempt & { kind: "disabled" } => ({
  kind: "disabled",
  reason,
  since: null,
  dueAt: after(90_000),
  holdUntil: after(91_000),
  status: 410,
  detail: "It answered 410.",
  event,
})

export function deliveriesContract(storage: () => Storage): void {
  describe("made", () => fanOutContract(storage))
  describe("claimed", () => claimContract(storage))
  describe("settled", () => settleContract(storage))
  describe("listed and replayed", () => replayContract(storage))

  test("whatever happens in whatever order, what is kept and what may go out is what the rules say", async () => {
    const steps = array(someStep, { maxLength: 80, size: "max" })
    await assert(
      asyncProperty(steps, async (taken) => {
        const model = await deliveriesModel(storage())
        for (const step of taken) await model.take(step)
        await model.end()
      }),
      { numRuns: 25, endOnFailure: true },
    )
  }, 120_000)
}

/** What every part does with the store. */
function actions(storage: () => Storage) {
  return {
    /** Has events happen, each of an order key of its own, and makes their deliveries. */
    async tell(...changes: readonly Partial<DomainEvent>[]): Promise<readonly DomainEvent[]> {
      const events = await happen(storage(), ...changes)
      await fanOutAll(storage())
      return events
    },

    claim: (change: Parameters<typeof aClaimOfDeliveries>[0] = {}) =>
      storage().deliveries.claimDue(aClaimOfDeliveries(change)),

    /** The one that is due. */
    async claimOne(change: Parameters<typeof aClaimOfDeliveries>[0] = {}): Promise<ClaimedDelivery> {
      const [claimed] = await storage().deliveries.claimDue(aClaimOfDeliveries({ limit: 1, ...change }))
      if (!claimed) throw new Error("nothing is due")
      return claimed
    },

    settle: (claimed: ClaimedDelivery, settled: SettledAttempt = delivered, now = noon) =>
      storage().deliveries.settle(claimed, settled, now),

    async deliveriesOf({ id, ...owner }: Webhook, status?: Delivery["status"]): Promise<readonly Delivery[]> {
      const filter = status ? { status } : {}
      const { items } = await storage().deliveries.list(owner, id, filter, { limit: 1000 })
      return items.map(({ delivery }) => delivery)
    },

    async now(webhook: Webhook): Promise<Webhook> {
      const found = await storage().webhooks.find(webhook, webhook.id)
      if (!found) throw new Error("the webhook is not there")
      return found
    },
  }
}

const eventIds = (claims: readonly ClaimedDelivery[]) => claims.map(({ event }) => event.id)

function fanOutContract(storage: () => Storage): void {
  const { deliveriesOf } = actions(storage)

  test("an event becomes a delivery that waits, due at once", async () => {
    const webhook = await addWebhook(storage())
    const accountId = anId("acc")
    const [event] = await happen(storage(), { accountId, flowId: anId("flow") })
    await fanOutAll(storage(), after(30))
    expect(await deliveriesOf(webhook)).toEqual([
      {
        webhookId: webhook.id,
        eventId: event?.id ?? "",
        orderKey: accountId,
        status: "pending",
        attempts: 0,
        createdAt: after(30),
        firstAttemptAt: null,
        dueAt: after(30),
        completedAt: null,
        lastStatus: null,
        lastDetail: null,
      },
    ])
  })

  test("each webhook of the owner is told of what it asked for, be it switched on or not", async () => {
    const all = await addWebhook(storage())
    const accounts = await addWebhook(storage(), { events: ["account.*"], enabled: false })
    const exact = await addWebhook(storage(), { events: ["connect.failed", "account.updated"] })
    const none = await addWebhook(storage(), { events: ["webhook.disabled"] })
    const types = ["account.updated", "account.expiring", "connect.failed", "oauth_app.created"] as const
    const events = await happen(storage(), ...types.map((type) => ({ type })))
    await fanOutAll(storage())
    const told = async (webhook: Webhook) => {
      const ids = (await deliveriesOf(webhook)).map(({ eventId }) => eventId)
      return events.filter(({ id }) => ids.includes(id)).map(({ type }) => type)
    }
    expect(await told(all)).toEqual([...types])
    expect(await told(accounts)).toEqual(["account.updated", "account.expiring"])
    expect(await told(exact)).toEqual(["account.updated", "connect.failed"])
    expect(await told(none)).toEqual([])
  })

  test("a stranger's webhook is told of nothing", async () => {
    const webhooks = await Promise.all(strangers.map((stranger) => addWebhook(storage(), stranger)))
    await happen(storage(), {}, {})
    await fanOutAll(storage())
    for (const webhook of webhooks) expect(await deliveriesOf(webhook)).toEqual([])
  })

  test("a webhook is told of what is stored from its own event on, whatever the clocks say", async () => {
    await happen(storage(), { at: after(99) })
    const webhook = await addWebhook(storage(), { createdAt: noon, events: ["*"] })
    const later = await happen(storage(), { at: after(-5) }, { at: noon }, { at: after(1) })
    await fanOutAll(storage())
    const deliveries = await storage().deliveries.list(acme, webhook.id, {}, { limit: 9 })
    const told = deliveries.items.map(({ event }) => event).toReversed()
    expect(told[0]).toMatchObject({ type: "webhook.created", webhookId: webhook.id })
    expect(told.slice(1)).toEqual([...later])
  })

  test("a webhook whose own event was forgotten is told of all that comes", async () => {
    const webhook = await addWebhook(storage())
    await fanOutAll(storage())
    expect(await storage().events.prune(after(1), 10)).toBe(1)
    const [event] = await happen(storage(), { at: after(-5) })
    await fanOutAll(storage())
    expect((await deliveriesOf(webhook)).map(({ eventId }) => eventId)).toEqual([event?.id ?? ""])
  })

  test("events are taken once, at most so many in one call, whether or not anybody is told", async () => {
    const webhook = await addWebhook(storage())
    await happen(storage(), {}, {}, {}, {}, {})
    expect(await storage().deliveries.fanOut(noon, 4)).toBe(4)
    expect(await deliveriesOf(webhook)).toHaveLength(3)
    expect(await storage().deliveries.fanOut(noon, 4)).toBe(2)
    expect(await storage().deliveries.fanOut(noon, 4)).toBe(0)
    expect(await deliveriesOf(webhook)).toHaveLength(5)
  })

  test("the oldest events are taken first, whatever their ids and times", async () => {
    const webhook = await addWebhook(storage(), { createdAt: new Date(0) })
    const times = [0, -5, 3, -9, 1].map((ms) => after(ms))
    const events = await happen(storage(), ...times.map((at) => ({ id: anId("evt", at), at })))
    const made: string[] = []
    await storage().deliveries.fanOut(noon, 1)
    for (const _ of events) {
      expect(await storage().deliveries.fanOut(noon, 1)).toBe(1)
      const [newest] = await deliveriesOf(webhook)
      made.push(newest?.eventId ?? "")
    }
    expect(made).toEqual(events.map(({ id }) => id))
  })

  test("what a webhook asks for counts when the deliveries are made", async () => {
    const webhook = await addWebhook(storage(), { events: ["connect.failed"] })
    await happen(storage(), { type: "account.updated" })
    await fanOutAll(storage())
    await storage().webhooks.change(
      acme,
      webhook.id,
      { events: ["account.updated"], updatedAt: noon },
      anEvent({ type: "webhook.updated" }),
    )
    const [second] = await happen(storage(), { type: "account.updated" })
    await fanOutAll(storage())
    expect((await deliveriesOf(webhook)).map(({ eventId }) => eventId)).toEqual([second?.id ?? ""])
  })

  test("of many callers at once beside writers, each event is taken by one, and none is left out", async () => {
    const webhook = await addWebhook(storage())
    const writers = Array.from({ length: 40 }, () => happen(storage(), {}))
    const calls = Array.from({ length: 20 }, () => storage().deliveries.fanOut(noon, 3))
    const taken = await Promise.all(calls)
    await Promise.all(writers)
    let rest = 0
    for (let more = -1; more !== 0; rest += more) more = await storage().deliveries.fanOut(noon, 7)
    expect(taken.reduce((sum, one) => sum + one, 0) + rest).toBe(41)
    const told = (await deliveriesOf(webhook)).map(({ eventId }) => eventId)
    const happened = (await eventsOf(storage())).slice(1).map(({ id }) => id)
    expect(told).toEqual(happened.toReversed())
  })
}

function claimContract(storage: () => Storage): void {
  const { tell, claim, claimOne, settle, deliveriesOf } = actions(storage)

  test("a claim gives the delivery as it is now, its webhook and its event", async () => {
    const webhook = await addWebhook(storage())
    const [event] = await tell({ accountId: anId("acc"), reference: "user 🦤", reason: "access_denied" })
    const [before] = await deliveriesOf(webhook)
    if (!event || !before) throw new Error("nothing was told")
    const claimed = await claim({ now: after(4) })
    const delivery: Delivery = { ...before, attempts: 1, firstAttemptAt: after(4) }
    expect(claimed).toEqual([{ delivery, webhook, event }])
    expect(await deliveriesOf(webhook)).toEqual([delivery])
  })

  test("a delivery is claimed when it is due and no sooner", async () => {
    await addWebhook(storage())
    await tell({})
    expect(await claim({ now: after(-1) })).toEqual([])
    await settle(await claimOne(), retry(after(5000)))
    expect(await claim({ now: after(4999) })).toEqual([])
    expect(await claim({ now: after(5000) })).toHaveLength(1)
  })

  test("a lease keeps others off until its end, and then is as if it had never been, but for the count", async () => {
    await addWebhook(storage())
    await tell({})
    const first = await claimOne({ until: after(10) })
    expect(await claim({ now: after(9) })).toEqual([])
    const second = await claimOne({ now: after(10), until: after(20) })
    expect(second.delivery).toEqual({ ...first.delivery, attempts: 2 })
    expect(await settle(first, delivered, after(11))).toBe(false)
    expect(await settle(second, delivered, after(11))).toBe(true)
  })

  test("who comes late, though before anybody else, may still settle", async () => {
    const webhook = await addWebhook(storage())
    await tell({})
    const claimed = await claimOne({ until: after(10) })
    expect(await settle(claimed, delivered, after(5000))).toBe(true)
    expect(await deliveriesOf(webhook, "delivered")).toHaveLength(1)
  })

  test.each(["delivered", "failed"] as const)(
    "of one account one after another goes out, the next when the one before is %s",
    async (end) => {
      await addWebhook(storage())
      const accountId = anId("acc")
      const [first, second, third] = await tell({ accountId }, { accountId }, { accountId })
      const one = await claimOne({ limit: 10 })
      expect(one.event.id).toBe(first?.id ?? "")
      expect(await claim()).toEqual([])
      await settle(one, retry(after(50)))
      expect(await claim({ now: after(49) })).toEqual([])
      await settle(await claimOne({ now: after(50) }), end === "failed" ? failed : delivered)
      const two = await claim()
      expect(eventIds(two)).toEqual([second?.id ?? ""])
      for (const each of two) await settle(each)
      expect(eventIds(await claim())).toEqual([third?.id ?? ""])
    },
  )

  test("of different accounts and things all go out at once, the longest due first", async () => {
    await addWebhook(storage())
    const accountId = anId("acc")
    const keys = [
      { accountId, flowId: "flow_1", oauthAppId: "oa_1" },
      { flowId: "flow_1", oauthAppId: "oa_1" },
      { apiKeyId: "key_1" },
      { webhookId: "wh_1" },
      { oauthAppId: "oa_1" },
      {},
    ]
    const events = await happen(storage(), ...keys)
    await storage().deliveries.fanOut(noon, 1)
    for (const [i] of events.entries()) await storage().deliveries.fanOut(after(-i), 1)
    const claimed = await claim()
    expect(eventIds(claimed)).toEqual(events.map(({ id }) => id).toReversed())
    expect(claimed.map(({ delivery }) => delivery.orderKey).toReversed()).toEqual([
      accountId,
      "flow_1",
      "key_1",
      "wh_1",
      "oa_1",
      events.at(-1)?.id ?? "",
    ])
  })

  test("an account's events wait for each other within one webhook alone", async () => {
    const [one, other] = [await addWebhook(storage()), await addWebhook(storage())]
    const accountId = anId("acc")
    await tell({ accountId }, { accountId })
    const claims = await claim()
    expect(claims.map(({ webhook }) => webhook.id).toSorted()).toEqual([one.id, other.id].toSorted())
    const ofOne = claims.find(({ webhook }) => webhook.id === one.id)
    if (ofOne) await settle(ofOne)
    expect((await claim()).map(({ webhook }) => webhook.id)).toEqual([one.id])
  })

  test("at most so many are claimed in one call, and later calls get the others", async () => {
    await addWebhook(storage())
    const events = await tell({}, {}, {}, {}, {})
    const claims = [await claim({ limit: 2 }), await claim({ limit: 2 }), await claim({ limit: 2 })]
    expect(claims.map((each) => each.length)).toEqual([2, 2, 1])
    expect(claims.flatMap(eventIds)).toEqual(events.map(({ id }) => id))
    expect(await claim({ limit: 2 })).toEqual([])
  })

  test("of one webhook so many are under way at once, over all claims, whose leases live", async () => {
    await addWebhook(storage())
    await tell({}, {}, {}, {}, {}, {})
    const [first] = await claim({ perWebhook: 3, limit: 2, until: after(10) })
    expect(await claim({ perWebhook: 3, until: after(20) })).toHaveLength(1)
    expect(await claim({ perWebhook: 3 })).toEqual([])
    if (first) await settle(first)
    expect(await claim({ perWebhook: 3, until: after(20) })).toHaveLength(1)
    expect(await claim({ perWebhook: 3, now: after(9) })).toEqual([])
    // The one that was never settled is no longer under way.
    expect(await claim({ perWebhook: 3, now: after(10), until: after(30) })).toHaveLength(1)
    expect(await claim({ perWebhook: 3, now: after(19) })).toEqual([])
    expect(await claim({ perWebhook: 2, now: after(20), until: after(40) })).toHaveLength(1)
  })

  test("one that is full keeps nothing from the others, however many of it are longer due", async () => {
    const [slow, other] = [
      await addWebhook(storage()),
      await addWebhook(storage(), { events: ["connect.failed"] }),
    ]
    await tell(...Array.from({ length: 12 }, () => ({ type: "account.updated" }) as const))
    expect(await claim({ perWebhook: 5 })).toHaveLength(5)
    await happen(storage(), { type: "connect.failed" })
    await fanOutAll(storage(), after(1))
    const claims = await claim({ perWebhook: 5, limit: 2, now: after(1) })
    expect(claims.map(({ webhook }) => webhook.id)).toEqual([other.id])
    expect((await deliveriesOf(slow, "pending")).filter(({ attempts }) => attempts === 0)).toHaveLength(8)
  })

  test("owners with fewer attempts under way come first, however long another's wait", async () => {
    const busy = await addWebhook(storage())
    await addWebhook(storage())
    const strange = await addWebhook(storage(), strangers[0])
    await tell({}, {}, {})
    await claim({ limit: 2, until: after(50) })
    await happen(storage(), { ...strangers[0] })
    await fanOutAll(storage(), after(1))
    const owners = (claims: readonly ClaimedDelivery[]) => claims.map(({ webhook }) => webhook.tenant)
    const again = await claim({ now: after(1), until: after(60), limit: 2 })
    expect(owners(again)).toEqual([strange.tenant, busy.tenant])
    // Those whose leases have run out count no more.
    await happen(storage(), { ...strangers[0] })
    await fanOutAll(storage(), after(2))
    expect(owners(await claim({ now: after(50), limit: 1 }))).toEqual([busy.tenant])
  })

  test("an account with hundreds of events that wait keeps nothing from the others of its webhook", async () => {
    await addWebhook(storage())
    const [accountId, others] = [anId("acc"), [anId("acc"), anId("acc"), anId("acc")]]
    await Promise.all(Array.from({ length: 300 }, () => happen(storage(), { accountId })))
    await fanOutAll(storage())
    const head = await claimOne()
    await happen(storage(), ...others.map((other) => ({ accountId: other })))
    await fanOutAll(storage(), after(1))
    const orderKeys = (claims: readonly ClaimedDelivery[]) => claims.map(({ delivery }) => delivery.orderKey)
    expect(orderKeys(await claim({ now: after(1), limit: 2 }))).toEqual(others.slice(0, 2))
    await settle(head, retry(after(5)))
    expect(orderKeys(await claim({ now: after(4) }))).toEqual(others.slice(2))
    expect(await claim({ now: after(4) })).toEqual([])
    expect((await claim({ now: after(5) })).map(({ event }) => event.id)).toEqual([head.event.id])
  })

  test("of one that is off or held back nothing goes out, and that of others does", async () => {
    const off = await addWebhook(storage(), { enabled: false })
    const held = await addWebhook(storage(), { holdUntil: after(10) })
    const open = await addWebhook(storage(), { holdUntil: noon })
    await tell({}, {}, {})
    const webhooksOf = (claims: readonly ClaimedDelivery[]) => [...new Set(claims.map((c) => c.webhook.id))]
    expect(webhooksOf(await claim({ limit: 3 }))).toEqual([open.id])
    expect(await claim({ now: after(9) })).toEqual([])
    expect(webhooksOf(await claim({ now: after(10) }))).toEqual([held.id])
    const on = { enabled: true, updatedAt: noon }
    await storage().webhooks.change(acme, off.id, on, anEvent({ at: new Date(0) }))
    expect(webhooksOf(await claim({ now: after(11) }))).toEqual([off.id])
  })

  test("of many claimers at once each delivery falls to one, and no webhook gets more than it may", async () => {
    const webhooks = [await addWebhook(storage()), await addWebhook(storage()), await addWebhook(storage())]
    await tell(...Array.from({ length: 10 }, () => ({})))
    const claims = await Promise.all(Array.from({ length: 12 }, () => claim({ limit: 4, perWebhook: 6 })))
    const first = claims.flat()
    for (let more = first; more.length > 0; first.push(...more))
      more = [...(await claim({ limit: 4, perWebhook: 6 }))]
    const keys = first.map(({ delivery }) => `${delivery.webhookId} ${delivery.eventId}`)
    expect(new Set(keys).size).toBe(keys.length)
    for (const { id } of webhooks) expect(first.filter(({ webhook }) => webhook.id === id)).toHaveLength(6)
  })
}

function settleContract(storage: () => Storage): void {
  const { tell, claim, claimOne, settle, deliveriesOf, now } = actions(storage)

  test("a delivered one has ended, with what the receiver answered", async () => {
    const webhook = await addWebhook(storage())
    await tell({})
    const claimed = await claimOne()
    expect(await settle(claimed, { kind: "delivered", status: 202 }, after(80))).toBe(true)
    const ended = {
      ...claimed.delivery,
      status: "delivered",
      completedAt: after(80),
      lastStatus: 202,
    } as const
    expect(await deliveriesOf(webhook)).toEqual([ended])
    expect(await now(webhook)).toEqual(webhook)
    expect(await claim({ now: after(99_000) })).toEqual([])
  })

  test("a failed one has ended, and its webhook has been failing since", async () => {
    const webhook = await addWebhook(storage())
    await tell({})
    const claimed = await claimOne()
    expect(await settle(claimed, failed, after(80))).toBe(true)
    const last = { lastStatus: 500, lastDetail: failed.detail }
    expect(await deliveriesOf(webhook)).toEqual([
      { ...claimed.delivery, status: "failed", completedAt: after(80), ...last },
    ])
    expect(await now(webhook)).toEqual({ ...webhook, failures: 1, failingSince: after(80) })
  })

  test("one to be tried again waits for its time, with what went wrong", async () => {
    const webhook = await addWebhook(storage())
    await tell({})
    const claimed = await claimOne()
    expect(await settle(claimed, retry(after(5000)), after(80))).toBe(true)
    const last = { lastStatus: null, lastDetail: "Nobody answered." }
    expect(await deliveriesOf(webhook)).toEqual([{ ...claimed.delivery, dueAt: after(5000), ...last }])
    expect(await now(webhook)).toEqual({ ...webhook, failures: 1, failingSince: after(80) })
  })

  test("every failed attempt counts, and the first one tells since when", async () => {
    const webhook = await addWebhook(storage())
    await tell({}, {}, {})
    const [one, two, three] = await claim()
    if (!one || !two || !three) throw new Error("three were due")
    await settle(one, retry(after(10), after(7)), after(1))
    expect(await now(webhook)).toEqual({
      ...webhook,
      failures: 1,
      failingSince: after(1),
      holdUntil: after(7),
    })
    await settle(two, retry(after(10)), after(2))
    await settle(three, failed, after(3))
    expect(await now(webhook)).toEqual({
      ...webhook,
      failures: 3,
      failingSince: after(1),
      holdUntil: after(7),
    })
  })

  test("one success after five minutes without one makes due what waited for it", async () => {
    const webhook = await addWebhook(storage())
    const other = await addWebhook(storage())
    await tell({}, {}, {}, {})
    const claims = await claim()
    const ofWebhook = claims.filter((each) => each.webhook.id === webhook.id)
    const [one, two, ended, last] = ofWebhook
    if (!one || !two || !ended || !last) throw new Error("four were due")
    for (const each of claims.filter((each) => each.webhook.id === other.id))
      await settle(each, retry(after(990_000)), after(1))
    await settle(ended, failed, after(1))
    await settle(one, retry(after(950_000), after(960_000)), after(2))
    await settle(two, retry(after(-7)), after(3))
    expect(await settle(last, delivered, after(300_001))).toBe(true)
    expect(await now(webhook)).toEqual(webhook)
    const dueAt = new Map((await deliveriesOf(webhook)).map((each) => [each.eventId, each.dueAt]))
    expect(dueAt.get(one.event.id)).toEqual(after(300_001))
    expect(dueAt.get(two.event.id)).toEqual(after(-7))
    expect(dueAt.get(ended.event.id)).toEqual(noon)
    expect((await deliveriesOf(other)).map((each) => each.dueAt)).toEqual(Array(4).fill(after(990_000)))
    expect(await claim({ now: after(300_001) })).toHaveLength(2)
  })

  test("a success sooner than that leaves what waits as it is", async () => {
    const webhook = await addWebhook(storage())
    await tell({}, {})
    const [one, two] = await claim()
    if (!one || !two) throw new Error("two were due")
    await settle(one, retry(after(950_000)), after(1))
    await settle(two, delivered, after(300_000))
    expect(await now(webhook)).toEqual(webhook)
    expect((await deliveriesOf(webhook, "pending")).map(({ dueAt }) => dueAt)).toEqual([after(950_000)])
  })

  test("a success of one that was only held back clears that, and leaves what waits as it is", async () => {
    const webhook = await addWebhook(storage())
    await tell({}, {})
    const [one, two] = await claim()
    if (!one || !two) throw new Error("two were due")
    await settle(one, retry(after(50_000)), after(1))
    await storage().webhooks.change(
      acme,
      webhook.id,
      { failingSince: null, holdUntil: after(9), failures: 3, updatedAt: noon },
      anEvent(),
    )
    await settle(two, delivered, after(2))
    expect(await now(webhook)).toEqual(webhook)
    expect((await deliveriesOf(webhook, "pending")).map(({ dueAt }) => dueAt)).toEqual([after(50_000)])
  })

  test("a webhook is switched off once, with one event, and what was not delivered waits", async () => {
    const webhook = await addWebhook(storage())
    await tell({}, {})
    const claims = await claim()
    const events = claims.map(() => anEvent({ type: "webhook.disabled", webhookId: webhook.id }))
    for (const [i, claimed] of claims.entries()) {
      const event = events[i] ?? anEvent()
      expect(await settle(claimed, gone(event, `It is gone (${i}).`), after(i + 1))).toBe(true)
    }
    expect(await now(webhook)).toEqual({
      ...webhook,
      enabled: false,
      disabledReason: "It is gone (0).",
      failingSince: after(1),
      failures: 2,
      updatedAt: after(1),
    })
    const told = (await eventsOf(storage())).filter(({ type }) => type === "webhook.disabled")
    expect(told).toEqual(events.slice(0, 1))
    const last = { lastStatus: 410, lastDetail: "It answered 410." }
    expect(await deliveriesOf(webhook)).toEqual(
      claims.map(({ delivery }) => ({ ...delivery, ...last })).toReversed(),
    )
    expect(await claim({ now: after(99_000) })).toEqual([])
    const on = { enabled: true, disabledReason: null, updatedAt: noon }
    await storage().webhooks.change(acme, webhook.id, on, anEvent())
    expect(await claim()).toHaveLength(2)
  })

  test("one that is no longer failing since the time it was judged by is not switched off; the attempt is made again", async () => {
    const webhook = await addWebhook(storage(), { failingSince: after(-9) })
    await tell({}, {}, {})
    const [one, two, three] = await claim()
    if (!one || !two || !three) throw new Error("three were due")
    await settle(one, delivered, after(1))
    await settle(two, retry(after(70)), after(2))
    const event = anEvent({ type: "webhook.disabled" })
    expect(await settle(three, { ...gone(event), since: after(-9) }, after(3))).toBe(true)
    expect(await now(webhook)).toEqual({
      ...webhook,
      failingSince: after(2),
      failures: 2,
      holdUntil: after(91_000),
    })
    const last = { lastStatus: 410, lastDetail: "It answered 410." }
    expect((await deliveriesOf(webhook))[0]).toEqual({ ...three.delivery, ...last, dueAt: after(90_000) })
    expect((await eventsOf(storage())).map(({ type }) => type)).not.toContain("webhook.disabled")
    const [again] = await claim({ now: after(91_000) })
    if (!again) throw new Error("one was due")
    expect(await settle(again, { ...gone(event), since: after(2) }, after(91_001))).toBe(true)
    expect(await now(webhook)).toMatchObject({ enabled: false })
    expect((await eventsOf(storage())).at(-1)).toEqual(event)
  })

  test("a webhook that the tenant has switched off meanwhile stays as the tenant left it", async () => {
    const webhook = await addWebhook(storage())
    await tell({})
    const claimed = await claimOne()
    const off = { enabled: false, updatedAt: after(1) }
    await storage().webhooks.change(acme, webhook.id, off, anEvent({ type: "webhook.updated" }))
    const event = anEvent({ type: "webhook.disabled" })
    expect(await settle(claimed, gone(event), after(2))).toBe(true)
    expect(await now(webhook)).toEqual({ ...webhook, ...off, failures: 1, failingSince: after(2) })
    expect((await eventsOf(storage())).map(({ type }) => type)).not.toContain("webhook.disabled")
  })

  test.each([delivered, failed, retry(after(9), after(9))])(
    "an attempt is settled once: %o",
    async (settled) => {
      const webhook = await addWebhook(storage())
      await tell({})
      const claimed = await claimOne()
      const tries = Array.from({ length: 8 }, () => settle(claimed, settled, after(1)))
      expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1)
      const before = [await deliveriesOf(webhook), await now(webhook)]
      expect(await settle(claimed, failed, after(2))).toBe(false)
      expect([await deliveriesOf(webhook), await now(webhook)]).toEqual(before)
    },
  )

  test("an attempt that nobody began, or that was overtaken, changes nothing", async () => {
    const webhook = await addWebhook(storage(), { failingSince: after(-5), failures: 2 })
    await tell({})
    const [before] = await deliveriesOf(webhook)
    const claimed = await claimOne({ until: after(1) })
    if (!before) throw new Error("nothing was told")
    const again = await claimOne({ now: after(1) })
    expect(await settle({ ...claimed, delivery: before }, delivered, after(2))).toBe(false)
    expect(await settle(claimed, delivered, after(2))).toBe(false)
    expect(await deliveriesOf(webhook)).toEqual([again.delivery])
    expect(await now(webhook)).toEqual({ ...webhook, failingSince: after(-5), failures: 2 })
  })

  test("where its event cannot be kept, an attempt is not settled at all", async () => {
    const webhook = await addWebhook(storage())
    const [event] = await tell({})
    const claimed = await claimOne()
    await expect(settle(claimed, gone(event ?? anEvent()), after(1))).rejects.toThrow()
    expect(await now(webhook)).toEqual(webhook)
    expect(await deliveriesOf(webhook)).toEqual([claimed.delivery])
    expect(await settle(claimed)).toBe(true)
  })

  test("an attempt whose webhook was removed meanwhile is nobody's", async () => {
    const webhook = await addWebhook(storage())
    await tell({})
    const claimed = await claimOne()
    await storage().webhooks.remove(acme, webhook.id, anEvent())
    for (const settled of [delivered, failed, retry(after(1))])
      expect(await settle(claimed, settled)).toBe(false)
  })
}

function replayContract(storage: () => Storage): void {
  const { tell, claim, claimOne, settle, deliveriesOf, now } = actions(storage)

  async function walk(webhook: Webhook, limit: number, filter: { status?: Delivery["status"] } = {}) {
    const pages: DeliveryList["items"][] = []
    let position: string | null = null
    for (;;) {
      const after: { after?: string } = position === null ? {} : { after: position }
      const page = await storage().deliveries.list(acme, webhook.id, filter, { limit, ...after })
      pages.push(page.items)
      position = page.position
      if (!page.more) return pages
    }
  }

  test("a webhook's deliveries come newest event first, with their events, page by page", async () => {
    const [webhook] = [await addWebhook(storage()), await addWebhook(storage())]
    const events = await tell(
      ...[0, -1, 5, 2, 3].map((ms) => ({ id: anId("evt", after(ms)), at: after(10 + ms) })),
    )
    const pages = await walk(webhook, 2)
    expect(pages.map((items) => items.length)).toEqual([2, 2, 1])
    expect(pages.flat().map(({ event }) => event)).toEqual(events.toReversed())
    expect(pages.flat().map(({ delivery }) => delivery.eventId)).toEqual(
      events.map(({ id }) => id).toReversed(),
    )
    expect((await walk(webhook, 5)).map((items) => items.length)).toEqual([5])
  })

  test("a page without deliveries keeps its position; one that no store gave is refused", async () => {
    const { id } = await addWebhook(storage())
    const none = { items: [], position: null, more: false }
    expect(await storage().deliveries.list(acme, id, {}, { limit: 5 })).toEqual(none)
    expect(await storage().deliveries.list(acme, id, {}, { limit: 5, after: "1" })).toEqual({
      ...none,
      position: "1",
    })
    await expect(storage().deliveries.list(acme, id, {}, { limit: 5, after: "x" })).rejects.toThrow(
      RangeError,
    )
  })

  test("those of one status are listed, over pages", async () => {
    const webhook = await addWebhook(storage())
    await tell(...Array.from({ length: 6 }, () => ({})))
    const claims = await claim()
    for (const [i, claimed] of claims.entries()) {
      if (i % 3 === 0) await settle(claimed)
      if (i % 3 === 1) await settle(claimed, failed)
    }
    const [a, b, c, d, e, f] = eventIds(claims)
    const found = async (status: Delivery["status"]) =>
      (await walk(webhook, 1, { status })).flat().map(({ event }) => event.id)
    expect(await found("delivered")).toEqual([d ?? "", a ?? ""])
    expect(await found("failed")).toEqual([e ?? "", b ?? ""])
    expect(await found("pending")).toEqual([f ?? "", c ?? ""])
  })

  test.each([delivered, failed])("the delivery of one event is made pending anew: %o", async (settled) => {
    const webhook = await addWebhook(storage())
    const [event, other] = await tell({}, {})
    const claims = await claim()
    for (const claimed of claims) await settle(claimed, settled)
    const before = await deliveriesOf(webhook)
    const id = event?.id ?? ""
    expect(await storage().deliveries.replay(acme, webhook.id, { eventId: id }, after(70))).toBe(1)
    const fresh = { status: "pending", attempts: 0, firstAttemptAt: null, dueAt: after(70) } as const
    const nothing = { completedAt: null, lastStatus: null, lastDetail: null }
    expect(await deliveriesOf(webhook)).toEqual(
      before.map((each) => (each.eventId === id ? { ...each, ...fresh, ...nothing } : each)),
    )
    expect(before.map(({ eventId }) => eventId)).toContain(other?.id ?? "")
    const again = await claimOne({ now: after(71) })
    expect(again.delivery).toMatchObject({ eventId: id, attempts: 1 })
    expect(again.delivery.firstAttemptAt).toEqual(after(71))
    // Who attempted it before the replay has no say over the new attempt.
    const old = claims.find((each) => each.event.id === id)
    if (old) expect(await settle(old, failed, after(72))).toBe(false)
    expect(await settle(again, delivered, after(73))).toBe(true)
  })

  test("one that is pending is only made due, and who is at it stays so", async () => {
    const webhook = await addWebhook(storage())
    const [event] = await tell({})
    const which = { eventId: event?.id ?? "" }
    await settle(await claimOne(), retry(after(50_000)))
    const [waiting] = await deliveriesOf(webhook)
    expect(await storage().deliveries.replay(acme, webhook.id, which, after(10))).toBe(1)
    expect(await deliveriesOf(webhook)).toEqual(waiting ? [{ ...waiting, dueAt: after(10) }] : [])
    const claimed = await claimOne({ now: after(11) })
    expect(await storage().deliveries.replay(acme, webhook.id, which, after(12))).toBe(1)
    expect(await claim({ now: after(13) })).toEqual([])
    expect(await settle(claimed, delivered, after(14))).toBe(true)
  })

  test("every failed one since a time is made pending anew, and no other", async () => {
    const webhook = await addWebhook(storage())
    const other = await addWebhook(storage())
    const events = await tell(...[0, 1, 2, 3, 4].map((ms) => ({ at: after(ms) })))
    for (const claimed of await claim()) {
      const i = events.findIndex(({ id }) => id === claimed.event.id)
      await settle(claimed, i === 3 ? delivered : i === 4 ? retry(after(50_000)) : failed)
    }
    expect(
      await storage().deliveries.replay(acme, webhook.id, { failedSince: after(1), limit: 1000 }, after(70)),
    ).toBe(2)
    const statuses = async (of: Webhook) => (await deliveriesOf(of)).map(({ status }) => status).toReversed()
    expect(await statuses(webhook)).toEqual(["failed", "pending", "pending", "delivered", "pending"])
    expect(await statuses(other)).toEqual(["failed", "failed", "failed", "delivered", "pending"])
    expect((await deliveriesOf(webhook, "pending")).map(({ dueAt }) => dueAt)).toEqual([
      after(50_000),
      after(70),
      after(70),
    ])
    expect(
      await storage().deliveries.replay(acme, webhook.id, { failedSince: after(1), limit: 1000 }, after(71)),
    ).toBe(0)
    expect((await now(webhook)).failures).toBe(1)
  })

  test("of many failed ones at most so many are made pending anew in one call, the oldest first", async () => {
    const webhook = await addWebhook(storage())
    const events = await tell({ type: "account.expiring" }, {}, {}, {}, {})
    for (const claimed of await claim()) await settle(claimed, failed)
    const replay = () =>
      storage().deliveries.replay(acme, webhook.id, { failedSince: noon, limit: 3 }, after(70))
    const pending = async () => (await deliveriesOf(webhook, "pending")).map(({ eventId }) => eventId)
    expect(await replay()).toBe(3)
    expect(await pending()).toEqual(
      events
        .slice(0, 3)
        .map(({ id }) => id)
        .toReversed(),
    )
    expect([await replay(), await replay()]).toEqual([2, 0])
    expect(await pending()).toHaveLength(5)
  })

  test("a replayed one goes out before the later ones of its account that still wait", async () => {
    const webhook = await addWebhook(storage())
    const accountId = anId("acc")
    const [first, second] = await tell({ accountId }, { accountId })
    await settle(await claimOne())
    await storage().deliveries.replay(acme, webhook.id, { eventId: first?.id ?? "" }, noon)
    expect(eventIds(await claim())).toEqual([first?.id ?? ""])
    for (const { eventId } of await deliveriesOf(webhook, "pending"))
      expect([first?.id, second?.id]).toContain(eventId)
  })

  test("a stranger sees and replays nothing", async () => {
    const webhook = await addWebhook(storage())
    const [event] = await tell({})
    await settle(await claimOne(), failed)
    const before = await deliveriesOf(webhook)
    for (const stranger of strangers) {
      const page = await storage().deliveries.list(stranger, webhook.id, {}, { limit: 9 })
      expect(page).toEqual({ items: [], position: null, more: false })
      const eventId = event?.id ?? ""
      expect(await storage().deliveries.replay(stranger, webhook.id, { eventId }, noon)).toBe(0)
      expect(
        await storage().deliveries.replay(stranger, webhook.id, { failedSince: noon, limit: 1000 }, noon),
      ).toBe(0)
    }
    expect(await deliveriesOf(webhook)).toEqual(before)
  })

  test("what is not there is not replayed", async () => {
    const [webhook, none] = [
      await addWebhook(storage()),
      await addWebhook(storage(), { events: ["webhook.disabled"] }),
    ]
    const [event] = await tell({})
    const eventId = event?.id ?? ""
    expect(await storage().deliveries.replay(acme, none.id, { eventId }, noon)).toBe(0)
    expect(await storage().deliveries.replay(acme, anId("wh"), { eventId }, noon)).toBe(0)
    expect(await storage().deliveries.replay(acme, webhook.id, { eventId: anId("evt") }, noon)).toBe(0)
    expect(
      await storage().deliveries.replay(acme, webhook.id, { failedSince: noon, limit: 1000 }, noon),
    ).toBe(0)
  })
}
