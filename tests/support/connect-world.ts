import { randomBytes } from "node:crypto"
import { keyMint } from "../../src/adapters/crypto/key-mint.ts"
import type { Keyring } from "../../src/adapters/crypto/keyring.ts"
import { randomPool } from "../../src/adapters/crypto/random-pool.ts"
import { aesSecretBox } from "../../src/adapters/crypto/secret-box.ts"
import { hmacSigner } from "../../src/adapters/crypto/signer.ts"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { checkApp } from "../../src/application/check-app.ts"
import { chooseAccounts } from "../../src/application/choose-accounts.ts"
import { completeConnect } from "../../src/application/complete-connect.ts"
import { confirmConnect } from "../../src/application/confirm-connect.ts"
import { disconnectAccount } from "../../src/application/disconnect-account.ts"
import { ids } from "../../src/application/ids.ts"
import { keepAlive } from "../../src/application/keep-alive.ts"
import { manageOAuthApps, type NewOAuthApp } from "../../src/application/oauth-apps.ts"
import { readTokens } from "../../src/application/read-token.ts"
import { refresher } from "../../src/application/refresh-tokens.ts"
import { registerAccount } from "../../src/application/register-account.ts"
import { startConnect } from "../../src/application/start-connect.ts"
import { sweepFlows } from "../../src/application/sweep-flows.ts"
import { viewFlows } from "../../src/application/view-flow.ts"
import { keyScopes, type Principal } from "../../src/domain/api-key.ts"
import type { AppFinding } from "../../src/domain/app-check.ts"
import type { OAuthErrorReason } from "../../src/domain/oauth-error.ts"
import type { ProviderName } from "../../src/domain/provider.ts"
import type { ReturnUrl } from "../../src/domain/return-url-policy.ts"
import {
  type CheckRequest,
  type ExchangeRequest,
  type IdentifyRequest,
  ProviderFailure,
  type Providers,
  type RefreshedTokens,
  type RefreshRequest,
  type RevokeRequest,
  type UpstreamAccount,
  type UpstreamIdentity,
} from "../../src/ports/providers.ts"
import type { Storage } from "../../src/ports/storage.ts"

export const keyring: Keyring = [{ id: "t1", bytes: new Uint8Array(32).fill(7) }]

export const acme: Principal = {
  tenant: "acme",
  environment: "live",
  scopes: keyScopes,
  actor: "user:ann",
  kind: "user",
}

export function upstreamAccount(change: Partial<UpstreamAccount> = {}): UpstreamAccount {
  return {
    platformAccountId: "2244994945",
    handle: "anndev",
    displayName: "Ann Dev",
    avatarUrl: "https://pbs.example/ann.png",
    scopes: ["tweet.read", "tweet.write", "users.read", "media.write", "offline.access"],
    metadata: {},
    tokens: {
      accessToken: "fake-access-token-of-ann",
      tokenType: "bearer",
      expiresAt: null,
      refreshToken: "fake-refresh-token-of-ann",
      refreshTokenExpiresAt: null,
      personToken: null,
      personTokenExpiresAt: null,
    },
    ...change,
  }
}

export function refusal(reason: OAuthErrorReason): ProviderFailure {
  return new ProviderFailure({
    reason,
    evidence: { call: "token", status: 400, code: "seeded", message: "a seeded refusal", traceId: null },
  })
}

export function refreshedTokens(change: Partial<RefreshedTokens> = {}): RefreshedTokens {
  return {
    accessToken: "fake-renewed-access-token",
    tokenType: "bearer",
    expiresAt: null,
    refreshToken: "fake-renewed-refresh-token",
    refreshTokenExpiresAt: null,
    scopes: null,
    ...change,
  }
}

