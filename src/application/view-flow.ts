import type { Principal } from "../domain/api-key.ts"
import { type ConnectFlow, type FlowFailure, type FlowStatus, flowStatus } from "../domain/connect-flow.ts"
import { notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import { type OAuthErrorReason, remedy } from "../domain/oauth-error.ts"
import type { Clock } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"

export interface FlowView {
  readonly flow: ConnectFlow
  /** As of now, whether or not the sweep has written it down. */
  readonly status: FlowStatus
  readonly failure: FlowFailure | null
}

export type ViewFlow = (principal: Principal, id: string) => Promise<FlowView>

export function viewFlow(deps: { readonly flows: Storage["flows"]; readonly now: Clock }): ViewFlow {
  return async (principal, id) => {
    const flow = isId("flow", id) ? await deps.flows.find(principal, id) : undefined
    if (!flow) throw notFound("flow")
    const status = flowStatus(flow, deps.now())
    return { flow, status, failure: flow.failure ?? unrecorded(flow, status) }
  }
}

/** What the sweep will write about a flow that has ended by the clock alone. */
function unrecorded(flow: ConnectFlow, status: FlowStatus): FlowFailure | null {
  if (status !== "expired" && status !== "failed") return null
  const reason: OAuthErrorReason = status === "expired" ? "no_response" : "server_error"
  return { reason, detail: remedy(reason, flow.provider), evidence: null }
}
