import type { Database } from "bun:sqlite"
import { createDatabase, openDatabase } from "./database.ts"
import connect from "./migrations/001-connect.sql" with { type: "text" }
import tokenLife from "./migrations/002-token-life.sql" with { type: "text" }
import events from "./migrations/003-events.sql" with { type: "text" }
import inspect from "./migrations/004-inspect.sql" with { type: "text" }
import scale from "./migrations/005-scale.sql" with { type: "text" }
import lighterWrites from "./migrations/006-lighter-writes.sql" with { type: "text" }

/** In the order of their numbers; what has been released is never changed. */
const migrations = [
  { name: "001-connect", sql: connect },
  { name: "002-token-life", sql: tokenLife },
  { name: "003-events", sql: events },
  { name: "004-inspect", sql: inspect },
  { name: "005-scale", sql: scale },
  { name: "006-lighter-writes", sql: lighterWrites },
]

/**
 * Brings the database up to this program's tables, making it where there is none, in one transaction.
 * Resolves to the names of the migrations it applied. Refuses a database that is newer than the program.
 */
export async function migrateSqlite(path: string): Promise<readonly string[]> {
  createDatabase(path)
  const db = openDatabase(path)
  try {
    return db.transaction(() => applyMissing(db, path)).immediate()
  } finally {
    db.close(true)
  }
}

/** Throws, saying what to do, where the database is older or newer than this program. */
export function requireCurrent(db: Database, path: string): void {
  const applied = appliedMigrations(db)
  refuseNewer(applied, path)
  const missing = migrations.filter(({ name }) => !applied.includes(name))
  if (missing.length === 0) return
  throw new Error(
    `The database ${path} lacks ${missing.map(({ name }) => name).join(", ")}; run "mooring migrate" first.`,
  )
}

function applyMissing(db: Database, path: string): readonly string[] {
  const applied = appliedMigrations(db)
  refuseNewer(applied, path)
  const missing = migrations.filter(({ name }) => !applied.includes(name))
  if (applied.length === 0)
    db.run("create table migrations (name text primary key, applied_at integer) strict")
  for (const { name, sql } of missing) {
    db.run(sql)
    db.query("insert into migrations (name, applied_at) values ($name, $applied_at)").run({
      name,
      applied_at: Date.now(),
    })
  }
  return missing.map(({ name }) => name)
}

function appliedMigrations(db: Database): readonly string[] {
  const table = db.query("select 1 from sqlite_schema where type = 'table' and name = 'migrations'").get()
  if (table === null) return []
  return db
    .query<{ name: string }, []>("select name from migrations order by name")
    .all()
    .map(({ name }) => name)
}

function refuseNewer(applied: readonly string[], path: string): void {
  const unknown = applied.filter((name) => !migrations.some((known) => known.name === name))
  if (unknown.length === 0) return
  throw new Error(
    `The database ${path} is newer than this program, which does not know ${unknown.join(", ")}; run the newer program.`,
  )
}
