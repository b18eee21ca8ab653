import { afterEach, beforeEach, expect, test } from "bun:test"
import type { HeldAccount, Storage } from "../../src/ports/storage.ts"
import { spawnChild } from "../support/spawn-child.ts"
import {
  aConnection,
  acme,
  after,
  aLease,
  anApp,
  anEvent,
  anId,
  claimed,
  claimOf,
  eventsOf,
  heldOf,
  keep,
  noon,
  renewedTokens,
  sealed,
  settledRefresh,
  takenFlow,
} from "../support/storage-fixtures.ts"
import type { DurableDatabase } from "./durable-storage.ts"

const failure = { reason: "access_denied", detail: "made up", evidence: null } as const

/** What is left of tokens, claims and choices when a process is gone. */
export function durableTokensContract(database: () => DurableDatabase): void {
  async function withStorage<Result>(work: (storage: Storage) => Promise<Result>): Promise<Result> {
    const storage = await database().open()
    try {
      return await work(storage)
    } finally {
      await storage.close()
    }
  }

  test("a claim with its risk, a plan, failures and a choice survive closing and opening again", async () => {
    const [held, offered] = await withStorage(async (storage) => {
      const app = await storage.apps.add(anApp(), anEvent())
      const account = await keep(storage, { oauthAppId: app.id })
      const claim = claimOf(await claimed(storage, account, { risky: true }))
      await storage.tokens.settle(claim, settledRefresh({ unknown: true }), anEvent())
      const flow = await takenFlow(storage, { select: true })
      await storage.flows.offer(flow.id, sealed("candidates"), after(9000))
      return [await claimed(storage, account), await storage.flows.findCandidates(flow.id)]
    })
    await withStorage(async (storage) => {
      expect(await heldOf(storage, held.account)).toEqual(held)
      expect(await storage.flows.findCandidates(offered?.flow.id ?? "")).toEqual(offered)
    })
  })

  test("a process that dies right after its risky claim has left word of it", async () => {
    const before = await withStorage(async (storage) => heldOf(storage, await keep(storage)))
    const child = spawnChild(database().url, "claim", before.account.id)
    await child.lines(1)
    child.go()
    expect(await child.lines(1)).toEqual(["1"])
    await child.kill()
    await withStorage(async (storage) => {
      const { refresh, ...rest } = await heldOf(storage, before.account)
      expect({ ...rest, refresh: before.refresh }).toEqual(before)
      expect([refresh.sentAt, refresh.fence]).toEqual([noon, before.refresh.fence + 1])
      expect(await storage.tokens.findChangedByClock(after(15_000), noon, 10)).toHaveLength(1)
    })
  })

  test.each(["connect", "fail", "abandon"] as const)(
    "of a choice that ended in %s nothing is left in the database",
    async (ending) => {
      await withStorage(async (storage) => {
        const flow = await takenFlow(storage, { select: true })
        await storage.flows.offer(flow.id, sealed("of what was granted"), after(9000))
        const choosing = await storage.flows.find(acme, flow.id)
        expect(await everything("flows")).toContain("of what was granted")
        if (ending === "connect") await storage.flows.connect(flow.id, [aConnection()], noon)
        else if (ending === "fail") await storage.flows.fail(flow.id, failure, anEvent(), noon)
        else await storage.flows.abandon(choosing ?? flow, failure, anEvent(), noon)
        expect((await storage.flows.find(acme, flow.id))?.completedAt).toEqual(noon)
        expect(await everything("flows")).not.toContain("of what was granted")
      })
    },
  )

  test("of a removed account nothing is left in the database but its events", async () => {
    await withStorage(async (storage) => {
      const account = await keep(storage)
      expect(await everything("accounts")).toContain(account.id)
      await storage.tokens.remove(acme, account.id, anEvent())
      expect(await everything("accounts")).toBe("[]")
      expect(await eventsOf(storage)).toHaveLength(2)
    })
  })

  const everything = async (table: string) =>
    JSON.stringify(await database().query(`select * from ${table}`), (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    )
}

/** Two that refresh, connect and remove the same accounts over connections of their own. */
export function tokenRacesContract(database: () => DurableDatabase): void {
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
  const either = (i: number) => (i % 2 ? one : two)

  test("of fifty claimers of one account over two connections exactly one gets it", async () => {
    const account = await keep(one)
    for (let round = 0; round < 5; round++) {
      const seen = await heldOf(two, account)
      const lease = aLease({ now: after(round * 15_000), until: after((round + 1) * 15_000), risky: true })
      const claims = await Promise.all(
        Array.from({ length: 50 }, (_, i) => either(i).tokens.claim(claimOf(seen), lease)),
      )
      expect(claims.filter(Boolean)).toHaveLength(1)
      expect((await heldOf(one, account)).refresh.fence).toBe(seen.refresh.fence + 1)
    }
  })

  test("of fifty claimers of one account over two processes exactly one gets it", async () => {
    const { id } = await keep(one)
    const children = [1, 2].map(() => spawnChild(database().url, "claim", id))
    for (const child of children) expect(await child.lines(1)).toEqual(["ready"])
    for (const child of children) child.go()
    const got = await Promise.all(children.map(async (child) => Number(await child.lines(1))))
    expect(got.toSorted()).toEqual([0, 1])
  })

  const overtaking: readonly (readonly [string, (holder: HeldAccount) => Promise<unknown>])[] = [
    ["claims", ({ account }) => claimed(two, account, { now: after(15_000) })],
    [
      "connects",
      async ({ account }) => two.flows.connect((await takenFlow(two)).id, [aConnection(account)], noon),
    ],
    ["removes", ({ account }) => two.tokens.remove(acme, account.id, anEvent())],
  ]

  test.each(overtaking)(
    "a holder is overtaken where the other connection %s the account",
    async (_, overtake) => {
      const holder = await claimed(one, await keep(one), { risky: true })
      await overtake(holder)
      const before = [await two.tokens.read(acme, holder.account.id), await eventsOf(two)]
      const claim = claimOf(holder)
      expect(await one.tokens.renew(claim, renewedTokens(), anEvent())).toBeUndefined()
      expect(await one.tokens.settle(claim, settledRefresh(), anEvent())).toBe(false)
      expect(await one.tokens.prolong(claim, after(99_000))).toBe(false)
      expect([await two.tokens.read(acme, holder.account.id), await eventsOf(two)]).toEqual(before)
    },
  )

  test("of a renewal and a reconnect at once over two connections the reconnect's tokens stay", async () => {
    for (let round = 0; round < 20; round++) {
      const holder = await claimed(one, await keep(one))
      const flow = await takenFlow(two)
      const again = aConnection(holder.account, { accessToken: sealed("by the person") })
      await Promise.all([
        one.tokens.renew(claimOf(holder), renewedTokens(), anEvent()),
        two.flows.connect(flow.id, [again], noon),
      ])
      const { credentials, refresh } = await heldOf(one, holder.account)
      expect(credentials.accessToken).toBe(sealed("by the person"))
      expect(refresh.fence).toBe(holder.refresh.fence + 1)
    }
  })

  test("of a renewal and a removal at once over two connections the removal stays", async () => {
    for (let round = 0; round < 20; round++) {
      const holder = await claimed(one, await keep(one))
      const [, removed] = await Promise.all([
        one.tokens.renew(claimOf(holder), renewedTokens(), anEvent()),
        two.tokens.remove(acme, holder.account.id, anEvent()),
      ])
      expect(removed).toBe(true)
      expect(await one.tokens.read(acme, holder.account.id)).toBeUndefined()
    }
  })

  test("of what is due every account falls to one of many over two connections", async () => {
    const app = await one.apps.add(anApp(), anEvent())
    const due: string[] = []
    for (let i = 0; i < 20; i++) {
      const oauthAppId = i % 3 ? app.id : null
      due.push((await keep(one, { oauthAppId }, {}, { keepAliveAt: after(-i) })).id)
    }
    const query = { provider: "x", limit: 3, perApp: 2, exceptApps: [] } as const
    const got: string[] = []
    for (let share = [""]; share.length > 0; ) {
      const shares = await Promise.all(
        Array.from({ length: 6 }, (_, i) => either(i).tokens.claimDue(query, aLease({ risky: true }))),
      )
      share = shares.flat().map(({ account }) => account.id)
      got.push(...share)
    }
    expect(got.toSorted()).toEqual(due.toSorted())
  })

  test("of several who register one account at once over two connections one creates it", async () => {
    for (let round = 0; round < 5; round++) {
      const platformAccountId = crypto.randomUUID()
      const registered = await Promise.all(
        Array.from({ length: 6 }, (_, i) => either(i).tokens.register(aConnection({ platformAccountId }))),
      )
      expect(registered.filter(({ created }) => created)).toHaveLength(1)
      expect(new Set(registered.map(({ account }) => account.id)).size).toBe(1)
    }
  })

  test("consents of one person at once over two connections all end, whatever each leaves out", async () => {
    const metadata = { person_id: "ada" }
    const pages = Array.from({ length: 8 }, () => ({ platformAccountId: crypto.randomUUID(), metadata }))
    const grant = { owner: acme, provider: "x", oauthAppId: null, personId: "ada" } as const
    const consent = async (storage: Storage, ticked: typeof pages) => {
      const flow = await takenFlow(storage)
      await storage.flows.connect(
        flow.id,
        ticked.map((page) => aConnection(page)),
        noon,
      )
      const kept = ticked.map(({ platformAccountId }) => platformAccountId)
      const detail = crypto.randomUUID()
      await storage.tokens.noteLostGrants({ ...grant, kept }, detail, anEvent(), () => anId("evt"))
    }
    for (let round = 0; round < 8; round++) {
      await Promise.all([
        consent(one, pages.toReversed()),
        consent(two, pages),
        consent(one, pages.slice(4)),
        consent(two, pages.slice(0, 4).toReversed()),
      ])
    }
    expect(await one.tokens.countOfPerson(grant)).toBe(pages.length)
  })

  test("of several that change one health at once over two connections one succeeds", async () => {
    const { account, refresh } = await heldOf(one, await keep(one))
    const seen = { accountId: account.id, fence: refresh.fence, health: account.health }
    const changes = Array.from({ length: 10 }, (_, i) =>
      either(i).tokens.changeHealth(seen, "expiring", "ends soon", anEvent(), noon),
    )
    expect((await Promise.all(changes)).filter(Boolean)).toHaveLength(1)
  })
}
