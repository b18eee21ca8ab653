import { loadClient } from "../harness/load.ts"
import type { Store } from "../harness/mooring.ts"
import { mooringContestant } from "../harness/mooring-contestants.ts"
import type { Options } from "../harness/options.ts"
import { keepResult, say, sayTable } from "../harness/report.ts"
import { rounded, slopeOf } from "../harness/statistics.ts"
import { inWorld, type World } from "../harness/world.ts"

const megabyte = 1024 ** 2
const batches = 20
const connections = 32
const longMs = 600_000

interface Found {
  readonly store: Store
  readonly before: number
  readonly highest: number
  readonly after: number
  /** Megabytes a thousand connects, over the second half. */
  readonly growth: number
}

/** Resident memory over many connects, each of another person: start, consent, callback, account. */
export async function memory(options: Options): Promise<void> {
  const all: readonly Store[] = ["sqlite", "postgres"]
  const stores = all.filter((store) => options.words.length === 0 || options.words.includes(store))
  await inWorld(async (world) => {
    const found: Found[] = []
    for (const store of stores) found.push(await connectMany(store, options.connects, world))
    say(`\nmemory over ${options.connects} connects, MB resident`)
    sayTable([
      ["", "before", "highest", "5 s after", "growth per 1,000 connects in the second half"],
      ...found.map(({ store, before, highest, after, growth }) => [
        store,
        ...[before, highest, after, growth].map((value) => String(rounded(value))),
      ]),
    ])
    if (!options.keep) return
    keepResult("memory", {
      connects: options.connects,
      unit: "megabytes resident",
      stores: Object.fromEntries(
        found.map(({ store, before, highest, after, growth }) => [
          store,
          {
            before: rounded(before),
            highest: rounded(highest),
            five_seconds_after: rounded(after),
            growth_per_1000_connects_in_second_half: rounded(growth),
          },
        ]),
      ),
    })
  })
}

async function connectMany(store: Store, connects: number, world: World): Promise<Found> {
  const contestant = await mooringContestant("callback", store, world)
  const client = loadClient()
  const resident = () => contestant.service.resident() / megabyte
  const before = resident()
  const points: [number, number][] = []
  try {
    const size = Math.ceil(connects / batches)
    for (let batch = 1; batch <= batches; batch++) {
      const requests = await contestant.requests(size)
      const job = { ports: contestant.ports, connections, ms: longMs, once: true }
      const { statuses } = await client.run(job, requests)
      if (statuses["302"] !== size) throw new Error(`the answers were ${JSON.stringify(statuses)}`)
      points.push([(batch * size) / 1000, resident()])
      say(`${store}: ${batch * size} of ${connects} connects, ${rounded(resident())} MB`)
    }
    await Bun.sleep(5_000)
    return {
      store,
      before,
      highest: Math.max(...points.map(([, size]) => size)),
      after: resident(),
      growth: slopeOf(points.slice(batches / 2)).slope,
    }
  } finally {
    client.stop()
    await contestant.stop()
  }
}
