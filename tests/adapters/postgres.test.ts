import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import postgres from "postgres"
import connectTables from "../../src/adapters/postgres/migrations/001-connect.sql" with { type: "text" }
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import { postgresTokens } from "../../src/adapters/postgres/tokens.ts"
import type { AccountTokens, DueQuery, Storage } from "../../src/ports/storage.ts"
import { type DurableDatabase, durableStorageContract } from "../contract/durable-storage.ts"
import { storageContract } from "../contract/storage.ts"
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts"
import {
  aConnection,
  acme,
  aFlow,
  after,
  aKey,
  anApp,
  anEvent,
  connect,
  noon,
  someCredentials,
} from "../support/storage-fixtures.ts"

/** Behind the storage's back. */
function directly(url: string): postgres.Sql {
  return postgres(url, { max: 2, fetch_types: false, onnotice: () => {} })
}

describe("on one database, emptied before each test", () => {
  let database: FreshDatabase
  let sql: postgres.Sql
  beforeAll(async () => {
    database = await freshDatabase()
    await migratePostgres(database.url)
    sql = directly(database.url)
  })
  afterAll(async () => {
    await sql.end()
    await database.drop()
  })

  storageContract("postgres", async () => {
    await sql`
      with apps as (delete from oauth_apps), flow as (delete from flows), account as (delete from accounts),
        key as (delete from api_keys), webhook as (delete from webhooks)
      delete from events`
    return await openPostgresStorage(database.url)
  })
})

durableStorageContract("postgres", async (): Promise<DurableDatabase> => {
  const { url, drop } = await freshDatabase()
  const sql = directly(url)
  return {
    url,
    migrate: () => migratePostgres(url),
    open: () => openPostgresStorage(url),
    openBeside: () => openPostgresStorage(url),
    query: async (statement) => [...(await sql.unsafe(statement))],
    async drop() {
      await sql.end()
      await drop()
    },
  }
})

