import { type DomainEvent, orderKeyOf, patternsOf } from "./event.ts"
import type { Placed } from "./place.ts"
import type { Delivery, SettledAttempt, Webhook } from "./webhook.ts"

/** What the stores must do alike with deliveries. */

/**
 * Whether a webhook is told of an event of its owner, be it switched on or not. `firstPlace` is that of its own
 * `webhook.created`, since instances' clocks differ; 0 where that was pruned, after which come only newer ones.
 */
export function isToldOf(
  webhook: Pick<Webhook, "events">,
  firstPlace: number,
  event: Placed<Pick<DomainEvent, "type">>,
): boolean {
  return (
    firstPlace <= event.place &&
    patternsOf(event.item.type).some((pattern) => webhook.events.includes(pattern))
  )
}

export function newDelivery(webhook: Pick<Webhook, "id">, event: DomainEvent, now: Date): Delivery {
  return {
    webhookId: webhook.id,
    eventId: event.id,
    orderKey: orderKeyOf(event),
    ...startedAnew(now),
    createdAt: now,
  }
}

/** What a delivery that is made, or made pending again, begins with. */
export function startedAnew(now: Date): Omit<Delivery, "webhookId" | "eventId" | "orderKey" | "createdAt"> {
  return {
    status: "pending",
    attempts: 0,
    firstAttemptAt: null,
    dueAt: now,
    completedAt: null,
    lastStatus: null,
    lastDetail: null,
  }
}

/** Whether a change makes what waits for a webhook start anew: it has another address, or is switched on. */
export function isMended(change: Partial<Pick<Webhook, "url" | "enabled">>): boolean {
  return change.url !== undefined || change.enabled === true
}

/** What each pending delivery of a mended webhook becomes; an attempt that is under way no longer counts. */
export function waitingAnew(now: Date): Pick<Delivery, "attempts" | "firstAttemptAt" | "dueAt"> {
  return { attempts: 0, firstAttemptAt: null, dueAt: now }
}

/**
 * How an attempt ended, by the webhook as it is now: where it has not been failing since the time by which it was to
 * be switched off, somebody got through meanwhile, and this attempt is one to be made again.
 */
export function judgedAnew(webhook: Pick<Webhook, "failingSince">, settled: SettledAttempt): SettledAttempt {
  if (settled.kind !== "disabled" || settled.since === null) return settled
  if (webhook.failingSince?.getTime() === settled.since.getTime()) return settled
  const { dueAt, holdUntil, status, detail } = settled
  return { kind: "retry", dueAt, holdUntil, status, detail }
}

/** What a settled attempt changes of its delivery. */
export function settledDelivery(settled: SettledAttempt, now: Date): Partial<Delivery> {
  switch (settled.kind) {
    case "delivered":
      return { status: "delivered", completedAt: now, lastStatus: settled.status, lastDetail: null }
    case "failed":
      return { status: "failed", completedAt: now, lastStatus: settled.status, lastDetail: settled.detail }
    case "retry":
      return { dueAt: settled.dueAt, lastStatus: settled.status, lastDetail: settled.detail }
    case "disabled":
      return { lastStatus: settled.status, lastDetail: settled.detail }
  }
}

/** What a settled attempt changes of its webhook. */
export function settledWebhook(webhook: Webhook, settled: SettledAttempt, now: Date): Partial<Webhook> {
  if (settled.kind === "delivered") return { failingSince: null, holdUntil: null, failures: 0 }
  const failing = { failingSince: webhook.failingSince ?? now, failures: webhook.failures + 1 }
  if (settled.kind === "retry" && settled.holdUntil) return { ...failing, holdUntil: settled.holdUntil }
  if (!switchesOff(webhook, settled)) return failing
  return { ...failing, enabled: false, disabledReason: settled.reason, updatedAt: now }
}

const downAfterMs = 5 * 60_000

/**
 * Whether a receiver that now takes an event was down before, so that what waits for it is sent at once. One event
 * that it never takes is no sign of that: others clear `failingSince` soon, and each success would try it again.
 */
export function wasDown(webhook: Pick<Webhook, "failingSince">, now: Date): boolean {
  return webhook.failingSince !== null && now.getTime() - webhook.failingSince.getTime() >= downAfterMs
}

/** Whether an attempt's end switches its webhook off: somebody may have done it before. */
export function switchesOff(
  webhook: Pick<Webhook, "enabled">,
  settled: SettledAttempt,
): settled is SettledAttempt & { kind: "disabled" } {
  return settled.kind === "disabled" && webhook.enabled
}
