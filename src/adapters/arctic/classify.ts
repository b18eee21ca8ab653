import type { OAuthErrorReason } from "../../domain/oauth-error.ts"
import type { ProviderAnswer } from "../../ports/transport.ts"
import { field, isObject, parseJson, readText } from "./untrusted.ts"

/** Each call, by the name that evidence carries. */
export type CallName =
  | "token"
  | "long_lived_token"
  | "permissions"
  | "profile"
  | "accounts"
  | "refresh"
  | "revoke"
  | "identify"
  | "app_token"
  | "app_permissions"

/** What a call is about, as far as one answer can mean different things: `api` is all that is not a grant's own life. */
export type CallKind = "token" | "refresh" | "revoke" | "api"

function kindOf(call: CallName): CallKind {
  if (call === "app_token") return "token"
  return call === "token" || call === "refresh" || call === "revoke" ? call : "api"
}

/** What an error answer says, in one form for all five providers. Still raw: it is cleaned before it is kept. */
export interface Complaint {
  readonly code: string | null
  readonly subcode: string | null
  readonly message: string | null
  readonly traceId: string | null
  readonly transient: boolean
}

/** One line of a provider's table. Every condition that is given must hold; of the lines that do, the first counts. */
export interface RefusalRule {
  readonly on?: readonly CallKind[]
  readonly status?: number
  readonly codes?: readonly string[]
  readonly subcodes?: readonly string[]
  /** The code as a number, both ends included. */
  readonly between?: readonly [number, number]
  /** In lower case, found anywhere in the message. */
  readonly text?: string
  readonly reason: OAuthErrorReason
}

export interface RefusalTable {
  /** What the body says is wrong, whatever the status; undefined where it complains of nothing. */
  complaintIn(body: unknown): Complaint | undefined
  readonly rules: readonly RefusalRule[]
}

export type Verdict =
  | { readonly kind: "accepted"; readonly body: object }
  | {
      readonly kind: "refused"
      readonly reason: OAuthErrorReason
      readonly complaint: Complaint | undefined
      readonly body: unknown
      /** `refused`: what was sent was judged. `unknown`: that cannot be told from this answer. */
      readonly fate: "refused" | "unknown"
    }

/**
 * Decides whether an answer grants what was asked and, if not, why: first by what the body says, then by the
 * status alone. What no line knows is `provider_error`, never a reason that would disconnect an account.
 */
export function judge(call: CallName, answer: ProviderAnswer, refusals: RefusalTable): Verdict {
  const body = parseJson(answer.body)
  const complaint = refusals.complaintIn(body)
  const succeeded = answer.status >= 200 && answer.status < 300
  if (succeeded && !complaint && isObject(body)) return { kind: "accepted", body }
  if (succeeded && kindOf(call) === "revoke" && isBareSuccess(answer.body)) {
    return { kind: "accepted", body: {} }
  }
  const reason =
    reasonByRule(refusals.rules, call, answer.status, complaint) ??
    reasonByStatus(call, answer.status, complaint) ??
    (isDocumented(body, answer.status, complaint) ? "provider_error" : "invalid_response")
  return { kind: "refused", reason, complaint, body, fate: fateOf(answer.status, body, complaint) }
}

/** RFC 7009 section 2.2 puts nothing into the body; Facebook's old form is the word alone. */
function isBareSuccess(text: string): boolean {
  return ["", "true"].includes(text.trim())
}

/** Success and redirects that say nothing readable leave open what became of the request, and so does a gateway's page. */
function fateOf(status: number, body: unknown, complaint: Complaint | undefined): "refused" | "unknown" {
  if (status < 300) return complaint ? "refused" : "unknown"
  if (status < 400) return "unknown"
  // RFC 9110 section 15.6.4: who answers 503 has not handled it.
  if (status < 500 || status === 503) return "refused"
  return complaint || isObject(body) ? "refused" : "unknown"
}

