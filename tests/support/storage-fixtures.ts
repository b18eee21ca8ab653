import type { Account, RenewalPlan, SealedCredentials } from "../../src/domain/account.ts"
import type { ApiKey } from "../../src/domain/api-key.ts"
import { type ConnectFlow, flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import { newDelivery } from "../../src/domain/delivery.ts"
import { type DomainEvent, newEvent } from "../../src/domain/event.ts"
import { type IdPrefix, idRandomBytes, newId } from "../../src/domain/id.ts"
import type { OAuthApp } from "../../src/domain/oauth-app.ts"
import type { ProviderCall } from "../../src/domain/oauth-error.ts"
import type { Owner } from "../../src/domain/owner.ts"
import type { ReturnUrl } from "../../src/domain/return-url-policy.ts"
import type { Sealed } from "../../src/domain/sealed.ts"
import type { Webhook } from "../../src/domain/webhook.ts"
import type {
  ClaimedDelivery,
  ConnectedAccount,
  HeldAccount,
  Lease,
  RefreshClaim,
  RenewedTokens,
  SettledRefresh,
  Storage,
} from "../../src/ports/storage.ts"

/** The moment at which the fixtures happen. It has milliseconds that a store could lose. */
export const noon = new Date("2026-05-04T12:00:00.123Z")

export function after(ms: number, moment = noon): Date {
  return new Date(moment.getTime() + ms)
}

export const acme: Owner = { tenant: "acme", environment: "live" }

/** Everybody who must see nothing of what is acme's: another tenant, another environment, both. */
export const strangers: readonly Owner[] = [
  { tenant: "globex", environment: "live" },
  { tenant: "acme", environment: "test" },
  { tenant: "globex", environment: "test" },
]

/** A fresh id. Made at one moment, ids are in no particular order. */
export function anId(prefix: IdPrefix, at = noon): string {
  return newId(prefix, at, crypto.getRandomValues(new Uint8Array(idRandomBytes)))
}

/** Made-up text in the place of a sealed one. */
export function sealed(text: string): Sealed {
  return `sealed:${text}` as Sealed
}

export function anEvent(change: Partial<DomainEvent> = {}): DomainEvent {
  const { tenant, environment } = acme
  const event = newEvent({
    id: anId("evt"),
    type: "account.updated",
    at: noon,
    actor: "key:made-up",
    owner: { tenant, environment },
  })
  return { ...event, ...change }
}

export function anApp(change: Partial<OAuthApp> = {}): OAuthApp {
  return {
    ...acme,
    id: anId("oa"),
    provider: "x",
    name: "Acme on X",
    clientId: "made-up-client-id",
    clientSecret: sealed("client secret"),
    scopes: ["tweet.read", "users.read"],
    allowedReturnUrls: ["https://acme.example/connected"],
    isDefault: false,
    options: { hosts: "twitter.com", client_id_in_body: true },
    createdAt: noon,
    updatedAt: after(1),
    ...change,
  }
}

export function aFlow(change: Partial<ConnectFlow> = {}): ConnectFlow {
  return {
    ...acme,
    id: anId("flow"),
    provider: "x",
    oauthAppId: null,
    redirectUri: "https://mooring.example/v1/oauth/x/callback",
    scopes: ["tweet.read", "users.read"],
    options: { hosts: "x.com", client_id_in_body: false },
    returnUrl: "https://acme.example/connected?step=2" as ReturnUrl,
    reference: "user-7",
    reconnectAccountId: anId("acc"),
    codeVerifier: sealed("code verifier"),
    select: false,
    proof: false,
    startedBy: "key:made-up",
    status: "pending",
    failure: null,
    accountIds: [],
    calls: [],
    callbackMac: null,
    createdAt: noon,
    expiresAt: after(flowLifetimeMs),
    takenAt: null,
    completedAt: null,
    ...change,
  }
}

/** What a flow may have asked of its provider: answers of every kind, and none. */
export const someCalls: readonly ProviderCall[] = [
  { call: "token", at: after(1001), status: 200, fault: null, durationMs: 181 },
  { call: "profile", at: after(1203), status: 503, fault: null, durationMs: 0 },
  { call: "accounts", at: after(1399), status: null, fault: "timeout", durationMs: 10_000 },
]

export function anAccount(change: Partial<Account> = {}): Account {
  return {
    ...acme,
    id: anId("acc"),
    provider: "x",
    platformAccountId: crypto.randomUUID(),
    handle: "roadrunner",
    displayName: "Road Runner",
    avatarUrl: "https://pictures.example/1.png",
    health: "active",
    healthDetail: null,
    connectionType: "oauth",
    oauthAppId: null,
    scopes: ["tweet.read"],
    missingScopes: ["users.read"],
    reference: "user-7",
    metadata: { category: "Bird" },
    tokenExpiresAt: after(7_200_000),
    connectedAt: noon,
    updatedAt: noon,
    ...change,
  }
}

export function someCredentials(change: Partial<SealedCredentials> = {}): SealedCredentials {
  return {
    accessToken: sealed("access token"),
    refreshToken: sealed("refresh token"),
    personToken: null,
    tokenType: "bearer",
    obtainedAt: after(3),
    refreshTokenExpiresAt: after(86_400_000),
    personTokenExpiresAt: null,
    ...change,
  }
}

export function aPlan(change: Partial<RenewalPlan> = {}): RenewalPlan {
  return { keepAliveAt: after(30 * 86_400_000), personNeededAt: after(60 * 86_400_000), ...change }
}

export function aConnection(
  account: Partial<Account> = {},
  credentials: Partial<SealedCredentials> = {},
  plan: Partial<RenewalPlan> = {},
): ConnectedAccount {
  const whole = anAccount(account)
  const { tenant, environment, provider } = whole
  const event = anEvent({ tenant, environment, provider, type: "account.connected" })
  return { account: whole, credentials: someCredentials(credentials), plan: aPlan(plan), event }
}

/** An account as a flow that asks for proof keeps it until then. */
export function unconfirmed(
  change: Partial<Account> = {},
  credentials: Partial<SealedCredentials> = {},
): Omit<ConnectedAccount, "event"> {
  const inert = { healthDetail: "nobody confirmed it yet", ...change, health: "unconfirmed" } as const
  const { event: _, ...account } = aConnection(inert, credentials, {
    keepAliveAt: null,
    personNeededAt: null,
  })
  return account
}

export function aKey(change: Partial<ApiKey> = {}): ApiKey {
  return {
    ...acme,
    id: anId("key"),
    name: "ci",
    scopes: ["apps", "connect"],
    digest: "made-up-digest-of-a-key",
    createdAt: noon,
    expiresAt: after(86_400_000),
    lastUsedAt: null,
    revokedAt: null,
    ...change,
  }
}

/** One that wants every event. */
export function aWebhook(change: Partial<Webhook> = {}): Webhook {
  return {
    ...acme,
    id: anId("wh"),
    url: "https://acme.example/hooks",
    events: ["*"],
    description: null,
    enabled: true,
    disabledReason: null,
    secret: sealed("webhook secret"),
    previousSecret: null,
    previousSecretUntil: null,
    failingSince: null,
    holdUntil: null,
    failures: 0,
    createdAt: noon,
    updatedAt: noon,
    ...change,
  }
}

const allButWebhooks = ["account.*", "connect.*", "oauth_app.*", "api_key.*"]

/** Adds a webhook, with an event that is older than all others; it asks for everything but what happens to webhooks. */
export async function addWebhook(storage: Storage, change: Partial<Webhook> = {}): Promise<Webhook> {
  const webhook = aWebhook({ events: allButWebhooks, ...change })
  const { tenant, environment } = webhook
  const event = anEvent({
    tenant,
    environment,
    type: "webhook.created",
    webhookId: webhook.id,
    at: new Date(0),
  })
  if (!(await storage.webhooks.add(webhook, 1000, event))) throw new Error("a webhook was not added")
  return webhook
}

/** An attempt as its claim gave it, of a delivery that nobody keeps. */
export function aClaimedDelivery(change: Partial<Webhook> = {}): ClaimedDelivery {
  const [webhook, event] = [aWebhook(change), anEvent()]
  const begun = { attempts: 1, firstAttemptAt: noon }
  return { delivery: { ...newDelivery(webhook, event, noon), ...begun }, webhook, event }
}

type ClaimOfDeliveries = Parameters<Storage["deliveries"]["claimDue"]>[0]

export function aClaimOfDeliveries(change: Partial<ClaimOfDeliveries> = {}): ClaimOfDeliveries {
  return { now: noon, until: after(15_000), limit: 100, perWebhook: 100, ...change }
}

/** Makes the deliveries of all that has happened. */
export async function fanOutAll(storage: Storage, now = noon): Promise<void> {
  while ((await storage.deliveries.fanOut(now, 100)) > 0) {}
}

/** Has events stored one after another. */
export async function happen(
  storage: Storage,
  ...changes: readonly Partial<DomainEvent>[]
): Promise<readonly DomainEvent[]> {
  const events = changes.map(anEvent)
  for (const event of events) await storage.keys.add(aKey(), event)
  return events
}

/** Adds a flow and takes it, as a callback does. */
export async function takenFlow(storage: Storage, change: Partial<ConnectFlow> = {}): Promise<ConnectFlow> {
  const flow = aFlow(change)
  await storage.flows.add(flow)
  const consumed = await storage.flows.consume(flow.id, after(1000))
  if (!consumed?.taken) throw new Error("a new flow was not taken")
  return consumed.flow
}

/** Connects accounts through a flow of their own. */
export async function connect(
  storage: Storage,
  ...connections: readonly ConnectedAccount[]
): Promise<readonly Account[]> {
  const flow = await takenFlow(storage)
  const accounts = await storage.flows.connect(flow.id, connections, after(2000))
  if (!accounts) throw new Error("a taken flow was not connected")
  return accounts
}

/** Connects one account. */
export async function keep(
  storage: Storage,
  ...connection: Parameters<typeof aConnection>
): Promise<Account> {
  const [account] = await connect(storage, aConnection(...connection))
  if (!account) throw new Error("connected nothing")
  return account
}

/** An account that must be there, with all that refreshing it takes. */
export async function heldOf(
  storage: Storage,
  account: Owner & { readonly id: string },
): Promise<HeldAccount> {
  const held = await storage.tokens.read(account, account.id)
  if (!held) throw new Error("the account is not there")
  return held
}

export function aLease(change: Partial<Lease> = {}): Lease {
  return { now: noon, until: after(15_000), risky: false, ...change }
}

/** The claim that its holder got with it; of an account that was merely read, the one that somebody may ask for. */
export function claimOf({ account, refresh }: HeldAccount): RefreshClaim {
  return { accountId: account.id, fence: refresh.fence }
}

/** Claims an account that must be free. */
export async function claimed(
  storage: Storage,
  account: Account,
  change: Partial<Lease> = {},
): Promise<HeldAccount> {
  const held = await storage.tokens.claim(claimOf(await heldOf(storage, account)), aLease(change))
  if (!held) throw new Error("a free account was not claimed")
  return held
}

export function renewedTokens(change: Partial<RenewedTokens> = {}): RenewedTokens {
  return {
    credentials: {
      accessToken: sealed("renewed access"),
      refreshToken: sealed("renewed refresh"),
      personToken: sealed("renewed person"),
      tokenType: "mac",
      obtainedAt: after(5001),
      refreshTokenExpiresAt: after(90_000_000),
      personTokenExpiresAt: after(91_000_000),
    },
    tokenExpiresAt: after(7_000_000),
    scopes: ["tweet.read", "offline.access"],
    missingScopes: [],
    health: "active",
    healthDetail: null,
    plan: aPlan({ keepAliveAt: after(80_000_000), personNeededAt: after(81_000_000) }),
    at: after(5002),
    ...change,
  }
}

export function settledRefresh(change: Partial<SettledRefresh> = {}): SettledRefresh {
  return {
    health: "active",
    healthDetail: "The last refresh failed.",
    reason: "provider_unavailable",
    failures: 3,
    retryAt: after(60_001),
    unknown: false,
    at: after(5003),
    ...change,
  }
}

export async function eventsOf(storage: Storage, owner = acme): Promise<readonly DomainEvent[]> {
  return (await storage.events.list(owner, {}, { limit: 1000 })).items
}
