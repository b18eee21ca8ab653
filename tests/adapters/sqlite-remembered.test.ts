import { Database } from "bun:sqlite"
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { array, assert, asyncProperty, boolean, constantFrom, integer, record } from "fast-check"
import { migrateSqlite } from "../../src/adapters/sqlite/migrations.ts"
import { recent } from "../../src/adapters/sqlite/recent.ts"
import { preparedWhenAsked, tellingOfAccounts } from "../../src/adapters/sqlite/statements.ts"
import { openSqliteStorage } from "../../src/adapters/sqlite/storage.ts"
import type { Account } from "../../src/domain/account.ts"
import type { ConnectFlow as Flow } from "../../src/domain/connect-flow.ts"
import type { HeldAccount, RefreshClaim, Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  aFlow,
  after,
  aLease,
  anApp,
  anEvent,
  anId,
  claimOf,
  heldOf,
  keep,
  noon,
  renewedTokens,
  sealed,
  settledRefresh,
  strangers,
  takenFlow,
  unconfirmed,
} from "../support/storage-fixtures.ts"

const home = mkdtempSync(join(tmpdir(), "mooring-sqlite-remembered-"))
afterAll(() => rmSync(home, { recursive: true }))
const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

/** All that writes to an account, or to the app that is read with it. */
const writes = {
  connect: async ({ storage, app }, { account }, event) => {
    const flow = await takenFlow(storage, { oauthAppId: app })
    const { platformAccountId } = account
    const again = aConnection({ platformAccountId, oauthAppId: app }, { accessToken: sealed(anId("acc")) })
    await storage.flows.connect(flow.id, [{ ...again, event: { ...again.event, id: event } }], after(2000))
  },
  register: async ({ storage, app }, { account }, event) => {
    const again = aConnection({
      platformAccountId: account.platformAccountId,
      oauthAppId: app,
      handle: event,
    })
    await storage.tokens.register({ ...again, event: { ...again.event, id: event } })
  },
  hold: ({ storage }, { account }) => hold(storage, { ...account, updatedAt: after(9) }),
  forget: ({ storage }) => storage.flows.forgetUnconfirmed(after(10), 10),
  claim: ({ storage }, held) => storage.tokens.claim(claimOf(held), aLease({ risky: true })),
  prolong: async ({ storage, server }, held) =>
    storage.tokens.prolong(await holderOf(server, held), after(20_000)),
  renew: async ({ storage, server }, held, event) =>
    storage.tokens.renew(await holderOf(server, held), renewedTokens(), anEvent({ id: event })),
  settle: async ({ storage, server }, held, event) =>
    storage.tokens.settle(await holderOf(server, held), settledRefresh(), anEvent({ id: event })),
  claimDue: ({ storage }) =>
    storage.tokens.claimDue(
      { provider: "x", limit: 2, perApp: 2, exceptApps: [] },
      aLease({ now: after(90 * 86_400_000), until: after(90 * 86_400_000 + 1) }),
    ),
  changeHealth: ({ storage }, held, event) =>
    storage.tokens.changeHealth(
      { ...claimOf(held), health: held.account.health },
      "expiring",
      "ends soon",
      anEvent({ id: event }),
      noon,
    ),
  noteLost: ({ storage, app }, _, event) =>
    storage.tokens.noteLostGrants(
      { owner: acme, provider: "x", oauthAppId: app, personId: "person-1", kept: [] },
      `lost ${event}`,
      anEvent(),
      () => (event === taken ? taken : anId("evt")),
    ),
  remove: ({ storage }, { account }, event) =>
    storage.tokens.remove(acme, account.id, anEvent({ id: event })),
  changeApp: ({ storage, app }, _, event) =>
    storage.apps.change(acme, app, { name: event, updatedAt: noon }, anEvent({ id: event })),
} satisfies Record<string, Write>

type Write = (
  place: { readonly storage: Storage; readonly server: Storage; readonly app: string },
  held: HeldAccount,
  /** The id of its event; one that is taken makes the write fail, and be undone. */
  event: string,
) => Promise<unknown>

/** Of an event that is stored already. */
const taken = anId("evt")

/** The claim of whoever holds an account, which the server has read as it is under it. */
async function holderOf(server: Storage, held: HeldAccount): Promise<RefreshClaim> {
  await server.tokens.claim(claimOf(held), aLease())
  return claimOf(await heldOf(server, held.account))
}

async function hold(storage: Storage, account: Partial<Account>): Promise<Account> {
  const flow = await takenFlow(storage, { proof: true })
  const held = unconfirmed({ ...account, healthDetail: flow.id })
  await storage.flows.hold(flow.id, [held], sealed("candidates"), after(600_000))
  return held.account
}

const step = record({
  write: constantFrom(...(Object.keys(writes) as (keyof typeof writes)[])),
  account: integer({ min: 0, max: 3 }),
  fails: boolean(),
  byCommand: boolean(),
  /** Whether the next one is asked for within the same turn. */
  withNext: boolean(),
})

