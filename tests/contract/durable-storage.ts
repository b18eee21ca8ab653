import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import type { Storage } from "../../src/ports/storage.ts"
import { spawnChild } from "../support/spawn-child.ts"
import {
  aConnection,
  acme,
  aFlow,
  after,
  aKey,
  anApp,
  anEvent,
  anId,
  connect,
  eventsOf,
  noon,
  sealed,
  takenFlow,
} from "../support/storage-fixtures.ts"
import { durableEventsContract, eventRacesContract } from "./durable-events.ts"
import { durableProofContract, proofRacesContract } from "./durable-proof.ts"
import { durableTokensContract, tokenRacesContract } from "./durable-tokens.ts"

/** One database of a test's own, empty and without tables. */
export interface DurableDatabase {
  /** What `DATABASE_URL` would say. */
  readonly url: string
  migrate(): Promise<readonly string[]>
  /** Opens it as the process does that serves it. */
  open(): Promise<Storage>
  /** Opens it once more, beside that. */
  openBeside(): Promise<Storage>
  /** Runs a statement behind the storage's back. */
  query(statement: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  drop(): Promise<void>
}

/** What only storages promise that outlive their process. Migrations of their own come after those that all have. */
export function durableStorageContract(
  adapter: string,
  create: () => Promise<DurableDatabase>,
  ownMigrations: readonly string[] = [],
): void {
  describe(`${adapter} keeps the contract of a durable storage`, () => {
    let database: DurableDatabase
    beforeEach(async () => {
      database = await create()
    })
    afterEach(async () => {
      await database.drop()
    })
    describe("migrations", () => migrationsContract(() => database, [...sharedMigrations, ...ownMigrations]))
    describe("kept", () => {
      beforeEach(() => database.migrate())
      keptContract(() => database)
      durableTokensContract(() => database)
    })
    describe("events, webhooks and deliveries", () => {
      beforeEach(() => database.migrate())
      durableEventsContract(() => database)
    })
    describe("two connections to events, webhooks and deliveries", () => {
      beforeEach(() => database.migrate())
      eventRacesContract(() => database)
    })
    describe("kept until confirmed", () => {
      beforeEach(() => database.migrate())
      durableProofContract(() => database)
    })
    describe("two connections", () => {
      beforeEach(() => database.migrate())
      racesContract(() => database)
    })
    describe("two connections to tokens", () => {
      beforeEach(() => database.migrate())
      tokenRacesContract(() => database)
    })
    describe("two connections to what waits to be confirmed", () => {
      beforeEach(() => database.migrate())
      proofRacesContract(() => database)
    })
  })
}

const sharedMigrations = ["001-connect", "002-token-life", "003-events", "004-inspect", "005-scale"]

function migrationsContract(database: () => DurableDatabase, migrations: readonly string[]): void {
  const pretendNewer = () =>
    database().query(
      "insert into migrations (name, applied_at) select '999-later', max(applied_at) from migrations",
    )

  test("the first migrating makes the tables and names what it applied, the next has nothing to do", async () => {
    expect(await database().migrate()).toEqual(migrations)
    expect(await database().migrate()).toEqual([])
    const kept = await database().query("select name from migrations order by name")
    expect(kept).toEqual(migrations.map((name) => ({ name })))
  })

  test("of several that migrate at once one does the work", async () => {
    const applied = await Promise.all([database().migrate(), database().migrate(), database().migrate()])
    expect(applied.flat()).toEqual([...migrations])
  })

  test("of several processes that migrate at once one does the work", async () => {
    const children = [1, 2, 3].map(() => spawnChild(database().url, "migrate"))
    for (const child of children) expect(await child.lines(1)).toEqual(["ready"])
    for (const child of children) child.go()
    const applied = await Promise.all(children.map(async (child) => Number((await child.rest()).at(-1))))
    expect(applied.toSorted()).toEqual([0, 0, migrations.length])
  })

  test("migrating keeps what is there", async () => {
    await database().migrate()
    const storage = await database().open()
    const key = aKey()
    await storage.keys.add(key, anEvent())
    await storage.close()
    await database().migrate()
    const again = await database().open()
    expect(await again.keys.findById(key.id)).toEqual(key)
    await again.close()
  })

  test("a database that is newer than the program is neither opened nor migrated", async () => {
    await database().migrate()
    await pretendNewer()
    const newer = /is newer than this program, which does not know 999-later; run the newer program/
    await expect(database().open()).rejects.toThrow(newer)
    await expect(database().openBeside()).rejects.toThrow(newer)
    await expect(database().migrate()).rejects.toThrow(newer)
  })

  test("a database without tables is not opened, and the reason says what to run", async () => {
    await expect(database().open()).rejects.toThrow(/run "mooring migrate" first/)
  })
}

function keptContract(database: () => DurableDatabase): void {
  test("everything survives closing and opening again", async () => {
    const first = await database().open()
    const app = await first.apps.add(anApp(), anEvent())
    const flow = aFlow({ oauthAppId: app.id })
    await first.flows.add(flow)
    const [account] = await connect(first, aConnection({ oauthAppId: app.id }))
    const key = aKey()
    await first.keys.add(key, anEvent())
    const events = await eventsOf(first)
    await first.close()

    const second = await database().open()
    expect(await second.apps.list(acme)).toEqual([app])
    expect(await second.flows.find(acme, flow.id)).toEqual(flow)
    expect((await second.accounts.list(acme, {}, { limit: 10 })).items).toEqual(account ? [account] : [])
    expect(await second.keys.list(key.tenant)).toEqual([key])
    expect(await eventsOf(second)).toEqual(events)
    expect(events).toHaveLength(3)
    await second.close()
  })

  test("a process that is killed in mid-write has kept every write that resolved, each with its event", async () => {
    const child = spawnChild(database().url, "write")
    const printed = await child.lines(60)
    await child.kill()
    printed.push(...(await child.rest()))
    const storage = await database().open()
    for (const id of printed) expect((await storage.keys.findById(id))?.id).toBe(id)
    const keys = (await storage.keys.list("acme")).map(({ id }) => id)
    const told = (await eventsOf(storage)).map((event) => event.apiKeyId ?? "")
    expect(told.sort()).toEqual(keys.sort())
    await storage.close()
  })

  test("a reconnect without refresh or person token keeps those there are, with their ends", async () => {
    const storage = await database().open()
    const held = {
      refreshToken: sealed("first refresh"),
      refreshTokenExpiresAt: after(1),
      personToken: sealed("first person"),
      personTokenExpiresAt: after(2),
    }
    const none = {
      refreshToken: null,
      refreshTokenExpiresAt: null,
      personToken: null,
      personTokenExpiresAt: null,
    }
    const upstream = { platformAccountId: "7" }
    const ends = "refresh_token_expires_at, person_token_expires_at"
    await connect(storage, aConnection(upstream, held))
    const [before] = await database().query(`select ${ends} from accounts`)
    await connect(
      storage,
      aConnection(upstream, { ...none, accessToken: sealed("second access"), tokenType: "mac" }),
    )
    expect(
      await database().query("select access_token, refresh_token, person_token, token_type from accounts"),
    ).toEqual([
      {
        access_token: "sealed:second access",
        refresh_token: "sealed:first refresh",
        person_token: "sealed:first person",
        token_type: "mac",
      },
    ])
    expect(await database().query(`select ${ends} from accounts`)).toEqual([before ?? {}])
    expect(Object.values(before ?? {})).not.toContain(null)
    await storage.close()
  })

  test("a reconnect with new tokens replaces the old, and their ends with them", async () => {
    const storage = await database().open()
    const upstream = { platformAccountId: "7" }
    await connect(
      storage,
      aConnection(upstream, { refreshTokenExpiresAt: after(1), personTokenExpiresAt: after(1) }),
    )
    const fresh = { refreshToken: sealed("second refresh"), personToken: sealed("second person") }
    const endless = { refreshTokenExpiresAt: null, personTokenExpiresAt: null }
    await connect(storage, aConnection(upstream, { ...fresh, ...endless }))
    const columns = "refresh_token, refresh_token_expires_at, person_token, person_token_expires_at"
    expect(await database().query(`select ${columns} from accounts`)).toEqual([
      {
        refresh_token: "sealed:second refresh",
        refresh_token_expires_at: null,
        person_token: "sealed:second person",
        person_token_expires_at: null,
      },
    ])
    await storage.close()
  })
}

function racesContract(database: () => DurableDatabase): void {
  let one: Storage
  let two: Storage
  beforeEach(async () => {
    one = await database().open()
    two = await database().openBeside()
  })
  afterEach(async () => {
    await two.close()
    await one.close()
  })

  test("what one has stored, the other sees at once", async () => {
    const key = aKey()
    await one.keys.add(key, anEvent())
    expect(await two.keys.findById(key.id)).toEqual(key)
    await two.keys.revoke(acme, key.id, anEvent())
    expect((await one.keys.findById(key.id))?.revokedAt).toEqual(noon)
  })

  test("of fifty takers of one flow over two connections exactly one gets it", async () => {
    for (let round = 0; round < 5; round++) {
      const flow = aFlow()
      await one.flows.add(flow)
      const takes = Array.from({ length: 50 }, (_, i) =>
        (i % 2 ? one : two).flows.consume(flow.id, after(1000)),
      )
      const outcomes = await Promise.all(takes)
      expect(outcomes.filter((outcome) => outcome?.taken)).toHaveLength(1)
      expect(outcomes.every((outcome) => outcome?.flow.status === "exchanging")).toBe(true)
    }
  })

  test("of fifty takers of one flow over two processes exactly one gets it", async () => {
    const flow = aFlow()
    await one.flows.add(flow)
    const children = [1, 2].map(() => spawnChild(database().url, "take", flow.id))
    for (const child of children) expect(await child.lines(1)).toEqual(["ready"])
    for (const child of children) child.go()
    const taken = await Promise.all(children.map(async (child) => Number((await child.rest()).at(-1))))
    expect(taken.toSorted()).toEqual([0, 1])
  })

  test("of first apps added over two connections exactly one is the default", async () => {
    const adds = Array.from({ length: 12 }, (_, i) => (i % 2 ? one : two).apps.add(anApp(), anEvent()))
    const added = await Promise.all(adds)
    expect(added.filter((app) => app.isDefault)).toHaveLength(1)
    expect((await one.apps.list(acme)).filter((app) => app.isDefault)).toHaveLength(1)
  })

  test("no account ends with an app that the other connection removes at the same moment", async () => {
    for (let round = 0; round < 20; round++) {
      const app = await one.apps.add(anApp(), anEvent())
      const flow = await takenFlow(one, { oauthAppId: app.id })
      const connection = aConnection({ oauthAppId: app.id })
      const [removed, accounts] = await Promise.all([
        two.apps.remove(acme, app.id, anEvent()),
        one.flows.connect(flow.id, [connection], after(2000)),
      ])
      const used = accounts?.[0]?.oauthAppId
      expect([removed.kind, used]).toEqual(used === null ? ["removed", null] : ["in_use", app.id])
    }
  })

  test("two who connect the same Pages in opposite orders over two connections both succeed", async () => {
    const pages = Array.from({ length: 10 }, () => ({ platformAccountId: crypto.randomUUID() }))
    for (let round = 0; round < 10; round++) {
      const [flow, other] = [await takenFlow(one), await takenFlow(two)]
      const [accounts, others] = await Promise.all([
        one.flows.connect(
          flow.id,
          pages.map((page) => aConnection(page)),
          noon,
        ),
        two.flows.connect(
          other.id,
          pages.toReversed().map((page) => aConnection(page)),
          noon,
        ),
      ])
      expect(accounts?.map(({ id }) => id)).toEqual(others?.map(({ id }) => id).toReversed() ?? [])
    }
    expect((await one.accounts.list(acme, {}, { limit: 100 })).total).toBe(pages.length)
  })

  test("an event that the other connection has stored already rolls the whole change back", async () => {
    const event = anEvent()
    await two.keys.add(aKey(), event)
    const flow = await takenFlow(one)
    const good = aConnection()
    const bad = { ...aConnection(), event }
    await expect(one.flows.connect(flow.id, [good, bad], noon)).rejects.toThrow()
    await expect(one.apps.add(anApp(), event)).rejects.toThrow()
    expect(await two.flows.find(acme, flow.id)).toEqual(flow)
    expect(await two.accounts.find(acme, good.account.id)).toBeUndefined()
    expect(await two.apps.list(acme)).toEqual([])
    expect(await eventsOf(two)).toEqual([event])
  })

  test("of two sweepers each abandoned flow falls to one, and each old flow is pruned by one", async () => {
    const failure = { reason: "server_error", detail: "made up", evidence: null } as const
    const flows = Array.from({ length: 10 }, () => aFlow({ id: anId("flow") }))
    await Promise.all(flows.map((flow) => one.flows.add(flow)))
    const sweeps = [one, two].map((storage) =>
      Promise.all(flows.map((flow) => storage.flows.abandon(flow, failure, anEvent(), noon))),
    )
    expect((await Promise.all(sweeps)).flat().filter(Boolean)).toHaveLength(flows.length)
    const pruned = await Promise.all([one.flows.prune(after(1), 10), two.flows.prune(after(1), 10)])
    expect(pruned[0] + pruned[1]).toBeLessThanOrEqual(flows.length)
    const left = await one.flows.prune(after(1), 10)
    expect(pruned[0] + pruned[1] + left).toBe(flows.length)
  })
}
