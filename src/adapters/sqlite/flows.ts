import { exactText, refuseTwins, storableText } from "../../domain/account-search.ts"
import { abandonedAs, type ConnectFlow, exchangeLimitMs, type FlowStatus } from "../../domain/connect-flow.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Sealed } from "../../domain/sealed.ts"
import type { ConnectFlows, FlowFilter } from "../../ports/storage.ts"
import { accountHolder, accountKeeper } from "./accounts.ts"
import { appFinder } from "./apps.ts"
import { eventRecorder } from "./events.ts"
import { ours, oursWithId, owned, type Sqlite } from "./sqlite.ts"
import { flowTable, type Row, type SqlValue } from "./tables.ts"

const { columns, places, values, toRow, fromRow } = flowTable

export function sqliteFlows({ db, write, reads }: Sqlite): ConnectFlows {
  const record = eventRecorder({ db })
  const keepAccount = accountKeeper({ db })
  const holdAccount = accountHolder({ db })
  const findApp = appFinder({ db, reads })
  const sql = {
    insert: db.query<never, SqlValue[]>(`insert into flows (${columns}) values (${places})`),
    find: db.query<Row, [Row]>(`select ${columns} from flows where ${owned} and id = $id`),
    take: db.query<never, SqlValue[]>(
      `update flows set status = 'exchanging', taken_at = ?1, callback_mac = ?2
       where id = ?3 and status = 'pending' and expires_at > ?1`,
    ),
    findById: db.query<Row, [string]>(`select ${columns} from flows where id = ?`),
    findStatus: db.query<Pick<ConnectFlow, "status">, [string]>("select status from flows where id = ?"),
    change: db.query<never, [Row]>(
      `update flows set status = $status, candidates = $candidates, failure = coalesce($failure, failure),
         account_ids = coalesce($account_ids, account_ids), calls = coalesce($calls, calls),
         expires_at = coalesce($expires_at, expires_at), completed_at = coalesce($completed_at, completed_at)
       where id = $id`,
    ),
    findOffered: db.query<Row & { readonly candidates: Sealed }, [Row]>(
      `select ${columns}, candidates from flows where id = $id and status in ('choosing', 'confirming')`,
    ),
    // Several queries in one, so that each reads the partial index of its status, and no more of it than is wanted.
    abandoned: db.query<Row, [Row]>(
      `${oldest("pending", "expires_at", "$now")}
       union all ${oldest("choosing", "expires_at", "$now")}
       union all ${oldest("confirming", "expires_at", "$now")}
       union all ${oldest("exchanging", "taken_at", "$taken_before")}
       order by created_at, id limit $limit`,
    ),
    prune: db.query<never, [Row]>(
      `delete from flows where id in
         (select id from flows where completed_at < $before order by completed_at limit $limit)`,
    ),
    forgetUnconfirmed: db.query<never, [Row]>(
      `delete from accounts where id in
         (select id from accounts where health = 'unconfirmed' and updated_at <= $until
          order by updated_at, id limit $limit)
       returning id`,
    ),
  }

  function findById(id: string): ConnectFlow | undefined {
    const row = sql.findById.get(exactText(id))
    return row ? fromRow(row) : undefined
  }

  function appOf(flow: ConnectFlow): OAuthApp | null {
    return flow.oauthAppId === null ? null : (findApp(flow, flow.oauthAppId) ?? null)
  }

  function isIn(id: string, ...statuses: readonly ConnectFlow["status"][]): boolean {
    const flow = sql.findStatus.get(exactText(id))
    return flow !== null && statuses.includes(flow.status)
  }

  /** Candidates that are not given are forgotten; all else that is not given stays. */
  function change(id: string, changed: FlowChange, candidates: Sealed | null = null): void {
    const forgotten = candidates && storableText(candidates)
    sql.change.run({ ...unchanged, ...toRow(changed), id: exactText(id), candidates: forgotten })
  }

  return {
    add: (flow) =>
      write(() => {
        sql.insert.run(...values(flow))
      }),

    async find(owner, id) {
      const row = sql.find.get(oursWithId(owner, id))
      return row ? fromRow(row) : undefined
    },

    async list(owner, filter, { limit, after }) {
      const position = after === undefined ? {} : { after: exactText(after) }
      const parameters = { ...ours(owner), ...filterParameters(filter), ...position, limit: limit + 1 }
      const rows = db
        .query<Row, [Row]>(
          `select ${columns} from flows where ${conditions(filter)} ${after === undefined ? "" : "and id < $after"}
           order by id desc limit $limit`,
        )
        .all(parameters)
      return { items: rows.slice(0, limit).map(fromRow), more: rows.length > limit }
    },

    consume: (id, now, callbackMac) =>
      write(() => {
        const mac = callbackMac === undefined ? null : storableText(callbackMac)
        // Looked at afterwards: an update that answers what it wrote keeps its pages as they were, in case it fails.
        const taken = sql.take.run(now.getTime(), mac, exactText(id)).changes === 1
        const flow = findById(id)
        return flow && { taken, flow, app: appOf(flow) }
      }),

    connect: (id, accounts, now, calls) =>
      write(() => {
        if (!isIn(id, "exchanging", "choosing", "confirming")) return undefined
        refuseTwins(accounts.map(({ account }) => account))
        const kept = accounts.map((account) => keepAccount(account, "account.reconnected").account)
        const accountIds = kept.map((account) => account.id)
        change(id, { status: "connected", accountIds, completedAt: now, ...(calls && { calls }) })
        return kept
      }),

    offer: (id, candidates, expiresAt, calls) =>
      write(() => {
        if (!isIn(id, "exchanging")) return false
        change(id, { status: "choosing", expiresAt, ...(calls && { calls }) }, candidates)
        return true
      }),

    hold: (id, accounts, candidates, expiresAt, calls) =>
      write(() => {
        if (!isIn(id, "exchanging", "choosing")) return false
        refuseTwins(accounts.map(({ account }) => account))
        for (const account of accounts) holdAccount(account)
        change(id, { status: "confirming", expiresAt, ...(calls && { calls }) }, candidates)
        return true
      }),

    async findCandidates(id) {
      const row = sql.findOffered.get({ id: exactText(id) })
      if (!row) return undefined
      const flow = fromRow(row)
      return { flow, app: appOf(flow), candidates: row.candidates }
    },

    fail: (id, failure, event, now, calls) =>
      write(() => {
        if (!isIn(id, "exchanging", "choosing")) return false
        change(id, { status: "failed", failure, completedAt: now, ...(calls && { calls }) })
        record(event)
        return true
      }),

    async findAbandoned(now, takenBefore, limit) {
      const rows = sql.abandoned.all({ now: now.getTime(), taken_before: takenBefore.getTime(), limit })
      return rows.map(fromRow)
    },

    abandon: (seen, failure, event, now) =>
      write(() => {
        const row = sql.find.get(oursWithId(seen, seen.id))
        if (!row || row.status !== seen.status) return false
        const status = abandonedAs[seen.status]
        if (!status) return false
        change(seen.id, { status, failure, completedAt: now })
        record(event)
        return true
      }),

    prune: (completedBefore, limit) =>
      write(() => sql.prune.run({ before: completedBefore.getTime(), limit }).changes),

    forgetUnconfirmed: (updatedUntil, limit) =>
      write(() => sql.forgetUnconfirmed.run({ until: updatedUntil.getTime(), limit }).changes),
  }
}

