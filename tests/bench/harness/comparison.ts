import type { Contestant, OpenContestant } from "./contestant.ts"
import { type Counts, countsOf } from "./counts.ts"
import type { Options } from "./options.ts"
import { keepResult, kept, say, sayTable, told } from "./report.ts"
import { compare, type Standing } from "./rounds.ts"
import { rounded } from "./statistics.ts"
import { inWorld, type World } from "./world.ts"

export interface Comparison {
  readonly part: string
  readonly floor: string
  /** What is compared and what the contestants do more or less, for who reads the result. */
  readonly notes: readonly string[]
  /** The first is the floor. Each is opened anew to be counted. */
  contestants(world: World): Promise<readonly OpenContestant[]>
}

/** Compares at each number of connections; the first gets all rounds, the others a third of them. */
export async function runComparison(comparison: Comparison, options: Options): Promise<void> {
  const { part, floor, notes } = comparison
  await inWorld(async (world) => {
    const openers = await comparison.contestants(world)
    const contestants: Contestant[] = []
    const standings = new Map<number, readonly Standing[]>()
    try {
      for (const open of openers) contestants.push(await open(world))
      for (const [i, connections] of options.connections.entries()) {
        const rounds = i === 0 ? options.rounds : Math.max(3, Math.ceil(options.rounds / 3))
        const { seconds, warmUpSeconds } = options
        const found = await compare(contestants, { rounds, seconds, connections, warmUpSeconds })
        standings.set(connections, found)
        sayStandings(`${part}, ${connections} connections, ${rounds} rounds of ${options.seconds} s`, found)
      }
    } finally {
      for (const contestant of contestants) await contestant.stop()
    }
    const main = options.connections[0] ?? 32
    const counts = new Map<string, Counts>()
    for (const [i, open] of openers.entries()) {
      const contestant = contestants[i]
      if (contestant?.store) counts.set(contestant.name, await countsOf(open, contestant.store, world, main))
    }
    sayCounts(counts, main)
    sayKeeps(contestants)
    if (!options.keep) return
    keepResult(part, {
      floor,
      notes,
      rounds: options.rounds,
      seconds_a_round: options.seconds,
      seconds_of_warm_up: options.warmUpSeconds,
      ratio: "answers a second over the floor's in the same round: median and quartiles",
      connections: Object.fromEntries(
        [...standings].map(([connections, found]) => [connections, Object.fromEntries(found.map(factsOf))]),
      ),
      a_request: Object.fromEntries(counts),
      keeps: Object.fromEntries(contestants.map(({ name, keeps }) => [name, keeps])),
    })
  })
}

function factsOf({ name, ratio, cpuRatio }: Standing) {
  return [name, { ratio: kept(ratio), cpu_ratio: kept(cpuRatio) }] as const
}

function sayStandings(title: string, standings: readonly Standing[]): void {
  say(`\n${title}`)
  const heads = [
    "",
    "ratio (quartiles)",
    "CPU µs",
    "CPU ratio",
    "database CPU µs",
    "core",
    "p50 ms",
    "p99 ms",
    "answers/s",
  ]
  sayTable([
    heads,
    ...standings.map((one) => [
      one.name,
      told(one.ratio),
      String(rounded(one.cpuMicroseconds.median)),
      String(rounded(one.cpuRatio.median)),
      one.databaseCpuMicroseconds ? String(rounded(one.databaseCpuMicroseconds.median)) : "–",
      `${Math.round(one.busy.median * 100)} %`,
      String(rounded(one.p50.median, 2)),
      String(rounded(one.p99.median, 2)),
      String(rounded(one.perSecond.median)),
    ]),
  ])
}

function sayCounts(counts: ReadonlyMap<string, Counts>, connections: number): void {
  say(`\na request, at ${connections} connections`)
  const cell = (value: number | null) => (value === null ? "n/a" : String(value))
  sayTable([
    ["", "statements", "round trips", "disk flushes", "file writes"],
    ...[...counts].map(([name, { statements, roundTrips, flushes, fileWrites }]) => [
      name,
      ...[statements, roundTrips, flushes, fileWrites].map(cell),
    ]),
  ])
}

function sayKeeps(contestants: readonly Contestant[]): void {
  say("\nkept when it has answered")
  sayTable(contestants.map(({ name, keeps }) => [name, keeps]))
}
