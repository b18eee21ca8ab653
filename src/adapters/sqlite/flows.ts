import { exactText, refuseTwins, storableText } from "../../domain/account-search.ts"
import { abandonedAs, type ConnectFlow, hasExpired } from "../../domain/connect-flow.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Sealed } from "../../domain/sealed.ts"
import type { ConnectFlows } from "../../ports/storage.ts"
import { accountKeeper } from "./accounts.ts"
import { eventRecorder } from "./events.ts"
import { oursWithId, owned, type Sqlite } from "./sqlite.ts"
import { appTable, flowTable, type Row } from "./tables.ts"

const { columns, parameters, toRow, fromRow } = flowTable

export function sqliteFlows({ db, write }: Sqlite): ConnectFlows {
  const record = eventRecorder({ db })
  const keepAccount = accountKeeper({ db })
  const sql = {
    insert: db.query<never, [Row]>(`insert into flows (${columns}) values (${parameters})`),
    find: db.query<Row, [Row]>(`select ${columns} from flows where ${owned} and id = $id`),
    findById: db.query<Row, [Row]>(`select ${columns} from flows where id = $id`),
    findApp: db.query<Row, [Row]>(
      `select ${appTable.columns} from oauth_apps where ${owned} and id = $oauth_app_id`,
    ),
    change: db.query<never, [Row]>(
      `update flows set status = $status, failure = $failure, account_ids = $account_ids,
         taken_at = $taken_at, completed_at = $completed_at, candidates = null where id = $id`,
    ),
    offer: db.query<never, [Row]>(
      `update flows set status = 'choosing', candidates = $candidates, expires_at = $expires_at
       where id = $id and status = 'exchanging'`,
    ),
    findOffered: db.query<Row & { readonly candidates: Sealed }, [Row]>(
      `select ${columns}, candidates from flows where id = $id and status = 'choosing'`,
    ),
    // Several queries in one, so that each uses the partial index of its status.
    abandoned: db.query<Row, [Row]>(
      `select ${columns} from flows where status = 'pending' and expires_at <= $now
       union all
       select ${columns} from flows where status = 'choosing' and expires_at <= $now
       union all
       select ${columns} from flows where status = 'exchanging' and taken_at <= $taken_before
       order by created_at, id limit $limit`,
    ),
    prune: db.query<never, [Row]>(
      `delete from flows where id in
         (select id from flows where completed_at < $before order by completed_at limit $limit)`,
    ),
  }

  function findById(id: string): ConnectFlow | undefined {
    const row = sql.findById.get({ id: exactText(id) })
    return row ? fromRow(row) : undefined
  }

  function findApp(flow: ConnectFlow): OAuthApp | null {
    const row = flow.oauthAppId === null ? null : sql.findApp.get(toRow(flow))
    return row ? appTable.fromRow(row) : null
  }

  function findTaken(id: string): ConnectFlow | undefined {
    const flow = findById(id)
    return flow?.status === "exchanging" || flow?.status === "choosing" ? flow : undefined
  }

  /** Writes what taking and ending a flow may change, and forgets its candidates. */
  function change(flow: ConnectFlow): ConnectFlow {
    sql.change.run(toRow(flow))
    return flow
  }

  return {
    add: (flow) =>
      write(() => {
        sql.insert.run(toRow(flow))
      }),

    async find(owner, id) {
      const row = sql.find.get(oursWithId(owner, id))
      return row ? fromRow(row) : undefined
    },

    consume: (id, now) =>
      write(() => {
        const flow = findById(id)
        if (!flow) return undefined
        const app = findApp(flow)
        if (flow.status !== "pending" || hasExpired(flow, now)) return { taken: false, flow, app }
        return { taken: true, flow: change({ ...flow, status: "exchanging", takenAt: now }), app }
      }),

    connect: (id, accounts, now) =>
      write(() => {
        const flow = findTaken(id)
        if (!flow) return undefined
        refuseTwins(accounts.map(({ account }) => account))
        const kept = accounts.map((account) => keepAccount(account, "account.reconnected").account)
        change({
          ...flow,
          status: "connected",
          accountIds: kept.map((account) => account.id),
          completedAt: now,
        })
        return kept
      }),

    offer: (id, candidates, expiresAt) =>
      write(() => {
        const offered = { id: exactText(id), candidates: storableText(candidates) }
        return sql.offer.run({ ...offered, expires_at: expiresAt.getTime() }).changes === 1
      }),

    async findCandidates(id) {
      const row = sql.findOffered.get({ id: exactText(id) })
      if (!row) return undefined
      const flow = fromRow(row)
      return { flow, app: findApp(flow), candidates: row.candidates }
    },

    fail: (id, failure, event, now) =>
      write(() => {
        const flow = findTaken(id)
        if (!flow) return false
        change({ ...flow, status: "failed", failure, completedAt: now })
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
        change({ ...fromRow(row), status, failure, completedAt: now })
        record(event)
        return true
      }),

    prune: (completedBefore, limit) =>
      write(() => sql.prune.run({ before: completedBefore.getTime(), limit }).changes),
  }
}
