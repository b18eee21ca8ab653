import { expect, test } from "bun:test"
import { array, assert, asyncProperty } from "fast-check"
import type { Account } from "../../src/domain/account.ts"
import type { HeldAccount, Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  after,
  anEvent,
  claimed,
  claimOf,
  connect,
  eventsOf,
  heldOf,
  keep,
  renewedTokens,
  sealed,
  settledRefresh,
} from "../support/storage-fixtures.ts"
import { holdersModel, someStep } from "./holders-model.ts"

/** Who may write to an account, and who no longer. */
export function holdersContract(storage: () => Storage): void {
  const look = async (account: Account) => [
    await storage().tokens.read(account, account.id),
    await eventsOf(storage()),
  ]

  /** Whatever this holder tries, it is told so, and nothing changes. */
  async function expectLost(holder: HeldAccount): Promise<void> {
    const before = await look(holder.account)
    const claim = claimOf(holder)
    expect(await storage().tokens.renew(claim, renewedTokens(), anEvent())).toBeUndefined()
    expect(await storage().tokens.renew(claim, renewedTokens(), null)).toBeUndefined()
    expect(await storage().tokens.settle(claim, settledRefresh(), anEvent())).toBe(false)
    expect(await storage().tokens.settle(claim, settledRefresh({ unknown: true }), null)).toBe(false)
    expect(await storage().tokens.prolong(claim, after(99_000))).toBe(false)
    expect(await look(holder.account)).toEqual(before)
  }

  const overtaking: readonly (readonly [string, (holder: HeldAccount) => Promise<unknown>])[] = [
    ["a newer claim", ({ account }) => claimed(storage(), account, { now: after(15_000) })],
    ["a reconnect", ({ account }) => connect(storage(), aConnection(account))],
    ["a registration by hand", ({ account }) => storage().tokens.register(aConnection(account))],
    ["a removal", ({ account }) => storage().tokens.remove(account, account.id, anEvent())],
    [
      "a removal and a new connect",
      async ({ account }) => {
        await storage().tokens.remove(account, account.id, anEvent())
        await keep(storage(), { platformAccountId: account.platformAccountId })
      },
    ],
    ["its own renewal", (holder) => storage().tokens.renew(claimOf(holder), renewedTokens(), null)],
    ["its own failure", (holder) => storage().tokens.settle(claimOf(holder), settledRefresh(), null)],
    [
      "a newer claim that has ended",
      async ({ account }) => {
        const next = await claimed(storage(), account, { now: after(15_000) })
        await storage().tokens.renew(claimOf(next), renewedTokens(), null)
      },
    ],
  ]

  test.each(overtaking)("after %s a holder can write nothing more", async (_, overtake) => {
    const holder = await claimed(storage(), await keep(storage()), { risky: true })
    await overtake(holder)
    await expectLost(holder)
  })

  test("who only read the account, or asks for a fence to come, can write nothing", async () => {
    const account = await keep(storage())
    await expectLost(await heldOf(storage(), account))
    const held = await claimed(storage(), account)
    const fence = held.refresh.fence + 1
    await expectLost({ ...held, refresh: { ...held.refresh, fence } })
  })

  test("a holder whose lease has passed and whom nobody overtook may still write", async () => {
    const late = { now: after(-90_000), until: after(-75_000) }
    const one = await claimed(storage(), await keep(storage()), late)
    expect(await storage().tokens.prolong(claimOf(one), after(-60_000))).toBe(true)
    expect(await storage().tokens.renew(claimOf(one), renewedTokens(), null)).toBeDefined()
    const other = await claimed(storage(), await keep(storage()), late)
    expect(await storage().tokens.settle(claimOf(other), settledRefresh(), null)).toBe(true)
  })

  test("of a holder's renewals and failures at once one is stored", async () => {
    const holder = await claimed(storage(), await keep(storage()))
    const outcomes = await Promise.all([
      ...Array.from({ length: 5 }, () => storage().tokens.renew(claimOf(holder), renewedTokens(), anEvent())),
      ...Array.from({ length: 5 }, () =>
        storage().tokens.settle(claimOf(holder), settledRefresh(), anEvent()),
      ),
    ])
    expect(outcomes.filter(Boolean)).toHaveLength(1)
    expect(await eventsOf(storage())).toHaveLength(2)
  })

  test("of a renewal and a reconnect at once the reconnect's tokens are those that stay", async () => {
    for (let round = 0; round < 10; round++) {
      const holder = await claimed(storage(), await keep(storage()))
      const again = aConnection(holder.account, { accessToken: sealed("by the person") })
      await Promise.all([
        storage().tokens.renew(claimOf(holder), renewedTokens(), null),
        connect(storage(), again),
      ])
      const { accessToken, refreshToken } = (await heldOf(storage(), holder.account)).credentials
      expect([accessToken, refreshToken]).toEqual([sealed("by the person"), again.credentials.refreshToken])
    }
  })

  test("however holders, reconnects and removals interleave, only the newest living claim writes", async () => {
    await assert(
      asyncProperty(array(someStep, { maxLength: 30 }), async (steps) => {
        const account = holdersModel(storage())
        for (const one of steps) await account.take(one)
      }),
      { numRuns: 30, endOnFailure: true },
    )
  })
}
