import type { ISql } from "postgres"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { HeldAccount } from "../../ports/storage.ts"
import { appIn, type Fragment } from "./connection.ts"
import { accountTable, credentialTable, planTable, type Row, refreshTable } from "./tables.ts"

export const heldColumns: readonly string[] = [
  ...accountTable.columns,
  ...credentialTable.columns,
  ...refreshTable.columns,
  ...planTable.columns,
]

/** From a row of {@link heldColumns} and `app`. */
export function heldFrom(row: Row): HeldAccount {
  return {
    account: accountTable.fromRow(row),
    credentials: credentialTable.fromRow(row),
    refresh: refreshTable.fromRow(row),
    plan: planTable.fromRow(row),
    app: appIn(row),
  }
}

/** As {@link heldFrom}, from values that begin with those of {@link heldAnswered}. */
export function heldFromValues(values: readonly unknown[], at: number, app: OAuthApp | null): HeldAccount {
  return {
    account: accountTable.fromValues(values, at),
    credentials: credentialTable.fromValues(values, at + credentialsAt),
    refresh: refreshTable.fromValues(values, at + refreshAt),
    plan: planTable.fromValues(values, at + planAt),
    app,
  }
}

const credentialsAt = accountTable.columns.length
const refreshAt = credentialsAt + credentialTable.columns.length
const planAt = refreshAt + refreshTable.columns.length

/** SQL: what {@link heldFromValues} reads. */
export function heldAnswered(source: string): readonly string[] {
  return [accountTable, credentialTable, refreshTable, planTable].flatMap((table) => table.answered(source))
}

/** Whether nobody's lease lives: it does until its end and not at it. */
export function isFree(sql: ISql, now: Date): Fragment {
  return sql`(lease_until is null or lease_until <= ${now})`
}
