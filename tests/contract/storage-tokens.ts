import { describe, expect, test } from "bun:test"
import type { Account } from "../../src/domain/account.ts"
import type { HeldAccount, RefreshClaim, Storage } from "../../src/ports/storage.ts"
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
  renewedTokens,
  sealed,
  settledRefresh,
  someCredentials,
  strangers,
} from "../support/storage-fixtures.ts"
import { dueContract } from "./storage-due.ts"
import { grantsContract } from "./storage-grants.ts"
import { holdersContract } from "./storage-holders.ts"

/** How the tokens of accounts are read, claimed, renewed and forgotten. */
export function accountTokensContract(storage: () => Storage): void {
  describe("reading", () => readContract(storage))
  describe("claiming", () => claimContract(storage))
  describe("renewing", () => renewContract(storage))
  describe("settling", () => settleContract(storage))
  describe("connecting again", () => reconnectContract(storage))
  describe("being overtaken", () => holdersContract(storage))
  describe("what is due", () => dueContract(storage))
  describe("grants", () => grantsContract(storage))
}

/** How an account stands whose refreshing nobody has touched. */
const untouched = { leaseUntil: null, sentAt: null, failures: 0, retryAt: null, lastFailure: null }

function readContract(storage: () => Storage): void {
  test("an account is read with its tokens, its plan, its refresh state and its app", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const credentials = { personToken: sealed("person"), personTokenExpiresAt: after(4) }
    const connection = aConnection({ oauthAppId: app.id }, credentials)
    const [account] = await connect(storage(), connection)
    expect(await storage().tokens.read(acme, connection.account.id)).toEqual({
      account: account as Account,
      credentials: connection.credentials,
      plan: connection.plan,
      refresh: { ...untouched, fence: expect.any(Number) },
      app,
    })
  })

  test("an account with nothing but what it must have is read as it is", async () => {
    const none = { refreshToken: null, refreshTokenExpiresAt: null }
    const plan = { keepAliveAt: null, personNeededAt: null }
    const account = await keep(storage(), { tokenExpiresAt: null }, none, plan)
    const held = await heldOf(storage(), account)
    expect([held.account, held.plan, held.app]).toEqual([account, plan, null])
    expect(held.credentials).toEqual(someCredentials(none))
  })

  test("the app is read as it is now, and another owner's is none", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const account = await keep(storage(), { oauthAppId: app.id })
    await storage().apps.change(acme, app.id, { name: "New", updatedAt: after(9) }, anEvent())
    expect((await heldOf(storage(), account)).app).toEqual({ ...app, name: "New", updatedAt: after(9) })
    const theirs = await storage().apps.add(anApp({ tenant: "globex" }), anEvent())
    expect((await heldOf(storage(), await keep(storage(), { oauthAppId: theirs.id }))).app).toBeNull()
  })

  test("a stranger reads nothing, and what is not there is absent", async () => {
    const account = await keep(storage())
    for (const stranger of strangers)
      expect(await storage().tokens.read(stranger, account.id)).toBeUndefined()
    expect(await storage().tokens.read(acme, anId("acc"))).toBeUndefined()
  })
}

