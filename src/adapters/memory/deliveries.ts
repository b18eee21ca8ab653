import { exactText, storable } from "../../domain/account-search.ts"
import {
  isToldOf,
  judgedAnew,
  newDelivery,
  settledDelivery,
  settledWebhook,
  startedAnew,
  switchesOff,
  wasDown,
} from "../../domain/delivery.ts"
import type { DomainEvent } from "../../domain/event.ts"
import { pageOf, placeIn } from "../../domain/place.ts"
import type { Webhook } from "../../domain/webhook.ts"
import type { Deliveries } from "../../ports/storage.ts"
import { type Changes, type KeptDelivery, kept, type Memory, own, ownedBy } from "./tables.ts"

export function memoryDeliveries({ tables, placeOf, read, write }: Memory): Deliveries {
  const all = () => [...tables.deliveries.values()]
  const find = (eventId: string, webhookId: string) =>
    tables.deliveries.get(keyOf({ eventId: exactText(eventId), webhookId: exactText(webhookId) }))

  function change(changes: Changes, row: KeptDelivery, to: Partial<KeptDelivery>): KeptDelivery {
    const changed = storable({ ...row, ...to })
    changes.put(tables.deliveries, keyOf(row.delivery), changed)
    return changed
  }

  function makeFor(changes: Changes, event: DomainEvent, now: Date): void {
    const isOwn = ownedBy(event)
    const place = placeOf(event)
    for (const webhook of tables.webhooks.values()) {
      if (!isOwn(webhook) || !isToldOf(webhook, firstPlace(webhook), { item: event, place })) continue
      const delivery = storable(newDelivery(webhook, event, now))
      changes.insert(tables.deliveries, keyOf(delivery), { delivery, place, leaseUntil: null })
    }
  }

  function firstPlace({ id }: Webhook): number {
    for (const event of tables.events.values())
      if (event.type === "webhook.created" && event.webhookId === id) return placeOf(event)
    return 0
  }

  function hurry(changes: Changes, webhookId: string, now: Date): void {
    for (const row of all()) {
      const { delivery } = row
      if (delivery.webhookId === webhookId && delivery.status === "pending" && delivery.dueAt > now)
        change(changes, row, { delivery: { ...delivery, dueAt: now } })
    }
  }

  /** Undefined where the webhook is off, held back, or gone. */
  function findOpen(webhookId: string, now: Date): Webhook | undefined {
    const webhook = tables.webhooks.get(webhookId)
    if (!webhook?.enabled || (webhook.holdUntil !== null && webhook.holdUntil > now)) return undefined
    return webhook
  }

  return {
    fanOut: (now, limit) =>
      write((changes) => {
        const done = tables.fanOut.get("place") ?? 0
        const events = [...tables.events.values()].filter((event) => placeOf(event) > done).slice(0, limit)
        for (const event of events) makeFor(changes, event, now)
        const last = events.at(-1)
        if (last) changes.put(tables.fanOut, "place", placeOf(last))
        return events.length
      }),

    claimDue: ({ now, until, limit, perWebhook }) =>
      write((changes) => {
        const pending = all().filter(({ delivery }) => delivery.status === "pending")
        const open = pending.filter(({ delivery }) => findOpen(delivery.webhookId, now))
        const due = open.filter((row) => row.delivery.dueAt <= now && !isLeased(row, now))
        const heads = new Set(oldestOfEach(pending))
        const leased = pending.filter((row) => isLeased(row, now))
        const taken = counted(leased, ({ delivery }) => delivery.webhookId)
        const ownerOf = (row: KeptDelivery) => {
          const { tenant, environment } = whole(row).webhook
          return `${environment} ${tenant}`
        }
        const ofOwner = counted(leased, ownerOf)
        const busy = (row: KeptDelivery) => ofOwner.get(ownerOf(row)) ?? 0
        return due
          .filter((row) => heads.has(row))
          .sort((a, b) => busy(a) - busy(b) || longestDueFirst(a, b))
          .filter(({ delivery: { webhookId } }) => {
            const before = taken.get(webhookId) ?? 0
            taken.set(webhookId, before + 1)
            return before < perWebhook
          })
          .slice(0, limit)
          .map((row) => {
            const { attempts, firstAttemptAt } = row.delivery
            const begun = { attempts: attempts + 1, firstAttemptAt: firstAttemptAt ?? now }
            const delivery = { ...row.delivery, ...begun }
            return whole(change(changes, row, { delivery, leaseUntil: until }))
          })
      }),

    settle: (claimed, settled, now) =>
      write((changes) => {
        const row = find(claimed.delivery.eventId, claimed.delivery.webhookId)
        if (!row || !isSameClaim(row, claimed.delivery)) return false
        const { webhook } = whole(row)
        const end = judgedAnew(webhook, settled)
        const delivery = { ...row.delivery, ...settledDelivery(end, now) }
        change(changes, row, { delivery, leaseUntil: null })
        changes.put(tables.webhooks, webhook.id, kept({ ...webhook, ...settledWebhook(webhook, end, now) }))
        if (end.kind === "delivered" && wasDown(webhook, now)) hurry(changes, webhook.id, now)
        if (switchesOff(webhook, end)) changes.insert(tables.events, end.event.id, kept(end.event))
        return true
      }),

    list: (owner, webhookId, { status }, page) =>
      read(() => {
        const webhook = own(owner, tables.webhooks.get(exactText(webhookId)))
        const before = page.after === undefined ? Infinity : placeIn(page.after)
        const found = all()
          .filter(({ delivery, place }) => delivery.webhookId === webhook?.id && place < before)
          .filter(({ delivery }) => status === undefined || delivery.status === status)
          .sort((a, b) => b.place - a.place)
          .slice(0, page.limit + 1)
        return pageOf(
          found.map((row) => ({
            item: { delivery: row.delivery, event: whole(row).event },
            place: row.place,
          })),
          page,
        )
      }),

    replay: (owner, webhookId, which, now) =>
      write((changes) => {
        const webhook = own(owner, tables.webhooks.get(exactText(webhookId)))
        const asked =
          "eventId" in which
            ? [find(which.eventId, webhookId)].filter((row) => row !== undefined)
            : all()
                .filter((row) => row.delivery.status === "failed" && whole(row).event.at >= which.failedSince)
                .sort((a, b) => a.place - b.place)
        const ofWebhook = asked.filter(({ delivery }) => delivery.webhookId === webhook?.id)
        const chosen = "limit" in which ? ofWebhook.slice(0, which.limit) : ofWebhook
        for (const row of chosen) change(changes, row, { delivery: replayed(row, now) })
        return chosen.length
      }),
  }

  function whole({ delivery }: KeptDelivery) {
    const webhook = tables.webhooks.get(delivery.webhookId)
    const event = tables.events.get(delivery.eventId)
    if (!webhook || !event) throw new Error("A delivery outlived its webhook or its event.")
    return { delivery, webhook, event }
  }
}

