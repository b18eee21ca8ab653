import type { Account, Health } from "../domain/account.ts"
import type { Principal } from "../domain/api-key.ts"
import { notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { Signer } from "../ports/crypto.ts"
import type { AccountPosition, Storage } from "../ports/storage.ts"
import { signedCursors } from "./cursors.ts"

export interface AccountQuery {
  readonly provider?: ProviderName | undefined
  readonly health?: Health | undefined
  readonly reference?: string | undefined
  readonly q?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface AccountListing {
  readonly items: readonly Account[]
  readonly nextCursor: string | null
  readonly total: number
}

export interface ReadAccounts {
  get(principal: Principal, id: string): Promise<Account>
  /** Pages stay stable while accounts come and go. Rejects with `invalid_input` for a cursor that is not of this owner and filter. */
  list(principal: Principal, query: AccountQuery): Promise<AccountListing>
}

const defaultPageSize = 50

export function readAccounts(deps: {
  readonly accounts: Storage["accounts"]
  readonly signer: Signer
}): ReadAccounts {
  return {
    async get(principal, id) {
      const account = isId("acc", id) ? await deps.accounts.find(principal, id) : undefined
      if (!account) throw notFound("account")
      return account
    },

    async list(principal, query) {
      const filter = {
        ...(query.provider !== undefined && { provider: query.provider }),
        ...(query.health !== undefined && { health: query.health }),
        ...(query.reference !== undefined && { reference: query.reference }),
        ...(query.q !== undefined && query.q !== "" && { query: query.q }),
      }
      const cursors = signedCursors(deps.signer, JSON.stringify(["accounts", filter]))
      const after =
        query.cursor === undefined ? undefined : readPosition(cursors.read(principal, query.cursor))
      const page = await deps.accounts.list(principal, filter, {
        limit: query.limit ?? defaultPageSize,
        ...(after && { after }),
      })
      const last = page.items.at(-1)
      return {
        items: page.items,
        total: page.total,
        nextCursor: page.more && last ? cursors.write(principal, writePosition(last)) : null,
      }
    },
  }
}

function writePosition({ connectedAt, id }: AccountPosition): string {
  return `${connectedAt.getTime().toString(36)}.${id}`
}

function readPosition(text: string): AccountPosition {
  const [time = "", id = ""] = text.split(".")
  return { connectedAt: new Date(Number.parseInt(time, 36)), id }
}
