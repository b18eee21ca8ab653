import postgres, { type ISql, type PendingQuery, type Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Owner } from "../../domain/owner.ts"
import { appTable, eventTable, type Row, type Table } from "./tables.ts"

const poolSize = 10
const connectTimeoutSeconds = 10
/** A row that nobody gives back, by an open transaction of somebody's hand, must not keep a batch waiting for ever, and all behind it. */
const lockTimeoutMs = 10_000
/** How long a closing pool waits for what is under way. */
export const endTimeoutSeconds = 5

/** A part of a statement, or a whole one that nobody has awaited. */
export type Fragment = PendingQuery<Row[]>

/** `lockTimeoutMs`: how long a statement waits for a lock before the server refuses it; 0 waits for ever. */
export function connect(
  url: string,
  options: { readonly connections?: number; readonly lockTimeoutMs?: number } = {},
): Sql {
  return postgres(url, {
    max: options.connections ?? poolSize,
    connect_timeout: connectTimeoutSeconds,
    prepare: true,
    fetch_types: false, // we use none but built-in types: saves a query on each new connection
    onnotice: () => {},
    connection: {
      application_name: "mooring",
      TimeZone: "UTC",
      DateStyle: "ISO",
      lock_timeout: options.lockTimeoutMs ?? lockTimeoutMs,
    },
  })
}

/** Names of columns of ours, with commas; as they stand, since the driver would quote each of them anew for each call. */
export function list(sql: ISql, columns: readonly string[]): Fragment {
  return sql.unsafe<Row[]>(columns.join(", "))
}

/** The condition that every look-up has. */
export function ours(sql: ISql, owner: Owner): Fragment {
  return sql`tenant = ${exactText(owner.tenant)} and environment = ${owner.environment}`
}

/** An insert of one record; a `where` after it makes it depend on the statement's other parts. */
export function insertInto<Fields>(sql: ISql, table: Table<Fields>, record: Fields & object): Fragment {
  const { name, columns, toRow } = table
  return sql`
    insert into ${sql(name)} (${list(sql, columns)}) select ${list(sql, columns)}
    from jsonb_populate_record(null::${sql(name)}, ${sql.json(toRow(record))})`
}

/** Records an event in the statement of the change that it tells of. */
export function record(sql: ISql, event: DomainEvent): Fragment {
  return insertInto(sql, eventTable, event)
}

/** One more part of a `with`: records the event, if there is one, when the part of that name changed a row. */
export function recordWith(sql: ISql, change: string, event: DomainEvent | null): Fragment {
  return event ? sql`, recorded as (${record(sql, event)} where exists (select from ${sql(change)}))` : sql``
}

/** The app that a row of the named source belongs to, whole, as `app`; null when it is gone or another owner's. */
export function appOf(sql: ISql, source: string): Fragment {
  const row = sql(source)
  return sql`(
    select to_jsonb(app) from oauth_apps app
    where app.id = ${row}.oauth_app_id and app.tenant = ${row}.tenant and app.environment = ${row}.environment
  ) as app`
}

export function appIn(row: Row): OAuthApp | null {
  return row.app === null ? null : appTable.fromRow(row.app as Row)
}

/** From an answer that has the app's values at a place. */
export function appAmong(values: readonly unknown[], at: number): OAuthApp | null {
  return values[at] === null ? null : appTable.fromValues(values, at)
}
