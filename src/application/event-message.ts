import type { DomainEvent } from "../domain/event.ts"

/** What a tenant is shown of an event, by the events API and by webhooks alike; nothing else of it ever leaves. */
export function eventFields(event: DomainEvent) {
  return {
    id: event.id,
    environment: event.environment,
    actor: event.actor,
    provider: event.provider,
    account_id: event.accountId,
    flow_id: event.flowId,
    oauth_app_id: event.oauthAppId,
    api_key_id: event.apiKeyId,
    webhook_id: event.webhookId,
    reference: event.reference,
    reason: event.reason,
    detail: event.detail,
  }
}

export type EventFields = ReturnType<typeof eventFields>

/** The body of a webhook's request, by Standard Webhooks 1.0: `type`, `timestamp` and `data`. */
export function eventMessage(type: string, at: Date, data: EventFields): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data })
}
