import type { Sql } from "postgres"
import type { Health } from "../../domain/account.ts"
import { exactText, searchFold, storableText } from "../../domain/account-search.ts"
import type { Owner } from "../../domain/owner.ts"
import type { AccountFilter, AccountPosition, Accounts } from "../../ports/storage.ts"
import { type Fragment, list, ours } from "./connection.ts"
import { accountTable, type Row } from "./tables.ts"

const { columns, fromRow } = accountTable

export function postgresAccounts(sql: Sql): Accounts {
  return {
    async find(owner, id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)} from accounts where ${ours(sql, owner)} and id = ${exactText(id)}`
      return row && fromRow(row)
    },

    async list(owner, filter, { limit, after }) {
      const asked = { matching: matches(sql, owner, filter), after, limit: limit + 1 }
      const rows = await (filter.query === undefined ? inOrder(sql, asked, filter) : foundOnce(sql, asked))
      const found = rows.filter((row) => row.id !== null)
      return {
        items: found.slice(0, limit).map(fromRow),
        total: Number(rows[0]?.total ?? 0),
        more: found.length > limit,
      }
    },
  }
}

interface AskedPage {
  readonly matching: Fragment
  readonly after: AccountPosition | undefined
  readonly limit: number
}

/**
 * A page, read in order, and the total of all. They are counted in the order in which they were connected, in which
 * the rows mostly lie: in that of natural keys the server looks up anew for each account whether its page has changed,
 * 497 pages instead of 22 for 500 accounts among a million. Those of one provider lie together by natural key alone.
 * A page without rows still answers one, with the total alone.
 */
function inOrder(sql: Sql, { matching, after, limit }: AskedPage, { provider }: AccountFilter): Fragment {
  return sql<Row[]>`
    select total, page.* from (
      select count(*)::int as total from (
        select from accounts where ${matching} ${provider === undefined ? newestFirst(sql) : sql``}
      ) own
    ) counted left join (
      select ${list(sql, columns)} from accounts where ${matching} ${behind(sql, after)}
      ${newestFirst(sql)} limit ${unseen(sql, limit)}::bigint
    ) page on true ${newestFirst(sql)}`
}

/**
 * As {@link inOrder}, where each row must be read to tell whether it matches: once, for page and total alike. The rows
 * of the page are found again by where they lie, which holds within a statement: a page each, and not four.
 */
function foundOnce(sql: Sql, { matching, after, limit }: AskedPage): Fragment {
  return sql<Row[]>`
    with found as materialized (select ctid as place, id, connected_at from accounts where ${matching})
    select total, page.* from (select count(*)::int as total from found) counted left join (
      select ${list(sql, columns)} from accounts where ctid = any(array(
        select place from found where true ${behind(sql, after)} ${newestFirst(sql)}
        limit ${unseen(sql, limit)}::bigint
      ))
    ) page on true ${newestFirst(sql)}`
}

function newestFirst(sql: Sql): Fragment {
  return sql`order by connected_at desc, id desc`
}

function matches(sql: Sql, owner: Owner, { provider, health, reference, query }: AccountFilter): Fragment {
  return sql`
    tenant = ${unseen(sql, exactText(owner.tenant))} and environment = ${unseen(sql, owner.environment)}
    ${provider === undefined ? sql`` : sql`and provider = ${unseen(sql, provider)}`}
    ${health === undefined ? sql`` : sql`and health = ${sql.unsafe(healthAsText[health])}`}
    ${reference === undefined ? sql`` : sql`and reference = ${unseen(sql, storableText(reference))}`}
    ${query === undefined ? sql`` : sql`and position(${searchFold(query)} in search) > 0`}`
}

/**
 * A value that the planner cannot look at, so that what it plans holds for all of them, and it plans once for each
 * connection: otherwise it took the values for telling among a million accounts, and planned each list anew, which
 * was half of the server's time for a total.
 */
function unseen(sql: Sql, value: string | number | Date): Fragment {
  return sql`(select ${value})`
}

/** Spelled out: with a parameter the planner could not tell that the index of those that are not well has them all. */
const healthAsText = {
  active: "'active'",
  expiring: "'expiring'",
  reauthorization_required: "'reauthorization_required'",
  refresh_unknown: "'refresh_unknown'",
  unconfirmed: "'unconfirmed'",
} as const satisfies Record<Health, string>

function behind(sql: Sql, after: AccountPosition | undefined): Fragment {
  if (!after) return sql``
  const { connectedAt, id } = after
  return sql`and (connected_at, id) < (${unseen(sql, connectedAt)}::timestamptz, ${unseen(sql, exactText(id))})`
}
