import type { Sql } from "postgres"
import { exactText, refuseTwins, storableText } from "../../domain/account-search.ts"
import { abandonedAs, exchangeLimitMs, type FlowFailure, type FlowStatus } from "../../domain/connect-flow.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { ProviderCall } from "../../domain/oauth-error.ts"
import type { Sealed } from "../../domain/sealed.ts"
import type { ConnectFlows, FlowFilter } from "../../ports/storage.ts"
import { abandonedFlows } from "./abandoned-flows.ts"
import { runBatch } from "./batch-statements.ts"
import { type Batched, type Batching, batched } from "./batched.ts"
import { appIn, appOf, type Fragment, list, ours, recordWith } from "./connection.ts"
import { connectedFlows, grantOf, holdAccounts } from "./keep-accounts.ts"
import { eventTable, flowTable, type Row } from "./tables.ts"
import { takenFlows } from "./taken-flows.ts"

const { columns, fromRow } = flowTable

/** New flows, those of one moment by one statement. */
function newFlows(sql: Sql): Batched<ReturnType<typeof flowTable.toValues>, void> {
  return batched(async (rows) => {
    await runBatch(sql, insertFlows, [sql.json(rows)])
    return []
  })
}

const insertFlows = `
  insert into flows (${columns}) select ${flowTable.taken("row", 0)} from jsonb_array_elements($1::jsonb) row`

export function postgresFlows(sql: Sql): ConnectFlows & Batching {
  const [added, taken, connected] = [newFlows(sql), takenFlows(sql), connectedFlows(sql)]
  const abandoned = abandonedFlows(sql)

  /** Ends the flow that the condition still fits as failed. */
  async function fail(
    condition: Fragment,
    why: FlowFailure,
    event: DomainEvent,
    now: Date,
    calls?: readonly ProviderCall[],
  ): Promise<boolean> {
    const { failure } = flowTable.toRow({ failure: why })
    const ended = await sql`
      with ended as (
        update flows set status = 'failed', failure = ${sql.json(failure ?? null)},
          completed_at = ${now}, candidates = null ${withCalls(sql, calls)}
        where ${condition} returning id
      ) ${recordWith(sql, "ended", event)}
      select from ended`
    return ended.length > 0
  }

  return {
    // What cannot be kept is refused at once; `tellingAway` makes a rejection of it.
    add: (flow) => added.ask(flowTable.toValues(flow)),

    async find(owner, id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)} from flows where ${ours(sql, owner)} and id = ${exactText(id)}`
      return row && fromRow(row)
    },

    async list(owner, filter, { limit, after }) {
      const rows = await sql<Row[]>`
        select ${list(sql, columns)} from flows where ${ours(sql, owner)} ${filters(sql, filter)}
          ${after === undefined ? sql`` : sql`and id < ${exactText(after)}`}
        order by id desc limit ${limit + 1}`
      return { items: rows.slice(0, limit).map(fromRow), more: rows.length > limit }
    },

    async consume(id, now, callbackMac) {
      const mac = callbackMac === undefined ? null : storableText(callbackMac)
      return await taken.ask({ id: exactText(id), now: valid(now), callbackMac: mac })
    },

    async connect(id, accounts, now, calls) {
      refuseTwins(accounts.map(({ account }) => account))
      const grants = accounts.map(grantOf)
      return await connected.ask({ flowId: exactText(id), grants, now: valid(now), calls: callsOf(calls) })
    },

    async offer(id, candidates, expiresAt, calls) {
      const { count } = await sql`
        update flows set status = 'choosing', candidates = ${storableText(candidates)}, expires_at = ${expiresAt}
          ${withCalls(sql, calls)}
        where id = ${exactText(id)} and status = 'exchanging'`
      return count > 0
    },

    async hold(id, accounts, candidates, expiresAt, calls) {
      refuseTwins(accounts.map(({ account }) => account))
      return await holdAccounts(sql, {
        flowId: exactText(id),
        accounts,
        candidates: storableText(candidates),
        expiresAt,
        calls: callsOf(calls),
      })
    },

    async findCandidates(id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)}, candidates, ${appOf(sql, "flows")} from flows
        where id = ${exactText(id)} and status in ('choosing', 'confirming')`
      return row && { flow: fromRow(row), app: appIn(row), candidates: row.candidates as Sealed }
    },

    async fail(id, failure, event, now, calls) {
      const condition = sql`id = ${exactText(id)} and status in ('exchanging', 'choosing')`
      return await fail(condition, failure, event, now, calls)
    },

    async findAbandoned(now, takenBefore, limit) {
      // Four queries in one, so that each reads the partial index of its status, and no more of it than is wanted.
      const oldest = (status: string, time: string, until: Date) => sql`
        (select ${list(sql, columns)} from flows where status = ${sql.unsafe(`'${status}'`)} and ${sql(time)} <= ${until}
        order by ${sql(time)} limit ${limit})`
      const rows = await sql<Row[]>`
        select * from (
          ${oldest("pending", "expires_at", now)} union all ${oldest("choosing", "expires_at", now)}
          union all ${oldest("confirming", "expires_at", now)} union all ${oldest("exchanging", "taken_at", takenBefore)}
        ) abandoned
        order by created_at, id limit ${limit}`
      return rows.map(fromRow)
    },

    async abandon(seen, failure, event, now) {
      const status = abandonedAs[seen.status]
      if (status === undefined) return false
      const { environment } = seen
      const ended = await abandoned.ask({
        seen: { id: exactText(seen.id), tenant: exactText(seen.tenant), environment, status: seen.status },
        end: flowTable.toRow({ status, failure, completedAt: now }),
        event: eventTable.toRow(event),
      })
      return ended === true
    },

    async prune(completedBefore, limit) {
      const { count } = await sql`
        delete from flows where id in (
          select id from flows where completed_at < ${completedBefore}
          order by completed_at limit ${limit} for update skip locked
        )`
      return count
    },

    async close() {
      await Promise.all([added, taken, connected, abandoned].map((each) => each.close()))
    },

    async forgetUnconfirmed(updatedUntil, limit) {
      // Whom somebody is confirming or holding for longer at this moment is left to the next time.
      const { count } = await sql`
        with forgotten as materialized (
          select id from accounts where health = 'unconfirmed' and updated_at <= ${updatedUntil}
          order by updated_at, id limit ${limit} for update skip locked
        )
        delete from accounts where id in (select id from forgotten)`
      return count
    },
  }
}

