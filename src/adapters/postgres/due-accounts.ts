import type { Sql } from "postgres"
import type { DueQuery, HeldAccount, Lease } from "../../ports/storage.ts"
import { appOf, type Fragment, list } from "./connection.ts"
import { heldColumns, heldFrom, isFree } from "./held-account.ts"
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

/** One statement: chooses, locks what is still free of it, and claims that. A row that was lost has no `id`. */
async function claimChosen(
  sql: Sql,
  due: DueQuery,
  lease: Lease,
  lost: readonly string[],
): Promise<readonly Row[]> {
  const mayBeClaimed = isDue(sql, due, lease.now)
  return await sql<Row[]>`
    with due as (
      select id, oauth_app_id, least(keep_alive_at, sent_at) as since from accounts
      where ${mayBeClaimed} and id not in (select jsonb_array_elements_text(${sql.json(lost)}))
    ), ranked as (
      select id, since, oauth_app_id is null or ${due.perApp} >= row_number()
        over (partition by oauth_app_id order by since, id) as may_go
      from due
    ), chosen as materialized (
      select id as chosen_id, since from ranked where may_go order by since, id limit ${due.limit}
    ), free as materialized (
      select id from accounts where id in (select chosen_id from chosen) and ${mayBeClaimed}
      for update skip locked
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

function isDue(sql: Sql, { provider, exceptApps }: DueQuery, now: Date): Fragment {
  return sql`
    provider = ${provider} and health <> 'reauthorization_required' and health <> 'unconfirmed'
    and (keep_alive_at <= ${now} or sent_at is not null)
    and (retry_at is null or retry_at <= ${now}) and ${isFree(sql, now)}
    and coalesce(oauth_app_id, '') not in (select jsonb_array_elements_text(${sql.json(exceptApps)}))`
}
