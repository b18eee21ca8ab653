import type { Brand } from "./brand.ts"

/** Encrypted text. Only a `SecretBox` makes one, so storing a secret in clear does not compile. */
export type Sealed = Brand<string, "Sealed">
