import { afterAll, beforeEach } from "bun:test"
import { liveTransport } from "../../../src/adapters/arctic/live-transport.ts"
import { arcticProviders, type CallLimits } from "../../../src/adapters/arctic/providers.ts"
import type { OAuthAppOptions } from "../../../src/domain/oauth-app.ts"
import { defaultScopes, type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import {
  type AuthorizeRequest,
  type ExchangeRequest,
  type IdentifyRequest,
  ProviderFailure,
  type Providers,
  type RefreshRequest,
  type RevokeRequest,
  type UpstreamAccount,
} from "../../../src/ports/providers.ts"
import { type SimulatedCall, secretOf } from "../../support/simulated-answers.ts"
import { type SimulatedProviders, startSimulatedProviders } from "../../support/simulated-providers.ts"

export const now = new Date("2026-11-22T10:00:00.000Z")
export const redirectUri = "https://connect.acme.example/v1/oauth/callback"
export const verifier = "made-up-verifier-0123456789-abcdefghijklmnop"
export const state = "made-up-state.0123456789"

const calls: Readonly<Record<ProviderName, readonly SimulatedCall[]>> = {
  x: ["token", "profile"],
  linkedin: ["token", "profile"],
  tiktok: ["token", "profile"],
  facebook: ["token", "long_lived_token", "permissions", "profile", "accounts", "businesses"],
  instagram: ["token", "long_lived_token", "profile"],
}

/** Each call that a connect makes, with its provider. */
export const everyCall = providerNames.flatMap((provider) =>
  calls[provider].map((call) => [provider, call] as const),
)

export interface ConnectChoices {
  readonly clientId?: string
  readonly clientSecret?: string
  readonly options?: OAuthAppOptions
  readonly scopes?: readonly string[]
  readonly granted?: readonly string[]
  readonly limitMs?: number
  /** In place of the code that the consent gave. */
  readonly code?: string
}

export interface Wired {
  readonly simulated: SimulatedProviders
  readonly providers: Providers
  /** From the authorize URL over the person's consent to the accounts. */
  connect(provider: ProviderName, choices?: ConnectChoices): Promise<readonly UpstreamAccount[]>
  /** The one account of a connect. */
  connectOne(provider: ProviderName, choices?: ConnectChoices): Promise<UpstreamAccount>
  /** How a connect fails; throws where it does not. */
  failure(provider: ProviderName, choices?: ConnectChoices): Promise<ProviderFailure>
}

/** The adapter as it is shipped, over real sockets, against the simulated providers. */
export function wired(
  limits: CallLimits = { timeoutMs: 2_000, maxBytes: 64 * 1024, refreshTimeoutMs: 2_000 },
): Wired {
  const simulated = startSimulatedProviders()
  const transport = simulated.reach(liveTransport({ allowInsecureLoopback: true }))
  const providers = arcticProviders({ transport, now: () => now, limits })
  beforeEach(() => simulated.reset())
  afterAll(() => simulated.stop())

  const connect: Wired["connect"] = (provider, choices = {}) => {
    const authorize = authorizeRequest(provider, choices)
    const consent = choices.granted && { scopes: choices.granted }
    const code = simulated.consent(new URL(providers.authorizeUrl(authorize)), consent)
    return providers.connect({ ...exchangeRequest(provider, choices), code: choices.code ?? code })
  }
  return {
    simulated,
    providers,
    connect,
    async connectOne(provider, choices) {
      const [account, ...others] = await connect(provider, choices)
      if (!account || others.length > 0) throw new Error(`${others.length + 1} accounts, not one`)
      return account
    },
    failure: (provider, choices) => failureOf(connect(provider, choices)),
  }
}

export function authorizeRequest(
  provider: ProviderName,
  choices: ConnectChoices & { readonly reconnect?: boolean } = {},
): AuthorizeRequest {
  return {
    provider,
    clientId: choices.clientId ?? `${provider}-client`,
    redirectUri,
    scopes: choices.scopes ?? defaultScopes[provider],
    options: choices.options ?? {},
    state,
    codeVerifier: verifier,
    reconnect: choices.reconnect ?? false,
  }
}

export function exchangeRequest(provider: ProviderName, choices: ConnectChoices = {}): ExchangeRequest {
  const clientId = choices.clientId ?? `${provider}-client`
  return {
    provider,
    credentials: { clientId, clientSecret: choices.clientSecret ?? secretOf(clientId) },
    options: choices.options ?? {},
    redirectUri,
    scopes: choices.scopes ?? defaultScopes[provider],
    code: choices.code ?? "code-that-nobody-issued",
    codeVerifier: verifier,
    limitMs: choices.limitMs ?? 60_000,
  }
}

/** Every word of a failure that anybody could come to see. */
export function allTextOf(failure: ProviderFailure): string {
  return [failure.message, failure.stack, JSON.stringify(failure), Bun.inspect(failure)].join("\n")
}

/** How a piece of work fails; throws where it does not. */
export async function failureOf(work: Promise<unknown>): Promise<ProviderFailure> {
  const outcome = await work.catch((error: unknown) => error)
  if (outcome instanceof ProviderFailure) return outcome
  throw new Error(`not a ProviderFailure: ${Bun.inspect(outcome)}`)
}

/** Providers with a refresh call of their own. */
export const renewing = providerNames.filter((provider) => provider !== "facebook")
/** Providers that can end a grant from here. */
export const revoking = providerNames.filter((provider) => provider !== "instagram")

/** The tokens that the simulated providers give to `<provider>-client`. */
function heldBy(provider: ProviderName) {
  const clientId = `${provider}-client`
  const rotating = provider === "x" || provider === "tiktok" || provider === "linkedin"
  return {
    provider,
    credentials: { clientId, clientSecret: secretOf(clientId) },
    options: {},
    accessToken: `${provider}-${clientId}`,
    refreshToken: rotating ? `${provider}-refresh-${clientId}` : null,
    limitMs: 60_000,
  }
}

export function refreshRequest(provider: ProviderName, change: Partial<RefreshRequest> = {}): RefreshRequest {
  return { ...heldBy(provider), ...change }
}

export function revokeRequest(provider: ProviderName, change: Partial<RevokeRequest> = {}): RevokeRequest {
  const personToken = provider === "facebook" ? "facebook-facebook-client" : null
  return { ...heldBy(provider), personToken, ...change }
}

export function identifyRequest(
  provider: ProviderName,
  change: Partial<IdentifyRequest> = {},
): IdentifyRequest {
  const { refreshToken: _, ...held } = heldBy(provider)
  return { ...held, pageId: null, ...change }
}
