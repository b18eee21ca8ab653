import { expect, test } from "bun:test"
import type { Account } from "../../src/domain/account.ts"
import type { DomainEvent } from "../../src/domain/event.ts"
import type { Storage } from "../../src/ports/storage.ts"
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
  sealed,
  strangers,
} from "../support/storage-fixtures.ts"

/** A person's grant as a whole, accounts registered by hand, and accounts that go. */
export function grantsContract(storage: () => Storage): void {
  const ada = { person_id: "ada" }
  const keepPage = (change: Partial<Account> = {}) =>
    keep(storage(), { provider: "facebook", metadata: { category: "Bird", ...ada }, ...change })
  const grantOf = (oauthAppId: string | null) =>
    ({ owner: acme, provider: "facebook", oauthAppId, personId: "ada" }) as const
  const addApp = () => storage().apps.add(anApp({ provider: "facebook" }), anEvent())

  /** Accounts that are not of this grant: of other people, apps, providers and owners. */
  async function keepOthers(oauthAppId: string | null): Promise<readonly Account[]> {
    const otherApp = (await addApp()).id
    const others = [
      await keepPage({ oauthAppId, metadata: { person_id: "grace" } }),
      await keepPage({ oauthAppId, metadata: { other_id: "ada" } }),
      await keepPage({ oauthAppId, metadata: {} }),
      await keepPage({ oauthAppId: otherApp }),
      await keepPage({ oauthAppId: oauthAppId === null ? otherApp : null }),
      await keepPage({ oauthAppId, provider: "instagram" }),
    ]
    for (const stranger of strangers) others.push(await keepPage({ ...stranger, oauthAppId }))
    return others
  }

  const newEventId = () => anId("evt")
  const lost = (oauthAppId: string | null, kept: readonly string[], event: DomainEvent, newId = newEventId) =>
    storage().tokens.noteLostGrants({ ...grantOf(oauthAppId), kept }, "left out", event, newId)

  test.each(["an app", "no app"])(
    "of a person's accounts through %s those that are not kept are told that their grant is gone",
    async (through) => {
      const oauthAppId = through === "an app" ? (await addApp()).id : null
      const [kept, ...gone] = [
        await keepPage({ oauthAppId }),
        await keepPage({ oauthAppId, reference: "user-8", health: "expiring" }),
        await keepPage({ oauthAppId, reference: null, healthDetail: "ends soon" }),
      ]
      const others = [kept, ...(await keepOthers(oauthAppId))]
      const before = await Promise.all(others.map((account) => heldOf(storage(), account)))
      const heldBefore = await Promise.all(gone.map((account) => heldOf(storage(), account)))
      const event = anEvent({ type: "account.updated", at: after(7), oauthAppId, detail: "left out" })

      const told = await lost(oauthAppId, [kept.platformAccountId, "no such page"], event)
      expect(told.toSorted()).toEqual(gone.map(({ id }) => id).toSorted())
      for (const held of heldBefore) {
        const account = { ...held.account, healthDetail: "left out", updatedAt: after(7) }
        expect(await heldOf(storage(), account)).toEqual({ ...held, account })
      }
      expect(await Promise.all(others.map((account) => heldOf(storage(), account)))).toEqual(before)
      await expectCopies(event, gone)
    },
  )

  /** One event for each account, as the draft but for what makes it that account's own. */
  async function expectCopies(draft: DomainEvent, accounts: readonly Account[]): Promise<void> {
    const copies = (await eventsOf(storage())).filter(({ detail }) => detail === draft.detail)
    expect(new Set(copies.map(({ id }) => id)).size).toBe(accounts.length)
    expect(copies.map(({ id }) => id)).not.toContain(draft.id)
    for (const { id, reference } of accounts) {
      const copy = copies.find(({ accountId }) => accountId === id)
      expect(copy).toEqual({ ...draft, id: copy?.id ?? "", accountId: id, reference })
    }
  }

  test("who has been told already is left alone", async () => {
    const [one, two] = [await keepPage(), await keepPage()]
    expect(await lost(null, [two.platformAccountId], anEvent())).toEqual([one.id])
    const before = [await heldOf(storage(), one), await eventsOf(storage())]
    expect(await lost(null, [two.platformAccountId], anEvent({ at: after(9) }))).toEqual([])
    expect([await heldOf(storage(), one), await eventsOf(storage())]).toEqual(before)
    expect(await lost(null, [], anEvent())).toEqual([two.id])
  })

  test("where one event cannot be kept, nobody is told", async () => {
    const pages = [await keepPage(), await keepPage()]
    const taken = anEvent()
    await storage().keys.add(aKey(), taken)
    const before = await Promise.all(pages.map((page) => heldOf(storage(), page)))
    const ids = [anId("evt"), taken.id]
    await expect(lost(null, [], anEvent(), () => ids.pop() ?? "")).rejects.toThrow()
    expect(await Promise.all(pages.map((page) => heldOf(storage(), page)))).toEqual(before)
    expect(await eventsOf(storage())).toHaveLength(3)
  })

  test("a count of a person's accounts counts those of the grant alone", async () => {
    for (const oauthAppId of [null, (await addApp()).id]) {
      expect(await storage().tokens.countOfPerson(grantOf(oauthAppId))).toBe(0)
      await keepPage({ oauthAppId })
      const gone = await keepPage({ oauthAppId, health: "reauthorization_required" })
      expect(await storage().tokens.countOfPerson(grantOf(oauthAppId))).toBe(2)
      await storage().tokens.remove(acme, gone.id, anEvent())
      expect(await storage().tokens.countOfPerson(grantOf(oauthAppId))).toBe(1)
    }
    await keepOthers(null)
    // One of the others is of no app, though it stands beside an app's.
    expect(await storage().tokens.countOfPerson(grantOf(null))).toBe(1)
  })

  test("an account whose person has changed counts for the new one", async () => {
    const page = await keepPage()
    await connect(storage(), aConnection({ ...page, metadata: { person_id: "grace" } }))
    expect(await storage().tokens.countOfPerson(grantOf(null))).toBe(0)
    expect(await storage().tokens.countOfPerson({ ...grantOf(null), personId: "grace" })).toBe(1)
  })

  test("a new account that is registered by hand comes back equal, with its event", async () => {
    const app = await addApp()
    const given = aConnection({ connectionType: "manual", oauthAppId: app.id })
    expect(await storage().tokens.register(given)).toEqual({ account: given.account, created: true })
    const { account, credentials, plan, refresh } = await heldOf(storage(), given.account)
    expect({ account, credentials, plan, event: given.event }).toEqual(given)
    expect(refresh).toMatchObject({ leaseUntil: null, sentAt: null, failures: 0 })
    const event = { ...given.event, type: "account.connected", accountId: account.id } as const
    expect(await eventsOf(storage())).toContainEqual(event)
  })

  test("one that exists is updated in place: id, reference and tokens that are not given anew stay", async () => {
    const page = await keepPage({ reference: "user-7", health: "reauthorization_required" })
    const before = await claimed(storage(), page, { risky: true })
    const change = { connectionType: "manual", reference: null, connectedAt: after(9), updatedAt: after(9) }
    const given = aConnection({ ...page, ...change, id: anId("acc"), health: "active" } as Account, {
      accessToken: sealed("by hand"),
      refreshToken: null,
      refreshTokenExpiresAt: null,
    })
    const account = { ...given.account, id: page.id, connectedAt: noon, reference: "user-7" }
    expect(await storage().tokens.register(given)).toEqual({ account, created: false })
    const { refreshToken, refreshTokenExpiresAt } = before.credentials
    expect(await heldOf(storage(), page)).toEqual({
      account,
      credentials: { ...given.credentials, refreshToken, refreshTokenExpiresAt },
      plan: before.plan,
      refresh: { ...before.refresh, fence: before.refresh.fence + 1, leaseUntil: null, sentAt: null },
      app: null,
    })
    const event = { ...given.event, type: "account.updated", accountId: page.id } as const
    expect(await eventsOf(storage())).toContainEqual(event)
    expect(await storage().accounts.find(acme, given.account.id)).toBeUndefined()
  })

  test("one upstream account of several owners is several accounts", async () => {
    const page = await keepPage()
    for (const stranger of strangers) {
      const theirs = aConnection({ ...page, ...stranger, id: anId("acc") })
      expect(await storage().tokens.register(theirs)).toEqual({ account: theirs.account, created: true })
    }
    expect(await storage().accounts.find(acme, page.id)).toEqual(page)
  })

  test("of several who register one account at once one creates it and the others update it", async () => {
    const platformAccountId = "7"
    const registered = await Promise.all(
      Array.from({ length: 10 }, () => storage().tokens.register(aConnection({ platformAccountId }))),
    )
    expect(registered.filter(({ created }) => created)).toHaveLength(1)
    expect(new Set(registered.map(({ account }) => account.id)).size).toBe(1)
    expect(await eventsOf(storage())).toHaveLength(10)
  })

  test("an app that is gone, or another's, leaves null", async () => {
    const theirs = await storage().apps.add(anApp({ tenant: "globex" }), anEvent())
    for (const oauthAppId of [anId("oa"), theirs.id]) {
      const { account } = await storage().tokens.register(aConnection({ oauthAppId }))
      expect(account.oauthAppId).toBeNull()
    }
  })

  test("where its event cannot be kept, nothing is registered", async () => {
    const page = await keepPage()
    const before = await heldOf(storage(), page)
    const event = anEvent()
    await storage().keys.add(aKey(), event)
    const fresh = { ...aConnection(), event }
    await expect(storage().tokens.register(fresh)).rejects.toThrow()
    await expect(storage().tokens.register({ ...aConnection(page), event })).rejects.toThrow()
    expect(await storage().accounts.find(acme, fresh.account.id)).toBeUndefined()
    expect(await heldOf(storage(), page)).toEqual(before)
  })

  test("a removed account is gone in every respect, with its event, and no other is", async () => {
    const [page, other] = [await keepPage(), await keepPage()]
    const held = await claimed(storage(), page)
    const beside = await heldOf(storage(), other)
    const event = anEvent({ type: "account.disconnected", accountId: page.id })
    expect(await storage().tokens.remove(acme, page.id, event)).toBe(true)
    expect(await storage().tokens.read(acme, page.id)).toBeUndefined()
    expect(await storage().accounts.find(acme, page.id)).toBeUndefined()
    expect((await storage().accounts.list(acme, {}, { limit: 10 })).items).toEqual([other])
    expect(await storage().tokens.claim(claimOf(held), aLease({ now: after(99_000) }))).toBeUndefined()
    expect(await eventsOf(storage())).toContainEqual(event)
    expect(await heldOf(storage(), other)).toEqual(beside)
    expect(await storage().tokens.remove(acme, page.id, anEvent())).toBe(false)
  })

  test("an account that comes back after its removal is a new one, and nothing of the old is left", async () => {
    const page = await keepPage({ reference: "user-7" })
    await storage().tokens.remove(acme, page.id, anEvent())
    const again = aConnection(
      { ...page, id: anId("acc"), reference: null, connectedAt: after(9) },
      { refreshToken: null, refreshTokenExpiresAt: null },
    )
    expect(await connect(storage(), again)).toEqual([again.account])
    expect((await heldOf(storage(), again.account)).credentials).toEqual(again.credentials)
  })

  test("an app that only removed accounts used may go", async () => {
    const app = await addApp()
    const page = await keepPage({ oauthAppId: app.id })
    await storage().tokens.remove(acme, page.id, anEvent())
    expect(await storage().apps.remove(acme, app.id, anEvent())).toEqual({ kind: "removed" })
  })

  test("a stranger removes nothing, nor does who names no account", async () => {
    const page = await keepPage()
    const before = await eventsOf(storage())
    for (const stranger of strangers)
      expect(await storage().tokens.remove(stranger, page.id, anEvent(stranger))).toBe(false)
    expect(await storage().tokens.remove(acme, anId("acc"), anEvent())).toBe(false)
    expect(await storage().accounts.find(acme, page.id)).toEqual(page)
    expect(await eventsOf(storage())).toEqual(before)
  })

  test("where its event cannot be kept, the account stays", async () => {
    const page = await keepPage()
    const before = await heldOf(storage(), page)
    const event = anEvent()
    await storage().keys.add(aKey(), event)
    await expect(storage().tokens.remove(acme, page.id, event)).rejects.toThrow()
    expect(await heldOf(storage(), page)).toEqual(before)
    expect(await connect(storage(), aConnection(page))).toMatchObject([{ id: page.id }])
  })
}
