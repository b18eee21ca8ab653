import { Database } from "bun:sqlite"
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { openDatabase } from "../../src/adapters/sqlite/database.ts"
import { type GroupCommit, groupCommit } from "../../src/adapters/sqlite/group-commit.ts"
import { migrateSqlite } from "../../src/adapters/sqlite/migrations.ts"
import { openSqliteStorage } from "../../src/adapters/sqlite/storage.ts"
import { type DurableDatabase, durableStorageContract } from "../contract/durable-storage.ts"
import { storageContract } from "../contract/storage.ts"
import { spawnChild } from "../support/spawn-child.ts"
import { acme, after, aKey, anEvent, heldOf, keep, noon } from "../support/storage-fixtures.ts"

const home = mkdtempSync(join(tmpdir(), "mooring-sqlite-"))
afterAll(() => rmSync(home, { recursive: true }))
const freshPath = () => join(home, crypto.randomUUID(), "mooring.db")

async function migratedPath(): Promise<string> {
  const path = freshPath()
  await migrateSqlite(path)
  return path
}

storageContract("sqlite", async () => await openSqliteStorage(await migratedPath(), { serve: true }))

durableStorageContract("sqlite", async (): Promise<DurableDatabase> => {
  const path = freshPath()
  mkdirSync(dirname(path))
  new Database(path).close(true)
  return {
    url: `sqlite:${path}`,
    migrate: () => migrateSqlite(path),
    open: () => openSqliteStorage(path, { serve: true }),
    openBeside: () => openSqliteStorage(path, { serve: false }),
    async query(statement) {
      using db = new Database(path)
      return db.query<Record<string, unknown>, []>(statement).all()
    },
    async drop() {
      rmSync(dirname(path), { recursive: true })
    },
  }
}, ["006-lighter-writes"])

describe("the one serving process", () => {
  const served = /Another process already serves the database .*mooring\.db\. Stop that one first/

  test("a second one is refused with a sentence that says so, and the first goes on", async () => {
    const path = await migratedPath()
    const first = await openSqliteStorage(path, { serve: true })
    await expect(openSqliteStorage(path, { serve: true })).rejects.toThrow(served)
    await first.keys.add(aKey(), anEvent())
    await first.close()
  })

  test("another name of the same file does not get around it", async () => {
    const path = await migratedPath()
    const link = `${path}.link`
    symlinkSync(path, link)
    const first = await openSqliteStorage(path, { serve: true })
    await expect(openSqliteStorage(link, { serve: true })).rejects.toThrow(/already serves/)
    await first.close()
  })

  test("commands work beside it", async () => {
    const path = await migratedPath()
    const server = await openSqliteStorage(path, { serve: true })
    const command = await openSqliteStorage(path, { serve: false })
    const key = aKey()
    await command.keys.add(key, anEvent())
    await command.close()
    expect(await server.keys.findById(key.id)).toEqual(key)
    await expect(openSqliteStorage(path, { serve: true })).rejects.toThrow(served)
    await server.close()
  })

  test("the next may serve once it has closed", async () => {
    const path = await migratedPath()
    await (await openSqliteStorage(path, { serve: true })).close()
    const next = await openSqliteStorage(path, { serve: true })
    expect(await next.ping()).toBeUndefined()
    await next.close()
  })

  test("another process that serves keeps us out until it is killed", async () => {
    const path = await migratedPath()
    const child = spawnChild(`sqlite:${path}`, "serve")
    expect(await child.lines(1)).toEqual(["ready"])
    await expect(openSqliteStorage(path, { serve: true })).rejects.toThrow(served)
    await child.kill()
    const next = await openSqliteStorage(path, { serve: true })
    await next.close()
  })

  test("one that may not open the database lets go of its claim", async () => {
    const path = freshPath()
    mkdirSync(dirname(path))
    new Database(path).close(true)
    await expect(openSqliteStorage(path, { serve: true })).rejects.toThrow(/mooring migrate/)
    await migrateSqlite(path)
    const next = await openSqliteStorage(path, { serve: true })
    await next.close()
  })
})

