import type { ProviderAnswer } from "../../ports/transport.ts"
import { appFault } from "./app-faults.ts"
import { provesReuse, rotate } from "./family.ts"
import { type Grant, grantedScopes, type Rotation } from "./grant.ts"
import { appScopedId, avatarUrl, people } from "./people.ts"
import { hasVariant, type Refusal } from "./scenarios.ts"
import { removeApp } from "./standing.ts"
import {
  bearer,
  type Desk,
  firstMissing,
  json,
  liveTicket,
  type Reply,
  redeemCode,
  refreshed,
  refuse,
  type Simulation,
  struck,
  type WireRequest,
} from "./wire.ts"

const accessSeconds = 7200
const refreshSeconds = 180 * 86_400
const logId = "20260101000000SANDBOX0000000001"

/** TikTok v2: client_key, trailing slashes, errors of the token call with status 200, an error object in every API answer. */
export const tiktok: Simulation = {
  provider: "tiktok",
  hosts: ["open.tiktokapis.com"],
  authorize: {
    clientIdName: "client_key",
    requires: ["response_type", "scope", "state"],
    scopeSeparator: /,/,
    pkce: "optional",
    extras: (granted) => ({ scopes: granted.join(",") }),
    refusals: {
      decline: { error: "access_denied", error_description: "User cancelled the authorization" },
      scope_not_allowed: {
        error: "invalid_scope",
        error_description: "The app may not ask for one of the scopes",
      },
      account_not_eligible: {
        // The word that matters is in error_type: by error alone it would look as if the person had declined.
        error: "access_denied",
        error_type: "non_sandbox_target",
      },
    },
  },
  codeLifetimeSeconds: 5 * 60,
  answer(request, desk) {
    const { method, path } = request
    if (path === "/v2/oauth/token/" && method === "POST") return token(request, desk)
    if (path === "/v2/oauth/revoke/" && method === "POST") return revoke(request, desk)
    if (path === "/v2/user/info/" && method === "GET") return userInfo(request, desk)
    return apiError(404, "unsupported_path", "Unsupported path(Janus)")
  },
}

function clientFault(form: URLSearchParams, needed: readonly string[]): Reply | undefined {
  const missing = firstMissing(form, ["client_key", "client_secret", ...needed])
  if (missing)
    return oauthError("invalid_request", `The request parameters are malformed: ${missing} is missing.`)
  const fault = appFault("tiktok", form.get("client_key"), form.get("client_secret"))
  return fault && refuse(fault, say)
}

function token({ form }: WireRequest, desk: Desk): Reply {
  const fault = clientFault(form, ["grant_type"])
  if (fault) return fault
  switch (form.get("grant_type")) {
    case "authorization_code":
      return exchange(form, desk)
    case "refresh_token":
      return refresh(form, desk)
    default:
      return oauthError("unsupported_grant_type", "The grant type is not supported.")
  }
}

function exchange(form: URLSearchParams, desk: Desk): Reply {
  const fault = clientFault(form, ["code", "redirect_uri"])
  if (fault) return fault
  const outcome = redeemCode(desk, {
    provider: "tiktok",
    code: form.get("code") ?? "",
    clientId: form.get("client_key") ?? "",
    redirectUri: form.get("redirect_uri") ?? "",
    codeVerifier: form.get("code_verifier"),
  })
  return "refused" in outcome ? refuse(outcome.refused, sayAtToken) : tokens(outcome.grant, desk)
}

/** Each refresh token works once, and using it again ends all that came of the consent. */
function refresh(form: URLSearchParams, desk: Desk): Reply {
  const ticket = liveTicket(desk, "tiktok", ["refresh"], form.get("refresh_token"))
  if (typeof ticket === "string" || ticket.grant.clientId !== form.get("client_key")) {
    return say("dead_refresh_token")
  }
  if (provesReuse(desk, ticket)) return say("dead_refresh_token")
  const { grant } = ticket
  return refreshed(desk, grant, sayAtToken, () =>
    hasVariant(grant, "no_rotation")
      ? tokenAnswer(grant, { ...accessTokens(grant, desk, ticket.rotation), refresh_token: "" })
      : tokens(grant, desk, rotate(desk, ticket)),
  )
}

function tokens(grant: Grant, desk: Desk, rotation?: Rotation): ProviderAnswer {
  const lifetimeSeconds = grant.refreshExpiresIn ?? refreshSeconds
  return tokenAnswer(grant, {
    ...accessTokens(grant, desk, rotation),
    ...(hasVariant(grant, "no_refresh_token")
      ? {}
      : {
          refresh_expires_in: lifetimeSeconds,
          refresh_token: desk.tickets.issue({ kind: "refresh", grant, lifetimeSeconds, rotation }),
        }),
  })
}

function accessTokens(grant: Grant, desk: Desk, rotation?: Rotation) {
  const lifetimeSeconds = grant.expiresIn ?? accessSeconds
  return {
    access_token: desk.tickets.issue({ kind: "access", grant, lifetimeSeconds, rotation }),
    ...(hasVariant(grant, "no_expires_in") ? {} : { expires_in: lifetimeSeconds }),
    open_id: openId(grant),
    scope: grantedScopes(grant).join(","),
    token_type: "Bearer",
  }
}

