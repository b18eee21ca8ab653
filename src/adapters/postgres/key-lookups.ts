import type { Sql } from "postgres"
import { exactText } from "../../domain/account-search.ts"
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

export function keyLookups(sql: Sql): KeyLookups {
  const lookups = (statement: string, read: ReadAnswer) =>
    batched<Lookup, KeyWithNeed>((asked) => lookUp(sql, statement, read, asked))
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

/** In the order of what was asked. Look-ups that are the same share a row, as those of a busy key for its default app. */
async function lookUp(
  sql: Sql,
  statement: string,
  read: ReadAnswer,
  asked: readonly Lookup[],
): Promise<readonly (KeyWithNeed | undefined)[]> {
  const distinct = [...firstOfEach(asked, ({ name }) => name).values()]
  const rows = await runBatch<{ answer: Answer }>(sql, statement, [
    textArray(distinct.map(({ keyId }) => keyId)),
    textArray(distinct.map(({ wanted }) => wanted)),
  ])
  const found = new Map(rows.map(({ answer }, i) => [distinct[i]?.name, readFound(answer, read)]))
  return asked.map(({ name }) => found.get(name))
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
    left join lateral (select ${columns} from ${table} where ${condition} limit 1) ${alias}
      on ${alias}.tenant = key.tenant and ${alias}.environment = key.environment`
}

function statementOf(answered: readonly string[], sources: string): string {
  return `
    select json_build_array(${[...keyTable.answered("key"), ...answered]}) as answer
    from ${askedWith("key_id", "wanted")}
    left join lateral (select ${keyTable.columns} from api_keys where id = key_id limit 1) key on true
    ${sources}
    order by place`
}

const appWhere = (condition: string) => oneOfOwner("app", "oauth_apps", appTable.columns, condition)
const withApp = statementOf(appTable.answered("app"), appWhere("id = wanted"))
const withDefaultApp = statementOf(
  appTable.answered("app"),
  appWhere("tenant = key.tenant and environment = key.environment and provider = wanted and is_default"),
)
const withAccount = statementOf(
  [...tokenAccountTable.answered("account"), ...credentialTable.answered("account")],
  oneOfOwner(
    "account",
    "accounts",
    [...tokenAccountTable.columns, ...credentialTable.columns],
    "id = wanted",
  ),
)
