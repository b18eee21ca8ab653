import type { Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import type { DomainEvent } from "../../domain/event.ts"
import { type Placed, pageOf, placeIn } from "../../domain/place.ts"
import type { Events } from "../../ports/storage.ts"
import { list, ours } from "./connection.ts"
import { eventTable, type Row } from "./tables.ts"

export function postgresEvents(sql: Sql): Events {
  return {
    async list(owner, { types, accountId }, page) {
      const after = page.after === undefined ? 0 : placeIn(page.after)
      const account = accountId && exactText(accountId)
      await placeEvents(sql)
      const rows = await sql<Row[]>`
        select ${list(sql, eventTable.columns)}, place from events
        where ${ours(sql, owner)} and place > ${after}
          ${types ? sql`and type in (select jsonb_array_elements_text(${sql.json(types)}))` : sql``}
          ${account === undefined ? sql`` : sql`and account_id = ${account}`}
        order by place limit ${page.limit + 1}`
      return pageOf(rows.map(placedEvent), page)
    },

    async prune(before, limit) {
      const mayGo = sql`not exists (
        select from deliveries join webhooks on webhooks.id = webhook_id
        where event_id = events.id and status = 'pending' and enabled)`
      return await sql.begin(async (tx) => {
        const found = await tx<{ id: string }[]>`
          select id from events
          where at < ${before} and place <= (select place from fan_out) and ${mayGo}
          order by at limit ${limit} for update skip locked`
        if (found.length === 0) return 0
        const events = tx`(select jsonb_array_elements_text(${tx.json(found.map(({ id }) => id))}))`
        // Waits for whoever makes a delivery pending again or switches its webhook on, and keeps others from it.
        await tx`
          select from webhooks where id in (select webhook_id from deliveries where event_id in ${events})
          order by id for no key update`
        const { count } = await tx`delete from events where id in ${events} and ${mayGo}`
        return count
      })
    },
  }
}

/**
 * Gives every committed event its place for ever. One caller does so at a time and looks once it is its turn, so
 * that places are seen in their order: what is committed late gets a later one. Of one account an event is
 * numbered in its transaction's order (`seq`), since the account's row lets them in one after another.
 */
export async function placeEvents(sql: Sql): Promise<void> {
  const unplaced = await sql`select from events where place is null order by seq limit 1`
  if (unplaced.length === 0) return
  await sql.begin((tx) => [
    tx`select pg_advisory_xact_lock(hashtextextended('mooring event places', 0))`,
    // Materialized: as a part of the join places would be given in whatever order the planner reads the events.
    tx`
      with next as materialized (
        select id, nextval('event_places') as place
        from (select id from events where place is null order by seq) in_order
      )
      update events set place = next.place from next where events.id = next.id`,
  ])
}

/** From a row that has its place too. */
export function placedEvent(row: Row): Placed<DomainEvent> {
  return { item: eventTable.fromRow(row), place: Number(row.place) }
}
