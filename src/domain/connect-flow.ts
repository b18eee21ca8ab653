import { isId } from "./id.ts"
import type { OAuthAppOptions } from "./oauth-app.ts"
import { type OAuthErrorReason, type ProviderCall, type ProviderEvidence, remedy } from "./oauth-error.ts"
import type { Owner } from "./owner.ts"
import type { ProviderName } from "./provider.ts"
import type { ReturnUrl } from "./return-url-policy.ts"
import type { Sealed } from "./sealed.ts"

/** How long a person may take on the provider's pages (RFC 9700 section 4.7: short; ten minutes is the field's usage). */
export const flowLifetimeMs = 10 * 60_000

/** How long a tenant may take to confirm a connect that asked for proof, from the person's return on. */
export const confirmLifetimeMs = 10 * 60_000

/** After this an exchange that has not reported is taken for dead: twice what a callback may last. */
export const exchangeLimitMs = 30_000

/**
 * `exchanging`, `choosing` (among several accounts) and `confirming` (proof was asked for and is awaited) are
 * inner: to a tenant such a flow is still `pending`. Stored status lags behind the clock, so readers ask
 * {@link flowStatus}.
 */
export type StoredFlowStatus =
  | "pending"
  | "exchanging"
  | "choosing"
  | "confirming"
  | "connected"
  | "failed"
  | "expired"
export type FlowStatus = Exclude<StoredFlowStatus, "exchanging" | "choosing" | "confirming">

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
  /** Whether accounts stay inert until the tenant's backend redeems the code that came back with the person. */
  readonly proof: boolean
  readonly startedBy: string
  readonly status: StoredFlowStatus
  readonly failure: FlowFailure | null
  readonly accountIds: readonly string[]
  /** What was asked of the provider once the person came back, in order. */
  readonly calls: readonly ProviderCall[]
  /**
   * A MAC over what the callback that took the flow carried, so that a repetition of it can be told from somebody
   * else who knows the state. Null before.
   */
  readonly callbackMac: string | null
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
  | "proof"
  | "startedBy"
> & { readonly id: string }

export function openFlow(flow: NewFlow, now: Date): ConnectFlow {
  return {
    ...flow,
    status: "pending",
    failure: null,
    accountIds: [],
    calls: [],
    callbackMac: null,
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
  confirming: "expired",
  exchanging: "failed",
  connected: undefined,
  failed: undefined,
  expired: undefined,
} as const satisfies Record<StoredFlowStatus, FlowStatus | undefined>

/** What a tenant sees at this moment, whether or not the sweep has written it down yet. */
export function flowStatus(flow: ConnectFlow, now: Date): FlowStatus {
  if (flow.status === "exchanging") return exchangeWasLost(flow, now) ? abandonedAs.exchanging : "pending"
  if (flow.status === "choosing" || flow.status === "confirming" || flow.status === "pending")
    return hasExpired(flow, now) ? abandonedAs[flow.status] : "pending"
  return flow.status
}

const unchosenDetail =
  "Nobody chose among the accounts that the person granted within ten minutes; start again, and let the person finish Mooring's page for it, or answer for them with POST /v1/oauth/flows/{id}/choose."

const unconfirmedDetail =
  "Nobody confirmed this connect within ten minutes of the person's return, so it was undone; start again, and call POST /v1/oauth/flows/{id}/confirm from your backend with the connect_code that comes back on the return_url."

/** Why a flow ended that nobody will end any more, by the status it was left in. */
export function abandonedFailure(flow: Pick<ConnectFlow, "status" | "provider">): FlowFailure {
  const reason = abandonedAs[flow.status] === "expired" ? "no_response" : "server_error"
  const own = { choosing: unchosenDetail, confirming: unconfirmedDetail }
  const detail = own[flow.status as keyof typeof own] ?? remedy(reason, flow.provider)
  return { reason, detail, evidence: null }
}

/**
 * Where the proof of a flow stands. `required`: the person is not back, and in a flow that has ended never was.
 * `awaited`: the tenant has yet to confirm, and in one that has ended never did.
 */
export type ProofState = "required" | "awaited" | "confirmed"

/** Null where the flow asks for no proof. */
export function proofState(flow: Pick<ConnectFlow, "proof" | "status" | "failure">): ProofState | null {
  if (!flow.proof) return null
  if (flow.status === "connected") return "confirmed"
  return flow.status === "confirming" || flow.failure?.detail === unconfirmedDetail ? "awaited" : "required"
}

/**
 * Whether somebody was asked to choose among several accounts. Laying accounts aside moves a flow's end, which
 * tells it of flows that have ended since; of one that asks for proof nobody can tell the two apart, and it counts as held.
 */
export function wasOffered(
  flow: Pick<ConnectFlow, "proof" | "status" | "failure" | "select" | "createdAt" | "expiresAt">,
): boolean {
  if (!flow.select || proofState(flow) === "awaited" || proofState(flow) === "confirmed") return false
  if (flow.status === "choosing" || flow.failure?.detail === unchosenDetail) return true
  return flow.expiresAt.getTime() - flow.createdAt.getTime() > flowLifetimeMs
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
