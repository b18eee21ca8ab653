import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import { migrateSqlite } from "../../src/adapters/sqlite/migrations.ts"
import { openSqliteStorage } from "../../src/adapters/sqlite/storage.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { acme, after, aKey, aLease, anEvent, claimOf, heldOf } from "./storage-fixtures.ts"

/**
 * A process of its own for tests of what several may do to one storage. It ends with its standard input.
 *
 *   bun storage-child.ts <url> serve        serves the storage until it is killed
 *   bun storage-child.ts <url> write        adds keys until it is killed, and prints the id of each when it is kept
 *   bun storage-child.ts <url> take <flow>  at a line from its parent takes the flow 25 times at once, and prints
 *                                           how often it got it
 *   bun storage-child.ts <url> claim <account>  at a line from its parent claims the account 25 times at once with
 *                                           risk, prints how often it got it, and stays there
 *   bun storage-child.ts <url> migrate      at a line from its parent migrates, and prints how much there was to do
 */
const [url = "", task = "", id = ""] = process.argv.slice(2)
const sqlitePath = url.startsWith("sqlite:") ? url.slice("sqlite:".length) : undefined
const input = Bun.stdin.stream().getReader()

switch (task) {
  case "serve":
    await open({ serve: true })
    print("ready")
    await lineFromParent()
    break
  case "write":
    void lineFromParent()
    await write(await open({ serve: true }))
    break
  case "take":
    await take(await open({ serve: false }))
    break
  case "claim":
    await claim(await open({ serve: false }))
    await lineFromParent()
    break
  case "migrate":
    print("ready")
    await lineFromParent()
    print((await (sqlitePath === undefined ? migratePostgres(url) : migrateSqlite(sqlitePath))).length)
    break
}
process.exit(0)

async function open(options: { readonly serve: boolean }): Promise<Storage> {
  return sqlitePath === undefined
    ? await openPostgresStorage(url)
    : await openSqliteStorage(sqlitePath, options)
}

async function write(storage: Storage): Promise<never> {
  for (;;) {
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        const key = aKey()
        await storage.keys.add(key, anEvent({ apiKeyId: key.id }))
        print(key.id)
      }),
    )
  }
}

async function take(storage: Storage): Promise<void> {
  print("ready")
  await lineFromParent()
  const takes = Array.from({ length: 25 }, () => storage.flows.consume(id, after(1000)))
  print((await Promise.all(takes)).filter((outcome) => outcome?.taken).length)
  await storage.close()
}

async function claim(storage: Storage): Promise<void> {
  const seen = claimOf(await heldOf(storage, { ...acme, id }))
  print("ready")
  await lineFromParent()
  const claims = Array.from({ length: 25 }, () => storage.tokens.claim(seen, aLease({ risky: true })))
  print((await Promise.all(claims)).filter(Boolean).length)
}

async function lineFromParent(): Promise<void> {
  const { done } = await input.read()
  if (done) process.exit(0)
}

function print(word: string | number): void {
  process.stdout.write(`${word}\n`)
}
