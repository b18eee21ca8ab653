import { type Account, healthAfterConnect } from "../domain/account.ts"
import {
  type ConnectFlow,
  type FlowFailure,
  flowStatus,
  hasExpired,
  maxStateCharacters,
  parseState,
  stateMessage,
} from "../domain/connect-flow.ts"
import { type DomainEvent, newEvent } from "../domain/event.ts"
import { type OAuthApp, returnUrlPolicy } from "../domain/oauth-app.ts"
import { type OAuthErrorReason, remedy } from "../domain/oauth-error.ts"
import { missingScopes, type ProviderName } from "../domain/provider.ts"
import { type ReturnUrl, ReturnUrlPolicy, withResult } from "../domain/return-url-policy.ts"
import type { Clock, SecretBox, Signer } from "../ports/crypto.ts"
import {
  type AppCredentials,
  type CallbackError,
  ProviderFailure,
  type UpstreamAccount,
} from "../ports/providers.ts"
import type { ConnectedAccount, ConsumedFlow, Storage } from "../ports/storage.ts"
import type { Ids } from "./ids.ts"
import { builtInApp, type ProvidersByEnvironment, providersOf, verifierPlace } from "./start-connect.ts"

export interface CompleteConnectDeps {
  readonly storage: Pick<Storage, "flows" | "accounts">
  readonly box: SecretBox
  readonly signer: Signer
  readonly providers: ProvidersByEnvironment
  /** Where people land when a flow has no return_url; null shows our own page. */
  readonly dashboardUrl: ReturnUrl | null
  readonly newId: Ids
  readonly now: Clock
  readonly wait: (ms: number) => Promise<void>
  /** Told of every fault behind a `server_error`. */
  readonly onFault: (fault: unknown, flowId: string) => void
}

/**
 * What the browser is to be shown. `refused` is the only answer without a trusted state, and never
 * redirects; with one, every end is a `redirect` to a checked address or our own `landing` page.
 */
export type CallbackAnswer =
  | { readonly kind: "refused"; readonly reason: "state_invalid" | "callback_invalid" }
  | { readonly kind: "redirect"; readonly location: string; readonly flow: ConnectFlow }
  | { readonly kind: "landing"; readonly flow: ConnectFlow }
  | { readonly kind: "waiting"; readonly flow: ConnectFlow }

export type CompleteConnect = (provider: ProviderName, query: URLSearchParams) => Promise<CallbackAnswer>

/** The provider's part of a callback; the rest of its 15 s is for the stores and the way back. */
const exchangeTimeLimitMs = 14_000
const outcomeWaitMs = 10_000
const outcomePollMs = 100

/**
 * Takes a flow, exchanges its code once, and stores the accounts. The order is the safety: shape and MAC
 * before any storage, the flow consumed before the code is exchanged, everything stored before the answer.
 */
export function completeConnect(deps: CompleteConnectDeps): CompleteConnect {
  return async (provider, query) => {
    const flowId = authenticState(deps, provider, query)
    if (flowId === undefined) return { kind: "refused", reason: "state_invalid" }
    const callback = readCallback(query)
    if (callback === undefined) return { kind: "refused", reason: "callback_invalid" }

    const consumed = await deps.storage.flows.consume(flowId, deps.now())
    // An authentic state whose flow is gone: retention forgot it, or it was never stored.
    if (!consumed || consumed.flow.provider !== provider) return { kind: "refused", reason: "state_invalid" }
    const ended = consumed.taken ? await finish(deps, consumed, callback) : await outcomeOf(deps, consumed)
    return ended ? answer(deps, ended) : { kind: "waiting", flow: consumed.flow }
  }
}

interface Ended {
  readonly flow: ConnectFlow
  readonly app: OAuthApp | null
}

type Callback =
  | { readonly code: string; readonly error: null; readonly issuer: string | null }
  | { readonly code: null; readonly error: CallbackError; readonly issuer: string | null }

const maxCodeCharacters = 4096

/** Undefined unless there is exactly one of `code` and `error`, neither empty (RFC 6749 section 4.1.2). */
function readCallback(query: URLSearchParams): Callback | undefined {
  const [codes, errors, issuers] = [query.getAll("code"), query.getAll("error"), query.getAll("iss")]
  const [code, error] = [codes[0], errors[0]]
  if (codes.length + errors.length !== 1 || issuers.length > 1) return undefined
  const issuer = issuers[0] ?? null
  if (code) return code.length <= maxCodeCharacters ? { code, error: null, issuer } : undefined
  if (!error) return undefined
  const description = query.get("error_description") ?? query.get("error_message")
  return {
    code: null,
    error: { error, description, reason: query.get("error_reason"), code: query.get("error_code") },
    issuer,
  }
}

