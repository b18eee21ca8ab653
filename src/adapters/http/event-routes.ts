import { Elysia, t } from "elysia"
import { eventFields } from "../../application/event-message.ts"
import type { ReadEvents } from "../../application/read-events.ts"
import { type DomainEvent, eventPatterns } from "../../domain/event.ts"
import { callerWith } from "./context.ts"
import { closed, oneOf, pageLimit, plainText, text } from "./schemas.ts"

const listQuery = t.Object(
  {
    type: t.Optional(oneOf(eventPatterns)),
    account_id: t.Optional(plainText(100)),
    limit: t.Optional(pageLimit),
    cursor: t.Optional(text()),
  },
  closed,
)

export function eventRoutes(readEvents: ReadEvents) {
  return new Elysia({ prefix: "/v1/events" })
    .derive(({ request }) => ({ caller: callerWith(request, "events") }))
    .get(
      "",
      async ({ caller, query }) => {
        const listing = await readEvents(caller, {
          type: query.type,
          accountId: query.account_id,
          limit: query.limit === undefined ? undefined : Number(query.limit),
          cursor: query.cursor,
        })
        return {
          items: listing.items.map(eventView),
          next_cursor: listing.nextCursor,
          has_more: listing.hasMore,
        }
      },
      { query: listQuery },
    )
}

export function eventView(event: DomainEvent) {
  const { id, ...fields } = eventFields(event)
  return { id, type: event.type, timestamp: event.at.toISOString(), ...fields }
}
