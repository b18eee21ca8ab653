import type { Rotation } from "./grant.ts"

/**
 * What one process remembers: which codes were taken, which tokens, consents and apps were ended, and how far
 * refreshes have come. This is best effort and bounded. Another instance, or this one after a restart, knows
 * only what the tokens it is shown tell by themselves, and the least lately written is forgotten first; a
 * sandbox that stored it all would need a database for play tokens.
 */
export interface Memory {
  spend(name: string): void
  isSpent(name: string): boolean
  /** The `appsecret_proof` that a token must come with, by its nonce, where this process saw the secret when it issued it. */
  readonly proofs: Shelf<string>
  /** The newest refresh that was seen, by consent. */
  readonly rotations: Shelf<Rotation>
  /** What a person last granted to an app, and when they took it back. */
  readonly standings: Shelf<Standing>
  /** A number above all that were given before, and by the clock where that is ahead: so other processes' compare. */
  nextOrder(now: Date): number
}

/** Where one person and one app stand with each other. */
export interface Standing {
  /** Of the newest consent seen. */
  readonly order: number
  readonly pages: readonly string[] | null
  /** Consents below this were taken back. */
  readonly removedBelow: number
}

/** Keeps so many values and no more. */
export interface Shelf<Value> {
  get(key: string): Value | undefined
  put(key: string, value: Value): void
}

export function boundedMemory(limit = 20_000): Memory {
  const spent = boundedShelf<true>(limit)
  let lastOrder = 0
  return {
    spend: (name) => spent.put(name, true),
    isSpent: (name) => spent.get(name) === true,
    proofs: boundedShelf(limit),
    rotations: boundedShelf(limit),
    standings: boundedShelf(limit),
    nextOrder(now) {
      lastOrder = Math.max(now.getTime(), lastOrder + 1)
      return lastOrder
    },
  }
}

function boundedShelf<Value>(limit: number): Shelf<Value> {
  const kept = new Map<string, Value>()
  return {
    get: (key) => kept.get(key),
    put(key, value) {
      // A Map keeps the order of insertion, so its first key is the one written longest ago.
      kept.delete(key)
      kept.set(key, value)
      const [oldest] = kept.keys()
      if (kept.size > limit && oldest !== undefined) kept.delete(oldest)
    },
  }
}
