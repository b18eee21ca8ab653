import { expect, test } from "bun:test"
import type { Account, Health, RenewalPlan, SealedCredentials } from "../../src/domain/account.ts"
import type { OAuthApp } from "../../src/domain/oauth-app.ts"
import type { DueQuery, HeldAccount, Lease, Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  after,
  aKey,
  aLease,
  anApp,
  anEvent,
  anId,
  claimed,
  claimOf,
  connect,
  eventsOf,
  heldOf,
  keep,
  noon,
  settledRefresh,
  strangers,
} from "../support/storage-fixtures.ts"

const never: RenewalPlan = { keepAliveAt: null, personNeededAt: null }

/** What the background finds to do, and whom the clock has changed. */
export function dueContract(storage: () => Storage): void {
  const keepDue = (
    sinceMs: number | null,
    change: Partial<Account> = {},
    credentials: Partial<SealedCredentials> = {},
  ) =>
    keep(storage(), change, credentials, {
      ...never,
      keepAliveAt: sinceMs === null ? null : after(-sinceMs),
    })
  const claimDue = (query: Partial<DueQuery> = {}, lease: Partial<Lease> = {}) =>
    storage().tokens.claimDue(
      { provider: "x", limit: 50, perApp: 50, exceptApps: [], ...query },
      aLease(lease),
    )
  const dueIds = async (query: Partial<DueQuery> = {}, lease: Partial<Lease> = {}) =>
    idsOf(await claimDue(query, lease))
  const addApp = (change: Partial<OAuthApp> = {}) => storage().apps.add(anApp(change), anEvent())

  /** Leaves it with a refresh token whose fate is unknown, sent at the given moment. */
  async function loseRefresh(account: Account, sentAt: Date, retryAt: Date | null = null): Promise<void> {
    const lease = { now: sentAt, until: after(1, sentAt), risky: true }
    const claim = claimOf(await claimed(storage(), account, lease))
    await storage().tokens.settle(claim, settledRefresh({ unknown: true, retryAt }), null)
  }

  test("of accounts due at the very same moment no app gets more than its share", async () => {
    const apps = [await addApp(), await addApp(), await addApp()]
    for (let i = 0; i < 300; i++) await keepDue(5, { oauthAppId: apps[i % 3]?.id ?? null })
    for (let round = 0; round < 9; round++) {
      const taken = await claimDue({ perApp: 5, limit: 20 })
      const shares = apps.map(({ id }) => taken.filter(({ account }) => account.oauthAppId === id).length)
      expect(shares).toEqual([5, 5, 5])
    }
  })

  test("due is an account of the provider whose moment has come, whoever owns it", async () => {
    const due = [await keepDue(0), await keepDue(1)]
    for (const stranger of strangers) due.push(await keepDue(5, stranger))
    await keepDue(-1)
    await keepDue(null)
    await keepDue(5, { provider: "tiktok" })
    const all = await claimDue()
    expect(idsOf(all).toSorted()).toEqual(due.map(({ id }) => id).toSorted())
    expect(await claimDue()).toEqual([])
  })

  test("what is due comes claimed, with its app, and an older claim of it is worth nothing", async () => {
    const app = await addApp()
    const account = await keepDue(5, { oauthAppId: app.id })
    const before = await heldOf(storage(), account)
    const [held] = await claimDue()
    const refresh = { ...before.refresh, fence: before.refresh.fence + 1, leaseUntil: after(15_000) }
    expect(held).toEqual({ ...before, refresh, app })
    expect(await heldOf(storage(), account)).toEqual({ ...before, refresh, app })
    expect(await storage().tokens.claim(claimOf(before), aLease({ now: after(99_000) }))).toBeUndefined()
    expect(await storage().tokens.prolong(claimOf({ ...before, refresh }), after(99_000))).toBe(true)
  })

  test("a risky claim notes the moment for those that have a refresh token", async () => {
    const rotating = await keepDue(5)
    const bare = await keepDue(4, {}, { refreshToken: null })
    const sent = (await claimDue({}, { risky: true })).map(({ refresh }) => refresh.sentAt)
    expect(sent).toEqual([noon, null])
    expect((await heldOf(storage(), rotating)).refresh.sentAt).toEqual(noon)
    expect((await heldOf(storage(), bare)).refresh.sentAt).toBeNull()
  })

  test("a claim without risk leaves an earlier note as it is", async () => {
    await loseRefresh(await keepDue(5), after(-90))
    expect((await claimDue()).map(({ refresh }) => refresh.sentAt)).toEqual([after(-90)])
  })

  test("an account is due when the fate of its refresh is unknown, whatever its plan", async () => {
    const [unplanned, planned] = [await keepDue(null), await keepDue(-99_000)]
    for (const account of [unplanned, planned]) await loseRefresh(account, after(-90))
    const died = await keepDue(null)
    await claimed(storage(), died, { now: after(-80), until: after(-70), risky: true })
    const due = await dueIds()
    expect(due.toSorted()).toEqual([unplanned.id, planned.id, died.id].toSorted())
    expect(due.at(-1)).toBe(died.id)
  })

  test("those that are longest due come first, at most so many, whatever makes them so", async () => {
    const [three, nine, one] = [await keepDue(3), await keepDue(9), await keepDue(1)]
    const [seven, five] = [await keepDue(7), await keepDue(5)]
    const lost = await keepDue(null)
    await loseRefresh(lost, after(-6))
    const both = await keepDue(8)
    await loseRefresh(both, after(-2))
    const order = [nine, both, seven, lost, five, three, one].map(({ id }) => id)
    expect(await dueIds({ limit: 3 })).toEqual(order.slice(0, 3))
    expect(await dueIds({ limit: 3 })).toEqual(order.slice(3, 6))
    expect(await dueIds({ limit: 3 })).toEqual(order.slice(6))
  })

  test("of one app come at most so many, its longest due; those of others and without one fill the rest", async () => {
    const [greedy, modest] = [await addApp(), await addApp()]
    const ofGreedy: Account[] = []
    for (const age of [99, 98, 97, 96]) ofGreedy.push(await keepDue(age, { oauthAppId: greedy.id }))
    const ofModest = await keepDue(9, { oauthAppId: modest.id })
    const without = [await keepDue(8), await keepDue(7), await keepDue(6)]
    const expected = [...ofGreedy.slice(0, 2), ofModest, ...without].map(({ id }) => id)
    expect(await dueIds({ perApp: 2, limit: 6 })).toEqual(expected)
    expect(await dueIds({ perApp: 2, limit: 6 })).toEqual(ofGreedy.slice(2).map(({ id }) => id))
  })

  test("accounts of excepted apps are left alone; those without an app are not excepted", async () => {
    const [bad, good] = [await addApp(), await addApp()]
    const left = await keepDue(9, { oauthAppId: bad.id })
    const others = [await keepDue(8, { oauthAppId: good.id }), await keepDue(7)]
    const exceptApps = [bad.id, anId("oa")]
    expect(await dueIds({ exceptApps })).toEqual(others.map(({ id }) => id))
    expect(await dueIds()).toEqual([left.id])
  })

  test("one whose retry has only now come, or whose lease has run out, stands behind those that waited meanwhile", async () => {
    const [failed, died] = [await keepDue(90), await keepDue(80)]
    const claim = claimOf(await claimed(storage(), failed, { now: after(-70), until: after(-60) }))
    await storage().tokens.settle(claim, settledRefresh({ retryAt: after(-10) }), null)
    await claimed(storage(), died, { now: after(-70), until: after(-30) })
    const waiting = [await keepDue(40), await keepDue(20), await keepDue(5)]
    const [first, second, last] = waiting.map(({ id }) => id)
    expect(await dueIds()).toEqual([first ?? "", died.id, second ?? "", failed.id, last ?? ""])
  })

  test("however many of one app wait longer, or are excepted, others get what is theirs in their order", async () => {
    const apps = [await addApp(), await addApp(), await addApp()].map(({ id }) => id)
    const [crowd = ""] = apps
    const waiting = Array.from({ length: 90 }, (_, i) => ({
      // Nine in ten, and the oldest forty all, are of the first app; those of the rest lie among its youngest.
      app: i < 40 || i % 10 < 6 ? crowd : ([null, ...apps][i % 4] ?? null),
      sinceMs: 90 - i,
    }))
    const accounts = await connect(
      storage(),
      ...waiting.map(({ app, sinceMs }) =>
        aConnection({ oauthAppId: app }, {}, { ...never, keepAliveAt: after(-sinceMs) }),
      ),
    )
    let left = accounts.map(({ id, oauthAppId }) => ({ id, app: oauthAppId }))
    for (let round = 0; left.length > 0; round++) {
      const query = {
        limit: 1 + (round % 3),
        perApp: 1 + (round % 2),
        exceptApps: round % 4 < 3 ? [] : [crowd],
      }
      const expected = longestOf(left, query)
      expect(await dueIds(query)).toEqual(expected)
      left = left.filter(({ id }) => !expected.includes(id))
    }
  })

  test("of many apps those are asked whose accounts wait longest, whichever apps they are", async () => {
    const apps: string[] = []
    for (let i = 0; i < 14; i++) apps.push((await addApp()).id)
    const [crowd = "", ...others] = apps
    // All of the first app wait longer than any other's; those lie among each other, and a few apps have none.
    const waiting = Array.from({ length: 80 }, (_, i) => ({
      app: i < 40 ? crowd : (others[(i * i + 5) % others.length] ?? null),
      sinceMs: 80 - i,
    }))
    const accounts = await connect(
      storage(),
      ...waiting.map(({ app, sinceMs }) =>
        aConnection({ oauthAppId: app }, {}, { ...never, keepAliveAt: after(-sinceMs) }),
      ),
    )
    let left = accounts.map(({ id, oauthAppId }) => ({ id, app: oauthAppId }))
    for (let round = 0; left.some(({ app }) => app !== crowd); round++) {
      const query = { limit: 1 + (round % 2), perApp: 1 + (round % 3), exceptApps: [crowd] }
      const expected = longestOf(left, query)
      expect(await dueIds(query)).toEqual(expected)
      left = left.filter(({ id }) => !expected.includes(id))
    }
    expect(left).toHaveLength(40)
  })

  test("a retry that is pending is waited for, up to its moment and not at it", async () => {
    const account = await keepDue(5)
    const claim = claimOf(await claimed(storage(), account))
    await storage().tokens.settle(claim, settledRefresh({ retryAt: after(60_000) }), null)
    await loseRefresh(await keepDue(null), after(-90), after(60_000))
    expect(await dueIds({}, { now: after(59_999) })).toEqual([])
    expect(await dueIds({}, { now: after(60_000), until: after(75_000) })).toHaveLength(2)
  })

  test("what somebody has a lease on is left alone, up to its end and not at it", async () => {
    await claimed(storage(), await keepDue(5), { risky: true })
    await claimed(storage(), await keepDue(5))
    expect(await dueIds({}, { now: after(14_999) })).toEqual([])
    expect(await dueIds({}, { now: after(15_000), until: after(30_000) })).toHaveLength(2)
  })

  test("what needs the person is left alone; whatever else its health, an account is due", async () => {
    const due: string[] = []
    for (const health of ["active", "expiring", "refresh_unknown"] as const)
      due.push((await keepDue(5, { health })).id)
    await keepDue(5, { health: "reauthorization_required" })
    expect((await dueIds()).toSorted()).toEqual(due.toSorted())
  })

  test("several at once get different accounts, and together all of them", async () => {
    const all: string[] = []
    for (let i = 0; i < 12; i++) all.push((await keepDue(i)).id)
    const shares = await Promise.all(Array.from({ length: 10 }, () => dueIds({ limit: 3 })))
    expect(Math.max(...shares.map(({ length }) => length))).toBeLessThanOrEqual(3)
    const got = [...shares.flat(), ...(await dueIds())]
    expect(got.toSorted()).toEqual(all.toSorted())
  })

  const [now, soon] = [noon, after(1000)]
  const changed = async (limit = 50) => await storage().tokens.findChangedByClock(now, soon, limit)
  const keepNeeding = (at: Date | null, health: Health, change: Partial<Account> = {}) =>
    keep(storage(), { health, ...change }, {}, { ...never, personNeededAt: at })

  test("the clock has changed active accounts that soon need the person, and those that need them now", async () => {
    const found = [
      await keepNeeding(soon, "active"),
      await keepNeeding(soon, "active", { provider: "facebook", tenant: "globex" }),
      await keepNeeding(now, "active", { provider: "facebook" }),
      await keepNeeding(now, "active", { environment: "test" }),
      await keepNeeding(now, "expiring"),
      await keepNeeding(now, "refresh_unknown"),
    ]
    await keepNeeding(after(1001), "active")
    await keepNeeding(null, "active")
    await keepNeeding(after(1), "expiring")
    await keepNeeding(after(1), "refresh_unknown")
    await keepNeeding(now, "expiring", { provider: "facebook" })
    await keepNeeding(after(-9), "refresh_unknown", { provider: "facebook" })
    await keepNeeding(after(-9), "reauthorization_required")
    expect(idsOf(await changed()).toSorted()).toEqual(found.map(({ id }) => id).toSorted())
    expect(await changed(4)).toHaveLength(4)
  })

  test("what is being refreshed is left alone, since its refresh may change it as well", async () => {
    const account = await keepNeeding(now, "active")
    await claimed(storage(), account, { now, until: after(1), risky: false })
    expect(await changed()).toEqual([])
    const later = await storage().tokens.findChangedByClock(after(1), soon, 50)
    expect(idsOf(later)).toEqual([account.id])
  })

  test("it has changed accounts whose refresher died: the lease has ended with a token at risk", async () => {
    const lease = { now: after(-20), until: now, risky: true }
    const died = async (health: Health, change: Partial<Lease> = {}) => {
      const account = await keepNeeding(null, health)
      return await claimed(storage(), account, { ...lease, ...change })
    }
    const found = [await died("active"), await died("expiring")]
    await died("refresh_unknown")
    await died("reauthorization_required")
    await died("active", { until: after(1) })
    await died("active", { risky: false })
    await loseRefresh(await keepNeeding(null, "active"), after(-90))
    const byId = (a: HeldAccount, b: HeldAccount) => (a.account.id < b.account.id ? -1 : 1)
    expect((await changed()).toSorted(byId)).toEqual(found.toSorted(byId))
  })

  test("an account that the clock has changed twice over is found once, with its app", async () => {
    const app = await addApp()
    const account = await keepNeeding(now, "active", { oauthAppId: app.id })
    const held = await claimed(storage(), account, { now: after(-20), until: now, risky: true })
    expect(await changed()).toEqual([held])
    expect(held.app).toEqual(app)
  })

  const seenIn = ({ account, refresh }: HeldAccount) => ({
    accountId: account.id,
    fence: refresh.fence,
    health: account.health,
  })

  test("a change of health changes it, its detail and nothing else, with its event", async () => {
    const held = await claimed(storage(), await keepNeeding(soon, "active"), { risky: true })
    const event = anEvent({ type: "account.expiring", accountId: held.account.id })
    const changeHealth = storage().tokens.changeHealth
    expect(await changeHealth(seenIn(held), "expiring", "ends soon", event, after(7))).toBe(true)
    const health = { health: "expiring", healthDetail: "ends soon", updatedAt: after(7) } as const
    expect(await heldOf(storage(), held.account)).toEqual({
      ...held,
      account: { ...held.account, ...health },
    })
    expect(await eventsOf(storage())).toContainEqual(event)
  })

  test("health that is no longer as it was seen, or behind another fence, is not changed", async () => {
    const held = await heldOf(storage(), await keepNeeding(soon, "active"))
    const before = await eventsOf(storage())
    const seen = seenIn(held)
    for (const other of [
      { ...seen, health: "expiring" as const },
      { ...seen, fence: seen.fence + 1 },
      { ...seen, fence: seen.fence - 1 },
      { ...seen, accountId: anId("acc") },
    ]) {
      const change = storage().tokens.changeHealth(other, "refresh_unknown", "lost", anEvent(), now)
      expect(await change).toBe(false)
    }
    expect(await heldOf(storage(), held.account)).toEqual(held)
    expect(await eventsOf(storage())).toEqual(before)
  })

  test("of several that change one health at once one succeeds", async () => {
    const seen = seenIn(await heldOf(storage(), await keepNeeding(soon, "active")))
    const changes = Array.from({ length: 10 }, () =>
      storage().tokens.changeHealth(seen, "expiring", "ends soon", anEvent(), now),
    )
    expect((await Promise.all(changes)).filter(Boolean)).toHaveLength(1)
    expect(await eventsOf(storage(), acme)).toHaveLength(2)
  })

  test("where the event cannot be kept, health stays as it is", async () => {
    const held = await heldOf(storage(), await keepNeeding(soon, "active"))
    const event = anEvent()
    await storage().keys.add(aKey(), event)
    const change = storage().tokens.changeHealth(seenIn(held), "expiring", "ends soon", event, now)
    await expect(change).rejects.toThrow()
    expect(await heldOf(storage(), held.account)).toEqual(held)
  })
}

/** Of those that are given with the longest due first, by the letter of the promise. */
function longestOf(
  waiting: readonly { readonly id: string; readonly app: string | null }[],
  { limit, perApp, exceptApps }: Pick<DueQuery, "limit" | "perApp" | "exceptApps">,
): readonly string[] {
  return waiting
    .filter(({ app }) => app === null || !exceptApps.includes(app))
    .filter(
      ({ app }, i, all) =>
        app === null || all.slice(0, i).filter((other) => other.app === app).length < perApp,
    )
    .slice(0, limit)
    .map(({ id }) => id)
}

function idsOf(held: readonly HeldAccount[]): readonly string[] {
  return held.map(({ account }) => account.id)
}