function reasonByRule(
  rules: readonly RefusalRule[],
  call: CallName,
  status: number,
  complaint: Complaint | undefined,
): OAuthErrorReason | undefined {
  const kind = kindOf(call)
  const code = complaint?.code?.toLowerCase() ?? ""
  const text = complaint?.message?.toLowerCase() ?? ""
  const rule = rules.find(
    (rule) =>
      (rule.on?.includes(kind) ?? true) &&
      (rule.reason !== "reauth_required" || isFinal(status, complaint)) &&
      (rule.status ?? status) === status &&
      (rule.codes?.includes(code) ?? true) &&
      (rule.subcodes?.includes(complaint?.subcode ?? "") ?? true) &&
      (!rule.between || isBetween(code, rule.between)) &&
      text.includes(rule.text ?? ""),
  )
  return rule?.reason ?? (complaint?.transient ? "provider_unavailable" : undefined)
}

/** Only a judgement can end an account: never a failing server, a limit, a redirect, or what is said to pass. */
function isFinal(status: number, complaint: Complaint | undefined): boolean {
  const judged = (status >= 200 && status < 300) || (status >= 400 && status < 500 && status !== 429)
  return judged && !complaint?.transient
}

function isBetween(code: string, [least, most]: readonly [number, number]): boolean {
  return /^\d{1,9}$/.test(code) && Number(code) >= least && Number(code) <= most
}

function reasonByStatus(
  call: CallName,
  status: number,
  complaint: Complaint | undefined,
): OAuthErrorReason | undefined {
  if (status === 429) return "rate_limited"
  if (status >= 500) return "provider_unavailable"
  // A token that was typed in and that the provider does not take for whatever reason; no account hangs on it yet.
  if (status === 401 && call === "identify") return "reauth_required"
  if (kindOf(call) === "api") return status === 403 ? "insufficient_scope" : undefined
  // RFC 6749 section 5.2. LinkedIn says 401 for a wrong code too, but then says so in the body.
  return status === 401 && !complaint ? "invalid_client" : undefined
}

/** An error in an unknown form is not the documented format; neither is a redirect, nor success without a body. */
function isDocumented(body: unknown, status: number, complaint: Complaint | undefined): boolean {
  return complaint !== undefined || (isObject(body) && status >= 400)
}

/**
 * The two forms nearly everybody uses: RFC 6749's flat `{error, error_description}` and the nested
 * `{error: {code, message, …}}` of the Graph and of TikTok's API. Any other `error` that is not empty is a
 * complaint without a text.
 */
export function standardComplaint(body: unknown): Complaint | undefined {
  const error = field(body, "error")
  if (!error) return undefined
  if (!isObject(error)) {
    return aComplaint({
      code: codeText(error),
      message: readText(field(body, "error_description")) ?? readText(field(body, "message")),
      traceId: readText(field(body, "log_id")),
    })
  }
  return aComplaint({
    code: codeText(field(error, "code")) ?? readText(field(error, "type")),
    subcode: codeText(field(error, "error_subcode")),
    message: readText(field(error, "message")),
    traceId: readText(field(error, "fbtrace_id")) ?? readText(field(error, "log_id")),
    transient: field(error, "is_transient") === true,
  })
}

export function aComplaint(
  said: {
    readonly [part in keyof Complaint]?: Complaint[part] | undefined
  },
): Complaint {
  return {
    code: said.code ?? null,
    subcode: said.subcode ?? null,
    message: said.message ?? null,
    traceId: said.traceId ?? null,
    transient: said.transient ?? false,
  }
}

/** A code as text, whether it was sent as one or as a number. */
export function codeText(value: unknown): string | undefined {
  return typeof value === "number" ? String(value) : readText(value)
}

/** RFC 6749 section 5.2 and the words that every provider may borrow from it. Comes after a provider's own lines. */
export const standardRules: readonly RefusalRule[] = [
  { codes: ["invalid_client", "unauthorized_client"], reason: "invalid_client" },
  { on: ["token", "api"], codes: ["invalid_grant"], reason: "code_invalid" },
  { codes: ["invalid_grant"], reason: "reauth_required" },
  { codes: ["invalid_scope"], reason: "scope_not_allowed" },
  { codes: ["access_denied"], reason: "access_denied" },
  { codes: ["server_error", "temporarily_unavailable"], reason: "provider_unavailable" },
]
