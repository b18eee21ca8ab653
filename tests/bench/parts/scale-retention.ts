import { join } from "node:path"
import { backgroundWork } from "../../../src/adapters/cli/background.ts"
import type { Log } from "../../../src/adapters/cli/log.ts"
import { migratePostgres } from "../../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../../src/adapters/postgres/storage.ts"
import { migrateSqlite } from "../../../src/adapters/sqlite/migrations.ts"
import { openSqliteStorage } from "../../../src/adapters/sqlite/storage.ts"
import { fanOutBatch } from "../../../src/application/deliver-webhooks.ts"
import { pruneEvents } from "../../../src/application/read-events.ts"
import { sweepFlows } from "../../../src/application/sweep-flows.ts"
import { exchangeLimitMs } from "../../../src/domain/connect-flow.ts"
import { type IdPrefix, idRandomBytes, newId } from "../../../src/domain/id.ts"
import type { Storage } from "../../../src/ports/storage.ts"
import { acme, aFlow, aKey, anEvent } from "../../support/storage-fixtures.ts"
import type { Store } from "../harness/mooring.ts"
import { startPostgres } from "../harness/postgres.ts"
import { temporaryFolder } from "../harness/process.ts"
import { say, sayTable } from "../harness/report.ts"
import { rounded, spreadOf } from "../harness/statistics.ts"

const startsPerSecond = 1000
const seconds = 25
/** Old enough to be forgotten when the background begins. */
const old = 50_000
const dayMs = 86_400_000

export interface Kept {
  /** What the background did for each second that it took for it, while flows were added. */
  readonly expired_per_second: number
  readonly flows_forgotten_per_second: number
  readonly events_forgotten_per_second: number
  /** Flows that had expired and were still open when the last sweep was done. */
  readonly backlog: number
}

/** How much the background does of a kind, and in how much time. */
interface Work {
  done: number
  ms: number
}

/** Whether the background keeps up with 1,000 starts a second of which none ever comes back. */
export async function measureRetention(store: Store): Promise<Kept> {
  const server = store === "postgres" ? await startPostgres() : undefined
  const url = (await server?.database())?.url
  const storage = url === undefined ? await openedSqlite() : await openedPostgres(url)
  try {
    await addOld(storage)
    return await keepUp(store, storage)
  } finally {
    await storage.close()
    server?.stop()
  }
}

async function openedSqlite(): Promise<Storage> {
  const path = join(temporaryFolder(), "mooring.db")
  await migrateSqlite(path)
  return await openSqliteStorage(path, { serve: true })
}

async function openedPostgres(url: string): Promise<Storage> {
  await migratePostgres(url)
  return await openPostgresStorage(url)
}

const freshId = (prefix: IdPrefix) =>
  newId(prefix, new Date(), crypto.getRandomValues(new Uint8Array(idRandomBytes)))

/** Flows that ended, and events that happened, longer ago than they are kept. */
async function addOld(storage: Storage): Promise<void> {
  const at = new Date(Date.now() - 100 * dayMs)
  for (let from = 0; from < old; from += 500) {
    await Promise.all(
      Array.from({ length: 500 }, async () => {
        const flow = { id: freshId("flow"), status: "expired", createdAt: at, completedAt: at } as const
        await storage.flows.add(aFlow(flow))
        await storage.keys.add(aKey({ id: freshId("key") }), anEvent({ id: freshId("evt"), at }))
      }),
    )
  }
  while ((await storage.deliveries.fanOut(new Date(), 500)) > 0) {}
}

