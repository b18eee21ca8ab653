import { afterEach, beforeEach, expect, test } from "bun:test"
import type { Account } from "../../src/domain/account.ts"
import type { Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  aFlow,
  after,
  anApp,
  anEvent,
  anId,
  claimed,
  connect,
  eventsOf,
  heldOf,
  keep,
  noon,
  sealed,
  someCalls,
  takenFlow,
  unconfirmed,
} from "../support/storage-fixtures.ts"
import type { DurableDatabase } from "./durable-storage.ts"

const failure = { reason: "no_response", detail: "made up", evidence: null } as const
const candidates = sealed("of what was granted")

/** What is left of accounts that wait to be confirmed, and of the flows they wait for. */
export function durableProofContract(database: () => DurableDatabase): void {
  let storage: Storage
  beforeEach(async () => {
    storage = await database().open()
  })
  afterEach(async () => {
    await storage.close()
  })
  const everything = async (table: string) =>
    JSON.stringify(await database().query(`select * from ${table} order by id`), (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    )
  const hold = async (...accounts: readonly Account[]) => {
    const flow = await takenFlow(storage, { proof: true })
    const held = accounts.map((account) => unconfirmed(account))
    await storage.flows.hold(flow.id, held, candidates, after(9000), someCalls)
    return flow
  }

  test("a flow that waits to be confirmed, its calls, its MAC and its accounts survive closing and opening again", async () => {
    const flow = aFlow({ proof: true })
    await storage.flows.add(flow)
    await storage.flows.consume(flow.id, after(1000), "made-up-mac")
    const granted = unconfirmed()
    await storage.flows.hold(flow.id, [granted], candidates, after(9000), someCalls)
    const before = [
      await storage.flows.findCandidates(flow.id),
      await heldOf(storage, granted.account),
      await storage.flows.list(acme, { now: noon }, { limit: 9 }),
    ]
    await storage.close()
    storage = await database().open()
    const now = [
      await storage.flows.findCandidates(flow.id),
      await heldOf(storage, granted.account),
      await storage.flows.list(acme, { now: noon }, { limit: 9 }),
    ]
    expect(now).toEqual(before)
    expect((await storage.flows.find(acme, flow.id))?.calls).toEqual(someCalls)
    const confirmed = aConnection({ platformAccountId: granted.account.platformAccountId })
    expect(await storage.flows.connect(flow.id, [confirmed], noon)).toMatchObject([
      { id: granted.account.id },
    ])
  })

  test.each(["connect", "abandon"] as const)(
    "of what waited to be confirmed nothing is left after %s",
    async (ending) => {
      const flow = await hold()
      const confirming = await storage.flows.find(acme, flow.id)
      expect(await everything("flows")).toContain("of what was granted")
      if (ending === "connect") await storage.flows.connect(flow.id, [], noon)
      else await storage.flows.abandon(confirming ?? flow, failure, anEvent(), noon)
      expect((await storage.flows.find(acme, flow.id))?.completedAt).toEqual(noon)
      expect(await everything("flows")).not.toContain("of what was granted")
    },
  )

  test("of an account that is kept no column is touched when it is held", async () => {
    const account = await keep(storage)
    await claimed(storage, account, { risky: true })
    await connect(storage, aConnection({ platformAccountId: "another" }))
    const before = await everything("accounts")
    await hold({ ...account, handle: "other", health: "unconfirmed", updatedAt: after(99) })
    expect(await everything("accounts")).toBe(before)
  })

  test("of an account that is held already no column is touched but the time, the detail and the reference", async () => {
    const { account } = unconfirmed()
    await hold(account)
    const before = await database().query("select * from accounts")
    const told = { healthDetail: "Confirm the other flow.", reference: "user-2" }
    await hold({ ...account, ...told, handle: "other", updatedAt: after(99) })
    const [row] = await database().query("select * from accounts")
    const { updated_at, health_detail, reference } = before[0] ?? {}
    expect(row?.updated_at).not.toEqual(updated_at)
    expect([row?.health_detail, row?.reference]).toEqual([told.healthDetail, told.reference])
    expect<object>({ ...row, updated_at, health_detail, reference }).toEqual(before[0] ?? {})
  })

  test("of a forgotten account nothing is left in the database", async () => {
    const { account } = unconfirmed()
    await hold(account)
    expect(await everything("accounts")).toContain(account.id)
    await storage.flows.forgetUnconfirmed(after(99_000), 10)
    expect(await everything("accounts")).toBe("[]")
  })

  test("a flow that has not failed is in no list of failures", async () => {
    for (const status of ["pending", "exchanging", "connected"] as const)
      await storage.flows.add(aFlow({ status }))
    expect(await database().query("select id from flows where failure is not null")).toEqual([])
  })
}

/** Two that hold, confirm, sweep and forget over connections of their own. */
export function proofRacesContract(database: () => DurableDatabase): void {
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
  const anew = ({ platformAccountId, provider }: Account, change: Partial<Account> = {}) =>
    aConnection({ platformAccountId, provider, ...change })
  const held = async (...accounts: readonly Account[]) => {
    const flow = await takenFlow(one, { proof: true })
    await one.flows.hold(
      flow.id,
      accounts.map((account) => unconfirmed(account)),
      candidates,
      after(9000),
    )
    return { ...flow, status: "confirming", expiresAt: after(9000) } as const
  }

  test("of confirmations, sweeps and holds of one flow over two connections one changes it", async () => {
    for (let round = 0; round < 15; round++) {
      const { account } = unconfirmed()
      const flow = await held(account)
      const outcomes = await Promise.all([
        one.flows.connect(flow.id, [anew(account)], noon),
        two.flows.abandon(flow, failure, anEvent(), noon),
        two.flows.connect(flow.id, [anew(account)], noon),
        one.flows.abandon(flow, failure, anEvent(), noon),
        two.flows.hold(flow.id, [unconfirmed(account)], candidates, after(1)),
      ])
      expect(outcomes.filter(Boolean)).toHaveLength(1)
      const connected = outcomes[0] ?? outcomes[2]
      const now = await two.accounts.find(acme, account.id)
      expect(now?.health).toBe(connected ? "active" : "unconfirmed")
    }
    expect(await eventsOf(one)).toHaveLength(15)
  })

  test("of holds, failures and sweeps of one taken flow over two connections one comes first", async () => {
    for (let round = 0; round < 15; round++) {
      const flow = await takenFlow(one, { proof: true })
      const granted = unconfirmed()
      const outcomes = await Promise.all([
        one.flows.hold(flow.id, [granted], candidates, after(9)),
        two.flows.hold(flow.id, [unconfirmed(granted.account)], sealed("others"), after(9)),
        two.flows.abandon(flow, failure, anEvent(), noon),
        one.flows.fail(flow.id, failure, anEvent(), noon),
      ])
      expect(outcomes.filter(Boolean)).toHaveLength(1)
      const kept = (await one.accounts.list(acme, { health: "unconfirmed" }, { limit: 50 })).total
      expect(kept).toBe(outcomes[0] || outcomes[1] ? 1 : 0)
      await one.flows.forgetUnconfirmed(after(99_000), 10)
    }
  })

  test("holds and connects of the same Pages in opposite orders over two connections all succeed", async () => {
    const pages = Array.from({ length: 10 }, () => unconfirmed({ provider: "facebook" }).account)
    for (let round = 0; round < 10; round++) {
      const flows = await Promise.all([one, two, one, two].map((storage) => takenFlow(storage)))
      const [first = "", second = "", third = "", fourth = ""] = flows.map(({ id }) => id)
      const granted = () => pages.map((page) => unconfirmed({ ...page, id: anId("acc") }))
      const outcomes = await Promise.all([
        one.flows.hold(first, granted(), candidates, after(9)),
        two.flows.connect(
          second,
          pages.toReversed().map((page) => anew(page)),
          noon,
        ),
        one.flows.connect(
          third,
          pages.map((page) => anew(page)),
          noon,
        ),
        two.flows.hold(fourth, granted().toReversed(), candidates, after(9)),
      ])
      expect(outcomes.every(Boolean)).toBe(true)
      const { items } = await one.accounts.list(acme, {}, { limit: 50 })
      expect(items.map(({ health }) => health)).toEqual(pages.map(() => "active"))
      for (const { id } of items) await two.tokens.remove(acme, id, anEvent())
    }
  })

  test("an account that is confirmed while the other connection forgets it is there afterwards", async () => {
    for (let round = 0; round < 25; round++) {
      const accounts = Array.from({ length: 4 }, () => unconfirmed({ provider: "facebook" }).account)
      const flow = await held(...accounts)
      const [connected] = await Promise.all([
        one.flows.connect(
          flow.id,
          accounts.toReversed().map((account) => anew(account)),
          noon,
        ),
        two.flows.forgetUnconfirmed(after(99_000), 10),
      ])
      for (const account of connected ?? [])
        expect(await two.accounts.find(acme, account.id)).toEqual(account)
      expect(connected).toHaveLength(4)
    }
    const types = new Set((await eventsOf(one)).map(({ type }) => type))
    expect([...types]).toEqual(["account.connected"])
  })

  test("each forgotten account is counted by one of two that forget at once", async () => {
    for (let i = 0; i < 6; i++) await held(...Array.from({ length: 5 }, () => unconfirmed().account))
    const forgotten = await Promise.all(
      [one, two, one, two].map((storage) => storage.flows.forgetUnconfirmed(after(99_000), 8)),
    )
    const together = forgotten.reduce((sum, count) => sum + count, 0)
    expect(Math.max(...forgotten)).toBeLessThanOrEqual(8)
    const { total } = await one.accounts.list(acme, {}, { limit: 50 })
    expect(together + total).toBe(30)
  })

  test("no account is held with an app that the other connection removes at the same moment", async () => {
    for (let round = 0; round < 20; round++) {
      const app = await one.apps.add(anApp(), anEvent())
      const flow = await takenFlow(one, { oauthAppId: app.id })
      const { account, ...rest } = unconfirmed({ oauthAppId: app.id })
      const [removed] = await Promise.all([
        two.apps.remove(acme, app.id, anEvent()),
        one.flows.hold(flow.id, [{ account, ...rest }], candidates, after(9)),
      ])
      const used = (await one.accounts.find(acme, account.id))?.oauthAppId
      expect([removed.kind, used]).toEqual(used === null ? ["removed", null] : ["in_use", app.id])
    }
  })

  test("an account that is registered while the other connection holds it is created once and not held", async () => {
    for (let round = 0; round < 20; round++) {
      const { account } = unconfirmed()
      const flow = await takenFlow(one)
      const [registered, , again] = await Promise.all([
        one.tokens.register(anew(account)),
        two.flows.hold(flow.id, [unconfirmed(account)], candidates, after(9)),
        two.tokens.register(anew(account)),
      ])
      expect([registered, again].filter(({ created }) => created)).toHaveLength(1)
      expect(registered.account.id).toBe(again.account.id)
      expect((await one.accounts.find(acme, again.account.id))?.health).toBe("active")
    }
  })
}
