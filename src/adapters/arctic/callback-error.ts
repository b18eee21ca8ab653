import type { OAuthErrorReason } from "../../domain/oauth-error.ts"
import type { CallbackError, ProviderRefusal } from "../../ports/providers.ts"
import { evidenceText } from "./redact.ts"

/** The `error` words of all five providers; none means two things. */
const words: Readonly<Record<string, OAuthErrorReason>> = {
  access_denied: "access_denied",
  user_denied: "access_denied",
  user_cancelled_login: "access_denied",
  user_cancelled_authorize: "access_denied",
  unauthorized_scope_error: "scope_not_allowed",
  invalid_scope: "scope_not_allowed",
  scope_permission_missed: "scope_not_allowed",
  server_error: "provider_unavailable",
  temporarily_unavailable: "provider_unavailable",
  invalid_client: "invalid_client",
  invalid_client_id: "invalid_client",
  unauthorized_client: "invalid_client",
  invalid_redirect_uri: "redirect_uri_mismatch",
  redirect_uri_mismatch: "redirect_uri_mismatch",
  non_sandbox_target: "account_not_eligible",
}

/** TikTok's `error_type` names what is at fault, behind an `error` that may well say `access_denied`. */
const types: Readonly<Record<string, OAuthErrorReason>> = {
  non_sandbox_target: "account_not_eligible",
  client_key: "invalid_client",
  redirect_uri: "redirect_uri_mismatch",
  scope: "scope_not_allowed",
  code_challenge: "pkce_mismatch",
}

const texts: readonly { readonly text: string; readonly reason: OAuthErrorReason }[] = [
  { text: "non_sandbox_target", reason: "account_not_eligible" },
  { text: "redirect_uri", reason: "redirect_uri_mismatch" },
  { text: "redirect uri", reason: "redirect_uri_mismatch" },
  { text: "is not authorized for your application", reason: "scope_not_allowed" },
]

/** Reads the redirect with which a provider says no. All of it is untrusted, and it comes through a browser. */
export function readCallbackError(callback: CallbackError): ProviderRefusal {
  const { error, code, type } = callback
  return {
    reason: reasonByType(callback) ?? reasonByText(callback) ?? reasonByWord(callback) ?? "provider_error",
    evidence: {
      call: "authorize",
      status: null,
      code: evidenceText([error, code || type].filter(Boolean).join("/"), new Set()),
      message: evidenceText(callback.description ?? callback.reason, new Set()),
      traceId: null,
    },
  }
}

function reasonByType({ type }: CallbackError): OAuthErrorReason | undefined {
  return type !== null && Object.hasOwn(types, type) ? types[type] : undefined
}

/** Before the words, since a text is more exact: `invalid_request` can be about the redirect URI. */
function reasonByText(callback: CallbackError): OAuthErrorReason | undefined {
  const said = callback.description?.toLowerCase() ?? ""
  return texts.find(({ text }) => said.includes(text))?.reason
}

function reasonByWord(callback: CallbackError): OAuthErrorReason | undefined {
  const known = [callback.error, callback.reason ?? ""].find((word) => Object.hasOwn(words, word))
  return known === undefined ? undefined : words[known]
}