async function keepUp(store: Store, storage: Storage): Promise<Kept> {
  const [expired, flows, events]: Work[] = [0, 1, 2].map(() => ({ done: 0, ms: 0 }))
  const deps = { now: () => new Date(), newId: freshId }
  const timed =
    <Given extends readonly unknown[]>(work: Work | undefined, use: (...given: Given) => Promise<number>) =>
    async (...given: Given) => {
      const startedAt = performance.now()
      const done = await use(...given)
      if (work && done > 0)
        Object.assign(work, { done: work.done + done, ms: work.ms + performance.now() - startedAt })
      return done
    }
  const prune = timed(flows, storage.flows.prune)
  const forgotten: Storage["flows"] = { ...storage.flows, prune }
  const sweep = sweepFlows({ ...deps, flows: forgotten })
  let pruningMs = 0
  const background = backgroundWork(
    {
      sweep: async () => {
        const [startedAt, before] = [performance.now(), flows?.ms ?? 0]
        const swept = await sweep()
        pruningMs = (flows?.ms ?? 0) - before
        if (expired && swept.expired > 0)
          Object.assign(expired, {
            done: expired.done + swept.expired,
            ms: expired.ms + performance.now() - startedAt - pruningMs,
          })
        return swept
      },
      keepAlive: { renewDue: async () => 0, tellTime: async () => 0 },
      delivering: {
        fanOut: () => storage.deliveries.fanOut(new Date(), fanOutBatch),
        deliverDue: async () => 0,
      },
      prune: pruneEvents({
        events: { ...storage.events, prune: timed(events, storage.events.prune) },
        retentionDays: 30,
        now: () => new Date(),
      }),
    },
    silent,
  )
  const slow = await addFlows(storage)
  const before = await backlogOf(storage)
  const sweptUntil = performance.now()
  while ((await sweep()).expired > 0) {}
  const lastMs = performance.now() - sweptUntil
  await background.stop()
  const rate = (work: Work | undefined) => (work ? Math.round((work.done / work.ms) * 1000) : 0)
  say(
    `\n${store}: ${startsPerSecond} flows were added a second for ${seconds} s, none of them ever to be finished`,
  )
  sayTable([
    ["", "done", "for each second that it took"],
    ["flows expired, each with its event", String(expired?.done), String(rate(expired))],
    ["flows forgotten", String(flows?.done), String(rate(flows))],
    ["events forgotten", String(events?.done), String(rate(events))],
  ])
  say(
    `${before} had expired and were open at the end, ${await backlogOf(storage)} after ${rounded(lastMs / 1000, 2)} s more`,
  )
  say(`adding took ${rounded(slow.median, 2)} ms (${rounded(slow.low, 2)}–${rounded(slow.high, 2)})`)
  return {
    expired_per_second: rounded(rate(expired), 2),
    flows_forgotten_per_second: rounded(rate(flows), 2),
    events_forgotten_per_second: rounded(rate(events), 2),
    backlog: before,
  }
}

/** As many a second as asked, whether or not the store keeps up. */
async function addFlows(storage: Storage) {
  const startedAt = performance.now()
  const adding: Promise<void>[] = []
  const taken: number[] = []
  for (let added = 0; added < startsPerSecond * seconds; ) {
    const due = Math.min(
      ((performance.now() - startedAt) / 1000) * startsPerSecond,
      startsPerSecond * seconds,
    )
    for (; added < due; added++) adding.push(addFlow(storage, taken))
    await Bun.sleep(5)
  }
  await Promise.all(adding)
  return spreadOf(taken)
}

async function addFlow(storage: Storage, taken: number[]): Promise<void> {
  const at = new Date(Date.now() - 1000)
  const startedAt = performance.now()
  await storage.flows.add(aFlow({ ...acme, id: freshId("flow"), createdAt: at, expiresAt: at }))
  taken.push(performance.now() - startedAt)
}

async function backlogOf(storage: Storage): Promise<number> {
  const now = new Date()
  const open = await storage.flows.findAbandoned(now, new Date(now.getTime() - exchangeLimitMs), 1_000_000)
  return open.length
}

const silent = {
  info() {},
  warn() {},
  error: (fault: unknown) => say(JSON.stringify(fault)),
} as unknown as Log
