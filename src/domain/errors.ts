/** Every way in which Mooring refuses a call. Closed: the HTTP adapter maps each to one status. */
export const errorCodes = [
  "invalid_input",
  "return_url_refused",
  "no_oauth_app",
  "unauthenticated",
  "insufficient_key_scope",
  "not_found",
  "reauthorization_required",
  "refresh_unknown",
  "not_renewable",
  "unconfirmed",
  "not_confirmable",
  "already_confirmed",
  "invalid_client",
  "credentials_refused",
  "provider_unavailable",
  "method_not_allowed",
  "oauth_app_in_use",
  "payload_too_large",
  "unsupported_media_type",
  "rate_limited",
  "not_ready",
] as const

export type ErrorCode = (typeof errorCodes)[number]

/** One field of the input and what is wrong with it; never the value itself, which may be a secret. */
export interface FieldFault {
  readonly field: string
  readonly detail: string
}

/** A refusal the caller can mend. `message` is one sentence that names what to change. */
export class ConnectError extends Error {
  override readonly name = "ConnectError"
  readonly code: ErrorCode
  readonly faults: readonly FieldFault[]
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    extra: { readonly faults?: readonly FieldFault[]; readonly retryAfterSeconds?: number } = {},
  ) {
    super(message)
    this.code = code
    this.faults = extra.faults ?? []
    this.retryAfterSeconds = extra.retryAfterSeconds
  }
}

/** Enough to mend a call by; a body of 64 KiB can have tens of thousands of faults. */
const maxFaults = 20

/** Refuses input with the faults found, so that a caller mends them all at once. */
export function refuseFaults(faults: readonly FieldFault[]): void {
  const [first, ...others] = faults
  if (!first) return
  const more = others.length === 0 ? "" : ` (and ${others.length} more, see errors)`
  throw new ConnectError("invalid_input", `${first.field}: ${first.detail}${more}`, {
    faults: faults.slice(0, maxFaults),
  })
}

/** Refuses one field of the input. */
export function invalidField(field: string, detail: string): ConnectError {
  return new ConnectError("invalid_input", `${field}: ${detail}`, { faults: [{ field, detail }] })
}

/** One shape for "absent" and "another tenant's", so that the two cannot be told apart. */
export function notFound(kind: string): ConnectError {
  const next =
    kind === "flow"
      ? "Use the flow_id that start answered with, and a credential of the same environment."
      : "List them to see which ids this credential can reach."
  return new ConnectError("not_found", `No ${kind} with this id. ${next}`)
}
