import type { ISql, Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import { isMended, waitingAnew } from "../../domain/delivery.ts"
import type { Delivery, Webhook } from "../../domain/webhook.ts"
import type { Webhooks } from "../../ports/storage.ts"
import { type Fragment, insertInto, list, ours, recordWith } from "./connection.ts"
import { deliveryTable, type Row, webhookTable } from "./tables.ts"

const { columns, toRow, fromRow } = webhookTable
const changing = columns.filter((column) => !["id", "tenant", "environment", "created_at"].includes(column))

export function postgresWebhooks(sql: Sql): Webhooks {
  return {
    async add(webhook, most, event) {
      const turn = `mooring webhooks ${webhook.environment} ${exactText(webhook.tenant)}`
      const [, added] = await sql.begin((tx) => [
        // Whoever adds one counts in a statement that begins after the one before it.
        tx`select pg_advisory_xact_lock(hashtextextended(${turn}, 0))`,
        tx`
          with added as (
            ${insertInto(tx, webhookTable, webhook)}
            where (select count(*) from webhooks where ${ours(tx, webhook)}) < ${most} returning id
          ) ${recordWith(tx, "added", event)}
          select from added`,
      ])
      return added.length > 0
    },

    async find(owner, id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)} from webhooks where ${ours(sql, owner)} and id = ${exactText(id)}`
      return row && fromRow(row)
    },

    async list(owner) {
      const rows = await sql<Row[]>`
        select ${list(sql, columns)} from webhooks where ${ours(sql, owner)} order by created_at, id`
      return rows.map(fromRow)
    },

    async change(owner, id, change, event, expected) {
      const own = sql`${ours(sql, owner)} and id = ${exactText(id)}
        ${expected ? sql`and secret = ${expected.secret}` : sql``}`
      const [row] = await sql<Row[]>`
        with changed as (
          ${changeWebhook(sql, change)} where ${own} returning ${list(sql, columns)}
        ) ${isMended(change) ? restartPending(sql, change.updatedAt) : sql``}
        ${recordWith(sql, "changed", event)}
        select * from changed`
      return row && fromRow(row)
    },

    async remove(owner, id, event) {
      const removed = await sql`
        with removed as (
          delete from webhooks where ${ours(sql, owner)} and id = ${exactText(id)} returning id
        ) ${recordWith(sql, "removed", event)}
        select from removed`
      return removed.length > 0
    },
  }
}

/** An update of the fields that are given; the `where` comes after it. */
export function changeWebhook(sql: ISql, change: Partial<Webhook>): Fragment {
  return sql`
    update webhooks webhook set (${list(sql, changing)}) = (
      select ${list(sql, changing)} from jsonb_populate_record(webhook, ${sql.json(toRow(change))})
    )`
}

/** Goes on after the webhook that is `changed`, which is locked before its deliveries are. */
function restartPending(sql: ISql, now: Date): Fragment {
  const anew = ["attempts", "first_attempt_at", "due_at"]
  const row = deliveryTable.toRow<Partial<Delivery>>(waitingAnew(now))
  return sql`
    , restarted as (
      update deliveries set lease_until = null, (${list(sql, anew)}) = (
        select ${list(sql, anew)} from jsonb_populate_record(deliveries, ${sql.json(row)})
      )
      where webhook_id = (select id from changed) and status = 'pending'
    )`
}
