/**
 * What one process remembers: which codes and one-use tokens were spent, and which tokens and consents were
 * revoked. This is best effort and bounded. Another instance, or this one after a restart, does not know of
 * them, and the oldest are forgotten first; a sandbox that stored them would need a database for play tokens.
 */
export interface Memory {
  spend(nonce: string): void
  isSpent(nonce: string): boolean
  /** The `appsecret_proof` that a token must come with, where this process saw the secret when it issued it. */
  rememberProof(nonce: string, proof: string): void
  proofOf(nonce: string): string | undefined
}

export function boundedMemory(limit = 20_000): Memory {
  const spent = new Map<string, true>()
  const proofs = new Map<string, string>()
  return {
    spend: (nonce) => remember(spent, nonce, true, limit),
    isSpent: (nonce) => spent.has(nonce),
    rememberProof: (nonce, proof) => remember(proofs, nonce, proof, limit),
    proofOf: (nonce) => proofs.get(nonce),
  }
}

/** A Map keeps the order of insertion, so its first key is the oldest. */
function remember<Value>(kept: Map<string, Value>, key: string, value: Value, limit: number): void {
  kept.set(key, value)
  if (kept.size <= limit) return
  const [oldest] = kept.keys()
  if (oldest !== undefined) kept.delete(oldest)
}
