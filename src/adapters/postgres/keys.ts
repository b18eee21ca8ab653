import type { Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import type { ApiKeys } from "../../ports/storage.ts"
import type { Batching } from "./batched.ts"
import { insertInto, list, ours, record, recordWith } from "./connection.ts"
import { keyLookups } from "./key-lookups.ts"
import { keyTable, type Row } from "./tables.ts"

const { columns, fromRow } = keyTable

export function postgresKeys(sql: Sql): ApiKeys & Batching {
  const lookups = keyLookups(sql)
  return {
    async add(key, event) {
      await sql`with recorded as (${record(sql, event)}) ${insertInto(sql, keyTable, key)}`
    },

    async findById(id) {
      const [row] = await sql<Row[]>`select ${list(sql, columns)} from api_keys where id = ${exactText(id)}`
      return row && fromRow(row)
    },

    findWith: lookups.find,

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

    close: lookups.close,
  }
}