describe("what the server remembers of accounts", () => {
  test("is what is stored, whoever writes what in whatever order, failed writes and shared transactions included", async () => {
    const path = join(home, "any.db")
    await migrateSqlite(path)
    const server = await openSqliteStorage(path, { serve: true })
    const command = await openSqliteStorage(path, { serve: false })
    const { id: app } = await server.apps.add(anApp(), anEvent({ id: taken }))
    const done = new Set<string>()
    await assert(
      asyncProperty(array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const account = { oauthAppId: app, metadata: { person_id: "person-1" } }
        const kept = [
          keep(server, account),
          keep(server, account),
          hold(server, account),
          hold(server, account),
        ]
        const ids = (await Promise.all(kept)).map(({ id }) => id)
        const seen = (storage: Storage) => Promise.all(ids.map((id) => storage.tokens.read(acme, id)))
        let under: Promise<unknown>[] = []
        for (const { write, account, fails, byCommand, withNext } of steps) {
          const held = (await seen(server))[account]
          if (!held) continue
          const place = { storage: byCommand ? command : server, server, app }
          under.push(writes[write](place, held, fails ? taken : anId("evt")).catch(() => {}))
          done.add(write)
          await seen(server)
          if (withNext) continue
          await Promise.all(under)
          under = []
          await nextTurn()
          const remembered = await seen(server)
          const fresh = await openSqliteStorage(path, { serve: false })
          expect(remembered).toStrictEqual(await seen(fresh))
          await nextTurn() // ends the reads, for which closing would wait
          await fresh.close()
        }
        await Promise.all(under)
      }),
      { numRuns: 100 },
    )
    expect(done.size).toBe(Object.keys(writes).length)
    await command.close()
    await server.close()
  }, 60_000)

  test("is answered without asking again, to its owner alone", async () => {
    const path = join(home, "owner.db")
    await migrateSqlite(path)
    const server = await openSqliteStorage(path, { serve: true })
    const account = await keep(server)
    const held = await heldOf(server, account)
    await nextTurn()
    expect(await heldOf(server, account)).toBe(held)
    for (const stranger of strangers) expect(await server.tokens.read(stranger, account.id)).toBeUndefined()
    await server.close()
  })
})

test("an app that a command changed comes along with the flow that is taken next", async () => {
  const path = join(home, "taken.db")
  await migrateSqlite(path)
  const server = await openSqliteStorage(path, { serve: true })
  const command = await openSqliteStorage(path, { serve: false })
  const app = await server.apps.add(anApp(), anEvent())
  const [first, second, third] = [0, 1, 2].map(() => aFlow({ oauthAppId: app.id })) as [Flow, Flow, Flow]
  for (const flow of [first, second, third]) await server.flows.add(flow)
  const taken = async ({ id }: Flow) => (await server.flows.consume(id, after(1)))?.app
  await server.apps.find(acme, app.id)
  await nextTurn()
  expect(await taken(first)).toEqual(app)
  await command.apps.change(acme, app.id, { name: "Renamed", updatedAt: noon }, anEvent())
  expect((await taken(second))?.name).toBe("Renamed")
  // Within one transaction what the work before has done is seen.
  void server.apps.change(acme, app.id, { name: "Renamed again", updatedAt: noon }, anEvent())
  expect((await taken(third))?.name).toBe("Renamed again")
  await nextTurn()
  await command.close()
  await server.close()
})

describe("a write to accounts", () => {
  const opened = () => {
    const db = new Database(":memory:")
    db.run("create table accounts (id text, name text)")
    db.run("create table notes (id text)")
    const told: string[] = []
    return { statements: tellingOfAccounts(preparedWhenAsked(db), (id) => told.push(id)), told }
  }

  test("tells of each one that it writes, however it is asked, and counts them", () => {
    const { statements, told } = opened()
    const insert = statements.query<never, [string]>("insert into accounts (id) values (?) returning [id]")
    expect(["a", "b", "c"].map((id) => insert.run(id).changes)).toEqual([1, 1, 1])
    const rename = statements.query("update accounts set name = 'x' where id < 'c' returning id, name")
    expect(rename.get()).toEqual({ id: "a", name: "x" } as never)
    expect(statements.query("delete from accounts where id = 'c' returning id").all()).toHaveLength(1)
    expect(statements.query("delete from accounts where id = 'd' returning id").run().changes).toBe(0)
    expect(told).toEqual(["a", "b", "c", "a", "b", "c"])
  })

  test("that would not tell which is refused before it is ever asked", () => {
    const { statements } = opened()
    for (const write of [
      "update accounts set name = 'x'",
      "delete from accounts",
      "insert into accounts values ('d', null) returning name",
      "insert or replace\n into accounts values ('d', null)",
      "update or ignore main.accounts set name = 'x'",
      'update "accounts" set name = 1',
      "update [accounts] set name = 1",
      "delete\n  from accounts",
    ])
      expect(() => statements.query(write)).toThrow("must be returning id")
    expect(statements.query("insert into notes values ('n')").run().changes).toBe(1)
  })
})

describe("what was asked for last", () => {
  const names = (from: number, until: number) =>
    Array.from({ length: until - from }, (_, i) => String(from + i))

  test("is kept, so many at least and twice as many at most", () => {
    const kept = recent<string>(100)
    for (const name of names(0, 1000)) kept.set(name, name)
    expect(names(900, 1000).map(kept.get)).toEqual(names(900, 1000))
    expect(names(0, 800).filter((name) => kept.get(name) !== undefined)).toEqual([])
  })

  test("stays while it is asked for, whatever comes besides", () => {
    const kept = recent<string>(100)
    kept.set("asked for", "yes")
    for (const name of names(0, 1000)) {
      kept.set(name, name)
      expect(kept.get("asked for")).toBe("yes")
    }
  })

  test("is gone when it is deleted or all is cleared, however long it was kept", () => {
    for (const later of [0, 60]) {
      const kept = recent<string>(50)
      kept.set("old", "yes")
      for (const name of names(0, later)) kept.set(name, name)
      expect(kept.get("old")).toBe("yes")
      for (const name of names(100, 100 + later)) kept.set(name, name)
      kept.delete("old")
      expect(kept.get("old")).toBeUndefined()
      kept.set("old", "again")
      kept.clear()
      expect(kept.get("old")).toBeUndefined()
    }
  })
})
