import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import type { Storage } from "../../src/ports/storage.ts"
import {
  aClaimedDelivery,
  aClaimOfDeliveries,
  aConnection,
  acme,
  aFlow,
  aKey,
  aLease,
  anApp,
  anEvent,
  aWebhook,
  noon,
  renewedTokens,
  sealed,
  settledRefresh,
} from "../support/storage-fixtures.ts"
import { accountsContract } from "./storage-accounts.ts"
import { appsContract } from "./storage-apps.ts"
import { choosingContract } from "./storage-choosing.ts"
import { connectContract } from "./storage-connect.ts"
import { deliveriesContract } from "./storage-deliveries.ts"
import { eventsContract } from "./storage-events.ts"
import { flowListContract } from "./storage-flow-list.ts"
import { flowsContract } from "./storage-flows.ts"
import { keyNeedsContract } from "./storage-key-needs.ts"
import { keysContract } from "./storage-keys.ts"
import { proofContract } from "./storage-proof.ts"
import { accountTokensContract } from "./storage-tokens.ts"
import { webhooksContract } from "./storage-webhooks.ts"

/** What every storage promises. `open` gives an empty one. */
export function storageContract(adapter: string, open: () => Promise<Storage>): void {
  describe(`${adapter} keeps the storage contract`, () => {
    let opened: Storage
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(async () => {
      await opened.close()
    })
    const storage = () => opened

    describe("oauth apps", () => appsContract(storage))
    describe("connect flows", () => flowsContract(storage))
    describe("looking through flows", () => flowListContract(storage))
    describe("connecting", () => connectContract(storage))
    describe("choosing", () => choosingContract(storage))
    describe("proof", () => proofContract(storage))
    describe("accounts", () => accountsContract(storage))
    describe("account tokens", () => accountTokensContract(storage))
    describe("api keys", () => keysContract(storage))
    describe("what a key's call needs first", () => keyNeedsContract(storage))
    describe("events", () => eventsContract(storage))
    describe("webhooks", () => webhooksContract(storage))
    describe("deliveries", () => deliveriesContract(storage))
    describe("as a whole", () => wholeContract(storage))
  })
}

function wholeContract(storage: () => Storage): void {
  test("an open storage answers a ping", async () => {
    expect(await storage().ping()).toBeUndefined()
  })

  test("closing finishes what is under way", async () => {
    const key = aKey()
    const added = storage().keys.add(key, anEvent())
    const closed = storage().close()
    expect(await added).toBeUndefined()
    expect(await closed).toBeUndefined()
  })

  test("closing again is no fault", async () => {
    await storage().close()
    expect(await storage().close()).toBeUndefined()
  })

  test("after closing, every call rejects", async () => {
    await storage().close()
    for (const [name, call] of everyCall(storage(), acme.tenant, "acc_made-up")) {
      expect(await rejects(call), name).toBe(true)
    }
    expect(await rejects(() => storage().ping())).toBe(true)
  })

  test("a tenant that no store can keep exactly is refused by every call, lest it be taken for another", async () => {
    for (const tenant of ["ac\0me", "acme\uD800"]) {
      for (const [name, call] of everyCall(storage(), tenant, "acc_made-up")) {
        if (namesOwner(name)) expect(await rejects(call), `${name} of ${JSON.stringify(tenant)}`).toBe(true)
      }
    }
  })

  test("so is an id", async () => {
    for (const id of ["acc_\0", "acc_\uDC00"]) {
      for (const [name, call] of everyCall(storage(), acme.tenant, id)) {
        if (namesRow(name)) expect(await rejects(call), `${name} of ${JSON.stringify(id)}`).toBe(true)
      }
    }
  })
}

async function rejects(call: () => Promise<unknown>): Promise<boolean> {
  return await call().then(
    () => false,
    () => true,
  )
}

type Call = readonly [string, () => Promise<unknown>]

const withoutOwner = [
  "flows.consume",
  "flows.offer",
  "flows.hold",
  "flows.findCandidates",
  "flows.fail",
  "flows.findAbandoned",
  "flows.prune",
  "flows.forgetUnconfirmed",
  "tokens.claim",
  "tokens.prolong",
  "tokens.renew",
  "tokens.settle",
  "tokens.claimDue",
  "tokens.findChangedByClock",
  "tokens.changeHealth",
  "keys.findById",
  "keys.findWith",
  "keys.touch",
  "events.prune",
  "deliveries.fanOut",
  "deliveries.claimDue",
  "deliveries.settle",
]
const withoutId = [
  "apps.findDefault",
  "apps.list",
  "flows.findAbandoned",
  "flows.prune",
  "flows.forgetUnconfirmed",
  "tokens.claimDue",
  "tokens.findChangedByClock",
  "tokens.noteLostGrants",
  "tokens.countOfPerson",
  "keys.list",
  "events.list",
  "events.prune",
  "webhooks.list",
  "deliveries.fanOut",
  "deliveries.claimDue",
]

const namesOwner = (name: string) => !withoutOwner.includes(name)
const namesRow = (name: string) => !withoutId.includes(name)

