import type { OAuthErrorReason, ProviderCall, ProviderEvidence } from "../../domain/oauth-error.ts"
import type { Clock } from "../../ports/crypto.ts"
import { ProviderFailure } from "../../ports/providers.ts"
import {
  type ProviderAnswer,
  type ProviderRequest,
  type Transport,
  TransportFault,
  type TransportLimits,
} from "../../ports/transport.ts"
import { type CallKind, type CallName, type Complaint, judge, type RefusalTable } from "./classify.ts"
import type { FormedRequest } from "./client-form.ts"
import { evidenceText, evidenceTraceId } from "./redact.ts"
import { retryAfterSeconds } from "./retry-after.ts"
import { field, isObject, readItems } from "./untrusted.ts"

/** Every call of one piece of work: their limits, what they must keep secret, and how each answer is judged. */
export interface Conversation {
  /** The body of an answer that grants what was asked. */
  ask(call: CallName, question: Question): Promise<object>
  /**
   * Sends what a client of Arctic's formed to our endpoint, once, and judges the answer ourselves: the client
   * never sees it.
   */
  submit(
    call: Exclude<CallKind, "api">,
    formed: FormedRequest,
    endpoint: string,
    amendment?: Amendment,
  ): Promise<object>
  /** From here on the text is kept out of all evidence, as every token in an answer is without this. */
  keepSecret(text: string): void
  /** A refusal that we read ourselves out of an answer that complained of nothing, or made before anything was sent. */
  failure(call: CallName, reason: OAuthErrorReason, message: string): ProviderFailure
  /** Our own fault, told without the text of the error, which could carry anything. */
  fault(error: unknown): ProviderFailure
  expiry(seconds: number): Date
}

/** What a conversation is held for. */
export interface Occasion {
  /** The call it begins with, under which a fault before any is told. */
  readonly call: CallName
  /** Kept out of all evidence. */
  readonly secrets: readonly string[]
  /** For all of it. */
  readonly limitMs: number
  /** Told of each call that was sent. */
  readonly onCall: (call: ProviderCall) => void
}

export interface Question {
  readonly url: string | URL
  readonly bearer?: string
  /** Sent as a form by POST; without one the call is a GET. */
  readonly form?: Readonly<Record<string, string>>
  readonly method?: "DELETE"
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
}

/** What a provider needs otherwise than Arctic forms it. */
export interface Amendment {
  /** Lower-case names; they replace Arctic's. */
  readonly headers?: Readonly<Record<string, string>>
  /** Changes the form that is sent. */
  readonly form?: (form: URLSearchParams) => void
}

export interface ConversationSettings {
  readonly transport: Transport
  readonly now: Clock
  /** For each call. */
  readonly limits: TransportLimits
}

const faultReason: Readonly<Record<TransportFault["kind"], OAuthErrorReason>> = {
  timeout: "provider_timeout",
  unreachable: "provider_timeout",
  too_large: "invalid_response",
}

const maxSecretsInAnswer = 100

const traceHeaders = ["x-fb-trace-id", "x-li-uuid", "x-tt-logid", "x-transaction-id"]

export function openConversation(
  settings: ConversationSettings,
  occasion: Occasion,
  refusals: RefusalTable,
): Conversation {
  const secrets = openSecrets(occasion.secrets)
  const sender = openSender(settings, occasion, secrets)

  /** The body of an answer, whose tokens are secrets whether or not it grants anything. */
  function accepted(call: CallName, answer: ProviderAnswer): object {
    const verdict = judge(call, answer, refusals)
    secrets.addTokensOf(verdict.body)
    if (verdict.kind === "accepted") return verdict.body
    const { complaint, reason, fate } = verdict
    const said = {
      call,
      status: answer.status,
      code: codeOf(complaint),
      message: complaint?.message ?? null,
      traceId: complaint?.traceId ?? traceIn(answer),
    }
    throw failureOf(reason, said, secrets, fate, retryAfterSeconds(answer.headers, settings.now()))
  }

  return {
    ask: async (call, question) => accepted(call, await sender.send(call, askedAs(question))),

    submit: async (call, formed, endpoint, amendment) =>
      accepted(call, await sender.send(call, amended(call, formed, endpoint, amendment))),

    keepSecret: secrets.add,
    failure(call, reason, message) {
      const { status, sent } = sender.latest()
      const read = reason === "invalid_response" ? "unknown" : "refused"
      return failureOf(reason, { call, status, message }, secrets, sent ? read : "unsent")
    },
    fault(error) {
      const { call, status, sent } = sender.latest()
      const message = error instanceof Error ? error.name : typeof error
      return failureOf("server_error", { call, status, message }, secrets, sent ? "unknown" : "unsent")
    },
    expiry: (seconds) => new Date(settings.now().getTime() + Math.floor(seconds * 1000)),
  }
}

/** What a conversation keeps out of all evidence. */
interface Secrets {
  add(text: string): void
  addTokensOf(answer: unknown): void
  all(): ReadonlySet<string>
}

