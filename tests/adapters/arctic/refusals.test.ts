import { describe, expect, test } from "bun:test"
import type { OAuthErrorReason } from "../../../src/domain/oauth-error.ts"
import type { ProviderName } from "../../../src/domain/provider.ts"
import { type SimulatedCall, secretOf } from "../../support/simulated-answers.ts"
import { wired } from "./wire.ts"

const { simulated, failure } = wired()

type Case = readonly [OAuthErrorReason, ProviderName, SimulatedCall, number, unknown]

const flat = (error: string, error_description?: string) => ({ error, error_description, log_id: "2026" })
const problem = (name: string, status: number) => ({
  title: "A title",
  type: `https://api.twitter.com/2/problems/${name}`,
  detail: "Some detail.",
  status,
})
const linkedinError = (status: number, message: string) => ({ status, message, serviceErrorCode: 65600 })
const graph = (code: number, more: object = {}) => ({ error: { message: "Some text", code, ...more } })
const ig = (error_message: string) => ({ error_type: "OAuthException", code: 400, error_message })

const x: readonly Case[] = [
  [
    "code_invalid",
    "x",
    "token",
    400,
    flat("invalid_request", "Value passed for the authorization code was invalid."),
  ],
  [
    "pkce_mismatch",
    "x",
    "token",
    400,
    flat("invalid_request", "Value passed for the code verifier did not match the code challenge."),
  ],
  ["reauth_required", "x", "token", 400, flat("invalid_request", "Value passed for the token was invalid.")],
  [
    "redirect_uri_mismatch",
    "x",
    "token",
    400,
    flat(
      "invalid_request",
      "Value passed for the redirect uri did not match the uri of the authorization code.",
    ),
  ],
  ["provider_error", "x", "token", 400, flat("invalid_request", "Missing required parameter [code].")],
  ["invalid_client", "x", "token", 401, flat("unauthorized_client", "Missing valid authorization header")],
  ["invalid_client", "x", "token", 400, flat("invalid_client")],
  ["invalid_client", "x", "token", 401, flat("invalid_client", "Unknown")],
  ["code_invalid", "x", "token", 400, flat("invalid_grant", "whatever")],
  ["scope_not_allowed", "x", "token", 400, flat("invalid_scope")],
  [
    "redirect_uri_mismatch",
    "x",
    "token",
    403,
    { errors: [{ code: 415, message: "Callback URL not approved for this client application" }] },
  ],
  ["code_invalid", "x", "token", 200, { ...flat("invalid_grant"), access_token: "made-up-token" }],
  [
    "reauth_required",
    "x",
    "profile",
    401,
    { title: "Unauthorized", type: "about:blank", status: 401, detail: "Unauthorized" },
  ],
  ["provider_error", "x", "profile", 401, problem("something-new", 401)],
  ["scope_not_allowed", "x", "profile", 403, problem("client-forbidden", 403)],
  ["scope_not_allowed", "x", "profile", 403, problem("unsupported-authentication", 403)],
  ["scope_not_allowed", "x", "profile", 402, { title: "CreditsDepleted" }],
  [
    "insufficient_scope",
    "x",
    "profile",
    403,
    { title: "Forbidden", detail: "Forbidden", type: "about:blank" },
  ],
  ["rate_limited", "x", "profile", 429, { title: "Too Many Requests" }],
  ["provider_unavailable", "x", "profile", 503, "<html>Over capacity</html>"],
  [
    "provider_error",
    "x",
    "profile",
    200,
    { errors: [{ title: "Not Found Error", type: "https://api.twitter.com/2/problems/resource-not-found" }] },
  ],
]

const ambiguous =
  "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code. Or authorization code expired. Or external member binding exists"