describe("the tokens of accounts", () => {
  let database: FreshDatabase
  let storage: Storage
  let sql: postgres.Sql
  beforeEach(async () => {
    database = await freshDatabase()
    await migratePostgres(database.url)
    storage = await openPostgresStorage(database.url)
    sql = directly(database.url)
  })
  afterEach(async () => {
    await storage.close()
    await sql.end()
    await database.drop()
  })

  const lease = { now: noon, until: after(15_000), risky: true }
  const due: DueQuery = { provider: "x", limit: 20, perApp: 5, exceptApps: [] }
  const connectDue = (count: number, oauthAppId: string | null = null) =>
    connect(
      storage,
      ...Array.from({ length: count }, (_, i) =>
        aConnection({ oauthAppId }, {}, { keepAliveAt: after(i - count) }),
      ),
    )

  test("reading, claiming and renewing are one statement each, with app and event", async () => {
    const app = await storage.apps.add(anApp(), anEvent())
    const [account] = await connect(storage, aConnection({ oauthAppId: app.id }))
    const id = account?.id ?? ""
    const statements: string[] = []
    const counted = postgres(database.url, {
      max: 1,
      fetch_types: false,
      debug: (_, statement) => statements.push(statement),
    })
    const tokens = postgresTokens(counted)
    const renewed = {
      credentials: someCredentials(),
      tokenExpiresAt: after(1),
      scopes: null,
      missingScopes: null,
      health: "active",
      healthDetail: null,
      plan: { keepAliveAt: null, personNeededAt: null },
      at: noon,
    } as const

    expect((await tokens.read(acme, id))?.app).toEqual(app)
    expect(statements.splice(0)).toHaveLength(1)
    expect((await tokens.claim({ accountId: id, fence: 0 }, lease))?.app).toEqual(app)
    expect(statements.splice(0)).toHaveLength(1)
    expect((await tokens.renew({ accountId: id, fence: 1 }, renewed, anEvent()))?.id).toBe(id)
    expect(statements.splice(0)).toHaveLength(1)
    expect(await tokens.claimDue(due, lease)).toEqual([])
    expect(statements.splice(0)).toHaveLength(1)
    await counted.end()
  })

  test("four instances that claim what is due at once get each of two hundred accounts exactly once", async () => {
    const apps = await Promise.all(Array.from({ length: 4 }, () => storage.apps.add(anApp(), anEvent())))
    for (const app of apps) await connectDue(50, app.id)
    const instances = await Promise.all([1, 2, 3, 4].map(() => openPostgresStorage(database.url)))
    const claimed = await Promise.all(instances.map(({ tokens }) => claimAll(tokens)))
    expect(new Set(claimed.flat()).size).toBe(200)
    expect(claimed.flat()).toHaveLength(200)
    expect(await sql`select distinct fence from accounts`).toMatchObject([{ fence: 1 }])
    await Promise.all(instances.map((instance) => instance.close()))
  })

  test("of instances that claim at once none comes away empty while more is due than all may take", async () => {
    await connectDue(100)
    const instances = await Promise.all([1, 2, 3, 4].map(() => openPostgresStorage(database.url)))
    for (const { tokens } of instances) await tokens.claimDue({ ...due, provider: "tiktok" }, lease)
    for (let round = 0; round < 5; round++) {
      const claims = await Promise.all(
        instances.map(({ tokens }) => tokens.claimDue({ ...due, limit: 5 }, lease)),
      )
      expect(claims.map((accounts) => accounts.length)).not.toContain(0)
    }
    await Promise.all(instances.map((instance) => instance.close()))
  })

  test("what another transaction holds is skipped without waiting, and looked behind", async () => {
    const accounts = await connectDue(3)
    const [first, second, third] = accounts.map(({ id }) => id)
    const claimed = await sql.begin(async (tx) => {
      await tx`select from accounts where id in (${first ?? ""}, ${second ?? ""}) for update`
      const behind = await storage.tokens.claimDue({ ...due, limit: 1 }, lease)
      return [behind, await storage.tokens.claimDue(due, lease)]
    })
    expect(claimed.map((held) => held.map(({ account }) => account.id))).toEqual([[third ?? ""], []])
  })

  async function claimAll(tokens: AccountTokens): Promise<readonly string[]> {
    const ids: string[] = []
    for (;;) {
      const claimed = await tokens.claimDue(due, lease)
      if (claimed.length === 0) return ids
      const ofApp = Map.groupBy(claimed, ({ account }) => account.oauthAppId)
      expect(Math.max(...[...ofApp.values()].map((held) => held.length))).toBeLessThanOrEqual(due.perApp)
      ids.push(...claimed.map(({ account }) => account.id))
    }
  }
})

