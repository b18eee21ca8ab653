import { LinkedIn } from "arctic/dist/providers/linkedin.js"
import { ProviderFailure, type UpstreamIdentity } from "../../ports/providers.ts"
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
import { clientForm } from "./client-form.ts"
import type { Conversation } from "./conversation.ts"
import { readGrant, refreshedTokensOf, tokensOf } from "./grant.ts"
import { mayListOrganizations, type Organization, readOrganizations } from "./linkedin-organizations.ts"
import {
  authorizeAt,
  type CodeExchange,
  type Endpoints,
  endEach,
  type ProviderAdapter,
  refreshGrantOf,
} from "./provider-adapter.ts"
import { field, readHttpsUrl, readId, readName, readText } from "./untrusted.ts"

const documentedSeconds = 60 * 24 * 60 * 60

const rules: readonly RefusalRule[] = [
  // One text for a wrong redirect URI and for an expired or used code; the latter is what happens in a connect.
  { on: ["token"], text: "does not match authorization code", reason: "code_invalid" },
  { on: ["token"], text: "authorization code not found", reason: "code_invalid" },
  { on: ["token"], text: "grant or refresh token is invalid, expired or revoked", reason: "code_invalid" },
  { text: "grant or refresh token is invalid, expired or revoked", reason: "reauth_required" },
  { codes: ["invalid_redirect_uri"], reason: "redirect_uri_mismatch" },
  { codes: ["invalid_client_id"], reason: "invalid_client" },
  { text: "client authentication failed", reason: "invalid_client" },
  { codes: ["unauthorized_scope_error"], reason: "scope_not_allowed" },
  { on: ["api"], text: "expired access token", reason: "reauth_required" },
  { on: ["api"], text: "invalid access token", reason: "reauth_required" },
  { on: ["api"], text: "has been revoked", reason: "reauth_required" },
  ...standardRules,
]

/** No PKCE, client credentials in the body, scopes joined by spaces; a refresh token only for approved partners. */
export const linkedin: ProviderAdapter = {
  issuer: "https://www.linkedin.com/oauth",
  refusals: { complaintIn, rules },
  endpoints: () => ({
    authorize: "https://www.linkedin.com/oauth/v2/authorization",
    token: "https://www.linkedin.com/oauth/v2/accessToken",
    revoke: "https://www.linkedin.com/oauth/v2/revoke",
    api: "https://api.linkedin.com",
  }),
  challenge: () => null,

  authorizeUrl(request, endpoints) {
    const client = new LinkedIn(request.clientId, "", request.redirectUri)
    const formed = client.createAuthorizationURL(request.state, [...request.scopes])
    const extended = request.options.extended_login === true ? { enable_extended_login: "true" } : {}
    return authorizeAt(endpoints.authorize, formed, extended)
  },

  async connect(request, conversation, endpoints) {
    const answer = await exchange(request, conversation, endpoints)
    const grant = readGrant(conversation, "token", answer, documentedSeconds)
    const member = await readMember(conversation, "profile", endpoints, grant.accessToken)
    const scopes = grant.scopes ?? request.scopes
    const organizations = mayListOrganizations(scopes)
      ? await readOrganizations(conversation, {
          api: endpoints.api,
          version: request.options.api_version,
          accessToken: grant.accessToken,
        })
      : []
    return [member, ...organizations.map((organization) => onBehalf(organization, member))].map(
      (identity) => ({ ...identity, scopes, tokens: tokensOf(grant) }),
    )
  },

  async refresh(request, conversation, endpoints) {
    const { credentials, refreshToken } = refreshGrantOf(request)
    const formed = await refreshForm({ ...credentials, refreshToken })
    const answer = await conversation.submit("refresh", formed, endpoints.token)
    return refreshedTokensOf(readGrant(conversation, "refresh", answer, documentedSeconds))
  },

  /** In use though not documented, and for access tokens above all; so a partner's refresh token does not decide. */
  async revoke({ credentials, accessToken, refreshToken }, conversation, endpoints) {
    const url = endpoints.revoke
    if (credentials === null || url === undefined) return "unsupported"
    const client = { client_id: credentials.clientId, client_secret: credentials.clientSecret }
    return endEach([accessToken, refreshToken], (token) =>
      conversation.ask("revoke", { url, form: { token, ...client } }),
    )
  },

  /** Without openid a token may publish all the same, but does not say whose it is. */
  async identify({ accessToken }, conversation, endpoints) {
    try {
      return await readMember(conversation, "identify", endpoints, accessToken)
    } catch (error) {
      if (error instanceof ProviderFailure && error.reason === "insufficient_scope") return undefined
      throw error
    }
  },

  /** Documented for its token endpoint: `The passed in client_id is invalid`, and `Client authentication failed`. */
  async check(request, conversation, endpoints) {
    const attempt = (made: CodeExchange) => exchange(made, conversation, endpoints)
    const client = await checkByMadeUpCode(request, conversation, attempt, ["client_id is invalid"])
    return [...client, ...scopeFindings(request)]
  },
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
  new LinkedIn(values.clientId, values.clientSecret, values.redirectUri).validateAuthorizationCode(
    values.code,
  ),
)
const refreshForm = clientForm(["clientId", "clientSecret", "refreshToken"], (values) =>
  new LinkedIn(values.clientId, values.clientSecret, "").refreshAccessToken(values.refreshToken),
)

async function readMember(
  conversation: Conversation,
  call: CallName,
  endpoints: Endpoints,
  accessToken: string,
): Promise<UpstreamIdentity> {
  const profile = await conversation.ask(call, {
    url: `${endpoints.api}/v2/userinfo`,
    bearer: accessToken,
  })
  const id = readId(field(profile, "sub"))
  if (!id) throw conversation.failure(call, "invalid_response", "no usable sub")
  return {
    platformAccountId: id,
    handle: null,
    displayName: readName(field(profile, "name")) ?? joinedName(profile),
    avatarUrl: readHttpsUrl(field(profile, "picture")),
    // The organisations of a member stand on the same grant and carry the same person_id.
    metadata: { author_urn: `urn:li:person:${id}`, person_id: id },
  }
}

/** An organisation is an account of its own, which acts by its administrator's tokens. */
function onBehalf(organization: Organization, member: UpstreamIdentity): UpstreamIdentity {
  const urn = `urn:li:organization:${organization.id}`
  return {
    platformAccountId: urn,
    handle: organization.vanityName,
    displayName: organization.name,
    avatarUrl: organization.logoUrl,
    metadata: {
      author_urn: urn,
      organization_id: organization.id,
      person_id: member.platformAccountId,
    },
  }
}

function joinedName(profile: unknown): string | null {
  const parts = [readName(field(profile, "given_name")), readName(field(profile, "family_name"))]
  return parts.filter((part) => part !== null).join(" ") || null
}

/** Flat at the token endpoint; elsewhere `{message, serviceErrorCode, status}`. */
function complaintIn(body: unknown): Complaint | undefined {
  const code = codeText(field(body, "serviceErrorCode"))
  const status = field(body, "status")
  const message = readText(field(body, "message"))
  if (code === undefined && !(typeof status === "number" && status >= 400)) return standardComplaint(body)
  return aComplaint({ code, message })
}
