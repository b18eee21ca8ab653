import type { ProviderEvidence } from "./oauth-error.ts"
import { type ProviderName, providerTitle } from "./provider.ts"

/** What a check of an app looks at. Tenants switch on these words: none is ever renamed. */
export const appChecks = [
  "client_id",
  "client_secret",
  "redirect_uri",
  "scopes",
  "config_id",
  "environment",
  "provider",
] as const

export type AppCheckName = (typeof appChecks)[number]

/**
 * `ok`: the provider showed that it is right. `problem`: people cannot connect, or not all of them, until it is
 * changed. `unknown`: it does not show from outside, and `detail` says how to look.
 */
export type Verdict = "ok" | "problem" | "unknown"

export interface AppFinding {
  readonly check: AppCheckName
  readonly verdict: Verdict
  /** What was seen, and what to change or where to look. Written for the tenant's developer. */
  readonly detail: string
  /** Null where nothing in the console could change it. */
  readonly console: ConsolePlace | null
  /** What the provider said, where it said anything that matters here. */
  readonly evidence: ProviderEvidence | null
}

/** Where a setting is found in the provider's developer console. */
export interface ConsolePlace {
  readonly page: string
  readonly field: string
  readonly url: string
}

/** Whether nothing was found that keeps people from connecting. What is unknown is no problem. */
export function isSound(findings: readonly Pick<AppFinding, "verdict">[]): boolean {
  return findings.every(({ verdict }) => verdict !== "problem")
}

interface Subject {
  readonly provider: ProviderName
  readonly title: string
  readonly page: string
  readonly field: string
  /** What the sentence is about: a redirect URI, names of scopes, an id, or why the provider was not heard. */
  readonly about: string
}

interface Sight {
  readonly check: AppCheckName
  readonly verdict: Verdict
  readonly says: (subject: Subject) => string
}

const newAppWithIt = "store a new app with it, since client_id cannot be changed"

