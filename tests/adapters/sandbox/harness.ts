import { createHash, createHmac } from "node:crypto"
import { sandbox } from "../../../src/adapters/sandbox/sandbox.ts"
import { defaultScopes, type ProviderName } from "../../../src/domain/provider.ts"
import type { Signer } from "../../../src/ports/crypto.ts"
import type { ProviderAnswer, ProviderRequest, TransportLimits } from "../../../src/ports/transport.ts"

export const publicUrl = "http://127.0.0.1:3000"
export const startedAt = new Date("2026-01-05T10:00:00Z")
export const verifier = "made-up-verifier-of-a-test-0123456789-0123456789"
export const challenge = createHash("sha256").update(verifier).digest("base64url")
export const hexChallenge = createHash("sha256").update(verifier).digest("hex")
export const clientId = "made-up-client"
export const clientSecret = "made-up-secret"
export const state = "0madeupflow.0madeupx.made-up-mac-of-a-state"

/** Compares bytes, not texts, so that base64url's spare bits are the sandbox's own concern. */
const signer: Signer = {
  sign: (purpose, message) =>
    createHmac("sha256", "made-up key").update(`${purpose} ${message}`).digest("base64url"),
  verify: (purpose, message, mac) =>
    Buffer.from(signer.sign(purpose, message), "base64url").equals(Buffer.from(mac, "base64url")),
}

/** A sandbox with a clock that the test moves. Two of them are two instances with the same keys; a name tells their draws apart. */
export function openSandbox(name = "") {
  let now = startedAt
  let drawn = 0
  const randomBytes = (count: number) =>
    new Uint8Array(createHash("sha256").update(`draw ${name} ${drawn++}`).digest().subarray(0, count))
  const opened = sandbox({ publicUrl, signer, now: () => now, randomBytes })
  return {
    ...opened,
    pass: (seconds: number) => {
      now = new Date(now.getTime() + seconds * 1000)
    },
  }
}

export type OpenSandbox = ReturnType<typeof openSandbox>

export const limits: TransportLimits = {
  timeoutMs: 40,
  maxBytes: 64 * 1024,
}

export function callbackOf(provider: ProviderName): string {
  return `${publicUrl}/v1/oauth/${provider}/callback`
}

/** The query that the real provider would get. */
export function authorizeQuery(provider: ProviderName): Record<string, string> {
  const common = { redirect_uri: callbackOf(provider), response_type: "code", state }
  const joint = provider === "x" || provider === "linkedin" ? " " : ","
  const scope = defaultScopes[provider].join(joint)
  switch (provider) {
    case "x":
      return {
        ...common,
        scope,
        client_id: clientId,
        code_challenge: challenge,
        code_challenge_method: "S256",
      }
    case "tiktok":
      return { ...common, scope, client_key: clientId }
    default:
      return { ...common, scope, client_id: clientId }
  }
}

/** An authorize address with some parameters added, changed or, where undefined, taken out. */
export function authorizeAddress(
  provider: ProviderName,
  changes: Readonly<Record<string, string | undefined>> = {},
): URL {
  const url = new URL(`${publicUrl}/sandbox/${provider}/authorize`)
  for (const [name, value] of Object.entries({ ...authorizeQuery(provider), ...changes })) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}

export async function get(box: OpenSandbox, url: URL | string, method = "GET"): Promise<Response> {
  const response = await box.handle(new Request(url, { method, redirect: "manual" }))
  if (!response) throw new Error(`the sandbox does not own ${url}`)
  return response
}

/** Presses a button of the consent page. */
export async function press(box: OpenSandbox, url: URL, form: URLSearchParams): Promise<Response> {
  const response = await box.handle(
    new Request(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    }),
  )
  if (!response) throw new Error(`the sandbox does not own ${url}`)
  return response
}

/** The parameters that come back to the callback. */
export async function comeBack(
  box: OpenSandbox,
  provider: ProviderName,
  changes: Readonly<Record<string, string | undefined>> = { scenario: "approve" },
): Promise<URLSearchParams> {
  const response = await get(box, authorizeAddress(provider, changes))
  const location = response.headers.get("location")
  if (response.status !== 302 || !location) throw new Error(`answered ${response.status}, not a redirect`)
  return new URL(location).searchParams
}

export async function codeOf(
  box: OpenSandbox,
  provider: ProviderName,
  changes: Readonly<Record<string, string | undefined>> = { scenario: "approve" },
): Promise<string> {
  const code = (await comeBack(box, provider, { scenario: "approve", ...changes })).get("code")
  if (!code) throw new Error("came back without a code")
  return code
}

export interface Call {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string | undefined>>
  readonly method?: ProviderRequest["method"]
  readonly bearer?: string
  readonly basic?: string
}

