import { defaultScopes } from "../../domain/provider.ts"
import { isPersonName, type PersonName, personNames } from "./people.ts"
import { findScenario, partialConsent, type Scenario, scenariosOf } from "./scenarios.ts"
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

/** How the person decides, whether by a button or by the query of a test. */
export interface Choice {
  readonly scenario: Scenario
  readonly person: PersonName
  readonly declined: readonly string[]
  readonly expiresIn: number | null
}

/** One sentence that names the parameter to mend. It may hold text of the caller, so it is escaped where it is shown. */
export interface Fault {
  readonly fault: string
}

const scopeToken = /^[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]{1,128}$/ // RFC 6749 section 3.3, less the comma

/** A code carries its scopes, perhaps twice, and callbacks take codes of 4,096 characters. */
const maxScopeCharacters = 1000
const maxClientIdCharacters = 256
const maxExpiresInSeconds = 10 * 365 * 86_400

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

/** What was chosen: by button and ticks in the form, and by the parameters that a test appends to the query. */
export interface Given {
  readonly query: URLSearchParams
  readonly form?: URLSearchParams
}

/** `undefined` where nothing is chosen yet and the page is to be shown. */
export function readChoice(request: ConsentRequest, given: Given): Choice | Fault | undefined {
  const { query, form } = given
  const named = form ? (form.get("scenario") ?? "approve") : (query.get("scenario") ?? "page")
  const { provider } = request.simulation
  const scenario = findScenario(provider, named)
  const person = form?.get("person") ?? query.get("person") ?? scenario?.person ?? "ann"
  const expiresIn = query.get("expires_in")
  const unticked = [...query.getAll("untick"), ...(scenario?.unticks ? [scenario.unticks] : [])]
  const fault =
    scenarioFault(request, named, scenario) ??
    personFault(person) ??
    expiresInFault(expiresIn) ??
    untickFault(request, unticked)
  if (fault) return { fault }
  if (!scenario || !isPersonName(person)) return undefined
  const declined = new Set([...unticked, ...leftUnticked(request, form)])
  return {
    scenario,
    person,
    declined: request.scopes.filter((scope) => declined.has(scope)),
    expiresIn: expiresIn === null ? (scenario.expiresIn ?? null) : Number(expiresIn),
  }
}

/** The page says that it showed ticks, since a form without any ticked box sends none. */
function leftUnticked(request: ConsentRequest, form: URLSearchParams | undefined): readonly string[] {
  if (!request.partial || !form?.has("ticks")) return []
  const ticked = form.getAll("granted")
  return request.scopes.filter((scope) => !ticked.includes(scope))
}

function scenarioFault(
  { simulation }: ConsentRequest,
  named: string,
  scenario: Scenario | undefined,
): string | undefined {
  if (scenario || named === "page") return undefined
  const names = scenariosOf(simulation.provider).map(({ name }) => name)
  return `scenario ${shorten(named)} is unknown here; use page (or none) for the consent page, or one of ${names.join(", ")}.`
}

function personFault(person: string): string | undefined {
  if (isPersonName(person)) return undefined
  return `person ${shorten(person)} is unknown; use one of ${personNames.join(", ")}.`
}

function expiresInFault(text: string | null): string | undefined {
  if (text === null) return undefined
  const isCount = /^[1-9]\d{0,9}$/.test(text) && Number(text) <= maxExpiresInSeconds
  return isCount ? undefined : `expires_in must be a number of seconds from 1 to ${maxExpiresInSeconds}.`
}

function untickFault(request: ConsentRequest, unticked: readonly string[]): string | undefined {
  if (unticked.length > 0 && !request.partial) {
    return "untick does nothing here: this consent is given as a whole or not at all; take it out."
  }
  const stranger = unticked.find((scope) => !request.scopes.includes(scope))
  return stranger === undefined
    ? undefined
    : `untick names ${shorten(stranger)}, which the app does not ask for; it asks for ${request.scopes.join(", ")}.`
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`
}
