import type { RandomBytes } from "../../ports/crypto.ts"

/** Drawn at once, since a call of the generator costs as much for 16 bytes as for hundreds. */
const poolBytes = 4096

/** Cryptographically strong random bytes, each handed out once and then gone from here. */
export function randomPool(): RandomBytes {
  const pool = new Uint8Array(poolBytes)
  let used = poolBytes
  return (count) => {
    if (count > poolBytes) return crypto.getRandomValues(new Uint8Array(count))
    if (used + count > poolBytes) {
      crypto.getRandomValues(pool)
      used = 0
    }
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++, used++) {
      bytes[i] = pool[used] ?? 0
      pool[used] = 0
    }
    return bytes
  }
}
