import type { Account, RefreshState, SealedCredentials } from "../../domain/account.ts"
import { exactText, searchFold, searchText, storable, storableText } from "../../domain/account-search.ts"
import type { EventType } from "../../domain/event.ts"
import type { AccountFilter, AccountPosition, Accounts, ConnectedAccount } from "../../ports/storage.ts"
import {
  type Changes,
  earlierFirst,
  type KeptAccount,
  kept,
  type Memory,
  own,
  ownedBy,
  type Tables,
} from "./tables.ts"

const newestLast = earlierFirst((account: Pick<Account, "id" | "connectedAt">) => account.connectedAt)

export function memoryAccounts({ tables, read }: Memory): Accounts {
  return {
    find: (owner, id) => read(() => own(owner, tables.accounts.get(exactText(id))?.account)),

    list: (owner, filter, { limit, after }) =>
      read(() => {
        const isOwn = ownedBy(owner)
        const position = after && { ...after, id: exactText(after.id) }
        const matching = [...tables.accounts.values()]
          .filter((row) => isOwn(row.account) && matches(row, filter))
          .map(({ account }) => account)
          .sort((a, b) => newestLast(b, a))
        const page = matching.filter((account) => isBehind(account, position))
        return { items: page.slice(0, limit), total: matching.length, more: page.length > limit }
      }),
  }
}

function matches(
  { account, search }: KeptAccount,
  { provider, health, reference, query }: AccountFilter,
): boolean {
  if (provider !== undefined && account.provider !== provider) return false
  if (health !== undefined && account.health !== health) return false
  if (reference !== undefined && account.reference !== storableText(reference)) return false
  return query === undefined || search.includes(searchFold(query))
}

function isBehind(account: Account, after: AccountPosition | undefined): boolean {
  return after === undefined || (account.id !== after.id && newestLast(account, after) < 0)
}

/**
 * Keeps one account and its event, within the write that it is part of. One that exists under its natural key
 * is updated in place, and its event is of the type `again`.
 */
export function keepAccount(
  { tables }: Memory,
  changes: Changes,
  given: ConnectedAccount,
  again: EventType,
): { readonly account: Account; readonly created: boolean } {
  const key = upstreamKey(given.account)
  const before = tables.accounts.get(tables.accountIds.get(key) ?? "")
  const created = before === undefined || before.account.health === "unconfirmed"
  const row = created ? fresh(given, before) : merged(before, given)
  const account = throughItsApp(tables, row.account)
  if (before) changes.put(tables.accounts, account.id, { ...row, account })
  else addAccount(tables, changes, { ...row, account })
  const type = created ? "account.connected" : again
  changes.insert(tables.events, given.event.id, kept({ ...given.event, type, accountId: account.id }))
  return { account, created }
}

/**
 * Keeps an account that nobody keeps until somebody confirms it. One that is held already is held for longer,
 * and for the newer flow; any other is left as it is.
 */
export function holdAccount(
  { tables }: Memory,
  changes: Changes,
  given: Omit<ConnectedAccount, "event">,
): void {
  const before = tables.accounts.get(tables.accountIds.get(upstreamKey(given.account)) ?? "")
  if (!before) {
    const row = fresh(given)
    addAccount(tables, changes, { ...row, account: throughItsApp(tables, row.account) })
  } else if (before.account.health === "unconfirmed") {
    const { healthDetail, reference, updatedAt } = given.account
    const account = kept({
      ...before.account,
      healthDetail,
      reference: reference ?? before.account.reference,
      updatedAt,
    })
    changes.put(tables.accounts, account.id, { ...before, account })
  }
}

function addAccount(tables: Tables, changes: Changes, row: KeptAccount): void {
  changes.insert(tables.accounts, row.account.id, row)
  changes.put(tables.accountIds, upstreamKey(row.account), row.account.id)
}

/** An app that is gone, or another owner's, is none. */
function throughItsApp(tables: Tables, account: Account): Account {
  const app = own(account, tables.apps.get(account.oauthAppId ?? ""))
  return { ...account, oauthAppId: app?.id ?? null }
}

/** Forgets an account, and that there ever was one of its natural key. */
export function forgetAccount({ tables }: Memory, changes: Changes, account: Account): void {
  changes.remove(tables.accounts, account.id)
  changes.remove(tables.accountIds, upstreamKey(account))
}

function upstreamKey({ tenant, environment, provider, platformAccountId }: Account): string {
  return JSON.stringify([tenant, environment, provider, exactText(platformAccountId)])
}

/** An account as it is given, under the id of the one that is there. Whoever was refreshing that has lost. */
function fresh(given: Omit<ConnectedAccount, "event">, before?: KeptAccount): KeptAccount {
  const account = kept(given.account)
  return {
    account: { ...account, id: before?.account.id ?? account.id },
    credentials: storable(given.credentials),
    plan: storable(given.plan),
    refresh: untouched(before ? before.refresh.fence + 1 : 0),
    search: searchText(account),
  }
}

/** An account that is connected again also keeps what the provider did not send anew. */
function merged(before: KeptAccount, given: ConnectedAccount): KeptAccount {
  const row = fresh(given, before)
  const { connectedAt, reference } = before.account
  return {
    ...row,
    account: { ...row.account, connectedAt, reference: row.account.reference ?? reference },
    credentials: mergedCredentials(before.credentials, row.credentials),
    plan: keepsToken(before.credentials, row.credentials) ? before.plan : row.plan,
  }
}

/** Nobody refreshes it, and nothing has failed. */
export function untouched(fence: number): RefreshState {
  return { fence, leaseUntil: null, sentAt: null, failures: 0, retryAt: null, lastFailure: null }
}

/** Whether a token of before stays in use. Then the plan does too: the given one was made without it. */
function keepsToken(before: SealedCredentials, given: SealedCredentials): boolean {
  return (
    (given.refreshToken === null && before.refreshToken !== null) ||
    (given.personToken === null && before.personToken !== null)
  )
}

/** The given credentials, and of those before the tokens that were not given anew. */
function mergedCredentials(before: SealedCredentials, given: SealedCredentials): SealedCredentials {
  const { refreshToken, refreshTokenExpiresAt, personToken, personTokenExpiresAt } = before
  return {
    ...given,
    ...(given.refreshToken === null && { refreshToken, refreshTokenExpiresAt }),
    ...(given.personToken === null && { personToken, personTokenExpiresAt }),
  }
}