describe("a database from before tokens were kept alive", () => {
  test("its accounts are planned for, by what they hold", async () => {
    const { url, drop } = await freshDatabase()
    const sql = directly(url)
    await sql.unsafe(connectTables)
    await sql`create table migrations (name text collate "C" primary key, applied_at timestamptz(3) not null)`
    await sql`insert into migrations values ('001-connect', now())`
    const day = 86_400_000
    const accounts: readonly [string, Partial<Record<"token" | "refresh" | "person", Date>>, boolean][] = [
      ["x", { token: after(1) }, true],
      ["tiktok", { token: after(1), refresh: after(365 * day) }, true],
      ["x", { token: after(1) }, false],
      ["linkedin", { token: after(60 * day), refresh: after(365 * day) }, true],
      ["linkedin", { token: after(60 * day) }, false],
      ["instagram", { token: after(60 * day) }, false],
      ["facebook", { person: after(90 * day) }, false],
    ]
    for (const [provider, { token = null, refresh = null, person = null }, hasRefreshToken] of accounts) {
      const id = `acc_${crypto.randomUUID()}`
      await sql`
        insert into accounts (
          id, tenant, environment, provider, platform_account_id, health, connection_type, scopes,
          missing_scopes, metadata, connected_at, updated_at, access_token, token_type, search,
          refresh_token, token_expires_at, refresh_token_expires_at, person_token_expires_at
        ) values (
          ${id}, 'acme', 'live', ${provider}, ${id}, 'active', 'oauth', '[]', '[]', '{"person_id": "p7"}',
          ${noon}, ${noon}, 'sealed', 'bearer', '', ${hasRefreshToken ? "sealed" : null}, ${token},
          ${refresh}, ${person}
        )`
    }
    expect((await migratePostgres(url)).at(0)).toBe("002-token-life")
    const storage = await openPostgresStorage(url)
    const { items } = await storage.accounts.list(acme, {}, { limit: 10 })
    const held = await Promise.all(items.map(({ id }) => storage.tokens.read(acme, id)))
    const plans = held.map((each) => [each?.account.provider, ...Object.values(each?.plan ?? {})])
    expect(plans.toSorted()).toEqual(
      [
        ["x", after(150 * day), null],
        ["tiktok", after(335 * day), null],
        ["x", null, after(1)],
        ["linkedin", after(53 * day), after(365 * day)],
        ["linkedin", null, after(60 * day)],
        ["instagram", after(46 * day), null],
        ["facebook", null, after(90 * day)],
      ].toSorted(),
    )
    expect(held.map((each) => each?.credentials.obtainedAt)).toEqual(held.map(() => noon))
    const grant = { owner: acme, provider: "facebook", oauthAppId: null, personId: "p7" } as const
    expect(await storage.tokens.countOfPerson(grant)).toBe(1)
    await storage.close()
    await sql.end()
    await drop()
  })
})

describe("the server out of reach", () => {
  test("opening rejects where nobody listens", async () => {
    await expect(openPostgresStorage("postgres://nobody:none@127.0.0.1:1/none")).rejects.toThrow(
      /ECONNREFUSED/,
    )
  })

  test("a call whose connection is lost rejects and has stored nothing, and the pool recovers", async () => {
    const { url, drop } = await freshDatabase()
    await migratePostgres(url)
    const [storage, sql] = [await openPostgresStorage(url), directly(url)]
    const flow = aFlow()
    await storage.flows.add(flow)
    const taken = await sql.begin(async (tx) => {
      await tx`select from flows for update`
      const waiting = storage.flows.consume(flow.id, noon).catch((fault: unknown) => fault)
      await untilWaiting(sql)
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()`
      return await waiting
    })
    expect(taken).toBeInstanceOf(Error)
    // The driver tells the next call over a lost connection of the loss once more, without sending it.
    await Promise.allSettled(Array.from({ length: 20 }, () => storage.flows.find(acme, flow.id)))
    expect(await storage.flows.find(acme, flow.id)).toEqual(flow)
    await storage.close()
    await sql.end()
    await drop()
  })

  test("a ping rejects when the database is gone", async () => {
    const { url, drop } = await freshDatabase()
    await migratePostgres(url)
    const storage = await openPostgresStorage(url)
    expect(await storage.ping()).toBeUndefined()
    await drop()
    await expect(storage.ping()).rejects.toThrow()
    await storage.close()
  })

  test("a ping rejects when the database does not answer in time", async () => {
    const { url, drop } = await freshDatabase()
    await migratePostgres(url)
    const [storage, sql] = [await openPostgresStorage(url), directly(url)]
    const key = aKey()
    await storage.keys.add(key, anEvent())
    const pinged = await sql.begin(async (tx) => {
      await tx`select from api_keys for update`
      const waiting = Array.from({ length: 10 }, () => storage.keys.touch(key.id, noon))
      const ping = await storage.ping().catch((fault: unknown) => fault)
      return { ping, waiting }
    })
    expect(String(pinged.ping)).toBe("Error: PostgreSQL did not answer within 2000 ms.")
    await Promise.all(pinged.waiting)
    await storage.close()
    await sql.end()
    await drop()
  })
})

async function untilWaiting(sql: postgres.Sql): Promise<void> {
  for (;;) {
    const waiting = await sql`
      select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    if (waiting.length > 0) return
    await Bun.sleep(5)
  }
}