const linkedin: readonly Case[] = [
  [
    "code_invalid",
    "linkedin",
    "token",
    401,
    flat("invalid_request", "Unable to retrieve access token: authorization code not found"),
  ],
  ["code_invalid", "linkedin", "token", 400, flat("invalid_request", "authorization code not found")],
  ["code_invalid", "linkedin", "token", 400, flat("invalid_redirect_uri", ambiguous)],
  ["code_invalid", "linkedin", "token", 400, flat("invalid_request", ambiguous)],
  [
    "redirect_uri_mismatch",
    "linkedin",
    "token",
    400,
    flat("invalid_redirect_uri", "The redirect URI is not registered"),
  ],
  [
    "provider_error",
    "linkedin",
    "token",
    400,
    flat("invalid_request", 'A required parameter "code" is missing'),
  ],
  ["invalid_client", "linkedin", "token", 401, flat("invalid_client", "Client authentication failed")],
  ["invalid_client", "linkedin", "token", 401, flat("invalid_client_id", "no")],
  [
    "code_invalid",
    "linkedin",
    "token",
    400,
    flat(
      "invalid_request",
      "The provided authorization grant or refresh token is invalid, expired or revoked",
    ),
  ],
  ["scope_not_allowed", "linkedin", "token", 400, flat("unauthorized_scope_error")],
  ["reauth_required", "linkedin", "profile", 401, linkedinError(401, "Expired access token")],
  ["reauth_required", "linkedin", "profile", 401, linkedinError(401, "Invalid access token")],
  ["reauth_required", "linkedin", "profile", 401, linkedinError(401, "The token has been revoked")],
  [
    "reauth_required",
    "linkedin",
    "profile",
    401,
    linkedinError(401, "The token used in the request has been revoked by the user"),
  ],
  ["provider_error", "linkedin", "profile", 401, linkedinError(401, "Something new")],
  [
    "insufficient_scope",
    "linkedin",
    "profile",
    403,
    linkedinError(403, "Not enough permissions to access: userinfo.GET.NO_VERSION"),
  ],
  ["rate_limited", "linkedin", "profile", 429, linkedinError(429, "Resource level throttle limit reached")],
  ["provider_unavailable", "linkedin", "profile", 500, linkedinError(500, "Internal Server Error")],
  ["provider_error", "linkedin", "profile", 426, linkedinError(426, "Requested version is not active")],
]

const ok = (code: string) => ({ data: {}, error: { code, message: "m", log_id: "2026" } })
const tiktok: readonly Case[] = [
  ["code_invalid", "tiktok", "token", 200, flat("invalid_grant", "Authorization code is expired.")],
  ["code_invalid", "tiktok", "token", 400, flat("invalid_grant", "Authorization code is expired.")],
  ["invalid_client", "tiktok", "token", 200, flat("invalid_client", "Client key or secret is incorrect.")],
  ["invalid_client", "tiktok", "token", 401, flat("unauthorized_client")],
  [
    "redirect_uri_mismatch",
    "tiktok",
    "token",
    200,
    flat("invalid_request", "Redirect_uri is not matched with the uri when requesting code."),
  ],
  ["pkce_mismatch", "tiktok", "token", 200, flat("invalid_request", "Code_verifier is missing")],
  ["pkce_mismatch", "tiktok", "token", 400, flat("invalid_grant", "The code verifier is wrong")],
  ["scope_not_allowed", "tiktok", "token", 200, flat("invalid_scope")],
  ["access_denied", "tiktok", "token", 200, flat("access_denied")],
  ["provider_error", "tiktok", "token", 200, flat("unsupported_grant_type")],
  ["provider_error", "tiktok", "token", 200, flat("unsupported_response_type")],
  ["provider_error", "tiktok", "token", 200, flat("invalid_request", "Something else")],
  ["provider_unavailable", "tiktok", "token", 200, flat("server_error")],
  ["provider_unavailable", "tiktok", "token", 200, flat("temporarily_unavailable")],
  ["account_not_eligible", "tiktok", "token", 200, flat("invalid_request", "non_sandbox_target")],
  ["reauth_required", "tiktok", "profile", 401, ok("access_token_invalid")],
  ["insufficient_scope", "tiktok", "profile", 401, ok("scope_not_authorized")],
  ["scope_not_allowed", "tiktok", "profile", 400, ok("scope_permission_missed")],
  ["rate_limited", "tiktok", "profile", 429, ok("rate_limit_exceeded")],
  ["rate_limited", "tiktok", "profile", 200, ok("rate_limit_exceeded")],
  ["provider_unavailable", "tiktok", "profile", 500, ok("internal_error")],
  ["account_not_eligible", "tiktok", "profile", 403, ok("non_sandbox_target")],
]

