import { jwt } from "@elysiajs/jwt"
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeProtectedHeader,
  type JWTPayload,
  jwtVerify,
} from "jose"
import type { DashboardTokenRules } from "./authentication.ts"

const clockSkewSeconds = 60
const maxTokenLifeSeconds = 30 * 24 * 60 * 60

/** The claims of a token that counts, or undefined. */
export type VerifyToken = (token: string) => Promise<JWTPayload | undefined>

/** The algorithms are fixed by the kind of key that is configured and never read from the token (RFC 8725 section 3.1). */
export function tokenVerifier(rules: DashboardTokenRules): VerifyToken {
  const options = {
    ...(rules.issuer !== undefined && { issuer: rules.issuer }),
    ...(rules.audience !== undefined && { audience: rules.audience }),
    requiredClaims: ["exp", rules.tenantClaim],
    clockTolerance: clockSkewSeconds,
  }
  if (rules.key.kind === "secret") {
    const verifier = jwt({ name: "dashboard", secret: rules.key.secret }).decorator.dashboard
    return async (token) => {
      if (!hasPlainType(token)) return undefined
      const claims = await verifier.verify(token, { ...options, algorithms: ["HS256"] })
      return claims && livesShortly(claims as JWTPayload) ? (claims as JWTPayload) : undefined
    }
  }
  const keys = createRemoteJWKSet(new URL(rules.key.url), {
    timeoutDuration: 5_000,
    cooldownDuration: 60_000,
    cacheMaxAge: 10 * 60_000,
    [customFetch]: boundedFetch(),
  })
  return async (token) => {
    if (!hasPlainType(token)) return undefined
    try {
      const { payload } = await jwtVerify(token, keys, {
        ...options,
        algorithms: ["ES256", "RS256", "EdDSA"],
      })
      return livesShortly(payload) ? payload : undefined
    } catch {
      return undefined
    }
  }
}

/** Only tokens that say they are access tokens, or say nothing: an id token of another kind is not a credential here. */
function hasPlainType(token: string): boolean {
  try {
    const { typ } = decodeProtectedHeader(token)
    return typ === undefined || (typeof typ === "string" && /^(application\/)?(jwt|at\+jwt)$/i.test(typ))
  } catch {
    return false
  }
}

/** A token that ends in years is a leaked key nobody can revoke; such callers take an API key. */
function livesShortly({ exp, iat }: JWTPayload): boolean {
  const now = Date.now() / 1000
  const age = iat === undefined ? 0 : now - iat
  return (
    exp !== undefined &&
    exp - now <= maxTokenLifeSeconds &&
    age >= -clockSkewSeconds &&
    age <= maxTokenLifeSeconds
  )
}

const maxKeySetBytes = 64 * 1024
const retryKeySetMs = 5_000
const staleKeysMs = 60 * 60_000

/** Fetches a key set without following redirects, bounded in size; while its source is down, the last good one serves for an hour. */
function boundedFetch() {
  let last: { readonly body: string; readonly at: number } | undefined
  let failedAt = 0
  return async (url: string, init: RequestInit): Promise<Response> => {
    // Without one good set there is no cool-down of jose's own, and anybody's token would ask for the set again.
    if (!last && Date.now() - failedAt < retryKeySetMs)
      throw new Error("the key set could not be fetched just now")
    try {
      const response = await fetch(url, { ...init, redirect: "error" })
      if (!response.ok) throw new Error("the key set cannot be fetched")
      last = { body: await readKeySet(response), at: Date.now() }
    } catch (error) {
      failedAt = Date.now()
      if (!last || Date.now() - last.at > staleKeysMs) throw error
    }
    return new Response(last.body, { headers: { "content-type": "application/json" } })
  }
}

/** Read no further than its bound. Throws for what is no key set, so that an error page never takes the place of good keys. */
async function readKeySet(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxKeySetBytes) throw new Error("the key set is too large")
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks).toString("utf8")
  createLocalJWKSet(JSON.parse(body))
  return body
}
