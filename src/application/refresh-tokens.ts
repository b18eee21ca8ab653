import type { Account, Health } from "../domain/account.ts"
import { type EventType, newEvent } from "../domain/event.ts"
import { type OAuthErrorReason, remedy } from "../domain/oauth-error.ts"
import { missingScopes, providerTitle } from "../domain/provider.ts"
import {
  healthByClock,
  refreshLeaseMs,
  refreshTimeLimitMs,
  renewalOf,
  retryAt,
  type TokenTimes,
} from "../domain/token-life.ts"
import type { Clock, SecretBox } from "../ports/crypto.ts"
import {
  type AppCredentials,
  ProviderFailure,
  type RefreshedTokens,
  type RefreshRequest,
} from "../ports/providers.ts"
import type {
  HeldAccount,
  RefreshClaim,
  RenewedTokens,
  SettledRefresh,
  Storage,
  StoredToken,
} from "../ports/storage.ts"
import { builtInCredentials, openCredentials } from "./app-credentials.ts"
import type { Ids } from "./ids.ts"
import { accountRow, planOf, sealTokens } from "./seal-account.ts"
import { type ProvidersByEnvironment, providersOf } from "./start-connect.ts"

export interface RefreshDeps {
  readonly tokens: Storage["tokens"]
  readonly box: SecretBox
  readonly providers: ProvidersByEnvironment
  readonly newId: Ids
  readonly now: Clock
  readonly random: () => number
  readonly wait: (ms: number) => Promise<void>
  readonly onFault: (fault: unknown, accountId: string) => void
}

/** How an attempt ended. `superseded`: a reconnect, a removal or a newer claim came first, and what is stored is theirs. */
export type RefreshOutcome = "renewed" | "refused" | "failed" | "superseded"

const prolongEveryMs = refreshLeaseMs / 3
const storeAgainMs = 250
const storeGiveUpMs = 5 * 60_000

export function tokenTimes({ account, credentials }: StoredToken): TokenTimes {
  return {
    provider: account.provider,
    obtainedAt: credentials.obtainedAt,
    expiresAt: account.tokenExpiresAt,
    hasRefreshToken: credentials.refreshToken !== null,
    refreshTokenExpiresAt: credentials.refreshTokenExpiresAt,
    personTokenExpiresAt: credentials.personTokenExpiresAt,
  }
}

/** Whether sending its refresh token puts it at risk: it works once, and the answer may be lost. */
export function isRisky(held: HeldAccount): boolean {
  return renewalOf(tokenTimes(held)) === "rotating"
}

/** Whether there is a client to refresh the account as; Instagram alone asks for none. */
export function canAuthenticate(held: HeldAccount): boolean {
  const { account, app } = held
  return (
    app !== null ||
    account.provider === "instagram" ||
    (account.environment === "test" && account.oauthAppId === null)
  )
}

/** The client that the account's tokens belong to; null where it has none, live. */
export async function openAppCredentials(box: SecretBox, held: HeldAccount): Promise<AppCredentials | null> {
  const { account, app } = held
  if (app) return openCredentials(box, app)
  return account.environment === "test" ? builtInCredentials(account.provider, account.tenant) : null
}

export function openToken(
  box: SecretBox,
  held: StoredToken,
  column: "access_token" | "refresh_token" | "person_token",
): Promise<string> | null {
  const { accessToken, refreshToken, personToken } = held.credentials
  const sealed = { access_token: accessToken, refresh_token: refreshToken, person_token: personToken }[column]
  if (sealed === null) return null
  const { account } = held
  const row = accountRow(account, account.platformAccountId)
  return box.open(sealed, { tenant: account.tenant, table: "accounts", row, column })
}

/** What the use cases that need fresh tokens share. */
export interface TokenDeps extends RefreshDeps {
  readonly refresher: Refresher
}

export interface Refresher {
  /**
   * Refreshes an account under a claim that the caller got from the store. What the provider gives is stored
   * before anyone sees it; what it refuses is judged only while the claim is still its own. Never rejects.
   */
  refresh(claimed: HeldAccount): Promise<RefreshOutcome>
  /** Claims the account as it was seen and refreshes it; does nothing where somebody else was first. */
  claimAndRefresh(seen: HeldAccount): Promise<void>
  /** Resolves when nothing of this is under way. A process that left before could lose a token it received. */
  settled(): Promise<void>
}

