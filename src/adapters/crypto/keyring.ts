import { nodeCrypto } from "./node-crypto.ts"

/** A master key with the id that sealed values name. */
export interface MasterKey {
  readonly id: string
  /** 32 bytes. */
  readonly bytes: Uint8Array
}

/** The first key seals and signs, all of them open and verify. */
export type Keyring = readonly [MasterKey, ...MasterKey[]]

/** HKDF-SHA-256 (RFC 5869) with the purpose as info, so that no derived key serves two purposes. */
export function deriveKey(key: MasterKey, purpose: readonly string[]): Buffer {
  return Buffer.from(nodeCrypto().hkdfSync("sha256", key.bytes, "mooring", JSON.stringify(purpose), 32))
}