function everyCall(
  { apps, flows, accounts, tokens, keys, events, webhooks, deliveries }: Storage,
  tenant: string,
  id: string,
): readonly Call[] {
  const owner = { tenant, environment: "live" } as const
  const failure = { reason: "server_error", detail: "made up", evidence: null } as const
  const claim = { accountId: id, fence: 0 }
  const due = { provider: "x", limit: 10, perApp: 10, exceptApps: [] } as const
  const grant = { owner, provider: "x", oauthAppId: null, personId: "ada" } as const
  const lost = { ...grant, kept: [] }
  const newEventId = () => anEvent().id
  const delivered = { kind: "delivered", status: 200 } as const
  return [
    ["apps.add", () => apps.add(anApp({ ...owner, id }), anEvent())],
    ["apps.find", () => apps.find(owner, id)],
    ["apps.findDefault", () => apps.findDefault(owner, "x")],
    ["apps.list", () => apps.list(owner)],
    ["apps.change", () => apps.change(owner, id, { name: "other", updatedAt: noon }, anEvent())],
    ["apps.change to default", () => apps.change(owner, id, { isDefault: true, updatedAt: noon }, anEvent())],
    ["apps.remove", () => apps.remove(owner, id, anEvent())],
    ["flows.add", () => flows.add(aFlow({ ...owner, id }))],
    ["flows.find", () => flows.find(owner, id)],
    ["flows.list", () => flows.list(owner, { now: noon }, { limit: 10, after: id })],
    ["flows.consume", () => flows.consume(id, noon)],
    ["flows.offer", () => flows.offer(id, sealed("candidates"), noon)],
    ["flows.hold", () => flows.hold(id, [], sealed("candidates"), noon)],
    ["flows.findCandidates", () => flows.findCandidates(id)],
    ["flows.fail", () => flows.fail(id, failure, anEvent(), noon)],
    ["flows.findAbandoned", () => flows.findAbandoned(noon, noon, 10)],
    ["flows.abandon", () => flows.abandon(aFlow({ ...owner, id }), failure, anEvent(), noon)],
    ["flows.prune", () => flows.prune(noon, 10)],
    ["flows.forgetUnconfirmed", () => flows.forgetUnconfirmed(noon, 10)],
    ["accounts.find", () => accounts.find(owner, id)],
    ["accounts.list", () => accounts.list(owner, {}, { limit: 10, after: { connectedAt: noon, id } })],
    ["tokens.read", () => tokens.read(owner, id)],
    ["tokens.claim", () => tokens.claim(claim, aLease())],
    ["tokens.prolong", () => tokens.prolong(claim, noon)],
    ["tokens.renew", () => tokens.renew(claim, renewedTokens(), null)],
    ["tokens.settle", () => tokens.settle(claim, settledRefresh(), null)],
    ["tokens.claimDue", () => tokens.claimDue(due, aLease())],
    ["tokens.findChangedByClock", () => tokens.findChangedByClock(noon, noon, 10)],
    [
      "tokens.changeHealth",
      () => tokens.changeHealth({ ...claim, health: "active" }, "expiring", "soon", anEvent(), noon),
    ],
    ["tokens.noteLostGrants", () => tokens.noteLostGrants(lost, "left out", anEvent(), newEventId)],
    ["tokens.register", () => tokens.register(aConnection({ ...owner, id }))],
    ["tokens.remove", () => tokens.remove(owner, id, anEvent())],
    ["tokens.countOfPerson", () => tokens.countOfPerson(grant)],
    ["keys.add", () => keys.add(aKey({ ...owner, id }), anEvent())],
    ["keys.findById", () => keys.findById(id)],
    ["keys.findWith", () => keys.findWith(id, { kind: "account", id: "acc_1" })],
    ["keys.list", () => keys.list(tenant)],
    ["keys.revoke", () => keys.revoke(owner, id, anEvent())],
    ["keys.touch", () => keys.touch(id, noon)],
    ["events.list", () => events.list(owner, {}, { limit: 10 })],
    ["events.list of an account", () => events.list(owner, { accountId: id }, { limit: 10 })],
    ["events.prune", () => events.prune(noon, 10)],
    ["webhooks.add", () => webhooks.add(aWebhook({ ...owner, id }), 10, anEvent())],
    ["webhooks.find", () => webhooks.find(owner, id)],
    ["webhooks.list", () => webhooks.list(owner)],
    ["webhooks.change", () => webhooks.change(owner, id, { updatedAt: noon }, anEvent())],
    ["webhooks.remove", () => webhooks.remove(owner, id, anEvent())],
    ["deliveries.fanOut", () => deliveries.fanOut(noon, 10)],
    ["deliveries.claimDue", () => deliveries.claimDue(aClaimOfDeliveries())],
    ["deliveries.settle", () => deliveries.settle(aClaimedDelivery({ id }), delivered, noon)],
    ["deliveries.list", () => deliveries.list(owner, id, {}, { limit: 10 })],
    ["deliveries.replay", () => deliveries.replay(owner, id, { eventId: "evt_1" }, noon)],
    ["deliveries.replay of an event", () => deliveries.replay(owner, "wh_1", { eventId: id }, noon)],
  ]
}
