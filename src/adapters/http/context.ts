import type { Admission } from "../../application/api-keys.ts"
import type { Principal } from "../../domain/api-key.ts"
import { ConnectError } from "../../domain/errors.ts"

/** What is known of a request beside the request itself; kept outside Elysia, so that every hook and log sees it. */
export interface RequestContext {
  readonly id: string
  readonly address: () => string
  principal: Principal | undefined
  /** What the call needs first, where it was read together with the key. */
  found: Admission["found"]
  /** The pattern that matched, e.g. `/v1/accounts/:id`: logged instead of the address, which may carry secrets. */
  route: string | undefined
  /** What a route wants in the log line: ids and reasons, never input. */
  readonly facts: Record<string, string | null>
  /** The answer, where it was made with the headers that every answer has. */
  hardened: Response | undefined
}

const contexts = new WeakMap<Request, RequestContext>()

export function openContext(request: Request, context: RequestContext): RequestContext {
  contexts.set(request, context)
  return context
}

export function contextOf(request: Request): RequestContext {
  const context = contexts.get(request)
  if (!context) throw new Error("a request reached a route without passing the edge")
  return context
}

/** The caller, who must hold the scope. Throws `unauthenticated` or `insufficient_key_scope`. */
export function callerWith(request: Request, scope: Principal["scopes"][number]): Principal {
  const { principal } = contextOf(request)
  if (!principal)
    throw new ConnectError(
      "unauthenticated",
      "Send Authorization: Bearer with an API key or a dashboard token.",
    )
  if (!principal.scopes.includes(scope)) {
    throw new ConnectError(
      "insufficient_key_scope",
      `This key lacks the scope ${scope}; use a key that has it, or make one with a dashboard token.`,
    )
  }
  return principal
}
