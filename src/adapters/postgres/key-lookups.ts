import type { Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
import { type Recent, recent } from "../../domain/recent.ts"
import type { FirstNeed, KeyWithNeed } from "../../ports/storage.ts"
import { askedWith, firstOfEach, runBatch, textArray } from "./batch-statements.ts"
import { type Batching, batched } from "./batched.ts"
import { appAmong } from "./connection.ts"
import { appTable, credentialTable, keyTable, tokenAccountTable } from "./tables.ts"

/** Look-ups of keys with what their calls need first: those of one moment and one kind are one statement. */
export interface KeyLookups extends Batching {
  /** Throws `RangeError` at once for an id that cannot be one. */
  find(keyId: string, need: FirstNeed): Promise<KeyWithNeed | undefined>
}

interface Lookup {
  /** The same for look-ups that are the same. */
  readonly name: string
  readonly keyId: string
  /** The id of an app or of an account, or the provider whose default app is wanted. */
  readonly wanted: string
}

/** So many of a kind at the least, and twice as many at the most: an account takes 2 KB, with the longest tokens 40. */
const fewestRemembered = 2_000

export function keyLookups(sql: Sql): KeyLookups {
  const lookups = (statement: string, read: ReadAnswer) => {
    const remembered = recent<Remembered>(fewestRemembered)
    return batched<Lookup, KeyWithNeed>((asked) => lookUp(sql, { statement, read, remembered }, asked))
  }
  const defaultApps = lookups(withDefaultApp, keyAndApp)
  const apps = lookups(withApp, keyAndApp)
  const accounts = lookups(withAccount, keyAndAccount)
  return {
    find(id, need) {
      const keyId = exactText(id)
      if (need.kind === "account") return accounts.ask(lookupOf(keyId, exactText(need.id)))
      if (need.id === null) return defaultApps.ask(lookupOf(keyId, need.provider))
      return apps.ask(lookupOf(keyId, exactText(need.id)))
    },
    async close() {
      await Promise.all([defaultApps.close(), apps.close(), accounts.close()])
    },
  }
}

/** What was found, and which writes it was the outcome of: see {@link version}. */
interface Remembered {
  readonly version: string
  readonly found: KeyWithNeed
}

interface Kind {
  readonly statement: string
  readonly read: ReadAnswer
  readonly remembered: Recent<Remembered>
}

/**
 * In the order of what was asked. Look-ups that are the same share a row, as those of a busy key for its default app.
 * What was found before is told by its version, and the server answers only what is not that any more: each time it
 * looks, but to write and read the same rows again was a third of what a token read cost it and us.
 */
async function lookUp(
  sql: Sql,
  { statement, read, remembered }: Kind,
  asked: readonly Lookup[],
): Promise<readonly (KeyWithNeed | undefined)[]> {
  const distinct = [...firstOfEach(asked, ({ name }) => name).values()]
  const held = distinct.map(({ name }) => remembered.get(name))
  const rows = await runBatch<Changed>(sql, statement, [
    textArray(distinct.map(({ keyId }) => keyId)),
    textArray(distinct.map(({ wanted }) => wanted)),
    textArray(held.map((one) => one?.version ?? null)),
  ])
  const found = new Map(distinct.map(({ name }, i) => [name, held[i]?.found]))
  for (const { place, version, answer } of rows) {
    const name = distinct[place - 1]?.name ?? ""
    const changed = readFound(answer, read)
    found.set(name, changed)
    if (changed) remembered.set(name, { version, found: changed })
  }
  return asked.map(({ name }) => found.get(name))
}

/** A row of the answer: which of those that were asked for, from 1 on, and what it is by now. */
interface Changed {
  readonly place: number
  readonly version: string
  readonly answer: Answer
}

/** No id has a NUL. */
function lookupOf(keyId: string, wanted: string): Lookup {
  return { name: `${keyId}\0${wanted}`, keyId, wanted }
}

/** A row as one JSON array: the values of the key, then of the app or the account, each null where there is none. */
type Answer = readonly unknown[]
type ReadAnswer = (answer: Answer) => Pick<KeyWithNeed, "app" | "account">

const needAt = keyTable.columns.length
const credentialsAt = needAt + tokenAccountTable.columns.length

function readFound(answer: Answer, read: ReadAnswer): KeyWithNeed | undefined {
  return answer[0] === null ? undefined : { key: keyTable.fromValues(answer, 0), ...read(answer) }
}

function keyAndApp(answer: Answer) {
  return { app: appAmong(answer, needAt), account: null }
}

function keyAndAccount(answer: Answer) {
  if (answer[needAt] === null) return { app: null, account: null }
  const account = tokenAccountTable.fromValues(answer, needAt)
  return { app: null, account: { account, credentials: credentialTable.fromValues(answer, credentialsAt) } }
}

/**
 * Each source is looked up by its own key, one row at a time, and judged only then to be the owner's. Asked for both at
 * once, a planner that knows nothing of the table yet takes an index of the tenant, and reads all its accounts for each:
 * with a hundred of them that was twice the server's time.
 */
function oneOfOwner(alias: string, table: string, columns: readonly string[], condition: string): string {
  return `
    left join lateral (select ${columns}, xmin from ${table} where ${condition} limit 1) ${alias}
      on ${alias}.tenant = key.tenant and ${alias}.environment = key.environment`
}

/**
 * A row is what the transaction made of it that wrote it last, which PostgreSQL keeps with it as `xmin`, whoever writes.
 * After a crash, or on a server that takes over, numbers of transactions that were seen may come again where commits do
 * not wait for the disk. So a version holds until the server starts anew or recovers, which forgets its statistics; and
 * for less than the four billion transactions after which all numbers do.
 */
function version(need: string): string {
  return `concat_ws(' ', (select ${serverRun}), key.xmin, ${need}.xmin)`
}

const serverRun = `concat_ws(' ', date_part('epoch', pg_postmaster_start_time()),
  date_part('epoch', pg_stat_get_bgwriter_stat_reset_time()))`

function statementOf(need: string, answered: readonly string[], source: string): string {
  return `
    select place::integer, version, json_build_array(${[...keyTable.answered("key"), ...answered]}) as answer
    from ${askedWith("key_id", "wanted", "known")}
    left join lateral (select ${keyTable.columns}, xmin from api_keys where id = key_id limit 1) key on true
    ${source}
    cross join lateral (select ${version(need)} as version) now
    where version is distinct from known`
}

const appWhere = (condition: string) => oneOfOwner("app", "oauth_apps", appTable.columns, condition)
const withApp = statementOf("app", appTable.answered("app"), appWhere("id = wanted"))
const withDefaultApp = statementOf(
  "app",
  appTable.answered("app"),
  appWhere("tenant = key.tenant and environment = key.environment and provider = wanted and is_default"),
)
const withAccount = statementOf(
  "account",
  [...tokenAccountTable.answered("account"), ...credentialTable.answered("account")],
  oneOfOwner(
    "account",
    "accounts",
    [...tokenAccountTable.columns, ...credentialTable.columns],
    "id = wanted",
  ),
)
