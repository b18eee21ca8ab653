import type { Account, RefreshState, SealedCredentials } from "../../domain/account.ts"
import { exactText, searchFold, searchText, storable, storableText } from "../../domain/account-search.ts"
import type { EventType } from "../../domain/event.ts"
import type { AccountFilter, AccountPosition, Accounts, ConnectedAccount } from "../../ports/storage.ts"
import { type Changes, earlierFirst, type KeptAccount, kept, type Memory, own, ownedBy } from "./tables.ts"

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
  const row = merged(before, given)
  const app = own(row.account, tables.apps.get(row.account.oauthAppId ?? ""))
  const account = { ...row.account, oauthAppId: app?.id ?? null }
  if (before) changes.put(tables.accounts, account.id, { ...row, account })
  else changes.insert(tables.accounts, account.id, { ...row, account })
  changes.put(tables.accountIds, key, account.id)
  const type = before ? again : "account.connected"
  changes.insert(tables.events, given.event.id, kept({ ...given.event, type, accountId: account.id }))
  return { account, created: !before }
}

/** Forgets an account, and that there ever was one of its natural key. */
export function forgetAccount({ tables }: Memory, changes: Changes, account: Account): void {
  changes.remove(tables.accounts, account.id)
  changes.remove(tables.accountIds, upstreamKey(account))
}

function upstreamKey({ tenant, environment, provider, platformAccountId }: Account): string {
  return JSON.stringify([tenant, environment, provider, exactText(platformAccountId)])
}

/** An account that is connected again keeps its id, and what the provider did not send anew. */
function merged(before: KeptAccount | undefined, given: ConnectedAccount): KeptAccount {
  const account = kept(given.account)
  const credentials = storable(given.credentials)
  const plan = storable(given.plan)
  const search = searchText(account)
  if (!before) return { account, credentials, plan, refresh: untouched(0), search }
  const { id, connectedAt, reference } = before.account
  return {
    account: { ...account, id, connectedAt, reference: account.reference ?? reference },
    credentials: mergedCredentials(before.credentials, credentials),
    plan: keepsToken(before.credentials, credentials) ? before.plan : plan,
    refresh: untouched(before.refresh.fence + 1),
    search,
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
