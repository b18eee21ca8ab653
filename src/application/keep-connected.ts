import type { ConnectFlow } from "../domain/connect-flow.ts"
import { missingScopes, providerTitle } from "../domain/provider.ts"
import type { UpstreamAccount } from "../ports/providers.ts"
import type { ConnectedAccount, Storage } from "../ports/storage.ts"
import { flowEvent } from "./flow-answer.ts"
import { type SealDeps, sealAccount } from "./seal-account.ts"

export interface KeepConnectedDeps extends SealDeps {
  readonly storage: Pick<Storage, "flows" | "tokens">
  readonly onFault: (fault: unknown, flowId: string) => void
}

/** The ids of the accounts that a flow connected; undefined, with nothing stored, when the flow had ended otherwise. */
export async function keepConnected(
  deps: KeepConnectedDeps,
  flow: ConnectFlow,
  wanted: readonly UpstreamAccount[],
  granted: readonly UpstreamAccount[],
  actor = "browser",
): Promise<readonly string[] | undefined> {
  const sealed: ConnectedAccount[] = []
  for (const upstream of wanted) {
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
  const accounts = await deps.storage.flows.connect(flow.id, sealed, deps.now())
  if (!accounts) return undefined
  // The connect is done and stored; what it says of other accounts must not undo it.
  await noteLostGrants(deps, flow, granted, actor).catch((fault: unknown) => deps.onFault(fault, flow.id))
  return accounts.map((account) => account.id)
}

/** Meta's rule: a person's newest consent replaces the ones before, so a Page left out of it is lost. */
async function noteLostGrants(
  deps: KeepConnectedDeps,
  flow: ConnectFlow,
  granted: readonly UpstreamAccount[],
  actor: string,
): Promise<void> {
  const personId = granted[0]?.metadata.person_id
  if (flow.provider !== "facebook" || personId === undefined) return
  const detail = `The person's newest consent at ${providerTitle.facebook} left this Page out, so its token may no longer work; ask them to connect again and tick it.`
  const event = flowEvent(deps, flow, "account.updated", { detail }, actor)
  await deps.storage.tokens.noteLostGrants(
    {
      owner: flow,
      provider: flow.provider,
      oauthAppId: flow.oauthAppId,
      personId,
      kept: granted.map((account) => account.platformAccountId),
    },
    detail,
    event,
    () => deps.newId("evt"),
  )
}
