import { describe, expect, test } from "bun:test"
import type { OAuthErrorReason } from "../../../src/domain/oauth-error.ts"
import type { ProviderName } from "../../../src/domain/provider.ts"
import { failureOf, refreshRequest, renewing, revokeRequest, revoking, wired } from "./wire.ts"

const { simulated, providers } = wired()

type Case = readonly [OAuthErrorReason, ProviderName, number, unknown]

const flat = (error: string, error_description?: string) => ({ error, error_description, log_id: "2026" })
const graph = (code: number, message = "Some text", more: object = {}) => ({
  error: { type: "OAuthException", message, code, ...more },
})
const linkedinDead = "The provided authorization grant or refresh token is invalid, expired or revoked"

const x: readonly Case[] = [
  ["reauth_required", "x", 400, flat("invalid_request", "Value passed for the token was invalid.")],
  ["reauth_required", "x", 400, flat("INVALID_REQUEST", "value passed for the TOKEN was invalid")],
  ["reauth_required", "x", 400, flat("invalid_grant")],
  ["reauth_required", "x", 401, flat("invalid_grant", "whatever")],
  ["provider_error", "x", 400, flat("invalid_request", "Missing required parameter [refresh_token].")],
  ["provider_error", "x", 400, flat("invalid_request", "Something nobody has seen")],
  ["provider_error", "x", 400, flat("invalid_request", "The token type is invalid.")],
  ["provider_error", "x", 400, flat("invalid_request")],
  ["provider_error", "x", 403, { title: "Forbidden", detail: "Forbidden", type: "about:blank" }],
  ["provider_error", "x", 401, { title: "Unauthorized", detail: "Unauthorized", type: "about:blank" }],
  ["invalid_client", "x", 401, flat("unauthorized_client", "Missing valid authorization header")],
  ["invalid_client", "x", 400, flat("invalid_client")],
  ["invalid_client", "x", 401, ""],
  ["scope_not_allowed", "x", 402, { title: "CreditsDepleted" }],
  ["scope_not_allowed", "x", 403, { title: "F", type: "https://api.x.com/2/problems/client-forbidden" }],
]

const linkedin: readonly Case[] = [
  ["reauth_required", "linkedin", 400, flat("invalid_request", linkedinDead)],
  ["reauth_required", "linkedin", 401, flat("invalid_request", linkedinDead)],
  ["reauth_required", "linkedin", 400, flat("invalid_grant", "no")],
  [
    "provider_error",
    "linkedin",
    400,
    flat("invalid_request", 'A required parameter "refresh_token" is missing'),
  ],
  ["provider_error", "linkedin", 400, flat("invalid_request", "Expired access token")],
  [
    "provider_error",
    "linkedin",
    401,
    { status: 401, message: "Expired access token", serviceErrorCode: 65602 },
  ],
  ["provider_error", "linkedin", 403, { status: 403, message: "Not enough permissions" }],
  ["invalid_client", "linkedin", 401, flat("invalid_client", "Client authentication failed")],
  ["invalid_client", "linkedin", 401, flat("invalid_client_id", "no")],
]

const tiktok: readonly Case[] = [
  ["reauth_required", "tiktok", 200, flat("invalid_grant", "Refresh token is invalid or expired.")],
  ["reauth_required", "tiktok", 400, flat("invalid_grant", "Refresh token is invalid or expired.")],
  ["reauth_required", "tiktok", 200, { data: flat("invalid_grant", "Refresh token is invalid or expired.") }],
  ["provider_error", "tiktok", 200, flat("invalid_request", "Refresh token is invalid or expired.")],
  ["provider_error", "tiktok", 401, flat("access_token_invalid", "no")],
  ["provider_error", "tiktok", 200, { data: { error_code: 10010, description: "Refresh token expired" } }],
  ["provider_error", "tiktok", 200, flat("unsupported_grant_type")],
  ["invalid_client", "tiktok", 200, flat("invalid_client", "Client key or secret is incorrect.")],
  ["invalid_client", "tiktok", 401, flat("unauthorized_client")],
  ["rate_limited", "tiktok", 200, flat("rate_limit_exceeded")],
  ["provider_unavailable", "tiktok", 200, flat("server_error")],
  ["provider_unavailable", "tiktok", 200, flat("temporarily_unavailable")],
  ["provider_unavailable", "tiktok", 500, flat("internal_error")],
]

