import type { ProviderAnswer } from "../../ports/transport.ts"
import { json, type WireRequest } from "./wire.ts"

/** What Facebook's and Instagram's Graph hosts have in common. */

export const shortSeconds = 3600
export const longSeconds = 60 * 86_400

const traceId = "SandboxTraceId000000001"

interface GraphFault {
  readonly code: number
  readonly message: string
  readonly subcode?: number
  readonly type?: string
  readonly transient?: true
}

export function graphError(
  status: number,
  fault: GraphFault,
  headers: ProviderAnswer["headers"] = {},
): ProviderAnswer {
  const error = {
    message: fault.message,
    type: fault.type ?? "OAuthException",
    ...(fault.transient ? { is_transient: true } : {}),
    code: fault.code,
    ...(fault.subcode === undefined ? {} : { error_subcode: fault.subcode }),
    fbtrace_id: traceId,
  }
  return json(status, { error }, { "x-fb-trace-id": traceId, ...headers })
}

export function unknownPath(path: string): ProviderAnswer {
  return graphError(400, { code: 2500, message: `Unknown path components: ${path}` })
}

export const tokenInvalid = graphError(400, {
  code: 190,
  message: "Invalid OAuth access token - Cannot parse access token",
})

export const tokenMissing = graphError(400, {
  code: 2500,
  message: "An active access token must be used to query information about the current user.",
})

export const tokenExpired = graphError(400, {
  code: 190,
  subcode: 463,
  message: "Error validating access token: Session has expired on Thursday, 01-Jan-26 00:00:00 PST.",
})

export const tokenRevoked = graphError(400, {
  code: 190,
  subcode: 458,
  message: "Error validating access token: The user has not authorized application 0.",
})

export const pageDropped = graphError(400, {
  code: 190,
  subcode: 492,
  message:
    "Error validating access token: The user must be an administrator, editor, or moderator of the page in order to impersonate it.",
})

export const tooManyCalls = graphError(
  400,
  { code: 4, message: "(#4) Application request limit reached", transient: true },
  { "x-app-usage": JSON.stringify({ call_count: 100, total_cputime: 25, total_time: 25 }) },
)

export const tryLater = graphError(500, {
  code: 2,
  message: "An unexpected error has occurred. Please retry your request later.",
  transient: true,
})

export const noPermission = graphError(403, {
  code: 10,
  message: "(#10) Application does not have permission for this action",
})

/** `/v25.0/me/accounts` without its version; any version is served alike, as the real host does with ended ones. */
export function graphPath(path: string): string {
  return path.replace(/^\/v\d{1,3}\.\d(?=\/)/, "")
}

/** Graph takes its parameters from query and form alike. */
export function parametersOf(request: WireRequest): URLSearchParams {
  return new URLSearchParams([...request.query, ...request.form])
}

/** Names of `fields=id,name,picture.type(large){url}`, less what only shapes their inside. */
export function fieldNames(fields: string | null): readonly string[] {
  const flat = (fields ?? "").replace(/\([^()]*\)/g, "").replace(/\{[^{}]*\}/g, "")
  return flat.split(",").flatMap((field) => /^\s*([a-z_]+)/.exec(field)?.[1] ?? [])
}

/** `id` comes along always, the rest where it was asked for. */
export function pick(
  object: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(object).filter(
      ([name, value]) => value !== null && (name === "id" || names.includes(name)),
    ),
  )
}
