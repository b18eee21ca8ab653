import { createHmac } from "node:crypto"
import { defaultScopes } from "../../domain/provider.ts"
import type { ProviderAnswer } from "../../ports/transport.ts"
import { appFault, lacksRedirect } from "./app-faults.ts"
import { pagesEdge } from "./facebook-pages.ts"
import { type Grant, grantedScopes, type Ticket, type TicketKind } from "./grant.ts"
import {
  fieldNames,
  graphError,
  graphPath,
  longSeconds,
  noPermission,
  pageDropped,
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
import { appScopedNumber, avatarUrl, people } from "./people.ts"
import { hasVariant, type Refusal } from "./scenarios.ts"
import { coversPage, removeApp } from "./standing.ts"
import {
  bearer,
  type Desk,
  firstMissing,
  json,
  liveTicket,
  type Reply,
  redeemCode,
  refuse,
  type Simulation,
  struck,
  type TokenFault,
  type WireRequest,
} from "./wire.ts"

/** Facebook's Graph: nested errors, two user tokens, Pages with tokens of their own. */
export const facebook: Simulation = {
  provider: "facebook",
  hosts: ["graph.facebook.com"],
  authorize: {
    clientIdName: "client_id",
    requires: [],
    scopeSeparator: /[ ,]+/,
    pkce: "ignored",
    fragment: "_=_",
    refusals: {
      decline: {
        error: "access_denied",
        error_code: "200",
        error_description: "Permissions error",
        error_reason: "user_denied",
      },
    },
  },
  codeLifetimeSeconds: 10 * 60,
  answer(request, desk) {
    const { method } = request
    const path = graphPath(request.path)
    if (path === "/oauth/access_token" && method !== "DELETE") return token(parametersOf(request), desk)
    if (path === "/debug_token" && method === "GET") return debugToken(parametersOf(request), desk)
    if (path === "/me/permissions" && method === "DELETE") return endGrant(request, desk)
    if (/^\/(?!me\/)[^/]+\/permissions$/.test(path) && method === "GET") return appPermissions(path, request)
    return method === "GET" ? read(path, request, desk) : unknownPath(path)
  },
}

function token(form: URLSearchParams, desk: Desk): Reply {
  if (!form.get("client_id")) return graphError(400, { code: 101, message: "Missing client_id parameter." })
  const missing = firstMissing(form, ["client_secret"])
  if (missing) return graphError(400, { code: 1, message: "Missing client_secret parameter." })
  const fault = appFault("facebook", form.get("client_id"), form.get("client_secret"))
  if (fault) return refuse(fault, say)
  switch (form.get("grant_type")) {
    case "fb_exchange_token":
      return lengthen(form, desk)
    case "client_credentials":
      return json(200, { access_token: appToken(form.get("client_id") ?? ""), token_type: "bearer" })
    default:
      return exchange(form, desk)
  }
}

function exchange(form: URLSearchParams, desk: Desk): Reply {
  const missing = firstMissing(form, ["redirect_uri", "code"])
  if (missing) return graphError(400, { code: 100, message: `Missing ${missing} parameter.` })
  if (lacksRedirect(form.get("client_id"))) return say("unregistered_redirect")
  const outcome = redeemCode(desk, {
    provider: "facebook",
    code: form.get("code") ?? "",
    clientId: form.get("client_id") ?? "",
    redirectUri: form.get("redirect_uri") ?? "",
    codeVerifier: null,
  })
  if ("refused" in outcome) return refuse(outcome.refused, say)
  return userToken("short", outcome.grant, shortSeconds, form, desk)
}

function lengthen(form: URLSearchParams, desk: Desk): Reply {
  const ticket = userTicket(desk, form.get("fb_exchange_token"))
  if (typeof ticket === "string") return tokenFault(ticket)
  if (ticket.grant.clientId !== form.get("client_id")) return tokenInvalid
  const strike = struck(desk, ticket.grant, "long_lived", say)
  return strike ?? userToken("long", ticket.grant, ticket.grant.expiresIn ?? longSeconds, form, desk)
}

function userToken(
  kind: TicketKind,
  grant: Grant,
  lifetimeSeconds: number,
  form: URLSearchParams,
  desk: Desk,
): ProviderAnswer {
  const text = desk.tickets.issue({ kind, grant, lifetimeSeconds })
  rememberProof(text, form.get("client_secret") ?? "", desk)
  return json(200, {
    access_token: text,
    token_type: "bearer",
    ...(hasVariant(grant, "no_expires_in") ? {} : { expires_in: lifetimeSeconds }),
  })
}

/** The secret is only here now, so the proof that later calls must bring is worked out now. */
function rememberProof(text: string, secret: string, desk: Desk): void {
  const nonce = desk.tickets.read(text)?.nonce
  if (nonce) desk.memory.proofs.put(nonce, createHmac("sha256", secret).update(text).digest("hex"))
}

/**
 * A proof must fit where one is sent. For Page tokens, and for tokens that another process issued, nothing
 * here knows the secret, and only the proof's form is judged.
 */
function proofFits(ticket: Ticket, proof: string | null, desk: Desk): boolean {
  if (proof === null) return true
  return /^[0-9a-f]{64}$/.test(proof) && (desk.memory.proofs.get(ticket.nonce) ?? proof) === proof
}

function read(path: string, request: WireRequest, desk: Desk): Reply {
  const parameters = parametersOf(request)
  const text = parameters.get("access_token") ?? bearer(request)
  if (!text) return tokenMissing
  const ticket = anyTicket(desk, text)
  if (typeof ticket === "string") return tokenFault(ticket)
  if (!proofFits(ticket, parameters.get("appsecret_proof"), desk)) {
    return graphError(400, {
      code: 100,
      message: "Invalid appsecret_proof provided in the API argument",
      type: "GraphMethodException",
    })
  }
  const strike = struck(desk, ticket.grant, "profile", say)
  if (strike) return strike
  if (path === "/me" && ticket.kind !== "page") return me(ticket.grant, parameters)
  if (path === "/me/permissions" && ticket.kind !== "page") return permissions(ticket.grant)
  return pagesEdge(path, ticket, request, desk, say) ?? unknownPath(path)
}

function me(grant: Grant, parameters: URLSearchParams): ProviderAnswer {
  const person = people[grant.person]
  const names = fieldNames(parameters.get("fields") ?? "name")
  const url = avatarUrl(person.hasPicture ? person.name : "default")
  return json(
    200,
    pick(
      {
        id: appScopedNumber("facebook", grant.clientId, person),
        name: person.displayName,
        picture: { data: { height: 50, is_silhouette: !person.hasPicture, url, width: 50 } },
      },
      names,
    ),
  )
}

function permissions(grant: Grant): ProviderAnswer {
  const asked = grant.requested.map((permission) => ({
    permission,
    status: grant.declined.includes(permission) ? "declined" : "granted",
  }))
  return json(200, { data: [...asked, { permission: "public_profile", status: "granted" }] })
}

/** Takes the whole app away from the person, with every Page that any consent of that person gave it. */
function endGrant(request: WireRequest, desk: Desk): Reply {
  const ticket = userTicket(desk, parametersOf(request).get("access_token") ?? bearer(request))
  if (typeof ticket === "string") return tokenFault(ticket)
  const strike = struck(desk, ticket.grant, "revoke", say)
  if (strike) return strike
  removeApp(desk, ticket.grant)
  return json(200, { success: true })
}

/** Like the real one it is one text for each app, for ever, and begins with the app's id. */
function appToken(clientId: string): string {
  return `${clientId}${appTokenEnd}`
}

const appTokenEnd = "|sandbox-app-token"

/** What App Review approved for an app: here what Mooring asks for by default. By an app token of the same app alone. */
function appPermissions(path: string, request: WireRequest): ProviderAnswer {
  const token = parametersOf(request).get("access_token") ?? bearer(request) ?? ""
  if (!token.endsWith(appTokenEnd)) return tokenInvalid
  const clientId = token.slice(0, -appTokenEnd.length)
  if (path !== `/${encodeURIComponent(clientId)}/permissions`) return noPermission
  const approved = [...defaultScopes.facebook, "public_profile"]
  return json(200, { data: approved.map((permission) => ({ permission, status: "live" })) })
}

function userTicket(desk: Desk, text: string | null | undefined): Ticket | TokenFault {
  return liveTicket(desk, "facebook", ["short", "long"], text)
}

/** A person's token or a Page's; a Page's ends when a later consent leaves the Page out. */
function anyTicket(desk: Desk, text: string): Ticket | TokenFault | "dropped" {
  const ticket = liveTicket(desk, "facebook", ["short", "long", "page"], text)
  if (typeof ticket === "string" || ticket.pageId === null) return ticket
  return coversPage(desk, ticket.grant, ticket.pageId) ? ticket : "dropped"
}

function debugToken(parameters: URLSearchParams, desk: Desk): ProviderAnswer {
  if (!/^[^|]+\|.+$/.test(parameters.get("access_token") ?? "")) return tokenInvalid
  const text = parameters.get("input_token") ?? ""
  const ticket = desk.tickets.read(text)
  if (ticket?.grant.provider !== "facebook") {
    return json(200, { data: { is_valid: false, error: { code: 190, message: "Malformed access token" } } })
  }
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000)
  return json(200, {
    data: {
      app_id: ticket.grant.clientId,
      type: ticket.kind === "page" ? "PAGE" : "USER",
      is_valid: typeof anyTicket(desk, text) !== "string",
      issued_at: seconds(ticket.issuedAt),
      expires_at: ticket.expiresAt === null ? 0 : seconds(ticket.expiresAt),
      data_access_expires_at: seconds(ticket.issuedAt) + 90 * 86_400,
      scopes: [...grantedScopes(ticket.grant), "public_profile"],
      user_id: appScopedNumber("facebook", ticket.grant.clientId, people[ticket.grant.person]),
    },
  })
}

