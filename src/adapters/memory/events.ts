import { exactText } from "../../domain/account-search.ts"
import type { Events } from "../../ports/storage.ts"
import { type Memory, ownedBy } from "./tables.ts"

export function memoryEvents({ tables, read }: Memory): Events {
  return {
    list: (owner, { limit, afterId = "" }) =>
      read(() => {
        const isOwn = ownedBy(owner)
        const last = exactText(afterId)
        return [...tables.events.values()]
          .filter((event) => isOwn(event) && event.id > last)
          .sort((a, b) => (a.id < b.id ? -1 : 1))
          .slice(0, limit)
      }),
  }
}
