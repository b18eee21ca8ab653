import { expect, test } from "bun:test"
import { expiringWindowMs, healths } from "../../src/domain/account.ts"

const day = 24 * 60 * 60_000

test("expiring begins seven days before the end", () => {
  expect(expiringWindowMs).toBe(7 * day)
})

test("the words for health are the closed list that tenants switch on", () => {
  expect(healths).toEqual([
    "active",
    "expiring",
    "reauthorization_required",
    "refresh_unknown",
    "unconfirmed",
  ])
})
