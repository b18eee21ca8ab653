import { exactText } from "../../domain/account-search.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { Events } from "../../ports/storage.ts"
import { ours, owned, type Sqlite } from "./sqlite.ts"
import { eventTable, type Row } from "./tables.ts"

export function sqliteEvents({ db }: Sqlite): Events {
  const after = db.query<Row, [Row]>(
    `select ${eventTable.columns} from events
     where ${owned} and id > $after order by id limit $limit`,
  )
  return {
    async list(owner, { limit, afterId = "" }) {
      return after.all({ ...ours(owner), after: exactText(afterId), limit }).map(eventTable.fromRow)
    },
  }
}

/** Records an event, within the write that it tells of. */
export function eventRecorder({ db }: Pick<Sqlite, "db">): (event: DomainEvent) => void {
  const insert = db.query<never, [Row]>(
    `insert into events (${eventTable.columns}) values (${eventTable.parameters})`,
  )
  return (event) => {
    insert.run(eventTable.toRow(event))
  }
}
