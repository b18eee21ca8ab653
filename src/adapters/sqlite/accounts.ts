import type { Account, Health } from "../../domain/account.ts"
import { exactText, searchFold, searchText, storableText } from "../../domain/account-search.ts"
import type { EventType } from "../../domain/event.ts"
import type { AccountFilter, AccountPosition, Accounts, ConnectedAccount } from "../../ports/storage.ts"
import { eventRecorder } from "./events.ts"
import { ours, oursWithId, owned, type Sqlite } from "./sqlite.ts"
import type { Statements } from "./statements.ts"
import { accountTable, credentialTable, planTable, type Row, type SqlValue } from "./tables.ts"

const { columns, toRow, fromRow } = accountTable

export function sqliteAccounts({ db, reads }: Sqlite): Accounts {
  const sql = {
    find: db.query<Row, [Row]>(`select ${columns} from accounts where ${owned} and id = $id`),
  }
  return {
    async find(owner, id) {
      const row = sql.find.get(oursWithId(owner, id))
      return row ? fromRow(row) : undefined
    },

    async list(owner, filter, { limit, after }) {
      const parameters = { ...ours(owner), ...filterParameters(filter), ...positionParameters(after) }
      const matching = `from accounts where ${conditions(filter)}`
      const inOrder = `from accounts where ${conditions(filter, "+provider")}`
      const page = `select ${columns} ${inOrder} ${after ? behindPosition : ""}
        order by connected_at desc, id desc limit $limit`
      // Together, lest another process write between the two.
      reads.begin()
      const count = db.query<{ total: number }, [Row]>(`select count(*) as total ${matching}`)
      const total = count.get(parameters)?.total ?? 0
      const rows = db.query<Row, [Row]>(page).all({ ...parameters, limit: limit + 1 })
      return { items: rows.slice(0, limit).map(fromRow), total, more: rows.length > limit }
    },
  }
}

const behindPosition = "and (connected_at, id) < ($after_connected_at, $after_id)"

/**
 * The total of a provider is counted in the index of natural keys; a page is read in order instead, which `+provider`
 * asks for. A health is spelled out, since the index of those that are not well is chosen by the text alone.
 */
function conditions(filter: AccountFilter, provider = "provider"): string {
  const all = [owned]
  if (filter.provider !== undefined) all.push(`${provider} = $provider`)
  if (filter.health !== undefined) all.push(hasHealth[filter.health])
  if (filter.reference !== undefined) all.push("reference = $reference")
  if (filter.query !== undefined) all.push("instr(search, $query) > 0")
  return all.join(" and ")
}

const hasHealth = {
  active: "health = 'active'",
  expiring: "health = 'expiring' and health <> 'active'",
  reauthorization_required: "health = 'reauthorization_required' and health <> 'active'",
  refresh_unknown: "health = 'refresh_unknown' and health <> 'active'",
  unconfirmed: "health = 'unconfirmed' and health <> 'active'",
} as const satisfies Record<Health, string>

function filterParameters({ query, ...exact }: AccountFilter): Row {
  return { ...toRow(exact), query: query === undefined ? null : searchFold(query) }
}

function positionParameters(after: AccountPosition | undefined): Row {
  return after ? { after_connected_at: after.connectedAt.getTime(), after_id: exactText(after.id) } : {}
}

const written = [accountTable, credentialTable, planTable].map(({ columns }) => columns).join(", ")
const places = [accountTable, credentialTable, planTable].map(({ places }) => places).join(", ")
const inserted = `insert into accounts (${written}, search, connections) values (${places}, ?, ?)`
const onSameAccount = "on conflict (tenant, environment, provider, platform_account_id)"

/** The values of an account's row, for {@link inserted}. */
function accountValues(
  db: Statements,
): (given: Omit<ConnectedAccount, "event">, connections: number) => SqlValue[] {
  const findApp = db.query<Row, SqlValue[]>(
    "select id from oauth_apps where tenant = ? and environment = ? and id = ?",
  )
  const isThere = ({ tenant, environment }: Account, app: string) =>
    findApp.get(exactText(tenant), environment, storableText(app)) !== null
  return ({ account, credentials, plan }, connections) => {
    const app = account.oauthAppId
    // The account outlives its app.
    const oauthAppId = app !== null && isThere(account, app) ? app : null
    return [
      ...accountTable.values({ ...account, oauthAppId }),
      ...credentialTable.values(credentials),
      ...planTable.values(plan),
      searchText(account),
      connections,
    ]
  }
}

/**
 * Keeps an account that nobody keeps until somebody confirms it, within the write that it is part of. One that is
 * held already is held for longer, and for the newer flow; any other is left as it is.
 */