function tokenAnswer(grant: Grant, body: Readonly<Record<string, unknown>>): ProviderAnswer {
  return json(200, hasVariant(grant, "nested") ? { data: body, message: "success" } : body)
}

/** Real ones begin with a dash too, and it is part of the id. */
function openId(grant: Grant): string {
  return `-000${appScopedId("tiktok", grant.clientId, people[grant.person], 32)}`
}

/** Takes the whole app off the person's list, and with it whatever other consents of that person gave. */
function revoke({ form }: WireRequest, desk: Desk): Reply {
  const fault = clientFault(form, ["token"])
  if (fault) return fault
  const ticket = liveTicket(desk, "tiktok", ["access"], form.get("token"))
  if (typeof ticket === "string" || ticket.grant.clientId !== form.get("client_key")) {
    return oauthError("invalid_request", "The access token is invalid or expired.")
  }
  const strike = struck(desk, ticket.grant, "revoke", say)
  if (strike) return strike
  removeApp(desk, ticket.grant)
  return json(200, {})
}

const fieldScopes: Readonly<Record<string, string>> = {
  open_id: "user.info.basic",
  union_id: "user.info.basic",
  avatar_url: "user.info.basic",
  display_name: "user.info.basic",
  username: "user.info.profile",
}

/** One field without its scope fails the whole call. */
function userInfo(request: WireRequest, desk: Desk): Reply {
  const ticket = liveTicket(desk, "tiktok", ["access"], bearer(request))
  if (typeof ticket === "string" || provesReuse(desk, ticket)) return say("token_revoked")
  const strike = struck(desk, ticket.grant, "profile", say)
  if (strike) return strike
  const fields = (request.query.get("fields") ?? "").split(",").filter(Boolean)
  if (fields.length === 0) return apiError(400, "invalid_params", "Fields is required")
  const unknown = fields.find((field) => !Object.hasOwn(fieldScopes, field))
  if (unknown) return apiError(400, "invalid_params", "One or more fields are invalid")
  const scopes = grantedScopes(ticket.grant)
  if (fields.some((field) => !scopes.includes(fieldScopes[field] ?? ""))) return say("insufficient_scope")
  const profile = profileOf(ticket.grant)
  const user = Object.fromEntries(Object.entries(profile).filter(([name]) => fields.includes(name)))
  return json(200, { data: { user }, error: { code: "ok", message: "", log_id: logId } })
}

function profileOf(grant: Grant): Readonly<Record<string, string>> {
  const person = people[grant.person]
  return {
    open_id: openId(grant),
    union_id: appScopedId("tiktok", "", person, 36),
    avatar_url: avatarUrl(person.hasPicture ? person.name : "default"),
    display_name: person.displayName,
    username: person.username,
  }
}

/** Status 200 is what implementers meet, and the harder half: a client that reads only statuses fails here. */
function oauthError(
  error: string,
  description: string,
  status = 200,
  headers: ProviderAnswer["headers"] = {},
): ProviderAnswer {
  return json(status, { error, error_description: description, log_id: logId }, headers)
}

function apiError(
  status: number,
  code: string,
  message: string,
  headers: ProviderAnswer["headers"] = {},
): ProviderAnswer {
  return json(status, { data: {}, error: { code, message, log_id: logId } }, headers)
}

/** The token call says with a flat error what the API says with an object. */
function sayAtToken(refusal: Refusal): ProviderAnswer {
  return refusal === "rate_limited"
    ? oauthError("rate_limit_exceeded", "The API rate limit was exceeded.", 429, { "retry-after": "60" })
    : say(refusal)
}

function say(refusal: Refusal): ProviderAnswer {
  switch (refusal) {
    case "unknown_code":
      return oauthError("invalid_grant", "Authorization code is invalid.")
    case "dead_code":
    case "error_in_200":
      return oauthError("invalid_grant", "Authorization code is expired.")
    case "used_code":
      return oauthError("invalid_grant", "Authorization code is already used.")
    case "wrong_secret":
    case "unknown_client":
      return oauthError("invalid_client", "Client key or secret is incorrect.")
    case "redirect_uri_mismatch":
    case "unregistered_redirect":
      return oauthError("invalid_request", "Redirect_uri is not matched with the uri when requesting code.")
    case "pkce_mismatch":
      return oauthError("invalid_request", "Code verifier or code challenge is invalid.")
    case "no_access_token":
      return json(200, { expires_in: accessSeconds, open_id: "-000sandbox", token_type: "Bearer" })
    case "unknown_error":
      return oauthError("sandbox_unheard_of", "Something the documentation does not name.")
    case "rate_limited":
      return apiError(429, "rate_limit_exceeded", "The API rate limit was exceeded.", { "retry-after": "60" })
    case "insufficient_scope":
    case "plan_missing":
      return apiError(
        401,
        "scope_not_authorized",
        "The user did not authorize the scope required for completing this request.",
      )
    case "dead_refresh_token":
      return oauthError("invalid_grant", "Refresh token is invalid or expired.")
    case "token_revoked":
      return apiError(401, "access_token_invalid", "The access token is invalid or not found in the request.")
    case "failing":
      return apiError(500, "internal_error", "Internal server error.")
  }
}
