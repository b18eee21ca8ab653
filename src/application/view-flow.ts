import type { Principal } from "../domain/api-key.ts"
import {
  abandonedFailure,
  type ConnectFlow,
  type FlowFailure,
  type FlowStatus,
  flowStatus,
  type ProofState,
  proofState,
} from "../domain/connect-flow.ts"
import { notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import type { OAuthErrorReason } from "../domain/oauth-error.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { Clock, Signer } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import { signedCursors } from "./cursors.ts"
import { type FlowStep, stepsOf } from "./flow-steps.ts"

export interface FlowView {
  readonly flow: ConnectFlow
  /** As of now, whether or not the sweep has written it down. */
  readonly status: FlowStatus
  readonly failure: FlowFailure | null
  readonly proof: ProofState | null
  readonly steps: readonly FlowStep[]
}

export interface FlowQuery {
  readonly status?: FlowStatus | undefined
  readonly reason?: OAuthErrorReason | undefined
  readonly oauthAppId?: string | undefined
  readonly provider?: ProviderName | undefined
  readonly reference?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface FlowListing {
  readonly items: readonly FlowView[]
  readonly nextCursor: string | null
}

/** What became of a tenant's flows. */
export interface ViewFlows {
  /** Rejects with `not_found`. */
  get(principal: Principal, id: string): Promise<FlowView>
  /** Newest first; pages stay stable while flows come. Rejects with `invalid_input` for a cursor that is not of this owner and filter. */
  list(principal: Principal, query: FlowQuery): Promise<FlowListing>
}

const defaultPageSize = 50

export function viewFlows(deps: {
  readonly flows: Storage["flows"]
  readonly signer: Signer
  readonly now: Clock
}): ViewFlows {
  return {
    async get(principal, id) {
      const flow = isId("flow", id) ? await deps.flows.find(principal, id) : undefined
      if (!flow) throw notFound("flow")
      return view(flow, deps.now())
    },

    async list(principal, { limit = defaultPageSize, cursor, ...query }) {
      const now = deps.now()
      const filter = {
        ...(query.status !== undefined && { status: query.status }),
        ...(query.reason !== undefined && { reason: query.reason }),
        ...(query.oauthAppId !== undefined && { oauthAppId: query.oauthAppId }),
        ...(query.provider !== undefined && { provider: query.provider }),
        ...(query.reference !== undefined && { reference: query.reference }),
      }
      const cursors = signedCursors(deps.signer, JSON.stringify(["flows", filter]))
      const after = cursor === undefined ? undefined : cursors.read(principal, cursor)
      const page = await deps.flows.list(
        principal,
        { ...filter, now },
        { limit, ...(after !== undefined && { after }) },
      )
      const last = page.items.at(-1)
      return {
        items: page.items.map((flow) => view(flow, now)),
        nextCursor: page.more && last ? cursors.write(principal, last.id) : null,
      }
    },
  }
}

function view(stored: ConnectFlow, now: Date): FlowView {
  const status = flowStatus(stored, now)
  const failure = stored.failure ?? unrecorded(stored, status)
  // As the sweep will leave it.
  const flow = { ...stored, failure }
  return { flow, status, failure, proof: proofState(flow), steps: stepsOf(flow, status) }
}

/** What the sweep will write about a flow that has ended by the clock alone. */
function unrecorded(flow: ConnectFlow, status: FlowStatus): FlowFailure | null {
  return status === "expired" || status === "failed" ? abandonedFailure(flow) : null
}
