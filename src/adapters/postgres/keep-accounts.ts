import type { Sql } from "postgres"
import type { Account } from "../../domain/account.ts"
import { searchText } from "../../domain/account-search.ts"
import type { EventType } from "../../domain/event.ts"
import type { ConnectedAccount } from "../../ports/storage.ts"
import { type Fragment, list } from "./connection.ts"
import { accountTable, credentialTable, eventTable, type JsonRow, planTable, type Row } from "./tables.ts"

const { columns, toRow, fromRow } = accountTable
const allColumns = [...columns, ...credentialTable.columns, ...planTable.columns, "search", "connections"]

/** An account without its event. */
type GrantedAccount = Omit<ConnectedAccount, "event">

/**
 * Keeps the accounts of a flow with their events and ends the flow, in one statement. It locks the flow first,
 * so that it ends once; then what {@link given} and {@link keep} lock.
 */
export async function connectAccounts(
  sql: Sql,
  flowId: string,
  accounts: readonly ConnectedAccount[],
  now: Date,
  withCalls: Fragment,
): Promise<readonly Account[] | undefined> {
  const [row] = await sql<{ accounts: Row[] | null }[]>`
    with flow as (
      select id from flows
      where id = ${flowId} and status in ('exchanging', 'choosing', 'confirming') for update
    ), ${entriesOf(sql, accounts.map(entryOf))}, ${given(sql)}, ${keep(sql, "account.reconnected")}, ended as (
      update flows set status = 'connected', completed_at = ${now}, candidates = null,
        account_ids = (select coalesce(jsonb_agg(id order by position), '[]') from stored) ${withCalls}
      where id in (select id from flow)
    )
    select (select jsonb_agg(to_jsonb(stored) - 'event' order by position) from stored) as accounts from flow`
  return row && (row.accounts ?? []).map(fromRow)
}

/**
 * Keeps those accounts of a flow that nobody keeps until somebody confirms them, and sets the flow to `confirming`
 * and what is laid aside, in one statement. One that is held already is held for longer, and for the newer flow;
 * any other is left as it is. Its locks are those of {@link connectAccounts}, in the same order.
 */
export async function holdAccounts(
  sql: Sql,
  flowId: string,
  accounts: readonly GrantedAccount[],
  laidAside: Fragment,
): Promise<boolean> {
  const rows = await sql`
    with flow as (
      select id from flows where id = ${flowId} and status in ('exchanging', 'choosing') for update
    ), ${entriesOf(
      sql,
      accounts.map((account) => ({ account: rowOf(account, 0) })),
    )}, ${given(sql)}, held as (
      insert into accounts (${list(sql, allColumns)})
      select ${list(sql, allColumns)} from given order by provider, platform_account_id
      on conflict (tenant, environment, provider, platform_account_id) do update
        set health_detail = excluded.health_detail,
          reference = coalesce(excluded.reference, accounts.reference), updated_at = excluded.updated_at
        where accounts.health = 'unconfirmed'
    ), confirming as (
      update flows set status = 'confirming', ${laidAside} where id in (select id from flow)
    )
    select from flow`
  return rows.length > 0
}

/** Keeps one account with its event, in one statement. */
export async function registerAccount(
  sql: Sql,
  account: ConnectedAccount,
): Promise<{ readonly account: Account; readonly created: boolean }> {
  const [row] = await sql<Row[]>`
    with entry as (
      select ${sql.json(entryOf(account))} as value, 1 as position
    ), ${given(sql)}, ${keep(sql, "account.updated")}
    select * from stored`
  if (!row) throw new Error("An insert returned no row.")
  return { account: fromRow(row), created: row.connections === 1 }
}

/** The part of a statement that has an `entry` for each account of the `flow`: none where that is not there. */
function entriesOf(sql: Sql, entries: readonly JsonRow[]): Fragment {
  return sql`
    entry as (
      select value, position
      from flow, jsonb_array_elements(${sql.json(entries)}) with ordinality as e (value, position)
    )`
}

/**
 * The parts of a statement that make of each `entry` a `given` row. They lock the apps, so that none is removed while
 * an account comes to use it (an app that is gone leaves null). What inserts the accounts locks them behind that, in
 * the order of their platform ids, so that two of the same Pages wait for each other and never in a circle.
 */