describe("a database of before the life of tokens", () => {
  /** As the first migration left it, with one account. */
  function oldDatabase(account: Readonly<Record<string, string | number | null>>): string {
    const path = freshPath()
    mkdirSync(dirname(path))
    using db = new Database(path)
    const first = join(import.meta.dir, "../../src/adapters/sqlite/migrations/001-connect.sql")
    db.run(readFileSync(first, "utf8"))
    db.run("create table migrations (name text primary key, applied_at integer) strict")
    db.run("insert into migrations values ('001-connect', 0)")
    const texts = {
      access_token: "sealed:old",
      token_type: "bearer",
      search: "",
      scopes: "[]",
      metadata: "{}",
    }
    const owner = { ...acme, connection_type: "oauth", health: "active", missing_scopes: "[]" }
    const times = { connected_at: noon.getTime(), updated_at: noon.getTime() }
    const row = { id: "acc_old", platform_account_id: "7", ...owner, ...texts, ...times, ...account }
    const columns = Object.keys(row)
    const places = columns.map(() => "?").join(", ")
    db.query(`insert into accounts (${columns.join(", ")}) values (${places})`).run(...Object.values(row))
    return path
  }

  const day = 86_400_000
  test.each([
    [{ provider: "x", refresh_token: "sealed:r", token_expires_at: 5 }, { keepAliveAt: after(150 * day) }],
    [
      { provider: "tiktok", refresh_token: "sealed:r", refresh_token_expires_at: noon.getTime() + 90 * day },
      { keepAliveAt: after(60 * day) },
    ],
    [{ provider: "x", token_expires_at: 5 }, { personNeededAt: new Date(5) }],
    [
      { provider: "instagram", token_expires_at: noon.getTime() + 60 * day },
      { keepAliveAt: after(46 * day) },
    ],
    [
      {
        provider: "linkedin",
        refresh_token: "sealed:r",
        refresh_token_expires_at: 6,
        token_expires_at: noon.getTime() + 60 * day,
      },
      { keepAliveAt: after(53 * day), personNeededAt: new Date(6) },
    ],
    [{ provider: "facebook", person_token_expires_at: 7 }, { personNeededAt: new Date(7) }],
  ])("its account %p gets a plan", async (account, plan) => {
    const path = oldDatabase(account)
    expect((await migrateSqlite(path)).at(0)).toBe("002-token-life")
    const storage = await openSqliteStorage(path, { serve: true })
    const held = await heldOf(storage, { ...acme, id: "acc_old" })
    expect(held.plan).toEqual({ keepAliveAt: null, personNeededAt: null, ...plan })
    expect(held.credentials.obtainedAt).toEqual(noon)
    expect(held.refresh).toMatchObject({ leaseUntil: null, sentAt: null, failures: 0, lastFailure: null })
    await storage.close()
  })
})

test("an older database gets the index that a connect appends to, and lists its accounts newest first", async () => {
  const path = await migratedPath()
  const old = "create index accounts_newest on accounts (tenant, environment, connected_at desc, id desc)"
  {
    using db = new Database(path)
    db.run("delete from migrations where name = '006-lighter-writes'")
    db.run(`drop index accounts_newest; ${old}`)
    const before = openSqliteStorage(path, { serve: false })
    await expect(before).rejects.toThrow(/lacks 006-lighter-writes; run "mooring migrate" first/)
  }
  expect(await migrateSqlite(path)).toEqual(["006-lighter-writes"])
  const storage = await openSqliteStorage(path, { serve: true })
  const kept = [1, 3, 2].map((ms) => keep(storage, { connectedAt: after(ms) }))
  const [first, last, middle] = (await Promise.all(kept)).map(({ id }) => id)
  const { items } = await storage.accounts.list(acme, {}, { limit: 9 })
  expect(items.map(({ id }) => id)).toEqual([last, middle, first] as string[])
  await storage.close()
  using db = new Database(path)
  const index = db.query<{ name: string; desc: number }, []>("pragma index_xinfo(accounts_newest)").all()
  const inOrder = index.slice(0, 4).map(({ name, desc }) => `${name} ${desc}`)
  expect(inOrder).toEqual(["tenant 0", "environment 0", "connected_at 0", "id 0"])
})

describe("the files", () => {
  test("the directory and the files are for their owner alone", async () => {
    const path = join(home, crypto.randomUUID(), "deep", "mooring.db")
    await migrateSqlite(path)
    const storage = await openSqliteStorage(path, { serve: true })
    await storage.keys.add(aKey(), anEvent())
    const mode = (name: string) => statSync(name).mode & 0o777
    expect([mode(dirname(path)), mode(dirname(dirname(path)))]).toEqual([0o700, 0o700])
    const files = [path, `${path}-wal`, `${path}-shm`, `${path}.serving`]
    expect(files.map(mode)).toEqual([0o600, 0o600, 0o600, 0o600])
    await storage.close()
  })

  test("a commit is flushed to the disk before it returns, and a write waits for another process's", async () => {
    using db = openDatabase(await migratedPath())
    const pragma = (name: string) => Object.values(db.query<object, []>(`pragma ${name}`).get() ?? {})[0]
    expect(["journal_mode", "synchronous", "foreign_keys"].map(pragma)).toEqual(["wal", 2, 1])
    expect(pragma("busy_timeout")).toBeGreaterThanOrEqual(1000)
  })

  test("the first migration waits for another process that holds the file", async () => {
    const path = freshPath()
    mkdirSync(dirname(path))
    new Database(path).run("create table earlier (a)")
    const hold = `const db = new (require("bun:sqlite").Database)(${JSON.stringify(path)})
      db.run("begin immediate")
      console.log("held")
      setTimeout(() => process.exit(), 300)`
    const holder = Bun.spawn([process.execPath, "-e", hold], { stdout: "pipe" })
    await holder.stdout.getReader().read()
    expect(await migrateSqlite(path)).toContain("001-connect")
    await holder.exited
  })

  test("opening a database that is not there makes none, and says what to run", async () => {
    const path = freshPath()
    await expect(openSqliteStorage(path, { serve: false })).rejects.toThrow(/run "mooring migrate" first/)
    expect(existsSync(dirname(path))).toBe(false)
  })

  test("closing moves everything into the database file", async () => {
    const path = await migratedPath()
    const storage = await openSqliteStorage(path, { serve: true })
    const key = aKey()
    await storage.keys.add(key, anEvent())
    await storage.close()
    expect(existsSync(`${path}-wal`)).toBe(false)
    expect(new Uint8Array(await Bun.file(path).arrayBuffer()).length).toBeGreaterThan(4096)
  })
})

