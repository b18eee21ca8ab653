import type { ISql, Sql } from "postgres"
import { connect, endTimeoutSeconds } from "./connection.ts"
import connectTables from "./migrations/001-connect.sql" with { type: "text" }
import tokenLife from "./migrations/002-token-life.sql" with { type: "text" }
import events from "./migrations/003-events.sql" with { type: "text" }
import inspect from "./migrations/004-inspect.sql" with { type: "text" }
import scale from "./migrations/005-scale.sql" with { type: "text" }

/** In the order of their numbers; what has been released is never changed. */
const migrations = [
  { name: "001-connect", sql: connectTables },
  { name: "002-token-life", sql: tokenLife },
  { name: "003-events", sql: events },
  { name: "004-inspect", sql: inspect },
  { name: "005-scale", sql: scale },
]

/**
 * Brings the database up to this program's tables in one transaction; of several at once one does the work
 * and the others wait for it. Resolves to the names of the migrations it applied. Refuses a database that is
 * newer than the program.
 */
export async function migratePostgres(url: string): Promise<readonly string[]> {
  const sql = connect(url, { connections: 1, lockTimeoutMs: 0 })
  try {
    return await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(hashtextextended('mooring migrations', 0))`
      return await applyMissing(tx)
    })
  } finally {
    await sql.end({ timeout: endTimeoutSeconds })
  }
}

/** Rejects, saying what to do, where the database is older or newer than this program. */
export async function requireCurrent(sql: Sql): Promise<void> {
  const applied = await appliedMigrations(sql)
  refuseNewer(applied)
  const missing = migrations.filter(({ name }) => !applied.includes(name))
  if (missing.length === 0) return
  throw new Error(
    `The PostgreSQL database lacks ${missing.map(({ name }) => name).join(", ")}; run "mooring migrate" first.`,
  )
}

async function applyMissing(tx: ISql): Promise<readonly string[]> {
  const applied = await appliedMigrations(tx)
  refuseNewer(applied)
  const missing = migrations.filter(({ name }) => !applied.includes(name))
  if (applied.length === 0) {
    await tx`create table migrations (name text collate "C" primary key, applied_at timestamptz(3) not null)`
  }
  for (const { name, sql } of missing) {
    await tx.unsafe(sql) // our own text: a file of many statements has no other way in
    await tx`insert into migrations (name, applied_at) values (${name}, now())`
  }
  return missing.map(({ name }) => name)
}

async function appliedMigrations(sql: ISql): Promise<readonly string[]> {
  const [table] = await sql<{ exists: boolean }[]>`select to_regclass('migrations') is not null as exists`
  if (!table?.exists) return []
  const rows = await sql<{ name: string }[]>`select name from migrations order by name`
  return rows.map(({ name }) => name)
}

function refuseNewer(applied: readonly string[]): void {
  const unknown = applied.filter((name) => !migrations.some((known) => known.name === name))
  if (unknown.length === 0) return
  throw new Error(
    `The PostgreSQL database is newer than this program, which does not know ${unknown.join(", ")}; run the newer program.`,
  )
}
