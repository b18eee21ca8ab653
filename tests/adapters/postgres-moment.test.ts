import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import postgres from "postgres"
import { connect } from "../../src/adapters/postgres/connection.ts"
import { postgresFlows } from "../../src/adapters/postgres/flows.ts"
import { postgresKeys } from "../../src/adapters/postgres/keys.ts"
import { migratePostgres } from "../../src/adapters/postgres/migrations.ts"
import { openPostgresStorage } from "../../src/adapters/postgres/storage.ts"
import type { ConnectFlow } from "../../src/domain/connect-flow.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts"
import {
  aConnection,
  aFlow,
  after,
  aKey,
  anApp,
  anEvent,
  anId,
  noon,
  someCalls,
  takenFlow,
} from "../support/storage-fixtures.ts"

/** What is asked of PostgreSQL in one moment goes as one statement; each must get what it would have got alone. */
describe("what is asked of PostgreSQL in one moment", () => {
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

  test("rows that nobody gives back fail those who ask for them, and stop nobody else for good", async () => {
    const sql = connect(database.url, { lockTimeoutMs: 300 })
    const flows = postgresFlows(sql)
    const [stuck, alsoStuck, free] = [aFlow(), aFlow(), aFlow()]
    for (const flow of [stuck, alsoStuck, free]) await flows.add(flow)
    const other = postgres(database.url, { max: 1 })
    const release = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const holding = other.begin(async (tx) => {
      await tx`select from flows where id in (${stuck.id}, ${alsoStuck.id}) for update`
      held.resolve()
      await release.promise
    })
    await held.promise
    const refused = [expect(flows.consume(stuck.id, noon)).rejects.toMatchObject({ code: "55P03" })]
    await Bun.sleep(20)
    refused.push(expect(flows.consume(alsoStuck.id, noon)).rejects.toMatchObject({ code: "55P03" }))
    await Bun.sleep(20)
    expect((await flows.consume(free.id, noon))?.taken).toBe(true)
    await Promise.all(refused)
    release.resolve()
    await holding
    expect((await flows.consume(stuck.id, noon))?.taken).toBe(true)
    await other.end()
    await flows.close()
    await sql.end()
  })

  const many = <Item>(count: number, make: (i: number) => Item) =>
    Array.from({ length: count }, (_, i) => make(i))
  const defaultApp = { kind: "app", provider: "x", id: null } as const
  const nobody = new Error("nobody")
  const first = <Item>(items: readonly Item[] | undefined): Item => {
    const [item] = items ?? []
    if (item === undefined) throw nobody
    return item
  }

  /** A tenant with a key, an app and an account. */
  async function aTenant(name: string) {
    const owner = { tenant: name, environment: "live" } as const
    const key = aKey(owner)
    await storage.keys.add(key, anEvent(owner))
    const app = await storage.apps.add(anApp(owner), anEvent(owner))
    const { account } = await storage.tokens.register(aConnection({ ...owner, oauthAppId: app.id }))
    return { owner, key, app, account }
  }

  /** Statements as they are sent over connections of their own. */
  function counted() {
    const statements: string[] = []
    const sql = postgres(database.url, {
      max: 4,
      fetch_types: false,
      debug: (_, statement) => statements.push(statement),
    })
    return { sql, statements }
  }

  /** Over several instances, each with connections of its own. */
  async function withInstances(count: number, work: (instances: readonly Storage[]) => Promise<void>) {
    const instances = await Promise.all(many(count, () => openPostgresStorage(database.url)))
    try {
      await work(instances)
    } finally {
      await Promise.all(instances.map((instance) => instance.close()))
    }
  }

  describe("look-ups of keys", () => {
    test("sixty-four of one kind are one statement, and each gets what is its own tenant's", async () => {
      const tenants = await Promise.all(many(64, (i) => aTenant(`own-${i}`)))
      const { sql, statements } = counted()
      const keys = postgresKeys(sql)
      const found = await Promise.all(tenants.map(({ key }) => keys.findWith(key.id, defaultApp)))
      expect(statements).toHaveLength(1)
      expect(found).toEqual(tenants.map(({ key, app }) => ({ key, app, account: null })))
      const held = await Promise.all(
        tenants.map(({ key, account }) => keys.findWith(key.id, { kind: "account", id: account.id })),
      )
      expect(statements).toHaveLength(2)
      for (const [i, { key, account, owner }] of tenants.entries()) {
        const read = await storage.tokens.read(owner, account.id)
        expect(held[i]).toMatchObject({ key, app: null, account: { account: { id: account.id } } })
        expect(held[i]?.account?.credentials).toEqual(read?.credentials)
      }
      await sql.end()
    })

    test("another tenant's app and account are absent, beside one who has them", async () => {
      const [ours, theirs] = [await aTenant("ours"), await aTenant("theirs")]
      const accountOf = { kind: "account", id: ours.account.id } as const
      const appOf = { kind: "app", provider: "x", id: ours.app.id } as const
      const found = await Promise.all([
        storage.keys.findWith(ours.key.id, accountOf),
        storage.keys.findWith(theirs.key.id, accountOf),
        storage.keys.findWith(ours.key.id, appOf),
        storage.keys.findWith(theirs.key.id, appOf),
        storage.keys.findWith(anId("key"), appOf),
      ])
      expect(found.map((each) => each?.account?.account.id)).toEqual([
        ours.account.id,
        undefined,
        undefined,
        undefined,
        undefined,
      ])
      expect(found.map((each) => each?.app?.id)).toEqual([
        undefined,
        undefined,
        ours.app.id,
        undefined,
        undefined,
      ])
      expect(found.map((each) => each?.key.id)).toEqual([
        ours.key.id,
        theirs.key.id,
        ours.key.id,
        theirs.key.id,
        undefined,
      ])
    })

    test("the same look-up is asked once, and all who asked get it", async () => {
      const { key, app } = await aTenant("busy")
      const { sql, statements } = counted()
      const keys = postgresKeys(sql)
      const found = await Promise.all(many(40, () => keys.findWith(key.id, defaultApp)))
      expect(found).toEqual(many(40, () => ({ key, app, account: null })))
      expect(statements).toHaveLength(1)
      await sql.end()
    })

    test("a revocation holds for whatever is asked after it, however busy the key is", async () => {
      for (let round = 0; round < 5; round++) {
        const { key, owner } = await aTenant(`revoking-${round}`)
        let isRevoked = false
        const seenAfter: unknown[] = []
        let busy = true
        const load = many(64, async () => {
          while (busy) {
            const wasRevoked = isRevoked
            const found = await storage.keys.findWith(key.id, defaultApp)
            if (wasRevoked) seenAfter.push(found?.key.revokedAt)
          }
        })
        await Bun.sleep(20)
        await storage.keys.revoke(owner, key.id, anEvent({ ...owner, at: after(7) }))
        isRevoked = true
        const next = await storage.keys.findWith(key.id, defaultApp)
        await Bun.sleep(20)
        busy = false
        await Promise.all(load)
        expect(next?.key.revokedAt).toEqual(after(7))
        expect(seenAfter.length).toBeGreaterThan(0)
        expect(new Set(seenAfter.map(String))).toEqual(new Set([String(after(7))]))
      }
    })

    test("an id of whatever signs finds its own row, and one that no store can keep fails alone", async () => {
      const signs = [`"`, `\\`, `a"b\\c`, "{}", "a,b", "null", "", " ", "'; --", "\n\t", "🦤", "$1"]
      const keys = signs.map((sign) => aKey({ id: `key ${sign}`, digest: sign }))
      for (const key of keys) await storage.keys.add(key, anEvent())
      const ids = [...keys.map(({ id }) => id), "key \0"]
      const found = await Promise.allSettled(ids.map((id) => storage.keys.findWith(id, defaultApp)))
      const digests = found.map((each) => (each.status === "fulfilled" ? each.value?.key.digest : "refused"))
      expect(digests).toEqual([...signs, "refused"])
    })

    test("times come back to the millisecond, near and far", async () => {
      const times = many(50, (i) => new Date(Math.floor(Math.random() * 4e12) * (i % 2 ? 1 : -1)))
      const extremes = ["1970-01-01T00:00:01.001Z", "1969-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"]
      const keys = [...times, ...extremes.map((text) => new Date(text))].map((expiresAt) =>
        aKey({ expiresAt }),
      )
      await Promise.all(keys.map((key) => storage.keys.add(key, anEvent())))
      const found = await Promise.all(keys.map(({ id }) => storage.keys.findWith(id, defaultApp)))
      expect(found.map((each) => each?.key.expiresAt?.getTime())).toEqual(
        keys.map(({ expiresAt }) => expiresAt?.getTime()),
      )
    })
  })

  describe("flows that are taken", () => {
    const addFlows = async (count: number, change: Partial<ConnectFlow> = {}) => {
      const flows = many(count, () => aFlow(change))
      await Promise.all(flows.map((flow) => storage.flows.add(flow)))
      return flows
    }

    test("sixty-four are one statement, each is taken at its own moment with its own MAC, and has its app", async () => {
      const { app, owner } = await aTenant("taking")
      const given = await addFlows(64, { ...owner, oauthAppId: app.id })
      const { sql, statements } = counted()
      const flows = postgresFlows(sql)
      const taken = await Promise.all(given.map(({ id }, i) => flows.consume(id, after(i), `mac ${i}`)))
      expect(statements).toHaveLength(1)
      const exchanging = given.map((flow, i) => ({
        ...flow,
        status: "exchanging",
        takenAt: after(i),
        callbackMac: `mac ${i}`,
      }))
      expect(taken as unknown).toEqual(exchanging.map((flow) => ({ taken: true, flow, app })))
      for (const flow of exchanging)
        expect(await storage.flows.find(flow, flow.id)).toEqual(flow as ConnectFlow)
      await sql.end()
    })

    test("of many who ask for the same flows, over instances that send several at once, each flow has one", async () => {
      const flows = await addFlows(30)
      await withInstances(4, async (instances) => {
        const asked = instances.flatMap((instance) =>
          many(3, (turn) => (turn === 1 ? flows.toReversed() : flows))
            .flat()
            .map(async ({ id }, i) => {
              if (i % 7 === 0) await Bun.sleep(i % 5)
              return await instance.flows.consume(id, after(1000), `caller ${i}`)
            }),
        )
        const consumed = await Promise.all(asked)
        const winners = consumed.flatMap((each) => (each?.taken ? [each.flow] : []))
        expect(winners.map(({ id }) => id).toSorted()).toEqual(flows.map(({ id }) => id).toSorted())
        const macs = new Map(winners.map(({ id, callbackMac }) => [id, callbackMac]))
        for (const each of consumed) {
          expect(each?.flow.status).toBe("exchanging")
          expect(each?.flow.callbackMac).toBe(macs.get(each?.flow.id ?? "") ?? "no winner")
        }
      })
    })

    test("one that is late, one that is taken and one that is not there are no matter to the others", async () => {
      const [late, taken, good] = await addFlows(3)
      if (!late || !taken || !good) throw nobody
      await storage.flows.consume(taken.id, after(5), "before")
      const outcomes = await Promise.allSettled([
        storage.flows.consume(late.id, late.expiresAt),
        storage.flows.consume(taken.id, after(6), "behind"),
        storage.flows.consume(anId("flow"), noon),
        storage.flows.consume("flow \0", noon),
        storage.flows.consume(good.id, after(7), `mac "\\{}`),
      ])
      const consumed = outcomes.map((each) => (each.status === "fulfilled" ? each.value : "refused"))
      expect(consumed).toEqual([
        { taken: false, flow: late, app: null },
        {
          taken: false,
          flow: { ...taken, status: "exchanging", takenAt: after(5), callbackMac: "before" },
          app: null,
        },
        undefined,
        "refused",
        {
          taken: true,
          flow: { ...good, status: "exchanging", takenAt: after(7), callbackMac: `mac "\\{}` },
          app: null,
        },
      ])
    })
  })

  describe("flows that connect", () => {
    const takenFlows = (count: number) => Promise.all(many(count, () => takenFlow(storage)))

    test("sixty-four are one statement, and each keeps its own accounts, in their order", async () => {
      const flows = await takenFlows(64)
      const connections = flows.map((_, i) => many(i % 4, () => aConnection()))
      const { sql, statements } = counted()
      const connecting = postgresFlows(sql)
      const connected = await Promise.all(
        flows.map(({ id }, i) =>
          connecting.connect(id, connections[i] ?? [], after(i), i % 2 ? someCalls : undefined),
        ),
      )
      expect(statements).toHaveLength(1)
      expect(connected).toEqual(connections.map((each) => each.map(({ account }) => account)))
      for (const [i, flow] of flows.entries()) {
        const accountIds = (connections[i] ?? []).map(({ account }) => account.id)
        const calls = i % 2 ? someCalls : []
        const ended: ConnectFlow = { ...flow, status: "connected", completedAt: after(i), accountIds, calls }
        expect(await storage.flows.find(flow, flow.id)).toEqual(ended)
      }
      await sql.end()
    })

    test("one whose event is kept already fails alone, and nothing of it is kept", async () => {
      const flows = await takenFlows(10)
      const known = anEvent()
      await storage.keys.add(aKey(), known)
      const connections = flows.map((_, i) => {
        const connection = aConnection()
        return i === 4 ? { ...connection, event: { ...connection.event, id: known.id } } : connection
      })
      const outcomes = await Promise.allSettled(
        flows.map(({ id }, i) => storage.flows.connect(id, connections.slice(i, i + 1), noon)),
      )
      expect(outcomes.map(({ status }) => status)).toEqual(
        many(10, (i) => (i === 4 ? "rejected" : "fulfilled")),
      )
      for (const [i, { account }] of connections.entries()) {
        expect((await storage.accounts.find(account, account.id))?.id).toBe(i === 4 ? undefined : account.id)
        expect((await storage.flows.find(account, flows[i]?.id ?? ""))?.status).toBe(
          i === 4 ? "exchanging" : "connected",
        )
      }
    })

    test("several of one upstream account all succeed and keep one account, with an event each", async () => {
      const flows = await takenFlows(8)
      const platformAccountId = crypto.randomUUID()
      const connections = flows.map(() => aConnection({ platformAccountId }))
      const connected = await Promise.all(
        flows.map(({ id }, i) => storage.flows.connect(id, connections.slice(i, i + 1), noon)),
      )
      const ids = new Set(connected.map((accounts) => first(accounts).id))
      expect(ids.size).toBe(1)
      const held = await storage.tokens.read(flows[0] ?? aFlow(), [...ids][0] ?? "")
      expect(held?.refresh.fence).toBe(7)
    })

    test("a flow that is asked to connect twice at once ends once, with the accounts of one", async () => {
      const [flow] = await takenFlows(1)
      if (!flow) throw nobody
      const connections = many(6, () => aConnection())
      const connected = await Promise.all(
        connections.map((each) => storage.flows.connect(flow.id, [each], noon)),
      )
      expect(connected.filter((accounts) => accounts !== undefined)).toHaveLength(1)
      const kept = await Promise.all(
        connections.map(({ account }) => storage.accounts.find(account, account.id)),
      )
      expect(kept.filter((account) => account !== undefined)).toHaveLength(1)
    })

    test("instances that connect the same accounts in opposite orders all succeed", async () => {
      const platformIds = many(12, () => crypto.randomUUID())
      await withInstances(3, async (instances) => {
        const work = instances.flatMap((instance, i) =>
          many(8, async (turn) => {
            const flow = await takenFlow(instance)
            const ids = (i + turn) % 2 ? platformIds : platformIds.toReversed()
            const accounts = ids
              .slice(turn % 5)
              .map((platformAccountId) => aConnection({ platformAccountId }))
            return await instance.flows.connect(flow.id, accounts, noon)
          }),
        )
        const connected = await Promise.all(work)
        expect(connected.filter((accounts) => accounts === undefined)).toEqual([])
        expect(new Set(connected.flatMap((accounts) => accounts?.map(({ id }) => id) ?? [])).size).toBe(12)
      })
    })
  })

  test("a storage that is closed refuses what is asked of it, and has answered what was asked before", async () => {
    const { key, app } = await aTenant("closing")
    const closing = await openPostgresStorage(database.url)
    const flow = aFlow()
    await closing.flows.add(flow)
    const asked = [
      closing.keys.findWith(key.id, defaultApp),
      closing.flows.consume(flow.id, after(1)),
    ] as const
    await closing.close()
    expect(await asked[0]).toEqual({ key, app, account: null })
    expect((await asked[1])?.taken).toBe(true)
    await expect(closing.keys.findWith(key.id, defaultApp)).rejects.toThrow()
    await expect(closing.flows.consume(flow.id, after(1))).rejects.toThrow()
    await expect(closing.flows.connect(flow.id, [], after(1))).rejects.toThrow()
  })

  test("each row is looked up by index, also before its table was ever analyzed", async () => {
    const fresh = await freshDatabase()
    await migratePostgres(fresh.url)
    const statements = new Set<string>()
    const sql = postgres(fresh.url, {
      max: 1,
      fetch_types: false,
      debug: (_, statement) => statements.add(statement),
    })
    const [keys, flows] = [postgresKeys(sql), postgresFlows(sql)]
    await keys.findWith("key", defaultApp)
    await keys.findWith("key", { ...defaultApp, id: "oa" })
    await keys.findWith("key", { kind: "account", id: "acc" })
    await flows.consume("flow", noon)
    await flows.connect("flow", [aConnection()], noon)
    expect(statements.size).toBe(5)
    const plain = postgres(fresh.url, { max: 1, fetch_types: false })
    for (const statement of statements) {
      const rows = await plain
        .unsafe<{ "QUERY PLAN": string }[]>(`explain (generic_plan) ${statement}`)
        .simple()
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n")
      expect(plan).not.toMatch(/Seq Scan|Bitmap Heap Scan/)
      expect(plan).toMatch(/Index Scan using (?:api_keys_pkey|flows_pkey)/)
      expect(plan).not.toMatch(/Index Scan using accounts_(?!pkey)/)
    }
    await plain.end()
    await sql.end()
    await fresh.drop()
  })

  test("a plan is made once for all that may be asked, and not anew each time", async () => {
    const tenants = await Promise.all(many(20, (i) => aTenant(`planned-${i}`)))
    const sql = postgres(database.url, { max: 1, fetch_types: false })
    const [keys, flows] = [postgresKeys(sql), postgresFlows(sql)]
    for (const count of [1, 20, 3, 20, 7, 1, 20, 1, 5, 20, 2, 20]) {
      const asking = tenants.slice(0, count)
      await Promise.all(asking.map(({ key }) => keys.findWith(key.id, defaultApp)))
      await Promise.all(
        asking.map(({ key, account }) => keys.findWith(key.id, { kind: "account", id: account.id })),
      )
      const given = asking.map(({ owner }) => aFlow(owner))
      await Promise.all(given.map((flow) => flows.add(flow)))
      await Promise.all(given.map(({ id }) => flows.consume(id, noon)))
      await Promise.all(
        given.map((flow) => flows.connect(flow.id, [aConnection({ tenant: flow.tenant })], noon)),
      )
    }
    const prepared = await sql<{ statement: string; custom: number; generic: number }[]>`
      select statement, custom_plans::int as custom, generic_plans::int as generic
      from pg_prepared_statements where statement not like '%pg_prepared_statements%'`
    expect(prepared).toHaveLength(5)
    for (const { custom, generic } of prepared) expect([custom, generic]).toEqual([5, 7])
    await sql.end()
  })
})
