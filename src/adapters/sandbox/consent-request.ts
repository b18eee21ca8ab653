import { defaultScopes } from "../../domain/provider.ts"
import { partialConsent } from "./scenarios.ts"
import type { Simulation } from "./wire.ts"

/** What an app asks of a person: the authorize query, checked as the provider checks it. */
export interface ConsentRequest {
  readonly simulation: Simulation
  readonly clientId: string
  /** Always this server's own callback. */
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly state: string | null
  readonly challenge: string | null
  /** Whether the person may grant less. */
  readonly partial: boolean
}

/** One sentence that names the parameter to mend. It may hold text of the caller, so it is escaped where it is shown. */
export interface Fault {
  readonly fault: string
}

const scopeToken = /^[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]{1,128}$/ // RFC 6749 section 3.3, less the comma

/** A code carries its scopes, perhaps twice, and callbacks take codes of 4,096 characters. */
const maxScopeCharacters = 1000
const maxClientIdCharacters = 256

/** Reads an authorize query. A redirect_uri other than this server's callback is a fault like any other: no address but that one is ever redirected to. */
export function readConsentRequest(
  simulation: Simulation,
  query: URLSearchParams,
  callback: string,
): ConsentRequest | Fault {
  const fault =
    repeatedFault(query) ??
    clientFault(simulation, query) ??
    redirectFault(query, callback) ??
    missingFault(simulation, query) ??
    stateFault(simulation, query) ??
    pkceFault(simulation, query) ??
    scopeFault(simulation, query)
  if (fault) return { fault }
  const configured = simulation.provider === "facebook" && query.has("config_id")
  const asked = scopesIn(simulation, query)
  return {
    simulation,
    clientId: query.get(simulation.authorize.clientIdName) ?? "",
    redirectUri: callback,
    // A Login for Business configuration names the permissions itself, and is granted as a whole.
    scopes: configured && asked.length === 0 ? defaultScopes.facebook : asked,
    state: query.get("state"),
    challenge: simulation.authorize.pkce === "ignored" ? null : query.get("code_challenge"),
    partial: partialConsent.includes(simulation.provider) && !configured,
  }
}

function scopesIn({ authorize }: Simulation, query: URLSearchParams): readonly string[] {
  return [...new Set((query.get("scope") ?? "").split(authorize.scopeSeparator).filter(Boolean))]
}

function repeatedFault(query: URLSearchParams): string | undefined {
  const repeated = [...new Set(query.keys())].find(
    (name) => name !== "untick" && query.getAll(name).length > 1,
  )
  return repeated === undefined ? undefined : `${shorten(repeated)} is given more than once; give it once.`
}

function clientFault({ authorize }: Simulation, query: URLSearchParams): string | undefined {
  const name = authorize.clientIdName
  const clientId = query.get(name)
  if (clientId) return clientId.length <= maxClientIdCharacters ? undefined : `${name} is too long.`
  return name === "client_key" && query.has("client_id")
    ? "client_key is missing: TikTok calls the client id client_key, not client_id."
    : `${name} is missing; add the client id of the OAuth app.`
}

function redirectFault(query: URLSearchParams, callback: string): string | undefined {
  const given = query.get("redirect_uri")
  if (given === callback) return undefined
  return given
    ? `redirect_uri is not registered: it must be exactly ${callback}.`
    : `redirect_uri is missing; it must be ${callback}.`
}

function missingFault({ authorize }: Simulation, query: URLSearchParams): string | undefined {
  const missing = authorize.requires.find((name) => !query.get(name))
  if (missing) return `${missing} is missing; add it to the authorize URL.`
  const responseType = query.get("response_type")
  return responseType === null || responseType === "code"
    ? undefined
    : "response_type must be code; change it."
}

function stateFault({ authorize }: Simulation, query: URLSearchParams): string | undefined {
  const longest = authorize.maxStateCharacters ?? 4096
  return (query.get("state") ?? "").length > longest
    ? `state has more than ${longest} characters; shorten it.`
    : undefined
}

function pkceFault({ authorize }: Simulation, query: URLSearchParams): string | undefined {
  const challenge = query.get("code_challenge")
  if (authorize.pkce === "ignored" || (authorize.pkce === "optional" && challenge === null)) return undefined
  if (!challenge) return "code_challenge is missing; PKCE is mandatory here."
  if (query.get("code_challenge_method") !== "S256") {
    return "code_challenge_method must be S256; add or change it."
  }
  const isHex = authorize.pkce === "optional" && /^[0-9a-f]{64}$/i.test(challenge)
  return isHex || /^[A-Za-z0-9_-]{43}$/.test(challenge)
    ? undefined
    : "code_challenge is not the SHA-256 of a verifier; 43 characters of base64url are expected."
}

function scopeFault(simulation: Simulation, query: URLSearchParams): string | undefined {
  const scopes = scopesIn(simulation, query)
  if (!scopes.every((scope) => scopeToken.test(scope))) {
    const joint = simulation.authorize.clientIdName === "client_key" ? "commas" : "spaces"
    return `scope holds something that is no scope; join scopes with ${joint}.`
  }
  return scopes.join(" ").length > maxScopeCharacters
    ? `scope has more than ${maxScopeCharacters} characters, which the sandbox cannot carry; ask for fewer.`
    : undefined
}

/** Enough of a text of the caller to recognise it. */
export function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`
}
