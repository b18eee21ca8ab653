import { Database } from "bun:sqlite"
import { afterAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { migrateSqlite } from "../../src/adapters/sqlite/migrations.ts"
import { preparedWhenAsked, tellingOfAccounts } from "../../src/adapters/sqlite/statements.ts"
import { openSqliteStorage } from "../../src/adapters/sqlite/storage.ts"
import type { ConnectFlow as Flow } from "../../src/domain/connect-flow.ts"
import { rememberedContract } from "../contract/storage-remembered.ts"
import {
  acme,
  aFlow,
  after,
  anApp,
  anEvent,
  heldOf,
  keep,
  noon,
  strangers,
} from "../support/storage-fixtures.ts"

const home = mkdtempSync(join(tmpdir(), "mooring-sqlite-remembered-"))
afterAll(() => rmSync(home, { recursive: true }))
const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

describe("what the server remembers of accounts", () => {
  rememberedContract(async () => {
    const path = join(home, "any.db")
    await migrateSqlite(path)
    return openSqliteStorage(path, { serve: false })
  })

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
      "insert into accounts values ('d', null) on conflict (id) do update set name = 'x'",
      "insert into accounts values ('d', null) on conflict do nothing returning name",
      "with d as (select 1) insert into accounts values ('d', null)",
      "insert or replace\n into accounts values ('d', null)",
      "update or ignore main.accounts set name = 'x'",
      'update "accounts" set name = 1',
      "update [accounts] set name = 1",
      "delete\n  from accounts",
    ])
      expect(() => statements.query(write)).toThrow("must be returning id")
    expect(statements.query("insert into notes values ('n')").run().changes).toBe(1)
  })

  test("that only adds need not tell: nobody remembers what was not there", () => {
    const { statements, told } = opened()
    expect(statements.query("insert into accounts values ('d', null)").run().changes).toBe(1)
    expect(statements.query(" INSERT  into\n accounts (id) select 'e'").run().changes).toBe(1)
    expect(told).toEqual([])
  })
})
