import type { Sql } from "postgres"
import type { DueQuery, HeldAccount, Lease } from "../../ports/storage.ts"
import { appOf, list } from "./connection.ts"
import { heldColumns, heldFrom } from "./held-account.ts"
import type { Row } from "./tables.ts"

/**
 * Claims what is due, and waits for nobody: what another instance claims at this moment is skipped. Who loses
 * all that it chose to others looks for more behind it, so that it gets nothing only where nothing is left.
 */
export async function claimDueAccounts(
  sql: Sql,
  due: DueQuery,
  lease: Lease,
): Promise<readonly HeldAccount[]> {
  const lost: string[] = []
  for (;;) {
    const chosen = await claimChosen(sql, due, lease, lost)
    const claimed = chosen.filter((row) => row.id !== null)
    if (claimed.length > 0 || chosen.length === 0) return claimed.map(heldFrom)
    lost.push(...chosen.map((row) => String(row.chosen_id)))
  }
}

/** How many times as many are looked at as are wanted, before every app is asked. */
const lookahead = 10

/** Of so many times as many apps as accounts are wanted it is found out first how long one must have waited. */
const sampled = 5

/** From when on an account may be claimed; null: never. Word for word as the indexes have it (005-scale.sql). */
const dueAt = `case
  when health not in ('reauthorization_required', 'unconfirmed') and coalesce(keep_alive_at, sent_at) is not null
  then greatest(least(keep_alive_at, sent_at), retry_at, lease_until) end`

/**
 * One statement: chooses, locks what is still free of it, and claims that. A row that was lost has no `id`.
 *
 * It looks at those that wait longest, a bounded number of them, which is enough unless a few apps crowd out all
 * others there. Only then is every app of the provider asked for the one that waits longest, one look into an index
 * each, and those apps whose have waited longest for more (an account's app is always of its own provider). So the
 * cost is that of what is claimed, however many are due.
 *
 * A look reads all on a page of the index that may be meant. Whoever is not among the longest of a few apps is not
 * among those of all, so a few are asked first, and of the others only what has waited as long: a look at one of a
 * thousand apps of a million accounts took 13 µs, and takes 6.
 */
async function claimChosen(
  sql: Sql,
  due: DueQuery,
  lease: Lease,
  lost: readonly string[],
): Promise<readonly Row[]> {
  // The planner cannot look at these, so that one plan holds for all of them, and each connection plans once.
  const [provider, now] = [sql`(select ${due.provider})`, sql`(select ${lease.now}::timestamptz)`]
  const [limit, perApp] = [sql`(select ${due.limit}::bigint)`, sql`(select ${due.perApp}::bigint)`]
  const many = sql`(select ${due.limit * lookahead}::bigint)`
  const few = sql`(select ${due.limit * sampled}::bigint)`
  const at = sql.unsafe(dueAt)
  const isDue = sql`provider = ${provider} and ${at} <= ${now}`
  const isLong = sql`provider = ${provider} and ${at} <= (
    select case when count(*) = ${limit} then max(since) else ${now} end from of_few_apps
  )`
  const isLost = sql`id in (select jsonb_array_elements_text(${sql.json(lost)}))`
  const isExcepted = (app: string) =>
    sql`${sql(app)} in (select jsonb_array_elements_text(${sql.json(due.exceptApps)}))`
  const isCrowded = sql`(select count(*) from longest) = ${many}
    and (select count(*) from fair) < ${limit}`
  return await sql<Row[]>`
    with longest as materialized (
      select id, oauth_app_id, ${at} as since from accounts where ${isDue} and not ${isLost}
      order by ${at} limit ${many}
    ), fair as materialized (
      select id, since from (
        select *, row_number() over (partition by oauth_app_id order by since) as place from longest
      ) placed
      where oauth_app_id is null or (place <= ${perApp} and not ${isExcepted("oauth_app_id")})
      order by since limit ${limit}
    ), of_few_apps as materialized (
      select head.since from (
        select id from oauth_apps where provider = ${provider} and not ${isExcepted("id")}
        limit ${few}
      ) app, lateral (
        select ${at} as since from accounts where oauth_app_id = app.id and ${isDue} and not ${isLost}
        order by ${at} limit 1
      ) head
      order by head.since limit ${limit}
    ), of_each_app as (
      select own.id, own.since from (
        select app.id, head.since from oauth_apps app, lateral (
          select ${at} as since from accounts where oauth_app_id = app.id and ${isLong} and not ${isLost}
          order by ${at} limit 1
        ) head
        where app.provider = ${provider} and not ${isExcepted("app.id")} and ${isCrowded}
        order by head.since limit ${limit}
      ) app, lateral (
        select id, ${at} as since from accounts where oauth_app_id = app.id and ${isLong} and not ${isLost}
        order by ${at} limit ${perApp}
      ) own
    ), of_no_app as (
      select id, ${at} as since from accounts
      where oauth_app_id is null and ${isDue} and not ${isLost} and ${isCrowded}
      order by ${at} limit ${limit}
    ), chosen as materialized (
      select id as chosen_id, since from (
        select * from fair where not (${isCrowded})
        union all select * from of_each_app union all select * from of_no_app
      ) found
      order by since limit ${limit}
    ), free as materialized (
      select own.id from chosen, lateral (
        select id from accounts where id = chosen_id and ${isDue} for update skip locked
      ) own
    ), claimed as (
      update accounts set fence = fence + 1, lease_until = ${lease.until},
        sent_at = case when refresh_token is null then sent_at
          else coalesce(${lease.risky ? lease.now : null}, sent_at) end
      where id in (select id from free)
      returning ${list(sql, heldColumns)}
    )
    select claimed.*, chosen_id, ${appOf(sql, "claimed")}
    from chosen left join claimed on claimed.id = chosen_id order by since, chosen_id`
}