/** What an end, or a step on the way to it, changes of a flow. */
type FlowChange = Pick<ConnectFlow, "status"> &
  Partial<Pick<ConnectFlow, "failure" | "accountIds" | "calls" | "expiresAt" | "completedAt">>

const unchanged: Row = { failure: null, account_ids: null, calls: null, expires_at: null, completed_at: null }

function oldest(status: ConnectFlow["status"], time: string, until: string): string {
  return `select * from
    (select ${columns} from flows where status = '${status}' and ${time} <= ${until} order by ${time} limit $limit)`
}

/** As `flowStatus` of the domain judges it: what the clock has ended has ended, whether or not it is written down. */
const isWaiting = "status in ('pending', 'choosing', 'confirming')"
const isLost = "(status = 'exchanging' and taken_at is not null and taken_at <= $lost_until)"
const hasStatus = {
  pending: `((${isWaiting} and expires_at > $now) or (status = 'exchanging' and not ${isLost}))`,
  connected: "status = 'connected'",
  failed: `(status = 'failed' or ${isLost})`,
  expired: `(status = 'expired' or (${isWaiting} and expires_at <= $now))`,
} as const satisfies Record<FlowStatus, string>

function conditions({ provider, status, reason, oauthAppId, reference }: FlowFilter): string {
  const all = [owned]
  if (provider !== undefined) all.push("provider = $provider")
  if (status !== undefined) all.push(hasStatus[status])
  if (reason !== undefined) all.push("failure is not null and failure ->> '$.reason' = $reason")
  if (oauthAppId !== undefined) all.push("oauth_app_id = $oauth_app_id")
  if (reference !== undefined) all.push("reference = $reference")
  return all.join(" and ")
}

function filterParameters({ reason, now, ...exact }: FlowFilter): Row {
  return {
    ...toRow(exact),
    reason: reason ?? null,
    now: now.getTime(),
    lost_until: now.getTime() - exchangeLimitMs,
  }
}
