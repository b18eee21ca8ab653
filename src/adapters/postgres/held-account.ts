import type { ISql } from "postgres"
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

/** Whether nobody's lease lives: it does until its end and not at it. */
export function isFree(sql: ISql, now: Date): Fragment {
  return sql`(lease_until is null or lease_until <= ${now})`
}
