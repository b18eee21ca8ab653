import type { JSONValue, Sql } from "postgres"
import type { Account } from "../../domain/account.ts"
import { searchText } from "../../domain/account-search.ts"
import type { EventType } from "../../domain/event.ts"
import type { ConnectedAccount } from "../../ports/storage.ts"
import { askedWith, firstOfEach, runBatch, textArray } from "./batch-statements.ts"
import { type Batched, batched } from "./batched.ts"
import { accountTable, credentialTable, eventTable, planTable } from "./tables.ts"

/** An account without its event. */
type GrantedAccount = Omit<ConnectedAccount, "event">

/** The values of an account's row, and those of its event, which are empty where there is none. */
export type Grant = readonly [account: Values, event: Values]
type Values = readonly JSONValue[]

const rowTables = [accountTable, credentialTable, planTable]
const rowColumns = [...rowTables.flatMap(({ columns }) => columns), "search", "connections"]

interface Connecting {
  readonly flowId: string
  readonly grants: readonly Grant[]
  readonly now: Date
  /** As JSON; null leaves those there are. */
  readonly calls: string | null
}

/** Keeps the accounts of taken flows and so ends the flows, those of one moment by one statement. */
export function connectedFlows(sql: Sql): Batched<Connecting, readonly Account[]> {
  return batched((asked) => connectAll(sql, asked))
}

/** A flow ends once, so of one that is asked for twice in a moment the second finds it ended. */
async function connectAll(
  sql: Sql,
  asked: readonly Connecting[],
): Promise<readonly (readonly Account[] | undefined)[]> {
  const first = firstOfEach(asked, ({ flowId }) => flowId)
  const inOrder = [...first.keys()].toSorted().flatMap((id) => first.get(id) ?? [])
  const rows = await runBatch<{ id: string; accounts: readonly Values[] | null }>(sql, connectFlows, [
    textArray(inOrder.map(({ flowId }) => flowId)),
    textArray(inOrder.map(({ now }) => now.toISOString())),
    textArray(inOrder.map(({ calls }) => calls)),
    sql.json(inOrder.flatMap(({ flowId, grants }) => grants.map((grant) => [flowId, ...grant]))),
  ])
  const ended = new Map(rows.map(({ id, accounts }) => [id, accounts ?? []]))
  return asked.map((connecting) => {
    const accounts = first.get(connecting.flowId) === connecting ? ended.get(connecting.flowId) : undefined
    return accounts?.map((values) => accountTable.fromValues(values, 0))
  })
}

interface Holding {
  readonly flowId: string
  readonly accounts: readonly GrantedAccount[]
  readonly candidates: string
  readonly expiresAt: Date
  /** As JSON; null leaves those there are. */
  readonly calls: string | null
}

/**
 * Keeps those accounts of a flow that nobody keeps until somebody confirms them, and sets the flow to `confirming`
 * and what is laid aside, in one statement. One that is held already is held for longer, and for the newer flow;
 * any other is left as it is. Its locks are those of a connect, in the same order.
 */
export async function holdAccounts(sql: Sql, holding: Holding): Promise<boolean> {
  const { flowId, accounts, candidates, expiresAt, calls } = holding
  const rows = await runBatch(sql, holdFlow, [
    flowId,
    sql.json(accounts.map((account) => [flowId, rowOf(account, 0), []])),
    candidates,
    expiresAt.toISOString(),
    calls,
  ])
  return rows.length > 0
}

/** Keeps one account with its event, in one statement. */
export async function registerAccount(
  sql: Sql,
  connected: ConnectedAccount,
): Promise<{ readonly account: Account; readonly created: boolean }> {
  const [row] = await runBatch<{ account: Values; created: boolean }>(sql, register, [
    sql.json(grantOf(connected)),
  ])
  if (!row) throw new Error("An insert returned no row.")
  return { account: accountTable.fromValues(row.account, 0), created: row.created }
}

export function grantOf({ event, ...account }: ConnectedAccount): Grant {
  return [rowOf(account, 1), eventTable.toValues(event)]
}

/** `connections` says how often the account was connected; 1 tells one that is new. */
function rowOf({ account, credentials, plan }: GrantedAccount, connections: number): Values {
  return [
    ...accountTable.toValues(account),
    ...credentialTable.toValues(credentials),
    ...planTable.toValues(plan),
    searchText(account),
    connections,
  ]
}

/** An `entry` for each account of the flows that are there. */
const entriesOf = (grants: string) => `
  entry as materialized (
    select flow.id as flow_id, position, value -> 1 as account, value -> 2 as event
    from jsonb_array_elements(${grants}::jsonb) with ordinality as e (value, position)
    join flow on flow.id = value ->> 0
  )`

