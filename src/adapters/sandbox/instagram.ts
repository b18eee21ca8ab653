import type { ProviderAnswer } from "../../ports/transport.ts"
import { appFault, lacksRedirect } from "./app-faults.ts"
import { type Grant, grantedScopes } from "./grant.ts"
import {
  fieldNames,
  graphError,
  graphPath,
  longSeconds,
  noPermission,
  parametersOf,
  pick,
  shortSeconds,
  tokenExpired,
  tokenInvalid,
  tokenMissing,
  tokenRevoked,
  tooManyCalls,
  tryLater,
  unknownPath,
} from "./graph.ts"
import { appScopedNumber, avatarUrl, globalId, people } from "./people.ts"
import { hasVariant, type Refusal } from "./scenarios.ts"
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
  type TokenFault,
  type WireRequest,
  withBareNumber,
} from "./wire.ts"

const dayMs = 86_400_000

/** Instagram with Instagram Login: a token of an hour, then one of 60 days that renews itself after a day. */
export const instagram: Simulation = {
  provider: "instagram",
  hosts: ["api.instagram.com", "graph.instagram.com"],
  authorize: {
    clientIdName: "client_id",
    requires: ["response_type", "scope"],
    scopeSeparator: /[ ,]+/,
    pkce: "ignored",
    fragment: "_",
    refusals: {
      decline: {
        error: "access_denied",
        error_reason: "user_denied",
        error_description: "The user denied your request",
      },
    },
  },
  codeLifetimeSeconds: 60 * 60,
  answer(request, desk) {
    const { host, method } = request
    const path = graphPath(request.path)
    if (host === "api.instagram.com") {
      return path === "/oauth/access_token" && method === "POST"
        ? token(request.form, desk)
        : codeError("Unsupported request")
    }
    if (method !== "GET") return unknownPath(path)
    if (path === "/access_token") return lengthen(request, desk)
    if (path === "/refresh_access_token") return renew(request, desk)
    return path === "/me" ? me(request, desk) : unknownPath(path)
  },
}

function token(form: URLSearchParams, desk: Desk): Reply {
  const missing = firstMissing(form, ["client_id", "client_secret", "grant_type", "redirect_uri", "code"])
  if (missing) return codeError(`Invalid request: Missing required field ${missing}`)
  const fault = appFault("instagram", form.get("client_id"), form.get("client_secret"))
  if (fault) return refuse(fault, say)
  if (form.get("grant_type") !== "authorization_code") return codeError("Invalid grant_type")
  if (lacksRedirect(form.get("client_id"))) return say("unregistered_redirect")
  const outcome = redeemCode(desk, {
    provider: "instagram",
    code: form.get("code") ?? "",
    clientId: form.get("client_id") ?? "",
    redirectUri: form.get("redirect_uri") ?? "",
    codeVerifier: null,
  })
  return "refused" in outcome ? refuse(outcome.refused, say) : shortToken(outcome.grant, desk)
}

/** `user_id` is a bare number above 2^53, which a careless JSON parser corrupts. */
function shortToken(grant: Grant, desk: Desk): ProviderAnswer {
  const accessToken = desk.tickets.issue({ kind: "short", grant, lifetimeSeconds: shortSeconds })
  const userId = globalId(people[grant.person])
  const scopes = grantedScopes(grant)
  if (hasVariant(grant, "nested")) {
    const row = { access_token: accessToken, user_id: userId, permissions: scopes.join(",") }
    return json(200, { data: [row] })
  }
  return withBareNumber(
    json(200, { access_token: accessToken, user_id: userId, permissions: scopes }),
    userId,
  )
}

function lengthen(request: WireRequest, desk: Desk): Reply {
  const parameters = parametersOf(request)
  if (parameters.get("grant_type") !== "ig_exchange_token") {
    return graphError(400, { code: 100, message: "(#100) Param grant_type must be ig_exchange_token" })
  }
  // No client id comes along here: the token stands for it.
  if (appFault("instagram", null, parameters.get("client_secret"))) {
    return graphError(400, { code: 1, message: "Error validating client secret." })
  }
  const ticket = liveTicket(desk, "instagram", ["short"], parameters.get("access_token"))
  if (typeof ticket === "string") return tokenFault(ticket)
  return struck(desk, ticket.grant, "long_lived", sayAtGraph) ?? longToken(ticket.grant, desk)
}

