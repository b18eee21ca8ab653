import { describe, expect, test } from "bun:test"
import { expiringWindowMs, healthAfterConnect, healths } from "../../src/domain/account.ts"

const now = new Date("2026-11-22T12:00:00.000Z")
const day = 24 * 60 * 60_000

describe("right after a connect an account is", () => {
  test.each([
    ["active", "never ends", null],
    ["active", "ends one millisecond beyond the window", expiringWindowMs + 1],
    ["expiring", "ends with the window", expiringWindowMs],
    ["expiring", "ends within the window", day],
    ["expiring", "ends now", 0],
    ["expiring", "has ended", -day],
  ] as const)("%s where nothing can renew its token, which %s", (health, _, endsInMs) => {
    const tokenExpiresAt = endsInMs === null ? null : new Date(now.getTime() + endsInMs)
    expect(healthAfterConnect({ tokenExpiresAt, renewable: false }, now)).toBe(health)
  })

  test.each([null, -day, 0, 1, expiringWindowMs, 365 * day])(
    "active where its token can be renewed, though it ends in %p ms",
    (endsInMs) => {
      const tokenExpiresAt = endsInMs === null ? null : new Date(now.getTime() + endsInMs)
      expect(healthAfterConnect({ tokenExpiresAt, renewable: true }, now)).toBe("active")
    },
  )
})

test("expiring begins seven days before the end", () => {
  expect(expiringWindowMs).toBe(7 * day)
})

test("the words for health are the closed list that tenants switch on", () => {
  expect(healths).toEqual(["active", "expiring", "reauthorization_required", "refresh_unknown"])
})
