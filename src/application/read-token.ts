import type { Account } from "../domain/account.ts"
import type { Principal } from "../domain/api-key.ts"
import { ConnectError, notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import { remedy } from "../domain/oauth-error.ts"
import { providerTitle } from "../domain/provider.ts"
import {
  isDueWhenRead,
  isRenewable,
  isUsable,
  refreshLeaseMs,
  refreshTimeLimitMs,
  renewableFrom,
  renewalOf,
} from "../domain/token-life.ts"
import type { HeldAccount, StoredToken } from "../ports/storage.ts"
import { canAuthenticate, openToken, type RefreshDeps, type TokenDeps, tokenTimes } from "./refresh-tokens.ts"

export interface UsableToken {
  readonly accessToken: string
  readonly tokenType: string
  readonly account: StoredToken["account"]
}

export interface ReadTokens {
  /**
   * A usable access token, refreshed first when it is about to end. While it is valid it is served, whatever
   * happens to its refresh. Rejects with `not_found`, `unconfirmed`, `reauthorization_required`,
   * `refresh_unknown`, `invalid_client`, or `provider_unavailable` when no valid token is left. `known` is what the store
   * had a moment ago, null where it had no such account: it takes the place of a look where its token needs nothing.
   */
  read(principal: Principal, id: string, known?: StoredToken | null): Promise<UsableToken>
  /** Renews it now, or says why it cannot be: `not_renewable` and the rejections of `read`. */
  refresh(principal: Principal, id: string): Promise<Account>
}

/** A little longer than a refresh may take, so that waiting readers see its end. */
const patienceMs = refreshTimeLimitMs + refreshLeaseMs
const pollMs = 150
/** How long a reader who still has a valid token waits for a better one. */
const courtesyMs = 2_000

type Need = "serve" | "refresh" | "wait" | ConnectError

export function readTokens(deps: TokenDeps): ReadTokens {
  /** Of this process's readers of one account one asks the store and the provider; the others share its steps. */
  const shared = sharedSteps()

  const held = async (principal: Principal, id: string): Promise<HeldAccount> => {
    const found = isId("acc", id) ? await deps.tokens.read(principal, id) : undefined
    if (!found) throw notFound("account")
    return found
  }

  return {
    async read(principal, id, known) {
      if (known === null) throw notFound("account")
      const asked = deps.now()
      if (known && isFresh(known, asked)) return serve(deps, known)
      const until = asked.getTime() + patienceMs
      for (;;) {
        const account = await held(principal, id)
        const need = readerNeeds(account, deps.now())
        if (need instanceof ConnectError) throw need
        if (need === "serve") return serve(deps, account)
        const left = until - deps.now().getTime()
        if (left <= 0) throw unavailable(account, deps.now())
        const usable = isUsable(tokenTimes(account), deps.now())
        const step =
          need === "refresh"
            ? shared(id, () => deps.refresher.claimAndRefresh(account))
            : shared(`${id} wait`, () => deps.wait(pollMs))
        if (usable) {
          // A store that cannot claim is no reason to withhold a token that is still good.
          const harmless = step.catch((fault: unknown) => deps.onFault(fault, id))
          await Promise.race([harmless, deps.wait(courtesyMs)])
          const better = await held(principal, id)
          if (isUsable(tokenTimes(better), deps.now())) return serve(deps, better)
        } else {
          await within(left, step)
        }
      }
    },

    async refresh(principal, id) {
      const before = await held(principal, id)
      const until = deps.now().getTime() + patienceMs
      let account = before
      let mayTry = true
      // Sealed anew it is another text, even where the provider gave the same token back.
      while (account.credentials.accessToken === before.credentials.accessToken) {
        const need = forcedNeeds(account, deps.now())
        if (need instanceof ConnectError) throw need
        if (need === "refresh" && !mayTry) throw readerRefusal(account, deps.now())
        const left = until - deps.now().getTime()
        if (left <= 0) throw unavailable(account, deps.now())
        if (need === "refresh") {
          await within(
            left,
            shared(id, () => deps.refresher.claimAndRefresh(account)),
          )
          mayTry = false
        } else {
          await shared(`${id} wait`, () => deps.wait(pollMs))
        }
        account = await held(principal, id)
      }
      return account.account
    },
  }
}

async function serve(deps: RefreshDeps, held: StoredToken): Promise<UsableToken> {
  const accessToken = await openToken(deps.box, held, "access_token")
  if (accessToken === null) throw new Error("an account has no access token")
  return { accessToken, tokenType: held.credentials.tokenType, account: held.account }
}

/** Whether the token can be handed out as it is, whatever else is stored of its account. */
function isFresh(held: StoredToken, now: Date): boolean {
  const { health } = held.account
  if (health === "unconfirmed" || health === "reauthorization_required") return false
  const times = tokenTimes(held)
  return isUsable(times, now) && !isDueWhenRead(times, now)
}

/** What a reader must do to get a token, by what is stored and the clock. */
function readerNeeds(held: HeldAccount, now: Date): Need {
  const { account, refresh } = held
  if (account.health === "unconfirmed") return unconfirmed(account)
  if (account.health === "reauthorization_required") return ended(account)
  if (isFresh(held, now)) return "serve"
  const times = tokenTimes(held)
  const usable = isUsable(times, now)
  if (!canAuthenticate(held)) return usable ? "serve" : notRenewable(held, now)
  if (!isRenewable(times, now)) return usable ? "serve" : ended(account)
  if (isLeased(held, now)) return usable ? "serve" : "wait"
  if (refresh.retryAt !== null && refresh.retryAt > now && !credentialsChanged(held))
    return usable ? "serve" : readerRefusal(held, now)
  return "refresh"
}

/** As for a reader, but back-off does not hold a forced refresh, and what cannot be renewed is said. */
function forcedNeeds(held: HeldAccount, now: Date): Need {
  const { account } = held
  if (account.health === "unconfirmed") return unconfirmed(account)
  if (account.health === "reauthorization_required") return ended(account)
  const times = tokenTimes(held)
  if (!isRenewable(times, now) || !canAuthenticate(held)) return notRenewable(held, now)
  return isLeased(held, now) ? "wait" : "refresh"
}

/** Whether the app was changed since its credentials were refused: then the back-off has lost its reason. */
function credentialsChanged({ account, app, refresh }: HeldAccount): boolean {
  return refresh.lastFailure === "invalid_client" && app !== null && app.updatedAt > account.updatedAt
}

function isLeased({ refresh }: HeldAccount, now: Date): boolean {
  return refresh.leaseUntil !== null && refresh.leaseUntil > now
}

/** Nobody knows yet whose account it is: not even a good token is served. */
function unconfirmed(account: Account): ConnectError {
  return new ConnectError(
    "unconfirmed",
    account.healthDetail ?? "The flow that connected this account has yet to be confirmed by your backend.",
  )
}

function ended(account: Account): ConnectError {
  return new ConnectError(
    "reauthorization_required",
    account.healthDetail ??
      `The token has ended and nothing can renew it; ask the person to connect again with start?account_id=${account.id}.`,
  )
}

/** Why there is no token to serve right now. */
function readerRefusal(held: HeldAccount, now: Date): ConnectError {
  const { account, refresh } = held
  if (refresh.lastFailure === "invalid_client") {
    return new ConnectError("invalid_client", remedy("invalid_client", account.provider))
  }
  if (account.health === "refresh_unknown") {
    return new ConnectError(
      "refresh_unknown",
      account.healthDetail ?? "The fate of the last refresh is unknown.",
    )
  }
  return unavailable(held, now)
}

function unavailable(held: HeldAccount, now: Date): ConnectError {
  const { account, refresh } = held
  const left = refresh.retryAt === null ? 0 : refresh.retryAt.getTime() - now.getTime()
  const seconds = Math.max(1, Math.ceil(left / 1000))
  const what =
    refresh.lastFailure === "server_error"
      ? "Mooring itself failed to renew the token (server_error; its log says why)"
      : `${providerTitle[account.provider]} does not renew the token at the moment (${refresh.lastFailure ?? "no answer yet"})`
  const old = isUsable(tokenTimes(held), now) ? "the one there is can still be used" : "the old one has ended"
  return new ConnectError("provider_unavailable", `${what}, and ${old}; ask again in ${seconds} s.`, {
    retryAfterSeconds: seconds,
  })
}

function notRenewable(held: HeldAccount, now: Date): ConnectError {
  const { account } = held
  const times = tokenTimes(held)
  const title = providerTitle[account.provider]
  if (!canAuthenticate(held)) {
    return new ConnectError(
      "not_renewable",
      "The account has no OAuth app whose client could renew its token; register or connect it again with an oauth_app_id.",
    )
  }
  if (renewalOf(times) === "itself" && isUsable(times, now)) {
    return new ConnectError(
      "not_renewable",
      `${title} renews a token only when it is 24 hours old; this one can be renewed from ${renewableFrom(times).toISOString()}.`,
    )
  }
  if (!isUsable(times, now)) return ended(account)
  return new ConnectError(
    "not_renewable",
    `${title} gave nothing that could renew this token; it is usable${times.expiresAt ? ` until ${times.expiresAt.toISOString()}` : ""}, and only the person can renew it with start?account_id=${account.id}.`,
  )
}

/** Waits for a step no longer than the caller's patience lasts; storing what a provider gave may outlast everybody's. */
async function within(ms: number, step: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([step, promise]).finally(() => clearTimeout(timer))
}

/** Callers who come while a step is under way get that very step. */
function sharedSteps(): (name: string, step: () => Promise<void>) => Promise<void> {
  const under = new Map<string, Promise<void>>()
  return (name, step) => {
    const running = under.get(name)
    if (running) return running
    const begun = step().finally(() => under.delete(name))
    under.set(name, begun)
    return begun
  }
}