/** Only a token that is a day old, still lives and may read the profile is renewed. */
function renew(request: WireRequest, desk: Desk): Reply {
  const parameters = parametersOf(request)
  if (parameters.get("grant_type") !== "ig_refresh_token") {
    return graphError(400, { code: 100, message: "(#100) Param grant_type must be ig_refresh_token" })
  }
  const ticket = liveTicket(desk, "instagram", ["long"], parameters.get("access_token"))
  if (typeof ticket === "string") return tokenFault(ticket)
  if (!grantedScopes(ticket.grant).includes("instagram_business_basic")) return noPermission
  if (desk.now().getTime() - ticket.issuedAt.getTime() < dayMs) {
    return graphError(400, {
      code: 100,
      message: "Unsupported request - method type: get",
      type: "IGApiException",
    })
  }
  return refreshed(desk, ticket.grant, sayAtGraph, () => longToken(ticket.grant, desk))
}

function longToken(grant: Grant, desk: Desk): ProviderAnswer {
  const lifetimeSeconds = grant.expiresIn ?? longSeconds
  return json(200, {
    access_token: desk.tickets.issue({ kind: "long", grant, lifetimeSeconds }),
    token_type: "bearer",
    ...(hasVariant(grant, "no_expires_in") ? {} : { expires_in: lifetimeSeconds }),
  })
}

function me(request: WireRequest, desk: Desk): Reply {
  const parameters = parametersOf(request)
  const text = parameters.get("access_token") ?? bearer(request)
  if (!text) return tokenMissing
  const ticket = liveTicket(desk, "instagram", ["short", "long"], text)
  if (typeof ticket === "string") return tokenFault(ticket)
  const { grant } = ticket
  const strike = struck(desk, grant, "profile", sayAtGraph)
  if (strike) return strike
  if (!grantedScopes(grant).includes("instagram_business_basic")) return noPermission
  const profile = pick(profileOf(grant), fieldNames(parameters.get("fields")))
  const answer = json(200, hasVariant(grant, "nested") ? { data: [profile] } : profile)
  return hasVariant(grant, "bare_number") ? withBareNumber(answer, globalId(people[grant.person])) : answer
}

function profileOf(grant: Grant): Readonly<Record<string, string | null>> {
  const person = people[grant.person]
  return {
    user_id: globalId(person),
    id: appScopedNumber("instagram", grant.clientId, person),
    username: person.username,
    name: person.displayName,
    account_type: hasVariant(grant, "personal_account") ? "PERSONAL" : "BUSINESS",
    profile_picture_url: person.hasPicture ? avatarUrl(person.name) : null,
  }
}

function tokenFault(fault: TokenFault): ProviderAnswer {
  return { unknown: tokenInvalid, expired: tokenExpired, revoked: tokenRevoked }[fault]
}

/** The flat error of the code's exchange; everything behind it is Graph's nested one. */
function codeError(message: string, status = 400): ProviderAnswer {
  return json(status, { error_type: "OAuthException", code: 400, error_message: message })
}

function sayAtGraph(refusal: Refusal): ProviderAnswer {
  switch (refusal) {
    case "rate_limited":
      return tooManyCalls
    case "insufficient_scope":
    case "plan_missing":
      return noPermission
    case "token_revoked":
    case "dead_refresh_token":
      return tokenRevoked
    default:
      return tryLater
  }
}

function say(refusal: Refusal): ProviderAnswer {
  const spent = "Matching code was not found or was already used"
  switch (refusal) {
    case "unknown_code":
    case "dead_code":
    case "used_code":
      return codeError(spent)
    case "error_in_200":
      return codeError(spent, 200)
    case "unknown_client":
      return codeError("Invalid platform app")
    case "unregistered_redirect":
      return codeError("Invalid redirect_uri")
    case "wrong_secret":
      return codeError("Error validating client secret")
    case "redirect_uri_mismatch":
    case "pkce_mismatch":
      return codeError(
        "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
      )
    case "no_access_token":
      return json(200, { permissions: [] })
    case "unknown_error":
      return codeError("Something the documentation does not name")
    default:
      return sayAtGraph(refusal)
  }
}
