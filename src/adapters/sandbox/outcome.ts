import type { Choice } from "./choice.ts"
import type { ConsentRequest } from "./consent-request.ts"
import { type Grant, grantedScopes } from "./grant.ts"
import type { Detour } from "./scenarios.ts"
import type { Desk } from "./wire.ts"

type Parameters = Readonly<Record<string, string>>

/** Where the person's choice leads: back to the callback, or nowhere. */
export type Outcome = { readonly redirect: string } | { readonly stays: true }

/** What the real provider would do now. The address is the request's own redirect_uri with a query, whatever was chosen. */
export function outcomeOf(request: ConsentRequest, choice: Choice, desk: Desk): Outcome {
  const { detour } = choice.scenario
  if (detour === "page") return { stays: true }
  const { authorize } = request.simulation
  const parameters = detour
    ? detourParameters(detour, request, choice, desk)
    : codeParameters(request, choice, desk)
  const state = detour === "wrong_state" ? altered(request.state) : request.state
  const url = new URL(request.redirectUri)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  if (state !== null) url.searchParams.set("state", state)
  if (authorize.fragment && "code" in parameters) url.hash = authorize.fragment
  return { redirect: url.href }
}

function detourParameters(
  detour: Exclude<Detour, "page">,
  request: ConsentRequest,
  choice: Choice,
  desk: Desk,
): Parameters {
  const { refusals } = request.simulation.authorize
  switch (detour) {
    case "without_code":
      return {}
    case "wrong_state":
      return codeParameters(request, choice, desk)
    case "with_both":
      return { ...codeParameters(request, choice, desk), ...refusals.decline }
    default:
      return refusals[detour] ?? {}
  }
}

function codeParameters(request: ConsentRequest, choice: Choice, desk: Desk): Parameters {
  const { provider, authorize, codeLifetimeSeconds } = request.simulation
  const grant: Grant = {
    provider,
    clientId: request.clientId,
    redirectUri: request.redirectUri,
    requested: request.scopes,
    declined: choice.declined,
    challenge: request.challenge,
    person: choice.person,
    scenario: choice.scenario.name,
    expiresIn: choice.expiresIn,
    refreshExpiresIn: choice.refreshExpiresIn,
    delayMs: choice.delayMs,
    pages: choice.pages,
    consent: desk.tickets.newName(),
    order: desk.memory.nextOrder(desk.now()),
  }
  const code = desk.tickets.issue({ kind: "code", grant, lifetimeSeconds: codeLifetimeSeconds })
  return { code, ...authorize.extras?.(grantedScopes(grant)) }
}

/** Another text of the same shape: only its first character differs. */
function altered(state: string | null): string {
  const text = state ?? ""
  return `${text.startsWith("0") ? "1" : "0"}${text.slice(1)}`
}
