import type { Sql } from "postgres"
import { exactText, refuseTwins } from "../../domain/account-search.ts"
import { abandonedAs, type ConnectFlow, type FlowFailure } from "../../domain/connect-flow.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { Sealed } from "../../domain/sealed.ts"
import type { ConnectFlows } from "../../ports/storage.ts"
import { appIn, appOf, type Fragment, insertInto, list, ours, recordWith } from "./connection.ts"
import { connectAccounts } from "./keep-accounts.ts"
import { flowTable, type Row } from "./tables.ts"

const { columns, fromRow } = flowTable

export function postgresFlows(sql: Sql): ConnectFlows {
  /** Ends the flow that the condition still fits. */
  async function end(
    condition: Fragment,
    outcome: { readonly status: "failed" | "expired"; readonly failure: FlowFailure },
    event: DomainEvent,
    now: Date,
  ): Promise<boolean> {
    const { failure } = flowTable.toRow({ failure: outcome.failure })
    const ended = await sql`
      with ended as (
        update flows set status = ${outcome.status}, failure = ${sql.json(failure ?? null)},
          completed_at = ${now}, candidates = null
        where ${condition} returning id
      ) ${recordWith(sql, "ended", event)}
      select from ended`
    return ended.length > 0
  }

  return {
    async add(flow) {
      await insertInto(sql, flowTable, flow)
    },

    async find(owner, id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)} from flows where ${ours(sql, owner)} and id = ${exactText(id)}`
      return row && fromRow(row)
    },

    async consume(id, now) {
      // The lock makes all but one wait, and shows them what that one did.
      const [row] = await sql<Row[]>`
        with flow as (
          select ${list(sql, columns)} from flows where id = ${exactText(id)} for update
        ), taken as (
          update flows set status = 'exchanging', taken_at = ${now}
          where id in (select id from flow where status = 'pending' and expires_at > ${now})
          returning id
        )
        select flow.*, exists (select from taken) as taken, ${appOf(sql, "flow")} from flow`
      if (!row) return undefined
      const flow = fromRow(row)
      const app = appIn(row)
      if (row.taken !== true) return { taken: false, flow, app }
      const taken: ConnectFlow = { ...flow, status: "exchanging", takenAt: new Date(now) }
      return { taken: true, flow: taken, app }
    },

    async connect(id, accounts, now) {
      refuseTwins(accounts.map(({ account }) => account))
      return await connectAccounts(sql, exactText(id), accounts, now)
    },

    async offer(id, candidates, expiresAt) {
      const { count } = await sql`
        update flows set status = 'choosing', candidates = ${candidates}, expires_at = ${expiresAt}
        where id = ${exactText(id)} and status = 'exchanging'`
      return count > 0
    },

    async findCandidates(id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)}, candidates, ${appOf(sql, "flows")} from flows
        where id = ${exactText(id)} and status = 'choosing'`
      return row && { flow: fromRow(row), app: appIn(row), candidates: row.candidates as Sealed }
    },

    async fail(id, failure, event, now) {
      const condition = sql`id = ${exactText(id)} and status in ('exchanging', 'choosing')`
      return await end(condition, { status: "failed", failure }, event, now)
    },

    async findAbandoned(now, takenBefore, limit) {
      // Three queries in one, so that each uses the partial index of its status.
      const rows = await sql<Row[]>`
        select * from (
          select ${list(sql, columns)} from flows where status = 'pending' and expires_at <= ${now}
          union all
          select ${list(sql, columns)} from flows where status = 'choosing' and expires_at <= ${now}
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
  }
}
