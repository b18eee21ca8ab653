import type { Ending } from "../../../src/adapters/sandbox/scenarios.ts"
import type { ProviderName } from "../../../src/domain/provider.ts"
import { type ProviderAnswer, TransportFault } from "../../../src/ports/transport.ts"
import {
  accessTokenIn,
  authorizeAddress,
  type Call,
  call,
  get,
  longLivedCall,
  type OpenSandbox,
  profileCall,
  state,
  tokenCall,
  verifier,
} from "./harness.ts"

/**
 * A client written from the providers' documents and from nothing of ours: it connects through the sandbox
 * and says how that ended. So what a scenario claims to end in is held against a second opinion.
 */
export async function connect(box: OpenSandbox, provider: ProviderName, scenario: string): Promise<Ending> {
  const response = await get(box, authorizeAddress(provider, { scenario }))
  const location = response.headers.get("location")
  if (response.status === 200 && !location) return "no_response"
  const back = new URL(location ?? "").searchParams
  if (back.get("state") !== state) return "state_invalid"
  if (back.has("code") === back.has("error")) return "callback_invalid"
  const error = back.get("error")
  if (error) return callbackEnding(error, back.get("error_type"))
  try {
    return await exchange(box, provider, back)
  } catch (fault) {
    if (fault instanceof Stop) return fault.ending
    if (fault instanceof TransportFault)
      return fault.kind === "too_large" ? "invalid_response" : "provider_timeout"
    throw fault
  }
}

class Stop extends Error {
  readonly ending: Ending

  constructor(ending: Ending) {
    super(ending)
    this.ending = ending
  }
}

function callbackEnding(error: string, type: string | null): Ending {
  if (type === "non_sandbox_target") return "account_not_eligible"
  if (/scope/.test(error)) return "scope_not_allowed"
  return /^(access_denied|user_cancelled_login|user_cancelled_authorize)$/.test(error)
    ? "access_denied"
    : "provider_error"
}

async function exchange(box: OpenSandbox, provider: ProviderName, back: URLSearchParams): Promise<Ending> {
  const pkce = provider === "tiktok" ? { code_verifier: verifier } : {}
  const first = await ask(box, "token", tokenCall(provider, back.get("code") ?? "", pkce))
  const second = longLivedCall(provider, tokenIn(first))
  const token = second ? tokenIn(await ask(box, "api", second)) : tokenIn(first)
  if (provider === "facebook") return pages(box, token)
  const granted = back.get("scopes")?.split(",")
  const asked = profileCall(provider, token)
  const url =
    granted?.includes("user.info.profile") === false ? asked.url.replace(",username", "") : asked.url
  const profile = await ask(box, "api", { ...asked, url })
  return /"account_type":"PERSONAL"/.test(profile.body) ? "account_not_eligible" : "connected"
}

async function pages(box: OpenSandbox, token: string): Promise<Ending> {
  const graph = "https://graph.facebook.com/v25.0"
  const read = (path: string) => ask(box, "api", { url: `${graph}${path}`, bearer: token })
  const permissions = await read("/me/permissions")
  if (/"pages_show_list","status":"declined"/.test(permissions.body)) return "insufficient_scope"
  await read("/me")
  const lists = [await read("/me/accounts?fields=id,tasks")]
  if (/"business_management","status":"granted"/.test(permissions.body)) {
    const business = /"id":"(\d+)"/.exec((await read("/me/businesses")).body)?.[1]
    if (business) lists.push(await read(`/${business}/owned_pages?fields=id,tasks`))
  }
  return lists.some((list) => list.body.includes("CREATE_CONTENT")) ? "connected" : "no_publishable_account"
}

function tokenIn(answer: ProviderAnswer): string {
  try {
    return accessTokenIn(JSON.parse(answer.body))
  } catch {
    throw new Stop("invalid_response")
  }
}

async function ask(box: OpenSandbox, at: "token" | "api", asked: Call): Promise<ProviderAnswer> {
  const answer = await call(box, asked)
  const refusal = refusals.find(([pattern, where]) => (where ?? at) === at && pattern.test(signature(answer)))
  if (refusal) throw new Stop(refusal[2])
  if (answer.status !== 200 || !isJson(answer.body)) throw new Stop("invalid_response")
  return answer
}

function signature(answer: ProviderAnswer): string {
  return `${answer.status} ${answer.body}`
}

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== null
  } catch {
    return false
  }
}

/** The providers' own words, in the order in which they are to be read. */
const refusals: readonly (readonly [pattern: RegExp, at: "token" | "api" | undefined, ending: Ending])[] = [
  [/^429|"code":4,|rate_limit_exceeded/, undefined, "rate_limited"],
  [/^5\d\d/, undefined, "provider_unavailable"],
  [/code verifier (did not match|or code challenge)/i, "token", "pkce_mismatch"],
  [/appid\/redirect uri\/code verifier/, "token", "code_invalid"],
  [/redirect_uri/i, "token", "redirect_uri_mismatch"],
  [/unauthorized_client|invalid_client|client secret|Client key or secret/i, "token", "invalid_client"],
  [/authorization code|"error_subcode":360(07|09)|Matching code/i, "token", "code_invalid"],
  [/client-forbidden/, "api", "scope_not_allowed"],
  [/^403|scope_not_authorized|"code":10,/, "api", "insufficient_scope"],
  [/^401|"code":190/, "api", "reauth_required"],
  [/"error(_type)?":/, "token", "provider_error"],
]
