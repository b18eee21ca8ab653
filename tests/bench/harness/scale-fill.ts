import { Database } from "bun:sqlite"
import postgres from "postgres"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { say } from "./report.ts"
import { rounded } from "./statistics.ts"

/**
 * Accounts as they may stand in a service that has run for long, over 1,000 tenants. Each provider is in another
 * plight, so that one database shows them all:
 *
 * x          all are due at once, as after a long outage
 * tiktok     all are due, ten in eleven through one app
 * linkedin   all were due; but for twenty they are leased or wait for a retry
 * instagram  forty are due, the rest in time: an ordinary moment
 * facebook   nine in ten have been told that the person is needed, long ago
 */
export const moment = new Date("2026-06-01T12:00:00.000Z")

/** Has as many accounts whatever the others have: what others' rows cost it is what is measured. */
export const steadyTenant = "acme"
export const steadyAccounts = 500
/** Has a tenth of all accounts. */
export const largeTenant = "large"
/** One of the many among whom the rest is spread evenly. */
export const evenTenant = "tenant-0003"
const evenTenants = 998

/** One in ten of a tenant's accounts has it in its handle. */
export const searched = "needle"
/** The one that ten in eleven of TikTok's accounts belong to. */
export const greedyApp = "oa_tiktok_greedy"

const fullestChunk = 50_000

interface Dialect {
  /** A whole number with so many digits. */
  padded(number: string, digits: number): string
  /** Made-up sealed text. */
  secret(hexDigits: number): string
  /** From milliseconds. */
  time(ms: string): string
  json(text: string): string
}

const sqlite: Dialect = {
  padded: (number, digits) => `printf('%0${digits}d', ${number})`,
  secret: (hexDigits) => `'bench1.' || lower(hex(randomblob(${hexDigits / 2})))`,
  time: (ms) => `(${ms})`,
  json: (text) => `(${text})`,
}

const postgresql: Dialect = {
  padded: (number, digits) => `lpad((${number})::text, ${digits}, '0')`,
  secret: (hexDigits) =>
    `'bench1.' || ${Array.from({ length: hexDigits / 32 }, () => "md5(random()::text)").join(" || ")}`,
  time: (ms) => `to_timestamp((${ms}) / 1000.0)`,
  json: (text) => `(${text})::jsonb`,
}

const hour = 3_600_000
const day = 24 * hour
const now = moment.getTime()

/** In SQL over `n`, the row's number, and `k`, its number within its tenant, or `n` for the many. */
function columns(sql: Dialect): Readonly<Record<string, string>> {
  const byProvider = (values: Partial<Record<ProviderName, string>>) =>
    `case provider ${Object.entries(values)
      .map(([name, value]) => `when '${name}' then ${value}`)
      .join(" ")} end`
  const spreadMs = "(n % 864000) * 100"
  const isFree = "(k % 10 = 0 and n <= 1000)"
  return {
    id: `'acc_' || ${sql.padded("n", 12)} || substr(${sql.secret(32)}, 8, 24)`,
    tenant: "tenant",
    environment: "'live'",
    provider: "provider",
    platform_account_id: `${sql.padded("(n % 997) * 1000003", 12)} || ${sql.padded("n", 9)}`,
    handle: `case when k % 10 = 0 then '${searched}_' else 'handle_' end || ${sql.padded("n", 9)}`,
    display_name: `'Somebody of Number ' || ${sql.padded("n", 9)}`,
    avatar_url: `'https://pictures.example/' || ${sql.padded("n", 9)} || '/profile_normal.jpg'`,
    health: `case when provider = 'facebook' and k % 10 <> 0 then 'expiring'
      when k % 33 = 0 then 'reauthorization_required' when k % 50 = 0 then 'expiring'
      when k % 100 = 1 then 'refresh_unknown' else 'active' end`,
    connection_type: "'oauth'",
    oauth_app_id: `case when provider = 'tiktok' and k % 11 <> 0 then '${greedyApp}'
      else 'oa_' || provider || '_' || tenant end`,
    scopes: sql.json(`'["tweet.read","users.read","offline.access"]'`),
    missing_scopes: sql.json("'[]'"),
    reference: `case when k % 10 < 7 then 'user-' || ${sql.padded("k % 100", 9)} end`,
    metadata: sql.json(
      `'{"category":"Bird","person_id":"' || ${sql.padded("n", 9)} || '","profile":"https://social.example/' || ${sql.padded("n", 9)} || '"}'`,
    ),
    token_expires_at: sql.time(`${now + 2 * hour} + ${spreadMs}`),
    connected_at: sql.time(`${now - 400 * day} + n * 30`),
    updated_at: sql.time(`${now - 30 * day} + ${spreadMs}`),
    access_token: sql.secret(256),
    refresh_token: sql.secret(192),
    token_type: "'bearer'",
    search: `case when k % 10 = 0 then '${searched}_' else 'handle_' end || ${sql.padded("n", 9)}
      || 'somebody of number ' || ${sql.padded("n", 9)} || ' bird https://social.example/' || ${sql.padded("n", 9)}`,
    obtained_at: sql.time(`${now - 30 * day} + ${spreadMs}`),
    keep_alive_at: byProvider({
      x: sql.time(`${now - day} + ${spreadMs}`),
      tiktok: sql.time(`${now - day} + ${spreadMs}`),
      linkedin: sql.time(`${now - day} + ${spreadMs}`),
      instagram: `case when n <= 400 then ${sql.time(`${now - day} + ${spreadMs}`)}
        else ${sql.time(`${now + day} + (n % 60) * ${day}`)} end`,
    }),
    person_needed_at: byProvider({
      facebook: sql.time(`${now - 90 * day} + ${spreadMs}`),
      linkedin: `case when k % 20 = 7 then ${sql.time(`${now + 5 * day} + ${spreadMs}`)}
        else ${sql.time(`${now + 300 * day}`)} end`,
    }),
    retry_at: `case when provider = 'linkedin' and k % 2 = 1 and not ${isFree} then ${sql.time(`${now + 1000 * hour}`)} end`,
    lease_until: `case when provider = 'linkedin' and k % 2 = 0 and not ${isFree} then ${sql.time(`${now + 1000 * hour}`)} end`,
    failures: "case when provider = 'linkedin' and k % 2 = 1 then 4 else 0 end",
  }
}

