import { expect, test } from "bun:test"
import type { ApiKey } from "../../src/domain/api-key.ts"
import type { Storage } from "../../src/ports/storage.ts"
import {
  acme,
  after,
  aKey,
  anApp,
  anEvent,
  anId,
  eventsOf,
  heldOf,
  keep,
  noon,
  strangers,
} from "../support/storage-fixtures.ts"

export function keysContract(storage: () => Storage): void {
  const add = async (change: Partial<ApiKey> = {}) => {
    const key = aKey(change)
    await storage().keys.add(key, anEvent(change.tenant === undefined ? {} : { tenant: change.tenant }))
    return key
  }
  const ids = (keys: readonly ApiKey[]) => keys.map(({ id }) => id)

  test("an id of another kind, or one whose spaces spell another owner's, finds nothing, whatever was read before", async () => {
    const [key, theirs] = [await add(), { tenant: "globex one", environment: "live" } as const]
    const account = await keep(storage())
    const app = await storage().apps.add(anApp(theirs), anEvent(theirs))
    await Promise.all([
      storage().keys.findById(key.id),
      heldOf(storage(), account),
      storage().apps.find(theirs, app.id),
    ])
    expect(await storage().tokens.read(acme, key.id)).toBeUndefined()
    expect(await storage().keys.findById(account.id)).toBeUndefined()
    expect(await storage().apps.find({ ...theirs, tenant: "one" }, `${app.id} globex`)).toBeUndefined()
  })

  test("a key comes back equal, and its event with it", async () => {
    const key = aKey({ name: "ci 🦤", lastUsedAt: after(1), revokedAt: null })
    const event = anEvent({
      type: "api_key.created",
      provider: "x",
      accountId: "acc_1",
      flowId: "flow_1",
      oauthAppId: "oa_1",
      apiKeyId: key.id,
      webhookId: "wh_1",
      reference: "user 🦤",
      reason: "server_error",
      detail: "A sentence with 'quotes' and \\.",
    })
    await storage().keys.add(key, event)
    expect(await storage().keys.findById(key.id)).toEqual(key)
    expect(await storage().keys.list(key.tenant)).toEqual([key])
    expect(await eventsOf(storage())).toEqual([event])
  })

  test("a key without end or scopes comes back equal", async () => {
    const key = await add({ expiresAt: null, scopes: [] })
    expect(await storage().keys.findById(key.id)).toEqual(key)
  })

  test("an id is kept once: a second key under it is refused, with its event", async () => {
    const key = await add()
    await expect(storage().keys.add({ ...key, name: "other" }, anEvent())).rejects.toThrow()
    expect(await storage().keys.findById(key.id)).toEqual(key)
    expect(await eventsOf(storage())).toHaveLength(1)
  })

  test("an unknown key is not found", async () => {
    expect(await storage().keys.findById(anId("key"))).toBeUndefined()
  })

  test("a tenant's keys are listed newest first, of both environments or of one", async () => {
    const old = await add({ createdAt: after(-1) })
    const young = await add({ createdAt: after(1), environment: "test" })
    const twins = [await add(), await add()].sort((a, b) => (a.id < b.id ? 1 : -1))
    await add({ tenant: "globex" })
    expect(await storage().keys.list("acme")).toEqual([young, ...twins, old])
    expect(await storage().keys.list("acme", "live")).toEqual([...twins, old])
    expect(await storage().keys.list("acme", "test")).toEqual([young])
    expect(await storage().keys.list("initech")).toEqual([])
  })

  test("a revoked key is no longer listed, yet still found by its id", async () => {
    const [key, other] = [await add({ createdAt: after(1) }), await add()]
    const event = anEvent({ type: "api_key.revoked", apiKeyId: key.id, at: after(4000) })
    expect(await storage().keys.revoke(acme, key.id, event)).toBe(true)
    expect(await storage().keys.findById(key.id)).toEqual({ ...key, revokedAt: after(4000) })
    expect(ids(await storage().keys.list("acme"))).toEqual([other.id])
    expect(await eventsOf(storage())).toContainEqual(event)
  })

  test("an expired key is listed and found", async () => {
    const key = await add({ expiresAt: new Date("2001-01-01T00:00:00.000Z") })
    expect(await storage().keys.findById(key.id)).toEqual(key)
    expect(await storage().keys.list("acme")).toEqual([key])
  })

  test("a key is revoked once, however many try", async () => {
    const key = await add()
    const tries = Array.from({ length: 10 }, () => storage().keys.revoke(acme, key.id, anEvent()))
    expect((await Promise.all(tries)).filter(Boolean)).toHaveLength(1)
    expect(await storage().keys.revoke(acme, key.id, anEvent({ at: after(9) }))).toBe(false)
    expect(await storage().keys.findById(key.id)).toEqual({ ...key, revokedAt: noon })
    expect(await eventsOf(storage())).toHaveLength(2)
  })

  test("a stranger revokes no key", async () => {
    const key = await add()
    for (const stranger of strangers) {
      expect(await storage().keys.revoke(stranger, key.id, anEvent(stranger))).toBe(false)
      expect(await eventsOf(storage(), stranger)).toEqual([])
    }
    expect(await storage().keys.revoke(acme, anId("key"), anEvent())).toBe(false)
    expect(await storage().keys.findById(key.id)).toEqual(key)
  })

  test("where the event cannot be kept, the key is neither added nor revoked", async () => {
    const event = anEvent()
    const [key, other] = [aKey(), aKey()]
    await storage().keys.add(key, event)
    await expect(storage().keys.add(other, event)).rejects.toThrow()
    await expect(storage().keys.revoke(acme, key.id, event)).rejects.toThrow()
    expect(await storage().keys.findById(other.id)).toBeUndefined()
    expect(await storage().keys.findById(key.id)).toEqual(key)
  })

  test("the last use of a key is remembered, and an earlier one does not replace it", async () => {
    const key = await add()
    await storage().keys.touch(key.id, after(60_000))
    expect(await storage().keys.findById(key.id)).toEqual({ ...key, lastUsedAt: after(60_000) })
    await storage().keys.touch(key.id, after(30_000))
    expect((await storage().keys.findById(key.id))?.lastUsedAt).toEqual(after(60_000))
    await storage().keys.touch(key.id, after(90_000))
    expect((await storage().keys.findById(key.id))?.lastUsedAt).toEqual(after(90_000))
  })

  test("the use of an unknown key is forgotten", async () => {
    expect(await storage().keys.touch(anId("key"), noon)).toBeUndefined()
  })
}
