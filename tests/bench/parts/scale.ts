import { mkdirSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { migratePostgres } from "../../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../../src/adapters/postgres/storage.ts"
import { migrateSqlite } from "../../../src/adapters/sqlite/migrations.ts"
import { openSqliteStorage } from "../../../src/adapters/sqlite/storage.ts"
import type { Store } from "../harness/mooring.ts"
import type { Options } from "../harness/options.ts"
import { type PostgresServer, startPostgres } from "../harness/postgres.ts"
import { root, temporaryFolder } from "../harness/process.ts"
import { keepResult, kept, say, sayTable, told } from "../harness/report.ts"
import { fillPostgres, fillSqlite } from "../harness/scale-fill.ts"
import { type Filled, inspect, type Operation, operations } from "../harness/scale-operations.ts"
import { plansOf } from "../harness/scale-plans.ts"
import { rounded, type Spread, spreadOf } from "../harness/statistics.ts"
import { measureRetention } from "./scale-retention.ts"

const accepted = 1.5

/** One operation at one size. */
interface Found {
  readonly milliseconds: Spread
  /** To the smallest size, paired within a round. */
  readonly ratio: Spread
}

interface Opened extends Filled {
  /** A file or an address. */
  readonly place: string
}

/** What an operation costs among few accounts and among many. */
export async function scale(options: Options): Promise<void> {
  const asked = options.words.filter((word): word is Store => word === "sqlite" || word === "postgres")
  const stores = asked.length > 0 ? asked : (["sqlite", "postgres"] as const)
  const [sizes, retention] = [{} as Record<string, unknown>, {} as Record<string, unknown>]
  const alone = options.words.includes("retention")
  for (const store of stores) {
    if (!alone) sizes[store] = await measureStore(store, options)
    retention[store] = await measureRetention(store)
  }
  if (options.keep)
    keepResult("scale", { accounts: options.accounts, accepted_ratio: accepted, stores: sizes, retention })
}

async function measureStore(store: Store, options: Options): Promise<unknown> {
  say(`\n${store}: filling`)
  const server = store === "postgres" ? await startPostgres() : undefined
  const opened: Opened[] = []
  try {
    for (const accounts of options.accounts) {
      const { place, storage } = server
        ? await openedPostgres(server, accounts)
        : await openedSqlite(accounts)
      opened.push({ place, ...(await inspect(storage)) })
    }
    const found = new Map<Operation, readonly Found[]>()
    for (const operation of operations) found.set(operation, await measure(operation, opened, options.rounds))
    tell(store, options.accounts, found)
    const largest = opened.at(-1)
    if (options.keep && largest) keepPlans(store, await plansOf(store, largest.place, largest))
    return Object.fromEntries(
      [...found].map(([operation, sizes]) => [operation.name, asKept(operation, sizes, options.accounts)]),
    )
  } finally {
    for (const { storage } of opened) await storage.close()
    server?.stop()
  }
}

async function openedSqlite(accounts: number): Promise<Pick<Opened, "place" | "storage">> {
  const path = join(temporaryFolder(), "mooring.db")
  await migrateSqlite(path)
  fillSqlite(path, accounts)
  say(`  ${Math.round(statSync(path).size / 1024 ** 2)} MB`)
  return { place: path, storage: await openSqliteStorage(path, { serve: true }) }
}

async function openedPostgres(
  server: PostgresServer,
  accounts: number,
): Promise<Pick<Opened, "place" | "storage">> {
  const { url } = await server.database()
  await migratePostgres(url)
  await fillPostgres(url, accounts, { analyzed: true })
  return { place: url, storage: await openPostgresStorage(url) }
}

/** Every round measures every size, in another order each time; the first round warms up. */
async function measure(
  operation: Operation,
  sizes: readonly Opened[],
  rounds: number,
): Promise<readonly Found[]> {
  const medians: number[][] = sizes.map(() => [])
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < sizes.length; turn++) {
      const i = (turn + round) % sizes.length
      const size = sizes[i]
      if (!size) continue
      const median = await medianOf(operation, size)
      if (round > 0) medians[i]?.push(median)
    }
  }
  const smallest = medians[0] ?? []
  return medians.map((of) => ({
    milliseconds: spreadOf(of),
    ratio: spreadOf(of.map((ms, round) => ms / (smallest[round] ?? Number.NaN))),
  }))
}

async function medianOf(operation: Operation, size: Opened): Promise<number> {
  const taken: number[] = []
  for (let i = 0; i < operation.times; i++) {
    const startedAt = performance.now()
    const result = await operation.run(size)
    taken.push(performance.now() - startedAt)
    await operation.after?.(size, result)
  }
  return spreadOf(taken).median
}

function tell(
  store: Store,
  accounts: readonly number[],
  found: ReadonlyMap<Operation, readonly Found[]>,
): void {
  say(`\n${store}: milliseconds, and the ratio to ${accounts[0]} accounts`)
  sayTable([
    ["", ...accounts.flatMap((count, i) => (i === 0 ? [`${count}`] : [`${count}`, "ratio"])), ""],
    ...[...found].map(([operation, sizes]) => [
      operation.name,
      ...sizes.flatMap(({ milliseconds, ratio }, i) => {
        const ms = String(rounded(milliseconds.median))
        return i === 0 ? [ms] : [ms, told(ratio, 2)]
      }),
      verdict(operation, sizes),
    ]),
  ])
}

function verdict({ holds }: Operation, sizes: readonly Found[]): string {
  if (!holds) return "grows with its own"
  return sizes.some(({ ratio }) => ratio.median > accepted) ? "GROWS" : ""
}

function keepPlans(store: Store, plans: string): void {
  const path = join(root, `tests/bench/results/scale-plans-${store}.txt`)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, plans)
  say(`kept in ${path.slice(root.length + 1)}`)
}

/** Ratios alone: milliseconds are of this machine. */
function asKept(operation: Operation, sizes: readonly Found[], accounts: readonly number[]) {
  return {
    promised: operation.holds,
    ratio: Object.fromEntries(sizes.slice(1).map(({ ratio }, i) => [String(accounts[i + 1]), kept(ratio)])),
  }
}
