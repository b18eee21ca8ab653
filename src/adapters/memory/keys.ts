import { exactText } from "../../domain/account-search.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { ApiKeys, Storage } from "../../ports/storage.ts"
import { earlierFirst, kept, type Memory, own } from "./tables.ts"

const newestLast = earlierFirst((key: ApiKey) => key.createdAt)

export function memoryKeys(
  { tables, read, write }: Memory,
  { apps, tokens }: Pick<Storage, "apps" | "tokens">,
): ApiKeys {
  return {
    add: (key, event) =>
      write((changes) => {
        changes.insert(tables.keys, key.id, kept(key))
        changes.insert(tables.events, event.id, kept(event))
      }),

    findById: (id) => read(() => tables.keys.get(exactText(id))),

    async findWith(id, need) {
      const key = await read(() => tables.keys.get(exactText(id)))
      if (!key) return undefined
      if (need.kind === "account")
        return { key, app: null, account: (await tokens.read(key, need.id)) ?? null }
      const app = need.id === null ? apps.findDefault(key, need.provider) : apps.find(key, need.id)
      return { key, app: (await app) ?? null, account: null }
    },

    list: (tenant, environment) =>
      read(() => {
        exactText(tenant)
        return [...tables.keys.values()]
          .filter((key) => key.tenant === tenant && key.revokedAt === null)
          .filter((key) => environment === undefined || key.environment === environment)
          .sort((a, b) => newestLast(b, a))
      }),

    revoke: (owner, id, event) =>
      write((changes) => {
        const key = own(owner, tables.keys.get(exactText(id)))
        if (!key || key.revokedAt !== null) return false
        changes.put(tables.keys, id, kept({ ...key, revokedAt: event.at }))
        changes.insert(tables.events, event.id, kept(event))
        return true
      }),

    touch: (id, at) =>
      write((changes) => {
        const key = tables.keys.get(exactText(id))
        if (!key || (key.lastUsedAt !== null && key.lastUsedAt >= at)) return
        changes.put(tables.keys, id, kept({ ...key, lastUsedAt: at }))
      }),
  }
}
