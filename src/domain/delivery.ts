import { type DomainEvent, orderKeyOf, patternsOf } from "./event.ts"
import type { Delivery, SettledAttempt, Webhook } from "./webhook.ts"

/** What the stores must do alike with deliveries. */

/** Whether a webhook is told of an event of its owner, be it switched on or not. */
export function isToldOf(
  webhook: Pick<Webhook, "events" | "createdAt">,
  event: Pick<DomainEvent, "type" | "at">,
): boolean {
  return (
    webhook.createdAt <= event.at &&
    patternsOf(event.type).some((pattern) => webhook.events.includes(pattern))
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

/** Whether a settled attempt switches its webhook off: somebody may have done it before. */
export function switchesOff(
  webhook: Pick<Webhook, "enabled">,
  settled: SettledAttempt,
): settled is SettledAttempt & { kind: "disabled" } {
  return settled.kind === "disabled" && webhook.enabled
}