function claimContract(storage: () => Storage): void {
  const claim = (seen: HeldAccount, change = {}) => storage().tokens.claim(claimOf(seen), aLease(change))

  test("a claim gives the account as it is under it: the fence one higher, the lease set, all else as it was", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const account = await keep(storage(), { oauthAppId: app.id })
    const bystander = await keep(storage())
    const [before, beside] = [await heldOf(storage(), account), await heldOf(storage(), bystander)]
    const held = await claim(before)
    const refresh = { ...before.refresh, fence: before.refresh.fence + 1, leaseUntil: after(15_000) }
    expect(held).toEqual({ ...before, refresh })
    expect(await heldOf(storage(), account)).toEqual({ ...before, refresh })
    expect(await heldOf(storage(), bystander)).toEqual(beside)
  })

  test("a risky claim notes when; one without risk leaves an earlier note as it is", async () => {
    const account = await keep(storage())
    const risky = await claimed(storage(), account, { now: after(1), risky: true })
    expect(risky.refresh.sentAt).toEqual(after(1))
    const later = { now: after(15_000), until: after(30_000) }
    expect((await claimed(storage(), account, later)).refresh.sentAt).toEqual(after(1))
    const again = { now: after(30_000), until: after(45_000), risky: true }
    expect((await claimed(storage(), account, again)).refresh.sentAt).toEqual(after(30_000))
  })

  test("a claim keeps what is known of the failures before", async () => {
    const account = await keep(storage())
    await storage().tokens.settle(claimOf(await claimed(storage(), account)), settledRefresh(), null)
    const failed = await heldOf(storage(), account)
    expect(failed.refresh.retryAt).toEqual(after(60_001))
    const refresh = { ...failed.refresh, fence: failed.refresh.fence + 1, leaseUntil: after(15_000) }
    expect(await claimed(storage(), account)).toEqual({ ...failed, refresh })
  })

  test("of fifty claimers at once exactly one gets it", async () => {
    const seen = await heldOf(storage(), await keep(storage()))
    const claims = await Promise.all(Array.from({ length: 50 }, () => claim(seen)))
    expect(claims.filter(Boolean)).toHaveLength(1)
    expect((await heldOf(storage(), seen.account)).refresh.fence).toBe(seen.refresh.fence + 1)
  })

  test("a lease lives up to its end and not at it", async () => {
    const held = await claimed(storage(), await keep(storage()), { until: after(15_000) })
    for (const now of [noon, after(14_999)]) {
      expect(await claim(held, { now, until: after(90_000), risky: true })).toBeUndefined()
      expect(await heldOf(storage(), held.account)).toEqual(held)
    }
    const next = await claim(held, { now: after(15_000), until: after(30_000) })
    expect(next?.refresh.leaseUntil).toEqual(after(30_000))
  })

  test("who saw another fence than there is claims nothing, though nobody holds it", async () => {
    const account = await keep(storage())
    const old = await heldOf(storage(), account)
    await storage().tokens.settle(claimOf(await claimed(storage(), account)), settledRefresh(), null)
    const now = await heldOf(storage(), account)
    for (const fence of [old.refresh.fence, now.refresh.fence + 1]) {
      const seen = { accountId: account.id, fence }
      expect(await storage().tokens.claim(seen, aLease({ now: after(99_000) }))).toBeUndefined()
    }
    expect(await heldOf(storage(), account)).toEqual(now)
  })

  test("an account that is not there is not claimed", async () => {
    expect(await storage().tokens.claim({ accountId: anId("acc"), fence: 0 }, aLease())).toBeUndefined()
  })

  test("its holder prolongs a lease: it lives up to the new end and not at it", async () => {
    const held = await claimed(storage(), await keep(storage()))
    expect(await storage().tokens.prolong(claimOf(held), after(20_000))).toBe(true)
    const refresh = { ...held.refresh, leaseUntil: after(20_000) }
    expect(await heldOf(storage(), held.account)).toEqual({ ...held, refresh })
    expect(await claim(held, { now: after(19_999) })).toBeUndefined()
    expect(await claim(held, { now: after(20_000) })).toBeDefined()
  })

  test("who is not the holder prolongs nothing", async () => {
    const before = await heldOf(storage(), await keep(storage()))
    const prolong = (claim: RefreshClaim) => storage().tokens.prolong(claim, after(99_000))
    expect(await prolong(claimOf(before))).toBe(false)
    const held = await claimed(storage(), before.account)
    expect(await prolong(claimOf(before))).toBe(false)
    expect(await prolong({ ...claimOf(held), fence: held.refresh.fence + 1 })).toBe(false)
    expect(await prolong({ ...claimOf(held), accountId: anId("acc") })).toBe(false)
    expect(await heldOf(storage(), held.account)).toEqual(held)
  })
}

