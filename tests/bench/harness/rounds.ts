import type { Contestant } from "./contestant.ts"
import { type LoadClient, loadClient } from "./load.ts"
import { type Spread, spreadOf } from "./statistics.ts"

export interface RoundOptions {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  /** How long each contestant is loaded before the first round. */
  readonly warmUpSeconds: number
}

export interface Standing {
  readonly name: string
  /** Its rate over that of the first contestant, paired within a round. */
  readonly ratio: Spread
  /** Its CPU time for a request over that of the first contestant, paired alike. */
  readonly cpuRatio: Spread
  readonly perSecond: Spread
  readonly cpuMicroseconds: Spread
  readonly databaseCpuMicroseconds: Spread | null
  /** How much of its core it used; well below 1 it waited for something else. */
  readonly busy: Spread
  /** Milliseconds. */
  readonly p50: Spread
  readonly p99: Spread
}

export interface Sample {
  readonly perSecond: number
  readonly answers: number
  readonly cpu: number
  readonly databaseCpu: number | null
  readonly busy: number
  readonly p50: number
  readonly p99: number
}

/** How many single-use requests a contestant gets at first; later ones go by how fast it was. */
const firstPerSecond = 1000
const reserve = 1.5
/** The warm-up goes in steps, so that single-use requests last as the contestant becomes faster. */
const warmUpSteps = 3

/**
 * Every round measures every contestant once, in another order each time, and a ratio is one of two
 * measurements of the same round: so what else the machine does weighs on both. Each is warmed up before, since a
 * service runs for months and its compilers want seconds.
 */
export async function compare(
  contestants: readonly Contestant[],
  options: RoundOptions,
): Promise<readonly Standing[]> {
  const client = loadClient()
  const samples = contestants.map((): Sample[] => [])
  const fastest = contestants.map(() => firstPerSecond)
  const load = async (i: number, seconds: number): Promise<Sample | undefined> => {
    const contestant = contestants[i]
    if (!contestant) return undefined
    const wanted = (fastest[i] ?? 0) * seconds * reserve + options.connections
    const requests = await contestant.requests(Math.ceil(wanted))
    const sample = await measure(client, contestant, requests, { ...options, seconds })
    fastest[i] = Math.max(sample.perSecond, fastest[i] ?? 0)
    return sample
  }
  try {
    for (const i of contestants.keys()) {
      for (let step = 0; step < warmUpSteps; step++) await load(i, options.warmUpSeconds / warmUpSteps)
    }
    for (let round = 0; round < options.rounds; round++) {
      for (let turn = 0; turn < contestants.length; turn++) {
        const i = (turn + round) % contestants.length
        const sample = await load(i, options.seconds)
        if (sample) samples[i]?.push(sample)
      }
    }
  } finally {
    client.stop()
  }
  const floor = samples[0] ?? []
  return contestants.map(({ name }, i) => standingOf(name, samples[i] ?? [], floor))
}

/** Loads one contestant for one round. Throws where an answer is not the expected one. */
export async function measure(
  client: LoadClient,
  contestant: Contestant,
  requests: readonly string[],
  { seconds, connections }: Pick<RoundOptions, "seconds" | "connections">,
): Promise<Sample> {
  const [cpu, databaseCpu] = [contestant.cpu(), contestant.databaseCpu?.()]
  const startedAt = performance.now()
  const { ports, once } = contestant
  const result = await client.run({ ports, connections, ms: seconds * 1000, once }, requests)
  const wallMs = performance.now() - startedAt
  const answers = result.answers + result.late
  const expected = result.statuses[String(contestant.status)] ?? 0
  if (result.failed > 0 || answers === 0 || expected !== answers) {
    throw new Error(
      `${contestant.name}: ${result.failed} requests failed, and the answers were ${JSON.stringify(result.statuses)}:\n${result.sample.slice(0, 1500)}`,
    )
  }
  const used = contestant.cpu() - cpu
  const databaseUsed = databaseCpu === undefined ? undefined : (contestant.databaseCpu?.() ?? 0) - databaseCpu
  return {
    answers,
    perSecond: (result.answers / result.ms) * 1000,
    cpu: used / answers,
    databaseCpu: databaseUsed === undefined ? null : databaseUsed / answers,
    busy: used / 1000 / wallMs,
    p50: result.p50,
    p99: result.p99,
  }
}

function standingOf(name: string, samples: readonly Sample[], floor: readonly Sample[]): Standing {
  const of = (pick: (sample: Sample) => number) => spreadOf(samples.map(pick))
  const paired = (pick: (sample: Sample) => number) =>
    spreadOf(samples.map((sample, i) => pick(sample) / (floor[i] ? pick(floor[i]) : Number.NaN)))
  const database = samples.flatMap(({ databaseCpu }) => (databaseCpu === null ? [] : [databaseCpu]))
  return {
    name,
    ratio: paired((sample) => sample.perSecond),
    cpuRatio: paired((sample) => sample.cpu),
    perSecond: of((sample) => sample.perSecond),
    cpuMicroseconds: of((sample) => sample.cpu),
    databaseCpuMicroseconds: database.length > 0 ? spreadOf(database) : null,
    busy: of((sample) => sample.busy),
    p50: of((sample) => sample.p50),
    p99: of((sample) => sample.p99),
  }
}
