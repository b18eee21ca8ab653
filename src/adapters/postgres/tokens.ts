import type { Sql } from "postgres"
import { exactText, storableText } from "../../domain/account-search.ts"
import type { AccountTokens, RefreshClaim, RenewedTokens, SettledRefresh } from "../../ports/storage.ts"
import { appOf, type Fragment, list, ours, recordWith } from "./connection.ts"
import { claimDueAccounts } from "./due-accounts.ts"
import { heldColumns, heldFrom, isFree } from "./held-account.ts"
import { registerAccount } from "./keep-accounts.ts"
import { accountTable, credentialTable, eventTable, type JsonRow, planTable, type Row } from "./tables.ts"

type Grant = Parameters<AccountTokens["countOfPerson"]>[0]

/** Every method is one statement, but for `noteLostGrants`, which first looks up how many event ids it needs. */
export function postgresTokens(sql: Sql): AccountTokens {
  return {
    async read(owner, id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, heldColumns)}, ${appOf(sql, "accounts")} from accounts
        where ${ours(sql, owner)} and id = ${exactText(id)}`
      return row && heldFrom(row)
    },

    async claim({ accountId, fence }, lease) {
      const [row] = await sql<Row[]>`
        with claimed as (
          update accounts set fence = fence + 1, lease_until = ${lease.until},
            sent_at = coalesce(${lease.risky ? lease.now : null}, sent_at)
          where id = ${exactText(accountId)} and fence = ${fence} and ${isFree(sql, lease.now)}
          returning ${list(sql, heldColumns)}
        )
        select *, ${appOf(sql, "claimed")} from claimed`
      return row && heldFrom(row)
    },

    async prolong(claim, until) {
      const { count } = await sql`update accounts set lease_until = ${until} where ${isHeldBy(sql, claim)}`
      return count > 0
    },

    async renew(claim, renewed, event) {
      const [row] = await sql<Row[]>`
        with renewed as (
          update accounts set
            health = given.health,
            health_detail = given.health_detail,
            scopes = coalesce(given.scopes, accounts.scopes),
            missing_scopes = coalesce(given.missing_scopes, accounts.missing_scopes),
            token_expires_at = given.token_expires_at,
            updated_at = given.updated_at,
            access_token = given.access_token,
            refresh_token = coalesce(given.refresh_token, accounts.refresh_token),
            refresh_token_expires_at = ${endOf(sql, "refresh_token")},
            person_token = coalesce(given.person_token, accounts.person_token),
            person_token_expires_at = ${endOf(sql, "person_token")},
            token_type = given.token_type,
            obtained_at = given.obtained_at,
            keep_alive_at = given.keep_alive_at,
            person_needed_at = given.person_needed_at,
            lease_until = null, sent_at = null, failures = 0, retry_at = null, last_failure = null
          from jsonb_populate_record(null::accounts, ${sql.json(renewedRow(renewed))}) given
          where ${isHeldBy(sql, claim)}
          returning ${list(
            sql,
            accountTable.columns.map((column) => `accounts.${column}`),
          )}
        ) ${recordWith(sql, "renewed", event)}
        select * from renewed`
      return row && accountTable.fromRow(row)
    },

    async settle(claim, settled, event) {
      const rows = await sql`
        with settled as (
          update accounts set ${settlement(sql, settled)} where ${isHeldBy(sql, claim)} returning id
        ) ${recordWith(sql, "settled", event)}
        select from settled`
      return rows.length > 0
    },

    claimDue: (due, lease) => claimDueAccounts(sql, due, lease),

    async findChangedByClock(now, soon, limit) {
      // Three queries in one, so that each uses a partial index of its own.
      const rows = await sql<Row[]>`
        select ${list(sql, heldColumns)}, ${appOf(sql, "accounts")} from accounts where id in (
          (
            select id from accounts
            where health = 'active' and person_needed_at <= ${soon} and ${isFree(sql, now)}
            order by person_needed_at limit ${limit}
          ) union (
            select id from accounts
            where health <> 'reauthorization_required' and health <> 'unconfirmed' and provider <> 'facebook'
              and person_needed_at <= ${now} and ${isFree(sql, now)}
            order by person_needed_at limit ${limit}
          ) union (
            select id from accounts
            where health in ('active', 'expiring') and sent_at is not null and lease_until <= ${now}
            order by lease_until limit ${limit}
          )
          limit ${limit}
        )`
      return rows.map(heldFrom)
    },

    async changeHealth(seen, health, detail, event, now) {
      const rows = await sql`
        with changed as (
          update accounts set health = ${health}, health_detail = ${storableText(detail)}, updated_at = ${now}
          where id = ${exactText(seen.accountId)} and fence = ${seen.fence} and health = ${seen.health}
          returning id
        ) ${recordWith(sql, "changed", event)}
        select from changed`
      return rows.length > 0
    },

    async noteLostGrants({ kept, ...grant }, detail, event, newEventId) {
      const told = storableText(detail)
      const lost = sql`${standsOn(sql, grant)} and health_detail is distinct from ${told}
        and platform_account_id not in (select jsonb_array_elements_text(${sql.json(kept.map(storableText))}))`
      const found = await sql<{ id: string }[]>`select id from accounts where ${lost}`
      if (found.length === 0) return []
      const events = found.map(({ id }) => eventTable.toRow({ ...event, id: newEventId(), accountId: id }))
      // Locked in the order in which a connect locks, so that the two never wait in a circle.
      const noted = await sql<{ id: string }[]>`
        with event as (
          select value, value ->> 'account_id' as account_id from jsonb_array_elements(${sql.json(events)})
        ), lost as (
          select id from accounts where id in (select account_id from event) and ${lost}
          order by provider, platform_account_id for update
        ), noted as (
          update accounts set health_detail = ${told}, updated_at = ${event.at}
          where id in (select id from lost) returning id, reference
        ), recorded as (
          insert into events (${list(sql, eventTable.columns)})
          select ${list(
            sql,
            eventTable.columns.map((column) => `copy.${column}`),
          )}
          from noted join event on event.account_id = noted.id, jsonb_populate_record(
            null::events, event.value || jsonb_build_object('reference', noted.reference)
          ) copy
        )
        select id from noted order by id`
      return noted.map(({ id }) => id)
    },

    register: (account) => registerAccount(sql, account),

    async remove(owner, id, event) {
      const rows = await sql`
        with removed as (
          delete from accounts where ${ours(sql, owner)} and id = ${exactText(id)} returning id
        ) ${recordWith(sql, "removed", event)}
        select from removed`
      return rows.length > 0
    },

    async countOfPerson(grant) {
      const [row] = await sql<{ count: number }[]>`
        select count(*)::int as count from accounts where ${standsOn(sql, grant)}`
      return row?.count ?? 0
    },
  }
}

/** A claim that was ended is nobody's, though its fence is still the last. */
function isHeldBy(sql: Sql, { accountId, fence }: RefreshClaim): Fragment {
  return sql`accounts.id = ${exactText(accountId)} and accounts.fence = ${fence}
    and accounts.lease_until is not null`
}

/** Unlike a new grant, a renewal may tell anew when a token ends that it leaves in place. */
function endOf(sql: Sql, token: "refresh_token" | "person_token"): Fragment {
  const [given, held] = [sql(`given.${token}_expires_at`), sql(`accounts.${token}_expires_at`)]
  return sql`case when ${sql(`given.${token}`)} is null then coalesce(${given}, ${held}) else ${given} end`
}

function renewedRow({ credentials, plan, scopes, missingScopes, at, ...renewed }: RenewedTokens): JsonRow {
  const given = { ...(scopes && { scopes }), ...(missingScopes && { missingScopes }) }
  return {
    ...accountTable.toRow({ ...renewed, ...given, updatedAt: at }),
    ...credentialTable.toRow(credentials),
    ...planTable.toRow(plan),
  }
}

function settlement(sql: Sql, settled: SettledRefresh): Fragment {
  const { health, healthDetail, reason, failures, retryAt, unknown, at } = settled
  return sql`
    health = ${health}, health_detail = ${healthDetail && storableText(healthDetail)}, updated_at = ${at},
    last_failure = ${reason}, failures = ${failures}, retry_at = ${retryAt},
    sent_at = case when ${unknown} then sent_at end, lease_until = null`
}

/** The accounts of one person that one app was granted, unconfirmed ones left out. */
function standsOn(sql: Sql, grant: Grant): Fragment {
  const app = grant.oauthAppId && exactText(grant.oauthAppId)
  return sql`${ours(sql, grant.owner)} and provider = ${grant.provider}
    and person_id = ${storableText(grant.personId)} and oauth_app_id is not distinct from ${app}
    and health <> 'unconfirmed'`
}
