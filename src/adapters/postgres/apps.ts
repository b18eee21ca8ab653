import type { ISql, Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Owner } from "../../domain/owner.ts"
import type { OAuthApps, RemovedApp } from "../../ports/storage.ts"
import { type Fragment, list, ours, record, recordWith } from "./connection.ts"
import { appTable, type Row } from "./tables.ts"

const { columns, toRow, fromRow } = appTable

/**
 * Whoever may change which app is the default first waits for its turn at the owner's apps, and looks in a
 * statement that begins after that, so that it sees what the one before it did.
 */
export function postgresApps(sql: Sql): OAuthApps {
  return {
    async add(app, event) {
      const provider = sql`${ours(sql, app)} and provider = ${app.provider}`
      const isDefault = sql`${app.isDefault} or not exists (select from oauth_apps where ${provider})`
      const [, , [kept]] = await sql.begin((tx) => [
        waitForTurn(tx, app),
        tx`update oauth_apps set is_default = false where ${provider} and is_default and ${app.isDefault}`,
        tx<Row[]>`
          with kept as (
            insert into oauth_apps (${list(tx, columns)}) select ${list(tx, columns)}
            from jsonb_populate_record(
              null::oauth_apps,
              ${tx.json(toRow(app))} || jsonb_build_object('is_default', ${isDefault})
            )
            returning *
          ), recorded as (${record(tx, event)})
          select * from kept`,
      ])
      if (!kept) throw new Error("An insert returned no row.")
      return fromRow(kept)
    },

    async find(owner, id) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)} from oauth_apps where ${ours(sql, owner)} and id = ${exactText(id)}`
      return row && fromRow(row)
    },

    async findDefault(owner, provider) {
      const [row] = await sql<Row[]>`
        select ${list(sql, columns)} from oauth_apps
        where ${ours(sql, owner)} and provider = ${provider} and is_default`
      return row && fromRow(row)
    },

    async list(owner, provider) {
      const rows = await sql<Row[]>`
        select ${list(sql, columns)} from oauth_apps
        where ${ours(sql, owner)} ${provider === undefined ? sql`` : sql`and provider = ${provider}`}
        order by created_at, id`
      return rows.map(fromRow)
    },

    async change(owner, id, change, event) {
      const own = sql`${ours(sql, owner)} and id = ${exactText(id)}`
      const patch = toRow<Partial<OAuthApp>>(change)
      const changed = (tx: ISql): Fragment => tx`
        with changed as (
          update oauth_apps app set
            (name, client_secret, allowed_return_urls, scopes, options, updated_at) = (
              select name, client_secret, allowed_return_urls, scopes, options, updated_at
              from jsonb_populate_record(app, ${tx.json(patch)})
            ),
            is_default = is_default or ${change.isDefault === true}
          where ${own} returning *
        ) ${recordWith(tx, "changed", event)}
        select * from changed`
      const [row] = change.isDefault ? await promoted(sql, owner, own, changed) : await changed(sql)
      return row && fromRow(row)
    },

    async remove(owner, id, event) {
      const own = sql`${ours(sql, owner)} and id = ${exactText(id)}`
      const [, , [outcome]] = await sql.begin((tx) => [
        waitForTurn(tx, owner),
        // Waits for a connect that is about to use the app; one that comes later waits for us.
        tx`select from oauth_apps where ${own} for update`,
        tx<{ removed: boolean; found: boolean; accounts: number }[]>`
          with used as (
            select count(*)::int as accounts from accounts
            where oauth_app_id = (select id from oauth_apps where ${own})
          ), removed as (
            delete from oauth_apps where ${own} and (select accounts from used) = 0 returning id
          ) ${recordWith(tx, "removed", event)}
          select accounts, exists (select from removed) as removed,
            exists (select from oauth_apps where ${own}) as found
          from used`,
        promoteOldest(tx, owner),
      ])
      return removedApp(outcome)
    },
  }
}

function removedApp(outcome?: { removed: boolean; found: boolean; accounts: number }): RemovedApp {
  if (outcome?.removed) return { kind: "removed" }
  return outcome?.found ? { kind: "in_use", accounts: outcome.accounts } : { kind: "absent" }
}

function waitForTurn(tx: ISql, { tenant, environment }: Owner): Fragment {
  const turn = `mooring oauth_apps ${environment} ${exactText(tenant)}`
  return tx`select pg_advisory_xact_lock(hashtextextended(${turn}, 0))`
}

/** The others of the app's provider step down before it steps up, since at no moment may two be the default. */
async function promoted(
  sql: Sql,
  owner: Owner,
  own: Fragment,
  change: (tx: ISql) => Fragment,
): Promise<readonly Row[]> {
  const [, , rows] = await sql.begin((tx) => [
    waitForTurn(tx, owner),
    tx`
      update oauth_apps set is_default = false
      where ${ours(tx, owner)} and is_default
        and provider = (select provider from oauth_apps where ${own})`,
    change(tx),
  ])
  return rows
}

/** Gives every provider that lost its default the oldest app it has. */
function promoteOldest(tx: ISql, owner: Owner): Fragment {
  return tx`
    update oauth_apps set is_default = true where id in (
      select distinct on (provider) id from oauth_apps app
      where ${ours(tx, owner)} and not exists (
        select from oauth_apps other
        where other.tenant = app.tenant and other.environment = app.environment
          and other.provider = app.provider and other.is_default
      )
      order by provider, created_at, id
    )`
}
