import { expect, test } from "bun:test"
import type { Storage, StoredToken } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  aKey,
  anApp,
  anEvent,
  anId,
  noon,
  sealed,
  strangers,
} from "../support/storage-fixtures.ts"

/** A key, read with what the call it came with needs first. */
export function keyNeedsContract(storage: () => Storage): void {
  const addKey = async (owner = acme) => {
    const key = aKey(owner)
    await storage().keys.add(key, anEvent(owner))
    return key
  }

  test("a key comes with the default app of the provider, or with the app that is named", async () => {
    const key = await addKey()
    const first = await storage().apps.add(anApp({ provider: "x" }), anEvent())
    const second = await storage().apps.add(anApp({ provider: "x" }), anEvent())
    const need = { kind: "app", provider: "x" } as const
    expect(await storage().keys.findWith(key.id, { ...need, id: null })).toEqual({
      key,
      app: first,
      account: null,
    })
    expect(await storage().keys.findWith(key.id, { ...need, id: second.id })).toEqual({
      key,
      app: second,
      account: null,
    })
    const other = await storage().keys.findWith(key.id, { ...need, provider: "tiktok", id: null })
    expect(other).toEqual({ key, app: null, account: null })
  })

  test("a key comes with the token of its owner's account, and with what handing it out takes", async () => {
    const key = await addKey()
    for (const change of [
      {},
      { personToken: sealed("person"), refreshToken: null, personTokenExpiresAt: noon },
    ]) {
      const connection = aConnection({ platformAccountId: anId("acc"), scopes: ["🦤 'q'"] }, change)
      const { account, credentials } = connection
      await storage().tokens.register(connection)
      const found = await storage().keys.findWith(key.id, { kind: "account", id: account.id })
      expect(found).toMatchObject({ key, app: null })
      expect(found?.account?.credentials).toEqual(credentials)
      expect(handedOut(found?.account?.account)).toEqual(handedOut(account))
    }
  })

  test("a stranger's key comes with nothing of ours", async () => {
    const app = await storage().apps.add(anApp({ provider: "x" }), anEvent())
    const { account } = await storage().tokens.register(aConnection({ oauthAppId: app.id }))
    for (const stranger of strangers) {
      const key = await addKey(stranger)
      const nothing = { key, app: null, account: null }
      const need = { kind: "app", provider: "x" } as const
      expect(await storage().keys.findWith(key.id, { ...need, id: null })).toEqual(nothing)
      expect(await storage().keys.findWith(key.id, { ...need, id: app.id })).toEqual(nothing)
      expect(await storage().keys.findWith(key.id, { kind: "account", id: account.id })).toEqual(nothing)
    }
  })

  test("an unknown key comes with nothing, a revoked one is seen as revoked", async () => {
    expect(await storage().keys.findWith(anId("key"), { kind: "account", id: anId("acc") })).toBeUndefined()
    const key = await addKey()
    await storage().keys.revoke(acme, key.id, anEvent({ at: noon }))
    const found = await storage().keys.findWith(key.id, { kind: "account", id: anId("acc") })
    expect(found).toEqual({ key: { ...key, revokedAt: noon }, app: null, account: null })
  })
}

function handedOut(account: StoredToken["account"] | undefined) {
  if (!account) return undefined
  const { id, tenant, environment, provider, platformAccountId, health, scopes, tokenExpiresAt } = account
  return { id, tenant, environment, provider, platformAccountId, health, scopes, tokenExpiresAt }
}
