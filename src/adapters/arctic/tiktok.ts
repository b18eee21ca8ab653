import { TikTok } from "arctic/dist/providers/tiktok.js"
import { appFinding } from "../../domain/app-check.ts"
import type { OAuthAppOptions } from "../../domain/oauth-app.ts"
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
import {
  authorizeAt,
  type Challenge,
  type CodeExchange,
  challengeOf,
  type Endpoints,
  endEach,
  type ProviderAdapter,
  refreshGrantOf,
  verifierOf,
} from "./provider-adapter.ts"
import { field, isObject, readHttpsUrl, readId, readName, readText } from "./untrusted.ts"

const documentedSeconds = 2 * 60 * 60
const basicFields = ["open_id", "union_id", "avatar_url", "display_name"]

const rules: readonly RefusalRule[] = [
  { on: ["token"], text: "redirect_uri is not matched", reason: "redirect_uri_mismatch" },
  { on: ["token"], text: "code_verifier", reason: "pkce_mismatch" },
  { on: ["token"], text: "code verifier", reason: "pkce_mismatch" },
  { codes: ["scope_permission_missed"], reason: "scope_not_allowed" },
  { codes: ["scope_not_authorized"], reason: "insufficient_scope" },
  { on: ["api", "revoke"], codes: ["access_token_invalid"], reason: "reauth_required" },
  { codes: ["rate_limit_exceeded"], reason: "rate_limited" },
  { codes: ["internal_error"], reason: "provider_unavailable" },
  { codes: ["non_sandbox_target"], reason: "account_not_eligible" },
  { text: "non_sandbox_target", reason: "account_not_eligible" },
  ...standardRules,
]

/**
 * `client_key` instead of `client_id`, credentials in the body, scopes joined by commas. An error may come with
 * status 200. PKCE is for apps registered as Desktop, whose challenge is hexadecimal, so the app chooses.
 */
export const tiktok: ProviderAdapter = {
  refusals: { complaintIn, rules },
  endpoints: () => ({
    authorize: "https://www.tiktok.com/v2/auth/authorize/",
    token: "https://open.tiktokapis.com/v2/oauth/token/",
    api: "https://open.tiktokapis.com",
  }),
  challenge,

  authorizeUrl(request, endpoints) {
    const client = new TikTok(request.clientId, "", request.redirectUri)
    const verifier = challenge(request.options) ? verifierOf(request) : ""
    const formed = client.createAuthorizationURL(request.state, verifier, [...request.scopes])
    return authorizeAt(endpoints.authorize, formed, {
      ...challengeChanges(request.options, verifier),
      ...(request.reconnect ? { disable_auto_auth: "1" } : {}),
    })
  },

  async connect(request, conversation, endpoints) {
    const body = unwrapped(await exchange(request, conversation, endpoints))
    const grant = readGrant(conversation, "token", body, documentedSeconds)
    const scopes = grant.scopes ?? request.scopes
    const asked: ProfileQuestion = {
      call: "profile",
      accessToken: grant.accessToken,
      withUsername: scopes.includes("user.info.profile"),
      openId: readId(field(body, "open_id")),
    }
    const identity = await readIdentity(conversation, endpoints, asked)
    return [{ ...identity, scopes, tokens: tokensOf(grant) }]
  },

  async refresh(request, conversation, endpoints) {
    const { credentials, refreshToken } = refreshGrantOf(request)
    const formed = await refreshForm({ ...credentials, refreshToken })
    const answer = await conversation.submit("refresh", formed, endpoints.token)
    return refreshedTokensOf(readGrant(conversation, "refresh", unwrapped(answer), documentedSeconds))
  },

  /** By the access token, which must be alive; it takes the whole grant with it. */
  async revoke({ credentials, accessToken }, conversation, endpoints) {
    if (credentials === null) return "unsupported"
    return endEach([accessToken], async (token) =>
      conversation.submit(
        "revoke",
        await revokeForm({ ...credentials, token }),
        `${endpoints.api}/v2/oauth/revoke/`,
      ),
    )
  },

  /** Nobody knows the scopes of a token that was typed in, so the wider question comes first. */
  async identify({ accessToken }, conversation, endpoints) {
    const ask = (withUsername: boolean) =>
      readIdentity(conversation, endpoints, { call: "identify", accessToken, withUsername })
    try {
      return await ask(true)
    } catch (error) {
      if (error instanceof ProviderFailure && error.reason === "insufficient_scope") return ask(false)
      throw error
    }
  },

  /**
   * By a made-up code, since client credentials may replace an app token that the tenant uses elsewhere. TikTok
   * says one thing of a wrong key and a wrong secret.
   */
  async check(request, conversation, endpoints) {
    const attempt = (made: CodeExchange) => exchange(made, conversation, endpoints)
    const client = await checkByMadeUpCode(request, conversation, attempt, [])
    const environment = request.credentials.clientId.startsWith(sandboxKeyPrefix)
      ? appFinding("tiktok", "environment_sandbox_key", { about: sandboxKeyPrefix })
      : appFinding("tiktok", "environment_unmarked")
    return [...client, ...scopeFindings(request), environment]
  },
}