function given(sql: Sql): Fragment {
  return sql`
    app as (
      select id, tenant, environment from oauth_apps
      where id in (select value #>> '{account,oauth_app_id}' from entry) order by id for key share
    ), given as (
      select position, value -> 'event' as event, account.*
      from entry left join app on app.id = value #>> '{account,oauth_app_id}'
          and app.tenant = value #>> '{account,tenant}' and app.environment = value #>> '{account,environment}',
        jsonb_populate_record(
          null::accounts, value -> 'account' || jsonb_build_object('oauth_app_id', app.id)
        ) account
    )`
}

/**
 * The parts of a statement that keep each `given` row as `stored`, with its event: `account.connected`, or `again`
 * where the account was there. Of one that was there unconfirmed nothing stays but its id. A plan that was made
 * without a token we hold is not taken over; whoever was refreshing has lost.
 */
function keep(sql: Sql, again: EventType): Fragment {
  const wasHeld = sql`accounts.health = 'unconfirmed'`
  const keepsRefreshToken = sql`(excluded.refresh_token is null and not ${wasHeld})`
  const keepsPersonToken = sql`(excluded.person_token is null and not ${wasHeld})`
  const keepsToken = sql`(
    (${keepsRefreshToken} and accounts.refresh_token is not null)
    or (${keepsPersonToken} and accounts.person_token is not null)
  )`
  return sql`
    kept as (
      insert into accounts (${list(sql, allColumns)})
      select ${list(sql, allColumns)} from given order by provider, platform_account_id
      on conflict (tenant, environment, provider, platform_account_id) do update set
        handle = excluded.handle,
        display_name = excluded.display_name,
        avatar_url = excluded.avatar_url,
        health = excluded.health,
        health_detail = excluded.health_detail,
        connection_type = excluded.connection_type,
        oauth_app_id = excluded.oauth_app_id,
        scopes = excluded.scopes,
        missing_scopes = excluded.missing_scopes,
        reference = case when ${wasHeld}
          then excluded.reference else coalesce(excluded.reference, accounts.reference) end,
        connected_at = case when ${wasHeld} then excluded.connected_at else accounts.connected_at end,
        metadata = excluded.metadata,
        token_expires_at = excluded.token_expires_at,
        updated_at = excluded.updated_at,
        access_token = excluded.access_token,
        refresh_token = case when ${keepsRefreshToken}
          then accounts.refresh_token else excluded.refresh_token end,
        refresh_token_expires_at = case when ${keepsRefreshToken}
          then accounts.refresh_token_expires_at else excluded.refresh_token_expires_at end,
        person_token = case when ${keepsPersonToken} then accounts.person_token else excluded.person_token end,
        person_token_expires_at = case when ${keepsPersonToken}
          then accounts.person_token_expires_at else excluded.person_token_expires_at end,
        token_type = excluded.token_type,
        obtained_at = excluded.obtained_at,
        keep_alive_at = case when ${keepsToken} then accounts.keep_alive_at else excluded.keep_alive_at end,
        person_needed_at = case when ${keepsToken}
          then accounts.person_needed_at else excluded.person_needed_at end,
        fence = accounts.fence + 1,
        lease_until = null, sent_at = null, failures = 0, retry_at = null, last_failure = null,
        search = excluded.search,
        connections = case when ${wasHeld} then 1 else accounts.connections + 1 end
      returning ${list(sql, columns)}, connections
    ), stored as (
      select kept.*, given.position, given.event from kept
      join given using (tenant, environment, provider, platform_account_id)
    ), recorded as (
      insert into events (${list(sql, eventTable.columns)})
      select ${list(
        sql,
        eventTable.columns.map((column) => `told.${column}`),
      )}
      from stored, jsonb_populate_record(null::events, stored.event || jsonb_build_object(
        'account_id', stored.id,
        'type', case when stored.connections = 1 then 'account.connected' else ${again} end
      )) told
    )`
}

function entryOf({ event, ...account }: ConnectedAccount): JsonRow {
  return { account: rowOf(account, 1), event: eventTable.toRow(event) }
}

/** `connections` says how often the account was connected; 1 tells one that is new. */
function rowOf({ account, credentials, plan }: GrantedAccount, connections: number): JsonRow {
  const row = { ...toRow(account), ...credentialTable.toRow(credentials), ...planTable.toRow(plan) }
  return { ...row, search: searchText(account), connections }
}
