import type { Account, SealedCredentials } from "../../domain/account.ts"
import { exactText, storable, storableText } from "../../domain/account-search.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { Owner } from "../../domain/owner.ts"
import type {
  AccountTokens,
  DueQuery,
  HeldAccount,
  Lease,
  RefreshClaim,
  RenewedTokens,
  SettledRefresh,
} from "../../ports/storage.ts"
import { forgetAccount, keepAccount, untouched } from "./accounts.ts"
import { type Changes, type KeptAccount, kept, type Memory, own, ownedBy } from "./tables.ts"

export function memoryTokens(memory: Memory): AccountTokens {
  const { tables, read, write } = memory

  function find(owner: Owner, id: string): KeptAccount | undefined {
    const isOwn = ownedBy(owner)
    const row = tables.accounts.get(exactText(id))
    return row && isOwn(row.account) ? row : undefined
  }

  function holdersRow({ accountId, fence }: RefreshClaim): KeptAccount | undefined {
    const row = tables.accounts.get(exactText(accountId))
    return row && row.refresh.fence === fence && row.refresh.leaseUntil !== null ? row : undefined
  }

  function held({ account, credentials, refresh, plan }: KeptAccount): HeldAccount {
    const app = own(account, tables.apps.get(account.oauthAppId ?? "")) ?? null
    return { account, credentials, refresh, plan, app }
  }

  function lease(changes: Changes, row: KeptAccount, { now, until }: Lease, risky: boolean): HeldAccount {
    const { fence, sentAt } = row.refresh
    const leased = storable({ leaseUntil: until, sentAt: risky ? now : sentAt })
    const claimed = { ...row, refresh: { ...row.refresh, ...leased, fence: fence + 1 } }
    changes.put(tables.accounts, row.account.id, claimed)
    return held(claimed)
  }

  function record(changes: Changes, event: DomainEvent | null): void {
    if (event) changes.insert(tables.events, event.id, kept(event))
  }

  return {
    read: (owner, id) =>
      read(() => {
        const row = find(owner, id)
        return row && held(row)
      }),

    claim: ({ accountId, fence }, asked) =>
      write((changes) => {
        const row = tables.accounts.get(exactText(accountId))
        if (!row || row.refresh.fence !== fence || isLeased(row, asked.now)) return undefined
        return lease(changes, row, asked, asked.risky)
      }),

    prolong: (claim, until) =>
      write((changes) => {
        const row = holdersRow(claim)
        if (!row) return false
        const refresh = { ...row.refresh, leaseUntil: new Date(until) }
        changes.put(tables.accounts, claim.accountId, { ...row, refresh })
        return true
      }),

    renew: (claim, given, event) =>
      write((changes) => {
        const row = holdersRow(claim)
        if (!row) return undefined
        const renewed = renewedRow(row, storable(given))
        changes.put(tables.accounts, claim.accountId, renewed)
        record(changes, event)
        return renewed.account
      }),

    settle: (claim, settled, event) =>
      write((changes) => {
        const row = holdersRow(claim)
        if (!row) return false
        changes.put(tables.accounts, claim.accountId, settledRow(row, storable(settled)))
        record(changes, event)
        return true
      }),

    claimDue: (due, asked) =>
      write((changes) =>
        firstDue([...tables.accounts.values()], due, asked.now).map((row) =>
          lease(changes, row, asked, asked.risky && row.credentials.refreshToken !== null),
        ),
      ),

    findChangedByClock: (now, soon, limit) =>
      read(() =>
        [...tables.accounts.values()]
          .filter((row) => isChangedByClock(row, now, soon))
          .slice(0, limit)
          .map(held),
      ),

    changeHealth: (seen, health, detail, event, now) =>
      write((changes) => {
        const row = tables.accounts.get(exactText(seen.accountId))
        if (!row || row.refresh.fence !== seen.fence || row.account.health !== seen.health) return false
        const account = kept({ ...row.account, health, healthDetail: detail, updatedAt: now })
        changes.put(tables.accounts, account.id, { ...row, account })
        record(changes, event)
        return true
      }),

    noteLostGrants: ({ kept: granted, ...grant }, detail, event, newEventId) =>
      write((changes) => {
        const lost = accountsOfPerson(memory, grant).filter(
          ({ account }) =>
            !granted.includes(account.platformAccountId) && account.healthDetail !== storableText(detail),
        )
        return lost.map((row) => {
          const { id, reference } = row.account
          const account = kept({ ...row.account, healthDetail: detail, updatedAt: event.at })
          changes.put(tables.accounts, id, { ...row, account })
          record(changes, { ...event, id: newEventId(), accountId: id, reference })
          return id
        })
      }),

    register: (given) => write((changes) => keepAccount(memory, changes, given, "account.updated")),

    remove: (owner, id, event) =>
      write((changes) => {
        const row = find(owner, id)
        if (!row) return false
        forgetAccount(memory, changes, row.account)
        record(changes, event)
        return true
      }),

    countOfPerson: (grant) => read(() => accountsOfPerson(memory, grant).length),
  }
}

