import { Elysia } from "elysia"
import { type OAuthErrorReason, oauthErrorReasons, remedy } from "../../domain/oauth-error.ts"
import { providerNames, providerTitle } from "../../domain/provider.ts"
import { guidePage } from "./pages.ts"

/** What each reason says, whichever provider it was. */
const meanings: Readonly<Record<OAuthErrorReason, string>> = {
  access_denied:
    "The person said no: on the provider's consent page, or by choosing none of the accounts they had granted.",
  state_invalid:
    "The callback was called with a state that is missing, altered, for another provider, or more than ten minutes old. No flow can be trusted to be meant, so nothing is changed, nobody is redirected, and Mooring shows a page of its own.",
  no_response:
    "Ten minutes went by and somebody did not do their part: the person never came back from the provider, or nobody chose among several accounts, or nobody confirmed a flow that asks for proof. The flow's detail says which.",
  callback_invalid:
    "The provider, or somebody in its place, called back with neither a code nor an error, with both, or with one of them twice. The flow stays as it was, and Mooring shows a page of its own.",
  scope_not_allowed:
    "The app may not ask for one of its scopes: a product, a plan, a permission or a review is missing at the provider.",
  insufficient_scope:
    "What the person granted is not enough even to read the account. Where only some other scope is missing the account is connected and lists missing_scopes.",
  account_not_eligible:
    "The provider does not let this very account use the app, whoever it belongs to and whatever they grant.",
  no_publishable_account: "The person granted access, but to nothing on which anything could be published.",
  redirect_uri_mismatch:
    "The provider compared the redirect URI of the call with the ones registered for the app, and found none that is the same to the last character.",
  invalid_client:
    "The provider does not know this client id, or the secret is not its own. Whoever tries to connect cannot mend that; the app's owner can.",
  code_invalid:
    "The provider refused the authorization code when Mooring exchanged it: it had expired, was used before, or belongs to another app or redirect URI.",
  pkce_mismatch:
    "The provider refused the PKCE verifier that goes with the code, which mostly means that the app is registered as another type than the options say.",
  reauth_required: "The provider granted a token and refused it at its first use.",
  rate_limited:
    "The provider has had too many calls of this app, or of this person, and refuses more for now.",
  provider_unavailable:
    "The provider answered that it is failing (HTTP 5xx, or an error it calls temporary).",
  provider_timeout:
    "The provider could not be reached, or gave no whole answer in time: 10 seconds a call, 14 in all. What it did with the code nobody knows.",
  invalid_response:
    "The provider answered, but with something other than its documentation says: no JSON, no token, a redirect, or more than 64 KiB.",
  provider_error: "The provider refused with an error that Mooring knows no meaning for.",
  account_mismatch:
    "An account was to be reconnected (account_id), and the person came back from the provider as another one.",
  server_error:
    "The fault is Mooring's own: it failed, or its process ended, between the callback and the stored outcome.",
}

const introduction = [
  "Where a connect does not end in an account, the return_url gets oauth_error with one of these words, and GET /v1/oauth/flows/{id} says more: a detail with the remedy, the steps up to the failure, and in provider_error what the provider said.",
  "The list is closed: a word never changes its meaning, and none is renamed.",
]

/** For developers: what each `oauth_error` means and how to mend it. Linked to from every flow that failed. */
export function docsRoutes() {
  return new Elysia({ prefix: "/docs" })
    .get("/oauth-errors", () =>
      guidePage({
        status: 200,
        title: "What an oauth_error means",
        says: introduction,
        terms: oauthErrorReasons.map((reason) => ({
          term: reason,
          href: `oauth-errors/${reason}`,
          says: meanings[reason],
        })),
      }),
    )
    .get("/oauth-errors/:reason", ({ params }) => {
      const reason = oauthErrorReasons.find((known) => known === params.reason)
      return reason === undefined ? unknownReason() : reasonPage(reason)
    })
}

const toTheList = { href: "../oauth-errors", text: "All reasons" }

function reasonPage(reason: OAuthErrorReason): Response {
  return guidePage({
    status: 200,
    title: reason,
    says: [meanings[reason], "What to do, by provider:"],
    terms: providerNames.map((provider) => ({
      term: providerTitle[provider],
      says: remedy(reason, provider),
    })),
    back: toTheList,
  })
}

function unknownReason(): Response {
  return guidePage({
    status: 404,
    title: "There is no such reason",
    says: ["The list of reasons is closed, and the word in the address is not on it."],
    terms: [],
    back: toTheList,
  })
}
