import { keyScopes, type Principal } from "../../domain/api-key.ts"
import type { Environment } from "../../domain/owner.ts"

/** Whoever can run commands beside the database may do everything. */
export function operator(tenant: string, environment: Environment): Principal {
  return { tenant, environment, scopes: keyScopes, actor: "cli", kind: "user" }
}