/** Not documented; every published sandbox key has it, and no production key. */
const sandboxKeyPrefix = "sbaw"

async function exchange(
  { credentials, options, redirectUri, code, codeVerifier }: CodeExchange,
  conversation: Conversation,
  endpoints: Endpoints,
): Promise<object> {
  const verifier = challenge(options) ? verifierOf({ codeVerifier }) : ""
  return conversation.submit(
    "token",
    await codeForm({ ...credentials, redirectUri, code, verifier }),
    endpoints.token,
    verifier ? {} : { form: (form) => form.delete("code_verifier") },
  )
}

const codeForm = clientForm(["clientId", "clientSecret", "redirectUri", "code", "verifier"], (values) =>
  new TikTok(values.clientId, values.clientSecret, values.redirectUri).validateAuthorizationCode(
    values.code,
    values.verifier,
  ),
)
const refreshForm = clientForm(["clientId", "clientSecret", "refreshToken"], (values) =>
  new TikTok(values.clientId, values.clientSecret, "").refreshAccessToken(values.refreshToken),
)
const revokeForm = clientForm(["clientId", "clientSecret", "token"], (values) =>
  new TikTok(values.clientId, values.clientSecret, "").revokeToken(values.token),
)

interface ProfileQuestion {
  readonly call: CallName
  readonly accessToken: string
  /** One field that the grant does not cover fails the whole call. */
  readonly withUsername: boolean
  /** What the token answer said, which the profile must not contradict. */
  readonly openId?: string | undefined
}

async function readIdentity(
  conversation: Conversation,
  endpoints: Endpoints,
  { call, accessToken, withUsername, openId }: ProfileQuestion,
): Promise<UpstreamIdentity> {
  const fields = [...basicFields, ...(withUsername ? ["username"] : [])].join(",")
  const profile = await conversation.ask(call, {
    url: `${endpoints.api}/v2/user/info/?fields=${fields}`,
    bearer: accessToken,
  })
  const user = field(field(profile, "data"), "user")
  const ids = new Set([readId(field(user, "open_id")), openId].filter((id) => id !== undefined))
  const [id] = ids
  if (!id || ids.size > 1) throw conversation.failure(call, "invalid_response", "no certain open_id")
  const unionId = readId(field(user, "union_id"))
  return {
    platformAccountId: id,
    handle: readName(field(user, "username")),
    displayName: readName(field(user, "display_name")),
    avatarUrl: readHttpsUrl(field(user, "avatar_url")),
    metadata: unionId ? { union_id: unionId } : {},
  }
}

function challenge({ pkce }: OAuthAppOptions): Challenge | null {
  if (pkce === "s256_hex") return "hex"
  return pkce === "s256" ? "base64url" : null
}

/** Arctic always sends the base64url challenge of RFC 7636. */
function challengeChanges(
  options: OAuthAppOptions,
  verifier: string,
): Readonly<Record<string, string | null>> {
  const written = challenge(options)
  if (written === null) return { code_challenge: null, code_challenge_method: null }
  return written === "hex" ? { code_challenge: challengeOf(verifier, written) } : {}
}

/** Flat, as the documents say, or inside `data`, as one page still prints it. */
function unwrapped(answer: object): object {
  const data = field(answer, "data")
  return isObject(data) && field(answer, "access_token") === undefined ? data : answer
}

/** Flat at the token endpoint, nested with code `ok` for success elsewhere, and the first version's `error_code`. */
function complaintIn(body: unknown): Complaint | undefined {
  const said = standardComplaint(body) ?? standardComplaint(field(body, "data"))
  if (said) return said.code === "ok" ? undefined : said
  const old = field(field(body, "data"), "error_code")
  if (!old) return undefined
  return aComplaint({ code: codeText(old), message: readText(field(field(body, "data"), "description")) })
}
