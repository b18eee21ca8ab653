import { isMended, waitingAnew } from "../../domain/delivery.ts"
import type { Delivery, Webhook } from "../../domain/webhook.ts"
import type { Webhooks } from "../../ports/storage.ts"
import { eventRecorder } from "./events.ts"
import { ours, oursWithId, owned, type Sqlite } from "./sqlite.ts"
import { deliveryTable, type Row, webhookTable } from "./tables.ts"

const { columns, parameters, toRow, fromRow } = webhookTable

export function sqliteWebhooks({ db, write }: Sqlite): Webhooks {
  const record = eventRecorder({ db })
  const keep = webhookKeeper({ db })
  const sql = {
    insert: db.query<never, [Row]>(`insert into webhooks (${columns}) values (${parameters})`),
    find: db.query<Row, [Row]>(`select ${columns} from webhooks where ${owned} and id = $id`),
    list: db.query<Row, [Row]>(`select ${columns} from webhooks where ${owned} order by created_at, id`),
    count: db.query<{ webhooks: number }, [Row]>(`select count(*) as webhooks from webhooks where ${owned}`),
    remove: db.query<never, [Row]>(`delete from webhooks where ${owned} and id = $id`),
    restartPending: db.query<never, [Row]>(
      `update deliveries set attempts = $attempts, first_attempt_at = $first_attempt_at, due_at = $due_at,
         lease_until = null
       where webhook_id = $webhook_id and status = 'pending'`,
    ),
  }

  function find(key: Row): Webhook | undefined {
    const row = sql.find.get(key)
    return row ? fromRow(row) : undefined
  }

  return {
    add: (webhook, most, event) =>
      write(() => {
        const { webhooks } = sql.count.get(ours(webhook)) ?? { webhooks: 0 }
        if (webhooks >= most) return false
        sql.insert.run(toRow(webhook))
        record(event)
        return true
      }),

    async find(owner, id) {
      return find(oursWithId(owner, id))
    },

    async list(owner) {
      return sql.list.all(ours(owner)).map(fromRow)
    },

    change: (owner, id, change, event, expected) =>
      write(() => {
        const webhook = find(oursWithId(owner, id))
        if (!webhook || (expected && webhook.secret !== expected.secret)) return undefined
        record(event)
        if (isMended(change)) {
          const anew = { webhookId: webhook.id, ...waitingAnew(change.updatedAt) }
          sql.restartPending.run(deliveryTable.toRow<Partial<Delivery>>(anew))
        }
        return keep({ ...webhook, ...change })
      }),

    remove: (owner, id, event) =>
      write(() => {
        if (sql.remove.run(oursWithId(owner, id)).changes === 0) return false
        record(event)
        return true
      }),
  }
}

/** Writes all of a webhook that may change, within a write. Answers it as kept. */
export function webhookKeeper({ db }: Pick<Sqlite, "db">): (webhook: Webhook) => Webhook {
  const update = db.query<never, [Row]>(
    `update webhooks set url = $url, events = $events, description = $description, enabled = $enabled,
       disabled_reason = $disabled_reason, secret = $secret, previous_secret = $previous_secret,
       previous_secret_until = $previous_secret_until, failing_since = $failing_since, hold_until = $hold_until,
       failures = $failures, updated_at = $updated_at
     where id = $id`,
  )
  return (webhook) => {
    const row = toRow(webhook)
    update.run(row)
    return fromRow(row)
  }
}
