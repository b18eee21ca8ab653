import { isId } from "./id.ts"
import type { OAuthAppOptions } from "./oauth-app.ts"
import type { OAuthErrorReason, ProviderEvidence } from "./oauth-error.ts"
import type { Owner } from "./owner.ts"
import type { ProviderName } from "./provider.ts"
import type { ReturnUrl } from "./return-url-policy.ts"
import type { Sealed } from "./sealed.ts"

/** How long a person may take on the provider's pages (RFC 9700 section 4.7: short; ten minutes is the field's usage). */
export const flowLifetimeMs = 10 * 60_000

/** After this an exchange that has not reported is taken for dead: twice what a callback may last. */
export const exchangeLimitMs = 30_000

/**
 * `exchanging` and `choosing` (among several accounts) are inner: to a tenant such a flow is still `pending`.
 * Stored status lags behind the clock, so readers ask {@link flowStatus}.
 */
export type StoredFlowStatus = "pending" | "exchanging" | "choosing" | "connected" | "failed" | "expired"
export type FlowStatus = Exclude<StoredFlowStatus, "exchanging" | "choosing">

/** One attempt to connect one person's account, from `start` to its recorded outcome. */
export interface ConnectFlow extends Owner {
  readonly id: string
  readonly provider: ProviderName
  /** Null for the sandbox's built-in app. */
  readonly oauthAppId: string | null
  readonly redirectUri: string
  readonly scopes: readonly string[]
  /** As they were at start, so that an app edited in mid-flow cannot move a live flow. */
  readonly options: OAuthAppOptions
  readonly returnUrl: ReturnUrl | null
  readonly reference: string | null
  /** The account to reconnect; any other that comes back is a mismatch. */
  readonly reconnectAccountId: string | null
  readonly codeVerifier: Sealed | null
  /** Whether the person, or the tenant, chooses among several accounts before any is stored. */
  readonly select: boolean
  readonly startedBy: string
  readonly status: StoredFlowStatus
  readonly failure: FlowFailure | null
  readonly accountIds: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly takenAt: Date | null
  readonly completedAt: Date | null
}

export interface FlowFailure {
  readonly reason: OAuthErrorReason
  /** One sentence with the remedy. */
  readonly detail: string
  readonly evidence: ProviderEvidence | null
}

export type NewFlow = Pick<
  ConnectFlow,
  | "tenant"
  | "environment"
  | "provider"
  | "oauthAppId"
  | "redirectUri"
  | "scopes"
  | "options"
  | "returnUrl"
  | "reference"
  | "reconnectAccountId"
  | "codeVerifier"
  | "select"
  | "startedBy"
> & { readonly id: string }

export function openFlow(flow: NewFlow, now: Date): ConnectFlow {
  return {
    ...flow,
    status: "pending",
    failure: null,
    accountIds: [],
    createdAt: now,
    expiresAt: new Date(now.getTime() + flowLifetimeMs),
    takenAt: null,
    completedAt: null,
  }
}

/** At its expiry a flow has expired: the boundary belongs to the refusal. */
export function hasExpired(flow: Pick<ConnectFlow, "expiresAt">, now: Date): boolean {
  return now.getTime() >= flow.expiresAt.getTime()
}

/** Whether the process that took the flow must be dead, since it would have reported by now. */
export function exchangeWasLost(flow: Pick<ConnectFlow, "status" | "takenAt">, now: Date): boolean {
  return (
    flow.status === "exchanging" &&
    flow.takenAt !== null &&
    now.getTime() >= flow.takenAt.getTime() + exchangeLimitMs
  )
}

/** How a flow ends that nobody will end any more, by the status it was left in. One that has ended stays as it is. */
export const abandonedAs = {
  pending: "expired",
  choosing: "expired",
  exchanging: "failed",
  connected: undefined,
  failed: undefined,
  expired: undefined,
} as const satisfies Record<StoredFlowStatus, FlowStatus | undefined>

/** What a tenant sees at this moment, whether or not the sweep has written it down yet. */
export function flowStatus(flow: ConnectFlow, now: Date): FlowStatus {
  if (flow.status === "exchanging") return exchangeWasLost(flow, now) ? abandonedAs.exchanging : "pending"
  if (flow.status === "choosing" || flow.status === "pending")
    return hasExpired(flow, now) ? abandonedAs[flow.status] : "pending"
  return flow.status
}

/**
 * The signed text that travels through the browser: the flow's id, its expiry and a MAC over both and the
 * provider, so that a forged, foreign or expired state is refused before any storage is touched.
 */
export interface StateParts {
  readonly flowId: string
  readonly expiresAt: Date
  readonly mac: string
}

export const maxStateCharacters = 128

export function stateMessage(provider: ProviderName, flowId: string, expiresAt: Date): string {
  return `${provider}.${flowId}.${expiresAt.getTime()}`
}

export function formatState(parts: StateParts): string {
  return `${parts.flowId.slice("flow_".length)}.${parts.expiresAt.getTime().toString(36)}.${parts.mac}`
}

/** Milliseconds in base 36: eight characters until May 2059, nine until the year 5188. */
const expiryPattern = /^(?:0|[1-9a-z][0-9a-z]{0,8})$/

/** 256 bits in base64url. Only some characters can be last: the rest would be second spellings of the same MAC. */
const macPattern = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** Undefined for anything that {@link formatState} could not have written. Says nothing about authenticity. */
export function parseState(text: string): StateParts | undefined {
  if (text.length > maxStateCharacters) return undefined
  const [body = "", expiry = "", mac = "", ...rest] = text.split(".")
  const flowId = `flow_${body}`
  if (rest.length > 0 || !isId("flow", flowId)) return undefined
  if (!expiryPattern.test(expiry) || !macPattern.test(mac)) return undefined
  return { flowId, expiresAt: new Date(Number.parseInt(expiry, 36)), mac }
}