export function accountHolder({ db }: Pick<Sqlite, "db">): (given: Omit<ConnectedAccount, "event">) => void {
  const valuesOf = accountValues(db)
  const hold = db.query<never, SqlValue[]>(
    `${inserted} ${onSameAccount} do update set health_detail = excluded.health_detail,
       reference = coalesce(excluded.reference, reference), updated_at = excluded.updated_at
     where health = 'unconfirmed'
     returning id`,
  )
  return (given) => {
    hold.run(...valuesOf(given, 0))
  }
}

/**
 * Keeps one account and its event, within the write that it is part of. One that exists under its natural key
 * is updated in place, and its event is of the type `again`; one that was held unconfirmed leaves its id alone
 * and counts as new. `connections` tells which: a new row has one.
 */
export function accountKeeper({
  db,
}: Pick<Sqlite, "db">): (
  given: ConnectedAccount,
  again: EventType,
) => { readonly account: Account; readonly created: boolean } {
  const record = eventRecorder({ db })
  const valuesOf = accountValues(db)
  const findKept = db.query<Row, SqlValue[]>(
    "select id from accounts where tenant = ? and environment = ? and provider = ? and platform_account_id = ?",
  )
  const insert = db.query<never, SqlValue[]>(inserted)
  // Nothing of it stays that the connect did not bring.
  const wasHeld = "accounts.health = 'unconfirmed'"
  const keepsRefreshToken = `(excluded.refresh_token is null and not ${wasHeld})`
  const keepsPersonToken = `(excluded.person_token is null and not ${wasHeld})`
  // Where a token of before stays in use the plan does too: the given one was made without it.
  const keepsToken = `((${keepsRefreshToken} and refresh_token is not null) or
    (${keepsPersonToken} and person_token is not null))`
  const upsert = db.query<Row, SqlValue[]>(
    `${inserted} ${onSameAccount} do update set
       handle = excluded.handle,
       display_name = excluded.display_name,
       avatar_url = excluded.avatar_url,
       health = excluded.health,
       health_detail = excluded.health_detail,
       connection_type = excluded.connection_type,
       oauth_app_id = excluded.oauth_app_id,
       scopes = excluded.scopes,
       missing_scopes = excluded.missing_scopes,
       reference = iif(${wasHeld}, excluded.reference, coalesce(excluded.reference, reference)),
       connected_at = iif(${wasHeld}, excluded.connected_at, connected_at),
       metadata = excluded.metadata,
       token_expires_at = excluded.token_expires_at,
       updated_at = excluded.updated_at,
       access_token = excluded.access_token,
       refresh_token = iif(${keepsRefreshToken}, refresh_token, excluded.refresh_token),
       refresh_token_expires_at =
         iif(${keepsRefreshToken}, refresh_token_expires_at, excluded.refresh_token_expires_at),
       person_token = iif(${keepsPersonToken}, person_token, excluded.person_token),
       person_token_expires_at =
         iif(${keepsPersonToken}, person_token_expires_at, excluded.person_token_expires_at),
       token_type = excluded.token_type,
       obtained_at = excluded.obtained_at,
       keep_alive_at = iif(${keepsToken}, keep_alive_at, excluded.keep_alive_at),
       person_needed_at = iif(${keepsToken}, person_needed_at, excluded.person_needed_at),
       fence = fence + 1,
       ${untouched},
       search = excluded.search,
       connections = iif(${wasHeld}, 1, connections + 1)
     returning ${columns}, connections`,
  )

  /** Where it is new, as nearly always: an insert that can do nothing else costs two thirds of one that might. */
  function add(given: ConnectedAccount): Account | undefined {
    const { tenant, environment, provider, platformAccountId } = given.account
    if (findKept.get(exactText(tenant), environment, provider, exactText(platformAccountId))) return undefined
    const values = valuesOf(given, 1)
    insert.run(...values)
    return accountTable.fromValues(values)
  }

  function update(given: ConnectedAccount): { readonly account: Account; readonly created: boolean } {
    const row = upsert.get(...valuesOf(given, 1))
    if (!row) throw new Error("An upsert returned no row.")
    return { account: fromRow(row), created: row.connections === 1 }
  }

  return (given, again) => {
    const added = add(given)
    const { account, created } = added ? { account: added, created: true } : update(given)
    record({ ...given.event, type: created ? "account.connected" : again, accountId: account.id })
    return { account, created }
  }
}

/** Sets an account so that nobody refreshes it and nothing has failed. */
export const untouched =
  "lease_until = null, sent_at = null, failures = 0, retry_at = null, last_failure = null"