/** The flow's id, when the query has exactly one state, ours, for this provider, and still in time. Touches no storage. */
function authenticState(
  deps: CompleteConnectDeps,
  provider: ProviderName,
  query: URLSearchParams,
): string | undefined {
  const states = query.getAll("state")
  const [raw] = states
  if (states.length !== 1 || !raw || raw.length > maxStateCharacters) return undefined
  const state = parseState(raw)
  if (!state) return undefined
  if (!deps.signer.verify("state", stateMessage(provider, state.flowId, state.expiresAt), state.mac))
    return undefined
  return hasExpired(state, deps.now()) ? undefined : state.flowId
}

async function finish(deps: CompleteConnectDeps, consumed: ConsumedFlow, callback: Callback): Promise<Ended> {
  const { flow, app } = consumed
  try {
    const connected = await exchange(deps, consumed, callback)
    const accounts = await deps.storage.flows.connect(flow.id, connected, deps.now())
    // Somebody judged this process dead meanwhile, and that is what the tenant was told.
    if (!accounts) return { flow: await storedFlow(deps, flow), app }
    return { flow: { ...flow, status: "connected", accountIds: accounts.map((account) => account.id) }, app }
  } catch (error) {
    if (!(error instanceof Refusal)) deps.onFault(error, flow.id)
    return { flow: await recordFailure(deps, flow, readFailure(error, flow.provider)), app }
  }
}

/** Ends the connect with a reason of the closed list; anything else thrown on the way is our own fault. */
class Refusal extends Error {
  readonly failure: FlowFailure

  constructor(failure: FlowFailure) {
    super(failure.reason)
    this.failure = failure
  }
}

function refuse(flow: ConnectFlow, reason: OAuthErrorReason, extra: Partial<FlowFailure> = {}): Refusal {
  return new Refusal({ reason, detail: remedy(reason, flow.provider), evidence: null, ...extra })
}

function readFailure(error: unknown, provider: ProviderName): FlowFailure {
  return error instanceof Refusal
    ? error.failure
    : { reason: "server_error", detail: remedy("server_error", provider), evidence: null }
}

async function exchange(
  deps: CompleteConnectDeps,
  { flow, app }: ConsumedFlow,
  callback: Callback,
): Promise<readonly ConnectedAccount[]> {
  const providers = providersOf(deps.providers, flow.environment)
  const issuer = providers.issuer(flow.provider)
  if (callback.issuer !== null && issuer !== undefined && callback.issuer !== issuer) {
    throw refuse(flow, "provider_error", {
      detail:
        "The callback names another issuer than this provider (iss, RFC 9207), so nothing was exchanged; start again.",
    })
  }
  if (callback.error !== null) {
    const { reason, evidence } = providers.readCallbackError(flow.provider, callback.error)
    throw refuse(flow, reason, { evidence })
  }
  const credentials = await appCredentials(deps, flow, app)
  const codeVerifier =
    flow.codeVerifier === null
      ? null
      : await deps.box.open(flow.codeVerifier, verifierPlace(flow.tenant, flow.id))
  const upstream = await providers
    .connect({
      provider: flow.provider,
      credentials,
      options: flow.options,
      redirectUri: flow.redirectUri,
      scopes: flow.scopes,
      code: callback.code,
      codeVerifier,
      deadline: AbortSignal.timeout(exchangeTimeLimitMs),
    })
    .catch((error: unknown) => {
      throw error instanceof ProviderFailure
        ? refuse(flow, error.reason, { evidence: error.evidence })
        : error
    })
  const wanted = await chosenAccounts(deps, flow, upstream)
  return Promise.all(wanted.map((account) => sealAccount(deps, flow, account)))
}

async function appCredentials(
  deps: CompleteConnectDeps,
  flow: ConnectFlow,
  app: OAuthApp | null,
): Promise<AppCredentials> {
  if (flow.oauthAppId === null) {
    return { clientId: builtInApp.clientId(flow.provider), clientSecret: builtInApp.clientSecret }
  }
  if (!app) {
    throw refuse(flow, "invalid_client", {
      detail:
        "The OAuth app was deleted while the person was on the provider's page; start again with another app.",
    })
  }
  const place = { tenant: app.tenant, table: "oauth_apps", row: app.id, column: "client_secret" } as const
  return { clientId: app.clientId, clientSecret: await deps.box.open(app.clientSecret, place) }
}

/** All that were granted; on a reconnect only the account it was for, which must be among them. */
async function chosenAccounts(
  deps: CompleteConnectDeps,
  flow: ConnectFlow,
  upstream: readonly UpstreamAccount[],
): Promise<readonly UpstreamAccount[]> {
  if (flow.reconnectAccountId === null) return upstream
  const target = await deps.storage.accounts.find(flow, flow.reconnectAccountId)
  const same = upstream.filter((account) => account.platformAccountId === target?.platformAccountId)
  if (same.length === 0) throw refuse(flow, "account_mismatch")
  return same
}