const instagram: readonly Case[] = [
  ...[0, 458, 459, 460, 463, 464, 467, 492, 12345].map(
    (error_subcode): Case => [
      "reauth_required",
      "instagram",
      400,
      graph(190, "Some text", { error_subcode }),
    ],
  ),
  ["reauth_required", "instagram", 400, graph(190, "Error validating access token: Session has expired")],
  ["reauth_required", "instagram", 400, graph(1234, "Session has expired on Sunday, 22-Nov-26")],
  ["reauth_required", "instagram", 401, graph(190)],
  ["provider_error", "instagram", 400, graph(100, "Unsupported request - method type: get")],
  ["provider_error", "instagram", 400, graph(100, "The access token is too young to be refreshed")],
  ["provider_error", "instagram", 400, graph(1234, "must be at least 24 hours old")],
  ["provider_error", "instagram", 401, graph(1234)],
  ["provider_error", "instagram", 401, ""],
  ["invalid_response", "instagram", 403, ""],
  ["provider_error", "instagram", 400, { error_type: "IGApiException", code: 400, error_message: "new" }],
  ["insufficient_scope", "instagram", 400, graph(10)],
  ["insufficient_scope", "instagram", 403, graph(200)],
  ["invalid_client", "instagram", 400, graph(101)],
  ["invalid_client", "instagram", 400, graph(1, "Error validating client secret.", { is_transient: true })],
  ["rate_limited", "instagram", 400, graph(4)],
  ["provider_unavailable", "instagram", 400, graph(1)],
  ["provider_unavailable", "instagram", 400, graph(2)],
  ["provider_unavailable", "instagram", 400, graph(190, "Some text", { is_transient: true })],
]

/** What ends an account when it is judged, and must not when it is not. */
const deaths: Readonly<Record<string, unknown>> = {
  x: flat("invalid_request", "Value passed for the token was invalid."),
  linkedin: flat("invalid_request", linkedinDead),
  tiktok: flat("invalid_grant"),
  instagram: graph(190, "Session has expired"),
}
const anywhere = renewing.flatMap((provider): readonly Case[] => [
  ["rate_limited", provider, 429, ""],
  ["rate_limited", provider, 429, deaths[provider]],
  ["provider_unavailable", provider, 500, deaths[provider]],
  ["provider_unavailable", provider, 503, deaths[provider]],
  ["provider_error", provider, 302, deaths[provider]],
  ["provider_unavailable", provider, 502, "<html>Bad gateway</html>"],
  ["provider_unavailable", provider, 400, flat("server_error")],
  ["provider_error", provider, 400, {}],
  ["provider_error", provider, 400, flat("something_new", "the token is invalid, expired or revoked")],
  ["provider_error", provider, 403, { message: "no" }],
  ["provider_error", provider, 404, { message: "no" }],
  ["invalid_response", provider, 400, "<html>Bad request</html>"],
  ["invalid_response", provider, 302, ""],
  ["invalid_response", provider, 200, ""],
  ["invalid_response", provider, 200, "null"],
  ["invalid_response", provider, 200, {}],
  ["invalid_response", provider, 200, { access_token: "" }],
])
const cases = [...x, ...linkedin, ...tiktok, ...instagram, ...anywhere]

describe("each answer to a refresh has its reason", () => {
  const rows = cases.map(([reason, provider, status, body]) => {
    const text = typeof body === "string" ? body : JSON.stringify(body)
    return { reason, provider, status, text }
  })
  test.each(rows)("$provider $status $text: $reason", async ({ reason, provider, status, text }) => {
    simulated.answer(provider, "refresh", { status, body: text })
    const refusal = await failureOf(providers.refresh(refreshRequest(provider)))
    expect(refusal.reason).toBe(reason)
    expect(refusal.evidence).toMatchObject({ call: "refresh", status })
    expect(simulated.requests.length).toBe(1)
  })
})

test("a limited refresh says how long to wait", async () => {
  for (const provider of renewing) {
    simulated.answer(provider, "refresh", { status: 429, headers: { "retry-after": "120" }, body: "" })
    const refusal = await failureOf(providers.refresh(refreshRequest(provider)))
    expect(refusal.retryAfterSeconds).toBe(120)
  }
})

describe("each answer to a revocation has its reason", () => {
  const dead: readonly Case[] = [
    ["reauth_required", "x", 400, flat("invalid_request", "Value passed for the token was invalid.")],
    ["reauth_required", "tiktok", 200, flat("invalid_grant")],
    ["reauth_required", "tiktok", 401, flat("access_token_invalid")],
    ["reauth_required", "linkedin", 400, flat("invalid_request", linkedinDead)],
    ["reauth_required", "facebook", 400, graph(190)],
    ["provider_error", "facebook", 401, ""],
    ["provider_error", "facebook", 400, graph(100, "Invalid appsecret_proof provided in the API argument")],
    ["invalid_client", "x", 401, flat("unauthorized_client", "Missing valid authorization header")],
    ["invalid_client", "tiktok", 200, flat("invalid_client")],
    ["invalid_client", "linkedin", 401, flat("invalid_client", "Client authentication failed")],
  ]
  const always = revoking.flatMap((provider): readonly Case[] => [
    ["rate_limited", provider, 429, ""],
    ["provider_unavailable", provider, 500, ""],
    ["provider_error", provider, 403, {}],
    ["provider_error", provider, 400, { message: "something new" }],
    ["invalid_response", provider, 302, ""],
  ])
  test.each([...dead, ...always])("%s: %s %d %j", async (reason, provider, status, body) => {
    simulated.answer(provider, "revoke", { status, body })
    const refusal = await failureOf(providers.revoke(revokeRequest(provider)))
    expect([refusal.reason, refusal.evidence.call]).toEqual([reason, "revoke"])
  })
})
