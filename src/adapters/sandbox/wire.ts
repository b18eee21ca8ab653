import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import type { ProviderName } from "../../domain/provider.ts"
import type { Clock } from "../../ports/crypto.ts"
import type { ProviderAnswer, ProviderRequest } from "../../ports/transport.ts"
import { type Grant, hasEnded, type Ticket, type TicketKind, type TicketOffice } from "./grant.ts"
import type { Memory } from "./memory.ts"
import type { Detour, Mishap, Refusal, Stage } from "./scenarios.ts"
import { strikeAt } from "./scenarios.ts"
import { noteConsent, wasRemoved } from "./standing.ts"

/** One provider as it shows itself: at the authorize address, on the way back, and on its API hosts. */
export interface Simulation {
  readonly provider: ProviderName
  readonly hosts: readonly string[]
  readonly authorize: AuthorizeRules
  readonly codeLifetimeSeconds: number
  answer(request: WireRequest, desk: Desk): Reply
}

export interface AuthorizeRules {
  readonly clientIdName: "client_id" | "client_key"
  /** Besides the client id and redirect_uri. */
  readonly requires: readonly string[]
  readonly scopeSeparator: RegExp
  readonly pkce: "required" | "optional" | "ignored"
  readonly maxStateCharacters?: number
  /** What comes back beside code and state. */
  readonly extras?: (granted: readonly string[]) => Readonly<Record<string, string>>
  readonly fragment?: string
  readonly refusals: Readonly<Partial<Record<Detour, Readonly<Record<string, string>>>>>
}

/** A request as a provider's server reads it. */
export interface WireRequest {
  readonly method: ProviderRequest["method"]
  readonly host: string
  readonly path: string
  readonly query: URLSearchParams
  /** Empty unless the body is a form. */
  readonly form: URLSearchParams
  readonly headers: ProviderRequest["headers"]
}

/** What a simulation works with. */
export interface Desk {
  readonly now: Clock
  readonly tickets: TicketOffice
  readonly memory: Memory
}

/** An answer, what the network does instead, or an answer that takes its time. */
export type Reply =
  | ProviderAnswer
  | { readonly mishap: Mishap }
  | { readonly late: ProviderAnswer; readonly delayMs: number }

/** Undefined for what no TLS connection could carry. */
export function readRequest(request: ProviderRequest): WireRequest | undefined {
  if (!URL.canParse(request.url)) return undefined
  const url = new URL(request.url)
  if (url.protocol !== "https:") return undefined
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers["content-type"] ?? "")
  return {
    method: request.method,
    host: url.host,
    path: url.pathname,
    query: url.searchParams,
    form: new URLSearchParams(isForm ? (request.body ?? "") : ""),
    headers: request.headers,
  }
}

export function json(status: number, body: unknown, headers: ProviderAnswer["headers"] = {}): ProviderAnswer {
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers },
    body: JSON.stringify(body),
  }
}

/** An error in the flat form of RFC 6749 section 5.2, as X and LinkedIn answer it. */
export function oauthError(status: number, error: string, description: string): ProviderAnswer {
  return json(status, { error, error_description: description })
}

/** Writes one text of the answer as a bare JSON number, however long: a double could not hold it. */
export function withBareNumber(answer: ProviderAnswer, digits: string): ProviderAnswer {
  return { ...answer, body: answer.body.replaceAll(`"${digits}"`, digits) }
}

export function bearer(request: WireRequest): string | undefined {
  return /^bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1]
}

/** Client id and secret as the header has them, not form-decoded. */
export function basic(request: WireRequest): { readonly id: string; readonly secret: string } | undefined {
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(request.headers.authorization ?? "")?.[1]
  if (!encoded) return undefined
  const text = Buffer.from(encoded, "base64").toString("utf8")
  const colon = text.indexOf(":")
  return colon < 0 ? undefined : { id: text.slice(0, colon), secret: text.slice(colon + 1) }
}

/** The first of the named parameters that is missing or empty. */
export function firstMissing(parameters: URLSearchParams, names: readonly string[]): string | undefined {
  return names.find((name) => !parameters.get(name))
}

export interface CodeExchange {
  readonly provider: ProviderName
  readonly code: string
  readonly clientId: string
  readonly redirectUri: string
  readonly codeVerifier: string | null
}

