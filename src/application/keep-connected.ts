import { type ConnectFlow, confirmLifetimeMs } from "../domain/connect-flow.ts"
import type { ProviderCall } from "../domain/oauth-error.ts"
import { missingScopes, providerTitle } from "../domain/provider.ts"
import type { UpstreamAccount } from "../ports/providers.ts"
import type { ConnectedAccount, Storage } from "../ports/storage.ts"
import { candidatesPlace, type Grant, writeHeld } from "./candidates.ts"
import { flowEvent } from "./flow-answer.ts"
import { type SealDeps, sealAccount } from "./seal-account.ts"

export interface KeepConnectedDeps extends SealDeps {
  readonly storage: Pick<Storage, "flows" | "tokens">
  readonly onFault: (fault: unknown, flowId: string) => void
}

/** What a flow has come to. */
export interface Connection {
  /** What is to become accounts, of all that the grant covers. */
  readonly accounts: readonly UpstreamAccount[]
  readonly grant: Grant
  readonly actor: string
  /** Given where they were made just now. */
  readonly calls?: readonly ProviderCall[]
}

/**
 * Keeps the accounts, or holds them for the tenant's word where the flow asks for proof. The flow as it then is;
 * undefined, with nothing stored, when it had ended otherwise.
 */
export async function finishConnect(
  deps: KeepConnectedDeps,
  flow: ConnectFlow,
  connection: Connection,
): Promise<ConnectFlow | undefined> {
  if (flow.proof) {
    const expiresAt = await holdConnected(deps, flow, connection)
    return expiresAt && { ...flow, status: "confirming", expiresAt }
  }
  const accountIds = await keepConnected(deps, flow, connection)
  return accountIds && { ...flow, status: "connected", accountIds }
}

/** The ids of the accounts that a flow connected; undefined, with nothing stored, when the flow had ended otherwise. */
export async function keepConnected(
  deps: KeepConnectedDeps,
  flow: ConnectFlow,
  connection: Connection,
): Promise<readonly string[] | undefined> {
  const sealed = await sealAll(deps, flow, connection)
  const accounts = await deps.storage.flows.connect(flow.id, sealed, deps.now(), connection.calls)
  if (!accounts) return undefined
  // The connect is done and stored; what it says of other accounts must not undo it.
  await noteLostGrants(deps, flow, connection).catch((fault: unknown) => deps.onFault(fault, flow.id))
  return accounts.map((account) => account.id)
}

/** Until when the tenant may confirm; undefined, with nothing stored, when the flow had ended otherwise. */
async function holdConnected(
  deps: KeepConnectedDeps,
  flow: ConnectFlow,
  connection: Connection,
): Promise<Date | undefined> {
  // Before the accounts get their time, so that none is forgotten while it may still be confirmed.
  const expiresAt = new Date(deps.now().getTime() + confirmLifetimeMs)
  const sealed = await sealAll(deps, flow, connection)
  const inert = sealed.map(({ account, credentials }) => ({
    account: { ...account, health: "unconfirmed", healthDetail: unconfirmedDetail(flow.id) } as const,
    credentials,
    plan: { keepAliveAt: null, personNeededAt: null },
  }))
  const { accounts, grant, calls } = connection
  const candidates = await deps.box.seal(writeHeld({ accounts, grant }), candidatesPlace(flow))
  const held = await deps.storage.flows.hold(flow.id, inert, candidates, expiresAt, calls)
  return held ? expiresAt : undefined
}

function unconfirmedDetail(flowId: string): string {
  return `Nobody has confirmed yet that the person who consented is yours; call POST /v1/oauth/flows/${flowId}/confirm from your backend with the connect_code that came back on the return_url, or the account is forgotten ten minutes after the consent.`
}

async function sealAll(
  deps: KeepConnectedDeps,
  flow: ConnectFlow,
  { accounts, actor }: Connection,
): Promise<readonly ConnectedAccount[]> {
  const sealed: ConnectedAccount[] = []
  for (const upstream of accounts) {
    sealed.push(
      await sealAccount(deps, upstream, {
        owner: flow,
        provider: flow.provider,
        connectionType: "oauth",
        oauthAppId: flow.oauthAppId,
        reference: flow.reference,
        missingScopes: missingScopes(flow.scopes, upstream.scopes),
        event: flowEvent(deps, flow, "account.connected", { reference: flow.reference }, actor),
      }),
    )
  }
  return sealed
}

/** Meta's rule: a person's newest consent replaces the ones before, so a Page left out of it is lost. */
async function noteLostGrants(
  deps: KeepConnectedDeps,
  flow: ConnectFlow,
  { grant, actor }: Connection,
): Promise<void> {
  const { personId, platformAccountIds } = grant
  if (flow.provider !== "facebook" || personId === null) return
  const detail = `The person's newest consent at ${providerTitle.facebook} left this Page out, so its token may no longer work; ask them to connect again and tick it.`
  const event = flowEvent(deps, flow, "account.updated", { detail }, actor)
  await deps.storage.tokens.noteLostGrants(
    {
      owner: flow,
      provider: flow.provider,
      oauthAppId: flow.oauthAppId,
      personId,
      kept: platformAccountIds,
    },
    detail,
    event,
    () => deps.newId("evt"),
  )
}
