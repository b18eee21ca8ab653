import type { Database } from "bun:sqlite"
import { existsSync } from "node:fs"
import type { Storage } from "../../ports/storage.ts"
import { sqliteAccounts } from "./accounts.ts"
import { sqliteApps } from "./apps.ts"
import { claimServing, keepTemporaryInMemory, openDatabase } from "./database.ts"
import { sqliteDeliveries } from "./deliveries.ts"
import { sqliteEvents } from "./events.ts"
import { sqliteFlows } from "./flows.ts"
import { groupCommit } from "./group-commit.ts"
import { accountName } from "./held-account.ts"
import { sqliteKeys } from "./keys.ts"
import { requireCurrent } from "./migrations.ts"
import { preparedWhenAsked, tellingOfAccounts } from "./statements.ts"
import { sqliteTokens } from "./tokens.ts"
import { turnReads } from "./turn-reads.ts"
import { sqliteWebhooks } from "./webhooks.ts"

/**
 * Opens a migrated database. `serve: true` is for the one process that serves it, and rejects where another
 * does; commands open it beside that one with `serve: false`. A write resolves once it is on disk.
 */
export async function openSqliteStorage(
  path: string,
  options: { readonly serve: boolean },
): Promise<Storage> {
  if (!existsSync(path)) throw new Error(`There is no database at ${path}; run "mooring migrate" first.`)
  const release = options.serve ? claimServing(path) : () => {}
  try {
    const db = openDatabase(path)
    requireCurrent(db, path)
    keepTemporaryInMemory(db)
    return sqliteStorage(db, release)
  } catch (fault) {
    release()
    throw fault
  }
}

function sqliteStorage(db: Database, release: () => void): Storage {
  const reads = turnReads(db)
  const commits = groupCommit(db, reads.end)
  const statements = tellingOfAccounts(preparedWhenAsked(db), (id) => reads.forget(accountName(id)))
  const sqlite = { db: statements, write: commits.write, reads }
  let closed = false
  return {
    apps: sqliteApps(sqlite),
    flows: sqliteFlows(sqlite),
    accounts: sqliteAccounts(sqlite),
    tokens: sqliteTokens(sqlite),
    keys: sqliteKeys(sqlite),
    events: sqliteEvents(sqlite),
    webhooks: sqliteWebhooks(sqlite),
    deliveries: sqliteDeliveries(sqlite),
    async ping() {
      db.query("select count(*) from migrations").get()
    },
    async close() {
      if (closed) return
      closed = true
      commits.close()
      reads.end()
      db.run("pragma wal_checkpoint(truncate)")
      db.close(true)
      release()
    },
  }
}
