import type { Sql } from "postgres"
import type { Account } from "../../domain/account.ts"
import { searchText } from "../../domain/account-search.ts"
import type { EventType } from "../../domain/event.ts"
import type { ConnectedAccount } from "../../ports/storage.ts"
import { type Fragment, list } from "./connection.ts"
import { accountTable, credentialTable, eventTable, type JsonRow, planTable, type Row } from "./tables.ts"

const { columns, toRow, fromRow } = accountTable
const allColumns = [...columns, ...credentialTable.columns, ...planTable.columns, "search"]

/**
 * Keeps the accounts of a flow with their events and ends the flow, in one statement. It locks the flow first,
 * so that it ends once; then what {@link keep} locks.
 */
export async function connectAccounts(
  sql: Sql,
  flowId: string,
  accounts: readonly ConnectedAccount[],
  now: Date,
): Promise<readonly Account[] | undefined> {
  const [row] = await sql<{ accounts: Row[] | null }[]>`
    with flow as (
      select id from flows where id = ${flowId} and status in ('exchanging', 'choosing') for update
    ), entry as (
      select value, position
      from flow, jsonb_array_elements(${sql.json(accounts.map(entryOf))}) with ordinality as e (value, position)
    ), ${keep(sql, "account.reconnected")}, ended as (
      update flows set status = 'connected', completed_at = ${now}, candidates = null,
        account_ids = (select coalesce(jsonb_agg(id order by position), '[]') from stored)
      where id in (select id from flow)
    )
    select (select jsonb_agg(to_jsonb(stored) - 'event' order by position) from stored) as accounts from flow`
  return row && (row.accounts ?? []).map(fromRow)
}

/** Keeps one account with its event, in one statement. */
export async function registerAccount(
  sql: Sql,
  account: ConnectedAccount,
): Promise<{ readonly account: Account; readonly created: boolean }> {
  const [row] = await sql<Row[]>`
    with entry as (
      select ${sql.json(entryOf(account))} as value, 1 as position
    ), ${keep(sql, "account.updated")}
    select * from stored`
  if (!row) throw new Error("An insert returned no row.")
  return { account: fromRow(row), created: row.connections === 1 }
}

/**
 * The parts of a statement that keep each `entry` as `stored`, with its event: `account.connected`, or `again`
 * where the account was there. Their locks: the apps, so that none is removed while an account comes to use it
 * (an app that is gone leaves null); the accounts, in the order of their platform ids, so that two connects of
 * the same Pages wait for each other and never in a circle. A plan that was made without a token we hold is
 * not taken over; whoever was refreshing has lost.
 */
function keep(sql: Sql, again: EventType): Fragment {
  const keepsToken = sql`(
    (excluded.refresh_token is null and accounts.refresh_token is not null)
    or (excluded.person_token is null and accounts.person_token is not null)
  )`
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
    ), kept as (
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
        reference = coalesce(excluded.reference, accounts.reference),
        metadata = excluded.metadata,
        token_expires_at = excluded.token_expires_at,
        updated_at = excluded.updated_at,
        access_token = excluded.access_token,
        refresh_token = coalesce(excluded.refresh_token, accounts.refresh_token),
        refresh_token_expires_at = case when excluded.refresh_token is null
          then accounts.refresh_token_expires_at else excluded.refresh_token_expires_at end,
        person_token = coalesce(excluded.person_token, accounts.person_token),
        person_token_expires_at = case when excluded.person_token is null
          then accounts.person_token_expires_at else excluded.person_token_expires_at end,
        token_type = excluded.token_type,
        obtained_at = excluded.obtained_at,
        keep_alive_at = case when ${keepsToken} then accounts.keep_alive_at else excluded.keep_alive_at end,
        person_needed_at = case when ${keepsToken}
          then accounts.person_needed_at else excluded.person_needed_at end,
        fence = accounts.fence + 1,
        lease_until = null, sent_at = null, failures = 0, retry_at = null, last_failure = null,
        search = excluded.search,
        connections = accounts.connections + 1
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

function entryOf({ account, credentials, plan, event }: ConnectedAccount): JsonRow {
  const row = { ...toRow(account), ...credentialTable.toRow(credentials), ...planTable.toRow(plan) }
  return { account: { ...row, search: searchText(account) }, event: eventTable.toRow(event) }
}
