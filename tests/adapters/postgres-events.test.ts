import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import postgres from "postgres"
import connectTables from "../../src/adapters/postgres/migrations/001-connect.sql" with { type: "text" }
import tokenLife from "../../src/adapters/postgres/migrations/002-token-life.sql" with { type: "text" }
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts"
import {
  aClaimOfDeliveries,
  acme,
  addWebhook,
  after,
  anEvent,
  anId,
  eventsOf,
  fanOutAll,
  happen,
  noon,
} from "../support/storage-fixtures.ts"

let database: FreshDatabase
/** Two connections, behind the storage's back. */
let sql: postgres.Sql
beforeEach(async () => {
  database = await freshDatabase()
  sql = postgres(database.url, { max: 2, fetch_types: false, onnotice: () => {} })
})
afterEach(async () => {
  await sql.end()
  await database.drop()
})

/** As any of the store's own statements stores an event. */
function store(tx: postgres.ISql, id: string, accountId: string | null = null) {
  return tx`
    insert into events (id, tenant, environment, type, at, actor, account_id)
    values (${id}, ${acme.tenant}, ${acme.environment}, 'account.updated', ${noon}, 'key:made-up', ${accountId})`
}

async function untilWaiting(): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    const waiting = await sql`
      select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
    if (waiting.length > 0) return
    await Bun.sleep(5)
  }
  throw new Error("nobody waits for a lock")
}

describe("beside transactions that are under way", () => {
  let storage: Storage
  beforeEach(async () => {
    await migratePostgres(database.url)
    storage = await openPostgresStorage(database.url)
  })
  afterEach(() => storage.close())

  const read = async (position: string | null) => {
    const after = position === null ? {} : { after: position }
    const page = await storage.events.list(acme, {}, { limit: 100, ...after })
    return { ids: page.items.map(({ id }) => id), position: page.position }
  }

  test("an event that is committed late appears behind every position that was given out, and is delivered then", async () => {
    const webhook = await addWebhook(storage)
    await fanOutAll(storage)
    const [late, early] = [anId("evt"), anId("evt", after(1))]
    const { position: start } = await read(null)
    const between = await sql.begin(async (tx) => {
      await store(tx, late)
      await happen(storage, { id: early })
      const seen = await read(start)
      return { ...seen, fannedOut: await storage.deliveries.fanOut(noon, 100) }
    })
    expect(between).toMatchObject({ ids: [early], fannedOut: 1 })
    expect((await read(between.position)).ids).toEqual([late])
    expect((await read(start)).ids).toEqual([early, late])
    expect(await storage.deliveries.fanOut(noon, 100)).toBe(1)
    const { items } = await storage.deliveries.list(acme, webhook.id, {}, { limit: 9 })
    expect(items.map(({ event }) => event.id)).toEqual([late, early])
  })

  test("what was rolled back is never seen, and holds nothing back", async () => {
    const [gone, kept] = [anId("evt"), anId("evt")]
    await sql
      .begin(async (tx) => {
        await store(tx, gone)
        await happen(storage, { id: kept })
        expect((await read(null)).ids).toEqual([kept])
        throw new Error("made up")
      })
      .catch(() => {})
    expect((await read(null)).ids).toEqual([kept])
  })

  test("of one account the event that was stored first comes first, whichever transaction began first", async () => {
    const accountId = anId("acc")
    const [second, first] = [anId("evt"), anId("evt", after(1))]
    await sql.begin(async (tx) => {
      await tx`select pg_current_xact_id()`
      await sql.begin((other) => [store(other, first, accountId)])
      await store(tx, second, accountId)
    })
    expect((await read(null)).ids).toEqual([first, second])
  })

  test("who comes while deliveries are made elsewhere makes none, and does not wait", async () => {
    await happen(storage, {}, {})
    await sql.begin(async (tx) => {
      await tx`select from fan_out for update`
      expect(await storage.deliveries.fanOut(noon, 100)).toBe(0)
    })
    expect(await storage.deliveries.fanOut(noon, 100)).toBe(2)
  })

  test("a webhook or a delivery that somebody else holds is passed over, and others go on", async () => {
    const [one, two] = [await addWebhook(storage), await addWebhook(storage)]
    const [first, second] = await happen(storage, {}, {})
    await fanOutAll(storage)
    const [ofWebhook, ofDelivery] = await sql.begin(async (tx) => {
      await tx`select from webhooks where id = ${one.id} for no key update`
      const claimed = await storage.deliveries.claimDue(aClaimOfDeliveries({ limit: 1 }))
      await tx`select from deliveries where webhook_id = ${two.id} and status = 'pending' for no key update`
      return [claimed, await storage.deliveries.claimDue(aClaimOfDeliveries())]
    })
    expect(ofWebhook?.map(({ webhook, event }) => [webhook.id, event.id])).toEqual([
      [two.id, first?.id ?? ""],
    ])
    expect(ofDelivery).toEqual([])
    const rest = await storage.deliveries.claimDue(aClaimOfDeliveries())
    expect(rest.map(({ webhook, event }) => [webhook.id, event.id])).toEqual([
      [one.id, first?.id ?? ""],
      [one.id, second?.id ?? ""],
      [two.id, second?.id ?? ""],
    ])
  })

  test("who forgets old events waits for a replay that is under way, and leaves what it made pending", async () => {
    const webhook = await addWebhook(storage)
    const [event] = await happen(storage, {})
    await fanOutAll(storage)
    for (const claimed of await storage.deliveries.claimDue(aClaimOfDeliveries()))
      await storage.deliveries.settle(claimed, { kind: "failed", status: 500, detail: "500" }, noon)
    const pruning = await sql.begin(async (tx) => {
      await tx`select from webhooks where id = ${webhook.id} for no key update`
      await tx`update deliveries set status = 'pending'`
      const started = storage.events.prune(after(1), 100)
      await untilWaiting()
      return { started }
    })
    expect(await pruning.started).toBe(1)
    expect((await eventsOf(storage)).map(({ id }) => id)).toEqual([event?.id ?? ""])
    expect(await storage.deliveries.claimDue(aClaimOfDeliveries())).toHaveLength(1)
  })

  test("a replay waits for who forgets its event at the moment, and then finds nothing", async () => {
    const webhook = await addWebhook(storage)
    const [event] = await happen(storage, {})
    await fanOutAll(storage)
    const eventId = event?.id ?? ""
    const replay = await sql.begin(async (tx) => {
      await tx`select from webhooks for no key update`
      const started = storage.deliveries.replay(acme, webhook.id, { eventId }, noon)
      await untilWaiting()
      await tx`delete from events where id = ${eventId}`
      return { started }
    })
    expect(await replay.started).toBe(0)
  })

  test("who makes deliveries waits for a webhook's removal that is under way, and makes none for it", async () => {
    const [gone, kept] = [await addWebhook(storage), await addWebhook(storage)]
    await happen(storage, {})
    const making = await sql.begin(async (tx) => {
      await tx`delete from webhooks where id = ${gone.id}`
      const started = storage.deliveries.fanOut(noon, 100)
      await untilWaiting()
      return { started }
    })
    expect(await making.started).toBe(3)
    expect(await sql`select webhook_id from deliveries`).toMatchObject([{ webhook_id: kept.id }])
  })

  test("a good attempt of a webhook that is well is written down in one statement, with no lock on the webhook", async () => {
    const webhook = await addWebhook(storage)
    await happen(storage, {})
    await fanOutAll(storage)
    const [claimed] = await storage.deliveries.claimDue(aClaimOfDeliveries())
    await sql.begin(async (tx) => {
      await tx`select from webhooks where id = ${webhook.id} for update`
      if (claimed)
        expect(await storage.deliveries.settle(claimed, { kind: "delivered", status: 204 }, noon)).toBe(true)
    })
  })
})

test("the events of an older database come in the order of their ids, and nobody is told of them", async () => {
  await sql.unsafe(connectTables)
  await sql.unsafe(tokenLife)
  await sql`create table migrations (name text collate "C" primary key, applied_at timestamptz(3) not null)`
  await sql`insert into migrations values ('001-connect', now()), ('002-token-life', now())`
  const ids = [3, 1, 2].map((ms) => anId("evt", after(ms)))
  for (const id of ids) await store(sql, id)
  await migratePostgres(database.url)
  const storage = await openPostgresStorage(database.url)
  expect(await eventsOf(storage)).toEqual(ids.toSorted().map((id) => anEvent({ id })))
  await addWebhook(storage, { createdAt: new Date(0) })
  expect(await storage.deliveries.fanOut(noon, 100)).toBe(1)
  const { position } = await storage.events.list(acme, {}, { limit: 4 })
  const later = await happen(storage, {})
  expect((await storage.events.list(acme, {}, { limit: 9, after: position ?? "" })).items).toEqual(later)
  await storage.close()
})

test("places follow the order of storing, whatever the planner takes the table for", async () => {
  await migratePostgres(database.url)
  const storage = await openPostgresStorage(database.url)
  // Of one event it believes that it is best to go through the events as they lie, and to look for the place of each.
  await happen(storage, {})
  await sql`vacuum analyze events`
  const [first] = await eventsOf(storage)
  const ids = Array.from({ length: 9 }, (_, i) => anId("evt", after(-i)))
  for (const id of ids) await store(sql, id)
  // Now they lie in another order than they came.
  for (const id of ids.toReversed()) await sql`update events set detail = 'changed' where id = ${id}`
  expect((await eventsOf(storage)).map((event) => event.id)).toEqual([first?.id ?? "", ...ids])
  await storage.close()
})
