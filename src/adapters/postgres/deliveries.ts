import type { ISql, Sql } from "postgres"
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
import { type Placed, pageOf, placeIn } from "../../domain/place.ts"
import type { Delivery, SettledAttempt, Webhook } from "../../domain/webhook.ts"
import type { ClaimedDelivery, Deliveries } from "../../ports/storage.ts"
import { type Fragment, list, ours, record } from "./connection.ts"
import { placedEvent, placeEvents } from "./events.ts"
import { deliveryTable, eventTable, type JsonRow, type Row, webhookTable } from "./tables.ts"
import { changeWebhook } from "./webhooks.ts"

type Claim = Parameters<Deliveries["claimDue"]>[0]

const { columns, toRow, fromRow } = deliveryTable
const changing = [
  "status",
  "attempts",
  "first_attempt_at",
  "due_at",
  "completed_at",
  "last_status",
  "last_detail",
]

/** Whoever locks both locks the webhook before its deliveries, so that no two wait in a circle. */
export function postgresDeliveries(sql: Sql): Deliveries {
  return {
    async fanOut(now, limit) {
      await placeEvents(sql)
      // In order, since else the planner would look through the table for what is not there.
      const waiting = await sql`
        select from events where place > (select place from fan_out) order by place limit 1`
      return waiting.length === 0 ? 0 : await sql.begin((tx) => fanOutNext(tx, now, limit))
    },

    claimDue: (claim) => sql.begin((tx) => claimDueDeliveries(tx, claim)),

    async settle({ delivery }, settled, now) {
      const ended = endAttempt(sql, delivery, settled, now)
      if (settled.kind === "delivered") {
        const { count } = await sql`${ended} and not exists (
          select from webhooks
          where id = deliveries.webhook_id
            and (failures > 0 or failing_since is not null or hold_until is not null))`
        if (count > 0) return true
      }
      return await sql.begin((tx) => settleBoth(tx, delivery, settled, now))
    },

    async list(owner, webhookId, { status }, page) {
      const before = page.after === undefined ? Number.MAX_SAFE_INTEGER : placeIn(page.after)
      const rows = await sql<Row[]>`
        select ${list(sql, columns)}, place,
          (select to_jsonb(event) from events event where id = deliveries.event_id) as event
        from deliveries
        where webhook_id = (select id from webhooks where ${ours(sql, owner)} and id = ${exactText(webhookId)})
          and place < ${before} ${status === undefined ? sql`` : sql`and status = ${status}`}
        order by place desc limit ${page.limit + 1}`
      return pageOf(rows.map(placedPair), page)
    },

    async replay(owner, webhookId, which, now) {
      const asked =
        "eventId" in which
          ? sql`event_id = ${exactText(which.eventId)}`
          : sql`status = 'failed' and event_id in (
              select event_id from deliveries
              where webhook_id = (select id from webhook) and status = 'failed'
                and (select at from events where events.id = event_id) >= ${which.failedSince}
              order by place limit ${which.limit})`
      const [replayed] = await sql<{ count: number }[]>`
        with webhook as (
          select id from webhooks where ${ours(sql, owner)} and id = ${exactText(webhookId)} for no key update
        ), hurried as (
          update deliveries set due_at = least(due_at, ${now})
          where webhook_id = (select id from webhook) and ${asked} and status = 'pending' returning 1
        ), again as (
          ${changeDelivery(sql, startedAnew(now))}
          where webhook_id = (select id from webhook) and ${asked} and status <> 'pending' returning 1
        )
        select ((select count(*) from hurried) + (select count(*) from again))::int as count`
      return replayed?.count ?? 0
    },
  }
}

async function fanOutNext(tx: ISql, now: Date, limit: number): Promise<number> {
  const [turn] = await tx<{ place: string }[]>`select place from fan_out for update skip locked`
  if (!turn) return 0
  const rows = await tx<Row[]>`
    select ${list(tx, eventTable.columns)}, place from events
    where place > ${turn.place} order by place limit ${limit}`
  const events = rows.map(placedEvent)
  const last = events.at(-1)
  if (!last) return 0
  // Locked, so that none is removed before its deliveries are there to be removed with it.
  const webhooks = await tx<Row[]>`
    select ${list(tx, webhookTable.columns)}, coalesce((
      select coalesce(place, ${Number.MAX_SAFE_INTEGER}::bigint) from events
      where webhook_id = webhooks.id and type = 'webhook.created'), 0) as first_place
    from webhooks
    where (tenant, environment) in (
      select tenant, environment from events where place > ${turn.place} and place <= ${last.place}
    )
    for key share`
  const made = deliveriesOf(events, webhooks, now)
  await tx`
    insert into deliveries (${list(tx, columns)}, place) select ${list(tx, columns)}, place
    from jsonb_populate_recordset(null::deliveries, ${tx.json(made)})`
  await tx`update fan_out set place = ${last.place}`
  return events.length
}

