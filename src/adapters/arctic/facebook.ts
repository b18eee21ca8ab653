import { Facebook } from "arctic/dist/providers/facebook.js"
import type { AuthorizeRequest, ExchangeRequest, UpstreamAccount } from "../../ports/providers.ts"
import { clientForm } from "./client-form.ts"
import type { Conversation } from "./conversation.ts"
import { checkFacebook } from "./facebook-check.ts"
import { type AskGraph, type FacebookPage, readPages } from "./facebook-pages.ts"
import { type Grant, readGrant } from "./grant.ts"
import { graphComplaint, graphRules, permissionsWith, proofQuery } from "./graph.ts"
import { authorizeAt, type CodeExchange, type Endpoints, type ProviderAdapter } from "./provider-adapter.ts"
import { field, readHttpsUrl, readId, readName } from "./untrusted.ts"

const documentedSeconds = 60 * 24 * 60 * 60

/**
 * A person connects, and each Page on which they may publish becomes an account. No PKCE, credentials in the
 * body of a POST (the documented GET would put them into a URL), scopes joined by commas.
 */
export const facebook: ProviderAdapter = {
  refusals: { complaintIn: graphComplaint, rules: graphRules },
  endpoints: (options) => ({
    authorize: `https://www.facebook.com/${options.graph_version}/dialog/oauth`,
    token: `https://graph.facebook.com/${options.graph_version}/oauth/access_token`,
    api: `https://graph.facebook.com/${options.graph_version}`,
    otherProduct: "https://api.instagram.com/oauth/access_token",
  }),
  challenge: () => null,

  authorizeUrl(request, endpoints) {
    const client = new Facebook(request.clientId, "", request.redirectUri)
    const formed = client.createAuthorizationURL(request.state, [])
    return authorizeAt(endpoints.authorize, formed, permissionChanges(request))
  },

  async connect(request, conversation, endpoints) {
    const person = await personGrant(request, conversation, endpoints)
    const graph = askGraph(conversation, endpoints, person.accessToken, request.credentials.clientSecret)
    const granted = permissionsWith(["granted"], await graph("permissions", "/me/permissions"))
    if (!granted.includes("pages_show_list")) {
      throw conversation.failure("permissions", "insufficient_scope", "pages_show_list was not granted")
    }
    const personId = readId(field(await graph("profile", "/me", { fields: "id" }), "id"))
    if (!personId) throw conversation.failure("profile", "invalid_response", "no usable id")
    const pages = await readPages(graph, granted.includes("business_management"))
    if (pages.length === 0) {
      throw conversation.failure("accounts", "no_publishable_account", "no Page with CREATE_CONTENT")
    }
    return pages.map((page) => accountOf(page, personId, person, granted))
  },

  /** A Page token has no end of its own, and the person's is renewed by the person alone. */
  async refresh(_request, conversation) {
    throw conversation.failure(
      "refresh",
      "server_error",
      "Facebook tokens are not renewed without the person",
    )
  },

  /** The person's whole grant: every Page that they connected through this app goes with it. */
  async revoke({ credentials, personToken }, conversation, endpoints) {
    if (personToken === null) return "unsupported"
    const query = proofQuery(conversation, personToken, credentials?.clientSecret)
    const answer = await conversation.ask("revoke", {
      method: "DELETE",
      url: `${endpoints.api}/me/permissions${query && `?${query}`}`,
      bearer: personToken,
    })
    if (field(answer, "success") === false) {
      throw conversation.failure("revoke", "provider_error", "success is false")
    }
    return "revoked"
  },

  async identify({ credentials, accessToken, pageId }, conversation, endpoints) {
    // A person has no username, and asking for it would fail the whole call.
    const fields = pageId === null ? "id,name,picture.type(large)" : "id,name,username,picture.type(large)"
    const query = proofQuery(conversation, accessToken, credentials?.clientSecret, { fields })
    const profile = await conversation.ask("identify", {
      url: `${endpoints.api}/${encodeURIComponent(pageId ?? "me")}?${query}`,
      bearer: accessToken,
    })
    const id = readId(field(profile, "id"))
    if (!id) throw conversation.failure("identify", "invalid_response", "no usable id")
    return {
      platformAccountId: id,
      handle: readName(field(profile, "username")),
      displayName: readName(field(profile, "name")),
      avatarUrl: readHttpsUrl(field(field(field(profile, "picture"), "data"), "url")),
      metadata: pageId === null ? {} : { page_id: id },
    }
  },

  check: (request, conversation, endpoints) =>
    checkFacebook(request, conversation, endpoints, (made) => exchange(made, conversation, endpoints)),
}

/**
 * A configuration of Facebook Login for Business takes the place of the scopes, unless the app wants both sent, and
 * is granted whole. Otherwise Facebook never asks again for what was once declined unless it is told to; where
 * nothing was declined it asks nothing more.
 */
function permissionChanges(request: AuthorizeRequest): Readonly<Record<string, string>> {
  const configId = request.options.config_id
  const scope = request.scopes.length > 0 ? { scope: request.scopes.join(",") } : {}
  if (typeof configId !== "string") return { ...scope, auth_type: "rerequest" }
  const both = request.options.config_id_with_scope === true
  return { config_id: configId, ...(both ? scope : {}) }
}

/** Page tokens last only when they are taken from a long-lived token of the person. */
async function personGrant(
  request: ExchangeRequest,
  conversation: Conversation,
  endpoints: Endpoints,
): Promise<Grant> {
  const { clientId, clientSecret } = request.credentials
  const answer = await exchange(request, conversation, endpoints)
  const short = readGrant(conversation, "token", answer, documentedSeconds)
  const long = await conversation.ask("long_lived_token", {
    url: endpoints.longLivedToken ?? endpoints.token,
    form: {
      grant_type: "fb_exchange_token",
      client_id: clientId,
      client_secret: clientSecret,
      fb_exchange_token: short.accessToken,
    },
  })
  return readGrant(conversation, "long_lived_token", long, documentedSeconds)
}

async function exchange(
  { credentials, redirectUri, code }: CodeExchange,
  conversation: Conversation,
  endpoints: Endpoints,
): Promise<object> {
  const formed = await codeForm({ ...credentials, redirectUri, code })
  return conversation.submit("token", formed, endpoints.token)
}

const codeForm = clientForm(["clientId", "clientSecret", "redirectUri", "code"], (values) =>
  new Facebook(values.clientId, values.clientSecret, values.redirectUri).validateAuthorizationCode(
    values.code,
  ),
)

function askGraph(
  conversation: Conversation,
  endpoints: Endpoints,
  token: string,
  clientSecret: string,
): AskGraph {
  return (call, path, parameters = {}) => {
    const query = proofQuery(conversation, token, clientSecret, parameters)
    return conversation.ask(call, { url: `${endpoints.api}${path}?${query}`, bearer: token })
  }
}

function accountOf(
  page: FacebookPage,
  personId: string,
  person: Grant,
  granted: readonly string[],
): UpstreamAccount {
  const tasks = page.tasks && { tasks: page.tasks.join(",") }
  return {
    platformAccountId: page.id,
    handle: page.username,
    displayName: page.name,
    avatarUrl: page.avatarUrl,
    scopes: granted,
    metadata: { page_id: page.id, person_id: personId, ...tasks },
    tokens: {
      accessToken: page.accessToken,
      tokenType: "Bearer",
      expiresAt: null,
      refreshToken: null,
      refreshTokenExpiresAt: null,
      personToken: person.accessToken,
      personTokenExpiresAt: person.expiresAt,
    },
  }
}
