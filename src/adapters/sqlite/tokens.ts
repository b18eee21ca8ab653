import type { Health } from "../../domain/account.ts"
import { exactText, storableText } from "../../domain/account-search.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type {
  AccountTokens,
  DueQuery,
  Lease,
  RefreshClaim,
  RenewedTokens,
  SettledRefresh,
} from "../../ports/storage.ts"
import { accountKeeper, untouched } from "./accounts.ts"
import { eventRecorder } from "./events.ts"
import { heldColumns, heldFinder, heldReader } from "./held-account.ts"
import { ours, oursWithId, owned, type Sqlite } from "./sqlite.ts"
import type { Statements } from "./statements.ts"
import { accountTable, credentialTable, planTable, type Row, refreshTable } from "./tables.ts"

export function sqliteTokens({ db, write, reads }: Sqlite): AccountTokens {
  const recordEvent = eventRecorder({ db })
  const keepAccount = accountKeeper({ db })
  const [find, toHeld] = [heldFinder({ db, reads }), heldReader({ db, reads })]
  const sql = statements(db)

  function record(event: DomainEvent | null): void {
    if (event) recordEvent(event)
  }

  /**
   * Those that wait longest. Where a few apps crowd out the others among these, every app of the provider is asked for
   * its own (an account's app is always of its own provider).
   */
  function findDue(due: DueQuery, at: Date): readonly Due[] {
    const { provider, limit, perApp, exceptApps } = due
    const [now, fewest] = [at.getTime(), limit * dueLookahead]
    const longest = sql.longestDue.all({ provider, now, limit: fewest })
    const places = new Map<string, number>()
    const fair = longest.filter(({ oauth_app_id: app }) => {
      if (app === null) return true
      const place = (places.get(app) ?? 0) + 1
      places.set(app, place)
      return place <= perApp && !exceptApps.includes(app)
    })
    return fair.length >= limit || longest.length < fewest ? fair.slice(0, limit) : findDueOfEachApp(due, now)
  }

  /** All of it is in one index: no account is read that is not claimed. */
  function findDueOfEachApp({ provider, limit, perApp, exceptApps }: DueQuery, now: number): readonly Due[] {
    const asked = { provider, now, limit, except_apps: JSON.stringify(exceptApps) }
    const apps = sql.longestWaitingApps.all(asked).filter(({ since }) => since !== null)
    const dueOf = (app: string | null, most: number) =>
      sql.longestDueOfApp.all({ provider, now, oauth_app_id: app, limit: most })
    return [...dueOf(null, limit), ...apps.flatMap(({ id }) => dueOf(id, perApp))]
      .toSorted((a, b) => a.due_at - b.due_at)
      .slice(0, limit)
  }

  return {
    async read(owner, id) {
      return find(owner, id)
    },

    claim: (claim, asked) =>
      write(() => {
        const row = sql.claim.get({ ...claimRow(claim), ...leaseRow(asked), now: asked.now.getTime() })
        return row ? toHeld(row) : undefined
      }),

    prolong: (claim, until) =>
      write(() => sql.prolong.run({ ...claimRow(claim), until: until.getTime() }).changes === 1),

    renew: (claim, renewed, event) =>
      write(() => {
        const row = sql.renew.get({ ...claimRow(claim), ...renewedRow(renewed) })
        if (!row) return undefined
        record(event)
        return accountTable.fromRow(row)
      }),

    settle: (claim, settled, event) =>
      write(() => {
        if (sql.settle.run({ ...claimRow(claim), ...settledRow(settled) }).changes === 0) return false
        record(event)
        return true
      }),

    claimDue: (due, asked) =>
      write(() => {
        const lease = leaseRow(asked)
        return findDue(due, asked.now).flatMap(({ place }) => sql.lease.all({ place, ...lease }).map(toHeld))
      }),

    async findChangedByClock(now, soon, limit) {
      return sql.findChangedByClock.all({ now: now.getTime(), soon: soon.getTime(), limit }).map(toHeld)
    },

    changeHealth: (seen, health, detail, event, now) =>
      write(() => {
        const changed = accountTable.toRow({ health, healthDetail: detail, updatedAt: now })
        const was = { ...claimRow(seen), seen_health: seen.health }
        if (sql.changeHealth.run({ ...was, ...changed }).changes === 0) return false
        record(event)
        return true
      }),

    noteLostGrants: ({ kept, ...grant }, detail, event, newEventId) =>
      write(() => {
        const told = accountTable.toRow({ healthDetail: detail, updatedAt: event.at })
        const lost = sql.noteLost.all({ ...personRow(grant), ...told, kept: JSON.stringify(kept) })
        for (const { id, reference } of lost) record({ ...event, id: newEventId(), accountId: id, reference })
        return lost.map(({ id }) => id)
      }),

    register: (account) => write(() => keepAccount(account, "account.updated")),

    remove: (owner, id, event) =>
      write(() => {
        if (sql.remove.run(oursWithId(owner, id)).changes === 0) return false
        record(event)
        return true
      }),

    async countOfPerson(grant) {
      return sql.countOfPerson.get(personRow(grant))?.accounts ?? 0
    },
  }
}

