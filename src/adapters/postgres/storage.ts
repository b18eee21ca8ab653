import type { Sql } from "postgres"
import type { Storage } from "../../ports/storage.ts"
import { postgresAccounts } from "./accounts.ts"
import { postgresApps } from "./apps.ts"
import { connect, endTimeoutSeconds } from "./connection.ts"
import { postgresEvents } from "./events.ts"
import { postgresFlows } from "./flows.ts"
import { postgresKeys } from "./keys.ts"
import { requireCurrent } from "./migrations.ts"
import { postgresTokens } from "./tokens.ts"

const pingTimeoutMs = 2000

/**
 * Opens a migrated database, 15 or newer; any number of instances may. Every method is one statement, or
 * one transaction where it must wait for a lock before it looks. Rejects where the database is out of reach.
 */
export async function openPostgresStorage(url: string): Promise<Storage> {
  const sql = connect(url)
  try {
    await requireCurrent(sql)
    return postgresStorage(sql)
  } catch (fault) {
    await sql.end({ timeout: 0 })
    throw fault
  }
}

function postgresStorage(sql: Sql): Storage {
  return {
    apps: postgresApps(sql),
    flows: postgresFlows(sql),
    accounts: postgresAccounts(sql),
    tokens: postgresTokens(sql),
    keys: postgresKeys(sql),
    events: postgresEvents(sql),
    ping: () => ping(sql),
    async close() {
      await null // a statement reaches the driver one microtask after its call
      await sql.end({ timeout: endTimeoutSeconds })
    },
  }
}

async function ping(sql: Sql): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`PostgreSQL did not answer within ${pingTimeoutMs} ms.`)),
    pingTimeoutMs,
  )
  try {
    await Promise.race([sql`select 1`, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
