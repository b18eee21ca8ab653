import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import postgres from "postgres"
import { postgresAccounts } from "../../src/adapters/postgres/accounts.ts"
import { postgresKeys } from "../../src/adapters/postgres/keys.ts"
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { postgresTokens } from "../../src/adapters/postgres/tokens.ts"
import { sqliteAccounts } from "../../src/adapters/sqlite/accounts.ts"
import { openDatabase } from "../../src/adapters/sqlite/database.ts"
import { groupCommit } from "../../src/adapters/sqlite/group-commit.ts"
import { migrateSqlite } from "../../src/adapters/sqlite/migrations.ts"
import { preparedWhenAsked } from "../../src/adapters/sqlite/statements.ts"
import { sqliteTokens } from "../../src/adapters/sqlite/tokens.ts"
import { type TurnReads, turnReads } from "../../src/adapters/sqlite/turn-reads.ts"
import type { Health } from "../../src/domain/account.ts"
import type { AccountFilter, Storage } from "../../src/ports/storage.ts"
import {
  evenTenant,
  fillPostgres,
  fillSqlite,
  largeTenant,
  moment,
  searched,
} from "../bench/harness/scale-fill.ts"
import { freshDatabase } from "../support/postgres.ts"
import { after } from "../support/storage-fixtures.ts"
import { type NotedPostgres, type NotedSqlite, notedPostgres, notedSqlite } from "./query-plans.ts"

const accounts = 4000
const owner = { tenant: largeTenant, environment: "live" } as const
const position = { connectedAt: moment, id: "acc_" }
const due = { provider: "x", limit: 20, perApp: 5, exceptApps: ["oa_made_up"] } as const
const lease = { now: moment, until: after(1, moment), risky: true }

type Lists = Pick<Storage["accounts"], "list">

/** What a list must read in order, by its filter: an index that has it, and none besides. */
const lists: readonly (readonly [string, AccountFilter, string])[] = [
  ["all", {}, "accounts_newest"],
  ["those of a provider", { provider: "facebook" }, "accounts_newest"],
  ["those of the usual health", { health: "active" }, "accounts_newest"],
  ...(["expiring", "reauthorization_required", "refresh_unknown", "unconfirmed"] as const).map(
    (health: Health) => [`those that are ${health}`, { health }, "accounts_of_health"] as const,
  ),
  ["those of a reference", { reference: "user-000000003" }, "accounts_of_reference"],
  ["those that a search finds", { query: searched }, "accounts_newest"],
]