const facebook: readonly Case[] = [
  ["code_invalid", "facebook", "token", 400, graph(100, { error_subcode: 36009 })],
  ["code_invalid", "facebook", "token", 400, graph(100, { error_subcode: 36007 })],
  ["redirect_uri_mismatch", "facebook", "token", 400, graph(100, { error_subcode: 36008 })],
  ["redirect_uri_mismatch", "facebook", "token", 400, graph(191)],
  [
    "invalid_client",
    "facebook",
    "token",
    400,
    graph(1, { message: "Error validating client secret.", is_transient: true }),
  ],
  ["invalid_client", "facebook", "token", 400, graph(101)],
  ["provider_error", "facebook", "token", 400, graph(100)],
  ["provider_unavailable", "facebook", "token", 400, graph(1)],
  ["provider_unavailable", "facebook", "token", 400, graph(77, { is_transient: true })],
  ["reauth_required", "facebook", "long_lived_token", 400, graph(190, { error_subcode: 463 })],
  ["reauth_required", "facebook", "permissions", 400, graph(102)],
  ["insufficient_scope", "facebook", "accounts", 403, graph(10)],
  ["insufficient_scope", "facebook", "accounts", 403, graph(200)],
  ["insufficient_scope", "facebook", "accounts", 400, graph(299)],
  ["provider_error", "facebook", "accounts", 400, graph(300)],
  ...[4, 17, 32, 341, 613, 80001, 80014].map(
    (code): Case => ["rate_limited", "facebook", "accounts", 400, graph(code)],
  ),
  ...[2, 368].map((code): Case => ["provider_unavailable", "facebook", "profile", 400, graph(code)]),
  ["provider_unavailable", "facebook", "profile", 500, graph(999)],
  ["code_invalid", "facebook", "token", 200, graph(100, { error_subcode: 36009 })],
]

const instagram: readonly Case[] = [
  ["code_invalid", "instagram", "token", 400, ig("Matching code was not found or was already used")],
  ["code_invalid", "instagram", "token", 400, ig("This authorization code has been used.")],
  ["code_invalid", "instagram", "token", 400, ig("This authorization code has expired")],
  ["invalid_client", "instagram", "token", 400, ig("Invalid platform app")],
  ["invalid_client", "instagram", "token", 400, ig("Invalid client_secret")],
  ["invalid_client", "instagram", "token", 400, ig("Error validating client secret.")],
  [
    "redirect_uri_mismatch",
    "instagram",
    "token",
    400,
    ig("Error validating verification code. Please make sure your redirect_uri is identical"),
  ],
  ["provider_error", "instagram", "token", 400, ig("Something new")],
  ["code_invalid", "instagram", "token", 400, graph(100, { error_subcode: 36009 })],
  [
    "provider_error",
    "instagram",
    "token",
    400,
    { error_type: "OAuthException", code: 190, error_message: "x" },
  ],
  ["reauth_required", "instagram", "long_lived_token", 400, graph(190)],
  ["insufficient_scope", "instagram", "profile", 400, graph(10)],
  ["rate_limited", "instagram", "profile", 400, graph(4)],
  ["provider_unavailable", "instagram", "profile", 400, graph(2)],
  ["provider_unavailable", "instagram", "profile", 400, graph(77, { is_transient: true })],
]

const providers: readonly ProviderName[] = ["x", "linkedin", "tiktok", "facebook", "instagram"]
const anywhere = providers.flatMap((provider): readonly Case[] => [
  ["rate_limited", provider, "token", 429, ""],
  ["provider_unavailable", provider, "token", 502, "<html>Bad gateway</html>"],
  ["invalid_client", provider, "token", 401, ""],
  ["provider_error", provider, "token", 401, flat("something_new", "nobody knows")],
  ["provider_error", provider, "token", 400, {}],
  ["invalid_response", provider, "token", 400, "<html>Bad request</html>"],
  ["invalid_response", provider, "token", 302, ""],
  ["invalid_response", provider, "token", 200, "<html>Welcome</html>"],
  ["insufficient_scope", provider, "profile", 403, ""],
  ["provider_unavailable", provider, "token", 400, flat("server_error")],
])

