import { exactText } from "../../domain/account-search.ts"
import {
  isToldOf,
  judgedAnew,
  newDelivery,
  settledDelivery,
  settledWebhook,
  startedAnew,
  switchesOff,
  wasDown,
} from "../../domain/delivery.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { Owner } from "../../domain/owner.ts"
import { type Placed, pageOf, placeIn } from "../../domain/place.ts"
import type { Delivery, Webhook } from "../../domain/webhook.ts"
import type { ClaimedDelivery, Deliveries } from "../../ports/storage.ts"
import { eventRecorder, placedEvent } from "./events.ts"
import { ours, oursWithId, owned, type Sqlite } from "./sqlite.ts"
import type { Statements } from "./statements.ts"
import { deliveryTable, eventTable, type Row, webhookTable } from "./tables.ts"
import { webhookKeeper } from "./webhooks.ts"

const { columns, parameters, toRow, fromRow } = deliveryTable

/** A webhook, and the place of the first event that it may be told of. */
interface ToldFrom {
  readonly webhook: Webhook
  readonly firstPlace: number
}

function toldFrom(row: Row): ToldFrom {
  return { webhook: webhookTable.fromRow(row), firstPlace: Number(row.first_place) }
}

export function sqliteDeliveries({ db, write }: Sqlite): Deliveries {
  const record = eventRecorder({ db })
  const keepWebhook = webhookKeeper({ db })
  const sql = statements(db)

  /** Each owner's once: of the events of a moment many are of few. */
  function webhooksOfOwners(): (owner: Owner) => readonly ToldFrom[] {
    const known = new Map<string, readonly ToldFrom[]>()
    return (owner) => {
      const name = `${owner.environment} ${owner.tenant}`
      const found = known.get(name) ?? sql.webhooksOf.all(ours(owner)).map(toldFrom)
      known.set(name, found)
      return found
    }
  }

  function makeFor(event: Placed<DomainEvent>, webhooks: readonly ToldFrom[], now: Date): void {
    const { item, place } = event
    for (const { webhook, firstPlace } of webhooks)
      if (isToldOf(webhook, firstPlace, event))
        sql.insert.run({ ...toRow(newDelivery(webhook, item, now)), place })
  }

  /**
   * What may go out next. Looks first among the longest due. Where too many of those wait for one before them it
   * goes from order key to order key instead, so that it never goes through all that one of them has.
   */
  function longestDue(id: string, now: Date, room: number): readonly Row[] {
    if (room <= 0) return []
    const asked = { id, now: now.getTime() }
    const near = sql.near.all(asked)
    const heads = near.filter((row) => row.is_head === 1).slice(0, room)
    return heads.length === room || near.length < nearby ? heads : sql.heads.all({ ...asked, room })
  }

  function claim(row: Row, webhook: Webhook, now: Date, until: Date): ClaimedDelivery {
    const before = fromRow(row)
    const { attempts, firstAttemptAt } = before
    const delivery = { ...before, attempts: attempts + 1, firstAttemptAt: firstAttemptAt ?? now }
    const event = sql.findEvent.get({ id: delivery.eventId })
    if (!event) throw new Error("A delivery outlived its event.")
    change(delivery, until)
    return { delivery, webhook, event: eventTable.fromRow(event) }
  }

  function change(delivery: Delivery, leaseUntil: Date | null): void {
    sql.change.run({ ...toRow(delivery), lease_until: leaseUntil?.getTime() ?? null })
  }

  return {
    fanOut: (now, limit) =>
      write(() => {
        const events = sql.unsent.all({ limit }).map(placedEvent)
        const webhooksOf = webhooksOfOwners()
        for (const event of events) makeFor(event, webhooksOf(event.item), now)
        const last = events.at(-1)
        if (last) sql.fannedOut.run({ place: last.place })
        return events.length
      }),

    claimDue: ({ now, until, limit, perWebhook }) =>
      write(() =>
        sql.openWebhooks
          .all({ now: now.getTime() })
          .flatMap((open) => {
            const webhook = webhookTable.fromRow(open)
            const { attempts } = sql.underWay.get({ id: webhook.id, now: now.getTime() }) ?? { attempts: 0 }
            const room = Math.min(limit, perWebhook - attempts)
            return longestDue(webhook.id, now, room).map((row) => ({ row, webhook, busy: open.busy }))
          })
          .sort((a, b) => a.busy - b.busy || longestDueFirst(a.row, b.row))
          .slice(0, limit)
          .map(({ row, webhook }) => claim(row, webhook, now, until)),
      ),

    settle: ({ delivery: claimed }, settled, now) =>
      write(() => {
        const delivery = sql.findClaimed.get(toRow(claimed))
        const webhookRow = sql.findWebhook.get({ id: claimed.webhookId })
        if (!delivery || !webhookRow) return false
        const webhook = webhookTable.fromRow(webhookRow)
        const end = judgedAnew(webhook, settled)
        change({ ...fromRow(delivery), ...settledDelivery(end, now) }, null)
        keepWebhook({ ...webhook, ...settledWebhook(webhook, end, now) })
        if (end.kind === "delivered" && wasDown(webhook, now))
          sql.hurry.run({ id: webhook.id, now: now.getTime() })
        if (switchesOff(webhook, end)) record(end.event)
        return true
      }),

    async list(owner, webhookId, { status }, page) {
      const asked = {
        ...oursWithId(owner, webhookId),
        before: page.after === undefined ? Number.MAX_SAFE_INTEGER : placeIn(page.after),
        limit: page.limit + 1,
      }
      const rows = status ? sql.listOfStatus.all({ ...asked, status }) : sql.list.all(asked)
      return pageOf(rows.map(placedPair), page)
    },

    replay: (owner, webhookId, which, now) =>
      write(() => {
        const anew = { ...oursWithId(owner, webhookId), ...toRow<Partial<Delivery>>(startedAnew(now)) }
        if ("failedSince" in which) {
          const { failedSince, limit } = which
          return sql.restartFailed.run({ ...anew, since: failedSince.getTime(), limit }).changes
        }
        const ofEvent = { ...anew, event_id: exactText(which.eventId) }
        return sql.makeDue.run(ofEvent).changes + sql.restart.run(ofEvent).changes
      }),
  }
}

