import { appChecks } from "../../domain/app-check.ts"
import type { OAuthAppOptions } from "../../domain/oauth-app.ts"
import type { ProviderCall } from "../../domain/oauth-error.ts"
import type { ProviderName } from "../../domain/provider.ts"
import { refreshTimeLimitMs } from "../../domain/token-life.ts"
import type { Clock } from "../../ports/crypto.ts"
import { type AppCredentials, ProviderFailure, type Providers } from "../../ports/providers.ts"
import type { Transport } from "../../ports/transport.ts"
import { readCallbackError } from "./callback-error.ts"
import type { CallName } from "./classify.ts"
import { type Conversation, type ConversationSettings, openConversation } from "./conversation.ts"
import { facebook } from "./facebook.ts"
import { formedOnce } from "./formed-once.ts"
import { instagram } from "./instagram.ts"
import { linkedin } from "./linkedin.ts"
import type { Endpoints, ProviderAdapter } from "./provider-adapter.ts"
import { installScopedFetch } from "./scoped-fetch.ts"
import { tiktok } from "./tiktok.ts"
import { x } from "./x.ts"

const adapters: Readonly<Record<ProviderName, ProviderAdapter>> = { instagram, facebook, x, linkedin, tiktok }

const callLimits = { timeoutMs: 10_000, maxBytes: 64 * 1024 }
const defaultGraphVersion = "v25.0"
const defaultXHosts = "x.com"

export interface ArcticProvidersDeps {
  readonly transport: Transport
  readonly now: Clock
  /** In place of the built-in addresses. */
  readonly endpoints?: EndpointOverrides
  /** For apps that name none themselves. */
  readonly graphVersion?: string
  /** For X apps that name none themselves. */
  readonly xHosts?: "x.com" | "twitter.com"
  readonly limits?: CallLimits
}

/** For each call; 10 s and 64 KiB unless given, and 30 s for a refresh. */
export interface CallLimits {
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly refreshTimeoutMs?: number
}

export type EndpointOverrides = { readonly [provider in ProviderName]?: Partial<Endpoints> }

/** What every request to work for an account has, whatever it asks. */
interface WorkRequest {
  readonly provider: ProviderName
  readonly credentials: AppCredentials | null
  readonly options: OAuthAppOptions
  readonly limitMs: number
  readonly onCall?: (call: ProviderCall) => void
}

/** The five providers over a transport. Installs the scoped `fetch` that keeps Arctic's calls inside it. */
export function arcticProviders(deps: ArcticProvidersDeps): Providers {
  installScopedFetch()
  const defaults = {
    graph_version: deps.graphVersion ?? defaultGraphVersion,
    hosts: deps.xHosts ?? defaultXHosts,
  }
  const { timeoutMs, maxBytes, refreshTimeoutMs }: CallLimits = deps.limits ?? callLimits
  const settings: ConversationSettings = {
    transport: deps.transport,
    now: deps.now,
    limits: { timeoutMs, maxBytes },
  }
  const patient: ConversationSettings = {
    ...settings,
    limits: { timeoutMs: refreshTimeoutMs ?? refreshTimeLimitMs, maxBytes },
  }

  function endpointsFor(provider: ProviderName, options: OAuthAppOptions): Endpoints {
    return { ...adapters[provider].endpoints({ ...defaults, ...options }), ...deps.endpoints?.[provider] }
  }

  /** Holds a conversation in which every failure is a `ProviderFailure` and none tells a secret. */
  async function converse<Result>(
    call: CallName,
    request: WorkRequest,
    tokens: readonly (string | null)[],
    work: (adapter: ProviderAdapter, conversation: Conversation, endpoints: Endpoints) => Promise<Result>,
  ): Promise<Result> {
    const { provider, credentials, options, limitMs, onCall = () => {} } = request
    const secrets = [credentials?.clientSecret ?? null, ...tokens].filter((secret) => secret !== null)
    const adapter = adapters[provider]
    const occasion = { call, secrets, limitMs, onCall }
    const conversation = openConversation(call === "refresh" ? patient : settings, occasion, adapter.refusals)
    try {
      return await work(adapter, conversation, endpointsFor(provider, options))
    } catch (error) {
      throw error instanceof ProviderFailure ? error : conversation.fault(error)
    }
  }

  return {
    usesPkce: (provider, options) => adapters[provider].challenge(options) !== null,
    issuer: (provider) => adapters[provider].issuer,
    readCallbackError: (_provider, callback) => readCallbackError(callback),

    authorizeUrl: formedOnce(
      (request) =>
        adapters[request.provider].authorizeUrl(request, endpointsFor(request.provider, request.options)),
      ({ provider, options }) => adapters[provider].challenge(options),
    ),

    connect: (request) =>
      converse("token", request, [request.code, request.codeVerifier], (adapter, ...held) =>
        adapter.connect(request, ...held),
      ),

    refresh: (request) =>
      converse("refresh", request, [request.accessToken, request.refreshToken], (adapter, ...held) =>
        adapter.refresh(request, ...held),
      ),

    revoke: (request) =>
      converse(
        "revoke",
        request,
        [request.accessToken, request.refreshToken, request.personToken],
        (adapter, ...held) => adapter.revoke(request, ...held),
      ),

    identify: (request) =>
      converse("identify", request, [request.accessToken], (adapter, ...held) =>
        adapter.identify(request, ...held),
      ),

    async check(request) {
      const findings = await converse("token", request, [], (adapter, ...held) =>
        adapter.check(request, ...held),
      )
      return findings.toSorted((a, b) => appChecks.indexOf(a.check) - appChecks.indexOf(b.check))
    },
  }
}
