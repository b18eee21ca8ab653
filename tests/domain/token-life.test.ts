import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Health } from "../../src/domain/account.ts"
import { type ProviderName, providerNames } from "../../src/domain/provider.ts"
import {
  assumedExpiry,
  healthByClock,
  isDueWhenRead,
  isRenewable,
  isUsable,
  keepAliveAt,
  personNeededAt,
  type Renewal,
  renewableFrom,
  renewalOf,
  retryAt,
  spreadOf,
  type TokenTimes,
} from "../../src/domain/token-life.ts"

const hour = 3_600_000
const day = 24 * hour
const now = new Date("2026-11-22T12:00:00.000Z")
const at = (ms: number) => new Date(now.getTime() + ms)

function token(provider: ProviderName, change: Partial<TokenTimes> = {}): TokenTimes {
  return {
    provider,
    obtainedAt: now,
    expiresAt: at(2 * hour),
    hasRefreshToken: false,
    refreshTokenExpiresAt: null,
    personTokenExpiresAt: null,
    ...change,
  }
}

describe("how a token is renewed", () => {
  test.each<[ProviderName, boolean, Renewal]>([
    ["x", true, "rotating"],
    ["x", false, "none"],
    ["tiktok", true, "rotating"],
    ["tiktok", false, "none"],
    ["linkedin", true, "refresh_token"],
    ["linkedin", false, "none"],
    ["instagram", false, "itself"],
    ["facebook", false, "none"],
    ["facebook", true, "none"],
  ])("%s with a refresh token %p: %s", (provider, hasRefreshToken, renewal) => {
    expect(renewalOf({ provider, hasRefreshToken })).toBe(renewal)
  })
})

describe("a reader has it renewed first", () => {
  test.each<[string, TokenTimes, number, boolean]>([
    ["X, long before its end", token("x", { hasRefreshToken: true }), 0, false],
    ["X, a millisecond before the margin", token("x", { hasRefreshToken: true }), 2 * hour - 300_001, false],
    ["X, at the margin of five minutes", token("x", { hasRefreshToken: true }), 2 * hour - 300_000, true],
    ["X, after its end", token("x", { hasRefreshToken: true }), 3 * hour, true],
    [
      "X, whose refresh token has ended as well",
      token("x", { hasRefreshToken: true, refreshTokenExpiresAt: at(hour) }),
      2 * hour,
      false,
    ],
    ["X without a refresh token", token("x"), 2 * hour, false],
    [
      "a minute's life, with a quarter of it left",
      token("x", { hasRefreshToken: true, expiresAt: at(60_000) }),
      45_000,
      true,
    ],
    [
      "a minute's life, with more left",
      token("x", { hasRefreshToken: true, expiresAt: at(60_000) }),
      44_999,
      false,
    ],
    ["Instagram in its last day", token("instagram", { expiresAt: at(60 * day) }), 59 * day, true],
    ["Instagram before its last day", token("instagram", { expiresAt: at(60 * day) }), 59 * day - 1, false],
    [
      "Instagram younger than a day, which Meta refuses",
      token("instagram", { expiresAt: at(23 * hour) }),
      23 * hour - 20_000,
      false,
    ],
    [
      "Instagram after its end, when nothing saves it",
      token("instagram", { expiresAt: at(60 * day) }),
      60 * day,
      false,
    ],
    ["a Facebook Page, whose token does not end", token("facebook", { expiresAt: null }), 365 * day, false],
    [
      "LinkedIn of a partner in its last day",
      token("linkedin", { hasRefreshToken: true, expiresAt: at(60 * day) }),
      59 * day,
      true,
    ],
  ])("%s", (_, times, after, due) => {
    expect(isDueWhenRead(times, at(after))).toBe(due)
  })

  test("nothing is handed out with ten seconds or less to live", () => {
    expect(isUsable(token("x"), at(2 * hour - 10_000))).toBe(false)
    expect(isUsable(token("x"), at(2 * hour - 10_001))).toBe(true)
    expect(isUsable(token("facebook", { expiresAt: null }), at(1e12))).toBe(true)
  })
})

