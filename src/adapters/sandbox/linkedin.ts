import { Buffer } from "node:buffer"
import type { ProviderAnswer } from "../../ports/transport.ts"
import { appFault } from "./app-faults.ts"
import { type Grant, grantedScopes, type Ticket } from "./grant.ts"
import { apiError, say, sayTokenFault, unknownClient } from "./linkedin-faults.ts"
import { organizationsEdge } from "./linkedin-organizations.ts"
import { avatarUrl, linkedinMemberId, people } from "./people.ts"
import { hasVariant } from "./scenarios.ts"
import {
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

const accessSeconds = 60 * 86_400
const refreshSeconds = 365 * 86_400

/** LinkedIn: credentials in the body and never in a header, no PKCE, 60 days and no refresh token but for partners. */
export const linkedin: Simulation = {
  provider: "linkedin",
  hosts: ["www.linkedin.com", "api.linkedin.com"],
  authorize: {
    clientIdName: "client_id",
    requires: ["response_type", "scope", "state"],
    scopeSeparator: / +/,
    pkce: "ignored",
    refusals: {
      decline: {
        error: "user_cancelled_authorize",
        error_description: "The user cancelled the authorization",
      },
      decline_login: {
        error: "user_cancelled_login",
        error_description: "The user cancelled LinkedIn login",
      },
      scope_not_allowed: {
        error: "unauthorized_scope_error",
        error_description: 'Scope "w_member_social" is not authorized for your application',
      },
    },
  },
  codeLifetimeSeconds: 30 * 60,
  answer(request, desk) {
    const { host, method, path } = request
    if (host === "www.linkedin.com" && method === "POST") {
      if (path === "/oauth/v2/accessToken") return token(request, desk)
      if (path === "/oauth/v2/revoke") return revoke(request, desk)
      if (path === "/oauth/v2/introspectToken") return introspect(request, desk)
    }
    if (host === "api.linkedin.com" && method === "GET") {
      if (path === "/v2/userinfo") return userinfo(request, desk)
      const answer = organizationsEdge(request, desk)
      if (answer) return answer
    }
    return apiError(404, 0, "RESOURCE_NOT_FOUND", "No virtual resource found")
  },
}

/** A fault in what every call to the OAuth host must carry, if there is one. */
function clientFault(request: WireRequest, needed: readonly string[]): Reply | undefined {
  const missing = firstMissing(request.form, [...needed, "client_id", "client_secret"])
  if (missing) {
    return oauthError(400, "invalid_request", `A required parameter "${missing}" is missing`)
  }
  if (request.headers.authorization !== undefined) return say("wrong_secret")
  const clientId = request.form.get("client_id")
  const fault = appFault("linkedin", clientId, request.form.get("client_secret"))
  if (fault === "unknown_client") return unknownClient(clientId ?? "")
  return fault && refuse(fault, say)
}

function token(request: WireRequest, desk: Desk): Reply {
  const { form } = request
  const fault = clientFault(request, ["grant_type"])
  if (fault) return fault
  switch (form.get("grant_type")) {
    case "authorization_code":
      return exchange(form, desk)
    case "refresh_token":
      return refresh(form, desk)
    default:
      return oauthError(400, "unsupported_grant_type", "The passed grant_type is not supported")
  }
}

function exchange(form: URLSearchParams, desk: Desk): Reply {
  const missing = firstMissing(form, ["code", "redirect_uri"])
  if (missing) return oauthError(400, "invalid_request", `A required parameter "${missing}" is missing`)
  const outcome = redeemCode(desk, {
    provider: "linkedin",
    code: form.get("code") ?? "",
    clientId: form.get("client_id") ?? "",
    redirectUri: form.get("redirect_uri") ?? "",
    codeVerifier: null,
  })
  if ("refused" in outcome) return refuse(outcome.refused, say)
  const { grant } = outcome
  if (!hasVariant(grant, "partner_refresh")) return tokens(grant, desk)
  const lifetimeSeconds = grant.refreshExpiresIn ?? refreshSeconds
  const text = desk.tickets.issue({ kind: "refresh", grant, lifetimeSeconds })
  return tokens(grant, desk, { refresh_token: text, refresh_token_expires_in: lifetimeSeconds })
}

/** The same refresh token comes back with a falling lifetime: LinkedIn does not rotate. */
function refresh(form: URLSearchParams, desk: Desk): Reply {
  const text = form.get("refresh_token")
  if (!text) return oauthError(400, "invalid_request", 'A required parameter "refresh_token" is missing')
  const ticket = liveTicket(desk, "linkedin", ["refresh"], text)
  if (typeof ticket === "string" || ticket.grant.clientId !== form.get("client_id")) {
    return say("dead_refresh_token")
  }
  const renewal = { refresh_token: text, refresh_token_expires_in: secondsLeft(ticket, desk) }
  return refreshed(desk, ticket.grant, say, () => tokens(ticket.grant, desk, renewal))
}

function secondsLeft(ticket: Ticket, desk: Desk): number {
  return ticket.expiresAt === null
    ? refreshSeconds
    : Math.floor((ticket.expiresAt.getTime() - desk.now().getTime()) / 1000)
}

interface Renewal {
  readonly refresh_token: string
  readonly refresh_token_expires_in: number
}

/** No access token outlives the refresh token it comes of. */
function tokens(grant: Grant, desk: Desk, renewal?: Renewal): ProviderAnswer {
  const scopes = grantedScopes(grant)
  const longest = renewal?.refresh_token_expires_in ?? Number.POSITIVE_INFINITY
  const lifetimeSeconds = Math.min(grant.expiresIn ?? accessSeconds, longest)
  return json(200, {
    access_token: desk.tickets.issue({ kind: "access", grant, lifetimeSeconds }),
    ...(hasVariant(grant, "no_expires_in") ? {} : { expires_in: lifetimeSeconds }),
    ...renewal,
    scope: scopes.join(","),
    token_type: "Bearer",
    ...(scopes.includes("openid") ? { id_token: idToken(grant, desk) } : {}),
  })
}

/** Shaped as a JWT, and signed by nobody: whoever verifies it finds that out. */
function idToken(grant: Grant, desk: Desk): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const issuedAt = Math.floor(desk.now().getTime() / 1000)
  const claims = {
    iss: "https://www.linkedin.com/oauth",
    aud: grant.clientId,
    iat: issuedAt,
    exp: issuedAt + 3600,
    ...identity(grant),
  }
  return `${part({ alg: "RS256", typ: "JWT", kid: "sandbox" })}.${part(claims)}.c2FuZGJveA`
}

