import type { ApiKey } from "../domain/api-key.ts"
import type { Environment } from "../domain/owner.ts"
import type { Sealed } from "../domain/sealed.ts"

/**
 * Where a sealed value belongs. All of it is authenticated with the value, so that a ciphertext moved to
 * another tenant, table, row or column does not open.
 */
export interface SealedPlace {
  readonly tenant: string
  readonly table: "oauth_apps" | "flows" | "accounts" | "webhooks"
  /** What identifies the row for ever: its id, or for accounts `environment/provider/platform_account_id`. */
  readonly row: string
  readonly column: string
}

export interface SecretBox {
  /** Never the same text twice. */
  seal(secret: string, place: SealedPlace): Promise<Sealed>
  /** Rejects with `SealBroken` when the text was altered, moved, or sealed under a key that is not configured. */
  open(sealed: Sealed, place: SealedPlace): Promise<string>
}

/** A fault, not a refusal: the store or the keys are not what they were. Its message never carries the value. */
export class SealBroken extends Error {
  override readonly name = "SealBroken"
}

/** Authenticates what Mooring hands out and must recognise later. One purpose's code never fits another's. */
export interface Signer {
  /** A MAC of 256 bits, base64url, 43 characters. */
  sign(purpose: SignedPurpose, message: string): string
  /** In constant time; true for every configured key, the newest and those before it. */
  verify(purpose: SignedPurpose, message: string, mac: string): boolean
}

export type SignedPurpose = "state" | "choice" | "callback" | "proof" | "cursor" | "sandbox"

/** Makes and reads the text of API keys: `moor_<environment>_<id>_<secret>_<checksum>`. */
export interface KeyMint {
  /** 160 random bits. The text is shown once; only the digest is kept. */
  mint(environment: Environment, id: string): { readonly text: string; readonly digest: string }
  /** The key's id where the text is well formed and its checksum fits, so that a typo costs no query. */
  read(text: string): { readonly id: string; readonly environment: Environment } | undefined
  /** In constant time. */
  fits(text: string, key: Pick<ApiKey, "digest">): boolean
}

/** Cryptographically strong random bytes: a new array, the caller's own. */
export type RandomBytes = (count: number) => Uint8Array

export type Clock = () => Date