async function sealAccount(
  deps: CompleteConnectDeps,
  flow: ConnectFlow,
  upstream: UpstreamAccount,
): Promise<ConnectedAccount> {
  const { tokens } = upstream
  const now = deps.now()
  const row = accountRow(flow, upstream.platformAccountId)
  const seal = (column: string, secret: string) =>
    deps.box.seal(secret, { tenant: flow.tenant, table: "accounts", row, column })
  const account: Account = {
    id: deps.newId("acc"),
    tenant: flow.tenant,
    environment: flow.environment,
    provider: flow.provider,
    platformAccountId: upstream.platformAccountId,
    handle: upstream.handle,
    displayName: upstream.displayName,
    avatarUrl: upstream.avatarUrl,
    health: healthAfterConnect({ tokenExpiresAt: tokens.expiresAt, renewable: tokens.renewable }, now),
    healthDetail: null,
    connectionType: "oauth",
    oauthAppId: flow.oauthAppId,
    scopes: upstream.scopes,
    missingScopes: missingScopes(flow.scopes, upstream.scopes),
    reference: flow.reference,
    metadata: upstream.metadata,
    tokenExpiresAt: tokens.expiresAt,
    connectedAt: now,
    updatedAt: now,
  }
  return {
    account,
    credentials: {
      accessToken: await seal("access_token", tokens.accessToken),
      refreshToken: tokens.refreshToken === null ? null : await seal("refresh_token", tokens.refreshToken),
      personToken: tokens.personToken === null ? null : await seal("person_token", tokens.personToken),
      tokenType: tokens.tokenType,
      refreshTokenExpiresAt: tokens.refreshTokenExpiresAt,
      personTokenExpiresAt: tokens.personTokenExpiresAt,
    },
    event: flowEvent(deps, flow, "account.connected", { reference: flow.reference }),
  }
}

/** What identifies an account's row for ever, and so what its tokens are bound to. */
export function accountRow(
  account: Pick<Account, "environment" | "provider">,
  platformAccountId: string,
): string {
  return `${account.environment}/${account.provider}/${platformAccountId}`
}

export function flowEvent(
  deps: { readonly newId: Ids; readonly now: Clock },
  flow: ConnectFlow,
  type: "account.connected" | "connect.failed",
  subject: Partial<Pick<DomainEvent, "reference" | "reason" | "detail">>,
  actor = "browser",
): DomainEvent {
  return newEvent(
    { id: deps.newId("evt"), type, at: deps.now(), actor, owner: flow },
    {
      provider: flow.provider,
      flowId: flow.id,
      oauthAppId: flow.oauthAppId,
      reference: flow.reference,
      ...subject,
    },
  )
}

/**
 * The flow as it now ends. Where the store cannot be written the person is still sent back, and the sweep
 * records the same `server_error` when the store is there again.
 */
async function recordFailure(
  deps: CompleteConnectDeps,
  flow: ConnectFlow,
  failure: FlowFailure,
): Promise<ConnectFlow> {
  const event = flowEvent(deps, flow, "connect.failed", { reason: failure.reason, detail: failure.detail })
  try {
    if (await deps.storage.flows.fail(flow.id, failure, event, deps.now()))
      return { ...flow, status: "failed", failure }
    // No longer ours to end: a commit whose answer was lost, or a sweep. What is stored is what happened.
    return await storedFlow(deps, flow)
  } catch (error) {
    deps.onFault(error, flow.id)
    return { ...flow, status: "failed", failure: readFailure(error, flow.provider) }
  }
}

async function storedFlow(deps: CompleteConnectDeps, flow: ConnectFlow): Promise<ConnectFlow> {
  const stored = await deps.storage.flows.find(flow, flow.id)
  if (!stored) throw new Error("a flow that was taken is no longer stored")
  return stored
}

/** The recorded outcome of a flow that another callback took; waits for it, and is undefined if it does not come. */
async function outcomeOf(deps: CompleteConnectDeps, consumed: ConsumedFlow): Promise<Ended | undefined> {
  const until = deps.now().getTime() + outcomeWaitMs
  let { flow } = consumed
  while (flowStatus(flow, deps.now()) === "pending") {
    if (deps.now().getTime() >= until) return undefined
    await deps.wait(outcomePollMs)
    flow = await storedFlow(deps, flow)
  }
  return { flow, app: consumed.app }
}

function answer(deps: CompleteConnectDeps, { flow, app }: Ended): CallbackAnswer {
  const result =
    flow.status === "connected"
      ? { connected: flow.provider }
      : { oauth_error: flow.failure?.reason ?? (flow.status === "pending" ? "no_response" : "server_error") }
  const target = flow.returnUrl === null ? deps.dashboardUrl : stillAllowed(flow.returnUrl, flow, app)
  return target === null
    ? { kind: "landing", flow }
    : { kind: "redirect", location: withResult(target, result), flow }
}

/** The app's list as it is now: an address taken off it since the start is no longer a place to send people to. */
function stillAllowed(returnUrl: ReturnUrl, flow: ConnectFlow, app: OAuthApp | null): ReturnUrl | null {
  const policy = flow.oauthAppId === null ? ReturnUrlPolicy.loopback() : app && returnUrlPolicy(app)
  return policy?.stillCovers(returnUrl) ? returnUrl : null
}
