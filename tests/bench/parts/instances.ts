import { type LoadClient, loadClient } from "../harness/load.ts"
import { authorized, keyWithXApp, type MooringService, startMooring, startPath } from "../harness/mooring.ts"
import type { Options } from "../harness/options.ts"
import { clientCore } from "../harness/process.ts"
import { keepResult, kept, say, sayTable, told } from "../harness/report.ts"
import { spreadOf } from "../harness/statistics.ts"
import { inWorld, type World } from "../harness/world.ts"

const sizes = [1, 2, 4]
const connections = 64
/** One connection in eight is the small tenant's. */
const groups = [0, 0, 0, 0, 0, 0, 0, 1]

interface Cluster {
  readonly services: readonly MooringService[]
  /** One of each tenant's requests. */
  readonly requests: readonly (readonly string[])[]
}

interface Sample {
  readonly perSecond: number
  /** The least busy process's answers over an even share. */
  readonly leastShare: number
  /** What a connection of the small tenant got over what one of the large tenant got. */
  readonly smallTenant: number
}

/** Several processes on one PostgreSQL: what they do together, and whether anybody gets less than their share. */
export async function instances(options: Options): Promise<void> {
  await inWorld(async (world) => {
    const clusters: Cluster[] = []
    const client = loadClient()
    const samples = sizes.map((): Sample[] => [])
    try {
      for (const size of sizes) clusters.push(await openCluster(size, world))
      // Each process for as long as a single one, since all of a cluster share the time.
      for (const cluster of clusters)
        await measureCluster(client, cluster, options.warmUpSeconds * cluster.services.length)
      for (let round = 0; round < options.rounds; round++) {
        for (let turn = 0; turn < clusters.length; turn++) {
          const i = (turn + round) % clusters.length
          const cluster = clusters[i]
          if (cluster) samples[i]?.push(await measureCluster(client, cluster, options.seconds))
        }
      }
    } finally {
      client.stop()
      for (const service of clusters.flatMap((cluster) => cluster.services)) await service.stop()
    }
    tell(samples, options)
  })
}

async function openCluster(size: number, world: World): Promise<Cluster> {
  const { url } = await world.postgres.database()
  const services: MooringService[] = []
  for (let i = 0; i < size; i++) {
    // Every core but the client's.
    services.push(
      await startMooring({ store: "postgres", databaseUrl: url, core: i % Math.max(1, clientCore) }),
    )
  }
  const [first] = services
  if (!first) throw new Error("a cluster has at least one process")
  const keys = [await keyWithXApp(first, "large"), await keyWithXApp(first, "small")]
  return { services, requests: keys.map((key) => [authorized(startPath, key)]) }
}

async function measureCluster(client: LoadClient, cluster: Cluster, seconds: number): Promise<Sample> {
  const ports = cluster.services.map((service) => service.port)
  const job = { ports, connections, ms: seconds * 1000, once: false, groups }
  const { answers, late, failed, ms, byPort, byGroup, statuses } = await client.run(job, ...cluster.requests)
  if (failed > 0 || statuses["200"] !== answers + late)
    throw new Error(`${failed} requests failed, the answers were ${JSON.stringify(statuses)}`)
  const [large = 0, small = 0] = byGroup
  return {
    perSecond: (answers / ms) * 1000,
    leastShare: (Math.min(...byPort) / answers) * ports.length,
    smallTenant: small / (large / (groups.length - 1)),
  }
}

function tell(samples: readonly (readonly Sample[])[], options: Options): void {
  const single = samples[0] ?? []
  const found = sizes.map((size, i) => {
    const mine = samples[i] ?? []
    const of = (pick: (sample: Sample, round: number) => number) => spreadOf(mine.map(pick))
    return {
      processes: size,
      ratio: of(({ perSecond }, round) => perSecond / (single[round]?.perSecond ?? Number.NaN)),
      leastShare: of((sample) => sample.leastShare),
      smallTenant: of((sample) => sample.smallTenant),
      perSecond: of((sample) => sample.perSecond),
    }
  })
  say(
    `\ninstances on one PostgreSQL, start, ${connections} connections, ${options.rounds} rounds of ${options.seconds} s`,
  )
  sayTable([
    [
      "processes",
      "of one process",
      "least busy, of an even share",
      "small tenant's connection, of a large one's",
      "answers/s",
    ],
    ...found.map((one) => [
      String(one.processes),
      told(one.ratio),
      told(one.leastShare),
      told(one.smallTenant),
      String(Math.round(one.perSecond.median)),
    ]),
  ])
  const serverCores = Math.max(1, clientCore)
  say(
    `${serverCores} core${serverCores === 1 ? "" : "s"} for the processes: with one, more of them can gain nothing.`,
  )
  if (!options.keep) return
  keepResult("instances", {
    path: "start",
    connections,
    cores_for_the_processes: serverCores,
    ratio: "answers a second over those of one process in the same round: median and quartiles",
    processes: Object.fromEntries(
      found.map(({ processes, ratio, leastShare, smallTenant }) => [
        processes,
        { ratio: kept(ratio), least_busy_of_even_share: kept(leastShare), small_tenant: kept(smallTenant) },
      ]),
    ),
  })
}
