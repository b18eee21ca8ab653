/** `live` reaches the real providers, `test` the built-in sandbox. */
export type Environment = "live" | "test"

export const environments = ["live", "test"] as const satisfies readonly Environment[]

/** Whose data it is. Every row and every query carries both halves. */
export interface Owner {
  readonly tenant: string
  readonly environment: Environment
}

/** Whether a text can name a tenant: visible text that every store keeps exactly. */
export function isTenantName(text: string): boolean {
  return text.trim() !== "" && text.length <= 200 && !/[\p{Cc}\p{Cs}]/u.test(text)
}

/** Who acts: `key:<id>`, `user:<subject>`, `browser` for a callback, `system` for background work, `cli`. */
export type Actor = string
