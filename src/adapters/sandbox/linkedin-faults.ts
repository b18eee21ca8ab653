import type { ProviderAnswer } from "../../ports/transport.ts"
import type { Refusal } from "./scenarios.ts"
import { json, oauthError, type TokenFault } from "./wire.ts"

/** How LinkedIn says no: flat at the OAuth host, with a service error code behind the token. */

const ambiguous =
  "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code. Or authorization code expired. Or external member binding exists"

export function apiError(
  status: number,
  serviceErrorCode: number,
  code: string,
  message: string,
  headers: ProviderAnswer["headers"] = {},
): ProviderAnswer {
  return json(
    status,
    { status, serviceErrorCode, code, message },
    { "x-li-uuid": "sandbox-li-uuid", ...headers },
  )
}

export function say(refusal: Refusal): ProviderAnswer {
  switch (refusal) {
    case "unknown_code":
      return oauthError(
        400,
        "invalid_request",
        "Unable to retrieve access token: authorization code not found",
      )
    case "dead_code":
    case "used_code":
    case "pkce_mismatch":
      return oauthError(400, "invalid_request", ambiguous)
    case "unknown_client":
      return unknownClient("")
    case "redirect_uri_mismatch":
    case "unregistered_redirect":
      return oauthError(400, "invalid_redirect_uri", ambiguous)
    case "error_in_200":
      return oauthError(200, "invalid_request", ambiguous)
    case "wrong_secret":
      return oauthError(401, "invalid_client", "Client authentication failed")
    case "no_access_token":
      return json(200, { expires_in: 60 * 86_400, scope: "openid,profile", token_type: "Bearer" })
    case "dead_refresh_token":
      return oauthError(
        400,
        "invalid_request",
        "The provided authorization grant or refresh token is invalid, expired or revoked",
      )
    case "unknown_error":
      return oauthError(400, "sandbox_unheard_of", "Something the documentation does not name.")
    case "rate_limited":
      return apiError(
        429,
        101,
        "TOO_MANY_REQUESTS",
        "Resource level throttle limit for calls to this resource is reached.",
        { "retry-after": "60" },
      )
    case "insufficient_scope":
    case "plan_missing":
      return apiError(403, 100, "ACCESS_DENIED", "Not enough permissions to access: userinfo.GET.NO_VERSION")
    case "token_revoked":
      return apiError(
        401,
        65601,
        "REVOKED_ACCESS_TOKEN",
        "The token used in the request has been revoked by the user",
      )
    case "failing":
      return apiError(503, 0, "SERVICE_UNAVAILABLE", "Service unavailable")
  }
}

/** LinkedIn repeats the id. */
export function unknownClient(clientId: string): ProviderAnswer {
  return oauthError(400, "invalid_client_id", `The passed in client_id is invalid "${clientId}"`)
}

/** What LinkedIn's API says to a token that does not live. */
export function sayTokenFault(fault: TokenFault): ProviderAnswer {
  switch (fault) {
    case "expired":
      return apiError(401, 65602, "EXPIRED_ACCESS_TOKEN", "Expired access token")
    case "unknown":
      return apiError(401, 65600, "INVALID_ACCESS_TOKEN", "Invalid access token")
    case "revoked":
      return say("token_revoked")
  }
}