export function refresher(deps: RefreshDeps): Refresher {
  const underWay = new Set<Promise<unknown>>()
  const tracked = <Result>(work: Promise<Result>): Promise<Result> => {
    underWay.add(work)
    const forget = () => underWay.delete(work)
    work.then(forget, forget)
    return work
  }
  return {
    refresh: (claimed) => tracked(refreshUnderClaim(deps, claimed)),
    claimAndRefresh: (seen) => tracked(claimAndRefresh(deps, seen)),
    async settled() {
      while (underWay.size > 0) await Promise.allSettled(underWay)
    },
  }
}

async function claimAndRefresh(deps: RefreshDeps, seen: HeldAccount): Promise<void> {
  const now = deps.now()
  const claimed = await deps.tokens.claim(
    { accountId: seen.account.id, fence: seen.refresh.fence },
    { now, until: new Date(now.getTime() + refreshLeaseMs), risky: isRisky(seen) },
  )
  if (claimed) await refreshUnderClaim(deps, claimed, seen.refresh.sentAt !== null)
}

/** `doubted`: an earlier refresh was sent whose fate nobody knows, though the clock has not told of it yet. */
async function refreshUnderClaim(
  deps: RefreshDeps,
  claimed: HeldAccount,
  doubted = false,
): Promise<RefreshOutcome> {
  const claim: RefreshClaim = { accountId: claimed.account.id, fence: claimed.refresh.fence }
  const prolonging = prolongWhileWaiting(deps, claim)
  let sent = false
  try {
    const providers = await providersOf(deps.providers, claimed.account.environment)
    const request = await refreshRequest(deps, claimed)
    sent = true
    const given = await providers.refresh(request)
    return (await store(deps, claim, claimed, given)) ? "renewed" : "superseded"
  } catch (error) {
    if (!(error instanceof ProviderFailure)) deps.onFault(error, claim.accountId)
    return await settle(deps, claim, claimed, { error, sent, doubted })
  } finally {
    clearInterval(prolonging)
  }
}

/** A living holder keeps its lease however long the provider takes; a dead one loses it by itself. */
function prolongWhileWaiting(deps: RefreshDeps, claim: RefreshClaim) {
  return setInterval(() => {
    const until = new Date(deps.now().getTime() + refreshLeaseMs)
    // A failed prolongation is no reason to stop: the fence decides who may write.
    deps.tokens.prolong(claim, until).catch((fault: unknown) => deps.onFault(fault, claim.accountId))
  }, prolongEveryMs)
}

async function refreshRequest(deps: RefreshDeps, held: HeldAccount): Promise<RefreshRequest> {
  const { account, app } = held
  return {
    provider: account.provider,
    credentials: await openAppCredentials(deps.box, held),
    options: app?.options ?? {},
    accessToken: (await openToken(deps.box, held, "access_token")) ?? "",
    refreshToken: await openToken(deps.box, held, "refresh_token"),
    limitMs: refreshTimeLimitMs,
  }
}

/**
 * Keeps what the provider gave. A store that fails is tried again and again: this process is the only one that
 * knows the new token, and the old one works no more.
 */
async function store(
  deps: RefreshDeps,
  claim: RefreshClaim,
  held: HeldAccount,
  given: RefreshedTokens,
): Promise<Account | undefined> {
  const renewed = await sealRenewed(deps, held, given)
  const event =
    held.account.health === renewed.health
      ? null
      : accountEvent(deps, held.account, "account.updated", "The token was renewed.")
  const giveUpAt = deps.now().getTime() + storeGiveUpMs
  for (;;) {
    try {
      return await deps.tokens.renew(claim, renewed, event)
    } catch (error) {
      if (deps.now().getTime() >= giveUpAt) throw error
      deps.onFault(error, claim.accountId)
      await deps.wait(storeAgainMs)
    }
  }
}

async function sealRenewed(
  deps: RefreshDeps,
  held: HeldAccount,
  given: RefreshedTokens,
): Promise<RenewedTokens> {
  const { account, credentials } = held
  const now = deps.now()
  const row = accountRow(account, account.platformAccountId)
  // A rotated token has an end of its own, known or not; one that stays keeps the end it had.
  const isNew = isRisky(held) && given.refreshToken !== null
  const refreshTokenExpiresAt =
    given.refreshTokenExpiresAt ?? (isNew ? null : credentials.refreshTokenExpiresAt)
  const times: TokenTimes = {
    ...tokenTimes(held),
    obtainedAt: now,
    expiresAt: given.expiresAt,
    refreshTokenExpiresAt,
  }
  const requested = [...account.scopes, ...account.missingScopes]
  const plan = planOf(times, row)
  // Renewing does not move the day on which the person is needed: what was announced stays so.
  const needed = healthByClock({ ...account, health: "active", personNeededAt: plan.personNeededAt }, now)
  const staysExpiring = account.health === "expiring" && needed !== undefined
  return {
    credentials: await sealTokens(deps, account.tenant, row, {
      ...given,
      // An empty one would take the place of the good one we hold.
      refreshToken: given.refreshToken || null,
      refreshTokenExpiresAt,
      personToken: null,
      personTokenExpiresAt: credentials.personTokenExpiresAt,
    }),
    tokenExpiresAt: given.expiresAt,
    scopes: given.scopes,
    missingScopes: given.scopes && missingScopes(requested, given.scopes),
    health: staysExpiring ? "expiring" : "active",
    healthDetail: staysExpiring ? account.healthDetail : null,
    plan,
    at: now,
  }
}