function identity(grant: Grant) {
  const person = people[grant.person]
  const [givenName = "", ...others] = person.displayName.split(" ")
  return {
    sub: linkedinMemberId(grant),
    name: person.displayName,
    given_name: givenName,
    family_name: others.join(" "),
    ...(person.hasPicture ? { picture: avatarUrl(person.name) } : {}),
    locale: { country: "US", language: "en" },
  }
}

function userinfo(request: WireRequest, desk: Desk): Reply {
  const ticket = liveTicket(desk, "linkedin", ["access"], bearer(request))
  if (typeof ticket === "string") return sayTokenFault(ticket)
  const strike = struck(desk, ticket.grant, "profile", say)
  if (strike) return strike
  const scopes = grantedScopes(ticket.grant)
  if (!scopes.includes("openid") || !scopes.includes("profile")) return say("insufficient_scope")
  const email = `${ticket.grant.person}@sandbox.invalid`
  return json(200, {
    ...identity(ticket.grant),
    ...(scopes.includes("email") ? { email, email_verified: true } : {}),
  })
}

function revoke(request: WireRequest, desk: Desk): Reply {
  const fault = clientFault(request, ["token"])
  if (fault) return fault
  const ticket = liveTicket(desk, "linkedin", ["access", "refresh"], request.form.get("token"))
  if (typeof ticket === "string") return json(200, {})
  const strike = struck(desk, ticket.grant, "revoke", say)
  if (strike) return strike
  desk.memory.spend(ticket.nonce)
  return json(200, {})
}

function introspect(request: WireRequest, desk: Desk): Reply {
  const fault = clientFault(request, ["token"])
  if (fault) return fault
  const ticket = liveTicket(desk, "linkedin", ["access", "refresh"], request.form.get("token"))
  if (ticket === "expired" || ticket === "revoked") return json(200, { active: false, status: ticket })
  if (ticket === "unknown" || ticket.grant.clientId !== request.form.get("client_id")) {
    return json(200, { active: false })
  }
  const issuedAt = Math.floor(ticket.issuedAt.getTime() / 1000)
  return json(200, {
    active: true,
    status: "active",
    client_id: ticket.grant.clientId,
    scope: grantedScopes(ticket.grant).join(","),
    created_at: issuedAt,
    authorized_at: issuedAt,
    expires_at: issuedAt + secondsLeft(ticket, desk),
    auth_type: "3L",
  })
}
