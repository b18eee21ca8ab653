import type { JWTPayload } from "jose"
import type { Admission, AuthenticateKey } from "../../application/api-keys.ts"
import { once } from "../../application/once.ts"
import { keyScopes, type Principal } from "../../domain/api-key.ts"
import { ConnectError, invalidField } from "../../domain/errors.ts"
import { type Environment, isTenantName } from "../../domain/owner.ts"
import type { VerifyToken } from "./dashboard-tokens.ts"

/** How tokens of the tenants' own dashboard are checked. */
export interface DashboardTokenRules {
  readonly key:
    | { readonly kind: "secret"; readonly secret: string }
    | { readonly kind: "jwks"; readonly url: string }
  readonly issuer: string | undefined
  readonly audience: string | undefined
  readonly tenantClaim: string
}

export type Authenticate = (request: Request, need?: Parameters<AuthenticateKey>[1]) => Promise<Admission>

const maxTokenCharacters = 8192

/**
 * Who a request speaks for, from its Authorization header alone. Rejects with `unauthenticated`, in the same
 * words for every credential that does not count.
 */
export function authentication(deps: {
  readonly authenticateKey: AuthenticateKey
  readonly dashboardTokens: DashboardTokenRules | undefined
}): Authenticate {
  const verifyToken = deps.dashboardTokens && laterVerifier(deps.dashboardTokens)
  return async (request, need) => {
    const header = request.headers.get("authorization") ?? ""
    const credential = /^bearer ([^\s,]+)$/i.exec(header)?.[1]
    if (credential === undefined && !/^bearer /i.test(header)) {
      throw new ConnectError(
        "unauthenticated",
        "Send Authorization: Bearer with an API key or a dashboard token.",
      )
    }
    if (credential === undefined || credential.length > maxTokenCharacters) throw refused()
    if (credential.startsWith("moor_")) {
      const admission = await deps.authenticateKey(credential, need)
      if (!admission) throw refused()
      return admission
    }
    const claims = await verifyToken?.(credential)
    if (!claims || !deps.dashboardTokens) throw refused()
    return { principal: dashboardUser(claims, deps.dashboardTokens.tenantClaim, namedEnvironment(request)) }
  }
}

function refused(): ConnectError {
  return new ConnectError(
    "unauthenticated",
    "The credential is not valid: an API key may be mistyped, revoked or expired; a dashboard token may be expired or made for another issuer, audience or secret.",
  )
}

function namedEnvironment(request: Request): Environment {
  const named = request.headers.get("mooring-environment") ?? "live"
  if (named === "live" || named === "test") return named
  throw invalidField("Mooring-Environment", "must be live or test")
}

function dashboardUser(claims: JWTPayload, tenantClaim: string, environment: Environment): Principal {
  const [tenant, subject] = [claims[tenantClaim], claims.sub]
  if (!isName(tenant) || !isName(subject)) throw refused()
  return { tenant, environment, scopes: keyScopes, actor: `user:${subject}`, kind: "user" }
}

function isName(claim: unknown): claim is string {
  return typeof claim === "string" && isTenantName(claim)
}

/** Loaded with the first token: what checks them took 10 ms of each start, and most callers have API keys. */
function laterVerifier(rules: DashboardTokenRules): VerifyToken {
  // The runtime remembers a failed import of an import for good, so `main` loads it early.
  const verifier = once(async () => (await import("./dashboard-tokens.ts")).tokenVerifier(rules))
  return async (token) => (await verifier())(token)
}
