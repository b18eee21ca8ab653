import {
  type ConnectFlow,
  confirmLifetimeMs,
  exchangeLimitMs,
  type FlowStatus,
  flowLifetimeMs,
  proofState,
  wasOffered,
} from "../domain/connect-flow.ts"
import type { ProviderCall } from "../domain/oauth-error.ts"
import { providerTitle } from "../domain/provider.ts"

/** Something that happened in a flow, for the developer who asks why it ended as it did. */
export interface FlowStep {
  readonly step:
    | "started"
    | "returned"
    | "provider_call"
    | "choosing"
    | "held"
    | "connected"
    | "failed"
    | "expired"
  readonly at: Date
  /** One sentence. */
  readonly detail: string
  /** Of a `provider_call` alone. */
  readonly call: ProviderCall | null
}

/** What is known of a flow, in order of time. `flow.failure` is what it ended in, written down or not. */
export function stepsOf(flow: ConnectFlow, status: FlowStatus): readonly FlowStep[] {
  return [started(flow), ...returned(flow), ...callsOf(flow), ...laidAside(flow), ...ended(flow, status)]
}

function step(name: FlowStep["step"], at: Date, detail: string, call: ProviderCall | null = null): FlowStep {
  return { step: name, at, detail, call }
}

function started(flow: ConnectFlow): FlowStep {
  const title = providerTitle[flow.provider]
  const what =
    flow.reconnectAccountId === null
      ? `Your backend (${flow.startedBy}) called start for ${title}`
      : `Your backend (${flow.startedBy}) called start to reconnect ${flow.reconnectAccountId}`
  const scopes = flow.scopes.length === 0 ? "" : `; the app asks for ${flow.scopes.join(" ")}`
  return step("started", flow.createdAt, `${what}${scopes}.`)
}

function returned(flow: ConnectFlow): readonly FlowStep[] {
  if (flow.takenAt === null) return []
  const title = providerTitle[flow.provider]
  const refused = flow.failure?.evidence?.call === "authorize"
  const detail = refused
    ? `The person's browser came back from ${title} with an error in place of a code; provider_error holds ${title}'s words.`
    : `The person's browser came back from ${title}${flow.calls.length > 0 ? " with a code" : ""}.`
  return [step("returned", flow.takenAt, detail)]
}

/** What each call is for, by the names of `ProviderCall.call`. */
const purposes: Readonly<Record<string, string>> = {
  token: "exchange the code for a token",
  long_lived_token: "exchange the short-lived token for a long-lived one",
  permissions: "read which permissions the person granted",
  profile: "read the profile",
  accounts: "list the Pages or organisations the person manages",
}

const faults: Readonly<Record<NonNullable<ProviderCall["fault"]>, string>> = {
  timeout: "gave no whole answer in time and was given up",
  unreachable: "could not be reached or broke off the connection",
  too_large: "answered with more than Mooring reads",
}

function callsOf(flow: ConnectFlow): readonly FlowStep[] {
  const failing = flow.calls.findLast((call) => call.call === flow.failure?.evidence?.call)
  return flow.calls.map((call) => {
    const asked = `Mooring called ${providerTitle[flow.provider]} to ${purposes[call.call] ?? call.call}`
    const answer = call.fault === null ? `the answer was HTTP ${call.status}` : `it ${faults[call.fault]}`
    const verdict = call === failing ? ", and here the connect failed" : ""
    return step("provider_call", call.at, `${asked}; ${answer} after ${call.durationMs} ms${verdict}.`, call)
  })
}

/** Laying accounts aside gives a flow a new end, from which the moment is told. */
function laidAside(flow: ConnectFlow): readonly FlowStep[] {
  const proof = proofState(flow)
  if (proof === "awaited" || proof === "confirmed") {
    const at = new Date(flow.expiresAt.getTime() - confirmLifetimeMs)
    const chosen = flow.select ? "What was granted, and chosen where there was a choice," : "What was granted"
    return [
      step(
        "held",
        at,
        `${chosen} was laid aside, of no use to anybody, until your backend confirms it with the connect_code that went to the return_url.`,
      ),
    ]
  }
  if (!wasOffered(flow)) return []
  return [
    step(
      "choosing",
      new Date(flow.expiresAt.getTime() - flowLifetimeMs),
      "The person granted several accounts, so somebody was asked which of them to connect.",
    ),
  ]
}

function ended(flow: ConnectFlow, status: FlowStatus): readonly FlowStep[] {
  switch (status) {
    case "pending":
      return []
    case "connected":
      return [step("connected", endOf(flow, flow.expiresAt), connectedDetail(flow))]
    case "failed": {
      const lostAt = new Date((flow.takenAt ?? flow.createdAt).getTime() + exchangeLimitMs)
      return [step("failed", endOf(flow, lostAt), failedDetail(flow))]
    }
    case "expired":
      return [step("expired", flow.expiresAt, failedDetail(flow))]
  }
}

/** When it ended, or by the clock must have ended where that is not written down yet. */
function endOf(flow: ConnectFlow, otherwise: Date): Date {
  return flow.completedAt ?? otherwise
}

function connectedDetail({ accountIds, proof }: ConnectFlow): string {
  const accounts = accountIds.length === 1 ? "1 account is" : `${accountIds.length} accounts are`
  return proof
    ? `Your backend confirmed it with the connect_code, and ${accounts} connected.`
    : `${accounts} connected.`
}

function failedDetail({ failure }: ConnectFlow): string {
  return failure ? `${failure.reason}: ${failure.detail}` : "Why is not known."
}
