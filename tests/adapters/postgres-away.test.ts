import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { connect, createServer, type Server, type Socket } from "node:net"
import postgres from "postgres"
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import { type Storage, StoreUnavailable } from "../../src/ports/storage.ts"
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts"
import { acme, aFlow, aKey, anEvent, noon } from "../support/storage-fixtures.ts"

/** A way to the database that can be cut, and mended. */
function cutable(target: URL) {
  const sockets = new Set<Socket>()
  let server: Server
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  }
  const listen = (port: number) =>
    new Promise<number>((resolve) => {
      server = createServer((near) => {
        const far = connect(Number(target.port), target.hostname)
        for (const socket of [near, far]) keep(socket)
        near.pipe(far).pipe(near)
        for (const [one, other] of [
          [near, far],
          [far, near],
        ] as const)
          one.on("close", () => other.destroy())
      })
      server.listen(port, "127.0.0.1", () => resolve((server.address() as { port: number }).port))
    })
  return {
    listen,
    cut() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

describe("a PostgreSQL that goes away", () => {
  let database: FreshDatabase
  let way: ReturnType<typeof cutable>
  let port: number
  let storage: Storage

  beforeAll(async () => {
    database = await freshDatabase()
    await migratePostgres(database.url)
    const target = new URL(database.url)
    way = cutable(new URL(target))
    port = await way.listen(0)
    target.port = String(port)
    target.hostname = "127.0.0.1"
    storage = await openPostgresStorage(target.href)
  })
  afterAll(async () => {
    await storage.close()
    way.cut()
    await database.drop()
  })

  test("is told as such by every port, and answers again once it is back", async () => {
    const key = aKey()
    await storage.keys.add(key, anEvent())
    const refusal = await storage.keys.add(key, anEvent()).catch((fault: unknown) => fault)
    expect(refusal).toBeInstanceOf(Error)
    expect(refusal, "a refusal of its own is no absence").not.toBeInstanceOf(StoreUnavailable)
    way.cut()
    const calls = [
      () => storage.keys.findById(key.id),
      () => storage.keys.add(aKey(), anEvent()),
      () => storage.apps.list(acme),
      () => storage.flows.add(aFlow()),
      () => storage.flows.consume("flow_1", noon),
      () => storage.flows.connect("flow_1", [], noon),
      () => storage.keys.findWith(key.id, { kind: "account", id: "acc_1" }),
      () => storage.accounts.list(acme, {}, { limit: 1 }),
      () => storage.tokens.read(acme, "acc_1"),
      () => storage.events.list(acme, {}, { limit: 1 }),
    ]
    for (const call of calls) await expect(call()).rejects.toBeInstanceOf(StoreUnavailable)
    await way.listen(port)
    expect(await storage.keys.findById(key.id)).toEqual(key)
  })

  test("ends all that was asked in one moment, and nothing of it waits for ever", async () => {
    const flows = Array.from({ length: 20 }, () => aFlow())
    await Promise.all(flows.map((flow) => storage.flows.add(flow)))
    const direct = postgres(database.url, { max: 2, fetch_types: false })
    const outcomes = await direct.begin(async (tx) => {
      await tx`select from flows for update`
      const taken = Promise.allSettled(flows.map(({ id }) => storage.flows.consume(id, noon)))
      while ((await direct`select from pg_stat_activity where wait_event_type = 'Lock'`).length === 0)
        await Bun.sleep(5)
      way.cut()
      return await taken
    })
    const faults = outcomes.map((each) => each.status === "rejected" && each.reason)
    for (const fault of faults) expect(fault).toBeInstanceOf(StoreUnavailable)
    await direct.end()
    await way.listen(port)
  })
})
