import { exactText } from "../../domain/account-search.ts"
import type { DomainEvent } from "../../domain/event.ts"
import { pageOf, placeIn } from "../../domain/place.ts"
import type { EventFilter, Events } from "../../ports/storage.ts"
import { type Memory, ownedBy } from "./tables.ts"

export function memoryEvents({ tables, placeOf, read, write }: Memory): Events {
  function deliveriesOf(event: DomainEvent) {
    return [...tables.deliveries].filter(([, { delivery }]) => delivery.eventId === event.id)
  }

  function mayGo(event: DomainEvent): boolean {
    const fannedOut = tables.fanOut.get("place") ?? 0
    return (
      placeOf(event) <= fannedOut &&
      deliveriesOf(event).every(
        ([, { delivery }]) =>
          delivery.status !== "pending" || tables.webhooks.get(delivery.webhookId)?.enabled === false,
      )
    )
  }

  return {
    list: (owner, filter, page) =>
      read(() => {
        const isOwn = ownedBy(owner)
        const isAsked = asked(filter)
        const after = page.after === undefined ? 0 : placeIn(page.after)
        const found = [...tables.events.values()]
          .filter((event) => isOwn(event) && isAsked(event) && placeOf(event) > after)
          .slice(0, page.limit + 1)
        return pageOf(
          found.map((item) => ({ item, place: placeOf(item) })),
          page,
        )
      }),

    prune: (before, limit) =>
      write((changes) => {
        const pruned = [...tables.events.values()]
          .filter((event) => event.at < before && mayGo(event))
          .slice(0, limit)
        for (const event of pruned) {
          for (const [key] of deliveriesOf(event)) changes.remove(tables.deliveries, key)
          changes.remove(tables.events, event.id)
        }
        return pruned.length
      }),
  }
}

function asked({ types, accountId }: EventFilter): (event: DomainEvent) => boolean {
  const account = accountId === undefined ? undefined : exactText(accountId)
  return (event) =>
    (types === undefined || types.includes(event.type)) &&
    (account === undefined || event.accountId === account)
}
