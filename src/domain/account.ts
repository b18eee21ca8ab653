import type { OAuthErrorReason } from "./oauth-error.ts"
import type { Owner } from "./owner.ts"
import type { ProviderName } from "./provider.ts"
import type { Sealed } from "./sealed.ts"

export const healths = [
  "active",
  "expiring",
  "reauthorization_required",
  "refresh_unknown",
  "unconfirmed",
] as const

/**
 * `expiring`: cannot be renewed without the person, and ends soon. `refresh_unknown`: a rotating refresh was
 * sent and its answer lost. `unconfirmed`: granted in a flow that asks for proof and that nobody has confirmed
 * yet; nobody gets its token, and unless it is confirmed it is forgotten.
 */
export type Health = (typeof healths)[number]

/** `expiring` begins this long before the end. */
export const expiringWindowMs = 7 * 24 * 60 * 60_000

/** One upstream account. (tenant, environment, provider, platformAccountId) is unique and keeps its id for ever. */
export interface Account extends Owner {
  readonly id: string
  readonly provider: ProviderName
  /** The provider's own id, an opaque text. */
  readonly platformAccountId: string
  readonly handle: string | null
  readonly displayName: string | null
  readonly avatarUrl: string | null
  readonly health: Health
  readonly healthDetail: string | null
  readonly connectionType: "oauth" | "manual"
  readonly oauthAppId: string | null
  readonly scopes: readonly string[]
  readonly missingScopes: readonly string[]
  readonly reference: string | null
  readonly metadata: AccountMetadata
  /** When the access token ends; null where it does not end by itself. */
  readonly tokenExpiresAt: Date | null
  readonly connectedAt: Date
  readonly updatedAt: Date
}

/** What else the provider told about the account; texts only, so that every store keeps them alike. */
export type AccountMetadata = Readonly<Record<string, string>>

/** An account's tokens at rest. Each is bound to the account and to its own column. */
export interface SealedCredentials {
  readonly accessToken: Sealed
  /** Null leaves the one we hold in place: an answer without a refresh token never erases one. */
  readonly refreshToken: Sealed | null
  /** Facebook: the person's own token, which renews and revokes the Page tokens. Null leaves the one we hold. */
  readonly personToken: Sealed | null
  readonly tokenType: string
  readonly obtainedAt: Date
  readonly refreshTokenExpiresAt: Date | null
  readonly personTokenExpiresAt: Date | null
}

/** When an account's tokens need somebody next; kept beside them so that the store can find who is due. */
export interface RenewalPlan {
  /** When the background renews the token; null where it need not or cannot. */
  readonly keepAliveAt: Date | null
  /** When the person is needed at the latest; null where Mooring can go on for ever. */
  readonly personNeededAt: Date | null
}

/** How the refreshing of an account's tokens stands. */
export interface RefreshState {
  /** Grows by one with every claim and every connect: what an older holder writes no longer counts. */
  readonly fence: number
  /** Until when somebody holds the claim; null when nobody does. */
  readonly leaseUntil: Date | null
  /** When a rotating refresh token was last put at risk, if its fate is not known since. */
  readonly sentAt: Date | null
  /** Failures in a row. */
  readonly failures: number
  /** No attempt before this, unless forced. */
  readonly retryAt: Date | null
  /** Why the last attempt failed; null after a good one. */
  readonly lastFailure: OAuthErrorReason | null
}
