import type { OAuthErrorReason } from "../../domain/oauth-error.ts"
import { defaultScopes, type ProviderName, providerNames } from "../../domain/provider.ts"
import { laterScenarios } from "./later-scenarios.ts"
import type { PersonName } from "./people.ts"

/**
 * The provider's calls a scenario can strike: the code's exchange, Meta's second exchange, who it is, which
 * Pages; later a refresh, its answer once it was granted, and the end of the grant.
 */
export type Stage = "token" | "long_lived" | "profile" | "pages" | "refresh" | "refreshed" | "revoke"

/** What goes wrong there; each provider says it in its own words. */
export type Refusal =
  | "unknown_code"
  | "dead_code"
  | "used_code"
  | "wrong_secret"
  | "unknown_client"
  | "unregistered_redirect"
  | "redirect_uri_mismatch"
  | "pkce_mismatch"
  | "rate_limited"
  | "no_access_token"
  | "error_in_200"
  | "unknown_error"
  | "insufficient_scope"
  | "plan_missing"
  | "token_revoked"
  | "dead_refresh_token"
  | "failing"

/** What goes wrong alike at every provider, in the transport or in front of the API. */
export type Mishap = "hang" | "unreachable" | "huge" | "html" | "not_json" | "redirect" | "down" | "broken"

/** How the person comes back, where it is not with a code: `page` never returns. */
export type Detour =
  | "decline"
  | "decline_login"
  | "scope_not_allowed"
  | "account_not_eligible"
  | "without_code"
  | "with_both"
  | "wrong_state"
  | "page"

/** An answer that is good, but not the usual one. */
export type Variant =
  | "no_refresh_token"
  | "partner_refresh"
  | "no_rotation"
  | "no_expires_in"
  | "nested"
  | "bare_number"
  | "business_pages"
  | "pages_without_content"
  | "personal_account"

export type Ending = "connected" | OAuthErrorReason

/** Something that can happen to a connect. A name is unique for each provider, and its effect may differ between them. */
export interface Scenario {
  readonly name: string
  readonly providers: readonly ProviderName[]
  /** One line for the consent page: what happens. */
  readonly does: string
  /** What the tenant is told in the end. */
  readonly ends: Ending
  /** One line: what happens to the account after it was connected. */
  readonly later?: string
  readonly detour?: Detour
  readonly strikes?: Strike
  readonly variant?: Variant
  /** Who consents, unless the test names somebody. */
  readonly person?: PersonName
  readonly expiresIn?: number
  /** How long each refresh takes to be answered. */
  readonly delayMs?: number
  readonly unticks?: string
}

export interface Strike {
  readonly at: Stage
  readonly with: Refusal | Mishap
  /** The first time only, as far as one process knows. */
  readonly once?: true
}

/** Where a person may grant less than the app asks for. */
export const partialConsent: readonly ProviderName[] = ["tiktok", "facebook", "instagram"]

const meta: readonly ProviderName[] = ["facebook", "instagram"]

type Line = Omit<Scenario, "name" | "providers">

function on(providers: readonly ProviderName[], name: string, line: Line): Scenario {
  return { name, providers, ...line }
}

function onAll(name: string, line: Line): Scenario {
  return on(providerNames, name, line)
}

const consents: readonly Scenario[] = [
  onAll("approve", { does: "Grants everything.", ends: "connected" }),
  onAll("odd_name", {
    does: "Grants everything as a person whose name has emoji, quotes and markup.",
    ends: "connected",
    person: "zoe",
  }),
  onAll("decline", { does: "Declines the consent.", ends: "access_denied", detour: "decline" }),
  on(["linkedin"], "decline_login", {
    does: "Declines to log in (user_cancelled_login).",
    ends: "access_denied",
    detour: "decline_login",
  }),
  onAll("never_returns", {
    does: "Stays on the provider's page, as somebody who closes the tab.",
    ends: "no_response",
    detour: "page",
  }),
]

/** Without these scopes there is no profile to read. */
const indispensable: readonly string[] = ["user.info.basic", "instagram_business_basic", "pages_show_list"]

const unticks: readonly Scenario[] = partialConsent.flatMap((provider) =>
  defaultScopes[provider].map((scope) =>
    on([provider], `untick:${scope}`, {
      does: `Grants all but ${scope}.`,
      ends: indispensable.includes(scope) ? "insufficient_scope" : "connected",
      unticks: scope,
    }),
  ),
)