/** How the columns of an account's row come out of an `entry`; the app is one that is there. */
function rowTaken(): readonly string[] {
  let at = 0
  const taken = rowTables.flatMap((table) => {
    const values = table.taken("account", at)
    at += table.columns.length
    return values
  })
  const all = [...taken, `account ->> ${at}`, `(account ->> ${at + 1})::integer`]
  return rowColumns.map((column, i) => `${column === "oauth_app_id" ? "app.id" : all[i]} as ${column}`)
}

const taken = (column: string) => `(account ->> ${rowColumns.indexOf(column)})`

/**
 * The parts of a statement that make of each `entry` a `given` row. They lock the apps, so that none is removed while
 * an account comes to use it (an app that is gone leaves null). What inserts the accounts locks them behind that, in
 * the order of their platform ids, so that two of the same Pages wait for each other and never in a circle.
 */
const given = `
  app as materialized (
    select app.* from (select distinct ${taken("oauth_app_id")} collate "C" as id from entry order by 1) named,
      lateral (select id, tenant, environment from oauth_apps where id = named.id for key share) app
  ), given as materialized (
    select flow_id, position, event, ${rowTaken()}
    from entry left join app on app.id = ${taken("oauth_app_id")}
      and app.tenant = ${taken("tenant")} and app.environment = ${taken("environment")}
  )`

/** By bytes, as everybody orders who locks several accounts; what comes out of JSON has no such order of itself. */
const naturalKeyInOrder = ["provider", "platform_account_id", "tenant", "environment"].map(
  (column) => `${column} collate "C"`,
)

const inserted = `
  insert into accounts (${rowColumns})
  select ${rowColumns} from given order by ${naturalKeyInOrder}
  on conflict (tenant, environment, provider, platform_account_id) do update`

const wasHeld = "accounts.health = 'unconfirmed'"
const keepsRefreshToken = `(excluded.refresh_token is null and not ${wasHeld})`
const keepsPersonToken = `(excluded.person_token is null and not ${wasHeld})`
const keepsToken = `(
  (${keepsRefreshToken} and accounts.refresh_token is not null)
  or (${keepsPersonToken} and accounts.person_token is not null)
)`
const eventTaken = eventTable.taken("event", 0)
const eventOf: Readonly<Record<string, string>> = {
  account_id: "stored.id",
  type: "case when stored.connections = 1 then 'account.connected' else again end",
}

/**
 * The parts of a statement that keep each `given` row as `stored`, with its event: `account.connected`, or `again`
 * where the account was there. Of one that was there unconfirmed nothing stays but its id. A plan that was made
 * without a token we hold is not taken over; whoever was refreshing has lost.
 */
const keep = (again: EventType) => `
  kept as (
    ${inserted} set
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
    returning ${accountTable.columns}, connections
  ), stored as (
    select kept.*, given.flow_id, given.position, given.event from kept
    join given using (tenant, environment, provider, platform_account_id)
  ), recorded as (
    insert into events (${eventTable.columns})
    select ${eventTable.columns.map((column, i) => eventOf[column] ?? eventTaken[i])}
    from stored, (select '${again}' as again) told
  )`

const storedAccount = `json_build_array(${accountTable.answered("stored")})`

/**
 * Keeps the accounts of flows with their events and ends the flows. It locks the flows first, so that each ends once,
 * in the order of their ids; then what {@link given} and {@link keep} lock.
 */
const connectFlows = `
  with flow as materialized (
    select held.id, ended_at, calls
    from ${askedWith("flow_id", "ended_at", "calls")},
      lateral (
        select id from flows
        where id = flow_id and status in ('exchanging', 'choosing', 'confirming') for update
      ) held
  ), ${entriesOf("$4")}, ${given}, ${keep("account.reconnected")}, ended as (
    update flows set status = 'connected', completed_at = ended_at::timestamptz, candidates = null,
      account_ids = (
        select coalesce(jsonb_agg(stored.id order by position), '[]') from stored where flow_id = flow.id
      ),
      calls = coalesce(flow.calls::jsonb, flows.calls)
    from flow where flows.id = flow.id
  )
  select flow.id,
    (select json_agg(${storedAccount} order by position) from stored where flow_id = flow.id) as accounts
  from flow`

const holdFlow = `
  with flow as materialized (
    select id from flows where id = $1 and status in ('exchanging', 'choosing') for update
  ), ${entriesOf("$2")}, ${given}, held as (
    ${inserted} set
      health_detail = excluded.health_detail,
      reference = coalesce(excluded.reference, accounts.reference), updated_at = excluded.updated_at
      where ${wasHeld}
  ), confirming as (
    update flows set status = 'confirming', candidates = $3, expires_at = $4::timestamptz,
      calls = coalesce($5::text::jsonb, calls)
    where id in (select id from flow)
  )
  select from flow`

const register = `
  with entry as materialized (
    select null as flow_id, 1 as position, $1::jsonb -> 0 as account, $1::jsonb -> 1 as event
  ), ${given}, ${keep("account.updated")}
  select ${storedAccount} as account, connections = 1 as created from stored`
