import { expect } from "bun:test"
import { SignJWT } from "jose"
import { type Application, httpApp } from "../../src/adapters/http/app.ts"
import { authentication, type DashboardTokenRules } from "../../src/adapters/http/authentication.ts"
import { type AccessEntry, edge } from "../../src/adapters/http/edge.ts"
import { everyAnswer } from "../../src/adapters/http/every-answer.ts"
import { type RateLimits, unlimited } from "../../src/adapters/http/limits.ts"
import { managementApp } from "../../src/adapters/http/management-app.ts"
import { readAccounts } from "../../src/application/accounts.ts"
import { authenticateKey, manageApiKeys } from "../../src/application/api-keys.ts"
import type { Management } from "../../src/application/management.ts"
import { readEvents } from "../../src/application/read-events.ts"
import { manageWebhooks } from "../../src/application/webhooks.ts"
import { type KeyScope, keyScopes, type Principal } from "../../src/domain/api-key.ts"
import type { Environment } from "../../src/domain/owner.ts"
import type { ProviderName } from "../../src/domain/provider.ts"
import type { ReturnUrl } from "../../src/domain/return-url-policy.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { connectWorld } from "./connect-world.ts"
import { scriptedSender } from "./scripted-sender.ts"

export const jwtSecret = "fake-jwt-secret-that-is-32-bytes-or-more"
export const returnUrl = "https://app.acme.example/connect/done?tab=social"
export const origin = "http://mooring.test"

export interface HttpWorldOptions {
  readonly storage?: Storage
  readonly dashboardUrl?: ReturnUrl
  /** HS256 under {@link jwtSecret} unless given; null where the installation has no dashboard. */
  readonly dashboardTokens?: DashboardTokenRules | null
  readonly limits?: RateLimits
  readonly https?: boolean
  readonly ready?: () => Promise<void>
}

export interface Call {
  /** The credential: an API key or a dashboard token. */
  readonly as?: string
  /** An object goes as JSON; a text as it stands, with no content type of its own. */
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
  readonly address?: string
}

export type AnyAccessEntry = AccessEntry & Readonly<Record<string, unknown>>

export const plainTokens: DashboardTokenRules = {
  key: { kind: "secret", secret: jwtSecret },
  issuer: undefined,
  audience: undefined,
  tenantClaim: "sub",
}

/** The real edge over memory storage, real crypto and a scripted provider; it is handed requests, no socket is open. */
export function httpWorld(options: HttpWorldOptions = {}) {
  const world = connectWorld({
    ...(options.storage && { storage: options.storage }),
    ...(options.dashboardUrl && { dashboardUrl: options.dashboardUrl }),
  })
  const { storage, newId, now } = world
  const entries: AnyAccessEntry[] = []
  const faults: { readonly fault: unknown; readonly requestId: string }[] = []
  const keyDeps = { keys: storage.keys, mint: world.mint, newId, now }
  const apiKeys = manageApiKeys(keyDeps)
  const onFault = (fault: unknown, requestId: string) => void faults.push({ fault, requestId })
  const dashboardTokens =
    options.dashboardTokens === null ? undefined : (options.dashboardTokens ?? plainTokens)

  const receivers = scriptedSender()
  const application: Application = {
    tokens: world.tokens,
    choose: world.choose,
    start: world.start,
    complete: world.complete,
    confirm: world.confirm,
    flows: world.flows,
    docsUrl: (reason) => `https://connect.example.com/docs/oauth-errors/${reason}`,
    ready: options.ready ?? (() => storage.ping()),
  }
  const management: Management = {
    oauthApps: world.apps,
    checkApp: world.checkApp,
    apiKeys,
    accounts: readAccounts({ accounts: storage.accounts, signer: world.signer }),
    register: world.register,
    tokens: world.tokens,
    disconnect: world.disconnect,
    events: readEvents({ events: storage.events, signer: world.signer }),
    webhooks: manageWebhooks({
      storage,
      box: world.box,
      signer: world.signer,
      sender: receivers.sender,
      addresses: "public",
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
      newId,
      now,
    }),
    redirectUri: (provider: ProviderName) => `https://connect.example.com/v1/oauth/${provider}/callback`,
  }
  const handle = edge({
    application,
    management: async () => management,
    authenticate: authentication({ authenticateKey: authenticateKey(keyDeps), dashboardTokens }),
    limits: options.limits ?? unlimited,
    sandboxPages: undefined,
    https: options.https ?? false,
    newRequestId: () => newId("evt").replace("evt_", "req_"),
    onAccess: (entry) => void entries.push(entry),
    onFault,
  })

  const call = (method: string, path: string, call: Call = {}): Promise<Response> =>
    handle(requestOf(method, path, call), () => call.address ?? "203.0.113.7")

  return {
    ...world,
    edge: handle,
    /** Where webhooks go. */
    receivers: receivers.scripted,
    apiKeys,
    entries,
    faultsSeen: faults,
    routes: () => {
      const deps = { answers: everyAnswer(false), onFault }
      return [httpApp(application, deps), managementApp(management, deps)].flatMap((app) => app.routes)
    },
    call,

    /** A stored API key's text. */
    async key(
      change: {
        tenant?: string
        environment?: Environment
        scopes?: readonly KeyScope[]
        expiresAt?: Date
      } = {},
    ): Promise<string> {
      const { tenant = "acme", environment = "live", ...rest } = change
      return (await apiKeys.create(user(tenant, environment), { name: "ci", environment, ...rest })).text
    },

    /** An app over HTTP; resolves to its view. */
    async storeApp(as: string, change: object = {}) {
      const response = await call("POST", "/v1/oauth-apps", { as, body: { ...newApp, ...change } })
      expect(response.status).toBe(201)
      return (await response.json()) as { readonly id: string }
    },

    /** A started flow over HTTP: its id, and the state that the provider would send back. */
    async startFlow(as: string, query: Readonly<Record<string, string>> = { return_url: returnUrl }) {
      const response = await call("GET", `/v1/oauth/x/start?${new URLSearchParams(query)}`, { as })
      expect(response.status).toBe(200)
      const started = (await response.json()) as { readonly authorize_url: string; readonly flow_id: string }
      return { id: started.flow_id, state: new URL(started.authorize_url).searchParams.get("state") ?? "" }
    },

    /** A whole connect over HTTP; resolves to the accounts' ids. */
    async connect(as: string, query?: Readonly<Record<string, string>>): Promise<readonly string[]> {
      const { id, state } = await this.startFlow(as, query)
      await call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
      const flow = await call("GET", `/v1/oauth/flows/${id}`, { as })
      return ((await flow.json()) as { readonly account_ids: readonly string[] }).account_ids
    },
  }
}

