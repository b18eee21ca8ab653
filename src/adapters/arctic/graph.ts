import {
  aComplaint,
  type Complaint,
  codeText,
  type RefusalRule,
  standardComplaint,
  standardRules,
} from "./classify.ts"
import { field, readText } from "./untrusted.ts"

/** What Facebook and Instagram share: the Graph's errors. Texts first, since code 1 means two things. */
export const graphRules: readonly RefusalRule[] = [
  { text: "validating client secret", reason: "invalid_client" },
  { text: "invalid platform app", reason: "invalid_client" },
  { codes: ["101"], reason: "invalid_client" },
  { codes: ["100"], subcodes: ["36007", "36009"], reason: "code_invalid" },
  { codes: ["100"], subcodes: ["36008"], reason: "redirect_uri_mismatch" },
  { codes: ["191"], reason: "redirect_uri_mismatch" },
  { codes: ["190", "102"], reason: "reauth_required" },
  { on: ["refresh", "revoke", "api"], text: "session has expired", reason: "reauth_required" },
  { codes: ["10"], reason: "insufficient_scope" },
  { between: [200, 299], reason: "insufficient_scope" },
  { codes: ["4", "17", "32", "341", "613"], reason: "rate_limited" },
  { between: [80001, 89999], reason: "rate_limited" },
  { codes: ["1", "2", "368"], reason: "provider_unavailable" },
  ...standardRules,
  // No client authenticates to these, so what is unknown here never puts the app's credentials in doubt.
  { on: ["refresh", "revoke"], status: 401, reason: "provider_error" },
]

/** Nested as everywhere in the Graph, or flat with `error_type` as Instagram's token endpoint has it. */
export function graphComplaint(body: unknown): Complaint | undefined {
  const type = readText(field(body, "error_type"))
  const message = readText(field(body, "error_message"))
  if (type === undefined && message === undefined) return standardComplaint(body)
  return aComplaint({
    code: type ?? null,
    subcode: codeText(field(body, "code")),
    message,
    traceId: readText(field(body, "fbtrace_id")),
  })
}