describe("in the background", () => {
  const half = 0.5
  test("Instagram is renewed in the two weeks before its end, never before it is a day old", () => {
    const due = keepAliveAt(token("instagram", { expiresAt: at(60 * day) }), half)
    expect(due).toEqual(at(46 * day - (14 * day) / 8))
    expect(keepAliveAt(token("instagram", { expiresAt: at(2 * day) }), half)).toEqual(at(day))
    expect(renewableFrom({ provider: "instagram", obtainedAt: now })).toEqual(at(day))
  })

  test("X and TikTok are renewed a month before their refresh token ends, known or assumed", () => {
    expect(keepAliveAt(token("x", { hasRefreshToken: true }), 0)).toEqual(at(150 * day))
    expect(
      keepAliveAt(token("tiktok", { hasRefreshToken: true, refreshTokenExpiresAt: at(365 * day) }), 0),
    ).toEqual(at(335 * day))
  })

  test("what cannot be renewed, or lives too shortly to be kept, is left alone", () => {
    expect(keepAliveAt(token("x"), half)).toBeNull()
    expect(
      keepAliveAt(token("facebook", { expiresAt: null, personTokenExpiresAt: at(60 * day) }), half),
    ).toBeNull()
    expect(keepAliveAt(token("linkedin", { expiresAt: at(60 * day) }), half)).toBeNull()
    expect(
      keepAliveAt(token("tiktok", { hasRefreshToken: true, refreshTokenExpiresAt: at(2 * day - 1) }), half),
    ).toBeNull()
  })

  test("an end that renewing does not move is not run against for ever", () => {
    const end = at(365 * day)
    let times = token("linkedin", {
      hasRefreshToken: true,
      expiresAt: at(60 * day),
      refreshTokenExpiresAt: end,
    })
    let renewals = 0
    for (let due = keepAliveAt(times, half); due !== null && renewals < 100; due = keepAliveAt(times, half)) {
      renewals++
      const expiresAt = new Date(Math.min(due.getTime() + 60 * day, end.getTime()))
      times = { ...times, obtainedAt: due, expiresAt }
    }
    expect(renewals).toBeLessThan(15)
  })

  test("every renewal comes in time, whatever the lifetimes and the spread", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...providerNames),
        fc.boolean(),
        fc.integer({ min: 1, max: 400 * 24 }),
        fc.option(fc.integer({ min: 1, max: 800 * 24 })),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (provider, hasRefreshToken, life, refreshLife, spread) => {
          const times = token(provider, {
            hasRefreshToken,
            expiresAt: at(life * hour),
            refreshTokenExpiresAt: refreshLife === null ? null : at(refreshLife * hour),
          })
          const due = keepAliveAt(times, spread)
          if (due === null) return
          expect(due.getTime()).toBeGreaterThan(now.getTime())
          // At that moment the provider would still renew it, unless its refresh token ended with a fixed end of its own.
          if (renewalOf(times) !== "refresh_token") expect(isRenewable(times, due)).toBe(true)
        },
      ),
    )
  })

  test("accounts connected together are spread evenly", () => {
    const spreads = Array.from({ length: 4000 }, (_, i) => spreadOf(`live/x/${i}`))
    for (const spread of spreads) expect(spread >= 0 && spread < 1).toBe(true)
    const tenths = Array.from(
      { length: 10 },
      (_, tenth) => spreads.filter((s) => Math.floor(s * 10) === tenth).length,
    )
    for (const count of tenths) expect(Math.abs(count - 400)).toBeLessThan(120)
    expect(spreadOf("live/x/1")).toBe(spreadOf("live/x/1"))
  })
})

