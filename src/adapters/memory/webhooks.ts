import { exactText } from "../../domain/account-search.ts"
import type { Owner } from "../../domain/owner.ts"
import type { Webhook } from "../../domain/webhook.ts"
import type { Webhooks } from "../../ports/storage.ts"
import { earlierFirst, kept, type Memory, own, ownedBy } from "./tables.ts"

export function memoryWebhooks({ tables, read, write }: Memory): Webhooks {
  const find = (owner: Owner, id: string) => own(owner, tables.webhooks.get(exactText(id)))

  function list(owner: Owner): readonly Webhook[] {
    return [...tables.webhooks.values()]
      .filter(ownedBy(owner))
      .sort(earlierFirst((webhook) => webhook.createdAt))
  }

  return {
    add: (webhook, most, event) =>
      write((changes) => {
        if (list(webhook).length >= most) return false
        changes.insert(tables.webhooks, webhook.id, kept(webhook))
        changes.insert(tables.events, event.id, kept(event))
        return true
      }),

    find: (owner, id) => read(() => find(owner, id)),

    list: (owner) => read(() => list(owner)),

    change: (owner, id, change, event) =>
      write((changes) => {
        const before = find(owner, id)
        if (!before) return undefined
        const webhook = kept({ ...before, ...change })
        changes.put(tables.webhooks, id, webhook)
        changes.insert(tables.events, event.id, kept(event))
        return webhook
      }),

    remove: (owner, id, event) =>
      write((changes) => {
        if (!find(owner, id)) return false
        changes.remove(tables.webhooks, id)
        for (const [key, { delivery }] of tables.deliveries)
          if (delivery.webhookId === id) changes.remove(tables.deliveries, key)
        changes.insert(tables.events, event.id, kept(event))
        return true
      }),
  }
}
