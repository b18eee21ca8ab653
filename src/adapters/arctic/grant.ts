import type { RefreshedTokens, UpstreamTokens } from "../../ports/providers.ts"
import type { CallName } from "./classify.ts"
import type { Conversation } from "./conversation.ts"
import { field, readLifetimeSeconds, readScopes, readToken } from "./untrusted.ts"

/** What a token answer grants, checked. */
export interface Grant {
  readonly accessToken: string
  readonly expiresAt: Date
  readonly refreshToken: string | null
  readonly refreshTokenExpiresAt: Date | null
  /** Undefined where the answer says nothing: RFC 6749 section 5.1 then means what was asked for. */
  readonly scopes: readonly string[] | undefined
}

/**
 * Reads a token answer (RFC 6749 section 5.1). Throws `invalid_response` where there is no usable access
 * token or it is not a bearer token. A lifetime that is missing or absurd becomes the documented one.
 */
export function readGrant(
  conversation: Conversation,
  call: CallName,
  body: unknown,
  documentedSeconds: number,
): Grant {
  const accessToken = readToken(field(body, "access_token"))
  if (!accessToken) throw conversation.failure(call, "invalid_response", "no usable access_token")
  const type = field(body, "token_type") ?? "bearer"
  if (typeof type !== "string" || type.toLowerCase() !== "bearer") {
    throw conversation.failure(call, "invalid_response", "token_type is not bearer")
  }
  const refreshToken = readToken(field(body, "refresh_token")) ?? null
  const refreshSeconds = readLifetimeSeconds(
    field(body, "refresh_token_expires_in") ?? field(body, "refresh_expires_in"),
  )
  return {
    accessToken,
    expiresAt: conversation.expiry(readLifetimeSeconds(field(body, "expires_in")) ?? documentedSeconds),
    refreshToken,
    refreshTokenExpiresAt:
      refreshToken && refreshSeconds !== undefined ? conversation.expiry(refreshSeconds) : null,
    scopes: readScopes(field(body, "scope")),
  }
}

/** The tokens of an account that stands for itself. */
export function tokensOf(grant: Grant): UpstreamTokens {
  return {
    accessToken: grant.accessToken,
    tokenType: "Bearer",
    expiresAt: grant.expiresAt,
    refreshToken: grant.refreshToken,
    refreshTokenExpiresAt: grant.refreshTokenExpiresAt,
    personToken: null,
    personTokenExpiresAt: null,
  }
}

/** What a refresh gave. Whatever came back counts; what did not come back is told as null, never made up. */
export function refreshedTokensOf(grant: Grant): RefreshedTokens {
  return {
    accessToken: grant.accessToken,
    tokenType: "Bearer",
    expiresAt: grant.expiresAt,
    refreshToken: grant.refreshToken,
    refreshTokenExpiresAt: grant.refreshTokenExpiresAt,
    scopes: grant.scopes ?? null,
  }
}