function renewContract(storage: () => Storage): void {
  const renewed = renewedTokens({ health: "expiring", healthDetail: "ends soon" })

  test("a renewal stores what the provider gave, ends the claim, and resolves to the account", async () => {
    const held = await claimed(storage(), await keep(storage()), { risky: true })
    const account: Account = {
      ...held.account,
      tokenExpiresAt: after(7_000_000),
      scopes: ["tweet.read", "offline.access"],
      missingScopes: [],
      health: "expiring",
      healthDetail: "ends soon",
      updatedAt: after(5002),
    }
    expect(await storage().tokens.renew(claimOf(held), renewed, null)).toEqual(account)
    expect(await heldOf(storage(), account)).toEqual({
      account,
      credentials: renewed.credentials,
      plan: renewed.plan,
      refresh: { ...untouched, fence: held.refresh.fence },
      app: null,
    })
    expect(await storage().accounts.find(acme, account.id)).toEqual(account)
  })

  test("a renewal clears the risk and the failures of those before it", async () => {
    const account = await keep(storage())
    const first = await claimed(storage(), account, { risky: true })
    await storage().tokens.settle(claimOf(first), settledRefresh({ unknown: true }), null)
    const second = await claimed(storage(), account)
    expect([second.refresh.sentAt, second.refresh.failures]).toEqual([noon, 3])
    await storage().tokens.renew(claimOf(second), renewed, null)
    const { refresh } = await heldOf(storage(), account)
    expect(refresh).toEqual({ ...untouched, fence: second.refresh.fence })
  })

  test("scopes that are not given stay as they are, and nothing at all may be given", async () => {
    const held = await claimed(storage(), await keep(storage(), { scopes: ["a"], missingScopes: ["b"] }))
    const given = renewedTokens({ scopes: null, missingScopes: null, tokenExpiresAt: null })
    const account = await storage().tokens.renew(claimOf(held), given, null)
    expect(account).toMatchObject({ scopes: ["a"], missingScopes: ["b"], tokenExpiresAt: null })
    expect((await heldOf(storage(), held.account)).account).toEqual(account as Account)
  })

  test("refresh and person token that are not given stay, with their ends", async () => {
    const tokens = { personToken: sealed("person"), personTokenExpiresAt: after(4) }
    const { account } = await heldOf(storage(), await keep(storage(), {}, tokens))
    const held = await claimed(storage(), account)
    const none = {
      refreshToken: null,
      refreshTokenExpiresAt: null,
      personToken: null,
      personTokenExpiresAt: null,
    }
    const credentials = { ...renewed.credentials, ...none }
    await storage().tokens.renew(claimOf(held), { ...renewed, credentials }, null)
    const { refreshToken, refreshTokenExpiresAt } = someCredentials()
    expect((await heldOf(storage(), account)).credentials).toEqual({
      ...credentials,
      refreshToken,
      refreshTokenExpiresAt,
      ...tokens,
    })
  })

  test("of a token that stays the end may be told anew, and a new token without one has none", async () => {
    const account = await keep(storage(), {}, { personToken: sealed("person") })
    const told = { refreshTokenExpiresAt: after(77), personTokenExpiresAt: after(78) }
    const stay = { ...renewed.credentials, ...told, refreshToken: null, personToken: null }
    await storage().tokens.renew(
      claimOf(await claimed(storage(), account)),
      { ...renewed, credentials: stay },
      null,
    )
    expect((await heldOf(storage(), account)).credentials).toEqual({
      ...stay,
      refreshToken: sealed("refresh token"),
      personToken: sealed("person"),
    })
    const endless = { ...renewed.credentials, refreshTokenExpiresAt: null, personTokenExpiresAt: null }
    await storage().tokens.renew(
      claimOf(await claimed(storage(), account)),
      { ...renewed, credentials: endless },
      null,
    )
    expect((await heldOf(storage(), account)).credentials).toEqual(endless)
  })

  test("its event is stored with it, and without one none is", async () => {
    const account = await keep(storage())
    const before = await eventsOf(storage())
    await storage().tokens.renew(claimOf(await claimed(storage(), account)), renewed, null)
    expect(await eventsOf(storage())).toEqual(before)
    const event = anEvent({ accountId: account.id })
    await storage().tokens.renew(claimOf(await claimed(storage(), account)), renewed, event)
    expect(await eventsOf(storage())).toContainEqual(event)
  })

  test("where the event cannot be kept, nothing is renewed, and the holder may try again", async () => {
    const held = await claimed(storage(), await keep(storage()), { risky: true })
    const event = anEvent()
    await storage().keys.add(aKey(), event)
    await expect(storage().tokens.renew(claimOf(held), renewed, event)).rejects.toThrow()
    expect(await heldOf(storage(), held.account)).toEqual(held)
    expect(await storage().tokens.renew(claimOf(held), renewed, anEvent())).toBeDefined()
  })
}

