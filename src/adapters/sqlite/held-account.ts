import type { Owner } from "../../domain/owner.ts"
import type { HeldAccount } from "../../ports/storage.ts"
import { appFinder } from "./apps.ts"
import { oursWithId, owned, type Sqlite } from "./sqlite.ts"
import { accountTable, credentialTable, planTable, type Row, refreshTable } from "./tables.ts"

const tables = [accountTable, credentialTable, refreshTable, planTable]

/** All that {@link heldReader} reads. */
export const heldColumns = tables.map(({ columns }) => columns).join(", ")

/** Makes an account of its row, with its app as it is now. */
export function heldReader(sqlite: Pick<Sqlite, "db" | "reads">): (row: Row) => HeldAccount {
  const findApp = appFinder(sqlite)
  return (row) => {
    const account = accountTable.fromRow(row)
    return {
      account,
      credentials: credentialTable.fromRow(row),
      refresh: refreshTable.fromRow(row),
      plan: planTable.fromRow(row),
      app: account.oauthAppId === null ? null : (findApp(account, account.oauthAppId) ?? null),
    }
  }
}

/** How an account is found for its token; outside a write it is remembered until its row changes. */
export function heldFinder(
  sqlite: Pick<Sqlite, "db" | "reads">,
): (owner: Owner, id: string) => HeldAccount | undefined {
  const find = sqlite.db.query<Row, [Row]>(`select ${heldColumns} from accounts where ${owned} and id = $id`)
  const read = heldReader(sqlite)
  return (owner, id) => {
    const held = sqlite.reads.remember(accountName(id), () => {
      const row = find.get(oursWithId(owner, id))
      return row ? read(row) : undefined
    })
    return held && isOf(owner, held) ? held : undefined
  }
}

/** The name under which a read account is remembered. Ids come from outside, so no two kinds share a name. */
export function accountName(id: string): string {
  return `account ${id}`
}

function isOf({ tenant, environment }: Owner, { account }: HeldAccount): boolean {
  return account.tenant === tenant && account.environment === environment
}