type Grant = Parameters<AccountTokens["countOfPerson"]>[0]

function accountsOfPerson(
  { tables }: Memory,
  { owner, provider, oauthAppId, personId }: Grant,
): readonly KeptAccount[] {
  const isOwn = ownedBy(owner)
  const person = storableText(personId)
  return [...tables.accounts.values()].filter(
    ({ account }) =>
      isOwn(account) &&
      account.provider === provider &&
      account.oauthAppId === oauthAppId &&
      account.metadata.person_id === person &&
      account.health !== "unconfirmed",
  )
}

/** A lease lives until its end and not at it. */
function isLeased({ refresh }: KeptAccount, now: Date): boolean {
  return refresh.leaseUntil !== null && refresh.leaseUntil > now
}

function renewedRow(row: KeptAccount, given: RenewedTokens): KeptAccount {
  const { scopes, missingScopes, tokenExpiresAt, health, healthDetail, at } = given
  const account: Account = {
    ...row.account,
    scopes: scopes ?? row.account.scopes,
    missingScopes: missingScopes ?? row.account.missingScopes,
    tokenExpiresAt,
    health,
    healthDetail,
    updatedAt: at,
  }
  return {
    ...row,
    account,
    credentials: renewedCredentials(row.credentials, given.credentials),
    plan: given.plan,
    refresh: untouched(row.refresh.fence),
  }
}

/** Unlike a new grant, a renewal may tell anew when a token ends that it leaves in place. */
function renewedCredentials(before: SealedCredentials, given: SealedCredentials): SealedCredentials {
  const { refreshToken, refreshTokenExpiresAt, personToken, personTokenExpiresAt } = given
  return {
    ...given,
    refreshToken: refreshToken ?? before.refreshToken,
    refreshTokenExpiresAt:
      refreshToken === null ? (refreshTokenExpiresAt ?? before.refreshTokenExpiresAt) : refreshTokenExpiresAt,
    personToken: personToken ?? before.personToken,
    personTokenExpiresAt:
      personToken === null ? (personTokenExpiresAt ?? before.personTokenExpiresAt) : personTokenExpiresAt,
  }
}

function settledRow(row: KeptAccount, settled: SettledRefresh): KeptAccount {
  const { health, healthDetail, reason, failures, retryAt, unknown, at } = settled
  const { fence, sentAt } = row.refresh
  return {
    ...row,
    account: { ...row.account, health, healthDetail, updatedAt: at },
    refresh: {
      fence,
      leaseUntil: null,
      sentAt: unknown ? sentAt : null,
      failures,
      retryAt,
      lastFailure: reason,
    },
  }
}

function firstDue(rows: readonly KeptAccount[], due: DueQuery, now: Date): readonly KeptAccount[] {
  const perApp = new Map<string, number>()
  return rows
    .filter((row) => isDue(row, due, now))
    .sort((a, b) => dueAt(a) - dueAt(b))
    .filter(({ account: { oauthAppId } }) => {
      if (oauthAppId === null) return true
      const before = perApp.get(oauthAppId) ?? 0
      perApp.set(oauthAppId, before + 1)
      return before < due.perApp
    })
    .slice(0, due.limit)
}

function isDue(row: KeptAccount, { provider, exceptApps }: DueQuery, now: Date): boolean {
  const { account } = row
  return (
    account.provider === provider &&
    account.health !== "reauthorization_required" &&
    account.health !== "unconfirmed" &&
    !exceptApps.includes(account.oauthAppId ?? "") &&
    dueAt(row) <= now.getTime()
  )
}

/** From when on it may be claimed; never is later than every moment. */
function dueAt({ plan, refresh }: KeptAccount): number {
  const asked = Math.min(plan.keepAliveAt?.getTime() ?? Infinity, refresh.sentAt?.getTime() ?? Infinity)
  return Math.max(asked, refresh.retryAt?.getTime() ?? 0, refresh.leaseUntil?.getTime() ?? 0)
}

function isChangedByClock(row: KeptAccount, now: Date, soon: Date): boolean {
  const { account, plan, refresh } = row
  const { health, provider } = account
  const neededBy = (time: Date) => plan.personNeededAt !== null && plan.personNeededAt <= time
  const died =
    (health === "active" || health === "expiring") &&
    refresh.sentAt !== null &&
    refresh.leaseUntil !== null &&
    !isLeased(row, now)
  const ended = health !== "reauthorization_required" && provider !== "facebook" && neededBy(now)
  if (isLeased(row, now) || health === "unconfirmed") return false
  return died || ended || (health === "active" && neededBy(soon))
}