function settleContract(storage: () => Storage): void {
  const unknown = settledRefresh({ health: "refresh_unknown", unknown: true })

  test("a settled failure is stored, ends the claim, and leaves the tokens and the plan as they are", async () => {
    const held = await claimed(storage(), await keep(storage()), { risky: true })
    const settled = settledRefresh({ health: "reauthorization_required", reason: "reauth_required" })
    expect(await storage().tokens.settle(claimOf(held), settled, null)).toBe(true)
    expect(await heldOf(storage(), held.account)).toEqual({
      ...held,
      account: {
        ...held.account,
        health: "reauthorization_required",
        healthDetail: "The last refresh failed.",
        updatedAt: after(5003),
      },
      refresh: {
        fence: held.refresh.fence,
        leaseUntil: null,
        sentAt: null,
        failures: 3,
        retryAt: after(60_001),
        lastFailure: "reauth_required",
      },
    })
  })

  test("a fate that stays unknown stays noted as it was; one that is known is cleared", async () => {
    const account = await keep(storage())
    const first = await claimed(storage(), account, { now: after(1), risky: true })
    await storage().tokens.settle(claimOf(first), unknown, null)
    const { refresh } = await heldOf(storage(), account)
    expect([refresh.sentAt, refresh.leaseUntil]).toEqual([after(1), null])
    const second = await claimed(storage(), account)
    const known = settledRefresh({ retryAt: null, reason: "rate_limited", failures: 4 })
    await storage().tokens.settle(claimOf(second), known, null)
    expect((await heldOf(storage(), account)).refresh).toEqual({
      fence: second.refresh.fence,
      leaseUntil: null,
      sentAt: null,
      failures: 4,
      retryAt: null,
      lastFailure: "rate_limited",
    })
  })

  test("its event is stored with it; where that cannot be, nothing is settled", async () => {
    const held = await claimed(storage(), await keep(storage()), { risky: true })
    const [taken, event] = [anEvent(), anEvent({ accountId: held.account.id })]
    await storage().keys.add(aKey(), taken)
    await expect(storage().tokens.settle(claimOf(held), unknown, taken)).rejects.toThrow()
    expect(await heldOf(storage(), held.account)).toEqual(held)
    expect(await storage().tokens.settle(claimOf(held), unknown, event)).toBe(true)
    expect(await eventsOf(storage())).toContainEqual(event)
  })
}

function reconnectContract(storage: () => Storage): void {
  const none = { refreshToken: null, refreshTokenExpiresAt: null }
  const later = { keepAliveAt: after(1), personNeededAt: null }

  /** Fails a risky refresh of it and claims it once more. */
  async function trouble(account: Account): Promise<HeldAccount> {
    const claim = claimOf(await claimed(storage(), account, { risky: true }))
    await storage().tokens.settle(claim, settledRefresh({ unknown: true }), null)
    return await claimed(storage(), account, { risky: true })
  }

  test("whoever was refreshing has lost: the fence grows, and lease, risk and failures are cleared", async () => {
    const account = await keep(storage())
    const held = await trouble(account)
    const again = aConnection(account, { accessToken: sealed("second"), obtainedAt: after(8) }, later)
    await connect(storage(), again)
    const { credentials, plan, refresh } = await heldOf(storage(), account)
    expect({ credentials, plan }).toEqual({ credentials: again.credentials, plan: later })
    expect(refresh).toEqual({ ...untouched, fence: held.refresh.fence + 1 })
  })

  test("a connect that is rolled back leaves the holder its claim", async () => {
    const account = await keep(storage())
    const held = await trouble(account)
    const [event] = await eventsOf(storage())
    const broken = { ...aConnection(account), event: anEvent({ id: event?.id ?? "" }) }
    await expect(connect(storage(), broken)).rejects.toThrow()
    expect(await heldOf(storage(), account)).toEqual(held)
  })

  test.each([
    ["refresh", {}, none],
    ["person", { ...none, personToken: sealed("person") }, { ...none, personToken: null }],
  ])("where a held %s token stays in use, the plan stays too", async (_, held, given) => {
    const account = await keep(storage(), {}, held)
    const { plan } = await heldOf(storage(), account)
    await connect(storage(), aConnection(account, given, later))
    expect((await heldOf(storage(), account)).plan).toEqual(plan)
    await connect(storage(), aConnection(account, { personToken: sealed("new person") }, later))
    expect((await heldOf(storage(), account)).plan).toEqual(later)
  })

  test("without a held token the new plan counts", async () => {
    const account = await keep(storage(), {}, none)
    await connect(storage(), aConnection(account, none, later))
    expect((await heldOf(storage(), account)).plan).toEqual(later)
  })
}
