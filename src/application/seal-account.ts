import type { Account, SealedCredentials } from "../domain/account.ts"
import type { DomainEvent } from "../domain/event.ts"
import type { Owner } from "../domain/owner.ts"
import type { ProviderName } from "../domain/provider.ts"
import { keepAliveAt, personNeededAt, spreadOf, type TokenTimes } from "../domain/token-life.ts"
import type { Clock, SecretBox } from "../ports/crypto.ts"
import type { UpstreamAccount, UpstreamTokens } from "../ports/providers.ts"
import type { ConnectedAccount } from "../ports/storage.ts"
import type { Ids } from "./ids.ts"

/** What identifies an account's row for ever, and so what its tokens are bound to. */
export function accountRow(
  account: Pick<Account, "environment" | "provider">,
  platformAccountId: string,
): string {
  return `${account.environment}/${account.provider}/${platformAccountId}`
}

/** When an account with these tokens needs somebody next. */
export function planOf(times: TokenTimes, row: string) {
  return { keepAliveAt: keepAliveAt(times, spreadOf(row)), personNeededAt: personNeededAt(times) }
}

/** How an account comes to be kept, beside what the provider says of it. */
export interface AccountOrigin {
  readonly owner: Owner
  readonly provider: ProviderName
  readonly connectionType: Account["connectionType"]
  readonly oauthAppId: string | null
  readonly reference: string | null
  readonly missingScopes: readonly string[]
  readonly event: DomainEvent
}

export interface SealDeps {
  readonly box: SecretBox
  readonly newId: Ids
  readonly now: Clock
}

/** The account as it is to be kept: tokens sealed for its row, and planned for. */
export async function sealAccount(
  deps: SealDeps,
  upstream: UpstreamAccount,
  origin: AccountOrigin,
): Promise<ConnectedAccount> {
  const { owner, provider } = origin
  const { tokens } = upstream
  const now = deps.now()
  const row = accountRow({ environment: owner.environment, provider }, upstream.platformAccountId)
  const times: TokenTimes = {
    provider,
    obtainedAt: now,
    expiresAt: tokens.expiresAt,
    hasRefreshToken: tokens.refreshToken !== null,
    refreshTokenExpiresAt: tokens.refreshTokenExpiresAt,
    personTokenExpiresAt: tokens.personTokenExpiresAt,
  }
  const plan = planOf(times, row)
  const account: Account = {
    id: deps.newId("acc"),
    tenant: owner.tenant,
    environment: owner.environment,
    provider,
    platformAccountId: upstream.platformAccountId,
    handle: upstream.handle,
    displayName: upstream.displayName,
    avatarUrl: upstream.avatarUrl,
    // An end that is near is announced like any other: by the clock, with its detail and its event.
    health: "active",
    healthDetail: null,
    connectionType: origin.connectionType,
    oauthAppId: origin.oauthAppId,
    scopes: upstream.scopes,
    missingScopes: origin.missingScopes,
    reference: origin.reference,
    metadata: upstream.metadata,
    tokenExpiresAt: tokens.expiresAt,
    connectedAt: now,
    updatedAt: now,
  }
  return {
    account,
    credentials: await sealTokens(deps, owner.tenant, row, tokens),
    plan,
    event: origin.event,
  }
}

/** An account's tokens, each sealed for the account's row and its own column. */
export async function sealTokens(
  deps: Pick<SealDeps, "box" | "now">,
  tenant: string,
  row: string,
  tokens: UpstreamTokens,
): Promise<SealedCredentials> {
  const seal = (column: string, secret: string) =>
    deps.box.seal(secret, { tenant, table: "accounts", row, column })
  return {
    accessToken: await seal("access_token", tokens.accessToken),
    refreshToken: tokens.refreshToken === null ? null : await seal("refresh_token", tokens.refreshToken),
    personToken: tokens.personToken === null ? null : await seal("person_token", tokens.personToken),
    tokenType: tokens.tokenType,
    obtainedAt: deps.now(),
    refreshTokenExpiresAt: tokens.refreshTokenExpiresAt,
    personTokenExpiresAt: tokens.personTokenExpiresAt,
  }
}