const joinedDelivery = deliveryTable.joined("deliveries", "delivery_")
const joinedEvent = eventTable.joined("events")
const mayGo = "due_at <= $now and (lease_until is null or lease_until <= $now)"
/** So many of the longest due are looked through before a webhook's order keys are. */
const nearby = 200

function statements(db: Statements) {
  const ofWebhook = `webhook_id = (select id from webhooks where ${owned} and id = $id)`
  const restart = `update deliveries set status = $status, attempts = $attempts,
    first_attempt_at = $first_attempt_at, due_at = $due_at, completed_at = $completed_at,
    last_status = $last_status, last_detail = $last_detail where ${ofWebhook}`
  const paged = (condition: string) =>
    db.query<Row, [Row]>(
      `select ${joinedDelivery.columns}, ${joinedEvent.columns}, deliveries.place
       from deliveries join events on events.id = deliveries.event_id
       where deliveries.${ofWebhook} and deliveries.place < $before and ${condition}
       order by deliveries.place desc limit $limit`,
    )
  return {
    unsent: db.query<Row, [Row]>(
      `select ${eventTable.columns}, place from events
       where place > (select place from fan_out) order by place limit $limit`,
    ),
    fannedOut: db.query<never, [Row]>("update fan_out set place = $place"),
    webhooksOf: db.query<Row, [Row]>(
      `select ${webhookTable.columns}, coalesce((
         select place from events where webhook_id = webhooks.id and type = 'webhook.created'), 0) as first_place
       from webhooks where ${owned}`,
    ),
    insert: db.query<never, [Row]>(
      `insert into deliveries (${columns}, place) values (${parameters}, $place)`,
    ),
    // Goes from one webhook that has something pending to the next, past all that the one has.
    openWebhooks: db.query<Row & { readonly busy: number }, [Row]>(
      `with recursive waiting (webhook_id) as (
         select min(webhook_id) from deliveries where status = 'pending'
         union all
         select (select min(webhook_id) from deliveries
                 where status = 'pending' and webhook_id > waiting.webhook_id)
         from waiting where webhook_id is not null),
       leased (tenant, environment, attempts) as materialized (
         select tenant, environment, count(*)
         from deliveries indexed by deliveries_leased cross join webhooks on webhooks.id = webhook_id
         where lease_until is not null and lease_until > $now group by tenant, environment)
       select ${webhookTable.columns}, coalesce((
         select attempts from leased
         where leased.tenant = webhooks.tenant and leased.environment = webhooks.environment), 0) as busy
       from waiting cross join webhooks on webhooks.id = waiting.webhook_id
       where enabled = 1 and (hold_until is null or hold_until <= $now)`,
    ),
    underWay: db.query<{ attempts: number }, [Row]>(
      "select count(*) as attempts from deliveries where webhook_id = $id and lease_until > $now",
    ),
    near: db.query<Row & { readonly is_head: number }, [Row]>(
      `select ${columns}, place, not exists (
         select 1 from deliveries older indexed by deliveries_in_line
         where older.webhook_id = near.webhook_id and older.status = 'pending'
           and older.order_key = near.order_key and older.place < near.place) as is_head
       from (
         select * from deliveries indexed by deliveries_due
         where webhook_id = $id and status = 'pending' and ${mayGo} order by due_at, place limit ${nearby}
       ) near
       order by due_at, place`,
    ),
    // Goes from order key to order key, past all but the first of each.
    heads: db.query<Row, [Row]>(
      `with recursive line (key) as (
         select min(order_key) from deliveries where webhook_id = $id and status = 'pending'
         union all
         select (select min(order_key) from deliveries
                 where webhook_id = $id and status = 'pending' and order_key > line.key)
         from line where key is not null)
       select ${columns}, place from line cross join deliveries on deliveries.rowid = (
         select rowid from deliveries indexed by deliveries_in_line
         where webhook_id = $id and status = 'pending' and order_key = line.key order by place limit 1)
       where ${mayGo} order by due_at, place limit $room`,
    ),
    findEvent: db.query<Row, [Row]>(`select ${eventTable.columns} from events where id = $id`),
    findWebhook: db.query<Row, [Row]>(`select ${webhookTable.columns} from webhooks where id = $id`),
    findClaimed: db.query<Row, [Row]>(
      `select ${columns} from deliveries
       where event_id = $event_id and webhook_id = $webhook_id and status = 'pending'
         and attempts = $attempts and first_attempt_at is $first_attempt_at and lease_until is not null`,
    ),
    change: db.query<never, [Row]>(
      `update deliveries set status = $status, attempts = $attempts, first_attempt_at = $first_attempt_at,
         due_at = $due_at, completed_at = $completed_at, last_status = $last_status, last_detail = $last_detail,
         lease_until = $lease_until
       where event_id = $event_id and webhook_id = $webhook_id`,
    ),
    hurry: db.query<never, [Row]>(
      `update deliveries set due_at = $now where webhook_id = $id and status = 'pending' and due_at > $now`,
    ),
    list: paged("true"),
    listOfStatus: paged("deliveries.status = $status"),
    restart: db.query<never, [Row]>(`${restart} and event_id = $event_id and status <> 'pending'`),
    restartFailed: db.query<never, [Row]>(
      `${restart} and rowid in (
         select rowid from deliveries
         where ${ofWebhook} and status = 'failed'
           and (select at from events where events.id = deliveries.event_id) >= $since
         order by place limit $limit)`,
    ),
    makeDue: db.query<never, [Row]>(
      `update deliveries set due_at = min(due_at, $due_at)
       where ${ofWebhook} and event_id = $event_id and status = 'pending'`,
    ),
  }
}

function longestDueFirst(a: Row, b: Row): number {
  return Number(a.due_at) - Number(b.due_at) || Number(a.place) - Number(b.place)
}

function placedPair(row: Row): Placed<{ readonly delivery: Delivery; readonly event: DomainEvent }> {
  return {
    item: { delivery: joinedDelivery.fromRow(row), event: joinedEvent.fromRow(row) },
    place: Number(row.place),
  }
}
