import { ConnectError, type ErrorCode, type FieldFault } from "../../domain/errors.ts"
import { StoreUnavailable } from "../../ports/storage.ts"

const statusOf = {
  invalid_input: 400,
  return_url_refused: 400,
  no_oauth_app: 400,
  unauthenticated: 401,
  insufficient_key_scope: 403,
  not_found: 404,
  reauthorization_required: 409,
  refresh_unknown: 409,
  not_renewable: 409,
  unconfirmed: 409,
  not_confirmable: 409,
  already_confirmed: 409,
  invalid_client: 409,
  credentials_refused: 400,
  provider_unavailable: 502,
  method_not_allowed: 405,
  oauth_app_in_use: 409,
  payload_too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  not_ready: 503,
} as const satisfies Record<ErrorCode, number>

const titleOf = {
  invalid_input: "Invalid input",
  return_url_refused: "Return URL refused",
  no_oauth_app: "No OAuth app",
  unauthenticated: "Not authenticated",
  insufficient_key_scope: "The key lacks a scope",
  not_found: "Not found",
  reauthorization_required: "The account must be connected again",
  refresh_unknown: "The fate of a refresh is unknown",
  not_renewable: "The token cannot be renewed",
  unconfirmed: "The account is not confirmed",
  not_confirmable: "The flow cannot be confirmed",
  already_confirmed: "The flow is already confirmed",
  invalid_client: "The app's credentials are wrong",
  credentials_refused: "The credentials were refused",
  provider_unavailable: "The provider failed",
  method_not_allowed: "Method not allowed",
  oauth_app_in_use: "The OAuth app is in use",
  payload_too_large: "Body too large",
  unsupported_media_type: "Unsupported media type",
  rate_limited: "Too many requests",
  not_ready: "Not ready",
} as const satisfies Record<ErrorCode, string>

interface Problem {
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly code: string
  readonly errors?: readonly FieldFault[]
}

const storeIsAway = new ConnectError(
  "not_ready",
  "The database cannot be reached; try again in a moment, and look first whether a change was made.",
  { retryAfterSeconds: 5 },
)

/** An RFC 9457 problem document. A fault that is not a `ConnectError` says nothing but its request id. */
export function problem(error: unknown, requestId: string): Response {
  const refusal = error instanceof StoreUnavailable ? storeIsAway : error
  const known = refusal instanceof ConnectError ? refusal : undefined
  const body: Problem = known
    ? {
        status: statusOf[known.code],
        title: titleOf[known.code],
        detail: known.message,
        code: known.code,
        ...(known.faults.length > 0 && { errors: known.faults }),
      }
    : {
        status: 500,
        title: "Internal error",
        detail: "Mooring failed. The log explains it under this request_id.",
        code: "internal_error",
      }
  const headers: Record<string, string> = { "content-type": "application/problem+json" }
  if (body.status === 401) headers["www-authenticate"] = 'Bearer realm="mooring"'
  if (known?.retryAfterSeconds !== undefined) headers["retry-after"] = String(known.retryAfterSeconds)
  const document = { type: `urn:mooring:problem:${body.code}`, ...body, request_id: requestId }
  return new Response(JSON.stringify(document), { status: body.status, headers })
}