describe("the person is needed", () => {
  test.each<[string, TokenTimes, Date | null]>([
    ["never for X with a refresh token", token("x", { hasRefreshToken: true }), null],
    ["at the end of X's token without one", token("x"), at(2 * hour)],
    ["never for Instagram", token("instagram", { expiresAt: at(60 * day) }), null],
    [
      "at the end of an Instagram token too short-lived to renew",
      token("instagram", { expiresAt: at(hour) }),
      at(hour),
    ],
    [
      "at the later end of a LinkedIn partner's two tokens",
      token("linkedin", {
        hasRefreshToken: true,
        expiresAt: at(60 * day),
        refreshTokenExpiresAt: at(11 * day),
      }),
      at(60 * day),
    ],
    ["at LinkedIn's sixtieth day", token("linkedin", { expiresAt: at(60 * day) }), at(60 * day)],
    [
      "at the end of a LinkedIn partner's refresh token",
      token("linkedin", { hasRefreshToken: true, refreshTokenExpiresAt: at(365 * day) }),
      at(365 * day),
    ],
    [
      "at the end of a person's own token at Facebook",
      token("facebook", { expiresAt: null, personTokenExpiresAt: at(60 * day) }),
      at(60 * day),
    ],
    ["never for a Page token whose person is unknown", token("facebook", { expiresAt: null }), null],
  ])("%s", (_, times, end) => {
    expect(personNeededAt(times)).toEqual(end)
  })

  test.each<[ProviderName, Health, number | null, string | undefined]>([
    ["linkedin", "active", 7 * day + 1, undefined],
    ["linkedin", "active", 7 * day, "expiring"],
    ["linkedin", "expiring", day, undefined],
    ["linkedin", "active", 0, "reauthorization_required"],
    ["linkedin", "expiring", 0, "reauthorization_required"],
    ["linkedin", "reauthorization_required", 0, undefined],
    ["facebook", "active", 0, "expiring"],
    ["facebook", "expiring", -30 * day, undefined],
    ["instagram", "active", null, undefined],
    ["x", "refresh_unknown", day, undefined],
  ])("%s, %s, with %p ms left: %p", (provider, health, left, expected) => {
    const personNeededAt = left === null ? null : at(left)
    expect(healthByClock({ provider, health, personNeededAt }, now)).toBe(expected as "expiring" | undefined)
  })
})

describe("after a failure", () => {
  test("waiting doubles from half a minute to six hours, with jitter over its upper half", () => {
    const wait = (failures: number, random: number) =>
      retryAt(failures, undefined, random, now).getTime() - now.getTime()
    expect([1, 2, 3, 4].map((n) => wait(n, 0))).toEqual([15_000, 30_000, 60_000, 120_000])
    expect([1, 2, 3, 4].map((n) => wait(n, 1))).toEqual([30_000, 60_000, 120_000, 240_000])
    for (const n of [11, 30, 1000]) expect(wait(n, 1)).toBe(6 * hour)
  })

  test("Retry-After is honoured, however early the back-off would be", () => {
    expect(retryAt(1, 900, 0.3, now)).toEqual(at(900_000))
    expect(retryAt(12, 1, 1, now)).toEqual(at(6 * hour))
  })
})

test("a token whose end nobody told is due at once where a refresh token can replace it", () => {
  expect(isDueWhenRead(token("x", { expiresAt: null, hasRefreshToken: true }), now)).toBe(true)
  expect(isDueWhenRead(token("x", { expiresAt: null }), now)).toBe(false)
})

test("a token whose end nobody told is renewed soon, where it can be", () => {
  expect(assumedExpiry({ provider: "x", hasRefreshToken: true }, now)).toEqual(now)
  expect(assumedExpiry({ provider: "x", hasRefreshToken: false }, now)).toBeNull()
  expect(assumedExpiry({ provider: "facebook", hasRefreshToken: false }, now)).toBeNull()
  const assumed = assumedExpiry({ provider: "instagram", hasRefreshToken: false }, now)
  expect(keepAliveAt(token("instagram", { expiresAt: assumed }), 1)?.getTime()).toBeLessThanOrEqual(
    at(2 * day).getTime(),
  )
})
