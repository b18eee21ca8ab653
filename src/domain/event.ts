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
  readonly reference: string | null
  readonly reason: OAuthErrorReason | null
  /** One sentence for a reader of the log, or null. */
  readonly detail: string | null
}

type EventSubject = Partial<
  Pick<
    DomainEvent,
    "provider" | "accountId" | "flowId" | "oauthAppId" | "apiKeyId" | "reference" | "reason" | "detail"
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
    reference: null,
    reason: null,
    detail: null,
    ...subject,
  }
}
