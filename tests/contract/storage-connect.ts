import { expect, test } from "bun:test"
import type { Account } from "../../src/domain/account.ts"
import type { ConnectFlow } from "../../src/domain/connect-flow.ts"
import type { ConnectedAccount, Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  aFlow,
  after,
  anApp,
  anEvent,
  anId,
  connect,
  eventsOf,
  noon,
  strangers,
  takenFlow,
} from "../support/storage-fixtures.ts"

const server = { reason: "server_error", detail: "made up", evidence: null } as const

export function connectContract(storage: () => Storage): void {
  const find = (account: Account) => storage().accounts.find(account, account.id)
  const add = async (change: Partial<ConnectFlow>) => {
    const flow = aFlow(change)
    await storage().flows.add(flow)
    return flow
  }

  test("a connected account comes back equal, the flow ends, and an event tells of it", async () => {
    const flow = await takenFlow(storage())
    const connection = aConnection({ connectedAt: after(2000), updatedAt: after(2000) })
    expect(await storage().flows.connect(flow.id, [connection], after(2000))).toEqual([connection.account])
    expect(await find(connection.account)).toEqual(connection.account)
    const accountIds = [connection.account.id]
    const ended = { ...flow, status: "connected", accountIds, completedAt: after(2000) } as const
    expect(await storage().flows.find(acme, flow.id)).toEqual(ended)
    const event = {
      ...connection.event,
      type: "account.connected",
      accountId: connection.account.id,
    } as const
    expect(await eventsOf(storage())).toEqual([event])
  })

  test("accounts come back in the given order", async () => {
    const flow = await takenFlow(storage())
    const connections = ["9", "10", "b", "a", "B", "é"].map((platformAccountId) =>
      aConnection({ platformAccountId }),
    )
    const given = connections.map(({ account }) => account)
    expect(await storage().flows.connect(flow.id, connections, noon)).toEqual(given)
    expect((await storage().flows.find(acme, flow.id))?.accountIds).toEqual(given.map(({ id }) => id))
  })

  test("a flow may connect no account at all", async () => {
    const flow = await takenFlow(storage())
    expect(await storage().flows.connect(flow.id, [], after(2000))).toEqual([])
    expect(await storage().flows.find(acme, flow.id)).toMatchObject({ status: "connected", accountIds: [] })
  })

  test.each(["pending", "connected", "failed", "expired"] as const)(
    "a flow that is %s connects nothing",
    async (status) => {
      const flow = await add({ status })
      const connection = aConnection()
      expect(await storage().flows.connect(flow.id, [connection], noon)).toBeUndefined()
      expect(await storage().flows.connect(anId("flow"), [connection], noon)).toBeUndefined()
      expect(await storage().flows.connect(flow.id, [], noon)).toBeUndefined()
      expect(await find(connection.account)).toBeUndefined()
      expect(await storage().flows.find(acme, flow.id)).toEqual(flow)
      expect(await eventsOf(storage())).toEqual([])
    },
  )

  test("a connect after the failure stores nothing and does not mend the flow", async () => {
    const flow = await takenFlow(storage())
    await storage().flows.fail(flow.id, server, anEvent(), noon)
    const known = aConnection()
    await connect(storage(), known)
    const before = [
      await storage().flows.find(acme, flow.id),
      await find(known.account),
      await eventsOf(storage()),
    ]
    const again = aConnection({ platformAccountId: known.account.platformAccountId, handle: "new" })
    expect(await storage().flows.connect(flow.id, [again], noon)).toBeUndefined()
    const now = [
      await storage().flows.find(acme, flow.id),
      await find(known.account),
      await eventsOf(storage()),
    ]
    expect(now).toEqual(before)
  })

  test("of several connects of one flow at once one stores its accounts", async () => {
    for (let round = 0; round < 8; round++) {
      const flow = await takenFlow(storage())
      const connections = Array.from({ length: 6 }, () => aConnection())
      const outcomes = await Promise.all(
        connections.map((connection) => storage().flows.connect(flow.id, [connection], noon)),
      )
      const found = await Promise.all(connections.map(({ account }) => find(account)))
      expect(found.filter(Boolean)).toHaveLength(1)
      expect(outcomes.map((outcome) => outcome?.[0])).toEqual(found)
    }
    expect(await eventsOf(storage())).toHaveLength(8)
  })

  test("an account that is connected again is updated in place under its id", async () => {
    const first = aConnection({ connectedAt: noon, updatedAt: noon })
    await connect(storage(), first)
    const app = await storage().apps.add(anApp(), anEvent())
    const again = aConnection({
      platformAccountId: first.account.platformAccountId,
      handle: "coyote",
      displayName: null,
      avatarUrl: null,
      health: "expiring",
      healthDetail: "ends soon",
      connectionType: "manual",
      oauthAppId: app.id,
      scopes: ["users.read"],
      missingScopes: [],
      reference: "user-8",
      metadata: {},
      tokenExpiresAt: null,
      connectedAt: after(9000),
      updatedAt: after(9000),
    })
    const kept = { ...again.account, id: first.account.id, connectedAt: noon }
    expect(await connect(storage(), again)).toEqual([kept])
    expect(await find(kept)).toEqual(kept)
    expect(await find(again.account)).toBeUndefined()
    const told = { ...again.event, type: "account.reconnected", accountId: kept.id } as const
    expect(await eventsOf(storage())).toContainEqual(told)
    expect((await storage().accounts.list(acme, {}, { limit: 10 })).total).toBe(1)
  })

  test("a reference stays where the new connect brings none", async () => {
    const first = aConnection({ reference: "user-7" })
    await connect(storage(), first)
    const again = aConnection({ platformAccountId: first.account.platformAccountId, reference: null })
    expect((await connect(storage(), again))[0]?.reference).toBe("user-7")
    expect((await find(first.account))?.reference).toBe("user-7")
  })

  test("what an account was called before is no longer found", async () => {
    const first = aConnection({ handle: "roadrunner", displayName: null, metadata: {} })
    await connect(storage(), first)
    await connect(storage(), aConnection({ ...first.account, id: anId("acc"), handle: "coyote" }))
    const found = async (query: string) =>
      (await storage().accounts.list(acme, { query }, { limit: 10 })).total
    expect([await found("roadrunner"), await found("coyote")]).toEqual([0, 1])
  })

  test("new and known accounts may come in one connect", async () => {
    const known = aConnection()
    await connect(storage(), known)
    const again = aConnection({ platformAccountId: known.account.platformAccountId })
    const [before, behind] = [aConnection(), aConnection()]
    const flow = await takenFlow(storage())
    const kept = await storage().flows.connect(flow.id, [before, again, behind], noon)
    const ids = [before.account.id, known.account.id, behind.account.id]
    expect(kept?.map(({ id }) => id)).toEqual(ids)
    expect((await storage().flows.find(acme, flow.id))?.accountIds).toEqual(ids)
    const told = (await eventsOf(storage())).filter(
      ({ id }) => id === again.event.id || id === behind.event.id,
    )
    expect(told.map(({ type }) => type).sort()).toEqual(["account.connected", "account.reconnected"])
  })

  test("one upstream account of several owners or providers is several accounts", async () => {
    const upstream = { platformAccountId: "12345678901234567890" }
    const connections = [
      aConnection(upstream),
      aConnection({ ...upstream, provider: "tiktok" }),
      ...strangers.map((stranger) => aConnection({ ...upstream, ...stranger })),
    ]
    for (const connection of connections)
      expect(await connect(storage(), connection)).toEqual([connection.account])
    for (const { account } of connections) expect(await find(account)).toEqual(account)
  })

  test("one account twice in one connect is refused, and nothing of it is stored", async () => {
    const flow = await takenFlow(storage())
    const [one, twin] = [aConnection({ platformAccountId: "7" }), aConnection({ platformAccountId: "7" })]
    await expect(storage().flows.connect(flow.id, [one, twin], noon)).rejects.toThrow()
    expect(await find(one.account)).toBeUndefined()
    expect(await storage().flows.find(acme, flow.id)).toEqual(flow)
  })

  test("an account names the app it came through; an app that is gone meanwhile leaves null", async () => {
    const app = await storage().apps.add(anApp(), anEvent())
    const [used] = await connect(storage(), aConnection({ oauthAppId: app.id }))
    const [orphan] = await connect(storage(), aConnection({ oauthAppId: anId("oa") }))
    expect([used?.oauthAppId, orphan?.oauthAppId]).toEqual([app.id, null])
    if (orphan) expect(await find(orphan)).toEqual(orphan)
  })

  test("another owner's app is no app", async () => {
    for (const stranger of strangers) {
      const app = await storage().apps.add(anApp(stranger), anEvent(stranger))
      const [account] = await connect(storage(), aConnection({ oauthAppId: app.id }))
      expect(account?.oauthAppId).toBeNull()
    }
  })

  test("where one event cannot be kept, no account is, and the flow may still end", async () => {
    const flow = await takenFlow(storage())
    const known = aConnection()
    await connect(storage(), known)
    const again = aConnection({ platformAccountId: known.account.platformAccountId, handle: "new" })
    const fresh = aConnection()
    const broken = { ...aConnection(), event: anEvent({ id: known.event.id }) }
    await expect(storage().flows.connect(flow.id, [again, fresh, broken], noon)).rejects.toThrow()
    expect(await find(known.account)).toEqual(known.account)
    expect(await find(fresh.account)).toBeUndefined()
    expect(await storage().flows.find(acme, flow.id)).toEqual(flow)
    expect(await eventsOf(storage())).toHaveLength(1)
    expect(await storage().flows.connect(flow.id, [fresh], noon)).toEqual([fresh.account])
  })

  test("where two events have one id, nothing is stored", async () => {
    const flow = await takenFlow(storage())
    const one = aConnection()
    const other = { ...aConnection(), event: one.event }
    await expect(storage().flows.connect(flow.id, [one, other], noon)).rejects.toThrow()
    expect(await find(one.account)).toBeUndefined()
    expect(await storage().flows.find(acme, flow.id)).toEqual(flow)
  })

  test("an account's id is kept once: a new account under another's is refused", async () => {
    const known = aConnection()
    await connect(storage(), known)
    const flow = await takenFlow(storage())
    const intruder = aConnection({ id: known.account.id, tenant: "globex" })
    await expect(storage().flows.connect(flow.id, [intruder], noon)).rejects.toThrow()
    expect(await find(known.account)).toEqual(known.account)
  })

  test("two people who connect the same Pages at once, in whatever order, both succeed", async () => {
    const pages = Array.from({ length: 8 }, () => ({ platformAccountId: crypto.randomUUID() }))
    for (let round = 0; round < 5; round++) {
      const flows = await Promise.all([takenFlow(storage()), takenFlow(storage()), takenFlow(storage())])
      const orders = [pages, pages.toReversed(), pages.toSorted()]
      const outcomes = await Promise.all(
        flows.map(({ id }, i) => storage().flows.connect(id, (orders[i] ?? []).map(aPage), noon)),
      )
      const ids = outcomes.map((accounts) => accounts?.map((account) => account.id).sort())
      expect(new Set(ids.map(String)).size).toBe(1)
    }
    expect((await storage().accounts.list(acme, {}, { limit: 100 })).total).toBe(pages.length)
  })
}

function aPage(page: Partial<Account>): ConnectedAccount {
  return aConnection({ provider: "facebook", ...page })
}
