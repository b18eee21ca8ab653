import type { Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import type { Events } from "../../ports/storage.ts"
import { list, ours } from "./connection.ts"
import { eventTable, type Row } from "./tables.ts"

export function postgresEvents(sql: Sql): Events {
  return {
    async list(owner, { limit, afterId = "" }) {
      const rows = await sql<Row[]>`
        select ${list(sql, eventTable.columns)} from events
        where ${ours(sql, owner)} and id > ${exactText(afterId)} order by id limit ${limit}`
      return rows.map(eventTable.fromRow)
    },
  }
}