interface Due {
  /** Where its row is, which is nearer than its id. */
  readonly place: number
  readonly oauth_app_id: string | null
  readonly due_at: number
}

const dueColumns = "rowid as place, oauth_app_id, due_at"
/** How many times as many are looked at as are wanted, before every app is asked. */
const dueLookahead = 10

/** A claim that has ended, or that was overtaken, has no row. */
const holders = "id = $account_id and fence = $fence and lease_until is not null"
const isFree = "(lease_until is null or lease_until <= $now)"
const ofPerson = `${owned} and provider = $provider and oauth_app_id is $oauth_app_id
  and person_id = $person_id and health <> 'unconfirmed'`

function statements(db: Statements) {
  return {
    claim: db.query<Row, [Row]>(
      `update accounts set fence = fence + 1, lease_until = $until, sent_at = coalesce($sent_at, sent_at)
       where id = $account_id and fence = $fence and ${isFree} returning ${heldColumns}`,
    ),
    lease: db.query<Row, [Row]>(
      `update accounts set fence = fence + 1, lease_until = $until,
         sent_at = iif(refresh_token is null, sent_at, coalesce($sent_at, sent_at))
       where rowid = $place returning ${heldColumns}`,
    ),
    prolong: db.query<never, [Row]>(`update accounts set lease_until = $until where ${holders} returning id`),
    renew: db.query<Row, [Row]>(
      `update accounts set
         token_expires_at = $token_expires_at,
         scopes = coalesce($scopes, scopes),
         missing_scopes = coalesce($missing_scopes, missing_scopes),
         health = $health,
         health_detail = $health_detail,
         updated_at = $updated_at,
         access_token = $access_token,
         refresh_token = coalesce($refresh_token, refresh_token),
         refresh_token_expires_at = ${endOf("refresh_token")},
         person_token = coalesce($person_token, person_token),
         person_token_expires_at = ${endOf("person_token")},
         token_type = $token_type,
         obtained_at = $obtained_at,
         keep_alive_at = $keep_alive_at,
         person_needed_at = $person_needed_at,
         ${untouched}
       where ${holders} returning ${accountTable.columns}`,
    ),
    settle: db.query<never, [Row]>(
      `update accounts set
         health = $health,
         health_detail = $health_detail,
         updated_at = $updated_at,
         lease_until = null,
         sent_at = iif($unknown, sent_at, null),
         failures = $failures,
         retry_at = $retry_at,
         last_failure = $last_failure
       where ${holders} returning id`,
    ),
    longestDue: db.query<Due, [Row]>(
      `select ${dueColumns} from accounts where provider = $provider and due_at <= $now
       order by due_at limit $limit`,
    ),
    // One look into an index for each app. Apps of which nothing is due come last: left out, each would be looked at twice.
    longestWaitingApps: db.query<{ readonly id: string; readonly since: number | null }, [Row]>(
      `select app.id, (
         select due_at from accounts
         where oauth_app_id = app.id and provider = $provider and due_at <= $now
         order by due_at limit 1) as since
       from oauth_apps app
       where app.provider = $provider and app.id not in (select value from json_each($except_apps))
       order by since nulls last limit $limit`,
    ),
    longestDueOfApp: db.query<Due, [Row]>(
      `select ${dueColumns} from accounts
       where oauth_app_id is $oauth_app_id and provider = $provider and due_at <= $now
       order by due_at limit $limit`,
    ),
    // A query for each range of an index, and each with a limit, since after an outage it may be everybody.
    findChangedByClock: db.query<Row, [Row]>(
      `select ${heldColumns} from accounts where id in (
         ${needingPerson("active", "$soon")}
         union ${needingPerson("expiring", "$now")}
         union ${needingPerson("refresh_unknown", "$now")}
         union select * from (
           select id from accounts
           where sent_at is not null and health in ('active', 'expiring') and lease_until <= $now
           order by lease_until limit $limit)
         limit $limit)`,
    ),
    changeHealth: db.query<never, [Row]>(
      `update accounts set health = $health, health_detail = $health_detail, updated_at = $updated_at
       where id = $account_id and fence = $fence and health = $seen_health
       returning id`,
    ),
    noteLost: db.query<{ readonly id: string; readonly reference: string | null }, [Row]>(
      `update accounts set health_detail = $health_detail, updated_at = $updated_at
       where ${ofPerson} and health_detail is not $health_detail
         and platform_account_id not in (select value from json_each($kept))
       returning id, reference`,
    ),
    remove: db.query<never, [Row]>(`delete from accounts where ${owned} and id = $id returning id`),
    countOfPerson: db.query<{ accounts: number }, [Row]>(
      `select count(*) as accounts from accounts where ${ofPerson}`,
    ),
  }
}