function tokenFault(fault: TokenFault | "dropped"): ProviderAnswer {
  return { unknown: tokenInvalid, expired: tokenExpired, revoked: tokenRevoked, dropped: pageDropped }[fault]
}

function say(refusal: Refusal): ProviderAnswer {
  const codeUsed = { code: 100, subcode: 36009, message: "This authorization code has been used." }
  switch (refusal) {
    case "unknown_code":
      return graphError(400, { code: 100, message: "Invalid verification code format." })
    case "dead_code":
      return graphError(400, { code: 100, subcode: 36007, message: "This authorization code has expired." })
    case "used_code":
      return graphError(400, codeUsed)
    case "error_in_200":
      return graphError(200, codeUsed)
    case "unknown_client":
      return graphError(400, {
        code: 101,
        message: "Error validating application. Cannot get application info due to a system error.",
      })
    case "unregistered_redirect":
      return graphError(400, {
        code: 191,
        message: "Invalid redirect_uri: Given URL is not allowed by the Application configuration.",
      })
    case "wrong_secret":
      return graphError(400, { code: 1, message: "Error validating client secret." })
    case "redirect_uri_mismatch":
    case "pkce_mismatch":
      return graphError(400, {
        code: 100,
        subcode: 36008,
        message:
          "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
      })
    case "no_access_token":
      return json(200, { token_type: "bearer", expires_in: shortSeconds })
    case "unknown_error":
      return graphError(400, { code: 2999, message: "Something the documentation does not name." })
    case "rate_limited":
      return tooManyCalls
    case "insufficient_scope":
    case "plan_missing":
      return noPermission
    case "token_revoked":
    case "dead_refresh_token":
      return tokenRevoked
    case "failing":
      return tryLater
  }
}
