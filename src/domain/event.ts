import type { OAuthErrorReason } from "./oauth-error.ts"
import type { Actor, Owner } from "./owner.ts"
import type { ProviderName } from "./provider.ts"

export const eventTypes = [
  "account.connected",
  "account.reconnected",
  "account.updated",
  "account.expiring",
  "account.reauthorization_required",
  "account.disconnected",
  "connect.failed",
  "oauth_app.created",
  "oauth_app.updated",
  "oauth_app.deleted",
  "api_key.created",
  "api_key.revoked",
  "webhook.created",
  "webhook.updated",
  "webhook.deleted",
  "webhook.disabled",
] as const

export type EventType = (typeof eventTypes)[number]

/**
 * Something a tenant may later ask about, recorded by the same statement or transaction as the change it
 * tells of. Never carries a token or a secret.
 */
export interface DomainEvent extends Owner {
  readonly id: string
  readonly type: EventType
  readonly at: Date
  readonly actor: Actor
  readonly provider: ProviderName | null
  readonly accountId: string | null
  readonly flowId: string | null
  readonly oauthAppId: string | null
  readonly apiKeyId: string | null
  readonly webhookId: string | null
  readonly reference: string | null
  readonly reason: OAuthErrorReason | null
  /** One sentence for a reader of the log, or null. */
  readonly detail: string | null
}

type EventSubject = Partial<
  Pick<
    DomainEvent,
    | "provider"
    | "accountId"
    | "flowId"
    | "oauthAppId"
    | "apiKeyId"
    | "webhookId"
    | "reference"
    | "reason"
    | "detail"
  >
>

export function newEvent(
  head: {
    readonly id: string
    readonly type: EventType
    readonly at: Date
    readonly actor: Actor
    readonly owner: Owner
  },
  subject: EventSubject = {},
): DomainEvent {
  return {
    id: head.id,
    type: head.type,
    at: head.at,
    actor: head.actor,
    tenant: head.owner.tenant,
    environment: head.owner.environment,
    provider: null,
    accountId: null,
    flowId: null,
    oauthAppId: null,
    apiKeyId: null,
    webhookId: null,
    reference: null,
    reason: null,
    detail: null,
    ...subject,
  }
}

/** Every way to name a type in a filter or a subscription: itself, its group (`account.*`), and all (`*`). */
export function patternsOf(type: EventType): readonly string[] {
  return [type, `${type.slice(0, type.indexOf("."))}.*`, "*"]
}

/** What a filter or a subscription may say. */
export const eventPatterns: readonly string[] = [...new Set(eventTypes.flatMap(patternsOf))].sort()

/** The types that a list of patterns names, in the order of {@link eventTypes}. */
export function typesNamedBy(patterns: readonly string[]): readonly EventType[] {
  return eventTypes.filter((type) => patternsOf(type).some((pattern) => patterns.includes(pattern)))
}

/** Events with the same key are delivered in order: those of one account, or else of one flow, key, webhook or app. */
export function orderKeyOf(
  event: Pick<DomainEvent, "id" | "accountId" | "flowId" | "oauthAppId" | "apiKeyId" | "webhookId">,
): string {
  return event.accountId ?? event.flowId ?? event.apiKeyId ?? event.webhookId ?? event.oauthAppId ?? event.id
}