/** Everything that a check can see. */
const sights = {
  client_id_accepted: {
    check: "client_id",
    verdict: "ok",
    says: ({ title }) => `${title} knows this client id.`,
  },
  client_id_unknown: {
    check: "client_id",
    verdict: "problem",
    says: ({ title, page, field }) =>
      `${title} does not know this client id; copy ${field} from ${page} and ${newAppWithIt}.`,
  },
  client_id_of_other_product: {
    check: "client_id",
    verdict: "problem",
    says: ({ provider, page, field }) =>
      provider === "instagram"
        ? `This client id is the App ID of a Facebook app, and Instagram has another one; copy ${field} from ${page} and ${newAppWithIt}.`
        : `This client id is an Instagram App ID, and Facebook Login has another one; copy ${field} from ${page} and ${newAppWithIt}.`,
  },
  client_id_unseen: {
    check: "client_id",
    verdict: "unknown",
    says: ({ title, page, field }) =>
      `${title} did not show whether it knows this client id; compare it with ${field} on ${page}.`,
  },
  client_secret_accepted: {
    check: "client_secret",
    verdict: "ok",
    says: ({ title }) => `${title} accepts this client secret.`,
  },
  client_secret_refused: {
    check: "client_secret",
    verdict: "problem",
    says: ({ provider }) => secretRemedy[provider],
  },
  client_secret_unseen: {
    check: "client_secret",
    verdict: "unknown",
    says: ({ title, page, field }) =>
      `${title} did not show whether it accepts this client secret; if connects end as invalid_client, copy ${field} from ${page} again.`,
  },
  redirect_uri_unregistered: {
    check: "redirect_uri",
    verdict: "problem",
    says: ({ title, page, field, about }) =>
      `${title} says that this app may not use its redirect URI; add exactly ${about} to ${field} on ${page}.`,
  },
  redirect_uri_unseen: {
    check: "redirect_uri",
    verdict: "unknown",
    says: ({ title, page, field, about }) =>
      `${title} does not show a server which redirect URIs are registered; look that ${field} on ${page} has exactly ${about}, character by character.`,
  },
  scopes_approved: {
    check: "scopes",
    verdict: "ok",
    says: ({ title }) => `${title} has approved every permission that this app asks for.`,
  },
  scopes_not_approved: {
    check: "scopes",
    verdict: "unknown",
    says: ({ page, about }) =>
      `App Review has not approved ${about}, so only people with a role on the app can grant it; request Advanced Access on ${page} if others are to connect.`,
  },
  scopes_needed: {
    check: "scopes",
    verdict: "problem",
    says: ({ about }) =>
      `The app does not ask for ${about}, without which Mooring cannot read whose account it is; add what is missing to the app's scopes (PATCH the app).`,
  },
  scopes_foreign: {
    check: "scopes",
    verdict: "problem",
    says: ({ title, about }) =>
      `${title}'s login has no scope of the form of ${about}, and one such scope fails the whole connect; correct its spelling or take it out of the app's scopes (PATCH the app).`,
  },
  scopes_unseen: {
    check: "scopes",
    verdict: "unknown",
    says: ({ title, page, field, about }) =>
      `${title} does not show a server which scopes an app may ask for; look that ${field} on ${page} covers ${about}.`,
  },
  config_id_is_app_id: {
    check: "config_id",
    verdict: "problem",
    says: ({ page, field }) =>
      `The option config_id is the app's own App ID; copy ${field} from ${page} and PATCH the app.`,
  },
  config_id_unseen: {
    check: "config_id",
    verdict: "unknown",
    says: ({ page, field, about }) =>
      `Facebook shows a login configuration nowhere but in its console; look that ${about} is ${field} of a configuration of this app on ${page}, and that it includes pages_show_list.`,
  },
  environment_sandbox_key: {
    check: "environment",
    verdict: "problem",
    says: ({ about }) =>
      `The client key begins with ${about}, as the keys of TikTok's sandboxes do, so that only the sandbox's target users can connect, ten at most; for everybody else store a new app with the production key and secret.`,
  },
  environment_unmarked: {
    check: "environment",
    verdict: "unknown",
    says: ({ page, field }) =>
      `Nothing marks this client key as a sandbox's; if TikTok refuses people who are no target users, compare it with ${field} on ${page}.`,
  },
  provider_silent: {
    check: "provider",
    verdict: "unknown",
    says: ({ title, about }) =>
      `${title} ${about}, so what it would have shown is unknown; check again in a few minutes.`,
  },
} as const satisfies Readonly<Record<string, Sight>>

export type AppSight = keyof typeof sights

export const appSights = Object.keys(sights) as readonly AppSight[]

/** What was seen as a finding, with the words and the place in the console that belong to it. */
export function appFinding(
  provider: ProviderName,
  seen: AppSight,
  more: { readonly about?: string; readonly evidence?: ProviderEvidence | null } = {},
): AppFinding {
  const { check, verdict, says }: Sight = sights[seen]
  const console = placeOf(provider, check)
  const { page = "the app's page", field = "the setting" } = console ?? {}
  const { about = "" } = more
  return {
    check,
    verdict,
    detail: says({ provider, title: providerTitle[provider], page, field, about }),
    console,
    evidence: more.evidence ?? null,
  }
}

/** Faults that the names of the scopes show by themselves, before anybody is asked. None, where there are none to judge. */
export function scopeFaults(provider: ProviderName, scopes: readonly string[]): readonly AppFinding[] {
  if (scopes.length === 0) return []
  const needed = neededScopes[provider].filter((scope) => !scopes.includes(scope))
  const foreign = scopes.filter((scope) => !scopeForms[provider].test(scope))
  return [
    ...(needed.length > 0 ? [appFinding(provider, "scopes_needed", { about: inWords(needed) })] : []),
    ...(foreign.length > 0 ? [appFinding(provider, "scopes_foreign", { about: inWords(foreign) })] : []),
  ]
}

