import type { Account, Health, SealedCredentials } from "../domain/account.ts"
import type { ApiKey } from "../domain/api-key.ts"
import type { ConnectFlow, FlowFailure } from "../domain/connect-flow.ts"
import type { DomainEvent } from "../domain/event.ts"
import type { OAuthApp } from "../domain/oauth-app.ts"
import type { Owner } from "../domain/owner.ts"
import type { ProviderName } from "../domain/provider.ts"

/**
 * All that Mooring keeps. Every method is atomic and durable: when its promise resolves the change and its
 * event are stored together, when it rejects neither is. Every look-up carries the owner, and another
 * owner's row is absent in every respect. Dates keep their milliseconds; texts come back as they went in.
 */
export interface Storage {
  readonly apps: OAuthApps
  readonly flows: ConnectFlows
  readonly accounts: Accounts
  readonly keys: ApiKeys
  readonly events: Events
  /** Rejects with the reason when the store cannot answer a query now. */
  ping(): Promise<void>
  /** Finishes what is under way, then closes. Later calls reject. */
  close(): Promise<void>
}

export interface OAuthApps {
  /**
   * Keeps a new app. It becomes the default when it asks to be (all others of the provider step down) or when
   * it is the owner's first for its provider; of two first apps added at once exactly one is the default.
   * Resolves to the app as kept.
   */
  add(app: OAuthApp, event: DomainEvent): Promise<OAuthApp>
  find(owner: Owner, id: string): Promise<OAuthApp | undefined>
  /** The default app of the provider, if the owner has any app for it. */
  findDefault(owner: Owner, provider: ProviderName): Promise<OAuthApp | undefined>
  /** Oldest first. */
  list(owner: Owner, provider?: ProviderName): Promise<readonly OAuthApp[]>
  /**
   * Sets the fields that are given and leaves the others. `isDefault: true` makes the others of the provider
   * step down in the same step; it is never given as false. Undefined when there is no such app.
   */
  change(owner: Owner, id: string, change: OAuthAppChange, event: DomainEvent): Promise<OAuthApp | undefined>
  /**
   * Removes an app that no account uses, in one step with the check. When it was the default, the oldest
   * remaining app of the provider becomes it.
   */
  remove(owner: Owner, id: string, event: DomainEvent): Promise<RemovedApp>
}

export type OAuthAppChange = Partial<
  Pick<OAuthApp, "name" | "clientSecret" | "allowedReturnUrls" | "scopes" | "options">
> & { readonly isDefault?: true; readonly updatedAt: Date }

export type RemovedApp =
  | { readonly kind: "removed" }
  | { readonly kind: "absent" }
  | { readonly kind: "in_use"; readonly accounts: number }

export interface ConnectFlows {
  /** Keeps a new flow. Rejects when its id is already kept. */
  add(flow: ConnectFlow): Promise<void>
  /** A tenant's own look at a flow. */
  find(owner: Owner, id: string): Promise<ConnectFlow | undefined>
  /**
   * Takes a pending flow for exchange in one step: `pending` becomes `exchanging`, `takenAt` becomes `now`. Of
   * many callers at once, over any number of processes, exactly one gets `taken: true`; the others see the
   * flow as it is. A flow whose `expiresAt` is at or before `now` is not taken. The app it was started with
   * comes along, null when it is gone or was the built-in one. No owner: the signed state is the credential.
   */
  consume(id: string, now: Date): Promise<ConsumedFlow | undefined>
  /**
   * Stores the accounts of a taken flow and ends it as `connected`, all or nothing. An account that is
   * already kept under (tenant, environment, provider, platformAccountId) is updated in place and keeps its
   * id, and its reference, refresh token and person token where the new ones are null. Records one event for
   * each account: `event` with the account's id and, by what happened, `account.connected` or
   * `account.reconnected` as its type. Resolves to the accounts as kept, in the given order; undefined, with
   * nothing stored, when the flow is no longer `exchanging`.
   */
  connect(
    id: string,
    accounts: readonly ConnectedAccount[],
    now: Date,
  ): Promise<readonly Account[] | undefined>
  /** Ends a taken flow as `failed`. False, with nothing stored, when it is no longer `exchanging`. */
  fail(id: string, failure: FlowFailure, event: DomainEvent, now: Date): Promise<boolean>
  /**
   * Finds at most `limit` flows that nobody will end any more: pending ones at or past `expiresAt`, and
   * exchanging ones taken at or before `takenBefore`. Oldest first, over all owners.
   */
  findAbandoned(now: Date, takenBefore: Date, limit: number): Promise<readonly ConnectFlow[]>
  /**
   * Ends one abandoned flow as `expired` (it was pending) or `failed` (it was exchanging). False, with
   * nothing stored, when it no longer has the status it was seen in: of several sweepers one succeeds.
   */
  abandon(flow: ConnectFlow, failure: FlowFailure, event: DomainEvent, now: Date): Promise<boolean>
  /** Forgets at most `limit` ended flows completed before the given time; resolves to how many. */
  prune(completedBefore: Date, limit: number): Promise<number>
}

export interface ConsumedFlow {
  readonly taken: boolean
  readonly flow: ConnectFlow
  readonly app: OAuthApp | null
}

export interface ConnectedAccount {
  /** `id` is used only when the account is new; `connectedAt` likewise. */
  readonly account: Account
  readonly credentials: SealedCredentials
  /** A draft: the store sets its `accountId` and `type`. */
  readonly event: DomainEvent
}

export interface Accounts {
  find(owner: Owner, id: string): Promise<Account | undefined>
  /**
   * Newest first by (connectedAt, id). `query` finds a substring of handle, display name or any metadata
   * value, without regard to ASCII letter case; `%` and `_` are plain characters. `total` counts all that
   * match, on every page.
   */
  list(owner: Owner, filter: AccountFilter, page: AccountPage): Promise<AccountList>
}

export interface AccountFilter {
  readonly provider?: ProviderName
  readonly health?: Health
  readonly reference?: string
  readonly query?: string
}

export interface AccountPage {
  readonly limit: number
  /** The last row of the page before; the next page begins behind it. */
  readonly after?: AccountPosition
}

export interface AccountPosition {
  readonly connectedAt: Date
  readonly id: string
}

export interface AccountList {
  readonly items: readonly Account[]
  readonly total: number
  /** Whether another page follows. */
  readonly more: boolean
}

export interface ApiKeys {
  add(key: ApiKey, event: DomainEvent): Promise<void>
  /** By id alone, since the key itself names its owner. Revoked and expired ones too: the caller judges. */
  findById(id: string): Promise<ApiKey | undefined>
  /** A tenant's keys, newest first, revoked ones left out; of one environment where it is given. */
  list(tenant: string, environment?: Owner["environment"]): Promise<readonly ApiKey[]>
  /** At once for every instance. False when the owner has no such key or it is already revoked. */
  revoke(owner: Owner, id: string, event: DomainEvent): Promise<boolean>
  /** Remembers that a key was used; callers do it at most once a minute for each key. */
  touch(id: string, at: Date): Promise<void>
}

export interface Events {
  /** In the order of their ids, oldest first, after the given id. */
  list(
    owner: Owner,
    page: { readonly limit: number; readonly afterId?: string },
  ): Promise<readonly DomainEvent[]>
}
