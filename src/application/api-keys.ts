import {
  type ApiKey,
  type ApiKeyInput,
  checkApiKeyInput,
  isUsable,
  type Principal,
} from "../domain/api-key.ts"
import { notFound } from "../domain/errors.ts"
import { newEvent } from "../domain/event.ts"
import { isId } from "../domain/id.ts"
import type { Environment } from "../domain/owner.ts"
import type { Clock, KeyMint } from "../ports/crypto.ts"
import type { FirstNeed, KeyWithNeed, Storage } from "../ports/storage.ts"
import type { Ids } from "./ids.ts"

export interface ApiKeysDeps {
  readonly keys: Storage["keys"]
  readonly mint: KeyMint
  readonly newId: Ids
  readonly now: Clock
}

export interface MintedKey {
  readonly key: ApiKey
  /** Shown once; nothing can bring it back. */
  readonly text: string
}

export interface ManageApiKeys {
  create(principal: Principal, input: ApiKeyInput): Promise<MintedKey>
  /** A key sees the keys of its own environment, a dashboard user those of both. */
  list(principal: Principal): Promise<readonly ApiKey[]>
  revoke(principal: Principal, id: string): Promise<void>
}

export function manageApiKeys(deps: ApiKeysDeps): ManageApiKeys {
  const event = (principal: Principal, environment: Environment, type: "created" | "revoked", id: string) =>
    newEvent(
      {
        id: deps.newId("evt"),
        type: `api_key.${type}`,
        at: deps.now(),
        actor: principal.actor,
        owner: { tenant: principal.tenant, environment },
      },
      { apiKeyId: id },
    )

  return {
    async create(principal, input) {
      const now = deps.now()
      const checked = checkApiKeyInput(input, principal, now)
      const id = deps.newId("key")
      const { text, digest } = deps.mint.mint(checked.environment, id)
      const key: ApiKey = {
        id,
        tenant: principal.tenant,
        environment: checked.environment,
        name: checked.name,
        scopes: checked.scopes,
        digest,
        createdAt: now,
        expiresAt: checked.expiresAt,
        lastUsedAt: null,
        revokedAt: null,
      }
      await deps.keys.add(key, event(principal, key.environment, "created", id))
      return { key, text }
    },

    list: (principal) =>
      deps.keys.list(principal.tenant, principal.kind === "key" ? principal.environment : undefined),

    async revoke(principal, id) {
      const environments: readonly Environment[] =
        principal.kind === "key" ? [principal.environment] : ["live", "test"]
      for (const environment of isId("key", id) ? environments : []) {
        const owner = { tenant: principal.tenant, environment }
        if (await deps.keys.revoke(owner, id, event(principal, environment, "revoked", id))) return
      }
      throw notFound("API key")
    },
  }
}

const touchEveryMs = 60_000
const maxTouched = 10_000

/** A caller, with what its call needs first where that was read together with its key. */
export interface Admission {
  readonly principal: Principal
  readonly found?: Pick<KeyWithNeed, "app" | "account">
}

export type AuthenticateKey = (text: string, need?: FirstNeed) => Promise<Admission | undefined>

/**
 * Who the text of an API key speaks for; undefined for every key that does not count, without saying why. Asks
 * the store each time, so that a revocation holds from the next request on, on every instance.
 */
export function authenticateKey(deps: ApiKeysDeps): AuthenticateKey {
  const touched = new Map<string, number>()
  const touch = (id: string, now: Date): void => {
    if (now.getTime() - (touched.get(id) ?? 0) < touchEveryMs) return
    if (touched.size >= maxTouched) touched.clear()
    touched.set(id, now.getTime())
    // Not awaited and not reported: when a key was last used is a courtesy, no promise.
    deps.keys.touch(id, now).catch(() => touched.delete(id))
  }
  return async (text, need) => {
    const named = deps.mint.read(text)
    if (!named) return undefined
    const found = need && (await deps.keys.findWith(named.id, need))
    const key = need ? found?.key : await deps.keys.findById(named.id)
    // The digest is computed for an unknown id too, so that the two take the same work.
    const fits = deps.mint.fits(text, key ?? { digest: "" })
    const now = deps.now()
    if (!key || !fits || key.environment !== named.environment || !isUsable(key, now)) return undefined
    touch(key.id, now)
    const { tenant, environment, scopes } = key
    const principal: Principal = { tenant, environment, scopes, actor: `key:${key.id}`, kind: "key" }
    return { principal, ...(found && { found }) }
  }
}
