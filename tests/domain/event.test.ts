import { expect, test } from "bun:test"
import { newEvent } from "../../src/domain/event.ts"

const head = {
  id: "evt_1",
  type: "account.connected",
  at: new Date("2026-11-22T12:00:00.000Z"),
  actor: "browser",
  owner: { tenant: "acme", environment: "test" },
} as const

const bare = {
  id: "evt_1",
  type: "account.connected",
  at: head.at,
  actor: "browser",
  tenant: "acme",
  environment: "test",
  provider: null,
  accountId: null,
  flowId: null,
  oauthAppId: null,
  apiKeyId: null,
  webhookId: null,
  reference: null,
  reason: null,
  detail: null,
} as const

test("an event belongs to its owner, and what it does not tell of is null", () => {
  expect(newEvent(head)).toEqual(bare)
})

test("an event tells of its subject", () => {
  const subject = {
    provider: "x",
    accountId: "acc_1",
    reference: "user-42",
    reason: "access_denied",
  } as const
  expect(newEvent(head, subject)).toEqual({ ...bare, ...subject })
})
