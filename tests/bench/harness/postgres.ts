import { join } from "node:path"
import postgres from "postgres"
import { clientCore, cpuOf, familyOf, pinned } from "./process.ts"

export interface Database {
  readonly url: string
  drop(): Promise<void>
}

export interface PostgresServer {
  /** The address of the server, without a database. */
  readonly address: string
  database(): Promise<Database>
  /** CPU time of all its processes so far, in microseconds. */
  cpu(): number
  stop(): void
}

const serverFile = join(import.meta.dir, "../../support/postgres-server.ts")
/** What the tests switch off, and no checkpoint in the middle of a round. */
const durable = ["fsync=on", "full_page_writes=on", "max_wal_size=4GB"]

/**
 * A PostgreSQL server that commits durably, on the client's core: in life it has a machine of its own, and must
 * not slow the server under test. It ends with this process.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const keeper = Bun.spawn(pinned(clientCore, [process.execPath, serverFile, ...durable]), {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  })
  keeper.unref()
  const address = await firstLine(keeper.stdout)
  return {
    address,
    cpu: () => cpuOf(familyOf(keeper.pid)),
    async database() {
      const name = `bench_${crypto.randomUUID().replaceAll("-", "")}`
      await administer(address, (sql) => sql`create database ${sql(name)}`)
      return {
        url: `${address}/${name}`,
        drop: () => administer(address, (sql) => sql`drop database if exists ${sql(name)} with (force)`),
      }
    },
    stop: () => void keeper.stdin.end(),
  }
}

async function firstLine(output: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"))
  }
  throw new Error("PostgreSQL could not be started")
}

async function administer(address: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(`${address}/postgres`, { max: 1, fetch_types: false, onnotice: () => {} })
  try {
    await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}
