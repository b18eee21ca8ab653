import { expect } from "bun:test"
import { type Arbitrary, boolean, constant, constantFrom, integer, oneof, record } from "fast-check"
import type { DomainEvent, EventType } from "../../src/domain/event.ts"
import type { SettledAttempt, Webhook } from "../../src/domain/webhook.ts"
import type { ClaimedDelivery, Storage } from "../../src/ports/storage.ts"
import { addWebhook, after, aKey, anEvent } from "../support/storage-fixtures.ts"

type End = SettledAttempt["kind"]

/** What the world, the receivers, the tenant, or time may do next. */
export type Step =
  | { readonly do: "happen"; readonly account: number; readonly type: EventType }
  | { readonly do: "fan out"; readonly limit: number }
  | { readonly do: "claim"; readonly limit: number; readonly perWebhook: number; readonly leaseMs: number }
  | {
      readonly do: "settle"
      readonly claim: number
      readonly end: End
      readonly ms: number
      readonly holds: boolean
    }
  | { readonly do: "replay"; readonly webhook: number; readonly event: number }
  | { readonly do: "replay failed"; readonly webhook: number; readonly agoMs: number }
  | { readonly do: "switch"; readonly webhook: number; readonly on: boolean }
  | { readonly do: "forget"; readonly agoMs: number }
  | { readonly do: "wait"; readonly ms: number }

/** A receiver that has been failing for so long was down. */
const downAfterMs = 5 * 60_000

const upTo = (max: number, min = 0) => integer({ min, max })
const types = constantFrom<EventType>("account.connected", "account.updated", "connect.failed")
const ends = constantFrom<End>("delivered", "failed", "retry", "disabled")

export const someStep: Arbitrary<Step> = oneof(
  { arbitrary: record({ do: constant("happen" as const), account: upTo(2), type: types }), weight: 5 },
  { arbitrary: record({ do: constant("fan out" as const), limit: upTo(3, 1) }), weight: 4 },
  {
    arbitrary: record({
      do: constant("claim" as const),
      limit: upTo(4, 1),
      perWebhook: upTo(3, 1),
      leaseMs: upTo(9, 1),
    }),
    weight: 6,
  },
  {
    arbitrary: record({
      do: constant("settle" as const),
      claim: upTo(5),
      end: ends,
      ms: upTo(6),
      holds: boolean(),
    }),
    weight: 8,
  },
  { arbitrary: record({ do: constant("replay" as const), webhook: upTo(1), event: upTo(9) }), weight: 2 },
  {
    arbitrary: record({ do: constant("replay failed" as const), webhook: upTo(1), agoMs: upTo(20) }),
    weight: 1,
  },
  { arbitrary: record({ do: constant("switch" as const), webhook: upTo(1), on: boolean() }), weight: 2 },
  { arbitrary: record({ do: constant("forget" as const), agoMs: upTo(20) }), weight: 1 },
  { arbitrary: record({ do: constant("wait" as const), ms: upTo(8, 1) }), weight: 4 },
  { arbitrary: record({ do: constant("wait" as const), ms: constant(downAfterMs) }), weight: 1 },
)

interface Told {
  readonly id: string
  readonly at: number
  readonly orderKey: string
  readonly type: EventType
}

interface Row {
  readonly event: Told
  status: "pending" | "delivered" | "failed"
  attempts: number
  first: number | null
  due: number
  completed: number | null
  leaseEnd: number
}

/** One of two webhooks: the first wants every event that the steps make, the second those of accounts. */
interface Receiver {
  readonly webhook: Webhook
  readonly wants: (type: EventType) => boolean
  enabled: boolean
  failing: number | null
  hold: number | null
  failures: number
  /** In the order of their events. */
  rows: Row[]
}

