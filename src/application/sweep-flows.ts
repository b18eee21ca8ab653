import {
  abandonedFailure,
  type ConnectFlow,
  confirmLifetimeMs,
  exchangeLimitMs,
} from "../domain/connect-flow.ts"
import type { Clock } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import { flowEvent } from "./flow-answer.ts"
import type { Ids } from "./ids.ts"

export interface SweepFlowsDeps {
  readonly flows: Storage["flows"]
  readonly newId: Ids
  readonly now: Clock
  /** Ended flows stay so many days for the tenant to look at; 30 unless given. */
  readonly retentionDays?: number
}

export interface Swept {
  readonly expired: number
  readonly lost: number
  readonly forgotten: number
  /** Accounts that nobody confirmed in time, forgotten. */
  readonly unconfirmed: number
}

/** So many flows are ended, and so many forgotten, by one sweep; one that did that many has more to do. */
export const sweepBatch = 500

/** Ended at once: enough to keep a store busy, and not so many that calls of tenants queue behind them. */
const atOnce = 128

const dayMs = 24 * 60 * 60_000

/**
 * Writes down how flows ended that nobody will end any more: `no_response` where the person never came back, or
 * nobody chose or confirmed; `server_error` where the process died in the exchange. Forgets what nobody confirmed.
 * Safe on any number of instances at once.
 */
export function sweepFlows(deps: SweepFlowsDeps): () => Promise<Swept> {
  const { flows, retentionDays = 30 } = deps
  return async () => {
    const now = deps.now()
    const before = (ms: number) => new Date(now.getTime() - ms)
    const swept = { expired: 0, lost: 0 }
    const abandoned = await flows.findAbandoned(now, before(exchangeLimitMs), sweepBatch)
    for (let from = 0; from < abandoned.length; from += atOnce) {
      const some = abandoned.slice(from, from + atOnce)
      for (const kind of await allDone(some.map((flow) => abandon(deps, flow)))) if (kind) swept[kind]++
    }
    const unconfirmed = await flows.forgetUnconfirmed(before(confirmLifetimeMs), sweepBatch)
    const forgotten = await flows.prune(before(retentionDays * dayMs), sweepBatch)
    return { ...swept, unconfirmed, forgotten }
  }
}

/** Undefined where another sweeper, or the person, was first. */
async function abandon(deps: SweepFlowsDeps, flow: ConnectFlow): Promise<"expired" | "lost" | undefined> {
  const failure = abandonedFailure(flow)
  const { reason, detail } = failure
  const event = flowEvent(deps, flow, "connect.failed", { reason, detail }, "system")
  const isOurs = await deps.flows.abandon(flow, failure, event, deps.now())
  if (!isOurs) return undefined
  return flow.status === "exchanging" ? "lost" : "expired"
}

/** Waits for all, so that nothing goes on behind a sweep that failed; then rejects with the first fault. */
async function allDone<Result>(work: readonly Promise<Result>[]): Promise<readonly Result[]> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
