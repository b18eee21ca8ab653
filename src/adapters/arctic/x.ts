import { Twitter } from "arctic/dist/providers/twitter.js"
import type { OAuthAppOptions } from "../../domain/oauth-app.ts"
import type { AppCredentials, UpstreamIdentity } from "../../ports/providers.ts"
import { checkByMadeUpCode, scopeFindings } from "./app-check.ts"
import {
  aComplaint,
  type CallName,
  type Complaint,
  codeText,
  type RefusalRule,
  standardComplaint,
  standardRules,
} from "./classify.ts"
import { clientForm, formEncode } from "./client-form.ts"
import type { Amendment, Conversation } from "./conversation.ts"
import { readGrant, refreshedTokensOf, tokensOf } from "./grant.ts"
import {
  authorizeAt,
  type CodeExchange,
  type Endpoints,
  endEach,
  type ProviderAdapter,
  refreshGrantOf,
  verifierOf,
} from "./provider-adapter.ts"
import { field, isObject, readHttpsUrl, readId, readItems, readName, readText } from "./untrusted.ts"

const today: Endpoints = {
  authorize: "https://x.com/i/oauth2/authorize",
  token: "https://api.x.com/2/oauth2/token",
  api: "https://api.x.com",
}
const legacy: Endpoints = {
  authorize: "https://twitter.com/i/oauth2/authorize",
  token: "https://api.twitter.com/2/oauth2/token",
  api: "https://api.twitter.com",
}
const documentedSeconds = 2 * 60 * 60

/** X says `invalid_request` for nearly everything, so its texts are read before its codes. */
const rules: readonly RefusalRule[] = [
  { on: ["token"], text: "authorization code was invalid", reason: "code_invalid" },
  { on: ["token"], text: "code verifier did not match", reason: "pkce_mismatch" },
  { on: ["token"], text: "redirect uri did not match", reason: "redirect_uri_mismatch" },
  { text: "value passed for the token was invalid", reason: "reauth_required" },
  { text: "missing valid authorization header", reason: "invalid_client" },
  { text: "callback url not approved", reason: "redirect_uri_mismatch" },
  { codes: ["415"], reason: "redirect_uri_mismatch" },
  { codes: ["client-forbidden", "unsupported-authentication"], reason: "scope_not_allowed" },
  { status: 402, reason: "scope_not_allowed" },
  { on: ["api"], status: 401, text: "unauthorized", reason: "reauth_required" },
  ...standardRules,
]

/** PKCE always, client credentials as HTTP Basic, scopes joined by spaces; all consent or none. */
export const x: ProviderAdapter = {
  refusals: { complaintIn, rules },
  endpoints: (options) => (options.hosts === "twitter.com" ? legacy : today),
  challenge: () => "base64url",

  authorizeUrl(request, endpoints) {
    const client = new Twitter(request.clientId, null, request.redirectUri)
    const formed = client.createAuthorizationURL(request.state, verifierOf(request), [...request.scopes])
    return authorizeAt(endpoints.authorize, formed)
  },

  async connect(request, conversation, endpoints) {
    const answer = await exchange(request, conversation, endpoints)
    const grant = readGrant(conversation, "token", answer, documentedSeconds)
    const identity = await readIdentity(conversation, "profile", endpoints, grant.accessToken)
    return [{ ...identity, scopes: grant.scopes ?? request.scopes, tokens: tokensOf(grant) }]
  },

  async refresh(request, conversation, endpoints) {
    const { credentials, refreshToken } = refreshGrantOf(request)
    const answer = await conversation.submit(
      "refresh",
      await refreshForm({ clientId: credentials.clientId, refreshToken }),
      endpoints.token,
      authenticated(credentials, request.options, conversation),
    )
    return refreshedTokensOf(readGrant(conversation, "refresh", answer, documentedSeconds))
  },

  /** X ends one token at a time. The refresh token decides: the access token may be dead and ends by itself anyway. */
  async revoke(request, conversation, endpoints) {
    const { credentials, accessToken, refreshToken } = request
    if (credentials === null) return "unsupported"
    const { clientId } = credentials
    const { headers, form: authenticate } = authenticated(credentials, request.options, conversation)
    return endEach([refreshToken, accessToken], async (token) =>
      conversation.submit(
        "revoke",
        await revokeForm({ clientId, token }),
        `${endpoints.api}/2/oauth2/revoke`,
        {
          headers,
          form(form) {
            authenticate?.(form)
            form.set("token_type_hint", token === refreshToken ? "refresh_token" : "access_token")
          },
        },
      ),
    )
  },

  identify: ({ accessToken }, conversation, endpoints) =>
    readIdentity(conversation, "identify", endpoints, accessToken),

  /** Seen with made-up codes: `invalid_client` for an unknown id, `unauthorized_client` for a wrong secret. */
  async check(request, conversation, endpoints) {
    const attempt = (made: CodeExchange) => exchange(made, conversation, endpoints)
    const client = await checkByMadeUpCode(request, conversation, attempt, ["invalid_client"])
    return [...client, ...scopeFindings(request)]
  },
}