function deliveriesOf(
  events: readonly Placed<DomainEvent>[],
  rows: readonly Row[],
  now: Date,
): readonly JsonRow[] {
  const ownerOf = ({ tenant, environment }: Webhook | DomainEvent) => `${environment} ${tenant}`
  const webhooks = rows.map((row) => ({
    webhook: webhookTable.fromRow(row),
    // That of a webhook whose event has none yet is higher than all that have one.
    firstPlace: Number(row.first_place),
  }))
  const ofOwner = Map.groupBy(webhooks, ({ webhook }) => ownerOf(webhook))
  return events.flatMap((event) =>
    (ofOwner.get(ownerOf(event.item)) ?? [])
      .filter(({ webhook, firstPlace }) => isToldOf(webhook, firstPlace, event))
      .map(({ webhook }) => ({ ...toRow(newDelivery(webhook, event.item, now)), place: event.place })),
  )
}

/**
 * Locks the webhooks that have something to claim, since of each only so many may be under way, and claims in a
 * statement that begins after that, so that it sees what others claimed. What somebody else holds is skipped.
 */
async function claimDueDeliveries(tx: ISql, claim: Claim): Promise<readonly ClaimedDelivery[]> {
  const { now, until, limit, perWebhook } = claim
  // Goes from one webhook that has something pending to the next, past all that the one has.
  const open = await tx<{ id: string }[]>`
    with recursive waiting as (
      (select webhook_id from deliveries where status = 'pending' order by webhook_id limit 1)
      union all
      select (
        select webhook_id from deliveries where status = 'pending' and webhook_id > waiting.webhook_id
        order by webhook_id limit 1
      )
      from waiting where webhook_id is not null
    ), ${leasedOfOwners(tx, now)}
    select webhooks.id from waiting join webhooks on webhooks.id = waiting.webhook_id
    cross join lateral (${longestDue(tx, tx`1`, now)}) first
    where enabled and (hold_until is null or hold_until <= ${now})
      and ${perWebhook} > ${underWay(tx, now)}
    order by ${busy(tx)}, first.due_at, first.place limit ${limit}
    for no key update of webhooks skip locked`
  if (open.length === 0) return []
  const rows = await tx<Row[]>`
    with ${leasedOfOwners(tx, now)}, chosen as materialized (
      select first.*, ${busy(tx)} as busy from webhooks cross join lateral (
        ${longestDue(tx, tx`greatest(0, ${perWebhook} - ${underWay(tx, now)})`, now)}
      ) first
      where webhooks.id in (select jsonb_array_elements_text(${tx.json(open.map(({ id }) => id))}))
      order by busy, first.due_at, first.place limit ${limit}
    ), free as materialized (
      select event_id, webhook_id from deliveries
      where (event_id, webhook_id) in (select event_id, webhook_id from chosen)
        and status = 'pending' and ${isFree(tx, now)}
      for no key update skip locked
    ), claimed as (
      update deliveries set attempts = attempts + 1, lease_until = ${until},
        first_attempt_at = coalesce(first_attempt_at, ${now})
      where (event_id, webhook_id) in (select event_id, webhook_id from free)
      returning ${list(tx, columns)}
    )
    select claimed.*, to_jsonb(webhook) as webhook, to_jsonb(event) as event
    from chosen join claimed using (event_id, webhook_id)
    join webhooks webhook on webhook.id = webhook_id join events event on event.id = event_id
    order by chosen.busy, chosen.due_at, chosen.place`
  return rows.map((row) => ({
    delivery: fromRow(row),
    webhook: webhookTable.fromRow(row.webhook as Row),
    event: eventTable.fromRow(row.event as Row),
  }))
}

/** So many of the longest due are looked through before a webhook's order keys are. */
const nearby = 200

/**
 * At most `room` of what may go out next to the row of `webhooks` that it is joined to: due, under no lease, with
 * none of its order key before it. Looks first among the longest due. Where too many of those wait for one before
 * them it goes from order key to order key instead, so that it never goes through all that one of them has.
 */