/** One more column of an update, where calls are given. */
function withCalls(sql: Sql, calls: readonly ProviderCall[] | undefined): Fragment {
  if (calls === undefined) return sql``
  return sql`, calls = ${sql.json(flowTable.toRow({ calls }).calls ?? null)}`
}

/** As JSON; null where none are given. */
function callsOf(calls: readonly ProviderCall[] | undefined): string | null {
  return calls === undefined ? null : JSON.stringify(flowTable.toRow({ calls }).calls)
}

function filters(sql: Sql, filter: FlowFilter): Fragment {
  const { provider, status, reason, oauthAppId, reference, now } = filter
  return sql`
    ${provider === undefined ? sql`` : sql`and provider = ${provider}`}
    ${status === undefined ? sql`` : sql`and ${hasStatus(sql, status, now)}`}
    ${reason === undefined ? sql`` : sql`and failure is not null and failure ->> 'reason' = ${reason}`}
    ${oauthAppId === undefined ? sql`` : sql`and oauth_app_id = ${storableText(oauthAppId)}`}
    ${reference === undefined ? sql`` : sql`and reference = ${storableText(reference)}`}`
}

/** As `flowStatus` of the domain judges it: what the clock has ended has ended, whether or not it is written down. */
function hasStatus(sql: Sql, status: FlowStatus, now: Date): Fragment {
  const lostUntil = new Date(now.getTime() - exchangeLimitMs)
  switch (status) {
    case "pending":
      // Spelled out, since each of these has a partial index, and of a tenant's flows few are pending.
      return sql`(
        (status = 'pending' and expires_at > ${now}) or (status = 'choosing' and expires_at > ${now})
        or (status = 'confirming' and expires_at > ${now})
        or (status = 'exchanging' and (taken_at is null or taken_at > ${lostUntil}))
      )`
    case "connected":
      return sql`status = 'connected'`
    case "failed":
      return sql`(status = 'failed' or (status = 'exchanging' and taken_at <= ${lostUntil}))`
    case "expired":
      return sql`(
        status = 'expired' or (status in ('pending', 'choosing', 'confirming') and expires_at <= ${now})
      )`
  }
}

/** Throws here, and not in a batch, where it would be the fault of all. */
function valid(date: Date): Date {
  date.toISOString()
  return date
}
