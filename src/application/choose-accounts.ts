import type { Principal } from "../domain/api-key.ts"
import { type ConnectFlow, hasExpired } from "../domain/connect-flow.ts"
import { invalidField, notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { UpstreamAccount } from "../ports/providers.ts"
import type { OfferedFlow, Storage } from "../ports/storage.ts"
import { candidatesPlace, grantOf, readCandidates } from "./candidates.ts"
import {
  type CallbackAnswer,
  type FlowAnswerDeps,
  flowAnswer,
  flowEvent,
  readSignedFlow,
} from "./flow-answer.ts"
import { finishConnect, type KeepConnectedDeps } from "./keep-connected.ts"

/** What may be shown of an account that nobody has chosen yet. */
export type Choice = Pick<UpstreamAccount, "platformAccountId" | "handle" | "displayName" | "avatarUrl">

export interface ChooseAccountsDeps extends KeepConnectedDeps, FlowAnswerDeps {
  readonly storage: Pick<Storage, "flows" | "tokens">
}

export type ChoosingPage =
  | { readonly kind: "choices"; readonly flow: ConnectFlow; readonly choices: readonly Choice[] }
  | CallbackAnswer

/** Among several accounts granted at once somebody chooses; what is not chosen is never stored. */
export interface ChooseAccounts {
  /** What there is to choose on our own page; the outcome where the flow has ended. */
  show(provider: ProviderName, ticket: string): Promise<ChoosingPage>
  /** The person's choice on our own page; none at all declines. */
  submit(provider: ProviderName, ticket: string, chosen: readonly string[]): Promise<ChoosingPage>
  /** The choices of a tenant's flow; undefined where it waits for none. */
  choicesOf(principal: Principal, flowId: string): Promise<readonly Choice[] | undefined>
  /** The tenant's own choice. Where proof is asked for it is still the tenant's to confirm. Rejects with `not_found` or `invalid_input`. */
  choose(principal: Principal, flowId: string, chosen: readonly string[]): Promise<void>
}

const refused: CallbackAnswer = { kind: "refused", reason: "state_invalid" }

export function chooseAccounts(deps: ChooseAccountsDeps): ChooseAccounts {
  const candidatesOf = async (offered: OfferedFlow) =>
    readCandidates(await deps.box.open(offered.candidates, candidatesPlace(offered.flow)))

  const offeredBy = async (provider: ProviderName, ticket: string) => {
    const flowId = readSignedFlow(deps, "choice", provider, ticket)
    if (flowId === undefined) return undefined
    return { flowId, offered: await inTime(flowId) }
  }

  const inTime = async (flowId: string) => {
    const offered = await deps.storage.flows.findCandidates(flowId)
    const isOpen = offered?.flow.status === "choosing" && !hasExpired(offered.flow, deps.now())
    return isOpen ? offered : undefined
  }

  /**
   * Where a flow that waits for no choice any more went; a repeated click ends in the same place. Nobody but the
   * browser that the provider sent back was given the ticket.
   */
  const outcome = async (flowId: string): Promise<CallbackAnswer> => {
    const ended = await deps.storage.flows.consume(flowId, deps.now())
    return ended && !ended.taken ? flowAnswer(deps, ended, { isSame: true }) : refused
  }

  const ownOffer = async (principal: Principal, flowId: string) => {
    const flow = isId("flow", flowId) ? await deps.storage.flows.find(principal, flowId) : undefined
    if (!flow) throw notFound("flow")
    return flow.status === "choosing" ? inTime(flow.id) : undefined
  }

  return {
    async show(provider, ticket) {
      const found = await offeredBy(provider, ticket)
      if (!found) return refused
      if (!found.offered) return outcome(found.flowId)
      return { kind: "choices", flow: found.offered.flow, choices: await candidatesOf(found.offered) }
    },

    async submit(provider, ticket, chosen) {
      const found = await offeredBy(provider, ticket)
      if (!found) return refused
      if (!found.offered) return outcome(found.flowId)
      const { flow } = found.offered
      const granted = await candidatesOf(found.offered)
      const accounts = granted.filter((account) => chosen.includes(account.platformAccountId))
      if (accounts.length === 0) await decline(deps, flow)
      else await finishConnect(deps, flow, { accounts, grant: grantOf(granted), actor: "browser" })
      return outcome(flow.id)
    },

    async choicesOf(principal, flowId) {
      const offered = await ownOffer(principal, flowId)
      return offered && candidatesOf(offered)
    },

    async choose(principal, flowId, chosen) {
      const offered = await ownOffer(principal, flowId)
      if (!offered) throw invalid("the flow waits for no choice; GET it to see how it stands")
      const granted = await candidatesOf(offered)
      const accounts = granted.filter((account) => chosen.includes(account.platformAccountId))
      if (accounts.length === 0 || accounts.length < new Set(chosen).size) {
        throw invalid("must name one or more of the flow's choices, by their platform_account_id")
      }
      const { actor } = principal
      if (!(await finishConnect(deps, offered.flow, { accounts, grant: grantOf(granted), actor }))) {
        throw invalid("the flow has ended meanwhile; GET it to see how")
      }
    },
  }
}

async function decline(deps: ChooseAccountsDeps, flow: ConnectFlow): Promise<void> {
  const detail = "The person chose none of the accounts they had granted; offer the connect button again."
  const event = flowEvent(deps, flow, "connect.failed", { reason: "access_denied", detail })
  await deps.storage.flows.fail(
    flow.id,
    { reason: "access_denied", detail, evidence: null },
    event,
    deps.now(),
  )
}

const invalid = (detail: string) => invalidField("platform_account_ids", detail)
