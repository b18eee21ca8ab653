import type { Signer } from "../../ports/crypto.ts"
import { deriveKey, type Keyring, type MasterKey } from "./keyring.ts"

/**
 * HMAC-SHA-256 under keys of their own for each purpose. After a rotation the newest key signs and the
 * earlier ones still verify, so that a state outlives the rotation by its own lifetime.
 */
export function hmacSigner(keyring: Keyring): Signer {
  /** Keyed once and copied for each message, which costs a third of keying anew. */
  const keyed = new Map<string, Bun.CryptoHasher>()
  const mac = (master: MasterKey, purpose: string, message: string): string => {
    const name = `${purpose}.${master.id}`
    const hasher = keyed.get(name) ?? new Bun.CryptoHasher("sha256", deriveKey(master, ["sign", purpose]))
    keyed.set(name, hasher)
    return hasher.copy().update(message).digest("base64url")
  }
  return {
    sign: (purpose, message) => mac(keyring[0], purpose, message),
    // The texts are compared, not the decoded bytes: base64url has spare bits that would let two texts pass.
    verify: (purpose, message, given) => keyring.some((key) => sameText(mac(key, purpose, message), given)),
  }
}

/** In constant time for texts of equal length; the length of a MAC or digest is no secret. */
export function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && crypto.timingSafeEqual(left, right)
}