const detours: readonly Scenario[] = [
  on(["x", "linkedin", "tiktok"], "scope_not_allowed", {
    does: "Comes back with an error, since the app may not ask for one of the scopes.",
    ends: "scope_not_allowed",
    detour: "scope_not_allowed",
  }),
  on(meta, "scope_not_allowed", {
    does: "Shows the provider's own Invalid Scopes page, which never returns.",
    ends: "no_response",
    detour: "page",
  }),
  on(["tiktok"], "account_not_eligible", {
    does: "Comes back with non_sandbox_target: not a target user of the app's sandbox.",
    ends: "account_not_eligible",
    detour: "account_not_eligible",
  }),
  on(["facebook"], "account_not_eligible", {
    does: "Shows Facebook's page for an app in development mode, which never returns.",
    ends: "no_response",
    detour: "page",
  }),
  on(["instagram"], "account_not_eligible", {
    does: "Is a personal account, not a professional one.",
    ends: "account_not_eligible",
    variant: "personal_account",
  }),
  onAll("callback_without_code", {
    does: "Comes back with neither a code nor an error.",
    ends: "callback_invalid",
    detour: "without_code",
  }),
  onAll("callback_with_both", {
    does: "Comes back with both a code and an error.",
    ends: "callback_invalid",
    detour: "with_both",
  }),
  onAll("wrong_state", {
    does: "Comes back with an altered state.",
    ends: "state_invalid",
    detour: "wrong_state",
  }),
]

function atToken(name: string, with_: Refusal | Mishap, ends: Ending, does: string): Scenario {
  return onAll(name, { does, ends, strikes: { at: "token", with: with_ } })
}

function atProfile(name: string, with_: Refusal | Mishap, ends: Ending, does: string): Scenario {
  return onAll(name, { does, ends, strikes: { at: "profile", with: with_ } })
}

const tokenFaults: readonly Scenario[] = [
  atToken("dead_code", "dead_code", "code_invalid", "The code is refused as expired."),
  atToken("used_code", "used_code", "code_invalid", "The code is refused as already used."),
  atToken("wrong_secret", "wrong_secret", "invalid_client", "The client secret is refused."),
  on(["tiktok", "facebook", "instagram"], "redirect_uri_mismatch", {
    does: "The token call is refused for its redirect URI.",
    ends: "redirect_uri_mismatch",
    strikes: { at: "token", with: "redirect_uri_mismatch" },
  }),
  on(["linkedin"], "redirect_uri_mismatch", {
    does: "The token call is refused with LinkedIn's one text for a redirect mismatch and a dead code.",
    ends: "code_invalid",
    strikes: { at: "token", with: "redirect_uri_mismatch" },
  }),
  on(["x"], "redirect_uri_mismatch", {
    does: "Shows X's own page for an unregistered callback, which never returns.",
    ends: "no_response",
    detour: "page",
  }),
  on(["x", "tiktok"], "pkce_mismatch", {
    does: "The PKCE verifier is refused.",
    ends: "pkce_mismatch",
    strikes: { at: "token", with: "pkce_mismatch" },
  }),
  atToken("rate_limited", "rate_limited", "rate_limited", "The token call is one too many."),
  atToken("provider_down", "down", "provider_unavailable", "The token call answers 503."),
  atToken("hang", "hang", "provider_timeout", "The token call never answers."),
  atToken("unreachable", "unreachable", "provider_timeout", "The connection for the token call breaks."),
  atToken("html", "html", "invalid_response", "The token call answers 200 with an HTML page."),
  atToken("not_json", "not_json", "invalid_response", "The token call answers 200 with half a JSON text."),
  atToken(
    "huge",
    "huge",
    "invalid_response",
    "The token call answers with more bytes than anyone should read.",
  ),
  atToken(
    "redirect",
    "redirect",
    "invalid_response",
    "The token call answers with a redirect, not to be followed.",
  ),
  atToken(
    "no_access_token",
    "no_access_token",
    "invalid_response",
    "The token call answers 200 without a token.",
  ),
  atToken("error_in_200", "error_in_200", "code_invalid", "The code is refused, but with status 200."),
  atToken(
    "unknown_error",
    "unknown_error",
    "provider_error",
    "The token call is refused with an unheard-of error.",
  ),
  on(meta, "long_lived_fails", {
    does: "The exchange for a long-lived token fails for the moment.",
    ends: "provider_unavailable",
    strikes: { at: "long_lived", with: "failing" },
  }),
]

