import type { Principal } from "../domain/api-key.ts"
import { type ConnectFlow, flowStatus } from "../domain/connect-flow.ts"
import { ConnectError, invalidField, notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import type { Clock, Signer } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import { candidatesPlace, readHeld } from "./candidates.ts"
import { type KeepConnectedDeps, keepConnected } from "./keep-connected.ts"
import { fitsConnectCode } from "./proof.ts"

export interface ConfirmConnectDeps extends KeepConnectedDeps {
  readonly storage: Pick<Storage, "flows" | "tokens">
  readonly signer: Signer
  readonly now: Clock
}

/**
 * Makes the accounts of a flow that asked for proof real, for the code that came back with the person. Rejects
 * with `not_found`, `invalid_input` for another code, `already_confirmed`, or `not_confirmable` for a flow that
 * waits for no confirmation; then nothing has changed.
 */
export type ConfirmConnect = (principal: Principal, flowId: string, code: string) => Promise<void>

export function confirmConnect(deps: ConfirmConnectDeps): ConfirmConnect {
  const ownFlow = async (principal: Principal, flowId: string) => {
    const flow = isId("flow", flowId) ? await deps.storage.flows.find(principal, flowId) : undefined
    if (!flow) throw notFound("flow")
    return flow
  }

  return async (principal, flowId, code) => {
    const flow = await ownFlow(principal, flowId)
    if (!isAwaited(flow, deps.now())) throw refusal(flow, deps.now())
    if (!fitsConnectCode(deps.signer, flow, code)) {
      throw invalidField(
        "connect_code",
        "is not the code of this flow; send the connect_code from the return_url to the flow that the same person's session began",
      )
    }
    const laidAside = await deps.storage.flows.findCandidates(flow.id)
    const held = laidAside && readHeld(await deps.box.open(laidAside.candidates, candidatesPlace(flow)))
    const kept = held && (await keepConnected(deps, flow, { ...held, actor: principal.actor }))
    // Ended between the look and the change: by another confirmation, or by the clock.
    if (!kept) throw refusal(await ownFlow(principal, flowId), deps.now())
  }
}

function isAwaited(flow: ConnectFlow, now: Date): boolean {
  return flow.status === "confirming" && flowStatus(flow, now) === "pending"
}

/** Why a flow cannot be confirmed, by how it stands. */
function refusal(flow: ConnectFlow, now: Date): ConnectError {
  const path = `GET /v1/oauth/flows/${flow.id}`
  const not = (why: string) => new ConnectError("not_confirmable", why)
  if (!flow.proof)
    return not(`This flow was started without proof=required, so nothing awaits a confirmation; see ${path}.`)
  switch (flowStatus(flow, now)) {
    case "connected":
      return new ConnectError(
        "already_confirmed",
        `This flow is confirmed already; ${path} lists its accounts.`,
      )
    case "failed":
      return not(`This connect failed, so there is nothing to confirm; ${path} says why, then start again.`)
    case "expired":
      return not(
        `This flow has expired, so there is nothing to confirm any more; ${path} says why, then start again.`,
      )
    case "pending":
      return not(
        "The person has not come back yet, or is still choosing; confirm when your return_url is called with a connect_code.",
      )
  }
}
