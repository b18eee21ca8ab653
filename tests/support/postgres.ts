import { join } from "node:path"
import postgres from "postgres"

export interface FreshDatabase {
  readonly url: string
  drop(): Promise<void>
}

/**
 * An empty database of its own on a real PostgreSQL server, which is started with the first one and shared
 * by all tests of this process. Rejects where the server cannot start: a test then fails, and none is skipped.
 */
export async function freshDatabase(): Promise<FreshDatabase> {
  server ??= startServer()
  const address = await server
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`
  await administer(address, (sql) => sql`create database ${sql(name)}`)
  return {
    url: `${address}/${name}`,
    drop: () => administer(address, (sql) => sql`drop database if exists ${sql(name)} with (force)`),
  }
}

let server: Promise<string> | undefined

/** The server runs under a keeper that ends it when this process ends in whatever way. */
async function startServer(): Promise<string> {
  const keeper = Bun.spawn([process.execPath, join(import.meta.dir, "postgres-server.ts")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    detached: true, // an interrupt from the keyboard is for us alone; the keeper then sees us go
  })
  keeper.unref()
  // The runner kills child processes when a test times out; the next test gets a new server.
  keeper.exited.then(() => {
    server = undefined
  })
  const address = await firstLine(keeper.stdout)
  if (address !== undefined) return address
  throw new Error(
    `PostgreSQL could not be started for the tests.\n${await new Response(keeper.stderr).text()}`,
  )
}

async function firstLine(output: ReadableStream<Uint8Array>): Promise<string | undefined> {
  const reader = output.getReader()
  const decoder = new TextDecoder()
  let text = ""
  while (!text.includes("\n")) {
    const { done, value } = await reader.read()
    if (done) return undefined
    text += decoder.decode(value, { stream: true })
  }
  return text.slice(0, text.indexOf("\n"))
}

async function administer(address: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(`${address}/postgres`, { max: 1, fetch_types: false, onnotice: () => {} })
  try {
    await work(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}