const profileFaults: readonly Scenario[] = [
  atProfile(
    "insufficient_scope",
    "insufficient_scope",
    "insufficient_scope",
    "The profile may not be read with what was granted.",
  ),
  atProfile(
    "token_revoked_at_once",
    "token_revoked",
    "reauth_required",
    "The fresh token is refused when the profile is read.",
  ),
  atProfile("profile_down", "broken", "provider_unavailable", "The profile call answers 500."),
  atProfile("hang_profile", "hang", "provider_timeout", "The profile call never answers."),
  atProfile(
    "profile_not_json",
    "not_json",
    "invalid_response",
    "The profile call answers 200 with half a JSON text.",
  ),
  atProfile("rate_limited_profile", "rate_limited", "rate_limited", "The profile call is one too many."),
  on(["x"], "plan_missing", {
    does: "X's API refuses the app, whose plan or project does not include it.",
    ends: "scope_not_allowed",
    strikes: { at: "profile", with: "plan_missing" },
  }),
  on(["facebook"], "pages_down", {
    does: "The list of Pages answers 500.",
    ends: "provider_unavailable",
    strikes: { at: "pages", with: "broken" },
  }),
]

const variants: readonly Scenario[] = [
  on(["facebook"], "several_pages", {
    does: "Grants five Pages, listed over several pages of answers.",
    ends: "connected",
    person: "cleo",
  }),
  on(["facebook"], "business_pages", {
    does: "The Pages belong to a business portfolio and are missing from the plain list.",
    ends: "connected",
    variant: "business_pages",
    person: "cleo",
  }),
  on(["facebook"], "no_publishable_account", {
    does: "The person has no Page.",
    ends: "no_publishable_account",
    person: "dora",
  }),
  on(["facebook"], "pages_without_content", {
    does: "The person may look at the Pages' figures, but not publish on them.",
    ends: "no_publishable_account",
    variant: "pages_without_content",
  }),
  on(["x", "tiktok"], "no_refresh_token", {
    does: "The answer has no refresh token.",
    ends: "connected",
    variant: "no_refresh_token",
  }),
  on(["linkedin"], "partner_refresh", {
    does: "The answer has a refresh token, as for LinkedIn's approved partners.",
    ends: "connected",
    variant: "partner_refresh",
  }),
  on(["tiktok", "instagram"], "nested_answer", {
    does: "The answers are wrapped in `data`, as some of the provider's pages print them.",
    ends: "connected",
    variant: "nested",
  }),
  on(["instagram"], "big_number_id", {
    does: "The profile gives the id as a bare number above 2^53.",
    ends: "connected",
    variant: "bare_number",
  }),
  onAll("short_lived", {
    does: "The access token lives a minute (expires_in= sets another lifetime).",
    ends: "connected",
    expiresIn: 60,
  }),
  onAll("no_expires_in", {
    does: "The answer does not say how long the token lives.",
    ends: "connected",
    variant: "no_expires_in",
  }),
]

export const scenarios: readonly Scenario[] = [
  ...consents,
  ...unticks,
  ...variants,
  ...detours,
  ...tokenFaults,
  ...profileFaults,
  ...laterScenarios,
]

/** In the order of the list. */
export function scenariosOf(provider: ProviderName): readonly Scenario[] {
  return scenarios.filter((scenario) => scenario.providers.includes(provider))
}

/** `untick:` takes any scope; whether it was asked for is judged where the request is known. */
export function findScenario(provider: ProviderName, name: string): Scenario | undefined {
  const listed = scenariosOf(provider).find((scenario) => scenario.name === name)
  if (listed || !name.startsWith("untick:") || !partialConsent.includes(provider)) return listed
  const scope = name.slice("untick:".length)
  return on([provider], name, { does: `Grants all but ${scope}.`, ends: "connected", unticks: scope })
}

/** What a ticket's scenario does at a stage, if anything. */
export function strikeAt(
  grant: { readonly provider: ProviderName; readonly scenario: string },
  stage: Stage,
): Strike | undefined {
  const strikes = findScenario(grant.provider, grant.scenario)?.strikes
  return strikes?.at === stage ? strikes : undefined
}

export function hasVariant(
  grant: { readonly provider: ProviderName; readonly scenario: string },
  variant: Variant,
): boolean {
  return findScenario(grant.provider, grant.scenario)?.variant === variant
}
