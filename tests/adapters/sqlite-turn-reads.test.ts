import { Database } from "bun:sqlite"
import { afterAll, beforeEach, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { groupCommit } from "../../src/adapters/sqlite/group-commit.ts"
import { migrateSqlite } from "../../src/adapters/sqlite/migrations.ts"
import { openSqliteStorage } from "../../src/adapters/sqlite/storage.ts"
import { turnReads } from "../../src/adapters/sqlite/turn-reads.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { acme, after, aKey, anApp, anEvent, noon } from "../support/storage-fixtures.ts"

const home = mkdtempSync(join(tmpdir(), "mooring-sqlite-turn-"))
afterAll(() => rmSync(home, { recursive: true }))

/** As the event loop begins another turn, with whatever came in meanwhile. */
const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

describe("what the server remembers of keys and apps", () => {
  let server: Storage
  let command: Storage
  const key = aKey()
  const app = anApp()
  let at = 0

  beforeEach(async () => {
    await server?.close()
    await command?.close()
    const path = join(home, `${++at}.db`)
    await migrateSqlite(path)
    server = await openSqliteStorage(path, { serve: true })
    command = await openSqliteStorage(path, { serve: false })
    await server.keys.add(key, anEvent())
    await server.apps.add(app, anEvent())
    expect(await server.keys.findById(key.id)).toEqual(key)
    expect(await server.apps.findDefault(acme, app.provider)).toMatchObject({ id: app.id })
    await nextTurn()
  })

  test("is read once while nothing changes, whatever is written beside it", async () => {
    const once = await server.keys.findById(key.id)
    await server.webhooks.list(acme)
    await server.keys.touch("key_another", noon)
    await nextTurn()
    expect(await server.keys.findById(key.id)).toBe(once as never)
  })

  test.each(["server", "command"] as const)("is forgotten when the %s revokes the key", async (who) => {
    const by = who === "server" ? server : command
    const event = anEvent({ at: after(5) })
    expect(await by.keys.revoke(acme, key.id, event)).toBe(true)
    await nextTurn()
    expect((await server.keys.findById(key.id))?.revokedAt).toEqual(after(5))
    const found = await server.keys.findWith(key.id, { kind: "app", provider: app.provider, id: null })
    expect(found?.key.revokedAt).toEqual(after(5))
  })

  test.each(["server", "command"] as const)("is forgotten when the %s changes the app", async (who) => {
    const by = who === "server" ? server : command
    await by.apps.change(acme, app.id, { name: "Renamed", updatedAt: after(1) }, anEvent())
    await nextTurn()
    expect((await server.apps.find(acme, app.id))?.name).toBe("Renamed")
    expect((await server.apps.findDefault(acme, app.provider))?.name).toBe("Renamed")
  })

  test("is forgotten when another app becomes the default, and when the app is removed", async () => {
    const second = anApp({ name: "second", isDefault: true })
    await server.apps.add(second, anEvent())
    expect((await server.apps.findDefault(acme, app.provider))?.id).toBe(second.id)
    expect((await server.apps.find(acme, app.id))?.isDefault).toBe(false)
    await server.apps.remove(acme, second.id, anEvent())
    expect((await server.apps.findDefault(acme, app.provider))?.id).toBe(app.id)
    expect(await server.apps.find(acme, second.id)).toBeUndefined()
  })

  test("is forgotten when the key is used", async () => {
    await server.keys.touch(key.id, after(9))
    expect((await server.keys.findById(key.id))?.lastUsedAt).toEqual(after(9))
  })

  test("is found under its own name alone: what is asked for as an id is never taken for a provider, nor an owner's parts for each other", async () => {
    expect((await server.apps.findDefault(acme, app.provider))?.id).toBe(app.id)
    expect(await server.apps.find(acme, app.provider)).toBeUndefined()
    const odd = anApp({ tenant: "acme\nlive", environment: "test" })
    await server.apps.add(odd, anEvent({ tenant: odd.tenant, environment: odd.environment }))
    expect((await server.apps.find(odd, odd.id))?.id).toBe(odd.id)
    expect(await server.apps.find(acme, `test\n${odd.id}`)).toBeUndefined()
  })

  test("is one owner's: nobody finds another's app under its id or provider", async () => {
    const stranger = { tenant: "globex", environment: "live" } as const
    expect(await server.apps.find(acme, app.id)).toBeDefined()
    expect(await server.apps.find(stranger, app.id)).toBeUndefined()
    expect(await server.apps.find({ ...acme, environment: "test" }, app.id)).toBeUndefined()
    expect(await server.apps.findDefault(stranger, app.provider)).toBeUndefined()
  })

  test("does not keep a write from being stored that was asked for before the turn's first read", async () => {
    const written = server.keys.touch(key.id, after(7))
    await server.keys.findById(key.id)
    await written
    expect((await command.keys.findById(key.id))?.lastUsedAt).toEqual(after(7))
  })

  test("never has what was not found: a key made by a command counts at once", async () => {
    const late = aKey()
    expect(await server.keys.findById(late.id)).toBeUndefined()
    await command.keys.add(late, anEvent())
    await nextTurn()
    expect(await server.keys.findById(late.id)).toEqual(late)
  })
})

describe("the reads of a turn", () => {
  const opened = () => {
    const path = join(home, `turn-${crypto.randomUUID()}.db`)
    const db = new Database(path)
    db.run("pragma journal_mode = wal")
    db.run("create table things (name text)")
    return { db, reads: turnReads(db), other: new Database(path) }
  }

  test("share a transaction that ends with the turn", async () => {
    const { db, reads } = opened()
    reads.begin()
    reads.begin()
    expect(db.inTransaction).toBe(true)
    await nextTurn()
    expect(db.inTransaction).toBe(false)
    reads.begin()
    reads.end()
    reads.end()
    expect(db.inTransaction).toBe(false)
  })

  test("that SQLite has ended by itself end without a fault, and keep no write from its answer", async () => {
    const { db, reads } = opened()
    const commits = groupCommit(db, reads.end)
    const written = commits.write(() => db.run("insert into things values ('kept')").changes)
    reads.begin()
    db.run("rollback") // as on a full or broken disk
    expect(await written).toBe(1)
    reads.begin()
    db.run("rollback")
    await nextTurn()
    expect(db.inTransaction).toBe(false)
  })

  test("that cannot begin fail each by itself, and a write of that turn has its answer", async () => {
    const { db, reads } = opened()
    const failing = groupCommit(db, () => {
      throw new Error("the disk is broken")
    })
    await expect(failing.write(() => 1)).rejects.toThrow("the disk is broken")
    reads.begin()
    reads.end()
    expect(db.inTransaction).toBe(false)
  })

  test("keep out of a write's transaction, and remember nothing of it", () => {
    const { db, reads } = opened()
    reads.begin()
    reads.end()
    db.run("begin immediate")
    const read = () => ({ name: "of the write" })
    expect(reads.remember("thing", read)).toEqual(read())
    db.run("rollback")
    expect(reads.remember("thing", () => ({ name: "after it" }))).toEqual({ name: "after it" })
  })

  test("remember until another connection commits", async () => {
    const { reads, other } = opened()
    let asked = 0
    const read = () => ({ asked: ++asked })
    const ask = async () => {
      const found = reads.remember("thing", read)
      await nextTurn()
      return found?.asked
    }
    expect([await ask(), await ask()]).toEqual([1, 1])
    other.run("insert into things values ('new')")
    expect([await ask(), await ask()]).toEqual([2, 2])
    reads.forget("another thing")
    expect(await ask()).toBe(2)
    reads.forget("thing")
    expect(await ask()).toBe(3)
    reads.forget()
    expect(await ask()).toBe(4)
  })

  test("remember so much and no more", () => {
    const { reads } = opened()
    let asked = 0
    const read = () => ({ asked: ++asked })
    for (let i = 0; i < 25_000; i++) reads.remember(`thing ${i}`, read)
    expect(asked).toBe(25_000)
    expect(reads.remember("thing 0", read)?.asked).toBe(25_001)
    expect(reads.remember("thing 24999", read)?.asked).toBe(25_000)
  })
})
