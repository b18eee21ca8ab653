import type { Account } from "../domain/account.ts"
import type { Principal } from "../domain/api-key.ts"
import { notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import { providerTitle } from "../domain/provider.ts"
import { isUsable, refreshLeaseMs, refreshTimeLimitMs } from "../domain/token-life.ts"
import { ProviderFailure, type RevokeRequest } from "../ports/providers.ts"
import type { HeldAccount } from "../ports/storage.ts"
import {
  accountEvent,
  isRisky,
  openAppCredentials,
  openToken,
  type TokenDeps,
  tokenTimes,
} from "./refresh-tokens.ts"
import { providersOf } from "./start-connect.ts"

/**
 * Ends an account: revokes at the provider where that exists, then forgets its tokens whatever the provider
 * said, and records what that was. An unconfirmed one is only forgotten. Rejects with `not_found`.
 */
export type DisconnectAccount = (principal: Principal, id: string) => Promise<void>

const revokeLimitMs = 10_000
const waitForRefreshMs = refreshTimeLimitMs
const pollMs = 150

export function disconnectAccount(deps: TokenDeps): DisconnectAccount {
  return async (principal, id) => {
    const held = await takeOver(deps, principal, id)
    const said = await revoke(deps, held)
    const event = accountEvent(deps, held.account, "account.disconnected", said, null, principal.actor)
    if (!(await deps.tokens.remove(principal, id, event))) throw notFound("account")
  }
}

/** Takes the account from whoever refreshes it, waiting a little for a rotation under way, so that the newest tokens are revoked. */
async function takeOver(deps: TokenDeps, principal: Principal, id: string): Promise<HeldAccount> {
  const until = deps.now().getTime() + waitForRefreshMs
  for (;;) {
    const held = isId("acc", id) ? await deps.tokens.read(principal, id) : undefined
    if (!held) throw notFound("account")
    const now = deps.now()
    const claim = { accountId: held.account.id, fence: held.refresh.fence }
    const taken = await deps.tokens.claim(claim, {
      now,
      until: new Date(now.getTime() + refreshLeaseMs),
      risky: mustRenewFirst(deps, held),
    })
    if (taken) return taken
    if (now.getTime() >= until) return held
    await deps.wait(pollMs)
  }
}

/** What the provider did, in one sentence for the event. */
async function revoke(deps: TokenDeps, held: HeldAccount): Promise<string> {
  const title = providerTitle[held.account.provider]
  // Whose it is nobody has said, so nobody here may end what that person has at the provider.
  if (held.account.health === "unconfirmed")
    return `It was never confirmed, so its tokens are only forgotten; nothing was revoked at ${title}.`
  try {
    const request = await revokeRequest(deps, await revocable(deps, held))
    if (request === undefined)
      return `Other Pages of the same person stay connected, so the grant at ${title} was left as it is.`
    const providers = await providersOf(deps.providers, held.account.environment)
    const done = await providers.revoke(request)
    return done === "revoked"
      ? `${title} revoked the access.`
      : `${title} has no way to revoke it from here; the person can remove the app in ${title}'s settings.`
  } catch (error) {
    if (!(error instanceof ProviderFailure)) deps.onFault(error, held.account.id)
    const why = error instanceof ProviderFailure ? error.reason : "server_error"
    return `${title} did not confirm the revocation (${why}); the tokens are forgotten here, and the person can remove the app in ${title}'s settings.`
  }
}

/** TikTok revokes by a living access token alone, so one that has ended is renewed first. */
function mustRenewFirst(deps: TokenDeps, held: HeldAccount): boolean {
  const { provider, health } = held.account
  return (
    provider === "tiktok" &&
    health !== "unconfirmed" &&
    !isUsable(tokenTimes(held), deps.now()) &&
    isRisky(held)
  )
}

async function revocable(deps: TokenDeps, held: HeldAccount): Promise<HeldAccount> {
  if (!mustRenewFirst(deps, held)) return held
  await deps.refresher.refresh(held)
  return (await deps.tokens.read(held.account, held.account.id)) ?? held
}

/** Undefined where revoking would end other accounts as well: Facebook's grant covers every Page of a person. */
async function revokeRequest(deps: TokenDeps, held: HeldAccount): Promise<RevokeRequest | undefined> {
  const { account, app } = held
  if (await sharesItsGrant(deps, account)) return undefined
  return {
    provider: account.provider,
    credentials: await openAppCredentials(deps.box, held),
    options: app?.options ?? {},
    accessToken: (await openToken(deps.box, held, "access_token")) ?? "",
    refreshToken: await openToken(deps.box, held, "refresh_token"),
    // Without the person's id nobody can tell which other Pages stand on the grant, so it is left alone.
    personToken:
      account.metadata.person_id === undefined ? null : await openToken(deps.box, held, "person_token"),
    limitMs: revokeLimitMs,
  }
}

async function sharesItsGrant(deps: TokenDeps, account: Account): Promise<boolean> {
  const personId = account.metadata.person_id
  if (personId === undefined) return false
  const grant = { owner: account, provider: account.provider, oauthAppId: account.oauthAppId, personId }
  return (await deps.tokens.countOfPerson(grant)) > 1
}