/** An insert of the rows from one number to another, of so many in all. */
function insertOf(sql: Dialect, numbers: string, all: number): string {
  const step = Math.floor(all / steadyAccounts)
  const given = columns(sql)
  return `insert into accounts (${Object.keys(given).join(", ")})
    select ${Object.values(given).join(",\n")} from (
      select n, k, tenant, case when k * 37 % 100 < 20 then 'x' when k * 37 % 100 < 60 then 'tiktok'
        when k * 37 % 100 < 80 then 'linkedin' when k * 37 % 100 < 90 then 'instagram' else 'facebook' end as provider
      from (
        select n,
          case when n % ${step} = 0 then n / ${step} when n % 10 = 1 then n / 10 else n end as k,
          case when n % ${step} = 0 then '${steadyTenant}' when n % 10 = 1 then '${largeTenant}'
            else 'tenant-' || ${sql.padded(`n % ${evenTenants}`, 4)} end as tenant
        from (${numbers}) numbers
      ) placed
    ) named`
}

/** Every tenant has an app of every provider. */
function appRows(): readonly (readonly [string, string, string])[] {
  const even = Array.from({ length: evenTenants }, (_, i) => `tenant-${String(i).padStart(4, "0")}`)
  const own = [steadyTenant, largeTenant, ...even].flatMap((tenant) =>
    providerNames.map((provider) => [`oa_${provider}_${tenant}`, tenant, provider] as const),
  )
  return [...own, [greedyApp, largeTenant, "tiktok"]]
}

const appColumns = `id, tenant, provider, environment, name, client_id, client_secret, scopes, allowed_return_urls,
  is_default, options, created_at, updated_at`

/** Fills a migrated database that is empty. */
export function fillSqlite(path: string, accounts: number): void {
  const db = new Database(path, { readwrite: true, create: false })
  // Nobody needs the data after a crash, and it is to be there soon.
  for (const pragma of ["journal_mode = off", "synchronous = off", "cache_size = -1000000"])
    db.run(`pragma ${pragma}`)
  const addApp = db.query(
    `insert into oauth_apps (${appColumns})
     values (?, ?, ?, 'live', 'bench', 'made-up', 'made-up', '[]', '[]', 0, '{}', ${now}, ${now})`,
  )
  db.transaction(() => {
    for (const row of appRows()) addApp.run(...row)
  })()
  const progress = progressOf(`SQLite, ${accounts} accounts`, accounts)
  for (const [from, to] of chunksOf(accounts)) {
    const numbers = `with recursive count (n) as (
      select ${from} union all select n + 1 from count where n < ${to}) select n from count`
    db.run(insertOf(sqlite, numbers, accounts))
    progress(to)
  }
  db.run("pragma journal_mode = wal")
  db.close(true)
}

/** Fills a migrated database that is empty. Analyzed, it is as autovacuum leaves it in time. */
export async function fillPostgres(
  url: string,
  accounts: number,
  { analyzed }: { readonly analyzed: boolean },
): Promise<void> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} })
  try {
    await sql`set synchronous_commit = off`
    for (const [id, tenant, provider] of appRows())
      await sql.unsafe(
        `insert into oauth_apps (${appColumns})
         values ($1, $2, $3, 'live', 'bench', 'made-up', 'made-up', '[]', '[]', false, '{}', now(), now())`,
        [id, tenant, provider],
      )
    const progress = progressOf(`PostgreSQL, ${accounts} accounts`, accounts)
    for (const [from, to] of chunksOf(accounts)) {
      await sql.unsafe(
        insertOf(postgresql, `select n from generate_series(${from}::bigint, ${to}) n`, accounts),
      )
      progress(to)
    }
    if (!analyzed) return
    // A row whose commit is not on disk yet is not visible to all: the vacuum would mark no page of the last chunk.
    await sql`set synchronous_commit = on`
    await sql`analyze`
    await sql`vacuum`
  } finally {
    await sql.end({ timeout: 5 })
  }
}

function chunksOf(all: number): readonly (readonly [number, number])[] {
  return Array.from({ length: Math.ceil(all / fullestChunk) }, (_, i) => [
    i * fullestChunk + 1,
    Math.min(all, (i + 1) * fullestChunk),
  ])
}

const tellEveryMs = 5000

function progressOf(what: string, all: number): (done: number) => void {
  const startedAt = performance.now()
  let toldAt = startedAt
  return (done) => {
    const at = performance.now()
    if (at - toldAt < tellEveryMs && done < all) return
    toldAt = at
    say(`  ${what}: ${Math.floor((100 * done) / all)} % after ${rounded((at - startedAt) / 1000, 2)} s`)
  }
}
