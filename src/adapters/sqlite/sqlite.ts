import { exactText } from "../../domain/account-search.ts"
import type { Owner } from "../../domain/owner.ts"
import type { GroupCommit } from "./group-commit.ts"
import type { Statements } from "./statements.ts"
import type { Row } from "./tables.ts"
import type { TurnReads } from "./turn-reads.ts"

/** An open database. Reads run at once on `db`, the busiest within `reads`; whatever changes something is a `write`. */
export interface Sqlite {
  readonly db: Statements
  readonly write: GroupCommit["write"]
  readonly reads: TurnReads
}

/** The condition that every look-up has; {@link ours} has its parameters. */
export const owned = "tenant = $tenant and environment = $environment"

/** The parameters that every look-up has. */
export function ours(owner: Owner): Row {
  return { tenant: exactText(owner.tenant), environment: owner.environment }
}

/** The parameters of a look-up of one row. */
export function oursWithId(owner: Owner, id: string): Row {
  return { ...ours(owner), id: exactText(id) }
}
