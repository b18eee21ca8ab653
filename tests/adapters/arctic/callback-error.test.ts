import { expect, test } from "bun:test"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import type { OAuthErrorReason } from "../../../src/domain/oauth-error.ts"
import type { ProviderName } from "../../../src/domain/provider.ts"
import type { CallbackError } from "../../../src/ports/providers.ts"
import { now } from "./wire.ts"

const providers = arcticProviders({ transport: () => Promise.reject(new Error("no call")), now: () => now })
const said = (error: string, description: string | null = null, more: Partial<CallbackError> = {}) => ({
  error,
  description,
  reason: null,
  code: null,
  type: null,
  ...more,
})

const cases: readonly (readonly [OAuthErrorReason, ProviderName, CallbackError])[] = [
  ["access_denied", "x", said("access_denied")],
  ["access_denied", "linkedin", said("user_cancelled_login", "The user cancelled LinkedIn login")],
  ["access_denied", "linkedin", said("user_cancelled_authorize", "The user cancelled the authorization")],
  ["access_denied", "tiktok", said("access_denied", "User cancelled")],
  [
    "access_denied",
    "facebook",
    said("access_denied", "Permissions error", { reason: "user_denied", code: "200" }),
  ],
  ["access_denied", "facebook", said("something", null, { reason: "user_denied" })],
  [
    "access_denied",
    "instagram",
    said("access_denied", "The user denied your request", { reason: "user_denied" }),
  ],
  [
    "scope_not_allowed",
    "linkedin",
    said("unauthorized_scope_error", 'Scope "w_x" is not authorized for your application'),
  ],
  [
    "scope_not_allowed",
    "linkedin",
    said("invalid_request", 'Scope "w_x" is not authorized for your application'),
  ],
  ["scope_not_allowed", "tiktok", said("invalid_scope")],
  ["account_not_eligible", "tiktok", said("non_sandbox_target")],
  ["account_not_eligible", "tiktok", said("unauthorized_client", "code: non_sandbox_target")],
  ["account_not_eligible", "tiktok", said("access_denied", null, { type: "non_sandbox_target" })],
  ["invalid_client", "tiktok", said("unauthorized_client", null, { type: "client_key" })],
  ["redirect_uri_mismatch", "tiktok", said("unauthorized_client", null, { type: "redirect_uri" })],
  ["scope_not_allowed", "tiktok", said("invalid_request", null, { type: "scope" })],
  ["pkce_mismatch", "tiktok", said("invalid_request", null, { type: "code_challenge" })],
  ["access_denied", "tiktok", said("access_denied", null, { type: "something_new" })],
  ["access_denied", "tiktok", said("access_denied", null, { type: "toString" })],
  ["redirect_uri_mismatch", "tiktok", said("invalid_request", "Redirect_uri is not matched")],
  ["redirect_uri_mismatch", "linkedin", said("invalid_redirect_uri")],
  ["redirect_uri_mismatch", "x", said("invalid_request", "The redirect URI is not registered")],
  ["invalid_client", "x", said("unauthorized_client")],
  ["invalid_client", "instagram", said("invalid_client")],
  ["provider_unavailable", "x", said("temporarily_unavailable")],
  ["provider_unavailable", "facebook", said("server_error")],
  ["provider_error", "tiktok", said("10007", "legacy errCode")],
  ["provider_error", "x", said("toString", "constructor")],
  ["provider_error", "x", said("")],
]

test.each(cases)("%s: %s says %j", (reason, provider, callback) => {
  expect(providers.readCallbackError(provider, callback).reason).toBe(reason)
})

test("what a callback says is shortened, put on one line and freed of whatever looks like a token", () => {
  const token = "EAAB0123456789abcdefghijklmnop"
  const callback = said(`bad\r\n${"e".repeat(300)}`, `a\u202eb ${token} ${"word ".repeat(100)}`, {
    code: "200",
  })
  const { evidence } = providers.readCallbackError("facebook", callback)
  expect(evidence).toMatchObject({ call: "authorize", status: null, traceId: null })
  expect(evidence.message).toStartWith("a b [redacted] word")
  for (const text of [evidence.code, evidence.message]) {
    expect(text?.length).toBeLessThanOrEqual(200)
    expect(text).not.toMatch(/[\r\n\u202e]/)
  }
})

test("a callback's reason stands in for a missing description, and its code goes with the error", () => {
  const callback = said("access_denied", null, { reason: "user_denied", code: "200" })
  expect(providers.readCallbackError("facebook", callback).evidence).toMatchObject({
    code: "access_denied/200",
    message: "user_denied",
  })
})

test("a callback's machine-readable type goes with the error where it has no code", () => {
  const callback = said("access_denied", null, { type: "non_sandbox_target" })
  expect(providers.readCallbackError("tiktok", callback).evidence.code).toBe(
    "access_denied/non_sandbox_target",
  )
})
