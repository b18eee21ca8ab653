import type { Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import type { ApiKeys, FirstNeed } from "../../ports/storage.ts"
import { appIn, insertInto, list, ours, record, recordWith } from "./connection.ts"
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
      const [text, wanted] = neededBy(need)
      const [row] = await sql.unsafe<Row[]>(text, [exactText(id), wanted], { prepare: true })
      if (!row) return undefined
      const key = fromRow(row.key as Row)
      const isAccount = need.kind === "account"
      return {
        key,
        app: isAccount ? null : appIn(row),
        account: isAccount && row.id !== null ? heldFrom(row) : null,
      }
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

/** Whole statements, since the two are asked before every busy call: the driver would put fragments together anew each time. */
const ofOwner = (source: string) =>
  `${source}.tenant = api_keys.tenant and ${source}.environment = api_keys.environment`
const withApp = (which: string) => `
  select to_jsonb(api_keys) as key, to_jsonb(app) as app
  from api_keys left join oauth_apps app on ${ofOwner("app")} and ${which} where api_keys.id = $1`
const withAppOfId = withApp("app.id = $2")
const withDefaultApp = withApp("app.provider = $2 and app.is_default")
const withAccount = `
  select to_jsonb(api_keys) as key, to_jsonb(app) as app,
    ${heldColumns.map((column) => `accounts.${column}`).join(", ")}
  from api_keys
  left join accounts on accounts.id = $2 and ${ofOwner("accounts")}
  left join oauth_apps app on app.id = accounts.oauth_app_id and ${ofOwner("app")}
  where api_keys.id = $1`

function neededBy(need: FirstNeed): readonly [string, string] {
  if (need.kind === "account") return [withAccount, exactText(need.id)]
  return need.id === null ? [withDefaultApp, need.provider] : [withAppOfId, exactText(need.id)]
}
