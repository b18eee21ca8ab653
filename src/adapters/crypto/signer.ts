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

/** MACs and digests have 43. */
const roomCharacters = 64
const bytesACharacter = 3
const left = new Uint8Array(roomCharacters * bytesACharacter)
const right = new Uint8Array(roomCharacters * bytesACharacter)
const utf8 = new TextEncoder()

/**
 * In constant time for texts of equal length; the length of a MAC or digest is no secret. Written to the same place
 * each time, since two new buffers cost more than all the rest: what stays there says nothing without its key.
 */
export function sameText(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  if (a.length > roomCharacters) {
    const [long, other] = [Buffer.from(a), Buffer.from(b)]
    return long.length === other.length && crypto.timingSafeEqual(long, other)
  }
  left.fill(0)
  right.fill(0)
  utf8.encodeInto(a, left)
  utf8.encodeInto(b, right)
  return crypto.timingSafeEqual(left, right)
}
