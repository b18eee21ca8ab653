import { exactText } from "../../domain/account-search.ts"
import type { DomainEvent } from "../../domain/event.ts"
import { type Placed, pageOf, placeIn } from "../../domain/place.ts"
import type { Events } from "../../ports/storage.ts"
import { ours, owned, type Sqlite } from "./sqlite.ts"
import { eventTable, type Row, type SqlValue } from "./tables.ts"

/** A place is the row's own number, which grows with every write, since there is one writer at a time. */
export function sqliteEvents({ db, write }: Sqlite): Events {
  const ofOwner = `select ${eventTable.columns}, place from events
    where ${owned} and place > $after and ($types is null or type in (select value from json_each($types)))`
  const sql = {
    list: db.query<Row, [Row]>(`${ofOwner} order by place limit $limit`),
    listOfAccount: db.query<Row, [Row]>(
      `${ofOwner} and account_id = $account_id order by place limit $limit`,
    ),
    prune: db.query<never, [Row]>(
      `delete from events where place in (
         select place from events
         where at < $before and place <= (select place from fan_out) and not exists (
           select 1 from deliveries cross join webhooks on webhooks.id = webhook_id
           where event_id = events.id and status = 'pending' and enabled = 1)
         order by at limit $limit)`,
    ),
  }
  return {
    async list(owner, { types, accountId }, page) {
      const asked = {
        ...ours(owner),
        types: types ? JSON.stringify(types) : null,
        after: page.after === undefined ? 0 : placeIn(page.after),
        limit: page.limit + 1,
      }
      const rows =
        accountId === undefined
          ? sql.list.all(asked)
          : sql.listOfAccount.all({ ...asked, account_id: exactText(accountId) })
      return pageOf(rows.map(placedEvent), page)
    },

    prune: (before, limit) => write(() => sql.prune.run({ before: before.getTime(), limit }).changes),
  }
}

/** From a row that has its place too. */
export function placedEvent(row: Row): Placed<DomainEvent> {
  return { item: eventTable.fromRow(row), place: Number(row.place) }
}

/** Records an event, within the write that it tells of. */
export function eventRecorder({ db }: Pick<Sqlite, "db">): (event: DomainEvent) => void {
  const insert = db.query<never, SqlValue[]>(
    `insert into events (${eventTable.columns}) values (${eventTable.places})`,
  )
  return (event) => {
    insert.run(...eventTable.values(event))
  }
}
