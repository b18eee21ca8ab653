import type { ExchangeRequest, UpstreamIdentity } from "../../ports/providers.ts"
import { checkByMadeUpCode, madeUp, orOtherProduct, scopeFindings } from "./app-check.ts"
import type { CallName, RefusalRule } from "./classify.ts"
import { clientForm } from "./client-form.ts"
import type { Conversation } from "./conversation.ts"
import { type Grant, readGrant, refreshedTokensOf, tokensOf } from "./grant.ts"
import { graphComplaint, graphRules } from "./graph.ts"
import { instagramClient } from "./instagram-client.ts"
import { authorizeAt, type CodeExchange, type Endpoints, type ProviderAdapter } from "./provider-adapter.ts"
import { field, isObject, readHttpsUrl, readId, readItems, readName, readScopes } from "./untrusted.ts"

const documentedSeconds = 60 * 24 * 60 * 60
const profileFields = "user_id,username,name,account_type,profile_picture_url"
const professional = ["business", "creator", "media_creator"]

/** Instagram's own texts are not all documented, so they are matched loosely. */
const rules: readonly RefusalRule[] = [
  { on: ["token"], text: "matching code was not found", reason: "code_invalid" },
  { on: ["token"], text: "already used", reason: "code_invalid" },
  { on: ["token"], text: "code has been used", reason: "code_invalid" },
  { on: ["token"], text: "code has expired", reason: "code_invalid" },
  { on: ["token"], text: "redirect_uri", reason: "redirect_uri_mismatch" },
  { text: "client_secret", reason: "invalid_client" },
  { text: "client secret", reason: "invalid_client" },
  ...graphRules,
]

/**
 * Professional accounts through Instagram Login. No PKCE, credentials in the body, scopes joined by commas; the
 * first token lives an hour and is at once exchanged for one that Mooring can renew by itself.
 */
export const instagram: ProviderAdapter = {
  refusals: { complaintIn: graphComplaint, rules },
  endpoints: (options) => ({
    authorize:
      options.authorize_host === "api.instagram.com"
        ? "https://api.instagram.com/oauth/authorize"
        : "https://www.instagram.com/oauth/authorize",
    token: "https://api.instagram.com/oauth/access_token",
    longLivedToken: "https://graph.instagram.com/access_token",
    refresh: "https://graph.instagram.com/refresh_access_token",
    api: `https://graph.instagram.com/${options.graph_version}`,
    otherProduct: `https://graph.facebook.com/${options.graph_version}/oauth/access_token`,
  }),
  challenge: () => null,

  authorizeUrl(request, endpoints) {
    const client = instagramClient(request.clientId, "", request.redirectUri)
    const formed = client.createAuthorizationURL(request.state, request.scopes)
    return authorizeAt(endpoints.authorize, formed, {
      ...(request.options.enable_fb_login === true ? {} : { enable_fb_login: "0" }),
      ...(request.reconnect ? { force_reauth: "true" } : {}),
    })
  },

  async connect(request, conversation, endpoints) {
    const { grant, scopes } = await longLivedGrant(request, conversation, endpoints)
    const identity = await readIdentity(conversation, "profile", endpoints, grant.accessToken)
    return [{ ...identity, scopes, tokens: tokensOf(grant) }]
  },

  /** The token renews itself, by the one form that is documented, which has it in the address; no client takes part. */
  async refresh({ accessToken }, conversation, endpoints) {
    const query = new URLSearchParams({ grant_type: "ig_refresh_token", access_token: accessToken })
    const answer = await conversation.ask("refresh", {
      url: `${endpoints.refresh ?? endpoints.token}?${query}`,
    })
    const grant = readGrant(conversation, "refresh", unwrapped(answer), documentedSeconds)
    return {
      ...refreshedTokensOf(grant),
      scopes: readScopes(field(unwrapped(answer), "permissions")) ?? null,
    }
  },

  async revoke() {
    return "unsupported"
  },

  identify: ({ accessToken }, conversation, endpoints) =>
    readIdentity(conversation, "identify", endpoints, accessToken),

  /** `Invalid platform app` is what Instagram says of a Facebook App ID, the commonest mistake, and of any other. */
  async check(request, conversation, endpoints) {
    const attempt = (made: CodeExchange) => exchange(made, conversation, endpoints)
    const client = await checkByMadeUpCode(request, conversation, attempt, unknownClientWords)
    const askFacebook = () =>
      conversation.ask("app_token", {
        url: endpoints.otherProduct ?? endpoints.token,
        form: {
          grant_type: "client_credentials",
          client_id: request.credentials.clientId,
          client_secret: madeUp.secret,
        },
      })
    return [...(await orOtherProduct(request, conversation, client, askFacebook)), ...scopeFindings(request)]
  },
}

const unknownClientWords = ["invalid platform app", "invalid client id"]

async function exchange(
  { credentials, redirectUri, code }: CodeExchange,
  conversation: Conversation,
  endpoints: Endpoints,
): Promise<object> {
  // Instagram's redirect ends in `#_`, which a browser drops and a hand-copied code still has.
  const bare = code.replace(/#_$/, "")
  const formed = await codeForm({ ...credentials, redirectUri, code: bare })
  return conversation.submit("token", formed, endpoints.token)
}

const codeForm = clientForm(["clientId", "clientSecret", "redirectUri", "code"], (values) =>
  instagramClient(values.clientId, values.clientSecret, values.redirectUri).validateAuthorizationCode(
    values.code,
  ),
)

async function longLivedGrant(
  request: ExchangeRequest,
  conversation: Conversation,
  endpoints: Endpoints,
): Promise<{ readonly grant: Grant; readonly scopes: readonly string[] }> {
  const { clientSecret } = request.credentials
  const answer = unwrapped(await exchange(request, conversation, endpoints))
  const short = readGrant(conversation, "token", answer, documentedSeconds)
  // Only GET is documented here, so this one URL carries the secret.
  const query = new URLSearchParams({
    grant_type: "ig_exchange_token",
    client_secret: clientSecret,
    access_token: short.accessToken,
  })
  const long = await conversation.ask("long_lived_token", {
    url: `${endpoints.longLivedToken ?? endpoints.token}?${query}`,
  })
  return {
    grant: readGrant(conversation, "long_lived_token", long, documentedSeconds),
    scopes: readScopes(field(answer, "permissions")) ?? request.scopes,
  }
}

async function readIdentity(
  conversation: Conversation,
  call: CallName,
  endpoints: Endpoints,
  accessToken: string,
): Promise<UpstreamIdentity> {
  const answer = await conversation.ask(call, {
    url: `${endpoints.api}/me?fields=${profileFields}`,
    bearer: accessToken,
  })
  const profile = unwrapped(answer)
  const type = readName(field(profile, "account_type"))
  if (type !== null && !professional.includes(type.toLowerCase())) {
    throw conversation.failure(call, "account_not_eligible", `account_type is ${type}`)
  }
  // The professional account's id, which publishing needs; `id` beside it belongs to the app alone.
  const id = readId(field(profile, "user_id"))
  if (!id) throw conversation.failure(call, "invalid_response", "no usable user_id")
  return {
    platformAccountId: id,
    handle: readName(field(profile, "username")),
    displayName: readName(field(profile, "name")),
    avatarUrl: readHttpsUrl(field(profile, "profile_picture_url")),
    metadata: { ig_user_id: id, ...(type === null ? {} : { account_type: type }) },
  }
}

/** Flat, as it comes in production, or the one element of `data`, as the documents print it. */
function unwrapped(answer: object): object {
  const [first] = readItems(field(answer, "data"))
  return isObject(first) ? first : answer
}
