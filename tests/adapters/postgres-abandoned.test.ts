import { afterAll, beforeAll, expect, test } from "bun:test"
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts"
import { acme, aFlow, after, aKey, anEvent, noon } from "../support/storage-fixtures.ts"

let database: FreshDatabase
let storage: Storage
beforeAll(async () => {
  database = await freshDatabase()
  await migratePostgres(database.url)
  storage = await openPostgresStorage(database.url)
})
afterAll(async () => {
  await storage.close()
  await database.drop()
})

const failure = { reason: "no_response", detail: "made up", evidence: null } as const

test("flows that are abandoned at one moment are ended together, and each caller is told of its own", async () => {
  const ofAnother = aFlow({ tenant: "globex" })
  const flows = Array.from({ length: 40 }, () => aFlow())
  for (const flow of [...flows, ofAnother]) await storage.flows.add(flow)
  const [taken, kept] = flows
  await storage.flows.consume(taken?.id ?? "", noon)
  const badEvent = anEvent()
  await storage.keys.add(aKey(), badEvent)
  const seen = [...flows, ...flows, { ...ofAnother, tenant: "acme" }, aFlow()]
  const outcomes = await Promise.allSettled(
    seen.map((flow, i) =>
      storage.flows.abandon(flow, failure, flow === kept ? badEvent : anEvent({ flowId: flow.id }), after(i)),
    ),
  )
  const told = outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : "rejected"))
  expect([told[0], told[40], told[80], told[81]]).toEqual([false, false, false, false])
  expect([told[1], told[41]]).toEqual(["rejected", "rejected"])
  for (let i = 2; i < 40; i++) {
    const ender = told[i] === true ? i : i + 40
    expect([told[i], told[i + 40]].toSorted()).toEqual([false, true])
    expect((await storage.flows.find(acme, flows[i]?.id ?? ""))?.completedAt).toEqual(after(ender))
  }
  expect((await storage.flows.find(acme, kept?.id ?? ""))?.status).toBe("pending")
  expect((await storage.flows.find(ofAnother, ofAnother.id))?.status).toBe("pending")
  const { items } = await storage.events.list(acme, {}, { limit: 100 })
  const ended = flows.slice(2).map(({ id }) => id)
  expect(items.flatMap(({ flowId }) => flowId ?? []).toSorted()).toEqual(ended.toSorted())
})