/** A tenant of a storage and beside it what must become of its deliveries. */
export async function deliveriesModel(storage: Storage): Promise<{
  take(step: Step): Promise<void>
  end(): Promise<void>
}> {
  const owner = { tenant: crypto.randomUUID(), environment: "live" } as const
  const accounts = [0, 1, 2].map(() => crypto.randomUUID())
  const receiver = async (events: readonly string[], wants: Receiver["wants"]): Promise<Receiver> => ({
    webhook: await addWebhook(storage, { ...owner, events }),
    wants,
    enabled: true,
    failing: null,
    hold: null,
    failures: 0,
    rows: [],
  })
  const receivers = [
    await receiver(["account.*", "connect.*", "webhook.updated", "webhook.disabled"], () => true),
    await receiver(["account.*"], (type) => type.startsWith("account.")),
  ] as const
  while ((await storage.deliveries.fanOut(after(0), 100)) > 0) {}
  let now = 0
  let unsent: Told[] = []
  let events: Told[] = []
  const claims: {
    readonly claimed: ClaimedDelivery
    readonly receiver: Receiver
    readonly row: Row
    over: boolean
  }[] = []

  const newEvent = (type: EventType, accountId: string | null = null) =>
    anEvent({ ...owner, at: after(now), type, accountId })

  function happened({ id, accountId, type }: DomainEvent): void {
    const told = { id, at: now, orderKey: accountId ?? id, type }
    events.push(told)
    unsent.push(told)
  }

  async function happen(account: number, type: EventType): Promise<void> {
    const event = newEvent(type, accounts[account] ?? null)
    await storage.keys.add(aKey(owner), event)
    happened(event)
  }

  async function fanOut(limit: number): Promise<void> {
    const taken = unsent.slice(0, limit)
    expect(await storage.deliveries.fanOut(after(now), limit)).toBe(taken.length)
    unsent = unsent.slice(limit)
    for (const event of taken) {
      for (const { wants, rows } of receivers) {
        const fresh = { attempts: 0, first: null, due: now, completed: null, leaseEnd: 0 }
        if (wants(event.type)) rows.push({ event, status: "pending", ...fresh })
      }
    }
  }

  const isLeased = (row: Row) => row.status === "pending" && row.leaseEnd > now
  const mayGo = ({ enabled, hold, rows }: Receiver) =>
    rows.filter(
      (row, i) =>
        enabled &&
        (hold === null || hold <= now) &&
        row.status === "pending" &&
        row.due <= now &&
        !isLeased(row) &&
        !rows
          .slice(0, i)
          .some((older) => older.status === "pending" && older.event.orderKey === row.event.orderKey),
    )

  async function claim(limit: number, perWebhook: number, leaseMs: number): Promise<void> {
    const until = after(now + leaseMs)
    const may = receivers.map((each) => {
      const room = Math.max(0, perWebhook - each.rows.filter(isLeased).length)
      return mayGo(each)
        .sort((a, b) => a.due - b.due)
        .slice(0, room)
    })
    const longestDue = may
      .flat()
      .map(({ due }) => due)
      .sort((a, b) => a - b)
    const got = await storage.deliveries.claimDue({ now: after(now), until, limit, perWebhook })
    // Of those that are due for equally long any may come.
    expect(got.map(({ delivery }) => delivery.dueAt)).toEqual(
      longestDue.slice(0, limit).map((due) => after(due)),
    )
    for (const claimed of got) {
      const receiver = receivers.find(({ webhook }) => webhook.id === claimed.webhook.id)
      const row = receiver && mayGo(receiver).find(({ event }) => event.id === claimed.event.id)
      if (!receiver || !row) throw new Error("what was claimed may not go")
      row.attempts++
      row.first ??= now
      row.leaseEnd = now + leaseMs
      for (const each of claims) if (each.row === row) each.over = true
      claims.push({ claimed, receiver, row, over: false })
    }
  }

  async function settle(step: Step & { do: "settle" }): Promise<void> {
    const held = claims.at(-1 - step.claim)
    if (!held) return
    const { claimed, receiver, row } = held
    const event = newEvent("webhook.disabled")
    const answer = { status: 500, detail: "made up" }
    const settled: Readonly<Record<End, SettledAttempt>> = {
      delivered: { kind: "delivered", status: 204 },
      failed: { kind: "failed", ...answer },
      retry: {
        kind: "retry",
        ...answer,
        dueAt: after(now + step.ms),
        holdUntil: step.holds ? after(now + step.ms) : null,
      },
      disabled: {
        kind: "disabled",
        ...answer,
        reason: "made up",
        // Judged by what the webhook was when it was claimed, or by nothing.
        since: step.holds ? claimed.webhook.failingSince : null,
        dueAt: after(now + step.ms),
        holdUntil: after(now + step.ms),
        event,
      },
    }
    expect(await storage.deliveries.settle(claimed, settled[step.end], after(now))).toBe(!held.over)
    if (held.over) return
    for (const each of claims) if (each.row === row) each.over = true
    row.leaseEnd = 0
    if (step.end === "delivered" || step.end === "failed") {
      row.status = step.end
      row.completed = now
    }
    if (step.end === "delivered") {
      if (receiver.failing !== null && now - receiver.failing >= downAfterMs)
        for (const each of receiver.rows) if (each.status === "pending") each.due = Math.min(each.due, now)
      Object.assign(receiver, { failing: null, hold: null, failures: 0 })
      return
    }
    const judgedSince = claimed.webhook.failingSince?.getTime()
    const isOutdated =
      step.end === "disabled" &&
      step.holds &&
      judgedSince !== undefined &&
      judgedSince !== date(receiver.failing)?.getTime()
    receiver.failures++
    receiver.failing ??= now
    if (step.end === "retry" || isOutdated) {
      row.due = now + step.ms
      if (step.holds) receiver.hold = now + step.ms
    }
    if (step.end === "disabled" && !isOutdated && receiver.enabled) {
      receiver.enabled = false
      happened(event)
    }
  }

  function restart(row: Row): void {
    if (row.status === "pending") row.due = Math.min(row.due, now)
    else Object.assign(row, { status: "pending", attempts: 0, first: null, due: now, completed: null })
  }

  async function replay(receiver: Receiver, eventId: string): Promise<void> {
    const rows = receiver.rows.filter(({ event }) => event.id === eventId)
    const count = await storage.deliveries.replay(owner, receiver.webhook.id, { eventId }, after(now))
    expect(count).toBe(rows.length)
    rows.forEach(restart)
  }

  async function replayFailed(receiver: Receiver, since: number): Promise<void> {
    const rows = receiver.rows.filter(({ status, event }) => status === "failed" && event.at >= since)
    const which = { failedSince: after(since), limit: 1000 }
    expect(await storage.deliveries.replay(owner, receiver.webhook.id, which, after(now))).toBe(rows.length)
    rows.forEach(restart)
  }

  async function turn(receiver: Receiver, on: boolean): Promise<void> {
    const event = newEvent("webhook.updated")
    await storage.webhooks.change(owner, receiver.webhook.id, { enabled: on, updatedAt: after(now) }, event)
    receiver.enabled = on
    happened(event)
    if (!on) return
    for (const row of receiver.rows.filter(({ status }) => status === "pending")) {
      Object.assign(row, { attempts: 0, first: null, due: now, leaseEnd: 0 })
      for (const each of claims) if (each.row === row) each.over = true
    }
  }

  async function forget(before: number): Promise<void> {
    const isPending = (event: Told) =>
      receivers.some(
        ({ enabled, rows }) => enabled && rows.some((row) => row.event === event && row.status === "pending"),
      )
    const gone = events.filter((event) => event.at < before && !unsent.includes(event) && !isPending(event))
    // Each run begins with two webhooks, whose own events are older than everything.
    expect(await storage.events.prune(after(before), 1000)).toBeGreaterThanOrEqual(gone.length)
    events = events.filter((event) => !gone.includes(event))
    for (const receiver of receivers)
      receiver.rows = receiver.rows.filter(({ event }) => !gone.includes(event))
    for (const each of claims) if (gone.includes(each.row.event)) each.over = true
  }

  async function take(step: Step): Promise<void> {
    switch (step.do) {
      case "happen":
        return await happen(step.account, step.type)
      case "fan out":
        return await fanOut(step.limit)
      case "claim":
        return await claim(step.limit, step.perWebhook, step.leaseMs)
      case "settle":
        return await settle(step)
      case "replay":
        now++ // no attempt ends, is replayed and begun again within one millisecond
        return await replay(receivers[step.webhook] ?? receivers[0], events[step.event]?.id ?? "evt_none")
      case "replay failed":
        now++
        return await replayFailed(receivers[step.webhook] ?? receivers[0], now - step.agoMs)
      case "switch":
        now++ // nor is a webhook switched on in between
        return await turn(receivers[step.webhook] ?? receivers[0], step.on)
      case "forget":
        return await forget(now - step.agoMs)
      case "wait":
        now += step.ms
    }
  }

  const date = (ms: number | null) => (ms === null ? null : after(ms))

  async function compare(): Promise<void> {
    for (const { webhook, enabled, failing, hold, failures, rows } of receivers) {
      const kept = await storage.webhooks.find(owner, webhook.id)
      expect([kept?.enabled, kept?.failingSince, kept?.holdUntil, kept?.failures]).toEqual([
        enabled,
        date(failing),
        date(hold),
        failures,
      ])
      const { items } = await storage.deliveries.list(owner, webhook.id, {}, { limit: 1000 })
      expect(
        items.map(({ delivery: { eventId, status, attempts, firstAttemptAt, dueAt, completedAt } }) => [
          eventId,
          status,
          attempts,
          firstAttemptAt,
          dueAt,
          completedAt,
        ]),
      ).toEqual(
        rows
          .toReversed()
          .map(({ event, status, attempts, first, due, completed }) => [
            event.id,
            status,
            attempts,
            date(first),
            after(due),
            date(completed),
          ]),
      )
    }
  }

  return {
    async take(step) {
      await take(step)
      await compare()
    },
    /** Leaves nothing that another tenant's claims would meet. */
    async end() {
      for (const { webhook } of receivers)
        await storage.webhooks.remove(owner, webhook.id, anEvent({ ...owner, at: after(0) }))
      while ((await storage.deliveries.fanOut(after(now), 100)) > 0) {}
    },
  }
}
