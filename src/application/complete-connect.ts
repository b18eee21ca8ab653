import { type ConnectFlow, type FlowFailure, flowLifetimeMs, flowStatus } from "../domain/connect-flow.ts"
import type { OAuthApp } from "../domain/oauth-app.ts"
import { type OAuthErrorReason, type ProviderCall, remedy } from "../domain/oauth-error.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { Clock } from "../ports/crypto.ts"
import {
  type AppCredentials,
  type CallbackError,
  ProviderFailure,
  type UpstreamAccount,
} from "../ports/providers.ts"
import type { ConsumedFlow, Storage } from "../ports/storage.ts"
import { builtInCredentials, openCredentials } from "./app-credentials.ts"
import { candidatesPlace, grantOf, writeCandidates } from "./candidates.ts"
import {
  type CallbackAnswer,
  type FlowAnswerDeps,
  type FlowWithApp,
  flowAnswer,
  flowEvent,
  readSignedFlow,
} from "./flow-answer.ts"
import { finishConnect, type KeepConnectedDeps } from "./keep-connected.ts"
import { callbackMac, tookFlow } from "./proof.ts"
import { type ProvidersByEnvironment, providersOf, verifierPlace } from "./start-connect.ts"

export interface CompleteConnectDeps extends KeepConnectedDeps, FlowAnswerDeps {
  readonly storage: Pick<Storage, "flows" | "accounts" | "tokens">
  readonly providers: ProvidersByEnvironment
  readonly now: Clock
  readonly wait: (ms: number) => Promise<void>
}

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
    const states = query.getAll("state")
    const flowId = states.length === 1 ? readSignedFlow(deps, "state", provider, states[0] ?? "") : undefined
    if (flowId === undefined) return { kind: "refused", reason: "state_invalid" }
    const callback = readCallback(query)
    if (callback === undefined) return { kind: "refused", reason: "callback_invalid" }

    const carried = callback.code ?? callback.error.error
    const mac = callbackMac(deps.signer, flowId, carried)
    const consumed = await deps.storage.flows.consume(flowId, deps.now(), mac)
    // An authentic state whose flow is gone: retention forgot it, or it was never stored.
    if (!consumed || consumed.flow.provider !== provider) return { kind: "refused", reason: "state_invalid" }
    const ended = consumed.taken ? await finish(deps, consumed, callback) : await outcomeOf(deps, consumed)
    if (!ended) return { kind: "waiting", flow: consumed.flow }
    const isSame = consumed.taken || tookFlow(deps.signer, ended.flow, carried)
    return flowAnswer(deps, ended, { isSame })
  }
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
    error: {
      error,
      description,
      reason: query.get("error_reason"),
      code: query.get("error_code"),
      type: query.get("error_type"),
    },
    issuer,
  }
}

async function finish(
  deps: CompleteConnectDeps,
  consumed: ConsumedFlow,
  callback: Callback,
): Promise<FlowWithApp> {
  const { flow, app } = consumed
  const calls: ProviderCall[] = []
  try {
    const granted = await exchange(deps, consumed, callback, calls)
    const accounts = await wantedAccounts(deps, flow, granted)
    const ended =
      flow.select && flow.reconnectAccountId === null && accounts.length > 1
        ? await offerChoice(deps, flow, accounts, calls)
        : await finishConnect(deps, flow, { accounts, grant: grantOf(granted), actor: "browser", calls })
    // Without one somebody judged this process dead meanwhile, and that is what the tenant was told.
    return { flow: ended ?? (await storedFlow(deps, flow)), app }
  } catch (error) {
    if (!(error instanceof Refusal)) deps.onFault(error, flow.id)
    return { flow: await recordFailure(deps, flow, readFailure(error, flow.provider), calls), app }
  }
}

/** Lays the accounts aside, sealed, for as long as a person may take to choose among them. */
async function offerChoice(
  deps: CompleteConnectDeps,
  flow: ConnectFlow,
  accounts: readonly UpstreamAccount[],
  calls: readonly ProviderCall[],
): Promise<ConnectFlow | undefined> {
  const expiresAt = new Date(deps.now().getTime() + flowLifetimeMs)
  const candidates = await deps.box.seal(writeCandidates(accounts), candidatesPlace(flow))
  const offered = await deps.storage.flows.offer(flow.id, candidates, expiresAt, calls)
  return offered ? { ...flow, status: "choosing", expiresAt } : undefined
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
  calls: ProviderCall[],
): Promise<readonly UpstreamAccount[]> {
  const providers = await providersOf(deps.providers, flow.environment)
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
  return providers
    .connect({
      provider: flow.provider,
      credentials,
      options: flow.options,
      redirectUri: flow.redirectUri,
      scopes: flow.scopes,
      code: callback.code,
      codeVerifier,
      limitMs: exchangeTimeLimitMs,
      onCall: (call) => void calls.push(call),
    })
    .catch((error: unknown) => {
      if (!(error instanceof ProviderFailure)) throw error
      // A fault of our own in the adapter is told like the rest, but somebody has to hear of it.
      if (error.reason === "server_error") deps.onFault(error, flow.id)
      throw refuse(flow, error.reason, { evidence: error.evidence })
    })
}

async function appCredentials(
  deps: CompleteConnectDeps,
  flow: ConnectFlow,
  app: OAuthApp | null,
): Promise<AppCredentials> {
  if (flow.oauthAppId === null) return builtInCredentials(flow.provider, flow.tenant)
  if (!app) {
    throw refuse(flow, "invalid_client", {
      detail:
        "The OAuth app was deleted while the person was on the provider's page; start again with another app.",
    })
  }
  return openCredentials(deps.box, app)
}

/** All that were granted; on a reconnect only the account it was for, which must be among them. */
async function wantedAccounts(
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

/**
 * The flow as it now ends. Where the store cannot be written the person is still sent back, and the sweep
 * records the same `server_error` when the store is there again.
 */
async function recordFailure(
  deps: CompleteConnectDeps,
  flow: ConnectFlow,
  failure: FlowFailure,
  calls: readonly ProviderCall[],
): Promise<ConnectFlow> {
  const event = flowEvent(deps, flow, "connect.failed", { reason: failure.reason, detail: failure.detail })
  try {
    if (await deps.storage.flows.fail(flow.id, failure, event, deps.now(), calls))
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
async function outcomeOf(
  deps: CompleteConnectDeps,
  consumed: ConsumedFlow,
): Promise<FlowWithApp | undefined> {
  const until = deps.now().getTime() + outcomeWaitMs
  let { flow } = consumed
  const isAtWork = () => flow.status === "pending" || flow.status === "exchanging"
  while (isAtWork() && flowStatus(flow, deps.now()) === "pending") {
    if (deps.now().getTime() >= until) return undefined
    await deps.wait(outcomePollMs)
    flow = await storedFlow(deps, flow)
  }
  return { flow, app: consumed.app }
}