function needingPerson(health: Health, until: string): string {
  return `select * from (
    select id from accounts
    where health = '${health}' and (provider <> 'facebook' or health = 'active')
      and person_needed_at <= ${until} and ${isFree}
    order by person_needed_at limit $limit)`
}

/** Unlike a new grant, a renewal may tell anew when a token ends that it leaves in place. */
function endOf(token: "refresh_token" | "person_token"): string {
  const [given, held] = [`$${token}_expires_at`, `${token}_expires_at`]
  return `iif($${token} is null, coalesce(${given}, ${held}), ${given})`
}

function claimRow({ accountId, fence }: RefreshClaim): Row {
  return { account_id: exactText(accountId), fence }
}

function leaseRow({ now, until, risky }: Lease): Row {
  return { until: until.getTime(), sent_at: risky ? now.getTime() : null }
}

function renewedRow({ credentials, plan, scopes, missingScopes, at, ...given }: RenewedTokens): Row {
  const { tokenExpiresAt, health, healthDetail } = given
  return {
    ...credentialTable.toRow(credentials),
    ...planTable.toRow(plan),
    ...accountTable.toRow({ tokenExpiresAt, health, healthDetail, updatedAt: at }),
    scopes: null,
    missing_scopes: null,
    ...accountTable.toRow({ ...(scopes && { scopes }), ...(missingScopes && { missingScopes }) }),
  }
}

function settledRow({ health, healthDetail, reason, failures, retryAt, unknown, at }: SettledRefresh): Row {
  return {
    ...accountTable.toRow({ health, healthDetail, updatedAt: at }),
    ...refreshTable.toRow({ failures, retryAt, lastFailure: reason }),
    unknown: unknown ? 1 : 0,
  }
}

type Grant = Parameters<AccountTokens["countOfPerson"]>[0]

function personRow({ owner, provider, oauthAppId, personId }: Grant): Row {
  return {
    ...ours(owner),
    provider,
    oauth_app_id: oauthAppId,
    person_id: storableText(personId),
  }
}
