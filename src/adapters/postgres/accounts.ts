import type { Sql } from "postgres"
import type { Health } from "../../domain/account.ts"
import { exactText, searchFold, storableText } from "../../domain/account-search.ts"
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
      const matching = sql`${ours(sql, owner)} ${filters(sql, filter)}`
      // A page without rows still answers one, with the total alone.
      const rows = await sql<Row[]>`
        select total, page.* from (select count(*)::int as total from accounts where ${matching}) counted
        left join (
          select ${list(sql, columns)} from accounts where ${matching} ${behind(sql, after)}
          order by connected_at desc, id desc limit ${limit + 1}
        ) page on true
        order by connected_at desc, id desc`
      const found = rows.filter((row) => row.id !== null)
      return {
        items: found.slice(0, limit).map(fromRow),
        total: Number(rows[0]?.total ?? 0),
        more: found.length > limit,
      }
    },
  }
}

function filters(sql: Sql, { provider, health, reference, query }: AccountFilter): Fragment {
  return sql`
    ${provider === undefined ? sql`` : sql`and provider = ${provider}`}
    ${health === undefined ? sql`` : sql`and health = ${sql.unsafe(healthAsText[health])}`}
    ${reference === undefined ? sql`` : sql`and reference = ${storableText(reference)}`}
    ${query === undefined ? sql`` : sql`and position(${searchFold(query)} in search) > 0`}`
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
  return after ? sql`and (connected_at, id) < (${after.connectedAt}, ${exactText(after.id)})` : sql``
}