describe("each answer a provider is known to give has its reason", () => {
  const cases = [...x, ...linkedin, ...tiktok, ...facebook, ...instagram, ...anywhere].map(
    ([reason, provider, call, status, body]) => {
      const text = typeof body === "string" ? body : JSON.stringify(body)
      return { reason, provider, call, status, text }
    },
  )
  test.each(cases)(
    "$provider $call $status $text: $reason",
    async ({ reason, provider, call, status, text }) => {
      simulated.answer(provider, call, { status, body: text })
      const refusal = await failure(provider)
      expect(refusal.reason).toBe(reason)
      expect(refusal.evidence.status).toBe(status)
      expect(refusal.evidence.call).toBe(call)
    },
  )
})

test("every reason of the closed list that a connect can meet is met", () => {
  const met = new Set(
    [...x, ...linkedin, ...tiktok, ...facebook, ...instagram, ...anywhere].map(([reason]) => reason),
  )
  expect([...met].sort()).toEqual([
    "access_denied",
    "account_not_eligible",
    "code_invalid",
    "insufficient_scope",
    "invalid_client",
    "invalid_response",
    "pkce_mismatch",
    "provider_error",
    "provider_unavailable",
    "rate_limited",
    "reauth_required",
    "redirect_uri_mismatch",
    "scope_not_allowed",
  ])
})

test.each([
  [{ "retry-after": "17" }, 17],
  [{ "retry-after": "Sun, 22 Nov 2026 10:01:30 GMT" }, 90],
  [{ "retry-after": "Sun, 22 Nov 2026 09:00:00 GMT" }, 1],
  [{ "retry-after": "999999999" }, 86400],
  [{ "retry-after": "soon" }, undefined],
  [{ "x-rate-limit-reset": String(Date.UTC(2026, 10, 22, 10, 15) / 1000) }, 900],
])("a provider that says when to come back is believed: %j", async (headers, seconds) => {
  simulated.answer("x", "profile", { status: 429, headers, body: "" })
  expect((await failure("x")).retryAfterSeconds).toBe(seconds)
})

describe("a secret that an answer echoes is nowhere in the failure", () => {
  const secret = secretOf("x-client")
  const echoes: readonly (readonly [string, string])[] = [
    ["as it is", secret],
    ["in a URL", `see https://x.example/?client_secret=${encodeURIComponent(secret)}&x=1`],
    ["as Basic credentials", `Authorization: Basic ${btoa(`x-client:${encodeURIComponent(secret)}`)}`],
    ["in another letter case", secret.toUpperCase()],
    ["behind much else", `${"word ".repeat(38)}${secret}`],
    ["split by a control character within a line", `\u0000${secret}\r\nSet-Cookie: a`],
  ]
  test.each(echoes)("%s", async (_, message) => {
    for (const status of [200, 400]) {
      simulated.answer("x", "token", { status, body: flat("invalid_request", `echo ${message}`) })
      const refusal = await failure("x")
      const text = JSON.stringify([refusal.evidence, refusal.message, refusal.stack]).toLowerCase()
      expect(text).toContain("[reda")
      expect(text).not.toContain(secret.toLowerCase().slice(0, 8))
      expect(text).not.toContain("made-up-secret%2f")
      expect(text).not.toContain(btoa(secret).slice(0, 12).toLowerCase())
    }
  })
})

test("the code is kept out of evidence wherever the provider puts it", async () => {
  const code = "made-up-code"
  const body = { error: code, error_description: `The ${code} is wrong`, log_id: code }
  simulated.answer("tiktok", "token", { status: 400, body })
  const { evidence } = await failure("tiktok", { code })
  expect(evidence).toMatchObject({ code: "[redacted]", message: "The [redacted] is wrong", traceId: null })
})

test("a token of this exchange is kept out of a later call's evidence", async () => {
  simulated.answer("x", "profile", { status: 403, body: { title: "no", detail: "token x-x-client may not" } })
  expect((await failure("x")).evidence.message).toBe("token [redacted] may not")
})
