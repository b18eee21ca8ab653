import { postgresAccounts } from "../../../src/adapters/postgres/accounts.ts"
import { postgresFlows } from "../../../src/adapters/postgres/flows.ts"
import { postgresKeys } from "../../../src/adapters/postgres/keys.ts"
import { postgresTokens } from "../../../src/adapters/postgres/tokens.ts"
import { sqliteAccounts } from "../../../src/adapters/sqlite/accounts.ts"
import { openDatabase } from "../../../src/adapters/sqlite/database.ts"
import { sqliteFlows } from "../../../src/adapters/sqlite/flows.ts"
import { groupCommit } from "../../../src/adapters/sqlite/group-commit.ts"
import { sqliteKeys } from "../../../src/adapters/sqlite/keys.ts"
import { preparedWhenAsked } from "../../../src/adapters/sqlite/statements.ts"
import { sqliteTokens } from "../../../src/adapters/sqlite/tokens.ts"
import { turnReads } from "../../../src/adapters/sqlite/turn-reads.ts"
import type { Storage } from "../../../src/ports/storage.ts"
import { notedPostgres, notedSqlite, type QueryPlan } from "../../adapters/query-plans.ts"
import type { Store } from "./mooring.ts"
import { type Filled, operations } from "./scale-operations.ts"

type Measured = Pick<Storage, "accounts" | "tokens" | "keys" | "flows">

interface Noted {
  readonly storage: Measured
  take(): Promise<readonly QueryPlan[]>
  end(): void | Promise<void>
}

/** How each operation that others' accounts may cost nothing is carried out, as the store itself tells. */
export async function plansOf(store: Store, place: string, filled: Filled): Promise<string> {
  const noted = store === "sqlite" ? onSqlite(place) : onPostgres(place)
  const lines: string[] = []
  try {
    for (const { name, run } of operations.filter(({ holds }) => holds)) {
      await run({ ...filled, storage: { ...filled.storage, ...noted.storage } })
      lines.push(`## ${name}`, "")
      for (const { statement, plan } of await noted.take()) lines.push(oneLine(statement), "", plan, "")
    }
  } finally {
    await noted.end()
  }
  return `${lines.join("\n")}\n`
}

function onPostgres(url: string): Noted {
  const noted = notedPostgres(url)
  const { sql } = noted
  return {
    storage: {
      accounts: postgresAccounts(sql),
      tokens: postgresTokens(sql),
      keys: postgresKeys(sql),
      flows: postgresFlows(sql),
    },
    take: () =>
      noted.plans(noted.take(), "explain (analyze, costs off, timing off, buffers off, summary off)"),
    end: noted.end,
  }
}

function onSqlite(path: string): Noted {
  const noted = notedSqlite(openDatabase(path))
  const { db } = noted
  const reads = turnReads(db)
  const opened = { db: preparedWhenAsked(db), write: groupCommit(db, reads.end).write, reads }
  return {
    storage: {
      accounts: sqliteAccounts(opened),
      tokens: sqliteTokens(opened),
      keys: sqliteKeys(opened),
      flows: sqliteFlows(opened),
    },
    take: async () => noted.plans(),
    end: () => db.close(),
  }
}

function oneLine(statement: string): string {
  return statement.replaceAll(/\s+/g, " ").trim()
}
