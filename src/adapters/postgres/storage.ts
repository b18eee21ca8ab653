import type { Sql } from "postgres"
import type { Storage } from "../../ports/storage.ts"
import { postgresAccounts } from "./accounts.ts"
import { postgresApps } from "./apps.ts"
import { tellingAway } from "./availability.ts"
import { connect, endTimeoutSeconds } from "./connection.ts"
import { postgresDeliveries } from "./deliveries.ts"
import { postgresEvents } from "./events.ts"
import { postgresFlows } from "./flows.ts"
import { postgresKeys } from "./keys.ts"
import { requireCurrent } from "./migrations.ts"
import { postgresTokens } from "./tokens.ts"
import { postgresWebhooks } from "./webhooks.ts"

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
  const [flows, keys] = [postgresFlows(sql), postgresKeys(sql)]
  return {
    apps: tellingAway(postgresApps(sql)),
    flows: tellingAway(flows),
    accounts: tellingAway(postgresAccounts(sql)),
    tokens: tellingAway(postgresTokens(sql)),
    keys: tellingAway(keys),
    events: tellingAway(postgresEvents(sql)),
    webhooks: tellingAway(postgresWebhooks(sql)),
    deliveries: tellingAway(postgresDeliveries(sql)),
    ping: () => ping(sql),
    async close() {
      const asked = Promise.all([flows.close(), keys.close()])
      await inTime(asked, endTimeoutSeconds * 1000).catch(() => {}) // the rest is lost with the pool
      await sql.end({ timeout: endTimeoutSeconds })
    },
  }
}

async function ping(sql: Sql): Promise<void> {
  await inTime(sql`select 1`, pingTimeoutMs)
}

/** Rejects where the work takes longer. */
async function inTime(work: PromiseLike<unknown>, limitMs: number): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`PostgreSQL did not answer within ${limitMs} ms.`)),
    limitMs,
  )
  try {
    await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
