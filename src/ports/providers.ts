import type { AccountMetadata } from "../domain/account.ts"
import type { AppFinding } from "../domain/app-check.ts"
import type { OAuthAppOptions } from "../domain/oauth-app.ts"
import type { OAuthErrorReason, ProviderCall, ProviderEvidence } from "../domain/oauth-error.ts"
import type { ProviderName } from "../domain/provider.ts"

/** What Mooring needs of the five providers. One implementation talks to them, or to the sandbox. */
export interface Providers {
  /** Whether a flow of this app sends a PKCE challenge, so that the caller makes a verifier. */
  usesPkce(provider: ProviderName, options: OAuthAppOptions): boolean
  /** The address to send the person to. Carries no secret but the state. */
  authorizeUrl(request: AuthorizeRequest): string
  /** Maps the `error` of a callback to our closed list. Takes untrusted text and never returns any of it unshortened. */
  readCallbackError(provider: ProviderName, callback: CallbackError): ProviderRefusal
  /** The provider's issuer where it is known (RFC 9207), to compare an `iss` with. */
  issuer(provider: ProviderName): string | undefined
  /**
   * Exchanges the code once, never retried, and learns who it is: long-lived tokens, granted scopes, profile,
   * Pages. Everything together ends within `limitMs`. Rejects with `ProviderFailure` and nothing else.
   */
  connect(request: ExchangeRequest): Promise<readonly UpstreamAccount[]>
  /**
   * Renews an account's tokens, sent once and never retried. Rejects with `ProviderFailure` and nothing else;
   * `reauth_required` is given for the provider's own word alone. `fate` of the failure says whether a refresh
   * token that works once may have been used up.
   */
  refresh(request: RefreshRequest): Promise<RefreshedTokens>
  /** Ends the grant at the provider where it can be ended. Rejects with `ProviderFailure`. */
  revoke(request: RevokeRequest): Promise<"revoked" | "unsupported">
  /**
   * Whose token it is, by the provider's own profile call, to check credentials that were typed in. Undefined
   * where the given credentials do not allow the question. Rejects with `ProviderFailure`.
   */
  identify(request: IdentifyRequest): Promise<UpstreamIdentity | undefined>
  /**
   * Finds what would keep people from connecting through an app, by at most three calls that create nothing and
   * use no token or code of anybody. What the provider does not show is told as unknown, and so is everything
   * where it cannot be reached. Rejects with `ProviderFailure` for our own fault alone.
   */
  check(request: CheckRequest): Promise<readonly AppFinding[]>
}

export interface AppCredentials {
  readonly clientId: string
  readonly clientSecret: string
}

export interface AuthorizeRequest {
  readonly provider: ProviderName
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly options: OAuthAppOptions
  readonly state: string
  /** 43 to 128 characters, RFC 7636 section 4.1. */
  readonly codeVerifier: string | null
  /** Asks the provider to show its consent again. */
  readonly reconnect: boolean
}

export interface CallbackError {
  readonly error: string
  readonly description: string | null
  readonly reason: string | null
  readonly code: string | null
  /** TikTok's machine-readable sub-reason, error_type. */
  readonly type: string | null
}

export interface ExchangeRequest {
  readonly provider: ProviderName
  readonly credentials: AppCredentials
  readonly options: OAuthAppOptions
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly code: string
  readonly codeVerifier: string | null
  /** For all calls together; what is under way at its end fails as `provider_timeout`. */
  readonly limitMs: number
  /** Told of each call that was sent, once its answer or its fault is there, whatever comes of the connect. */
  readonly onCall?: (call: ProviderCall) => void
}

/** One account a person granted, with tokens in clear: they live in memory only, until they are sealed. */
export interface UpstreamAccount {
  /** The provider's own id as an opaque text, exact even above 2^53. */
  readonly platformAccountId: string
  readonly handle: string | null
  readonly displayName: string | null
  /** An https address, or null. */
  readonly avatarUrl: string | null
  /** Granted, which may be fewer than requested. */
  readonly scopes: readonly string[]
  readonly metadata: AccountMetadata
  readonly tokens: UpstreamTokens
}

export interface UpstreamTokens {
  readonly accessToken: string
  readonly tokenType: string
  /** Null where the token does not end by itself (Facebook Pages). */
  readonly expiresAt: Date | null
  readonly refreshToken: string | null
  readonly refreshTokenExpiresAt: Date | null
  /** Facebook: the long-lived token of the person behind a Page. */
  readonly personToken: string | null
  readonly personTokenExpiresAt: Date | null
}

export interface RefreshRequest {
  readonly provider: ProviderName
  /** Null where the account has no app; then only what needs no client authentication can be renewed. */
  readonly credentials: AppCredentials | null
  readonly options: OAuthAppOptions
  readonly accessToken: string
  readonly refreshToken: string | null
  /** For all calls together. */
  readonly limitMs: number
}

export interface RefreshedTokens {
  readonly accessToken: string
  readonly tokenType: string
  readonly expiresAt: Date | null
  /** Null where the answer had none, or an empty one: the one we hold stays. */
  readonly refreshToken: string | null
  readonly refreshTokenExpiresAt: Date | null
  /** Null where the answer does not say. */
  readonly scopes: readonly string[] | null
}

export interface RevokeRequest {
  readonly provider: ProviderName
  readonly credentials: AppCredentials | null
  readonly options: OAuthAppOptions
  readonly accessToken: string
  readonly refreshToken: string | null
  /** Facebook: the person's token, whose grant covers every Page; null leaves the grant alone. */
  readonly personToken: string | null
  /** For all calls together. */
  readonly limitMs: number
}

export interface IdentifyRequest {
  readonly provider: ProviderName
  readonly credentials: AppCredentials | null
  readonly options: OAuthAppOptions
  readonly accessToken: string
  /** Facebook: the Page the token is said to belong to. */
  readonly pageId: string | null
  /** For all calls together. */
  readonly limitMs: number
}

export interface CheckRequest {
  readonly provider: ProviderName
  readonly credentials: AppCredentials
  readonly options: OAuthAppOptions
  readonly redirectUri: string
  /** What a connect asks for; empty where a configuration at the provider decides. */
  readonly scopes: readonly string[]
  /** For all calls together. */
  readonly limitMs: number
}

export type UpstreamIdentity = Pick<
  UpstreamAccount,
  "platformAccountId" | "handle" | "displayName" | "avatarUrl" | "metadata"
>

/** A provider's "no", read: why in our words, and what it said. */
export interface ProviderRefusal {
  readonly reason: OAuthErrorReason
  readonly evidence: ProviderEvidence
}

/** The one way in which a provider call fails. Its message is safe to log. */
export class ProviderFailure extends Error {
  override readonly name = "ProviderFailure"
  readonly reason: OAuthErrorReason
  readonly evidence: ProviderEvidence
  readonly retryAfterSeconds: number | undefined
  /**
   * `refused`: the provider answered, so what was sent was judged. `unknown`: it was sent, and no answer that
   * can be read came back. `unsent`: it never left.
   */
  readonly fate: "refused" | "unknown" | "unsent"

  constructor(
    refusal: ProviderRefusal & {
      readonly retryAfterSeconds?: number
      readonly fate?: "refused" | "unknown" | "unsent"
    },
  ) {
    super(`${refusal.reason} at ${refusal.evidence.call}`)
    this.reason = refusal.reason
    this.evidence = refusal.evidence
    this.retryAfterSeconds = refusal.retryAfterSeconds
    this.fate = refusal.fate ?? "refused"
  }
}
