import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import postgres, { type Sql } from "postgres"
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import type { KeyWithNeed, Storage } from "../../src/ports/storage.ts"
import { rememberedContract } from "../contract/storage-remembered.ts"
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts"
import { aConnection, aKey, anApp, anEvent, noon, sealed, takenFlow } from "../support/storage-fixtures.ts"

describe("what an instance on PostgreSQL remembers", () => {
  let database: FreshDatabase
  let direct: Sql
  let storage: Storage
  beforeAll(async () => {
    database = await freshDatabase()
    await migratePostgres(database.url)
    direct = postgres(database.url, { max: 1, fetch_types: false })
    storage = await openPostgresStorage(database.url)
  })
  afterAll(async () => {
    await storage.close()
    await direct.end()
    await database.drop()
  })

  rememberedContract(() => openPostgresStorage(database.url), 40)

  /** A key with an app and an account, and how each of them is looked up. */
  async function aTenant(at = storage) {
    const key = aKey()
    await at.keys.add(key, anEvent())
    const app = await at.apps.add(anApp(), anEvent())
    const { account } = await at.tokens.register(aConnection())
    const find = (opened: Storage) => ({
      api_keys: () => opened.keys.findWith(key.id, { kind: "app", provider: app.provider, id: app.id }),
      oauth_apps: () => opened.keys.findWith(key.id, { kind: "app", provider: app.provider, id: app.id }),
      accounts: () => opened.keys.findWith(key.id, { kind: "account", id: account.id }),
    })
    return { find, ids: { api_keys: key.id, oauth_apps: app.id, accounts: account.id } }
  }

  test("is the very record that was found before, as long as nothing writes it", async () => {
    const { find } = await aTenant()
    for (const look of Object.values(find(storage))) {
      const found = await look()
      expect(found?.key).toBeDefined()
      expect(await look()).toBe(found as KeyWithNeed)
    }
  })

  test("is each look-up's own, whoever else asks in the same moment, of rows that one transaction wrote", async () => {
    const key = aKey()
    await storage.keys.add(key, anEvent())
    const flow = await takenFlow(storage)
    const three = ["one", "two", "three"].map((token) => aConnection({}, { accessToken: sealed(token) }))
    await storage.flows.connect(flow.id, three, noon)
    const [a, b, c] = three.map(({ account }) => account.id) as [string, string, string]
    const asked = [a, a, b, a, c]
    for (let again = 0; again < 3; again++) {
      const found = await Promise.all(
        asked.map((id) => storage.keys.findWith(key.id, { kind: "account", id })),
      )
      expect(found.map((each) => each?.account?.account.id)).toEqual(asked)
      expect(found.map((each) => each?.account?.credentials.accessToken)).toEqual(
        ["one", "one", "two", "one", "three"].map(sealed),
      )
    }
  })

  const rows = ["api_keys", "oauth_apps", "accounts"] as const

  test.each(rows)("is found anew where somebody wrote %s by hand, each of its columns", async (table) => {
    const { find, ids } = await aTenant()
    const columns = await direct<{ name: string; type: string }[]>`
      select column_name as name, data_type as type from information_schema.columns
      where table_name = ${table} and is_generated = 'NEVER'
        and column_name not in ('id', 'tenant', 'environment', 'provider', 'health')`
    expect(columns.length).toBeGreaterThan(5)
    for (const { name } of columns) {
      const before = await find(storage)[table]()
      // The value that it has already: a write that changes nothing is one as well.
      await direct`update ${direct(table)} set ${direct(name)} = ${direct(name)} where id = ${ids[table]}`
      const found = await find(storage)[table]()
      expect(found).not.toBe(before as KeyWithNeed)
      expect(found).toStrictEqual(before as KeyWithNeed)
    }
    const other = await openPostgresStorage(database.url)
    await direct`delete from ${direct(table)} where id = ${ids[table]}`
    expect(await find(storage)[table]()).toStrictEqual((await find(other)[table]()) as KeyWithNeed)
    await other.close()
  })

  test("another default app comes with the key from the next call on", async () => {
    const key = aKey({ tenant: "moving" })
    const owner = { tenant: "moving", environment: "live" } as const
    await storage.keys.add(key, anEvent(owner))
    const found = async () =>
      (await storage.keys.findWith(key.id, { kind: "app", provider: "x", id: null }))?.app
    expect(await found()).toBeNull()
    const first = await storage.apps.add(anApp(owner), anEvent(owner))
    expect(await found()).toEqual(first)
    // In one transaction, so that both rows are of the same writer.
    const second = await storage.apps.add(anApp(owner), anEvent(owner))
    await direct.begin(async (tx) => {
      await tx`update oauth_apps set is_default = false where id = ${first.id}`
      await tx`update oauth_apps set is_default = true where id = ${second.id}`
    })
    expect(await found()).toEqual({ ...second, isDefault: true })
    await direct.begin(async (tx) => {
      await tx`update oauth_apps set is_default = false where id = ${second.id}`
      await tx`update oauth_apps set is_default = true where id = ${first.id}`
    })
    expect(await found()).toEqual(first)
    await direct`delete from oauth_apps where tenant = 'moving'`
    expect(await found()).toBeNull()
  })

  test("is not trusted once the server has started anew, has recovered, or is another one", async () => {
    const own = await freshDatabase()
    await migratePostgres(own.url)
    const sql = postgres(own.url, { max: 1, fetch_types: false, onnotice: () => {} })
    // Stands before the server's own, for connections that are opened from now on.
    await sql`create table runs as select now() as started, now() as recovered`
    await sql`
      create function public.pg_postmaster_start_time() returns timestamptz stable language sql
      as 'select started from public.runs'`
    await sql`
      create function public.pg_stat_get_bgwriter_stat_reset_time() returns timestamptz stable language sql
      as 'select recovered from public.runs'`
    await sql`alter database ${sql(new URL(own.url).pathname.slice(1))} set search_path = public, pg_catalog`
    const opened = await openPostgresStorage(own.url)
    const { find } = await aTenant(opened)
    for (const [look, what] of Object.values(find(opened)).flatMap((look) =>
      (["started", "recovered"] as const).map((what) => [look, what] as const),
    )) {
      const before = await look()
      expect(await look()).toBe(before as KeyWithNeed)
      await sql`update runs set ${sql(what)} = ${sql(what)} + interval '1 second'`
      const after = await look()
      expect(after).not.toBe(before as KeyWithNeed)
      expect(after).toStrictEqual(before as KeyWithNeed)
    }
    await opened.close()
    await sql.end()
    await own.drop()
  })
})
