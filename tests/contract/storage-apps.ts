import { expect, test } from "bun:test"
import type { OAuthApp } from "../../src/domain/oauth-app.ts"
import type { Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  after,
  anApp,
  anEvent,
  anId,
  connect,
  eventsOf,
  noon,
  sealed,
  strangers,
  takenFlow,
} from "../support/storage-fixtures.ts"

export function appsContract(storage: () => Storage): void {
  const add = (change: Partial<OAuthApp> = {}) => {
    const app = anApp(change)
    const { tenant, environment } = app
    return storage().apps.add(app, anEvent({ tenant, environment }))
  }
  const defaults = async () =>
    (await storage().apps.list(acme)).filter((app) => app.isDefault).map(({ id }) => id)

  test("an app comes back equal", async () => {
    const app = anApp({
      isDefault: true,
      name: "Ünïcode 🦤 'quotes' \"doubles\" \\ and a\nline",
      scopes: [],
      allowedReturnUrls: ["https://acme.example/a?b", "http://localhost:3000/"],
      options: { graph_version: "v25.0", config_id_with_scope: false },
      createdAt: new Date("1999-12-31T23:59:59.999Z"),
    })
    const event = anEvent({ type: "oauth_app.created", oauthAppId: app.id })
    expect(await storage().apps.add(app, event)).toEqual(app)
    expect(await storage().apps.find(acme, app.id)).toEqual(app)
    expect(await storage().apps.list(acme)).toEqual([app])
    expect(await eventsOf(storage())).toEqual([event])
  })

  test("the first app of a provider is the default, the second is not", async () => {
    const first = await add()
    const second = await add()
    expect([first.isDefault, second.isDefault]).toEqual([true, false])
    expect(await storage().apps.findDefault(acme, "x")).toEqual(first)
    expect(await storage().apps.find(acme, second.id)).toEqual(second)
  })

  test("an app that asks to be the default makes the others of its provider step down, and no others", async () => {
    const others = [
      await add({ provider: "tiktok" }),
      await add({ environment: "test" }),
      await add({ tenant: "globex" }),
    ]
    const first = await add()
    const second = await add({ isDefault: true })
    expect(second.isDefault).toBe(true)
    expect(await storage().apps.find(acme, first.id)).toEqual({ ...first, isDefault: false })
    expect(await storage().apps.findDefault(acme, "x")).toEqual(second)
    for (const other of others) expect(await storage().apps.findDefault(other, other.provider)).toEqual(other)
  })

  test("of first apps added at once exactly one is the default", async () => {
    const added = await Promise.all(Array.from({ length: 10 }, () => add()))
    const chosen = added.filter((app) => app.isDefault).map(({ id }) => id)
    expect(chosen).toHaveLength(1)
    expect(await defaults()).toEqual(chosen)
  })

  test("of apps that ask at once to be the default exactly one is", async () => {
    const added = await Promise.all(Array.from({ length: 10 }, () => add({ isDefault: true })))
    expect(await defaults()).toHaveLength(1)
    await Promise.all(
      added.map(({ id }) => storage().apps.change(acme, id, { isDefault: true, updatedAt: noon }, anEvent())),
    )
    expect(await defaults()).toHaveLength(1)
  })

  test("without an app for the provider there is no default", async () => {
    await add({ provider: "tiktok" })
    expect(await storage().apps.findDefault(acme, "x")).toBeUndefined()
  })

  test("apps are listed oldest first, and by provider", async () => {
    const youngest = await add({ createdAt: after(2), provider: "tiktok" })
    const oldest = await add({ createdAt: after(0) })
    const middle = await add({ createdAt: after(1) })
    expect(await storage().apps.list(acme)).toEqual([oldest, middle, youngest])
    expect(await storage().apps.list(acme, "x")).toEqual([oldest, middle])
    expect(await storage().apps.list(acme, "facebook")).toEqual([])
  })

  test("apps of one moment are listed by id", async () => {
    const ids = (await Promise.all(Array.from({ length: 8 }, () => add()))).map(({ id }) => id)
    expect((await storage().apps.list(acme)).map(({ id }) => id)).toEqual(ids.sort())
  })

  test("an id is kept once: a second app under it is refused, with its event", async () => {
    const app = await add()
    await expect(storage().apps.add(anApp({ id: app.id, name: "other" }), anEvent())).rejects.toThrow()
    expect(await storage().apps.list(acme)).toEqual([app])
    expect(await eventsOf(storage())).toHaveLength(1)
  })

  test.each([
    { name: "Renamed" },
    { clientSecret: sealed("another secret") },
    { allowedReturnUrls: [] },
    { scopes: ["users.read", "offline.access"] },
    { options: {} },
  ])("a change sets %p and leaves the rest", async (fields) => {
    const app = await add()
    const event = anEvent({ type: "oauth_app.updated", oauthAppId: app.id })
    const changed = { ...app, ...fields, updatedAt: after(5000) }
    expect(await storage().apps.change(acme, app.id, { ...fields, updatedAt: after(5000) }, event)).toEqual(
      changed,
    )
    expect(await storage().apps.find(acme, app.id)).toEqual(changed)
    expect(await eventsOf(storage())).toContainEqual(event)
  })

  test("a change to the default makes the others of the provider step down", async () => {
    const [first, second, elsewhere] = [await add(), await add(), await add({ provider: "tiktok" })]
    const change = { isDefault: true, updatedAt: after(5) } as const
    const changed = await storage().apps.change(acme, second.id, change, anEvent())
    expect(changed).toEqual({ ...second, isDefault: true, updatedAt: after(5) })
    expect(await storage().apps.find(acme, first.id)).toEqual({ ...first, isDefault: false })
    expect(await storage().apps.findDefault(acme, "tiktok")).toEqual(elsewhere)
  })

  test("the default may be made the default again", async () => {
    const app = await add()
    await storage().apps.change(acme, app.id, { isDefault: true, updatedAt: noon }, anEvent())
    expect(await defaults()).toEqual([app.id])
  })

  test("a change of an app that is not there changes and records nothing", async () => {
    const app = await add()
    const id = anId("oa")
    expect(
      await storage().apps.change(acme, id, { name: "other", updatedAt: noon }, anEvent()),
    ).toBeUndefined()
    expect(
      await storage().apps.change(acme, id, { isDefault: true, updatedAt: noon }, anEvent()),
    ).toBeUndefined()
    expect(await storage().apps.list(acme)).toEqual([app])
    expect(await eventsOf(storage())).toHaveLength(1)
  })

  test("an app that no account uses is removed, with its event", async () => {
    const app = await add()
    const event = anEvent({ type: "oauth_app.deleted", oauthAppId: app.id })
    expect(await storage().apps.remove(acme, app.id, event)).toEqual({ kind: "removed" })
    expect(await storage().apps.find(acme, app.id)).toBeUndefined()
    expect(await eventsOf(storage())).toContainEqual(event)
    expect(await storage().apps.remove(acme, app.id, anEvent())).toEqual({ kind: "absent" })
    expect(await eventsOf(storage())).toHaveLength(2)
  })

  test("when the default is removed, the oldest remaining app of the provider becomes it", async () => {
    const [first, youngest, oldest] = [
      await add({ createdAt: after(3) }),
      await add({ createdAt: after(2) }),
      await add({ createdAt: after(1) }),
    ]
    const elsewhere = await add({ provider: "tiktok", createdAt: after(0) })
    await storage().apps.remove(acme, first.id, anEvent())
    expect(await storage().apps.findDefault(acme, "x")).toEqual({ ...oldest, isDefault: true })
    expect(await storage().apps.find(acme, youngest.id)).toEqual(youngest)
    expect(await storage().apps.findDefault(acme, "tiktok")).toEqual(elsewhere)
  })

  test("when another than the default is removed, the default stays", async () => {
    const [first, second] = [await add({ createdAt: after(1) }), await add({ createdAt: after(0) })]
    await storage().apps.remove(acme, second.id, anEvent())
    expect(await defaults()).toEqual([first.id])
  })

  test("removals and additions at once leave exactly one default", async () => {
    const apps = await Promise.all(Array.from({ length: 6 }, () => add()))
    await Promise.all([
      ...apps.slice(1).map(({ id }) => storage().apps.remove(acme, id, anEvent())),
      add(),
      add({ isDefault: true }),
    ])
    expect(await defaults()).toHaveLength(1)
  })

  test("an app in use is not removed, and the answer counts its accounts", async () => {
    const app = await add()
    await connect(
      storage(),
      aConnection({ oauthAppId: app.id }),
      aConnection({ oauthAppId: app.id }),
      aConnection(),
    )
    const events = await eventsOf(storage())
    expect(await storage().apps.remove(acme, app.id, anEvent())).toEqual({ kind: "in_use", accounts: 2 })
    expect(await storage().apps.list(acme)).toEqual([app])
    expect(await eventsOf(storage())).toEqual(events)
  })

  test("no account ends with an app that was removed at the same moment", async () => {
    for (let round = 0; round < 10; round++) {
      const app = await add()
      const flow = await takenFlow(storage(), { oauthAppId: app.id })
      const connection = aConnection({ oauthAppId: app.id })
      const [removed, accounts] = await Promise.all([
        storage().apps.remove(acme, app.id, anEvent()),
        storage().flows.connect(flow.id, [connection], after(2000)),
      ])
      const used = accounts?.[0]?.oauthAppId
      expect([removed.kind, used]).toEqual(used === null ? ["removed", null] : ["in_use", app.id])
      expect((await storage().accounts.find(acme, connection.account.id))?.oauthAppId).toBe(used ?? null)
    }
  })

  test("a stranger finds, changes and removes nothing", async () => {
    const app = await add()
    for (const stranger of strangers) {
      expect(await storage().apps.find(stranger, app.id)).toBeUndefined()
      expect(await storage().apps.findDefault(stranger, app.provider)).toBeUndefined()
      expect(await storage().apps.list(stranger)).toEqual([])
      const theirs = () => anEvent(stranger)
      const rename = { name: "stolen", updatedAt: noon }
      expect(await storage().apps.change(stranger, app.id, rename, theirs())).toBeUndefined()
      const promote = { isDefault: true, updatedAt: noon } as const
      expect(await storage().apps.change(stranger, app.id, promote, theirs())).toBeUndefined()
      expect(await storage().apps.remove(stranger, app.id, theirs())).toEqual({ kind: "absent" })
      expect(await eventsOf(storage(), stranger)).toEqual([])
    }
    expect(await storage().apps.list(acme)).toEqual([app])
  })

  test("where the event cannot be kept, the change is not either", async () => {
    const app = await add()
    const other = await add()
    const event = anEvent()
    await storage().apps.change(acme, other.id, { name: "Other", updatedAt: noon }, event)
    const before = await storage().apps.list(acme)
    await expect(storage().apps.add(anApp({ isDefault: true }), event)).rejects.toThrow()
    await expect(
      storage().apps.change(acme, app.id, { name: "new", updatedAt: noon }, event),
    ).rejects.toThrow()
    await expect(
      storage().apps.change(acme, other.id, { isDefault: true, updatedAt: noon }, event),
    ).rejects.toThrow()
    await expect(storage().apps.remove(acme, app.id, event)).rejects.toThrow()
    expect(await storage().apps.list(acme)).toEqual(before)
  })
}
