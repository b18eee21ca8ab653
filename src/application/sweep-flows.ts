import { type ConnectFlow, exchangeLimitMs } from "../domain/connect-flow.ts"
import { remedy } from "../domain/oauth-error.ts"
import type { Clock } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import { flowEvent } from "./flow-answer.ts"
import type { Ids } from "./ids.ts"

export interface SweepFlowsDeps {
  readonly flows: Storage["flows"]
  readonly newId: Ids
  readonly now: Clock
}

export interface Swept {
  readonly expired: number
  readonly lost: number
  readonly forgotten: number
}

/** So many flows are ended, and so many forgotten, by one sweep; one that did that many has more to do. */
export const sweepBatch = 500

/** Ended flows stay this long for the tenant to look at. */
const flowRetentionMs = 30 * 24 * 60 * 60_000

/**
 * Writes down how flows ended that nobody will end any more: `no_response` where the person never came back,
 * `server_error` where the process died in the exchange. Safe on any number of instances at once.
 */
export function sweepFlows(deps: SweepFlowsDeps): () => Promise<Swept> {
  return async () => {
    const now = deps.now()
    const takenBefore = new Date(now.getTime() - exchangeLimitMs)
    const swept = { expired: 0, lost: 0 }
    for (const flow of await deps.flows.findAbandoned(now, takenBefore, sweepBatch)) {
      const kind = flow.status === "exchanging" ? "lost" : "expired"
      if (await abandon(deps, flow, kind)) swept[kind]++
    }
    const forgotten = await deps.flows.prune(new Date(now.getTime() - flowRetentionMs), sweepBatch)
    return { ...swept, forgotten }
  }
}

function abandon(deps: SweepFlowsDeps, flow: ConnectFlow, kind: "expired" | "lost"): Promise<boolean> {
  const reason = kind === "expired" ? "no_response" : "server_error"
  const failure = { reason, detail: remedy(reason, flow.provider), evidence: null } as const
  const event = flowEvent(deps, flow, "connect.failed", { reason, detail: failure.detail }, "system")
  return deps.flows.abandon(flow, failure, event, deps.now())
}
