import { expect, test } from "bun:test"
import type { Account, SealedCredentials } from "../../src/domain/account.ts"
import type { ConnectFlow, FlowFailure } from "../../src/domain/connect-flow.ts"
import type { ConnectedAccount, Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  aFlow,
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
  sealed,
  someCalls,
  strangers,
  takenFlow,
  unconfirmed,
} from "../support/storage-fixtures.ts"

const failure: FlowFailure = { reason: "no_response", detail: "Nobody confirmed.", evidence: null }
const candidates = sealed('held "Pages" 🦤 \\')
const dayMs = 86_400_000

type GrantedAccount = Omit<ConnectedAccount, "event">

/** The same once more, as another flow was granted it. */
function renamed(granted: GrantedAccount): GrantedAccount {
  return { ...granted, account: { ...granted.account, id: anId("acc") } }
}

/** A taken flow whose accounts wait until the tenant's backend confirms them. */
export function proofContract(storage: () => Storage): void {
  const find = (flow: ConnectFlow) => storage().flows.find(flow, flow.id)
  const findAccount = (account: Account) => storage().accounts.find(account, account.id)
  const findCandidates = (flow: ConnectFlow) => storage().flows.findCandidates(flow.id)
  const list = async () => (await storage().accounts.list(acme, {}, { limit: 100 })).items
  const add = async (change: Partial<ConnectFlow>) => {
    const flow = aFlow({ proof: true, ...change })
    await storage().flows.add(flow)
    return flow
  }
  const hold = (flow: ConnectFlow, ...accounts: readonly GrantedAccount[]) =>
    storage().flows.hold(flow.id, accounts, candidates, after(5001))
  const held = async (...accounts: readonly GrantedAccount[]): Promise<ConnectFlow> => {
    const flow = await takenFlow(storage(), { proof: true })
    expect(await hold(flow, ...accounts)).toBe(true)
    return { ...flow, status: "confirming", expiresAt: after(5001) }
  }
  /** The same upstream account, as a later consent brings it. */
  const anew = (
    { account }: { readonly account: Account },
    change: Partial<Account> = {},
    ...rest: readonly [Partial<SealedCredentials>?]
  ): ConnectedAccount =>
    aConnection(
      { platformAccountId: account.platformAccountId, provider: account.provider, ...change },
      ...rest,
    )

  test("a taken flow's accounts are held: it is confirming, with a new expiry, and finds them again", async () => {
    const one = unconfirmed()
    const flow = await held(one)
    expect(await find(flow)).toEqual(flow)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
    expect(await eventsOf(storage())).toEqual([])
  })

  test("an account that nobody keeps is kept as it is given", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const [one, other] = [unconfirmed({ oauthAppId: app.id }), unconfirmed({ provider: "tiktok" })]
    await held(one, other)
    expect(await findAccount(one.account)).toEqual(one.account)
    const { account, credentials, plan, refresh } = await heldOf(storage(), one.account)
    expect({ account, credentials, plan }).toEqual(one)
    expect(refresh).toEqual({
      fence: 0,
      leaseUntil: null,
      sentAt: null,
      failures: 0,
      retryAt: null,
      lastFailure: null,
    })
    expect(await findAccount(other.account)).toEqual(other.account)
    const listed = await storage().accounts.list(acme, { health: "unconfirmed" }, { limit: 10 })
    expect(listed.total).toBe(2)
  })

  test("an account whose app is gone, or another owner's, is held without one", async () => {
    const theirs = await storage().apps.add(anApp({ tenant: "globex" }), anEvent())
    const accounts = [unconfirmed({ oauthAppId: anId("oa") }), unconfirmed({ oauthAppId: theirs.id })]
    await held(...accounts)
    for (const { account } of accounts)
      expect(await findAccount(account)).toEqual({ ...account, oauthAppId: null })
  })

  test("no account at all may be held", async () => {
    const flow = await held()
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
    expect(await storage().flows.connect(flow.id, [], noon)).toEqual([])
  })

  test("a choice may be held: it is replaced by what was chosen", async () => {
    const flow = await takenFlow(storage(), { select: true, proof: true })
    await storage().flows.offer(flow.id, sealed("three Pages"), after(9000))
    expect(await hold(flow, unconfirmed())).toBe(true)
    const confirming = { ...flow, status: "confirming", expiresAt: after(5001) } as const
    expect(await findCandidates(flow)).toEqual({ flow: confirming, app: null, candidates })
  })

  test.each(["pending", "confirming", "connected", "failed", "expired"] as const)(
    "a flow that is %s holds nothing",
    async (status) => {
      const flow = await add({ status })
      const one = unconfirmed()
      for (const id of [flow.id, anId("flow")]) {
        expect(await storage().flows.hold(id, [one], candidates, after(9), someCalls)).toBe(false)
        expect(await storage().flows.hold(id, [], candidates, after(9))).toBe(false)
      }
      expect(await find(flow)).toEqual(flow)
      expect(await findAccount(one.account)).toBeUndefined()
    },
  )

  test("holding brings the calls it is told of, and leaves those there are where it is told of none", async () => {
    for (const calls of [someCalls, [], undefined]) {
      const flow = await add({ status: "exchanging", takenAt: noon, calls: someCalls.slice(1) })
      await storage().flows.hold(flow.id, [unconfirmed()], candidates, after(9), calls)
      expect((await find(flow))?.calls).toEqual(calls ?? someCalls.slice(1))
      const told = await storage().flows.connect(flow.id, [], noon, calls)
      expect(told).toEqual([])
      expect((await find(flow))?.calls).toEqual(calls ?? someCalls.slice(1))
    }
  })

  test("an account that is kept already is not touched in any respect", async () => {
    for (const health of ["active", "expiring", "reauthorization_required", "refresh_unknown"] as const) {
      const account = await keep(storage(), { health, metadata: { person_id: "ada" } })
      const before = [await claimed(storage(), account, { risky: true }), await eventsOf(storage())]
      await held(
        unconfirmed({
          ...account,
          id: anId("acc"),
          health: "unconfirmed",
          handle: "other",
          updatedAt: after(9),
        }),
      )
      expect([await heldOf(storage(), account), await eventsOf(storage())]).toEqual(before)
    }
  })

  test.each([
    ["user-1", "user-2", "user-2"],
    ["user-1", null, "user-1"],
    [null, "user-2", "user-2"],
  ])(
    "one that is unconfirmed already keeps all it has but for the time, the detail and a reference: %p, %p",
    async (first, second, kept) => {
      const one = unconfirmed(
        { updatedAt: after(1), healthDetail: "Confirm the first flow.", reference: first },
        { refreshToken: sealed("first") },
      )
      await held(one)
      const before = await heldOf(storage(), one.account)
      const told = { healthDetail: "Confirm the second flow.", updatedAt: after(99) }
      const again = unconfirmed({
        ...one.account,
        ...told,
        id: anId("acc"),
        handle: "other",
        reference: second,
      })
      const flow = await held(again)
      const account = { ...one.account, ...told, reference: kept }
      expect(await heldOf(storage(), account)).toEqual({ ...before, account })
      expect(await findAccount(again.account)).toBeUndefined()
      expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
      const listed = await storage().accounts.list(acme, { reference: String(kept) }, { limit: 10 })
      expect(listed.items).toEqual([account])
    },
  )

  test("one upstream account of several owners is several accounts, each held alone", async () => {
    const account = await keep(storage())
    for (const stranger of strangers) {
      const theirs = unconfirmed({ ...account, ...stranger, id: anId("acc") })
      await held(theirs)
      expect(await findAccount(theirs.account)).toEqual(theirs.account)
    }
    expect(await findAccount(account)).toEqual(account)
  })

  test("one account twice in one hold is refused, and nothing of it is stored", async () => {
    const flow = await takenFlow(storage())
    const [one, twin] = [unconfirmed({ platformAccountId: "7" }), unconfirmed({ platformAccountId: "7" })]
    await expect(hold(flow, one, twin)).rejects.toThrow()
    expect(await find(flow)).toEqual(flow)
    expect(await findAccount(one.account)).toBeUndefined()
  })

  test("where one account cannot be held none is, and the flow is as it was", async () => {
    const known = await keep(storage())
    const flow = await takenFlow(storage())
    const [good, waiting] = [unconfirmed(), unconfirmed()]
    await held(waiting)
    const broken = unconfirmed({ id: known.id })
    await expect(
      hold(flow, good, { ...waiting, account: { ...waiting.account, updatedAt: after(9) } }, broken),
    ).rejects.toThrow()
    expect(await find(flow)).toEqual(flow)
    expect(await findCandidates(flow)).toBeUndefined()
    expect(await findAccount(good.account)).toBeUndefined()
    expect(await findAccount(waiting.account)).toEqual(waiting.account)
  })

  test("a confirmed account is connected like a new one: under the id it was held under, at the time of the connect", async () => {
    const one = unconfirmed({ connectedAt: noon })
    const flow = await held(one)
    const given = anew(one, { connectedAt: after(3000), updatedAt: after(3000) })
    const account = { ...given.account, id: one.account.id }
    expect(await storage().flows.connect(flow.id, [given], after(3000))).toEqual([account])
    const kept = await heldOf(storage(), account)
    expect(kept).toMatchObject({ account, credentials: given.credentials, plan: given.plan })
    expect(kept.account).toEqual(account)
    expect(await list()).toEqual([account])
    expect(await find(flow)).toEqual({
      ...flow,
      status: "connected",
      accountIds: [account.id],
      completedAt: after(3000),
    })
    expect(await findCandidates(flow)).toBeUndefined()
    const event = { ...given.event, type: "account.connected", accountId: account.id } as const
    expect(await eventsOf(storage())).toEqual([event])
  })

  const taking: readonly (readonly [string, (given: ConnectedAccount) => Promise<unknown>])[] = [
    ["a connect", (given) => connect(storage(), given)],
    ["a registration by hand", (given) => storage().tokens.register(given)],
  ]

  test.each(taking)(
    "of what was held %s leaves nothing but the id, not even what it brings none of",
    async (_, take) => {
      const one = unconfirmed(
        { reference: "the held one's", metadata: { person_id: "mallory" }, handle: "mallory" },
        {
          refreshToken: sealed("held refresh"),
          personToken: sealed("held person"),
          personTokenExpiresAt: noon,
        },
      )
      await held(one)
      const none = {
        refreshToken: null,
        refreshTokenExpiresAt: null,
        personToken: null,
        personTokenExpiresAt: null,
      }
      const given = anew(one, { reference: null, connectedAt: after(9), updatedAt: after(9) }, none)
      await take(given)
      const account = { ...given.account, id: one.account.id }
      const { refresh, ...kept } = await heldOf(storage(), account)
      expect(kept).toEqual({ account, credentials: given.credentials, plan: given.plan, app: null })
      expect(refresh.fence).toBeGreaterThan(0)
      expect((await storage().accounts.list(acme, { query: "mallory" }, { limit: 1 })).total).toBe(0)
    },
  )

  test("registering an unconfirmed account by hand creates it", async () => {
    const one = unconfirmed()
    await held(one)
    const given = anew(one, { connectionType: "manual" })
    const account = { ...given.account, id: one.account.id }
    expect(await storage().tokens.register(given)).toEqual({ account, created: true })
    const event = { ...given.event, type: "account.connected", accountId: account.id } as const
    expect(await eventsOf(storage())).toEqual([event])
    expect((await storage().tokens.register(anew(one))).created).toBe(false)
  })

  test("an account that was confirmed once is an old one from then on, tokens and reference kept", async () => {
    const one = unconfirmed()
    const flow = await held(one)
    const confirmed = anew(one, { reference: "user-9" }, { refreshToken: sealed("confirmed") })
    await storage().flows.connect(flow.id, [confirmed], noon)
    const again = anew(one, { reference: null, connectedAt: after(9) }, { refreshToken: null })
    const [account] = await connect(storage(), again)
    expect(account).toMatchObject({
      id: one.account.id,
      reference: "user-9",
      connectedAt: confirmed.account.connectedAt,
    })
    expect((await heldOf(storage(), one.account)).credentials.refreshToken).toBe(sealed("confirmed"))
    const told = (await eventsOf(storage())).map(({ id, type }) => [id, type])
    expect(told).toContainEqual([again.event.id, "account.reconnected"])
  })

  test("confirming connects new, held and known accounts together, each told as what it is", async () => {
    const [fresh, waiting] = [unconfirmed(), unconfirmed()]
    const known = await keep(storage())
    const flow = await held(fresh, waiting, unconfirmed({ ...known }))
    await storage().tokens.remove(acme, fresh.account.id, anEvent())
    const [first, second, third] = [anew(fresh), anew(waiting), anew({ account: known })]
    const accounts = await storage().flows.connect(flow.id, [first, second, third], noon)
    const ids = [first.account.id, waiting.account.id, known.id]
    expect(accounts?.map(({ id }) => id)).toEqual(ids)
    const types = new Map((await eventsOf(storage())).map(({ id, type }) => [id, type]))
    const told = [first, second, third].map(({ event }) => types.get(event.id))
    expect(told).toEqual(["account.connected", "account.connected", "account.reconnected"])
  })

  test("where an event cannot be kept, what is held stays held and may be confirmed again", async () => {
    const one = unconfirmed()
    const flow = await held(one)
    const event = anEvent()
    await storage().keys.add(aKey(), event)
    await expect(storage().flows.connect(flow.id, [{ ...anew(one), event }], noon)).rejects.toThrow()
    await expect(storage().tokens.register({ ...anew(one), event })).rejects.toThrow()
    await expect(storage().flows.abandon(flow, failure, event, noon)).rejects.toThrow()
    expect(await findAccount(one.account)).toEqual(one.account)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
    expect(await storage().flows.connect(flow.id, [anew(one)], noon)).toHaveLength(1)
  })

  test("a confirming flow is neither taken nor offered, held or failed; whoever comes sees it as it is", async () => {
    const flow = await held(unconfirmed())
    for (const now of [after(2000), after(9000)])
      expect(await storage().flows.consume(flow.id, now, "mac")).toEqual({ taken: false, flow, app: null })
    expect(await storage().flows.offer(flow.id, sealed("others"), after(9))).toBe(false)
    expect(await storage().flows.fail(flow.id, failure, anEvent(), noon)).toBe(false)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
    expect(await eventsOf(storage())).toEqual([])
  })

  test("a confirmation that never comes expires, and the candidates are forgotten, but not the accounts", async () => {
    const one = unconfirmed()
    const flow = await held(one)
    const event = anEvent({ type: "connect.failed", flowId: flow.id })
    expect(await storage().flows.abandon(flow, failure, event, after(9000))).toBe(true)
    expect(await find(flow)).toEqual({ ...flow, status: "expired", failure, completedAt: after(9000) })
    expect(await findCandidates(flow)).toBeUndefined()
    expect(await findAccount(one.account)).toEqual(one.account)
    expect(await eventsOf(storage())).toEqual([event])
    expect(await storage().flows.connect(flow.id, [anew(one)], noon)).toBeUndefined()
    expect(await findAccount(one.account)).toEqual(one.account)
  })

  test("a flow that was seen before it was confirming is not abandoned as such", async () => {
    const flow = await held(unconfirmed())
    for (const seen of [
      { ...flow, status: "exchanging" as const },
      { ...flow, status: "choosing" as const },
      { ...flow, status: "pending" as const },
      ...strangers.map((stranger) => ({ ...flow, ...stranger })),
    ])
      expect(await storage().flows.abandon(seen, failure, anEvent(), noon)).toBe(false)
    expect(await findCandidates(flow)).toEqual({ flow, app: null, candidates })
  })

  test("abandoned are confirming flows at their expiry too, by that alone, among the others by age", async () => {
    const late = await add({
      status: "confirming",
      createdAt: after(2),
      expiresAt: after(5001),
      takenAt: noon,
    })
    const choosing = await add({ status: "choosing", createdAt: after(3), expiresAt: after(5001) })
    const pending = await add({ createdAt: after(1), expiresAt: after(5001) })
    const abandoned = (now: Date, limit = 10) => storage().flows.findAbandoned(now, after(9000), limit)
    expect(await abandoned(after(5000))).toEqual([])
    expect(await abandoned(after(5001))).toEqual([pending, late, choosing])
    expect(await abandoned(after(5001), 2)).toEqual([pending, late])
  })

  test("of a confirmation, a hold and a sweep at once one changes the flow, and no account is half connected", async () => {
    for (let round = 0; round < 5; round++) {
      const one = unconfirmed()
      const flow = await held(one)
      const [connected, again, held2, abandoned] = await Promise.all([
        storage().flows.connect(flow.id, [anew(one)], noon),
        storage().flows.connect(flow.id, [anew(one)], noon),
        hold(flow, renamed(one)),
        storage().flows.abandon(flow, failure, anEvent(), noon),
      ])
      expect([connected, again, held2, abandoned].filter(Boolean)).toHaveLength(1)
      expect((await findAccount(one.account))?.health).toBe(abandoned ? "unconfirmed" : "active")
    }
    expect(await eventsOf(storage())).toHaveLength(5)
  })

  test("holds and connects of the same Pages at once, in whatever order, all succeed, and the connect stays", async () => {
    for (let round = 0; round < 5; round++) {
      const pages = Array.from({ length: 6 }, () => unconfirmed({ provider: "facebook" }))
      const flows = await Promise.all(Array.from({ length: 4 }, () => takenFlow(storage())))
      const orders = [pages, pages.toReversed(), pages.toReversed(), pages]
      const outcomes = await Promise.all(
        flows.map(({ id }, i) => {
          const order = orders[i] ?? []
          return i % 2
            ? storage().flows.connect(
                id,
                order.map((page) => anew(page)),
                noon,
              )
            : storage().flows.hold(id, order.map(renamed), candidates, after(9))
        }),
      )
      expect(outcomes.every(Boolean)).toBe(true)
    }
    const healths = (await list()).map(({ health }) => health)
    expect(healths).toEqual(Array.from({ length: 30 }, () => "active" as const))
    const told = (await eventsOf(storage())).map(({ type }) => type).toSorted()
    expect(told.filter((type) => type === "account.connected")).toHaveLength(30)
    expect(told.filter((type) => type === "account.reconnected")).toHaveLength(30)
  })

  test("an unconfirmed account counts as using its app", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const one = unconfirmed({ oauthAppId: app.id })
    await held(one)
    expect(await storage().apps.remove(acme, app.id, anEvent())).toEqual({ kind: "in_use", accounts: 1 })
    await storage().flows.forgetUnconfirmed(after(99_000), 10)
    expect(await storage().apps.remove(acme, app.id, anEvent())).toEqual({ kind: "removed" })
  })

  test("an unconfirmed account does not stand on its person's grant, and is told of no loss", async () => {
    const metadata = { person_id: "ada" }
    const grant = { owner: acme, provider: "x", oauthAppId: null, personId: "ada" } as const
    const one = unconfirmed({ metadata })
    await held(one)
    const known = await keep(storage(), { metadata })
    expect(await storage().tokens.countOfPerson(grant)).toBe(1)
    const lost = await storage().tokens.noteLostGrants({ ...grant, kept: [] }, "left out", anEvent(), () =>
      anId("evt"),
    )
    expect(lost).toEqual([known.id])
    expect(await findAccount(one.account)).toEqual(one.account)
    await connect(storage(), anew(one, { metadata }))
    expect(await storage().tokens.countOfPerson(grant)).toBe(2)
  })

  test("the background leaves an unconfirmed account alone, whatever its plan and its risk say", async () => {
    const due = { keepAliveAt: after(-9), personNeededAt: after(-9) }
    const planned = { ...unconfirmed(), plan: due }
    const risked = unconfirmed()
    await held(planned, risked)
    await storage().tokens.claim(claimOf(await heldOf(storage(), risked.account)), {
      ...aLease({ now: after(-99), until: after(-90), risky: true }),
    })
    const query = { provider: "x", limit: 9, perApp: 9, exceptApps: [] } as const
    expect(await storage().tokens.claimDue(query, aLease())).toEqual([])
    expect(await storage().tokens.findChangedByClock(noon, after(1), 9)).toEqual([])
    await connect(storage(), { ...anew(planned), plan: due })
    expect(await storage().tokens.claimDue(query, aLease())).toHaveLength(1)
  })

  test("forgotten are unconfirmed accounts up to the given time, of every owner, and no others", async () => {
    const old = [unconfirmed({ updatedAt: after(-1) }), unconfirmed({ updatedAt: noon, tenant: "globex" })]
    const young = unconfirmed({ updatedAt: after(1) })
    await held(...old, young)
    const known = await keep(storage(), { updatedAt: after(-dayMs) })
    const events = await eventsOf(storage())
    expect(await storage().flows.forgetUnconfirmed(noon, 10)).toBe(2)
    for (const { account } of old) {
      expect(await findAccount(account)).toBeUndefined()
      expect(await storage().tokens.read(account, account.id)).toBeUndefined()
    }
    expect([await findAccount(young.account), await findAccount(known)]).toEqual([young.account, known])
    expect(await eventsOf(storage())).toEqual(events)
    expect(await storage().flows.forgetUnconfirmed(noon, 10)).toBe(0)
  })

  test("forgotten are at most so many, the oldest first", async () => {
    const times = [5, 3, 1, 4, 2]
    const accounts = times.map((age) => unconfirmed({ updatedAt: after(-age) }))
    await held(...accounts)
    const ages = async () =>
      (await list()).map(({ updatedAt }) => noon.getTime() - updatedAt.getTime()).toSorted()
    expect(await storage().flows.forgetUnconfirmed(noon, 2)).toBe(2)
    expect(await ages()).toEqual([1, 2, 3])
    expect(await storage().flows.forgetUnconfirmed(noon, 2)).toBe(2)
    expect(await ages()).toEqual([1])
    expect(await storage().flows.forgetUnconfirmed(noon, 2)).toBe(1)
  })

  test("an account that is held for longer is not forgotten, nor one that was confirmed meanwhile", async () => {
    const [waiting, confirmed] = [
      unconfirmed({ updatedAt: after(-9) }),
      unconfirmed({ updatedAt: after(-9) }),
    ]
    await held(waiting, confirmed)
    await held(unconfirmed({ ...waiting.account, updatedAt: after(9) }))
    await connect(storage(), anew(confirmed, { updatedAt: after(-9) }))
    expect(await storage().flows.forgetUnconfirmed(noon, 10)).toBe(0)
    expect(await list()).toHaveLength(2)
  })

  test("an account that comes back after it was forgotten is a new one", async () => {
    const one = unconfirmed({ updatedAt: after(-9) })
    const flow = await held(one)
    await storage().flows.forgetUnconfirmed(noon, 10)
    const given = anew(one)
    expect(await storage().flows.connect(flow.id, [given], noon)).toEqual([given.account])
    expect((await eventsOf(storage())).map(({ type }) => type)).toEqual(["account.connected"])
  })
}
