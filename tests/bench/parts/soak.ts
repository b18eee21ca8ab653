import { loadClient } from "../harness/load.ts"
import { authorized, type Store } from "../harness/mooring.ts"
import { type MooringContestant, mooringContestant } from "../harness/mooring-contestants.ts"
import type { Options } from "../harness/options.ts"
import { keepResult, say } from "../harness/report.ts"
import { rounded, slopeOf } from "../harness/statistics.ts"
import { inWorld } from "../harness/world.ts"

const megabyte = 1024 ** 2
const connectsPerSecond = 40
const readsPerSecond = 200
const connections = 8
/** The first part warms caches and compilers up and says nothing about a leak. */
const warmUp = 0.2
const fewestMinutes = 5

/** Resident memory under a moderate load for a long time: connects of new people, and reads of the newest accounts. */
export async function soak(options: Options): Promise<void> {
  const store: Store = options.words[0] === "postgres" ? "postgres" : "sqlite"
  await inWorld(async (world) => {
    const contestant = await mooringContestant("callback", store, world)
    const client = loadClient()
    const points: [number, number][] = []
    const startedAt = performance.now()
    const minutes = () => (performance.now() - startedAt) / 60_000
    let [connects, reads] = [0, 0]
    try {
      for (let second = 0; minutes() < options.minutes; second++) {
        const job = { ports: contestant.ports, connections, ms: 60_000, once: true }
        const callbacks = await contestant.requests(connectsPerSecond)
        const connected = await client.run(job, callbacks)
        expectAll(connected.statuses, "302", connectsPerSecond)
        const asked = await client.run(job, await tokenReads(contestant))
        expectAll(asked.statuses, "200", readsPerSecond)
        connects += connectsPerSecond
        reads += readsPerSecond
        points.push([minutes(), contestant.service.resident() / megabyte])
        if (second % 30 === 0) say(`${rounded(minutes(), 2)} min: ${rounded(points.at(-1)?.[1] ?? 0)} MB`)
        await Bun.sleep(Math.max(0, (second + 1) * 1000 - (performance.now() - startedAt)))
      }
    } finally {
      client.stop()
      await contestant.stop()
    }
    const settled = points.filter(([at]) => at > options.minutes * warmUp)
    const { slope, explained } = slopeOf(settled)
    const [first, last] = [settled[0]?.[1] ?? 0, settled.at(-1)?.[1] ?? 0]
    say(`\nsoak on ${store}: ${connects} connects and ${reads} token reads in ${options.minutes} min`)
    say(`resident ${rounded(first)} MB after the warm-up, ${rounded(last)} MB at the end`)
    say(
      `a line through it grows ${rounded(slope * 60)} MB an hour and explains ${Math.round(explained * 100)} % of its variance`,
    )
    if (options.minutes < fewestMinutes) say("That was too short to tell a leak from warming up.")
    if (!options.keep) return
    keepResult(`soak-${store}`, {
      store,
      minutes: options.minutes,
      connects,
      token_reads: reads,
      resident_megabytes: { after_warm_up: rounded(first), at_the_end: rounded(last) },
      growth_megabytes_an_hour: rounded(slope * 60),
      variance_explained_by_the_line: rounded(explained, 2),
    })
  })
}

/** The newest accounts' tokens, over and over. */
async function tokenReads({ service, key }: MooringContestant): Promise<readonly string[]> {
  const path = `/v1/accounts?limit=${connectsPerSecond}`
  const { items } = await service.ask<{ items: readonly { readonly id: string }[] }>("GET", path, key)
  const requests = items.map(({ id }) => authorized(`/v1/accounts/${id}/token`, key))
  return Array.from({ length: readsPerSecond }, (_, i) => requests[i % requests.length] ?? "")
}

function expectAll(statuses: Readonly<Record<string, number>>, status: string, count: number): void {
  if (statuses[status] !== count) throw new Error(`the answers were ${JSON.stringify(statuses)}`)
}
