import type { AppFinding } from "../../domain/app-check.ts"
import type { OAuthAppOptions } from "../../domain/oauth-app.ts"
import type {
  AppCredentials,
  AuthorizeRequest,
  CheckRequest,
  ExchangeRequest,
  IdentifyRequest,
  RefreshedTokens,
  RefreshRequest,
  RevokeRequest,
  UpstreamAccount,
  UpstreamIdentity,
} from "../../ports/providers.ts"
import type { RefusalTable } from "./classify.ts"
import type { Conversation } from "./conversation.ts"

/** One provider: data, and the few things in which it is peculiar. All work rejects with the conversation's failures. */
export interface ProviderAdapter {
  /** RFC 9207, where the provider publishes one. */
  readonly issuer?: string
  readonly refusals: RefusalTable
  /** Of the options `hosts` and `graph_version` are always there: the app's own, or the default. */
  endpoints(options: OAuthAppOptions): Endpoints
  /** How the S256 challenge of a flow is written; null where it has none. */
  challenge(options: OAuthAppOptions): Challenge | null
  authorizeUrl(request: AuthorizeRequest, endpoints: Endpoints): URL
  connect(
    request: ExchangeRequest,
    conversation: Conversation,
    endpoints: Endpoints,
  ): Promise<readonly UpstreamAccount[]>
  refresh(request: RefreshRequest, conversation: Conversation, endpoints: Endpoints): Promise<RefreshedTokens>
  revoke(request: RevokeRequest, conversation: Conversation, endpoints: Endpoints): Promise<Revocation>
  identify(
    request: IdentifyRequest,
    conversation: Conversation,
    endpoints: Endpoints,
  ): Promise<UpstreamIdentity | undefined>
  check(
    request: CheckRequest,
    conversation: Conversation,
    endpoints: Endpoints,
  ): Promise<readonly AppFinding[]>
}

export type Challenge = "base64url" | "hex"

/** RFC 7636 section 4.2, and TikTok's own way of writing it. */
export function challengeOf(verifier: string, written: Challenge): string {
  return Bun.CryptoHasher.hash("sha256", verifier, written)
}

/** What goes into the exchange of a code. */
export type CodeExchange = Pick<
  ExchangeRequest,
  "credentials" | "options" | "redirectUri" | "code" | "codeVerifier"
>

export type Revocation = "revoked" | "unsupported"

/** Today's addresses. */
export interface Endpoints {
  readonly authorize: string
  readonly token: string
  /** What all other calls begin with, without a slash at the end. */
  readonly api: string
  /** Where a short-lived token becomes a long-lived one, if not at the token endpoint. */
  readonly longLivedToken?: string
  /** Where a token is renewed, if not at the token endpoint. */
  readonly refresh?: string
  /** Where a token is ended, if that is a place of its own. */
  readonly revoke?: string
  /** Where Meta's other product answers to its own app ids. */
  readonly otherProduct?: string
}

/** Puts the parameters that a client formed onto the address as it is today. Null takes a parameter out. */
export function authorizeAt(
  endpoint: string,
  formed: URL,
  changes: Readonly<Record<string, string | null>> = {},
): URL {
  // A space as %20 is read alike by every parser; a plus sign is a space to form parsers only.
  return new URL(`${endpoint}${changed(formed, changes).replaceAll("+", "%20")}`)
}

function changed(formed: URL, changes: Readonly<Record<string, string | null>>): string {
  const all = Object.entries(changes)
  if (all.length === 0) return formed.search
  const parameters = new URLSearchParams(formed.search)
  for (const [name, value] of all) {
    if (value === null) parameters.delete(name)
    else parameters.set(name, value)
  }
  return `?${parameters}`
}

/** The verifier of a flow that must have one; its absence is our own fault. */
export function verifierOf(request: { readonly codeVerifier: string | null }): string {
  if (request.codeVerifier === null) throw new TypeError("this flow needs a PKCE verifier")
  return request.codeVerifier
}

/** The client and the refresh token that a refresh_token grant takes; the absence of either is our own fault. */
export function refreshGrantOf(request: RefreshRequest): {
  readonly credentials: AppCredentials
  readonly refreshToken: string
} {
  const { credentials, refreshToken } = request
  if (credentials === null) throw new TypeError("a refresh needs the app's credentials")
  if (refreshToken === null) throw new TypeError("a refresh needs a refresh token")
  return { credentials, refreshToken }
}

/** Ends each of the tokens, all at once so that none waits for another. The first decides how it went. */
export async function endEach(
  tokens: readonly (string | null)[],
  end: (token: string) => Promise<unknown>,
): Promise<Revocation> {
  const ended = await Promise.allSettled(tokens.filter((token) => token !== null).map(end))
  const [first] = ended
  if (first?.status === "rejected") throw first.reason
  return first ? "revoked" : "unsupported"
}