describe("sqlite", () => {
  const home = mkdtempSync(join(tmpdir(), "mooring-plans-"))
  let noted: NotedSqlite
  let reads: TurnReads
  let tokens: Storage["tokens"]
  let list: Lists["list"]
  beforeAll(async () => {
    const path = join(home, "mooring.db")
    await migrateSqlite(path)
    fillSqlite(path, accounts)
    noted = notedSqlite(openDatabase(path))
    reads = turnReads(noted.db)
    const opened = { db: preparedWhenAsked(noted.db), write: groupCommit(noted.db, reads.end).write, reads }
    tokens = sqliteTokens(opened)
    list = sqliteAccounts(opened).list
  })
  afterAll(() => {
    reads.end()
    noted.db.close()
    rmSync(home, { recursive: true })
  })

  const plans = () => {
    const asked = noted.plans()
    for (const { plan } of asked) expect(plan).not.toMatch(/SCAN accounts\b/)
    return asked.map(({ plan }) => plan).join("\n")
  }

  test.each(lists)("of %s a page, far or near, is read in order from one index", async (_, filter, index) => {
    for (const page of [{ limit: 50 }, { limit: 50, after: position }]) {
      await list(owner, filter, page)
      const asked = noted.plans().filter(({ statement }) => statement.includes("order by"))
      expect(asked).toHaveLength(1)
      expect(asked[0]?.plan).toMatch(new RegExp(`^SEARCH accounts USING INDEX ${index} \\(tenant=`))
      expect(asked[0]?.plan).not.toContain("TEMP B-TREE")
    }
  })

  test.each(lists.filter(([, { reference }]) => reference === undefined))(
    "%s are counted without reading an account",
    async (_, filter) => {
      await list(owner, filter, { limit: 50 })
      const asked = noted.plans().filter(({ statement }) => statement.includes("count(*)"))
      expect(asked).toHaveLength(1)
      expect(asked[0]?.plan).toMatch(/^SEARCH accounts USING COVERING INDEX \S+ \(tenant=/)
    },
  )

  test("a claim looks at those that wait longest, and at each app's alone where one crowds the others out", async () => {
    expect((await tokens.claimDue(due, lease)).length).toBe(20)
    expect(plans()).toContain("SEARCH accounts USING INDEX accounts_due (provider=? AND due_at<?)")
    await tokens.claimDue({ ...due, provider: "tiktok", limit: 19, perApp: 1 }, lease)
    const crowded = plans()
    const ofApp = /SEARCH \w+ USING INDEX accounts_of_app \(oauth_app_id=\? AND provider=\? AND due_at<\?\)/g
    // Once over all apps, once for each of those that wait longest.
    expect(crowded.match(ofApp)).toHaveLength(2)
    expect(crowded).toContain("SEARCH accounts USING INTEGER PRIMARY KEY (rowid=?)")
    expect(crowded).not.toContain("SEARCH accounts USING INDEX sqlite_autoindex_accounts_1")
  })

  test("whom the clock has changed is looked up in the small indexes for it", async () => {
    expect(await tokens.findChangedByClock(moment, after(7 * 86_400_000, moment), 10)).not.toEqual([])
    const asked = plans()
    expect(
      asked.match(/USING INDEX accounts_needing_person \(health=\? AND person_needed_at<\?\)/g),
    ).toHaveLength(3)
    expect(asked).toContain("USING INDEX accounts_lost (lease_until<?)")
  })
})

/** A few thousand rows are soon sorted, so the planner is told what it finds out by itself where there are many. */
const asIfMany = { enable_seqscan: "off", enable_bitmapscan: "off", enable_sort: "off" }
/** As it is planned with what was given, and for all that may be given. */
const explained = ["explain (costs off)", "explain (generic_plan, costs off)"]

describe.each(["before it was ever analyzed", "analyzed"])("postgres, %s", (when) => {
  let database: Awaited<ReturnType<typeof freshDatabase>>
  let noted: NotedPostgres
  beforeAll(async () => {
    database = await freshDatabase()
    await migratePostgres(database.url)
    const sql = postgres(database.url, { max: 1, fetch_types: false, onnotice: () => {} })
    await sql`alter table accounts set (autovacuum_enabled = off)`
    await fillPostgres(database.url, accounts, { analyzed: when === "analyzed" })
    await sql.end()
    noted = notedPostgres(database.url, asIfMany)
  })
  afterAll(async () => {
    await noted.end()
    await database.drop()
  })

  const plans = async () => {
    const all = []
    const asked = noted.take()
    for (const explain of explained) all.push(...(await noted.plans(asked, explain)))
    return all
  }

  test.each(lists)("of %s a page, far or near, is read in order from one index", async (_, filter, index) => {
    for (const page of [{ limit: 50 }, { limit: 50, after: position }]) {
      await postgresAccounts(noted.sql).list(owner, filter, page)
      for (const { plan } of await plans()) {
        expect(plan).toContain(`using ${index} on accounts`)
        expect(plan).not.toContain("Seq Scan on accounts")
      }
    }
  })

  test.each(lists.filter(([, { provider, query }]) => provider === undefined && query === undefined))(
    "%s are counted in the order in which they lie",
    async (_, filter, index) => {
      await postgresAccounts(noted.sql).list(owner, filter, { limit: 1 })
      for (const { plan } of await plans()) {
        const [total, page] = plan.match(/using accounts_\w+/g) ?? []
        expect([total, page]).toEqual([`using ${index}`, `using ${index}`])
      }
    },
  )

  test("what a search must look at is looked at once, for its page and its total", async () => {
    for (const page of [{ limit: 50 }, { limit: 50, after: position }]) {
      await postgresAccounts(noted.sql).list(owner, { query: searched }, page)
      for (const { plan } of await plans()) expect(plan.match(/POSITION/g)).toHaveLength(1)
    }
  })

  test("a list is planned alike for whoever asks and for whatever, so that it is planned once", async () => {
    const filters: readonly (readonly [AccountFilter, AccountFilter])[] = [
      [{}, {}],
      [{ provider: "x" }, { provider: "facebook" }],
      [{ reference: "user-000000003" }, { reference: "nobody" }],
      [{ query: searched }, { query: searched }],
    ]
    for (const [few, many] of filters) {
      const planned = new Set<string>()
      for (const [tenant, filter, page] of [
        [evenTenant, few, { limit: 1, after: { connectedAt: new Date(0), id: "acc_" } }],
        [largeTenant, many, { limit: 50, after: position }],
      ] as const) {
        await postgresAccounts(noted.sql).list({ tenant, environment: "live" }, filter, page)
        const [asked] = await noted.plans(noted.take(), "explain")
        planned.add(asked?.plan ?? "")
      }
      expect([...planned]).toHaveLength(1)
    }
  })

  test("a token is read by its key's and its account's id", async () => {
    await postgresKeys(noted.sql).findWith("key_made_up", { kind: "account", id: "acc_made_up" })
    for (const { plan } of await plans()) expect(plan).not.toContain("Seq Scan on accounts")
  })

  test("a claim looks at those that wait longest, and at each app's alone where one crowds the others out", async () => {
    expect(await postgresTokens(noted.sql).claimDue(due, lease)).toHaveLength(20)
    for (const { plan } of await plans()) {
      expect(plan).toContain("Index Scan using accounts_due on accounts")
      expect(plan).toContain("Index Scan using accounts_of_app on accounts")
      expect(plan).not.toContain("Seq Scan on accounts")
    }
  })

  test("a claim is planned alike for whichever provider and however many, so that it is planned once", async () => {
    const planned = new Set<string>()
    for (const [asked, at] of [
      [due, moment],
      [{ ...due, provider: "tiktok", limit: 3, perApp: 1 }, after(-9_999_999, moment)],
    ] as const) {
      await postgresTokens(noted.sql).claimDue(asked, { now: at, until: after(1, moment), risky: false })
      const [first] = await noted.plans(noted.take(), "explain")
      planned.add(first?.plan ?? "")
    }
    expect([...planned]).toHaveLength(1)
  })

  test("whom the clock has changed is looked up in the small indexes for it", async () => {
    await postgresTokens(noted.sql).findChangedByClock(moment, after(7 * 86_400_000, moment), 10)
    for (const { plan } of await plans()) {
      expect(plan).toContain("accounts_person_soon")
      expect(plan).toContain("accounts_person_needed")
      expect(plan).toContain("accounts_lost")
      expect(plan).not.toContain("Seq Scan on accounts")
    }
  })
})