/** The application over memory storage, with a provider that each test scripts and a clock that it sets. */
export function connectWorld(
  options: { readonly storage?: Storage; readonly dashboardUrl?: ReturnUrl } = {},
) {
  const clock = { at: new Date("2026-11-22T10:00:00.000Z") }
  const now = () => clock.at
  const random = (count: number) => new Uint8Array(randomBytes(count))
  const storage = options.storage ?? memoryStorage()
  const box = aesSecretBox(keyring, randomPool())
  const signer = hmacSigner(keyring)
  const newId = ids({ now, randomBytes: random })
  const waiting = { passesTime: true }
  const exchanges: ExchangeRequest[] = []
  const refreshes: RefreshRequest[] = []
  const revocations: RevokeRequest[] = []
  const faults: unknown[] = []
  const provider = {
    answer: async (_: ExchangeRequest): Promise<readonly UpstreamAccount[]> => [upstreamAccount()],
    issuer: undefined as string | undefined,
    refresh: async (_: RefreshRequest): Promise<RefreshedTokens> => refreshedTokens(),
    revoke: async (_: RevokeRequest): Promise<"revoked" | "unsupported"> => "revoked",
    identify: async (_: IdentifyRequest): Promise<UpstreamIdentity | undefined> => undefined,
    check: async (_: CheckRequest): Promise<readonly AppFinding[]> => [],
  }
  const live: Providers = {
    usesPkce: (name) => name === "x",
    issuer: () => provider.issuer,
    authorizeUrl: (request) => {
      const url = new URL(`https://provider.example/${request.provider}/authorize`)
      url.searchParams.set("state", request.state)
      url.searchParams.set("client_id", request.clientId)
      if (request.reconnect) url.searchParams.set("again", "true")
      return url.href
    },
    readCallbackError: (_, callback) => ({
      reason: callback.error === "access_denied" ? "access_denied" : "provider_error",
      evidence: {
        call: "authorize",
        status: null,
        code: callback.error.slice(0, 64),
        message: null,
        traceId: null,
      },
    }),
    connect: (request) => {
      exchanges.push(request)
      return provider.answer(request)
    },
    refresh: (request) => {
      refreshes.push(request)
      return provider.refresh(request)
    },
    revoke: (request) => {
      revocations.push(request)
      return provider.revoke(request)
    },
    identify: (request) => provider.identify(request),
    check: (request) => provider.check(request),
  }
  const redirectUri = (name: ProviderName) => `https://connect.example.com/v1/oauth/${name}/callback`
  const providers = { live: async () => live, test: async () => live }
  const apps = manageOAuthApps({ apps: storage.apps, box, newId, now })
  const start = startConnect({
    storage,
    box,
    signer,
    providers,
    redirectUri,
    newId,
    now,
    randomBytes: random,
  })
  const pass = async (ms: number): Promise<void> => {
    if (waiting.passesTime) clock.at = new Date(clock.at.getTime() + ms)
    await Bun.sleep(0)
  }
  const connecting = {
    storage,
    box,
    signer,
    providers,
    dashboardUrl: options.dashboardUrl ?? null,
    newId,
    now,
    wait: pass,
    onFault: (fault: unknown) => void faults.push(fault),
  }
  const refreshDeps = {
    tokens: storage.tokens,
    box,
    providers,
    newId,
    now,
    random: () => 0.5,
    wait: pass,
    onFault: (fault: unknown) => void faults.push(fault),
  }
  const refreshing = { ...refreshDeps, refresher: refresher(refreshDeps) }
  const flows = viewFlows({ flows: storage.flows, signer, now })
  return {
    clock,
    now,
    refreshDeps,
    refresher: refreshing.refresher,
    tokens: readTokens(refreshing),
    keepAlive: keepAlive(refreshing),
    disconnect: disconnectAccount(refreshing),
    register: registerAccount({ storage, box, providers, newId, now }),
    storage,
    box,
    signer,
    newId,
    mint: keyMint(random),
    provider,
    waiting,
    exchanges,
    refreshes,
    revocations,
    faults,
    apps,
    start,
    complete: completeConnect(connecting),
    choose: chooseAccounts(connecting),
    confirm: confirmConnect(connecting),
    checkApp: checkApp({ apps: storage.apps, box, providers, redirectUri, now }),
    flows,
    viewFlow: flows.get,
    sweep: sweepFlows({ flows: storage.flows, newId, now }),

    pass(ms: number) {
      clock.at = new Date(clock.at.getTime() + ms)
    },

    addApp(change: Partial<NewOAuthApp> = {}, principal: Principal = acme) {
      return apps.create(principal, {
        provider: "x",
        name: "Our X app",
        clientId: "fake-client-id",
        clientSecret: "fake-client-secret",
        allowedReturnUrls: ["https://app.acme.example/connect"],
        ...change,
      })
    },

    /** Starts a flow and returns the state that the provider would send back. */
    async begin(
      request: {
        returnUrl?: string
        accountId?: string
        reference?: string
        provider?: ProviderName
        proof?: boolean
      } = {},
    ) {
      const started = await start(acme, {
        provider: request.provider ?? "x",
        returnUrl:
          "returnUrl" in request ? request.returnUrl : "https://app.acme.example/connect/done?tab=social",
        oauthAppId: undefined,
        accountId: request.accountId,
        reference: request.reference,
        proof: request.proof,
      })
      const url = new URL(started.authorizeUrl)
      return { flow: started.flow, url, state: url.searchParams.get("state") ?? "" }
    },
  }
}

export type ConnectWorld = ReturnType<typeof connectWorld>

export function query(parameters: Readonly<Record<string, string>>): URLSearchParams {
  return new URLSearchParams(parameters)
}

/** A storage of which every call is counted, by `port.method`. */
export function countedStorage(storage: Storage, onCall: (name: string) => void): Storage {
  const counted = <Port extends object>(port: Port, name: string): Port =>
    new Proxy(port, {
      get(target, property, receiver) {
        const member: unknown = Reflect.get(target, property, receiver)
        if (typeof member !== "function") return member
        return (...args: unknown[]) => {
          onCall(`${name}.${String(property)}`)
          return Reflect.apply(member, target, args)
        }
      },
    })
  return {
    apps: counted(storage.apps, "apps"),
    flows: counted(storage.flows, "flows"),
    accounts: counted(storage.accounts, "accounts"),
    tokens: counted(storage.tokens, "tokens"),
    keys: counted(storage.keys, "keys"),
    events: counted(storage.events, "events"),
    webhooks: counted(storage.webhooks, "webhooks"),
    deliveries: counted(storage.deliveries, "deliveries"),
    ping: () => storage.ping(),
    close: () => storage.close(),
  }
}
