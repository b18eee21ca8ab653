import { exactText } from "../../domain/account-search.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Owner } from "../../domain/owner.ts"
import type { ProviderName } from "../../domain/provider.ts"
import type { OAuthApps } from "../../ports/storage.ts"
import { type Changes, earlierFirst, kept, type Memory, own, ownedBy } from "./tables.ts"

export function memoryApps({ tables, read, write }: Memory): OAuthApps {
  const find = (owner: Owner, id: string) => own(owner, tables.apps.get(exactText(id)))

  function list(owner: Owner, provider?: ProviderName): readonly OAuthApp[] {
    const isOwn = ownedBy(owner)
    return [...tables.apps.values()]
      .filter((app) => isOwn(app) && (provider === undefined || app.provider === provider))
      .sort(earlierFirst((app) => app.createdAt))
  }

  function stepDown(changes: Changes, owner: Owner, provider: ProviderName): void {
    for (const app of list(owner, provider)) changes.put(tables.apps, app.id, { ...app, isDefault: false })
  }

  function promoteOldest(changes: Changes, owner: Owner, provider: ProviderName): void {
    const [oldest] = list(owner, provider)
    if (oldest) changes.put(tables.apps, oldest.id, { ...oldest, isDefault: true })
  }

  return {
    add: (given, event) =>
      write((changes) => {
        const isFirst = list(given, given.provider).length === 0
        if (given.isDefault) stepDown(changes, given, given.provider)
        const app = kept({ ...given, isDefault: given.isDefault || isFirst })
        changes.insert(tables.apps, app.id, app)
        changes.insert(tables.events, event.id, kept(event))
        return app
      }),

    find: (owner, id) => read(() => find(owner, id)),

    findDefault: (owner, provider) => read(() => list(owner, provider).find((app) => app.isDefault)),

    list: (owner, provider) => read(() => list(owner, provider)),

    change: (owner, id, change, event) =>
      write((changes) => {
        const before = find(owner, id)
        if (!before) return undefined
        if (change.isDefault) stepDown(changes, owner, before.provider)
        const app = kept({ ...before, ...change })
        changes.put(tables.apps, id, app)
        changes.insert(tables.events, event.id, kept(event))
        return app
      }),

    remove: (owner, id, event) =>
      write((changes) => {
        const app = find(owner, id)
        if (!app) return { kind: "absent" }
        const users = [...tables.accounts.values()].filter(({ account }) => account.oauthAppId === id)
        if (users.length > 0) return { kind: "in_use", accounts: users.length }
        changes.remove(tables.apps, id)
        if (app.isDefault) promoteOldest(changes, owner, app.provider)
        changes.insert(tables.events, event.id, kept(event))
        return { kind: "removed" }
      }),
  }
}