/**
 * Takes a code as the real server would, once: for this provider, client, redirect URI and verifier, and in
 * time. Ends in the grant, or in what the exchange runs into, the scenario's own strike included.
 */
export function redeemCode(
  desk: Desk,
  exchange: CodeExchange,
): { readonly grant: Grant } | { readonly refused: Refusal | Mishap } {
  const ticket = desk.tickets.read(exchange.code)
  if (ticket?.kind !== "code") return { refused: "unknown_code" }
  const { grant } = ticket
  if (grant.provider !== exchange.provider || grant.clientId !== exchange.clientId) {
    return { refused: "unknown_code" }
  }
  if (desk.memory.isSpent(ticket.nonce)) return { refused: "used_code" }
  if (hasEnded(ticket, desk.now())) return { refused: "dead_code" }
  if (grant.redirectUri !== exchange.redirectUri) return { refused: "redirect_uri_mismatch" }
  if (grant.challenge !== null && !fitsChallenge(grant.challenge, exchange.codeVerifier)) {
    return { refused: "pkce_mismatch" }
  }
  desk.memory.spend(ticket.nonce)
  // Not on the page, which anybody may post to: a code is redeemed by a flow that a test key began.
  noteConsent(desk, ticket.grant)
  const strike = strikeAt(grant, "token")
  return strike ? { refused: strike.with } : { grant }
}

/** S256 as RFC 7636 has it, or TikTok's hexadecimal, whichever the challenge was. */
function fitsChallenge(challenge: string, verifier: string | null): boolean {
  if (!verifier || !/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return false
  const digest = createHash("sha256").update(verifier).digest()
  return challenge === digest.toString("base64url") || challenge.toLowerCase() === digest.toString("hex")
}

export type TokenFault = "unknown" | "expired" | "revoked"

/** The ticket behind a token of one of these kinds that still lives and was issued by this provider. */
export function liveTicket(
  desk: Desk,
  provider: ProviderName,
  kinds: readonly TicketKind[],
  token: string | null | undefined,
): Ticket | TokenFault {
  const ticket = token ? desk.tickets.read(token) : undefined
  if (!ticket || ticket.grant.provider !== provider || !kinds.includes(ticket.kind)) return "unknown"
  if (wasEnded(desk, ticket)) return "revoked"
  return hasEnded(ticket, desk.now()) ? "expired" : ticket
}

/** Whether the token, its whole consent or the app was ended by somebody, as far as this process knows. */
function wasEnded(desk: Desk, { nonce, grant }: Ticket): boolean {
  return desk.memory.isSpent(nonce) || desk.memory.isSpent(grant.consent) || wasRemoved(desk, grant)
}

/** What the scenario does at this stage, said in the provider's words or done by the transport. */
export function struck(
  desk: Desk,
  grant: Grant,
  stage: Stage,
  say: (refusal: Refusal) => ProviderAnswer,
): Reply | undefined {
  const strike = strikeAt(grant, stage)
  if (!strike) return undefined
  const name = `${stage} ${grant.consent}`
  if (strike.once && desk.memory.isSpent(name)) return undefined
  if (strike.once) desk.memory.spend(name)
  return refuse(strike.with, say)
}

/** How a refresh goes that the provider means to grant: `renew` does it, and the scenario may strike before it or after. */
export function refreshed(
  desk: Desk,
  grant: Grant,
  say: (refusal: Refusal) => ProviderAnswer,
  renew: () => ProviderAnswer,
): Reply {
  const before = struck(desk, grant, "refresh", say)
  if (before) return before
  const answer = renew()
  const after = struck(desk, grant, "refreshed", say)
  if (after) return after
  return grant.delayMs === null ? answer : { late: answer, delayMs: grant.delayMs }
}

export function refuse(strike: Refusal | Mishap, say: (refusal: Refusal) => ProviderAnswer): Reply {
  return isMishap(strike) ? { mishap: strike } : say(strike)
}

const mishaps: Readonly<Record<Mishap, true>> = {
  hang: true,
  unreachable: true,
  huge: true,
  html: true,
  not_json: true,
  redirect: true,
  down: true,
  broken: true,
}

function isMishap(strike: Refusal | Mishap): strike is Mishap {
  return Object.hasOwn(mishaps, strike)
}
