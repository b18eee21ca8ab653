import type { Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import type { ApiKeys, FirstNeed } from "../../ports/storage.ts"
import { appIn, appOf, type Fragment, insertInto, list, ours, record, recordWith } from "./connection.ts"
import { heldColumns, heldFrom } from "./held-account.ts"
import { keyTable, type Row } from "./tables.ts"

const { columns, fromRow } = keyTable

export function postgresKeys(sql: Sql): ApiKeys {
  return {
    async add(key, event) {
      await sql`with recorded as (${record(sql, event)}) ${insertInto(sql, keyTable, key)}`
    },

    async findById(id) {
      const [row] = await sql<Row[]>`select ${list(sql, columns)} from api_keys where id = ${exactText(id)}`
      return row && fromRow(row)
    },

    async findWith(id, need) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)}, ${needed(sql, need)} from api_keys where id = ${exactText(id)}`
      if (!row) return undefined
      const account = row.account ? heldFrom(row.account as Row) : null
      return { key: fromRow(row), app: account ? null : appIn(row), account }
    },

    async list(tenant, environment) {
      const rows = await sql<Row[]>`
        select ${list(sql, columns)} from api_keys where tenant = ${exactText(tenant)} and revoked_at is null
          ${environment === undefined ? sql`` : sql`and environment = ${environment}`}
        order by created_at desc, id desc`
      return rows.map(fromRow)
    },

    async revoke(owner, id, event) {
      const revoked = await sql`
        with revoked as (
          update api_keys set revoked_at = ${event.at}
          where ${ours(sql, owner)} and id = ${exactText(id)} and revoked_at is null returning id
        ) ${recordWith(sql, "revoked", event)}
        select from revoked`
      return revoked.length > 0
    },

    async touch(id, at) {
      await sql`
        update api_keys set last_used_at = ${at}
        where id = ${exactText(id)} and (last_used_at is null or last_used_at < ${at})`
    },
  }
}

/** What the call needs of the key's owner, whole, as `app` and `account`. */
function needed(sql: Sql, need: FirstNeed): Fragment {
  const owned = sql`tenant = api_keys.tenant and environment = api_keys.environment`
  if (need.kind === "account") {
    return sql`null as app, (
      select to_jsonb(held) from (
        select ${list(sql, heldColumns)}, ${appOf(sql, "accounts")} from accounts
        where ${owned} and id = ${exactText(need.id)}
      ) held
    ) as account`
  }
  const which =
    need.id === null ? sql`provider = ${need.provider} and is_default` : sql`id = ${exactText(need.id)}`
  return sql`(select to_jsonb(app) from oauth_apps app where ${owned} and ${which}) as app, null as account`
}
