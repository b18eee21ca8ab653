import { Database } from "bun:sqlite"
import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import connectTables from "../../src/adapters/sqlite/migrations/001-connect.sql" with { type: "text" }
import tokenLife from "../../src/adapters/sqlite/migrations/002-token-life.sql" with { type: "text" }
import { migrateSqlite } from "../../src/adapters/sqlite/migrations.ts"
import { openSqliteStorage } from "../../src/adapters/sqlite/storage.ts"
import {
  acme,
  addWebhook,
  after,
  anEvent,
  anId,
  eventsOf,
  happen,
  noon,
} from "../support/storage-fixtures.ts"

const home = mkdtempSync(join(tmpdir(), "mooring-sqlite-events-"))
afterAll(() => rmSync(home, { recursive: true }))

test("the events of an older database come in the order of their ids, and nobody is told of them", async () => {
  const path = join(home, "mooring.db")
  const ids = [3, 1, 2].map((ms) => anId("evt", after(ms)))
  const db = new Database(path)
  db.run(connectTables)
  db.run(tokenLife)
  db.run("create table migrations (name text primary key, applied_at integer) strict")
  db.run("insert into migrations values ('001-connect', 0), ('002-token-life', 0)")
  const store = db.query(
    "insert into events (id, tenant, environment, type, at, actor) values (?, ?, ?, ?, ?, ?)",
  )
  for (const id of ids)
    store.run(id, acme.tenant, acme.environment, "account.updated", noon.getTime(), "key:made-up")
  db.close()
  await migrateSqlite(path)
  const storage = await openSqliteStorage(path, { serve: true })
  expect(await eventsOf(storage)).toEqual(ids.toSorted().map((id) => anEvent({ id })))
  await addWebhook(storage, { createdAt: new Date(0) })
  expect(await storage.deliveries.fanOut(noon, 100)).toBe(1)
  const { position } = await storage.events.list(acme, {}, { limit: 4 })
  const later = await happen(storage, {})
  expect((await storage.events.list(acme, {}, { limit: 9, after: position ?? "" })).items).toEqual(later)
  await storage.close()
})