/** Answers are searched for tokens only once there is evidence to be cleaned of them, which most conversations never have. */
function openSecrets(texts: readonly string[]): Secrets {
  const known = [...texts]
  const answers: unknown[] = []
  return {
    add: (text) => void known.push(text),
    addTokensOf: (answer) => void answers.push(answer),
    all: () => new Set([...known, ...answers.flatMap(secretsIn)]),
  }
}

interface Sender {
  send(call: CallName, outgoing: ProviderRequest): Promise<ProviderAnswer>
  /** The call that was sent last, with the status of its answer; the one to begin with where none was. */
  latest(): { readonly call: CallName; readonly status: number | null; readonly sent: boolean }
}

/** Every request leaves by this door: within the limits, told of, and its faults in our words. */
function openSender(settings: ConversationSettings, occasion: Occasion, secrets: Secrets): Sender {
  const { limitMs, onCall } = occasion
  const { timeoutMs, maxBytes } = settings.limits
  const endsMs = performance.now() + limitMs
  let latest: ReturnType<Sender["latest"]> = { call: occasion.call, status: null, sent: false }
  return {
    latest: () => latest,
    async send(call, outgoing) {
      latest = { call, status: null, sent: false }
      const startedMs = performance.now()
      const leftMs = endsMs - startedMs
      if (leftMs <= 0) {
        throw failureOf("provider_timeout", { call, message: "timeout: not sent" }, secrets, "unsent")
      }
      const at = settings.now()
      const tell = (outcome: Pick<ProviderCall, "status" | "fault">) =>
        onCall({ call, at, ...outcome, durationMs: Math.round(performance.now() - startedMs) })
      latest = { call, status: null, sent: true }
      try {
        const answer = await settings.transport(outgoing, {
          timeoutMs: Math.min(timeoutMs, leftMs),
          maxBytes,
        })
        latest = { call, status: answer.status, sent: true }
        tell({ status: answer.status, fault: null })
        return answer
      } catch (error) {
        if (!(error instanceof TransportFault)) throw error
        tell({ status: null, fault: error.kind })
        const message = typeof error.cause === "string" ? `${error.kind}: ${error.cause}` : error.kind
        const fate = error.unsent ? "unsent" : "unknown"
        throw failureOf(faultReason[error.kind], { call, message }, secrets, fate)
      }
    },
  }
}

/** Only what is cleaned of the secrets goes into a failure. */
function failureOf(
  reason: OAuthErrorReason,
  said: Partial<ProviderEvidence> & { readonly call: CallName },
  secrets: Secrets,
  fate: ProviderFailure["fate"],
  retryAfter?: number,
): ProviderFailure {
  const known = secrets.all()
  const evidence: ProviderEvidence = {
    call: said.call,
    status: said.status ?? null,
    code: evidenceText(said.code, known),
    message: evidenceText(said.message, known),
    traceId: evidenceTraceId(said.traceId, known),
  }
  const wait = retryAfter === undefined ? {} : { retryAfterSeconds: retryAfter }
  return new ProviderFailure({ reason, evidence, fate, ...wait })
}

function askedAs(question: Question): ProviderRequest {
  const form = question.form && new URLSearchParams(question.form).toString()
  const method = question.method ?? (form === undefined ? "GET" : "POST")
  return {
    method,
    url: String(question.url),
    headers: {
      accept: "application/json",
      "user-agent": "mooring",
      ...question.headers,
      ...(form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" }),
      ...(question.bearer === undefined ? {} : { authorization: `Bearer ${question.bearer}` }),
    },
    body: form ?? null,
    // A plain read is told by its token in a header: where a GET exchanges a token, the token is in the address.
    mayUseKeptConnection: question.bearer !== undefined && method === "GET",
  }
}

/** The request as Arctic formed it, at the endpoint as it is today. */
function amended(
  call: CallKind,
  formed: FormedRequest,
  endpoint: string,
  { headers, form }: Amendment = {},
): ProviderRequest {
  return {
    method: "POST",
    url: endpoint,
    headers: { ...formed.headers, "user-agent": "mooring", ...headers },
    body: form ? changedForm(formed.body, form) : formed.body,
    mayUseKeptConnection: call === "token",
  }
}

function changedForm(body: string, change: (form: URLSearchParams) => void): string {
  const form = new URLSearchParams(body)
  change(form)
  return form.toString()
}

function codeOf(complaint: Complaint | undefined): string | null {
  if (!complaint?.code) return null
  return complaint.subcode ? `${complaint.code}/${complaint.subcode}` : complaint.code
}

function traceIn(answer: ProviderAnswer): string | null {
  return traceHeaders.map((name) => answer.headers[name]).find((value) => value !== undefined) ?? null
}

function secretsIn(body: unknown): readonly string[] {
  return tokensIn(body, 0).slice(0, maxSecretsInAnswer)
}

function tokensIn(body: unknown, depth: number): readonly string[] {
  if (depth > 4) return []
  const here = ["access_token", "refresh_token", "id_token"].map((name) => field(body, name))
  const nested = isObject(body) ? Object.values(body) : readItems(body)
  return [
    ...here.filter((value) => typeof value === "string"),
    ...nested.flatMap((value) => tokensIn(value, depth + 1)),
  ]
}
