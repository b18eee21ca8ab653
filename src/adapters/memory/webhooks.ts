import { exactText } from "../../domain/account-search.ts"
import { isMended, waitingAnew } from "../../domain/delivery.ts"
import type { Owner } from "../../domain/owner.ts"
import type { Webhook } from "../../domain/webhook.ts"
import type { Webhooks } from "../../ports/storage.ts"
import { type Changes, earlierFirst, kept, type Memory, own, ownedBy } from "./tables.ts"

export function memoryWebhooks({ tables, read, write }: Memory): Webhooks {
  const find = (owner: Owner, id: string) => own(owner, tables.webhooks.get(exactText(id)))

  function list(owner: Owner): readonly Webhook[] {
    return [...tables.webhooks.values()]
      .filter(ownedBy(owner))
      .sort(earlierFirst((webhook) => webhook.createdAt))
  }

  function restartPending(changes: Changes, id: string, now: Date): void {
    for (const [key, row] of tables.deliveries) {
      const { delivery } = row
      if (delivery.webhookId === id && delivery.status === "pending")
        changes.put(tables.deliveries, key, {
          ...row,
          delivery: { ...delivery, ...waitingAnew(now) },
          leaseUntil: null,
        })
    }
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

    change: (owner, id, change, event, expected) =>
      write((changes) => {
        const before = find(owner, id)
        if (!before || (expected && before.secret !== expected.secret)) return undefined
        const webhook = kept({ ...before, ...change })
        changes.put(tables.webhooks, id, webhook)
        if (isMended(change)) restartPending(changes, id, change.updatedAt)
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
