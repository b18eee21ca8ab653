import { ConnectError, type FieldFault, refuseFaults } from "./errors.ts"
import type { Environment, Owner } from "./owner.ts"

export const keyScopes = ["apps", "connect", "accounts", "tokens", "events", "webhooks", "keys"] as const

export type KeyScope = (typeof keyScopes)[number]

/** What a new key may do unless it says otherwise: everything but making keys. */
export const defaultKeyScopes: readonly KeyScope[] = keyScopes.filter((scope) => scope !== "keys")

/** A key as it is kept: its text is shown once, only a digest of it stays. */
export interface ApiKey extends Owner {
  readonly id: string
  readonly name: string
  readonly scopes: readonly KeyScope[]
  /** SHA-256 of the whole key text, base64url. 160 random bits need no slow hash. */
  readonly digest: string
  readonly createdAt: Date
  readonly expiresAt: Date | null
  /** To the minute. */
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
}

/** Who a checked credential speaks for. */
export interface Principal extends Owner {
  readonly actor: string
  readonly scopes: readonly KeyScope[]
  /** A dashboard user may name either environment; a key stays in its own. */
  readonly kind: "key" | "user"
}

export function isUsable(key: Pick<ApiKey, "revokedAt" | "expiresAt">, now: Date): boolean {
  return key.revokedAt === null && (key.expiresAt === null || now.getTime() < key.expiresAt.getTime())
}

export interface ApiKeyInput {
  readonly name: string
  readonly environment: Environment
  readonly scopes?: readonly string[] | undefined
  readonly expiresAt?: Date | undefined
}

export interface CheckedApiKeyInput {
  readonly name: string
  readonly environment: Environment
  readonly scopes: readonly KeyScope[]
  readonly expiresAt: Date | null
}

/**
 * Throws `invalid_input`, or `insufficient_key_scope` where a key would make one wider than itself or for
 * another environment.
 */
export function checkApiKeyInput(input: ApiKeyInput, maker: Principal, now: Date): CheckedApiKeyInput {
  const faults: FieldFault[] = []
  const name = input.name.trim()
  if (name.length < 1 || name.length > 80 || /\p{Cc}/u.test(name)) {
    faults.push({ field: "name", detail: "must have 1 to 80 characters, without control characters" })
  }
  const scopes = input.scopes ?? defaultKeyScopes.filter((scope) => maker.scopes.includes(scope))
  if (scopes.length === 0) faults.push({ field: "scopes", detail: "must name at least one scope" })
  for (const [i, scope] of scopes.entries()) {
    if (!isKeyScope(scope)) {
      faults.push({ field: `scopes[${i}]`, detail: `must be one of ${keyScopes.join(", ")}` })
    }
  }
  // Put so that an invalid date, which compares as neither, is refused too.
  if (input.expiresAt && !(input.expiresAt.getTime() > now.getTime())) {
    faults.push({ field: "expires_at", detail: "must be in the future" })
  }
  refuseFaults(faults)
  const known = [...new Set(scopes.filter(isKeyScope))]
  const wider = known.filter((scope) => !maker.scopes.includes(scope))
  if (wider.length > 0) {
    throw new ConnectError(
      "insufficient_key_scope",
      `A key cannot make a wider one: this one lacks ${wider.join(", ")}. Use a dashboard token or leave them out.`,
    )
  }
  if (maker.kind === "key" && input.environment !== maker.environment) {
    throw new ConnectError(
      "insufficient_key_scope",
      `A ${maker.environment} key makes ${maker.environment} keys only. Use a dashboard token to make a ${input.environment} key.`,
    )
  }
  return { name, environment: input.environment, scopes: known, expiresAt: input.expiresAt ?? null }
}

function isKeyScope(text: string): text is KeyScope {
  return (keyScopes as readonly string[]).includes(text)
}