function longestDue(tx: ISql, room: Fragment, now: Date): Fragment {
  const isPending = tx`webhook_id = webhooks.id and status = 'pending'`
  const mayGo = tx`due_at <= ${now} and ${isFree(tx, now)}`
  return tx`
    with recursive near as materialized (
      select * from deliveries where ${isPending} and ${mayGo} order by due_at, place limit ${nearby}
    ), near_head as materialized (
      select * from near where not exists (
        select from deliveries older
        where ${isPending} and older.order_key = near.order_key and older.place < near.place
      )
      order by due_at, place limit ${room}
    ), head as (
      (select * from deliveries where ${isPending} order by order_key, place limit 1)
      union all
      select next.* from head cross join lateral (
        select * from deliveries
        where ${isPending} and order_key > head.order_key order by order_key, place limit 1
      ) next
    )
    select event_id, webhook_id, due_at, place from near_head
    union
    select event_id, webhook_id, due_at, place from head
    where ${mayGo} and (select count(*) from near) = ${nearby} and (select count(*) from near_head) < ${room}
    order by due_at, place limit ${room}`
}

/** How many attempts are under way at the row of `webhooks` that it is asked of. */
function underWay(tx: ISql, now: Date): Fragment {
  return tx`(
    select count(*) from deliveries
    where webhook_id = webhooks.id and lease_until is not null and lease_until > ${now}
  )`
}

/** How many attempts are under way over all webhooks of each owner that has any, as one query of a `with`. */
function leasedOfOwners(tx: ISql, now: Date): Fragment {
  return tx`
    leased as materialized (
      select tenant, environment, count(*) as attempts
      from deliveries join webhooks on webhooks.id = webhook_id
      where lease_until is not null and lease_until > ${now} group by tenant, environment
    )`
}

/** Of those the attempts of the owner of the row of `webhooks` that it is asked of. */
function busy(tx: ISql): Fragment {
  return tx`
    coalesce((
      select attempts from leased
      where leased.tenant = webhooks.tenant and leased.environment = webhooks.environment
    ), 0)`
}

/** A lease lives until its end and not at it. */
function isFree(tx: ISql, now: Date): Fragment {
  return tx`(lease_until is null or lease_until <= ${now})`
}

async function settleBoth(tx: ISql, claimed: Delivery, settled: SettledAttempt, now: Date): Promise<boolean> {
  const [row] = await tx<Row[]>`
    select ${list(tx, webhookTable.columns)} from webhooks
    where id = ${exactText(claimed.webhookId)} for no key update`
  if (!row) return false
  const webhook = webhookTable.fromRow(row)
  const end = judgedAnew(webhook, settled)
  const { count } = await endAttempt(tx, claimed, end, now)
  if (count === 0) return false
  await tx`${changeWebhook(tx, settledWebhook(webhook, end, now))} where id = ${webhook.id}`
  if (end.kind === "delivered" && wasDown(webhook, now)) {
    await tx`
      update deliveries set due_at = ${now}
      where webhook_id = ${webhook.id} and status = 'pending' and due_at > ${now}`
  }
  if (switchesOff(webhook, end)) await record(tx, end.event)
  return true
}

/** Writes down how an attempt ended, where it is still under way; more of a condition may follow. */
function endAttempt(tx: ISql, claimed: Delivery, settled: SettledAttempt, now: Date): Fragment {
  return tx`
    ${changeDelivery(tx, settledDelivery(settled, now))}
    where event_id = ${exactText(claimed.eventId)} and webhook_id = ${exactText(claimed.webhookId)}
      and status = 'pending' and lease_until is not null and attempts = ${claimed.attempts}
      and first_attempt_at = ${claimed.firstAttemptAt}`
}

/** An update of the fields that are given, which ends the lease; the `where` comes after it. */
function changeDelivery(tx: ISql, change: Partial<Delivery>): Fragment {
  return tx`
    update deliveries set lease_until = null, (${list(tx, changing)}) = (
      select ${list(tx, changing)} from jsonb_populate_record(deliveries, ${tx.json(toRow(change))})
    )`
}

function placedPair(row: Row): Placed<{ readonly delivery: Delivery; readonly event: DomainEvent }> {
  return {
    item: { delivery: fromRow(row), event: eventTable.fromRow(row.event as Row) },
    place: Number(row.place),
  }
}