function keyOf({ eventId, webhookId }: { readonly eventId: string; readonly webhookId: string }): string {
  return `${eventId} ${webhookId}`
}

/** A lease lives until its end and not at it. */
function isLeased({ leaseUntil }: KeptDelivery, now: Date): boolean {
  return leaseUntil !== null && leaseUntil > now
}

function isSameClaim({ delivery, leaseUntil }: KeptDelivery, claimed: KeptDelivery["delivery"]): boolean {
  return (
    leaseUntil !== null &&
    delivery.attempts === claimed.attempts &&
    delivery.firstAttemptAt?.getTime() === claimed.firstAttemptAt?.getTime()
  )
}

function counted<Row>(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, number> {
  return new Map([...Map.groupBy(rows, keyOf)].map(([key, { length }]) => [key, length]))
}

/** Of each webhook and order key the oldest. */
function oldestOfEach(pending: readonly KeptDelivery[]): readonly KeptDelivery[] {
  const oldest = new Map<string, KeptDelivery>()
  for (const row of pending) {
    const line = `${row.delivery.webhookId} ${row.delivery.orderKey}`
    if (row.place < (oldest.get(line)?.place ?? Infinity)) oldest.set(line, row)
  }
  return [...oldest.values()]
}

function longestDueFirst(a: KeptDelivery, b: KeptDelivery): number {
  return a.delivery.dueAt.getTime() - b.delivery.dueAt.getTime() || a.place - b.place
}

/** A pending one is only made due: somebody may be at it. */
function replayed({ delivery }: KeptDelivery, now: Date): KeptDelivery["delivery"] {
  if (delivery.status !== "pending") return { ...delivery, ...startedAnew(now) }
  return delivery.dueAt > now ? { ...delivery, dueAt: now } : delivery
}
