import type { Sql } from "postgres"
import { exactText, refuseTwins, storableText } from "../../domain/account-search.ts"
import {
  abandonedAs,
  type ConnectFlow,
  exchangeLimitMs,
  type FlowFailure,
  type FlowStatus,
} from "../../domain/connect-flow.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { ProviderCall } from "../../domain/oauth-error.ts"
import type { Sealed } from "../../domain/sealed.ts"
import type { ConnectFlows, FlowFilter } from "../../ports/storage.ts"
import { type BatchedWrites, batchedWrites } from "./batched-writes.ts"
import { appIn, appOf, type Fragment, list, ours, recordWith } from "./connection.ts"
import { connectAccounts, holdAccounts } from "./keep-accounts.ts"
import { flowTable, type JsonRow, type Row } from "./tables.ts"

const { columns, fromRow } = flowTable

/** New flows, as rows of their table. */
export type NewFlows = BatchedWrites<JsonRow>

export function newFlows(sql: Sql): NewFlows {
  return batchedWrites(
    (rows) => sql`
      insert into flows (${list(sql, columns)})
      select ${list(sql, columns)} from jsonb_populate_recordset(null::flows, ${sql.json(rows)})`,
  )
}

export function postgresFlows(sql: Sql, added: NewFlows): ConnectFlows {
  /** Ends the flow that the condition still fits. */
  async function end(
    condition: Fragment,
    outcome: { readonly status: "failed" | "expired"; readonly failure: FlowFailure },
    event: DomainEvent,
    now: Date,
    calls?: readonly ProviderCall[],
  ): Promise<boolean> {
    const { failure } = flowTable.toRow({ failure: outcome.failure })
    const ended = await sql`
      with ended as (
        update flows set status = ${outcome.status}, failure = ${sql.json(failure ?? null)},
          completed_at = ${now}, candidates = null ${withCalls(sql, calls)}
        where ${condition} returning id
      ) ${recordWith(sql, "ended", event)}
      select from ended`
    return ended.length > 0
  }

  return {
    async add(flow) {
      await added.add(flowTable.toRow(flow))
    },

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
      // The lock makes all but one wait, and shows them what that one did.
      const [row] = await sql<Row[]>`
        with flow as (
          select ${list(sql, columns)} from flows where id = ${exactText(id)} for update
        ), taken as (
          update flows set status = 'exchanging', taken_at = ${now}, callback_mac = ${mac}
          where id in (select id from flow where status = 'pending' and expires_at > ${now})
          returning id
        )
        select flow.*, exists (select from taken) as taken, ${appOf(sql, "flow")} from flow`
      if (!row) return undefined
      const flow = fromRow(row)
      const app = appIn(row)
      if (row.taken !== true) return { taken: false, flow, app }
      const taken: ConnectFlow = { ...flow, status: "exchanging", takenAt: new Date(now), callbackMac: mac }
      return { taken: true, flow: taken, app }
    },

    async connect(id, accounts, now, calls) {
      refuseTwins(accounts.map(({ account }) => account))
      return await connectAccounts(sql, exactText(id), accounts, now, withCalls(sql, calls))
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
      const laidAside = sql`candidates = ${storableText(candidates)}, expires_at = ${expiresAt}
        ${withCalls(sql, calls)}`
      return await holdAccounts(sql, exactText(id), accounts, laidAside)
    },

    async findCandidates(id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)}, candidates, ${appOf(sql, "flows")} from flows
        where id = ${exactText(id)} and status in ('choosing', 'confirming')`
      return row && { flow: fromRow(row), app: appIn(row), candidates: row.candidates as Sealed }
    },

    async fail(id, failure, event, now, calls) {
      const condition = sql`id = ${exactText(id)} and status in ('exchanging', 'choosing')`
      return await end(condition, { status: "failed", failure }, event, now, calls)
    },

    async findAbandoned(now, takenBefore, limit) {
      // Four queries in one, so that each uses the partial index of its status.
      const rows = await sql<Row[]>`
        select * from (
          select ${list(sql, columns)} from flows where status = 'pending' and expires_at <= ${now}
          union all
          select ${list(sql, columns)} from flows where status = 'choosing' and expires_at <= ${now}
          union all
          select ${list(sql, columns)} from flows where status = 'confirming' and expires_at <= ${now}
          union all
          select ${list(sql, columns)} from flows where status = 'exchanging' and taken_at <= ${takenBefore}
        ) abandoned
        order by created_at, id limit ${limit}`
      return rows.map(fromRow)
    },

    async abandon(seen, failure, event, now) {
      const status = abandonedAs[seen.status]
      if (status === undefined) return false
      const condition = sql`${ours(sql, seen)} and id = ${exactText(seen.id)} and status = ${seen.status}`
      return await end(condition, { status, failure }, event, now)
    },

    async prune(completedBefore, limit) {
      const { count } = await sql`
        delete from flows where id in (
          select id from flows where completed_at < ${completedBefore}
          order by completed_at limit ${limit} for update skip locked
        )`
      return count
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