export type HttpWorld = ReturnType<typeof httpWorld>

/** What a tenant sends to store an app; the entry covers {@link returnUrl}. */
export const newApp = {
  provider: "x",
  name: "Our X app",
  client_id: "fake-client-id",
  client_secret: "fake-client-secret",
  allowed_return_urls: ["https://app.acme.example/connect"],
} as const

export function requestOf(method: string, path: string, { as, body, headers }: Call = {}): Request {
  const all = new Headers()
  if (as !== undefined) all.set("authorization", `Bearer ${as}`)
  if (typeof body === "object") all.set("content-type", "application/json")
  for (const [name, value] of Object.entries(headers ?? {})) all.set(name, value)
  const sent = typeof body === "object" ? JSON.stringify(body) : body
  return new Request(origin + path, { method, headers: all, ...(sent !== undefined && { body: sent }) })
}

export function user(tenant: string, environment: Environment = "live"): Principal {
  return { tenant, environment, scopes: keyScopes, actor: `user:${tenant}`, kind: "user" }
}

/** A dashboard token as the tenant's dashboard would sign it, valid for an hour; claims given as undefined are left out. */
export function dashboardToken(
  claims: Readonly<Record<string, unknown>> = {},
  options: { readonly secret?: string; readonly header?: Readonly<Record<string, unknown>> } = {},
): Promise<string> {
  const seconds = Math.floor(Date.now() / 1000)
  const all = { sub: "acme", iat: seconds, exp: seconds + 3600, ...claims }
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  return new SignJWT(given)
    .setProtectedHeader({ alg: "HS256", ...options.header })
    .sign(new TextEncoder().encode(options.secret ?? jwtSecret))
}

export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly request_id: string
  readonly errors?: readonly { readonly field: string; readonly detail: string }[]
}

/**
 * Holds an answer to RFC 9457 and to ours: nothing but the documented members, one sentence of `detail` that
 * has the given words, and the faulty fields in order.
 */
export async function expectProblem(
  response: Response,
  status: number,
  code: string,
  expected: { readonly words?: RegExp; readonly fields?: readonly string[] } = {},
): Promise<ProblemDocument> {
  const text = await response.text()
  expect(response.headers.get("content-type"), text).toBe("application/problem+json")
  const problem = JSON.parse(text) as ProblemDocument
  expect({ status: response.status, code: problem.code, detail: problem.detail }).toEqual({
    status,
    code,
    detail: expected.words ? expect.stringMatching(expected.words) : expect.any(String),
  })
  expect(problem).toEqual({
    type: `urn:mooring:problem:${code}`,
    title: expect.stringMatching(/^[A-Z]/),
    status,
    code,
    detail: expect.stringMatching(/\S.{10,}/),
    request_id: response.headers.get("x-request-id") ?? "no id",
    ...(problem.errors && { errors: expect.any(Array) }),
  })
  if (expected.fields) expect((problem.errors ?? []).map(({ field }) => field)).toEqual([...expected.fields])
  return problem
}
