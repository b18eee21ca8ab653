import { type DeliverWebhooks, fanOutBatch } from "../../application/deliver-webhooks.ts"
import type { KeepAlive } from "../../application/keep-alive.ts"
import type { pruneEvents } from "../../application/read-events.ts"
import { sweepBatch, type sweepFlows } from "../../application/sweep-flows.ts"
import { type ProviderName, providerNames } from "../../domain/provider.ts"
import { faultFacts, type Log } from "./log.ts"

export interface BackgroundUses {
  readonly sweep: ReturnType<typeof sweepFlows>
  readonly keepAlive: KeepAlive
  readonly delivering: DeliverWebhooks
  readonly prune: ReturnType<typeof pruneEvents>
}

export interface BackgroundWork {
  /** Begins nothing new, and resolves when what was begun is done. */
  stop(): Promise<void>
}

const sweepEveryMs = 10_000
const keepAliveEveryMs = 30_000
const tellTimeEveryMs = 10_000
const deliverEveryMs = 1000
const pruneEveryMs = 10 * 60_000
/** A moment for whoever waits for the first answer: to begin all of it at once took 5 ms. */
const firstAfterMs = 100

/** What goes on without being asked; each provider by itself, so that one that hangs holds up none of the others. */
export function backgroundWork(uses: BackgroundUses, log: Log): BackgroundWork {
  const { sweep, keepAlive, delivering, prune } = uses
  const onFault = (fault: unknown) => log.error(faultFacts(fault), "background work failed")
  const sweeping = async () => {
    const swept = await sweep()
    const done = swept.expired + swept.lost + swept.unconfirmed + swept.forgotten
    if (done > 0) log.info({ ...swept }, "swept")
    return done >= sweepBatch
  }
  const telling = async () => {
    const told = await keepAlive.tellTime()
    if (told > 0) log.info({ accounts: told }, "told of accounts whose time is up")
    return told > 0
  }
  const renewing = (provider: ProviderName) => async () => {
    const renewed = await keepAlive.renewDue(provider)
    if (renewed > 0) log.info({ provider, accounts: renewed }, "renewals tried")
    return renewed > 0
  }
  const sending = every(
    deliverEveryMs,
    async (isStopping) => {
      const attempts = await delivering.deliverDue(isStopping)
      if (attempts > 0) log.info({ attempts }, "webhooks sent")
      return false
    },
    onFault,
  )
  const fanningOut = async () => {
    const events = await delivering.fanOut()
    if (events > 0) sending.begin()
    // What comes meanwhile has its turn in a second: as long as people connect some always has.
    return events === fanOutBatch
  }
  const all = [
    every(sweepEveryMs, sweeping, onFault),
    every(tellTimeEveryMs, telling, onFault),
    sending,
    every(deliverEveryMs, fanningOut, onFault),
    every(pruneEveryMs, prune, onFault),
    ...providerNames.map((provider) => every(keepAliveEveryMs, renewing(provider), onFault)),
  ]
  return {
    async stop() {
      await Promise.all(all.map((work) => work.stop()))
    },
  }
}

/** Runs the work in a moment and then again and again, without a pause while it says there is more; never twice at a time. */
function every(
  ms: number,
  work: (isStopping: () => boolean) => Promise<boolean>,
  onFault: (fault: unknown) => void,
) {
  let stopped = false
  let running: Promise<void> | undefined
  const run = async () => {
    while (!stopped && (await work(() => stopped))) {}
  }
  const begin = () => {
    if (stopped) return
    running ??= run()
      .catch(onFault)
      .finally(() => {
        running = undefined
      })
  }
  const first = setTimeout(begin, firstAfterMs)
  const timer = setInterval(begin, ms)
  return {
    /** Now, where it is not at work already. */
    begin,
    async stop() {
      stopped = true
      clearTimeout(first)
      clearInterval(timer)
      await running
    },
  }
}