/** `a, b and c`. */
export function inWords(names: readonly string[]): string {
  const last = names.at(-1) ?? ""
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`
}

/** Without these the profile, or the list of Pages, cannot be read. */
const neededScopes: Readonly<Record<ProviderName, readonly string[]>> = {
  x: ["tweet.read", "users.read"],
  linkedin: ["openid", "profile"],
  tiktok: ["user.info.basic"],
  facebook: ["pages_show_list"],
  instagram: ["instagram_business_basic"],
}

/**
 * The form of every documented scope. Wide enough for scopes that are still to come; narrow enough for another
 * provider's, and for Instagram's that ended on 27 January 2025 or belong to the way through Facebook Login.
 */
const scopeForms: Readonly<Record<ProviderName, RegExp>> = {
  x: /^[a-z]+(\.[a-z]+)+$/,
  linkedin: /^(openid|profile|email|(r|w|rw)_[a-z0-9_]+)$/,
  tiktok: /^[a-z0-9_]+(\.[a-z0-9_]+)+$/,
  facebook: /^(?!instagram_business_)[a-z0-9_]+$/,
  instagram: /^instagram_business_[a-z0-9_]+$/,
}

const secretRemedy: Readonly<Record<ProviderName, string>> = {
  x: "X does not accept the client secret; copy the OAuth 2.0 Client Secret (not the API key's) from Keys and tokens and PATCH the app, and see that the app's type is Web App, Automated App or Bot.",
  linkedin:
    "LinkedIn does not accept the client secret for this client id; compare the client id with the Auth tab, copy the Client Secret from there and PATCH the app.",
  tiktok:
    "TikTok does not accept the client key with this secret and does not say which is wrong; copy both from the same place, since a sandbox and production have different pairs, and PATCH the secret or store a new app for another key.",
  facebook:
    "Facebook does not accept the App Secret; copy it from App settings > Basic of the same app and PATCH the app.",
  instagram:
    "Instagram does not accept the app secret; copy the Instagram app secret (not the App Secret of App settings > Basic) from Instagram > API setup with Instagram login and PATCH the app.",
}

interface ConsoleOf {
  readonly url: string
  readonly places: Readonly<Partial<Record<AppCheckName, readonly [page: string, field: string]>>>
}

const approval = ["App Review > Permissions and Features", "the list of permissions"] as const
const instagramSetup = "Instagram > API setup with Instagram login"

const consoles: Readonly<Record<ProviderName, ConsoleOf>> = {
  x: {
    url: "https://console.x.com",
    places: {
      client_id: ["Keys and tokens", "OAuth 2.0 Client ID"],
      client_secret: ["Keys and tokens", "OAuth 2.0 Client Secret"],
      redirect_uri: ["User authentication settings", "Callback URI / Redirect URL"],
      scopes: ["User authentication settings", "App permissions"],
    },
  },
  linkedin: {
    url: "https://www.linkedin.com/developers/apps",
    places: {
      client_id: ["the Auth tab", "Client ID"],
      client_secret: ["the Auth tab", "Client Secret"],
      redirect_uri: ["the Auth tab", "Authorized redirect URLs"],
      scopes: ["the Products tab", "the list of added products"],
    },
  },
  tiktok: {
    url: "https://developers.tiktok.com/apps",
    places: {
      client_id: ["the app's Credentials", "Client key"],
      client_secret: ["the app's Credentials", "Client secret"],
      redirect_uri: ["the app's Login Kit", "Redirect URI"],
      scopes: ["the app's Scopes", "the list of scopes"],
      environment: ["the app's Production and Sandbox pages", "Client key"],
    },
  },
  facebook: {
    url: "https://developers.facebook.com/apps",
    places: {
      client_id: ["App settings > Basic", "App ID"],
      client_secret: ["App settings > Basic", "App secret"],
      redirect_uri: ["Facebook Login > Settings", "Valid OAuth Redirect URIs"],
      scopes: approval,
      config_id: ["Facebook Login for Business > Configurations", "the Configuration ID"],
    },
  },
  instagram: {
    url: "https://developers.facebook.com/apps",
    places: {
      client_id: [instagramSetup, "Instagram app ID"],
      client_secret: [instagramSetup, "Instagram app secret"],
      redirect_uri: [`${instagramSetup} > Business login settings`, "OAuth redirect URIs"],
      scopes: approval,
    },
  },
}

function placeOf(provider: ProviderName, check: AppCheckName): ConsolePlace | null {
  const { url, places } = consoles[provider]
  const [page, field] = places[check] ?? []
  return page === undefined || field === undefined ? null : { page, field, url }
}
