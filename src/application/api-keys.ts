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
import type { Storage } from "../ports/storage.ts"
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

/**
 * Who the text of an API key speaks for; undefined for every key that does not count, without saying why. Asks
 * the store each time, so that a revocation holds from the next request on, on every instance.
 */
export function authenticateKey(deps: ApiKeysDeps): (text: string) => Promise<Principal | undefined> {
  const touched = new Map<string, number>()
  const touch = (id: string, now: Date): void => {
    if (now.getTime() - (touched.get(id) ?? 0) < touchEveryMs) return
    if (touched.size >= maxTouched) touched.clear()
    touched.set(id, now.getTime())
    // Not awaited and not reported: when a key was last used is a courtesy, no promise.
    deps.keys.touch(id, now).catch(() => touched.delete(id))
  }
  return async (text) => {
    const named = deps.mint.read(text)
    if (!named) return undefined
    const key = await deps.keys.findById(named.id)
    // The digest is computed for an unknown id too, so that the two take the same work.
    const fits = deps.mint.fits(text, key ?? { digest: "" })
    const now = deps.now()
    if (!key || !fits || key.environment !== named.environment || !isUsable(key, now)) return undefined
    touch(key.id, now)
    return {
      tenant: key.tenant,
      environment: key.environment,
      scopes: key.scopes,
      actor: `key:${key.id}`,
      kind: "key",
    }
  }
}