describe("group commit", () => {
  let db: Database
  let commits: GroupCommit
  beforeEach(() => {
    db = new Database(":memory:")
    db.run("pragma foreign_keys = on")
    db.run("create table parents (id integer primary key)")
    db.run(
      "create table notes (text text unique, parent integer references parents deferrable initially deferred)",
    )
    commits = groupCommit(db)
  })
  afterEach(() => db.close())

  const note =
    (text: string, parent: number | null = null) =>
    () => {
      db.query("insert into notes values (?, ?)").run(text, parent)
      return text
    }
  const notes = () =>
    db
      .query<{ text: string }, []>("select text from notes")
      .all()
      .map(({ text }) => text)

  test("a hundred writes of one turn are one transaction, a write of the next is another", async () => {
    const path = await migratedPath()
    const storage = await openSqliteStorage(path, { serve: true })
    expect(transactionsInLog(path)).toBe(0)
    const add = async (_: unknown, i: number) => {
      for (let step = 0; step < i % 7; step++) await null // as handlers do, which await a thing or two first
      await storage.keys.add(aKey(), anEvent())
    }
    await Promise.all(Array.from({ length: 100 }, add))
    expect(transactionsInLog(path)).toBe(1)
    await storage.keys.add(aKey(), anEvent())
    expect(transactionsInLog(path)).toBe(2)
    expect(await storage.keys.list("acme")).toHaveLength(101)
    await storage.close()
  })

  test("a write resolves only after the commit", async () => {
    const seen: boolean[] = []
    await Promise.all([
      commits.write(note("a")).then(() => seen.push(db.inTransaction)),
      commits.write(note("b")).then(() => seen.push(db.inTransaction)),
    ])
    expect(seen).toEqual([false, false])
  })

  test("a write that fails is undone whole and alone", async () => {
    const half = () => {
      note("half")()
      throw new Error("made up")
    }
    const outcomes = await Promise.allSettled([note("a"), half, note("a"), note("b")].map(commits.write))
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"])
    expect(notes()).toEqual(["a", "b"])
  })

  test("where the commit fails, all are undone and reject, and the next ones succeed", async () => {
    const outcomes = await Promise.allSettled([note("a"), note("orphan", 7), note("b")].map(commits.write))
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"])
    expect(notes()).toEqual([])
    expect(await commits.write(note("c"))).toBe("c")
    expect(notes()).toEqual(["c"])
  })

  test("where a fault ends the transaction itself, as a full disk does, none is stored and all reject", async () => {
    const ending = () => {
      db.run("rollback")
      throw new Error("database or disk is full")
    }
    const outcomes = await Promise.allSettled([note("a"), ending, note("b")].map(commits.write))
    const reasons = outcomes.map((outcome) => outcome.status === "rejected" && String(outcome.reason))
    expect(reasons).toEqual(reasons.map(() => "Error: database or disk is full"))
    expect(notes()).toEqual([])
    expect(await commits.write(note("c"))).toBe("c")
  })

  test("closing commits what is queued and refuses what comes later", async () => {
    const write = commits.write(note("last"))
    commits.close()
    expect(notes()).toEqual(["last"])
    expect(await write).toBe("last")
    await expect(commits.write(note("too late"))).rejects.toThrow("The storage is closed.")
  })
})

/** Counts the frames of the write-ahead log that end a transaction (sqlite.org/fileformat2.html, section 4.1). */
function transactionsInLog(path: string): number {
  const log = readFileSync(`${path}-wal`)
  if (log.length === 0) return 0
  const frame = 24 + log.readUInt32BE(8)
  let transactions = 0
  for (let at = 32; at + frame <= log.length; at += frame) if (log.readUInt32BE(at + 4) > 0) transactions++
  return transactions
}