export function requestOf({ url, headers, form, method, bearer, basic }: Call): ProviderRequest {
  const authorization = bearer ? `Bearer ${bearer}` : basic && `Basic ${btoa(basic)}`
  const fields = Object.entries(form ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  return {
    method: method ?? (form ? "POST" : "GET"),
    url,
    headers: {
      accept: "application/json",
      ...headers,
      ...(authorization ? { authorization } : {}),
      ...(form ? { "content-type": "application/x-www-form-urlencoded" } : {}),
    },
    body: form ? new URLSearchParams(fields).toString() : null,
  }
}

export function call(box: OpenSandbox, asked: Call, within = limits): Promise<ProviderAnswer> {
  return box.transport(requestOf(asked), within)
}

/** The answer as status and parsed body. */
export async function ask(box: OpenSandbox, asked: Call): Promise<{ status: number; body: Body }> {
  const answer = await call(box, asked)
  return { status: answer.status, body: JSON.parse(answer.body) }
}

/** What a JSON answer may hold where a test looks. */
export interface Body {
  readonly [name: string]: unknown
}

/** The code's exchange as a careful client sends it, some fields changed or taken out. */
export function tokenCall(
  provider: ProviderName,
  code: string,
  changes: Readonly<Record<string, string | undefined>> = {},
): Call {
  const form = { grant_type: "authorization_code", code, redirect_uri: callbackOf(provider) }
  const credentials = { client_id: clientId, client_secret: clientSecret }
  switch (provider) {
    case "x":
      return {
        url: "https://api.x.com/2/oauth2/token",
        basic: `${clientId}:${clientSecret}`,
        form: { ...form, code_verifier: verifier, ...changes },
      }
    case "linkedin":
      return {
        url: "https://www.linkedin.com/oauth/v2/accessToken",
        form: { ...form, ...credentials, ...changes },
      }
    case "tiktok":
      return {
        url: "https://open.tiktokapis.com/v2/oauth/token/",
        form: { ...form, client_key: clientId, client_secret: clientSecret, ...changes },
      }
    case "facebook":
      return {
        url: "https://graph.facebook.com/v25.0/oauth/access_token",
        form: { code, redirect_uri: callbackOf(provider), ...credentials, ...changes },
      }
    case "instagram":
      return {
        url: "https://api.instagram.com/oauth/access_token",
        form: { ...form, ...credentials, ...changes },
      }
  }
}

/** Meta's second exchange; the others have none. */
export function longLivedCall(provider: ProviderName, token: string): Call | undefined {
  if (provider === "facebook") {
    return {
      url: "https://graph.facebook.com/v25.0/oauth/access_token",
      form: {
        grant_type: "fb_exchange_token",
        client_id: clientId,
        client_secret: clientSecret,
        fb_exchange_token: token,
      },
    }
  }
  if (provider !== "instagram") return undefined
  const url = new URL("https://graph.instagram.com/access_token")
  url.searchParams.set("grant_type", "ig_exchange_token")
  url.searchParams.set("client_secret", clientSecret)
  url.searchParams.set("access_token", token)
  return { url: url.href }
}

export function profileCall(provider: ProviderName, token: string): Call {
  switch (provider) {
    case "x":
      return {
        url: "https://api.x.com/2/users/me?user.fields=profile_image_url,verified",
        bearer: token,
      }
    case "linkedin":
      return { url: "https://api.linkedin.com/v2/userinfo", bearer: token }
    case "tiktok":
      return {
        url: "https://open.tiktokapis.com/v2/user/info/?fields=open_id,union_id,avatar_url,display_name,username",
        bearer: token,
      }
    case "facebook":
      return { url: "https://graph.facebook.com/v25.0/me?fields=id,name,picture", bearer: token }
    case "instagram":
      return {
        url: `https://graph.instagram.com/v25.0/me?fields=user_id,username,name,account_type,profile_picture_url&access_token=${token}`,
      }
  }
}

/** The access token in an answer, also where it is nested. */
export function accessTokenIn(body: Body): string {
  const [row] = Array.isArray(body.data) ? body.data : [body.data ?? body]
  const token: unknown = row?.access_token
  if (typeof token !== "string") throw new Error("no access token in the answer")
  return token
}

/** Consent, code and every exchange: the token that calls of the API are made with. */
export async function connected(
  box: OpenSandbox,
  provider: ProviderName,
  changes: Readonly<Record<string, string | undefined>> = {},
): Promise<string> {
  const code = await codeOf(box, provider, changes)
  const first = accessTokenIn((await ask(box, tokenCall(provider, code))).body)
  const second = longLivedCall(provider, first)
  return second ? accessTokenIn((await ask(box, second)).body) : first
}

/** The answer to the code's exchange. */
export async function exchanged(
  box: OpenSandbox,
  provider: ProviderName,
  changes: Readonly<Record<string, string | undefined>> = {},
): Promise<Body> {
  return (await ask(box, tokenCall(provider, await codeOf(box, provider, changes)))).body
}

/** Renews by a refresh token, or at Instagram by the access token itself. */
export function refreshCall(
  provider: ProviderName,
  token: unknown,
  changes: Readonly<Record<string, string | undefined>> = {},
): Call {
  if (provider === "instagram") {
    const query = new URLSearchParams({ grant_type: "ig_refresh_token", access_token: String(token) })
    return { url: `https://graph.instagram.com/refresh_access_token?${query}` }
  }
  return tokenCall(provider, "", {
    grant_type: "refresh_token",
    refresh_token: String(token),
    code: undefined,
    redirect_uri: undefined,
    code_verifier: undefined,
    ...changes,
  })
}

/** Ends a token, or with Facebook the whole grant. */
export function revokeCall(provider: Exclude<ProviderName, "instagram">, token: unknown): Call {
  const text = String(token)
  switch (provider) {
    case "x":
      return {
        url: "https://api.x.com/2/oauth2/revoke",
        basic: `${clientId}:${clientSecret}`,
        form: { token: text },
      }
    case "linkedin":
      return {
        url: "https://www.linkedin.com/oauth/v2/revoke",
        form: { token: text, client_id: clientId, client_secret: clientSecret },
      }
    case "tiktok":
      return {
        url: "https://open.tiktokapis.com/v2/oauth/revoke/",
        form: { token: text, client_key: clientId, client_secret: clientSecret },
      }
    case "facebook":
      return { method: "DELETE", url: "https://graph.facebook.com/v25.0/me/permissions", bearer: text }
  }
}
