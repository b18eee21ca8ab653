import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import postgres from "postgres"
import { batched } from "../../src/adapters/postgres/batched.ts"
import { postgresFlows } from "../../src/adapters/postgres/flows.ts"
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import type { ConnectFlow } from "../../src/domain/connect-flow.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts"
import { acme, aFlow, after, anId } from "../support/storage-fixtures.ts"

/** A server that answers when it is told to. */
function slowServer() {
  const asked: { readonly rows: readonly number[]; readonly answer: PromiseWithResolvers<void> }[] = []
  const writes = batched<number, void>(async (rows) => {
    const answer = Promise.withResolvers<void>()
    asked.push({ rows, answer })
    await answer.promise
    return []
  })
  return { asked, writes, rows: () => asked.map(({ rows }) => rows) }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

/** As the server tells of a row that it does not take. */
function refusal(): Error {
  return Object.assign(new postgres.PostgresError("made up"), { severity: "ERROR", code: "23505" })
}

describe("batches", () => {
  test("rows of one turn of the event loop are written together, in their order", async () => {
    const { writes, asked, rows } = slowServer()
    const added = [writes.ask(1), Promise.resolve().then(() => writes.ask(2)), writes.ask(3)]
    await nextTurn()
    expect(rows()).toEqual([[1, 3, 2]])
    asked[0]?.answer.resolve()
    await Promise.all(added)
  })

  test("a row on its own does not wait for others", async () => {
    const { writes, asked, rows } = slowServer()
    for (const row of [1, 2, 3]) {
      const added = writes.ask(row)
      await nextTurn()
      expect(rows().at(-1)).toEqual([row])
      asked.at(-1)?.answer.resolve()
      await added
    }
  })

  test("at most sixty-four go together and two such writes at once; what comes meanwhile goes next", async () => {
    const { writes, asked, rows } = slowServer()
    const added = numbers(0, 150).map(writes.ask)
    await nextTurn()
    expect(rows()).toEqual([numbers(0, 64), numbers(64, 64)])
    added.push(...numbers(150, 10).map(writes.ask))
    await nextTurn()
    expect(asked).toHaveLength(2)
    asked[1]?.answer.resolve()
    await nextTurn()
    expect(rows().slice(2)).toEqual([numbers(128, 32)])
    for (const { answer } of asked) answer.resolve()
    expect(await Promise.all(added)).toHaveLength(160)
  })

  test("a row resolves when its own write has, and not before", async () => {
    const { writes, asked } = slowServer()
    const done: number[] = []
    const add = (row: number) => void writes.ask(row).then(() => done.push(row))
    numbers(0, 65).map(add)
    await nextTurn()
    expect(done).toEqual([])
    asked[1]?.answer.resolve()
    await nextTurn()
    expect(done).toEqual([64])
    asked[0]?.answer.resolve()
    await nextTurn()
    expect(done).toHaveLength(65)
  })

  test("where the server refuses rows together each is tried alone, and only the bad ones reject", async () => {
    const tried: (readonly number[])[] = []
    const writes = batched<number, void>(async (rows) => {
      tried.push(rows)
      if (rows.some((row) => row < 0)) throw refusal()
      return []
    })
    const outcomes = await Promise.allSettled([1, -2, 3, -4].map(writes.ask))
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "rejected"])
    expect(tried).toEqual([[1, -2, 3, -4], [1], [-2], [3], [-4]])
  })

  test("where a connection is lost nobody knows what was stored: all of the write reject, and none is tried again", async () => {
    let tries = 0
    const lost = Object.assign(new Error("write CONNECTION_CLOSED"), { code: "CONNECTION_CLOSED" })
    const shutdown = Object.assign(new postgres.PostgresError("made up"), {
      severity: "FATAL",
      code: "57P01",
    })
    for (const fault of [lost, shutdown]) {
      const writes = batched<number, void>(() => {
        tries++
        return Promise.reject(fault)
      })
      const outcomes = await Promise.allSettled([1, 2, 3].map(writes.ask))
      expect(outcomes).toEqual(outcomes.map(() => ({ status: "rejected", reason: fault })))
    }
    expect(tries).toBe(2)
  })

  test("after a write that failed the next ones succeed", async () => {
    let faults = 3
    const writes = batched<number, void>(async () => {
      if (faults-- > 0) throw new Error("made up")
      return []
    })
    for (const row of [1, 2, 3]) await expect(writes.ask(row)).rejects.toThrow("made up")
    expect(await writes.ask(4)).toBeUndefined()
  })

  test("closing sends all that waits, resolves when it has its outcome, and refuses what comes later", async () => {
    const { writes, asked, rows } = slowServer()
    const added = numbers(0, 200).map(writes.ask)
    let isClosed = false
    const closed = writes.close().then(() => {
      isClosed = true
    })
    await expect(writes.ask(999)).rejects.toThrow("The storage is closed.")
    for (let i = 0; i < 4; i++) {
      await nextTurn()
      expect(isClosed).toBe(false)
      asked[i]?.answer.resolve()
    }
    await closed
    expect(rows().flat()).toEqual(numbers(0, 200))
    expect(await Promise.all(added)).toHaveLength(200)
    expect(await writes.close()).toBeUndefined()
  })
})

