import { expect, test } from "bun:test"
import { array, assert, asyncProperty, integer, record } from "fast-check"
import type { Account } from "../../src/domain/account.ts"
import type { AccountFilter, AccountPosition, Storage } from "../../src/ports/storage.ts"
import { aConnection, acme, after, anId, connect, strangers } from "../support/storage-fixtures.ts"

/** A database of tests need not shrink for minutes. */
const runs = { numRuns: 12, endOnFailure: true }

export function accountsContract(storage: () => Storage): void {
  const keep = async (change: Partial<Account> = {}) => {
    const [account] = await connect(storage(), aConnection(change))
    if (!account) throw new Error("connected nothing")
    return account
  }
  const list = (filter: AccountFilter = {}, limit = 50) => storage().accounts.list(acme, filter, { limit })
  const idsOf = async (filter: AccountFilter) => (await list(filter)).items.map(({ id }) => id)

  test("an account comes back equal, whatever its texts hold", async () => {
    const account = await keep({
      platformAccountId: "12345678901234567890",
      displayName: "🦤 Ünïcode % _ \\ ' \" \n\t \u{10FFFF} \uFFFF e\u0301",
      handle: "x".repeat(10_000),
      healthDetail: "",
      metadata: { "": "", "Ü key": "ß", long: "🦤".repeat(5000), __proto: "x", quote: '{"a":[1]}' },
      scopes: ["a", "", "with space", "{}", "null"],
      missingScopes: [],
      tokenExpiresAt: new Date("2262-01-01T00:00:00.001Z"),
      connectedAt: new Date("1970-01-01T00:00:00.999Z"),
    })
    expect(await storage().accounts.find(acme, account.id)).toEqual(account)
    expect((await list()).items).toEqual([account])
  })

  test("an account with nothing but what it must have comes back equal", async () => {
    const nothing = {
      handle: null,
      displayName: null,
      avatarUrl: null,
      reference: null,
      tokenExpiresAt: null,
    }
    const account = await keep({ ...nothing, metadata: {}, scopes: [], missingScopes: [] })
    expect(account).toMatchObject(nothing)
    expect(await storage().accounts.find(acme, account.id)).toEqual(account)
  })

  test("what some store cannot keep of a free text becomes U+FFFD in all of them, and the connect succeeds", async () => {
    const account = await keep({
      displayName: "nul \0 and halves \uD83E \uDD84",
      handle: "\uDC00\uD800",
      reference: "user\0",
      metadata: { "key\0": "value\0" },
      scopes: ["a\0"],
    })
    expect(account).toMatchObject({
      displayName: "nul \uFFFD and halves \uFFFD \uFFFD",
      handle: "\uFFFD\uFFFD",
      reference: "user\uFFFD",
      metadata: { "key\uFFFD": "value\uFFFD" },
      scopes: ["a\uFFFD"],
    })
    expect(await storage().accounts.find(acme, account.id)).toEqual(account)
    expect(await idsOf({ query: "VALUE\0" })).toEqual([account.id])
    expect(await idsOf({ reference: "user\0" })).toEqual([account.id])
  })

  test("a platform id that no store can keep exactly is refused, since the tokens are bound to it", async () => {
    for (const platformAccountId of ["7\0", "7\uD800"]) {
      await expect(keep({ platformAccountId })).rejects.toThrow()
    }
    expect((await list()).total).toBe(0)
  })

  test("a stranger finds no account", async () => {
    const account = await keep()
    for (const stranger of strangers) {
      expect(await storage().accounts.find(stranger, account.id)).toBeUndefined()
      const seen = await storage().accounts.list(stranger, {}, { limit: 10 })
      expect(seen).toEqual({ items: [], total: 0, more: false })
    }
    expect(await storage().accounts.find(acme, anId("acc"))).toBeUndefined()
  })

  test("accounts are listed newest first, and those of one moment by falling id", async () => {
    const old = await keep({ connectedAt: after(-1) })
    const same = [await keep(), await keep(), await keep(), await keep()]
    const young = await keep({ connectedAt: after(1) })
    const ids = same
      .map(({ id }) => id)
      .sort()
      .reverse()
    expect((await list()).items.map(({ id }) => id)).toEqual([young.id, ...ids, old.id])
  })

  test("a list is filtered by provider, health and reference, each and all", async () => {
    const all = [
      await keep({ provider: "x", health: "active", reference: "a", connectedAt: after(4) }),
      await keep({ provider: "x", health: "expiring", reference: "b", connectedAt: after(3) }),
      await keep({ provider: "tiktok", health: "active", reference: "b", connectedAt: after(2) }),
      await keep({ provider: "x", health: "active", reference: null, connectedAt: after(1) }),
    ]
    const expectOnly = async (filter: AccountFilter, ...places: readonly number[]) => {
      const items = places.map((i) => all[i] as Account)
      expect(await list(filter)).toEqual({ items, total: items.length, more: false })
    }
    await expectOnly({}, 0, 1, 2, 3)
    await expectOnly({ provider: "x" }, 0, 1, 3)
    await expectOnly({ health: "active" }, 0, 2, 3)
    await expectOnly({ reference: "b" }, 1, 2)
    await expectOnly({ reference: "B" })
    await expectOnly({ provider: "x", health: "active", reference: "a", query: "road" }, 0)
    await expectOnly({ provider: "facebook" })
  })

  test("a filter looks at all accounts, not at those of the page", async () => {
    for (let i = 0; i < 5; i++) await keep({ connectedAt: after(i), provider: i === 0 ? "tiktok" : "x" })
    expect(await list({ provider: "tiktok" }, 2)).toMatchObject({ total: 1, more: false })
    expect(await list({ provider: "x" }, 2)).toMatchObject({ total: 4, more: true })
    expect((await list({ provider: "x" }, 4)).more).toBe(false)
  })

  test.each([
    ["a part of the handle", "RUNN", { handle: "roadrunner" }],
    ["a part of the display name", "d r", { displayName: "Road Runner" }],
    ["a part of a metadata value", "birdlike", { metadata: { category: "Very BirdLike", other: "x" } }],
    ["capitals in the query", "ROADRUNNER", { handle: "roadrunner" }],
    ["capitals in the text", "roadrunner", { handle: "ROADRUNNER" }],
    ["a percent sign as itself", "100%", { displayName: "100% real" }],
    ["an underscore as itself", "a_b", { handle: "a_b" }],
    ["a backslash as itself", "\\", { handle: "a\\b" }],
    ["a star as itself", "*", { handle: "a*b" }],
    ["a quote as itself", "o'c", { displayName: "O'Connor" }],
    ["other letters as they are", "ÜBER", { displayName: "ÜBER" }],
    ["an emoji", "🦤", { displayName: "a 🦤 b" }],
    ["a line break", "a\nb", { displayName: "A\nB" }],
    ["nothing at all", "", { handle: null, displayName: null, metadata: {} }],
    ["10 kB", "y".repeat(9_999), { displayName: "Y".repeat(10_000) }],
  ] as const)("a query finds %s", async (_, query, change) => {
    const account = await keep(change)
    expect(await idsOf({ query })).toEqual([account.id])
  })

  test.each([
    ["a name of a metadata field", "category", { metadata: { category: "bird" } }],
    ["another field", "user-7", { reference: "user-7", platformAccountId: "user-7" }],
    ["other letters in another case", "über", { displayName: "ÜBER" }],
    ["the Turkish dotless i for I", "ı", { displayName: "I" }],
    ["the Kelvin sign for K", "k", { handle: null, metadata: {}, displayName: "\u212A" }],
    ["one text for another", "100%", { displayName: "100 and more" }],
    ["any letter for an underscore", "a_b", { handle: "axb" }],
    ["any text for a percent sign", "a%b", { handle: "a and b" }],
    ["across two texts", "runnerroad", { handle: "roadrunner", displayName: "Road Runner" }],
    ["across two texts by a line break", "b\nc", { handle: "ab", displayName: "cd" }],
    ["across two texts by a separator", "b\u001Fc", { handle: "ab", displayName: "cd" }],
    ["an accent that is written in two", "\u00E9", { displayName: "e\u0301" }],
  ] as const)("a query does not find %s", async (_, query, change) => {
    await keep(change)
    expect(await list({ query })).toEqual({ items: [], total: 0, more: false })
  })

  test("pages one after the other make the whole list, with the right total on each", async () => {
    const someAccounts = array(
      record({ moment: integer({ min: 0, max: 2 }), sort: integer({ min: 0, max: 1 }) }),
      { maxLength: 12 },
    )
    await assert(
      asyncProperty(someAccounts, integer({ min: 1, max: 5 }), async (accounts, limit) => {
        const owner = { tenant: crypto.randomUUID(), environment: "live" } as const
        const connections = accounts.map(({ moment, sort }) =>
          aConnection({ ...owner, connectedAt: after(moment), provider: sort === 0 ? "x" : "tiktok" }),
        )
        await connect(storage(), ...connections)
        const filter = { provider: "x" } as const
        const whole = await storage().accounts.list(owner, filter, { limit: 100 })
        expect(whole.total).toBe(accounts.filter(({ sort }) => sort === 0).length)
        expect(await allPages({ owner, filter, limit, total: whole.total })).toEqual(whole.items)
      }),
      runs,
    )
  })

  async function allPages(of: {
    readonly owner: typeof acme
    readonly filter: AccountFilter
    readonly limit: number
    readonly total: number
  }): Promise<readonly Account[]> {
    const items: Account[] = []
    let position: AccountPosition | undefined
    for (let more = true; more; ) {
      const page = await storage().accounts.list(of.owner, of.filter, {
        limit: of.limit,
        ...(position && { after: position }),
      })
      expect(page.total).toBe(of.total)
      expect(page.items.length).toBe(Math.min(of.limit, of.total - items.length))
      items.push(...page.items)
      position = page.items.at(-1)
      more = page.more
    }
    return items
  }
}
