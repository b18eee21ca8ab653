import { createHash, createHmac } from "node:crypto"
import type { ProviderName } from "../../src/domain/provider.ts"

export type SimulatedCall =
  | "token"
  | "long_lived_token"
  | "permissions"
  | "profile"
  | "accounts"
  | "businesses"
  | "business_pages"
  | "page"
  | "refresh"
  | "revoke"
  | "organization_acls"
  | "organizations"

export interface RecordedRequest {
  readonly provider: ProviderName
  readonly call: SimulatedCall
  readonly method: string
  readonly host: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Headers
  readonly body: string
  readonly form: URLSearchParams
}

/** A body that is not a text is sent as JSON. */
export interface Wire {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** The one secret that belongs to a client id here. */
export function secretOf(clientId: string): string {
  return `made-up-secret/of+${clientId}`
}

/** What a code stands for. */
export interface Grant {
  readonly provider: ProviderName
  readonly clientId: string
  readonly redirectUri: string
  readonly scopes: readonly string[]
  readonly challenge: string | null
}

/** What the providers remember between requests. */
export interface Memory {
  readonly codes: Map<string, Grant>
  /** Tokens that were used up or revoked. */
  readonly ended: Set<string>
}

/** What the provider itself says to a request, and takes the code or the token where it works once. */
export function ownAnswer(request: RecordedRequest, memory: Memory): Wire {
  if (request.call === "token") return tokenAnswers[request.provider](request, memory.codes)
  if (request.call === "refresh") return refreshAnswer(request, memory.ended)
  if (request.call === "revoke") return revokeAnswer(request, memory.ended)
  if (request.call === "long_lived_token") return longLivedAnswer(request)
  const [kind, owner = ""] =
    /^Bearer (\w+)-(.+)$/.exec(request.headers.get("authorization") ?? "")?.slice(1) ?? []
  if (kind !== request.provider) return { status: 401, body: { error: { code: 190, message: "bad token" } } }
  return profileAnswers(request, owner)
}

type TokenAnswer = (request: RecordedRequest, codes: Map<string, Grant>) => Wire

const flat = (status: number, error: string, error_description: string): Wire => ({
  status,
  body: { error, error_description },
})

/** Takes the code of a form whose fields and client are right; else the word that says what is wrong. */
function redeem(
  request: RecordedRequest,
  codes: Map<string, Grant>,
  clientId: string,
  fields: readonly string[],
): Grant | "form" | "code" | "redirect" {
  const sent = [...request.form.keys()].sort().join()
  const wanted = [...fields, "code", "grant_type", "redirect_uri"].sort().join()
  const type = request.headers.get("content-type")
  if (sent !== wanted || type !== "application/x-www-form-urlencoded") return "form"
  const code = request.form.get("code") ?? ""
  const grant = codes.get(code)
  if (!grant || grant.provider !== request.provider || grant.clientId !== clientId) return "code"
  codes.delete(code)
  return grant.redirectUri === request.form.get("redirect_uri") ? grant : "redirect"
}

const tokenAnswers: Readonly<Record<ProviderName, TokenAnswer>> = {
  x(request, codes) {
    const id = basicClient(request)
    if (id === undefined) return flat(401, "unauthorized_client", "Missing valid authorization header")
    const inBody = request.form.has("client_id") ? ["client_id"] : []
    const grant = redeem(request, codes, id, ["code_verifier", ...inBody])
    if (grant === "form") return flat(400, "invalid_request", "Missing required parameter [x].")
    if (typeof grant === "string") {
      return flat(400, "invalid_request", "Value passed for the authorization code was invalid.")
    }
    if (hash(request.form.get("code_verifier"), "base64url") !== grant.challenge) {
      const text = "Value passed for the code verifier did not match the code challenge."
      return flat(400, "invalid_request", text)
    }
    return {
      body: {
        token_type: "bearer",
        expires_in: 7200,
        access_token: `x-${id}`,
        scope: grant.scopes.join(" "),
        refresh_token: `x-refresh-${id}`,
      },
    }
  },

  linkedin(request, codes) {
    const id = request.form.get("client_id") ?? ""
    if (request.form.get("client_secret") !== secretOf(id) || request.headers.has("authorization")) {
      return flat(401, "invalid_client", "Client authentication failed")
    }
    const grant = redeem(request, codes, id, ["client_id", "client_secret"])
    if (typeof grant === "string") return flat(400, "invalid_request", "authorization code not found")
    const granted = { access_token: `linkedin-${id}`, expires_in: 5184000, scope: grant.scopes.join(",") }
    return { body: { ...granted, token_type: "Bearer" } }
  },

  tiktok(request, codes) {
    const id = request.form.get("client_key") ?? ""
    if (request.form.get("client_secret") !== secretOf(id))
      return flat(200, "invalid_client", "unknown client")
    const verifier = request.form.get("code_verifier")
    const extra = verifier === null ? [] : ["code_verifier"]
    const grant = redeem(request, codes, id, ["client_key", "client_secret", ...extra])
    if (typeof grant === "string") return flat(200, "invalid_grant", "Authorization code is expired.")
    if (grant.challenge !== null && hash(verifier, "hex") !== grant.challenge) {
      return flat(200, "invalid_grant", "code_verifier does not fit")
    }
    return {
      body: {
        access_token: `tiktok-${id}`,
        expires_in: 7200,
        open_id: `-open-${id}`,
        refresh_expires_in: 15552000,
        refresh_token: `tiktok-refresh-${id}`,
        scope: grant.scopes.join(","),
        token_type: "Bearer",
      },
    }
  },

  facebook(request, codes) {
    const id = request.form.get("client_id") ?? ""
    const grant = redeem(request, codes, id, ["client_id", "client_secret"])
    if (request.form.get("client_secret") !== secretOf(id)) {
      return graphError(400, { message: "Error validating client secret.", code: 1 })
    }
    if (typeof grant === "string")
      return graphError(400, { message: "This code has expired", code: 100, error_subcode: 36007 })
    return { body: { access_token: `short-${id}`, token_type: "bearer", expires_in: 5108 } }
  },

  instagram(request, codes) {
    const id = request.form.get("client_id") ?? ""
    const grant = redeem(request, codes, id, ["client_id", "client_secret"])
    const refused = (error_message: string): Wire => ({
      status: 400,
      body: { error_type: "OAuthException", code: 400, error_message },
    })
    if (request.form.get("client_secret") !== secretOf(id)) return refused("Invalid platform app")
    if (typeof grant === "string") return refused("Matching code was not found or was already used")
    // Written by hand, since the number is above 2^53 and JSON.stringify would round it.
    const permissions = JSON.stringify(grant.scopes)
    return { body: `{"access_token":"short-${id}","user_id":17841400000000123,"permissions":${permissions}}` }
  },
}

/** The client that HTTP Basic proves. */
function basicClient(request: RecordedRequest): string | undefined {
  const basic = /^Basic (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1] ?? ""
  const [id = "", secret = ""] = atob(basic).split(":").map(formDecode)
  return secret === secretOf(id) ? id : undefined
}

/** The client whose id and secret are in the form, whatever the id is called there. */
function formClient(request: RecordedRequest): string | undefined {
  const id = request.form.get("client_id") ?? request.form.get("client_key") ?? ""
  const inHeader = request.headers.has("authorization")
  return request.form.get("client_secret") === secretOf(id) && !inHeader ? id : undefined
}

/** Whether the form has these fields and no others, each once, as a form. */
function hasExactly(request: RecordedRequest, fields: readonly string[]): boolean {
  const type = request.headers.get("content-type")
  const sent = [...request.form.keys()].sort().join()
  return type === "application/x-www-form-urlencoded" && sent === [...fields].sort().join()
}

const credentialFields: Readonly<Record<ProviderName, readonly string[]>> = {
  x: [],
  linkedin: ["client_id", "client_secret"],
  tiktok: ["client_key", "client_secret"],
  facebook: [],
  instagram: [],
}

const refreshDead: Readonly<Record<ProviderName, Wire>> = {
  x: flat(400, "invalid_request", "Value passed for the token was invalid."),
  linkedin: flat(
    400,
    "invalid_request",
    "The provided authorization grant or refresh token is invalid, expired or revoked",
  ),
  tiktok: flat(200, "invalid_grant", "Refresh token is invalid or expired."),
  facebook: { status: 404, body: "Facebook refreshes nothing" },
  instagram: graphError(400, { code: 190, message: "Error validating access token: Session has expired" }),
}

/** X and TikTok take a refresh token once and give another; LinkedIn's stays; Instagram's token renews itself. */
function refreshAnswer(request: RecordedRequest, ended: Set<string>): Wire {
  const { provider, form, query } = request
  if (provider === "instagram") {
    const token = query.get("access_token") ?? ""
    const asked =
      `${[...query.keys()]}` === "grant_type,access_token" && !request.headers.has("authorization")
    if (!asked || query.get("grant_type") !== "ig_refresh_token") return graphError(400, { code: 100 })
    if (!token.startsWith("instagram-") || ended.has(token)) return refreshDead.instagram
    return { body: { access_token: `${token}.next`, token_type: "bearer", expires_in: 5183944 } }
  }
  const id = provider === "x" ? basicClient(request) : formClient(request)
  if (id === undefined) return flat(401, "invalid_client", "Client authentication failed")
  const fields = ["grant_type", "refresh_token", ...credentialFields[provider]]
  if (!hasExactly(request, form.has("client_id") && provider === "x" ? [...fields, "client_id"] : fields)) {
    return flat(400, "invalid_request", "Missing required parameter [x].")
  }
  const token = form.get("refresh_token") ?? ""
  if (!token.startsWith(`${provider}-refresh-${id}`) || ended.has(token)) return refreshDead[provider]
  const given = { access_token: `${provider}-${id}.next`, token_type: "bearer" }
  if (provider === "linkedin") {
    const staying = { refresh_token: token, refresh_token_expires_in: 300 * 86400 }
    return { body: { ...given, ...staying, expires_in: 5184000, scope: "openid,profile,w_member_social" } }
  }
  ended.add(token)
  const scope = provider === "x" ? "tweet.read offline.access" : "user.info.basic,video.publish"
  const lives = provider === "x" ? {} : { refresh_expires_in: 15552000, open_id: `-open-${id}` }
  return { body: { ...given, ...lives, expires_in: 7200, refresh_token: `${token}.next`, scope } }
}

function revokeAnswer(request: RecordedRequest, ended: Set<string>): Wire {
  const { provider, form } = request
  if (provider === "facebook") {
    const bearer = request.headers.get("authorization")?.slice("Bearer ".length) ?? ""
    if (!bearer.startsWith("facebook-") || ended.has(bearer)) return graphError(400, { code: 190 })
    ended.add(bearer)
    return { body: { success: true } }
  }
  const id = provider === "x" ? basicClient(request) : formClient(request)
  if (id === undefined) return flat(401, "invalid_client", "Client authentication failed")
  const hint = provider === "x" ? ["token_type_hint"] : []
  if (!hasExactly(request, ["token", ...hint, ...credentialFields[provider]])) {
    return flat(400, "invalid_request", "Missing required parameter [x].")
  }
  const token = form.get("token") ?? ""
  if (!token.startsWith(`${provider}-`) || ended.has(token)) return refreshDead[provider]
  ended.add(token)
  return { body: { x: { revoked: true }, linkedin: {}, tiktok: "", instagram: {} }[provider] }
}

export function graphError(status: number, error: object): Wire {
  return { status, body: { error: { type: "OAuthException", fbtrace_id: "AbCdEf12", ...error } } }
}

function longLivedAnswer(request: RecordedRequest): Wire {
  const given = request.provider === "facebook" ? request.form : request.query
  const owner = (given.get("fb_exchange_token") ?? given.get("access_token") ?? "").replace("short-", "")
  if (given.get("client_secret") !== secretOf(owner))
    return graphError(400, { code: 190, message: "bad token" })
  return { body: { access_token: `${request.provider}-${owner}`, token_type: "bearer", expires_in: 5183944 } }
}

function profileAnswers(request: RecordedRequest, owner: string): Wire {
  const name = `Name of ${owner}`
  const picture = `https://cdn.example/${encodeURIComponent(owner)}.png`
  if (request.provider === "x") {
    const fields = {
      id: `1${digits(owner)}`,
      name,
      username: "anndev",
      profile_image_url: picture,
      verified: true,
    }
    return { body: { data: fields } }
  }
  if (request.provider === "linkedin") return linkedinAnswers(request, owner, name, picture)
  if (request.provider === "tiktok") {
    const fields = (request.query.get("fields") ?? "").split(",")
    const all = {
      open_id: `-open-${owner}`,
      union_id: `u-${owner}`,
      avatar_url: picture,
      display_name: name,
      username: "ann",
    }
    const user = Object.fromEntries(Object.entries(all).filter(([field]) => fields.includes(field)))
    return { body: { data: { user }, error: { code: "ok", message: "", log_id: "20260101" } } }
  }
  if (request.provider === "instagram") {
    const rest = JSON.stringify({
      id: "2500",
      username: "ann.dev",
      name,
      account_type: "BUSINESS",
      profile_picture_url: picture,
    })
    return { body: `{"user_id":1784${digits(owner)},${rest.slice(1)}` }
  }
  const token = request.headers.get("authorization")?.slice("Bearer ".length) ?? ""
  const proof = createHmac("sha256", secretOf(owner)).update(token).digest("hex")
  if (request.query.get("appsecret_proof") !== proof) {
    return graphError(400, { code: 100, message: "Invalid appsecret_proof provided in the API argument" })
  }
  return graphAnswers(request.call, owner, name, picture)
}

function linkedinAnswers(request: RecordedRequest, owner: string, name: string, picture: string): Wire {
  if (request.call === "profile") return { body: { sub: `sub-${owner}`, name, picture } }
  if (request.headers.get("x-restli-protocol-version") !== "2.0.0") return { status: 400, body: {} }
  if (!/^20\d{4}$/.test(request.headers.get("linkedin-version") ?? "")) {
    return { status: 426, body: { status: 426, message: "Requested version is not active" } }
  }
  const id = digits(owner)
  if (request.call === "organization_acls") {
    const organization = `urn:li:organization:${id}`
    const role = { role: "ADMINISTRATOR", state: "APPROVED", organization }
    return { body: { paging: { start: 0, count: 50 }, elements: [role] } }
  }
  const described = { id: Number(id), localizedName: `Works of ${owner}`, vanityName: "works" }
  return { body: { results: { [id]: described }, statuses: { [id]: 200 }, errors: {} } }
}

function graphAnswers(call: SimulatedCall, owner: string, name: string, picture: string): Wire {
  const granted = ["pages_show_list", "pages_read_engagement", "pages_manage_posts", "business_management"]
  if (call === "profile") return { body: { id: `9${digits(owner)}` } }
  if (call === "page") {
    return { body: { id: `5${digits(owner)}`, name, username: "acme", picture: { data: { url: picture } } } }
  }
  if (call === "permissions") {
    return { body: { data: granted.map((permission) => ({ permission, status: "granted" })) } }
  }
  if (call !== "accounts") return { body: { data: [] } }
  const page = {
    id: `5${digits(owner)}`,
    name,
    access_token: `page-${owner}`,
    tasks: ["MANAGE", "CREATE_CONTENT"],
    picture: { data: { url: picture } },
  }
  return { body: { data: [page] } }
}

/** A number of sixteen figures that belongs to the text, so that mixed-up answers are seen. */
export function digits(text: string): string {
  const bytes = createHash("sha256").update(text).digest()
  return String(bytes.readBigUInt64BE() % 10n ** 16n).padStart(16, "7")
}

function hash(text: string | null, encoding: "hex" | "base64url"): string {
  return createHash("sha256")
    .update(text ?? "")
    .digest(encoding)
}

function formDecode(text: string): string {
  return new URLSearchParams(`=${text}`).get("") ?? ""
}