/** Writes down a failed attempt, unless somebody else has the account by now: then their word stands. */
async function settle(
  deps: RefreshDeps,
  claim: RefreshClaim,
  held: HeldAccount,
  attempt: FailedAttempt,
): Promise<RefreshOutcome> {
  const verdict = judge(deps, held, attempt)
  try {
    const settled = await deps.tokens.settle(claim, verdict.settled, verdict.event)
    if (!settled) return "superseded"
  } catch (fault) {
    // Nothing is lost: the lease ends by itself, and the next one to need the token finds it as it is.
    deps.onFault(fault, claim.accountId)
  }
  return verdict.settled.health === "reauthorization_required" ? "refused" : "failed"
}

interface FailedAttempt {
  readonly error: unknown
  /** Whether the refresh token may have left this process. */
  readonly sent: boolean
  /** Whether the fate of an earlier one was unknown already. */
  readonly doubted: boolean
}

interface Verdict {
  readonly settled: SettledRefresh
  readonly event: ReturnType<typeof newEvent> | null
}

/** Only the provider's own word ends an account; a lost answer is said to be one; all else is tried again later. */
function judge(deps: RefreshDeps, held: HeldAccount, { error, sent, doubted }: FailedAttempt): Verdict {
  const { account, refresh } = held
  const now = deps.now()
  const reason: OAuthErrorReason = error instanceof ProviderFailure ? error.reason : "server_error"
  const failures = refresh.failures + 1
  const after = error instanceof ProviderFailure ? error.retryAfterSeconds : undefined
  if (reason === "reauth_required") {
    const detail = endedDetail(account)
    return {
      settled: {
        health: "reauthorization_required",
        healthDetail: detail,
        reason,
        failures,
        retryAt: null,
        unknown: false,
        at: now,
      },
      event: accountEvent(deps, account, "account.reauthorization_required", detail, reason),
    }
  }
  // A fault of our own after the sending leaves the same doubt as an answer that never came, and a doubt that
  // was there before stays until the provider accepts or refuses.
  const lost = sent && (!(error instanceof ProviderFailure) || error.fate === "unknown")
  const unknown = isRisky(held) && (lost || doubted || account.health === "refresh_unknown")
  const health: Health = unknown ? "refresh_unknown" : account.health
  const detail = unknown ? unknownDetail : failureDetail(account, reason)
  return {
    settled: {
      health,
      healthDetail: detail,
      reason,
      failures,
      retryAt: retryAt(failures, after, deps.random(), now),
      unknown,
      at: now,
    },
    event: health === account.health ? null : accountEvent(deps, account, "account.updated", detail, reason),
  }
}

export const unknownDetail =
  "A refresh was sent and its answer was lost, so the token may have been replaced by one that nobody holds. Mooring tries once more by itself; if that is refused, the person must connect again."

function endedDetail(account: Account): string {
  return `${providerTitle[account.provider]} refused to renew the token for good; ask the person to connect again with start?account_id=${account.id}.`
}

function failureDetail(account: Account, reason: OAuthErrorReason): string {
  return reason === "invalid_client"
    ? `The last refresh failed: ${remedy("invalid_client", account.provider)}`
    : `The last refresh failed (${reason}); it is tried again by itself.`
}

export function accountEvent(
  deps: { readonly newId: Ids; readonly now: Clock },
  account: Account,
  type: Extract<EventType, `account.${string}`>,
  detail: string,
  reason: OAuthErrorReason | null = null,
  actor = "system",
) {
  return newEvent(
    { id: deps.newId("evt"), type, at: deps.now(), actor, owner: account },
    {
      provider: account.provider,
      accountId: account.id,
      oauthAppId: account.oauthAppId,
      reference: account.reference,
      reason,
      detail,
    },
  )
}
