import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Contestant, OpenContestant } from "./contestant.ts"
import { countingProxy } from "./counting-proxy.ts"
import { type LoadClient, loadClient } from "./load.ts"
import { temporaryFolder } from "./process.ts"
import { measure } from "./rounds.ts"
import { rounded } from "./statistics.ts"
import type { World } from "./world.ts"

/** What one request costs in work that no other machine would do faster; null where it cannot be told. */
export interface Counts {
  /** PostgreSQL. */
  readonly statements: number | null
  readonly roundTrips: number | null
  /** SQLite: disk flushes and writes to files, by `strace`. */
  readonly flushes: number | null
  readonly fileWrites: number | null
}

const seconds = 1

/** Counts with its own instance of the contestant, since counting slows it. */
export async function countsOf(
  open: OpenContestant,
  store: Contestant["store"],
  world: World,
  connections: number,
): Promise<Counts> {
  if (store === "postgres") return await countStatements(open, world, connections)
  if (store === "sqlite" && Bun.which("strace")) return await countFlushes(open, world, connections)
  return { statements: null, roundTrips: null, flushes: null, fileWrites: null }
}

async function countStatements(open: OpenContestant, world: World, connections: number): Promise<Counts> {
  const proxy = countingProxy(world.postgres.address)
  const database = async () => {
    const made = await world.postgres.database()
    return { ...made, url: proxy.through(made.url) }
  }
  const contestant = await open({ ...world, postgres: { ...world.postgres, database } })
  try {
    return await loaded(contestant, connections, (requests, client) => async () => {
      const counted = proxy.count()
      const { answers } = await measure(client, contestant, requests, { seconds, connections })
      const { statements, roundTrips } = counted()
      const each = (count: number) => rounded(count / answers)
      return {
        statements: each(statements),
        roundTrips: each(roundTrips),
        flushes: null,
        fileWrites: null,
      }
    })
  } finally {
    await contestant.stop()
    proxy.stop()
  }
}

async function countFlushes(open: OpenContestant, world: World, connections: number): Promise<Counts> {
  const contestant = await open(world)
  const report = join(temporaryFolder(), "report")
  const calls = "trace=fsync,fdatasync,pwrite64"
  try {
    return await loaded(contestant, connections, (requests, client) => async () => {
      const command = ["strace", "-f", "-qq", "-c", "-e", calls, "-o", report, "-p", String(contestant.pid)]
      const tracer = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] })
      await Bun.sleep(500)
      const { answers } = await measure(client, contestant, requests, { seconds, connections })
      tracer.kill("SIGINT")
      await tracer.exited
      const text = readFileSync(report, "utf8")
      const called = (...names: readonly string[]) =>
        rounded(
          names.reduce((sum, name) => {
            // Columns: % time, seconds, usecs/call, calls, errors (often empty), name.
            const found = new RegExp(`^\\s*\\S+\\s+\\S+\\s+\\S+\\s+(\\d+)\\s.*\\b${name}$`, "m").exec(text)
            return sum + Number(found?.[1] ?? 0)
          }, 0) / answers,
        )
      return {
        statements: null,
        roundTrips: null,
        flushes: called("fsync", "fdatasync"),
        fileWrites: called("pwrite64"),
      }
    })
  } finally {
    await contestant.stop()
  }
}

/** Runs what counts after a warm-up that has made every connection and prepared every statement. */
async function loaded(
  contestant: Contestant,
  connections: number,
  prepare: (requests: readonly string[], client: LoadClient) => () => Promise<Counts>,
): Promise<Counts> {
  const client = loadClient()
  try {
    const options = { seconds: 0.5, connections }
    const warm = await measure(client, contestant, await contestant.requests(500), options)
    const wanted = Math.ceil(Math.max(warm.perSecond, connections) * seconds * 2)
    return await prepare(await contestant.requests(wanted), client)()
  } finally {
    client.stop()
  }
}
