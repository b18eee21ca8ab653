import {
  aComplaint,
  type Complaint,
  codeText,
  type RefusalRule,
  standardComplaint,
  standardRules,
} from "./classify.ts"
import type { Conversation } from "./conversation.ts"
import { field, readItems, readText } from "./untrusted.ts"

/** What Facebook and Instagram share: the Graph's errors. Texts first, since code 1 means two things. */
export const graphRules: readonly RefusalRule[] = [
  { text: "validating client secret", reason: "invalid_client" },
  { text: "invalid platform app", reason: "invalid_client" },
  { on: ["token"], text: "invalid client id", reason: "invalid_client" },
  { on: ["token"], text: "error validating application", reason: "invalid_client" },
  { on: ["token"], text: "invalid redirect_uri", reason: "redirect_uri_mismatch" },
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

/** `appsecret_proof` is obligatory where the app requires it and harmless elsewhere. The token goes in a header, not in the URL. */
export function proofQuery(
  conversation: Conversation,
  token: string,
  clientSecret: string | undefined,
  parameters: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams(parameters)
  if (clientSecret !== undefined) {
    const proof = new Bun.CryptoHasher("sha256", clientSecret).update(token).digest("hex")
    conversation.keepSecret(proof)
    query.set("appsecret_proof", proof)
  }
  return query.toString()
}

/** Names out of a list of `{permission, status}`. */
export function permissionsWith(statuses: readonly string[], body: unknown): readonly string[] {
  return readItems(field(body, "data"))
    .filter((item) => statuses.includes(readText(field(item, "status")) ?? ""))
    .map((item) => readText(field(item, "permission")))
    .filter((permission) => permission !== undefined)
}