async function exchange(
  { credentials, options, redirectUri, code, codeVerifier }: CodeExchange,
  conversation: Conversation,
  endpoints: Endpoints,
): Promise<object> {
  const { clientId } = credentials
  return conversation.submit(
    "token",
    await codeForm({ clientId, redirectUri, code, verifier: verifierOf({ codeVerifier }) }),
    endpoints.token,
    authenticated(credentials, options, conversation),
  )
}

async function readIdentity(
  conversation: Conversation,
  call: CallName,
  endpoints: Endpoints,
  accessToken: string,
): Promise<UpstreamIdentity> {
  const profile = await conversation.ask(call, {
    url: `${endpoints.api}/2/users/me?user.fields=profile_image_url,verified`,
    bearer: accessToken,
  })
  const user = field(profile, "data")
  const id = readId(field(user, "id"))
  if (!id) throw conversation.failure(call, "invalid_response", "no usable data.id")
  const verified = field(user, "verified")
  return {
    platformAccountId: id,
    handle: readName(field(user, "username")),
    displayName: readName(field(user, "name")),
    avatarUrl: readHttpsUrl(field(user, "profile_image_url")),
    metadata: typeof verified === "boolean" ? { verified: String(verified) } : {},
  }
}

// Without the secret: it goes into the header of {@link authenticated}, in place of Arctic's own.
const codeForm = clientForm(["clientId", "redirectUri", "code", "verifier"], (values) =>
  new Twitter(values.clientId, "", values.redirectUri).validateAuthorizationCode(
    values.code,
    values.verifier,
  ),
)
const refreshForm = clientForm(["clientId", "refreshToken"], (values) =>
  new Twitter(values.clientId, "", "").refreshAccessToken(values.refreshToken),
)
const revokeForm = clientForm(["clientId", "token"], (values) =>
  new Twitter(values.clientId, "", "").revokeToken(values.token),
)

function authenticated(
  credentials: AppCredentials,
  options: OAuthAppOptions,
  conversation: Conversation,
): Amendment & { readonly headers: object } {
  const basic = basicCredentials(credentials)
  conversation.keepSecret(basic)
  const headers = { authorization: `Basic ${basic}` }
  if (options.client_id_in_body !== true) return { headers }
  return { headers, form: (form) => form.set("client_id", credentials.clientId) }
}

/** RFC 6749 section 2.3.1 form-encodes both before they are joined, which Arctic leaves out. */
function basicCredentials(credentials: AppCredentials): string {
  return btoa([credentials.clientId, credentials.clientSecret].map(formEncode).join(":"))
}

/** Flat at the token endpoint; elsewhere problem+json, alone or in a list of errors without data. */
function complaintIn(body: unknown): Complaint | undefined {
  const flat = standardComplaint(body)
  if (flat || isObject(field(body, "data"))) return flat
  const problem = readItems(field(body, "errors"))[0] ?? body
  const message =
    readText(field(problem, "detail")) ??
    readText(field(problem, "title")) ??
    readText(field(problem, "message"))
  if (message === undefined) return undefined
  const type = readText(field(problem, "type"))?.split("/").at(-1)
  return aComplaint({ code: type ?? codeText(field(problem, "code")), message })
}
