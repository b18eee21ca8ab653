import { type ProviderName, providerTitle } from "./provider.ts"

/** The closed list of `oauth_error` reasons. Tenants switch on these words: none is ever renamed. */
export const oauthErrorReasons = [
  "access_denied",
  "state_invalid",
  "no_response",
  "callback_invalid",
  "scope_not_allowed",
  "insufficient_scope",
  "account_not_eligible",
  "no_publishable_account",
  "redirect_uri_mismatch",
  "invalid_client",
  "code_invalid",
  "pkce_mismatch",
  "reauth_required",
  "rate_limited",
  "provider_unavailable",
  "provider_timeout",
  "invalid_response",
  "provider_error",
  "account_mismatch",
  "server_error",
] as const

export type OAuthErrorReason = (typeof oauthErrorReasons)[number]

/** The two that can only be told on our own page, since without a trusted state there is no address to return to. */
export const pageOnlyReasons = [
  "state_invalid",
  "callback_invalid",
] as const satisfies readonly OAuthErrorReason[]

export type PageOnlyReason = (typeof pageOnlyReasons)[number]

/** What a provider said when it refused, with secrets removed: kept on the flow and in the log. */
export interface ProviderEvidence {
  /**
   * Which call failed: `token`, `long_lived_token`, `permissions`, `profile`, `accounts`,
   * `refresh`, `revoke`, `identify`, `app_token` and `app_permissions` in a check of an app, or `authorize` for
   * the redirect.
   */
  readonly call: string
  readonly status: number | null
  /** The provider's own error code, e.g. `invalid_grant` or `190/463`. */
  readonly code: string | null
  /** The provider's own text, shortened and redacted. */
  readonly message: string | null
  /** What the provider's support asks for: `log_id`, `fbtrace_id`, `x-li-uuid` … */
  readonly traceId: string | null
}

/** One call that was sent during a connect, for the flow inspector; it carries no text of anybody. */
export interface ProviderCall {
  /** By the same names as `ProviderEvidence.call`. */
  readonly call: string
  /** When it was sent. */
  readonly at: Date
  /** Null where no whole answer came. */
  readonly status: number | null
  /** What kept the answer away; null where one came. */
  readonly fault: "timeout" | "unreachable" | "too_large" | null
  readonly durationMs: number
}

/** One sentence: what happened and what to change. Written for the tenant's developer, not for the person connecting. */
export function remedy(reason: OAuthErrorReason, provider: ProviderName): string {
  const title = providerTitle[provider]
  switch (reason) {
    case "access_denied":
      return `The person declined on ${title}'s consent page; offer the connect button again.`
    case "state_invalid":
      return "The callback carried no state that Mooring issued and still honours; call start again and send the person to the new authorize_url."
    case "no_response":
      return `The person never came back from ${title} within ten minutes; start again, and if it keeps happening check the redirect URI and the app's status in ${title}'s console, since ${title} shows such faults on its own page.`
    case "callback_invalid":
      return `${title} called back without exactly one of code and error; start again.`
    case "scope_not_allowed":
      return scopeRemedy[provider]
    case "insufficient_scope":
      return (
        readingRemedy[provider] ??
        "The person did not grant what is needed to read the account; ask them to connect again and leave every permission ticked."
      )
    case "account_not_eligible":
      return (
        eligibilityRemedy[provider] ??
        `${title} does not let this account use the app; connect another account.`
      )
    case "no_publishable_account":
      return "The person granted no Page on which they may create content; ask them to choose a Page where they are an administrator or editor, and keep business_management among the scopes if a business portfolio owns it."
    case "redirect_uri_mismatch":
      return `The redirect URI registered in ${title}'s console differs from this app's redirect_uri; copy it from GET /v1/oauth-apps/{id} to the console, character by character.`
    case "invalid_client":
      return clientRemedy[provider]
    case "code_invalid":
      return "The authorization code was wrong, expired or already used; start again (codes live as little as 30 seconds)."
    case "pkce_mismatch":
      return provider === "tiktok"
        ? "TikTok refused the PKCE verifier; set options.pkce to off for a Web app, or s256_hex for an app registered as Desktop."
        : `${title} refused the PKCE verifier; start again, and if it repeats check the app's type in ${title}'s console.`
    case "reauth_required":
      return `${title} refused the new token at once; ask the person to connect again.`
    case "rate_limited":
      return `${title} is limiting this app's calls; wait a few minutes before the person tries again.`
    case "provider_unavailable":
      return `${title} failed on its side; try again in a few minutes.`
    case "provider_timeout":
      return `${title} did not answer in time; try again, the code of this attempt is spent.`
    case "invalid_response":
      return `${title} answered with something that is not the documented format; try again, and if it repeats see provider_error on this flow for what it was.`
    case "provider_error":
      return `${title} refused with an error Mooring does not know; provider_error on this flow holds what it said.`
    case "account_mismatch":
      return "The person signed in with another account than the one to reconnect; ask them to switch accounts and try again. The stored credentials are unchanged."
    case "server_error":
      return "Mooring failed or was stopped while the connect was at work; start again, and look at the log under this flow's id."
  }
}

const scopeRemedy: Readonly<Record<ProviderName, string>> = {
  x: "The X app may not ask for these scopes; in the developer portal set its permissions to Read and write, and check that its plan includes the API.",
  linkedin:
    "The LinkedIn app lacks a product for one of the scopes; on its Products tab add Sign In with LinkedIn using OpenID Connect and Share on LinkedIn, or take the scope out of the app.",
  tiktok:
    "The TikTok app was not granted one of the scopes; add Login Kit and Content Posting API with these scopes in the console and pass their review, or take the scope out of the app.",
  facebook:
    "The Facebook app may not ask for one of the permissions; request Advanced Access for it under App Review, or connect as a person with a role on the app.",
  instagram:
    "The Instagram app may not ask for one of the permissions; add it under Instagram > API setup with Instagram login, and request Advanced Access for accounts you do not own.",
}

const clientRemedy: Readonly<Record<ProviderName, string>> = {
  x: "X does not accept the client id or secret; copy the OAuth 2.0 Client ID and Client Secret (not the API key) of a Web App from Keys and tokens, and PATCH the app.",
  linkedin:
    "LinkedIn does not accept the client id or secret; copy both again from the app's Auth tab and PATCH the app.",
  tiktok:
    "TikTok does not accept the client key or secret; copy both again, and mind that sandbox and production have different pairs.",
  facebook:
    "Facebook does not accept the App ID or App Secret; copy both from App settings > Basic and PATCH the app.",
  instagram:
    "Instagram does not accept the app id or secret; use the Instagram App ID and Instagram App Secret from Instagram > API setup with Instagram login, which differ from the Facebook App ID.",
}

/** Where the person cannot untick anything, what is missing was never asked for. */
const readingRemedy: Readonly<Partial<Record<ProviderName, string>>> = {
  x: "X does not let this app's token read the profile; keep tweet.read and users.read among the app's scopes (PATCH the app), and start again.",
  linkedin:
    "LinkedIn does not let this app's token read the profile; keep openid and profile among the app's scopes (PATCH the app), and start again.",
}

const eligibilityRemedy: Readonly<Partial<Record<ProviderName, string>>> = {
  tiktok:
    "This TikTok account is not a target user of the app's sandbox; add it under Sandbox settings > Target users, or use the production key and secret.",
  instagram:
    "Only professional Instagram accounts can connect; the person changes it in the Instagram app under Settings > Account type and tools, then connects again.",
  facebook:
    "The Facebook app is in development mode; add the person under App roles, or switch the app to Live.",
}
