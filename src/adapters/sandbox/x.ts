import type { ProviderAnswer } from "../../ports/transport.ts"
import { appFault } from "./app-faults.ts"
import { provesReuse, rotate } from "./family.ts"
import { type Grant, grantedScopes, type Rotation } from "./grant.ts"
import { avatarUrl, globalId, people } from "./people.ts"
import { hasVariant, type Refusal } from "./scenarios.ts"
import {
  basic,
  bearer,
  type Desk,
  firstMissing,
  json,
  liveTicket,
  oauthError,
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

/** X API v2: HTTP Basic, PKCE always, codes of 30 seconds, rotating refresh tokens, problem+json behind the token. */
export const x: Simulation = {
  provider: "x",
  hosts: ["api.x.com", "api.twitter.com"],
  authorize: {
    clientIdName: "client_id",
    requires: ["response_type", "scope", "state"],
    scopeSeparator: / +/,
    pkce: "required",
    maxStateCharacters: 500,
    refusals: {
      decline: { error: "access_denied" },
      scope_not_allowed: { error: "invalid_scope" },
    },
  },
  codeLifetimeSeconds: 30,
  answer(request, desk) {
    const { method, path } = request
    if (path === "/2/oauth2/token" && method === "POST") return token(request, desk)
    if (path === "/2/oauth2/revoke" && method === "POST") return revoke(request, desk)
    if (path === "/2/users/me" && method === "GET") return me(request, desk)
    return problem(404, "Not Found", "The requested resource does not exist.")
  },
}

function token(request: WireRequest, desk: Desk): Reply {
  const { form } = request
  const credentials = basic(request)
  if (!credentials) return say("wrong_secret", desk)
  const fault = appFault("x", credentials.id, credentials.secret)
  if (fault) return refuse(fault, (refusal) => say(refusal, desk))
  const missing = firstMissing(form, ["grant_type"])
  if (missing) return missingParameter(missing)
  const inBody = form.get("client_id")
  if (inBody !== null && !isSameClient(inBody, credentials.id)) return say("wrong_secret", desk)
  if (form.get("grant_type") === "refresh_token") return refresh(form, credentials.id, desk)
  if (form.get("grant_type") !== "authorization_code") {
    return oauthError(400, "invalid_request", "Missing required parameter [grant_type].")
  }
  return exchange(form, credentials.id, desk)
}

function exchange(form: URLSearchParams, clientId: string, desk: Desk): Reply {
  const missing = firstMissing(form, ["code", "redirect_uri", "code_verifier"])
  if (missing) return missingParameter(missing)
  const code = form.get("code") ?? ""
  const issuedTo = desk.tickets.read(code)?.grant.clientId
  const outcome = redeemCode(desk, {
    provider: "x",
    code,
    clientId: issuedTo !== undefined && isSameClient(issuedTo, clientId) ? issuedTo : clientId,
    redirectUri: form.get("redirect_uri") ?? "",
    codeVerifier: form.get("code_verifier"),
  })
  if ("refused" in outcome) return refuse(outcome.refused, (refusal) => say(refusal, desk))
  return tokens(outcome.grant, desk)
}

/** Each refresh token works once, and using it again ends all that came of the consent. */
function refresh(form: URLSearchParams, clientId: string, desk: Desk): Reply {
  if (!form.get("refresh_token")) return missingParameter("refresh_token")
  const ticket = liveTicket(desk, "x", ["refresh"], form.get("refresh_token"))
  if (typeof ticket === "string" || !isSameClient(ticket.grant.clientId, clientId)) {
    return say("dead_refresh_token", desk)
  }
  if (provesReuse(desk, ticket)) return say("dead_refresh_token", desk)
  const { grant } = ticket
  return refreshed(
    desk,
    grant,
    (refusal) => say(refusal, desk),
    () =>
      hasVariant(grant, "no_rotation")
        ? json(200, accessTokens(grant, desk, ticket.rotation))
        : tokens(grant, desk, rotate(desk, ticket)),
  )
}

function tokens(grant: Grant, desk: Desk, rotation?: Rotation): ProviderAnswer {
  const renewable = grantedScopes(grant).includes("offline.access") && !hasVariant(grant, "no_refresh_token")
  const lifetimeSeconds = grant.refreshExpiresIn ?? refreshSeconds
  return json(200, {
    ...accessTokens(grant, desk, rotation),
    ...(renewable
      ? { refresh_token: desk.tickets.issue({ kind: "refresh", grant, lifetimeSeconds, rotation }) }
      : {}),
  })
}

function accessTokens(grant: Grant, desk: Desk, rotation?: Rotation) {
  const lifetimeSeconds = grant.expiresIn ?? accessSeconds
  return {
    token_type: "bearer",
    ...(hasVariant(grant, "no_expires_in") ? {} : { expires_in: lifetimeSeconds }),
    access_token: desk.tickets.issue({ kind: "access", grant, lifetimeSeconds, rotation }),
    scope: grantedScopes(grant).join(" "),
  }
}

const revoked = json(200, { revoked: true })

/** Ends the one token it is given. A token that is already dead is revoked all the same (RFC 7009 section 2.2). */
function revoke(request: WireRequest, desk: Desk): Reply {
  const credentials = basic(request)
  if (!credentials) return say("wrong_secret", desk)
  const fault = appFault("x", credentials.id, credentials.secret)
  if (fault) return refuse(fault, (refusal) => say(refusal, desk))
  if (!request.form.get("token")) return missingParameter("token")
  const ticket = liveTicket(desk, "x", ["access", "refresh"], request.form.get("token"))
  if (typeof ticket === "string") return revoked
  const strike = struck(desk, ticket.grant, "revoke", (refusal) => say(refusal, desk))
  if (strike) return strike
  desk.memory.spend(ticket.nonce)
  return revoked
}

function me(request: WireRequest, desk: Desk): Reply {
  const ticket = liveTicket(desk, "x", ["access"], bearer(request))
  if (typeof ticket === "string" || provesReuse(desk, ticket)) return say("token_revoked", desk)
  const strike = struck(desk, ticket.grant, "profile", (refusal) => say(refusal, desk))
  if (strike) return strike
  const scopes = grantedScopes(ticket.grant)
  if (!scopes.includes("tweet.read") || !scopes.includes("users.read")) return say("insufficient_scope", desk)
  const person = people[ticket.grant.person]
  const fields = (request.query.get("user.fields") ?? "").split(",")
  const optional = {
    profile_image_url: person.hasPicture
      ? avatarUrl(person.name)
      : "https://sandbox.invalid/avatar/default.png",
    verified: false,
  }
  const chosen = Object.entries(optional).filter(([name]) => fields.includes(name))
  return json(200, {
    data: {
      id: globalId(person),
      name: person.displayName,
      username: person.username.replaceAll(".", ""),
      ...Object.fromEntries(chosen),
    },
  })
}

/**
 * X states the id and secret in a Basic header; RFC 6749 section 2.3.1 would have them form-encoded first.
 * Clients do either, so both spellings of one id are the same client.
 */
function isSameClient(plain: string, given: string): boolean {
  return plain === given || new URLSearchParams([["", plain]]).toString().slice(1) === given
}

function missingParameter(name: string): ProviderAnswer {
  return oauthError(400, "invalid_request", `Missing required parameter [${name}].`)
}

function problem(
  status: number,
  title: string,
  detail: string,
  type = "about:blank",
  headers: ProviderAnswer["headers"] = {},
): ProviderAnswer {
  return json(
    status,
    { title, detail, type, status },
    { "content-type": "application/problem+json", ...headers },
  )
}

function say(refusal: Refusal, desk: Desk): ProviderAnswer {
  const invalidCode = "Value passed for the authorization code was invalid."
  switch (refusal) {
    case "unknown_code":
    case "dead_code":
    case "used_code":
      return oauthError(400, "invalid_request", invalidCode)
    case "error_in_200":
      return oauthError(200, "invalid_request", invalidCode)
    case "wrong_secret":
      return oauthError(401, "unauthorized_client", "Missing valid authorization header")
    case "unknown_client":
      return oauthError(401, "invalid_client", "Unknown client.")
    case "redirect_uri_mismatch":
    case "unregistered_redirect":
      return oauthError(
        400,
        "invalid_request",
        "Value passed for the redirect uri did not match the uri of the authorization code.",
      )
    case "pkce_mismatch":
      return oauthError(
        400,
        "invalid_request",
        "Value passed for the code verifier did not match the code challenge.",
      )
    case "no_access_token":
      return json(200, { token_type: "bearer", expires_in: accessSeconds, scope: "tweet.read" })
    case "unknown_error":
      return oauthError(400, "sandbox_unheard_of", "Something the documentation does not name.")
    case "rate_limited": {
      const reset = Math.floor(desk.now().getTime() / 1000) + 60
      return problem(429, "Too Many Requests", "Too Many Requests", "about:blank", {
        "retry-after": "60",
        "x-rate-limit-limit": "75",
        "x-rate-limit-remaining": "0",
        "x-rate-limit-reset": String(reset),
      })
    }
    case "insufficient_scope":
      return problem(403, "Forbidden", "Forbidden")
    case "plan_missing":
      return json(403, {
        client_id: "sandbox",
        detail:
          "When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from a Twitter developer App that is attached to a Project. You can create a project via the developer portal.",
        reason: "client-not-enrolled",
        required_enrollment: "Appropriate Level of API Access",
        status: 403,
        title: "Client Forbidden",
        type: "https://api.twitter.com/2/problems/client-forbidden",
      })
    case "dead_refresh_token":
      return oauthError(400, "invalid_request", "Value passed for the token was invalid.")
    case "token_revoked":
      return problem(401, "Unauthorized", "Unauthorized")
    case "failing":
      return problem(503, "Service Unavailable", "Service Unavailable")
  }
}