describe("new flows on PostgreSQL", () => {
  let database: FreshDatabase
  beforeAll(async () => {
    database = await freshDatabase()
    await migratePostgres(database.url)
  })
  afterAll(() => database.drop())

  const withTwo = async (work: (one: Storage, two: Storage) => Promise<void>) => {
    const [one, two] = [await openPostgresStorage(database.url), await openPostgresStorage(database.url)]
    try {
      await work(one, two)
    } finally {
      await one.close()
      await two.close()
    }
  }
  const flows = (count: number, change: (i: number) => Partial<ConnectFlow> = () => ({})) =>
    Array.from({ length: count }, (_, i) => aFlow(change(i)))

  test("a flow that was added is there for another connection at the moment its promise resolves", async () => {
    await withTwo(async (one, two) => {
      const seen = await Promise.all(
        flows(150).map(async (flow) => {
          await one.flows.add(flow)
          return (await two.flows.find(acme, flow.id))?.id === flow.id
        }),
      )
      expect(seen).toEqual(seen.map(() => true))
    })
  })

  test("many that are added at once come back equal, each in its own tenant, with what it has and lacks", async () => {
    await withTwo(async (one, two) => {
      const given = flows(100, (i) => ({
        tenant: `tenant-${i}`,
        reference: i % 2 ? null : "user 🦤 'x' \\ \0",
        failure: i % 3 ? null : { reason: "code_invalid", detail: "", evidence: null },
        proof: i % 5 === 0,
        takenAt: i % 7 ? null : after(i),
      }))
      await Promise.all(given.map((flow) => one.flows.add(flow)))
      for (const flow of given) {
        const reference = flow.reference?.replace("\0", "\uFFFD") ?? null
        expect(await two.flows.find(flow, flow.id)).toEqual({ ...flow, reference })
      }
    })
  })

  test("of a hundred at once one that is kept already and one that no store can keep fail alone", async () => {
    await withTwo(async (one, two) => {
      const known = aFlow()
      await two.flows.add(known)
      const given = flows(100, (i) => {
        if (i === 40) return { id: known.id, reference: "an impostor" }
        return i === 80 ? { tenant: "ac\0me" } : {}
      })
      const outcomes = await Promise.allSettled(given.map((flow) => one.flows.add(flow)))
      const failed = outcomes.flatMap(({ status }, i) => (status === "rejected" ? [i] : []))
      expect(failed).toEqual([40, 80])
      for (const [i, flow] of given.entries()) {
        if (!failed.includes(i)) expect(await two.flows.find(acme, flow.id)).toEqual(flow)
      }
      expect(await two.flows.find(acme, known.id)).toEqual(known)
    })
  })

  test("of twins in one moment one is kept", async () => {
    await withTwo(async (one) => {
      const id = anId("flow")
      const outcomes = await Promise.allSettled(flows(10, () => ({ id })).map((flow) => one.flows.add(flow)))
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1)
    })
  })

  test("closing keeps all that were added before it, and a bad one among them fails alone", async () => {
    const storage = await openPostgresStorage(database.url)
    const given = flows(200, (i) => (i === 150 ? { id: "twin" } : i === 151 ? { id: "twin" } : {}))
    const added = Promise.allSettled(given.map((flow) => storage.flows.add(flow)))
    await storage.close()
    const outcomes = await added
    expect(outcomes.flatMap(({ status }, i) => (status === "rejected" ? [i] : []))).toEqual([151])
    await expect(storage.flows.add(aFlow())).rejects.toThrow()
    const again = await openPostgresStorage(database.url)
    for (const { id } of given) expect((await again.flows.find(acme, id))?.id).toBe(id)
    await again.close()
  })

  test("a hundred and twenty-eight of one moment are two statements, and of one text", async () => {
    const statements: string[] = []
    const sql = postgres(database.url, {
      max: 4,
      fetch_types: false,
      debug: (_, statement) => statements.push(statement),
    })
    const added = postgresFlows(sql)
    await Promise.all(flows(128).map((flow) => added.add(flow)))
    expect(statements).toHaveLength(2)
    await added.add(aFlow())
    expect(new Set(statements).size).toBe(1)
    await sql.end()
  })
})
