import type { Account, Health, RefreshState, RenewalPlan, SealedCredentials } from "../domain/account.ts"
import type { ApiKey } from "../domain/api-key.ts"
import type { ConnectFlow, FlowFailure, FlowStatus } from "../domain/connect-flow.ts"
import type { DomainEvent, EventType } from "../domain/event.ts"
import type { OAuthApp } from "../domain/oauth-app.ts"
import type { OAuthErrorReason, ProviderCall } from "../domain/oauth-error.ts"
import type { Owner } from "../domain/owner.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { Sealed } from "../domain/sealed.ts"
import type { Delivery, DeliveryStatus, SettledAttempt, Webhook } from "../domain/webhook.ts"

/**
 * All that Mooring keeps. Every method is atomic and durable: when its promise resolves the change and its
 * event are stored together, when it rejects neither is. Every look-up carries the owner, and another
 * owner's row is absent in every respect. Dates keep their milliseconds; texts come back as they went in, but
 * for NUL and lone surrogates, which come back as U+FFFD. A tenant, an id or a platform id that has one is refused.
 */
export interface Storage {
  readonly apps: OAuthApps
  readonly flows: ConnectFlows
  readonly accounts: Accounts
  readonly tokens: AccountTokens
  readonly keys: ApiKeys
  readonly events: Events
  readonly webhooks: Webhooks
  readonly deliveries: Deliveries
  /** Rejects with the reason when the store cannot answer a query now. */
  ping(): Promise<void>
  /** Finishes what is under way, then closes. Later calls reject. */
  close(): Promise<void>
}

/** Thrown where the store cannot be reached now. Whether a change that was under way was made is not known. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable"
}

export interface OAuthApps {
  /**
   * Keeps a new app. It becomes the default when it asks to be (all others of the provider step down) or when
   * it is the owner's first for its provider; of two first apps added at once exactly one is the default.
   * Resolves to the app as kept.
   */
  add(app: OAuthApp, event: DomainEvent): Promise<OAuthApp>
  find(owner: Owner, id: string): Promise<OAuthApp | undefined>
  /** The default app of the provider; undefined where the owner has none for it. */
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
  /** Newest first by id. A status is that of {@link FlowStatus} as of `now`, whether or not it is written down yet. */
  list(owner: Owner, filter: FlowFilter, page: FlowPage): Promise<FlowList>
  /**
   * Takes a pending flow for exchange in one step: `pending` becomes `exchanging`, `takenAt` becomes `now`,
   * `callbackMac` what is given. Of many callers at once, over any number of processes, exactly one gets `taken: true`; the others see the
   * flow as it is. A flow whose `expiresAt` is at or before `now` is not taken. The app it was started with
   * comes along, null when it is gone or was the built-in one. No owner: the signed state is the credential.
   */
  consume(id: string, now: Date, callbackMac?: string): Promise<ConsumedFlow | undefined>
  /**
   * Stores the accounts of a taken flow and ends it as `connected`, all or nothing. An account that is
   * already kept under (tenant, environment, provider, platformAccountId) is updated in place and keeps its
   * id, and its reference, refresh token and person token where the new ones are null. Whoever was refreshing
   * it has lost: its fence grows, its lease, risk and failures are cleared. Where a held refresh or person token
   * stays, the plan stays with it, since the given one was made without it. Rejects when one account is named
   * twice; an account whose app is gone, or another owner's, names none. Records one event for
   * each account: `event` with the account's id and, by what happened, `account.connected` or
   * `account.reconnected` as its type. Resolves to the accounts as kept, in the given order; undefined, with
   * nothing stored, when the flow is none of `exchanging`, `choosing` and `confirming`. Candidates are forgotten.
   * An account that is kept as `unconfirmed` is taken over like one that is new: `account.connected`. `calls`,
   * here and below, replaces the flow's where it is given.
   */
  connect(
    id: string,
    accounts: readonly ConnectedAccount[],
    now: Date,
    calls?: readonly ProviderCall[],
  ): Promise<readonly Account[] | undefined>
  /**
   * Lays a taken flow's accounts aside until somebody chooses among them: `exchanging` becomes `choosing`, and
   * `expiresAt` what is given. `candidates` is sealed and opaque. False, with nothing stored, when the flow is
   * no longer `exchanging`.
   */
  offer(id: string, candidates: Sealed, expiresAt: Date, calls?: readonly ProviderCall[]): Promise<boolean>
  /**
   * Lays a taken flow's accounts aside until the tenant's backend confirms them: `exchanging` or `choosing` becomes
   * `confirming`, and `expiresAt` what is given. Of the accounts, those that nobody keeps are kept as they are given
   * (`unconfirmed`, with no plan), with no event; an `unconfirmed` one that is there gets the new `updatedAt`
   * and `healthDetail`, and the new `reference` where that is not null; any other is not touched at all. False, with nothing stored, when the flow is neither `exchanging` nor `choosing`.
   */
  hold(
    id: string,
    accounts: readonly Omit<ConnectedAccount, "event">[],
    candidates: Sealed,
    expiresAt: Date,
    calls?: readonly ProviderCall[],
  ): Promise<boolean>
  /** What was laid aside, while the flow is `choosing` or `confirming`. */
  findCandidates(id: string): Promise<OfferedFlow | undefined>
  /** Ends a taken flow as `failed`. False, with nothing stored, when it is neither `exchanging` nor `choosing`. */
  fail(
    id: string,
    failure: FlowFailure,
    event: DomainEvent,
    now: Date,
    calls?: readonly ProviderCall[],
  ): Promise<boolean>
  /**
   * Finds at most `limit` flows that nobody will end any more: pending, choosing and confirming ones at or past
   * `expiresAt`, and exchanging ones taken at or before `takenBefore`. Oldest first, over all owners.
   */
  findAbandoned(now: Date, takenBefore: Date, limit: number): Promise<readonly ConnectFlow[]>
  /**
   * Ends one abandoned flow as `expired` (it was pending, choosing or confirming) or `failed` (it was exchanging), and
   * forgets its candidates. False, with nothing stored, when it no longer has the status it was seen in: of
   * several sweepers one succeeds.
   */
  abandon(flow: ConnectFlow, failure: FlowFailure, event: DomainEvent, now: Date): Promise<boolean>
  /** Forgets at most `limit` ended flows completed before the given time; resolves to how many. */
  prune(completedBefore: Date, limit: number): Promise<number>
  /** Forgets at most `limit` accounts that are `unconfirmed` since the given time or before; resolves to how many. */
  forgetUnconfirmed(updatedUntil: Date, limit: number): Promise<number>
}

export interface FlowFilter {
  readonly provider?: ProviderName
  readonly status?: FlowStatus
  readonly reason?: OAuthErrorReason
  readonly oauthAppId?: string
  readonly reference?: string
  readonly now: Date
}

export interface FlowPage {
  readonly limit: number
  /** The id of the last flow of the page before. */
  readonly after?: string
}

export interface FlowList {
  readonly items: readonly ConnectFlow[]
  readonly more: boolean
}

export interface ConsumedFlow {
  readonly taken: boolean
  readonly flow: ConnectFlow
  readonly app: OAuthApp | null
}

export interface OfferedFlow {
  readonly flow: ConnectFlow
  readonly app: OAuthApp | null
  readonly candidates: Sealed
}

export interface ConnectedAccount {
  /** `id` is used only when the account is new; `connectedAt` likewise. */
  readonly account: Account
  readonly credentials: SealedCredentials
  readonly plan: RenewalPlan
  /** A draft: the store sets its `accountId` and `type`. */
  readonly event: DomainEvent
}

export interface Accounts {
  find(owner: Owner, id: string): Promise<Account | undefined>
  /**
   * Newest first by (connectedAt, id). `query` finds a substring of handle, display name or any metadata
   * value, without regard to ASCII letter case; `%` and `_` are plain characters. `total` counts all that
   * match, on every page. Costs what the owner has, whatever others have; a page costs the same wherever it is.
   */
  list(owner: Owner, filter: AccountFilter, page: AccountPage): Promise<AccountList>
}

/** What handing out a token takes that needs no refresh, as nearly every one: less than half of a {@link HeldAccount}. */
export interface StoredToken {
  readonly account: Pick<
    Account,
    | "id"
    | "tenant"
    | "environment"
    | "provider"
    | "platformAccountId"
    | "health"
    | "scopes"
    | "tokenExpiresAt"
  >
  readonly credentials: SealedCredentials
}

/** An account with its sealed tokens and all that refreshing it takes. */
export interface HeldAccount extends StoredToken {
  readonly account: Account
  readonly refresh: RefreshState
  readonly plan: RenewalPlan
  /** The app its tokens belong to; null when it is gone, was the built-in one, or there never was one. */
  readonly app: OAuthApp | null
}

/**
 * The right to refresh one account. It is over with the first `renew` or `settle`; whoever writes under it after
 * that, or after a newer claim, connect or removal, changes nothing. A lease that merely ran out does not end it.
 */
export interface RefreshClaim {
  readonly accountId: string
  readonly fence: number
}

export interface AccountTokens {
  /** One statement: everything that handing out a token takes. */
  read(owner: Owner, id: string): Promise<HeldAccount | undefined>
  /**
   * Claims the refresh of an account in one step: when its fence is still the one the caller read and nobody's
   * lease lives at `now`, the fence grows by one and the lease runs until `until`; with `risky` set, `sentAt`
   * becomes `now`, on disk before the promise resolves. Of many claimers at once, over any number of processes,
   * exactly one gets the account as it is under its claim.
   */
  claim(claim: RefreshClaim, lease: Lease): Promise<HeldAccount | undefined>
  /** Prolongs a living holder's lease. False when the claim is no longer its own. */
  prolong(claim: RefreshClaim, until: Date): Promise<boolean>
  /**
   * Stores what the provider gave and ends the claim, in one step, when the fence is still the claim's: an older
   * holder can no longer write. A null refresh or person token keeps the one we hold, and its end unless a new one
   * is told. Clears risk and failures.
   * The event, if any, goes with it.
   */
  renew(claim: RefreshClaim, renewed: RenewedTokens, event: DomainEvent | null): Promise<Account | undefined>
  /** Ends the claim without new tokens, when the fence is still the claim's. False otherwise. */
  settle(claim: RefreshClaim, settled: SettledRefresh, event: DomainEvent | null): Promise<boolean>
  /**
   * Claims at most `limit` accounts of one provider, over all owners, that are due at `now`: `keepAliveAt`
   * has come or the fate of a refresh is unknown (`sentAt` has come), no retry is pending, nobody's lease lives,
   * and their health is not `reauthorization_required`.
   * Those first that have been so for longest: one whose retry has only now come, or whose lease has only now run
   * out, stands behind all that waited meanwhile. Several instances at once get different ones. Accounts of the apps
   * in `exceptApps` are left alone. With `risky` set, `sentAt` becomes `now` for those that have a refresh token.
   * Costs what it claims, however many are due, and at the most a look at each app of the provider.
   */
  claimDue(due: DueQuery, lease: Lease): Promise<readonly HeldAccount[]>
  /**
   * Finds at most `limit` accounts whose health the clock has changed: `active` ones with `personNeededAt` at or
   * before `soon`; ones not yet `reauthorization_required` with it at or before `now`, Facebook's left out; and
   * `active` or `expiring` ones whose lease has ended with `sentAt` set, since their refresher died. Ones that are
   * being refreshed at `now` are left alone. Over all owners. `soon` is not before `now`.
   */
  findChangedByClock(now: Date, soon: Date, limit: number): Promise<readonly HeldAccount[]>
  /** Changes health and its detail alone, when both fence and health are still those seen. */
  changeHealth(
    seen: { readonly accountId: string; readonly fence: number; readonly health: Health },
    health: Health,
    detail: string,
    event: DomainEvent,
    now: Date,
  ): Promise<boolean>
  /**
   * Says on every other account of the same person (metadata `person_id`) and app that is not among `kept` that
   * its grant is gone: `healthDetail` becomes `detail`, with a copy of the event for each (their `accountId` and
   * `reference` are set here, and their ids made by `newEventId`). Already told ones are left alone. Resolves
   * to their ids.
   */
  noteLostGrants(
    grant: {
      readonly owner: Owner
      readonly provider: ProviderName
      readonly oauthAppId: string | null
      readonly personId: string
      /** Their platform account ids. */
      readonly kept: readonly string[]
    },
    detail: string,
    event: DomainEvent,
    newEventId: () => string,
  ): Promise<readonly string[]>
  /**
   * Keeps an account that was registered by hand; one that exists under its natural key is updated in place and
   * keeps its id. `event` as in `ConnectFlows.connect`, with `account.connected` or `account.updated`.
   */
  register(account: ConnectedAccount): Promise<{ readonly account: Account; readonly created: boolean }>
  /** Forgets the account and its tokens; a refresh in flight has lost. False when the owner has no such account. */
  remove(owner: Owner, id: string, event: DomainEvent): Promise<boolean>
  /** How many accounts of the owner stand on the same person's grant through the same app, unconfirmed ones left out. */
  countOfPerson(grant: {
    readonly owner: Owner
    readonly provider: ProviderName
    readonly oauthAppId: string | null
    readonly personId: string
  }): Promise<number>
}

export interface Lease {
  readonly now: Date
  readonly until: Date
  /** Whether a token is put at risk that works once. */
  readonly risky: boolean
}

export interface DueQuery {
  readonly provider: ProviderName
  readonly limit: number
  /** Of the accounts of one app at most so many in one call; those without an app are not counted. */
  readonly perApp: number
  readonly exceptApps: readonly string[]
}

export interface RenewedTokens {
  readonly credentials: SealedCredentials
  readonly tokenExpiresAt: Date | null
  /** Null leaves them as they are. */
  readonly scopes: readonly string[] | null
  readonly missingScopes: readonly string[] | null
  readonly health: Health
  readonly healthDetail: string | null
  readonly plan: RenewalPlan
  readonly at: Date
}

export interface SettledRefresh {
  readonly health: Health
  readonly healthDetail: string | null
  readonly reason: OAuthErrorReason
  readonly failures: number
  readonly retryAt: Date | null
  /** Whether the fate of a rotating token stays unknown: then `sentAt` stays as it is, else it is cleared. */
  readonly unknown: boolean
  readonly at: Date
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
  /**
   * As `findById`, and in the same statement what the call that the key came with needs first, of the key's own
   * owner: so that the busiest calls cost one look-up. The app of an id that is null is the default of the provider.
   */
  findWith(id: string, need: FirstNeed): Promise<KeyWithNeed | undefined>
  /** A tenant's keys, newest first, revoked ones left out; of one environment where it is given. */
  list(tenant: string, environment?: Owner["environment"]): Promise<readonly ApiKey[]>
  /** At once for every instance. False when the owner has no such key or it is already revoked. */
  revoke(owner: Owner, id: string, event: DomainEvent): Promise<boolean>
  /** Remembers that a key was used; an earlier time never replaces a later one. Callers do it at most once a minute. */
  touch(id: string, at: Date): Promise<void>
}

export type FirstNeed =
  | { readonly kind: "app"; readonly provider: ProviderName; readonly id: string | null }
  | { readonly kind: "account"; readonly id: string }

export interface KeyWithNeed {
  readonly key: ApiKey
  /** Null where the owner has none, or it was not asked for. An app that was named may be of another provider. */
  readonly app: OAuthApp | null
  readonly account: StoredToken | null
}

export interface Events {
  /**
   * In the order in which they were stored, oldest first, after the given position. What is once passed stays
   * passed: no event appears later before a position that was given out, over any number of instances: what is
   * committed late comes later. Positions outlive a backup and its restoring.
   */
  list(owner: Owner, filter: EventFilter, page: EventPage): Promise<EventList>
  /**
   * Forgets at most `limit` events stored before the given time that are fanned out and have no pending delivery to
   * a webhook that is on, with their deliveries: what waits for one that is off is kept so long and no longer.
   * Resolves to how many.
   */
  prune(before: Date, limit: number): Promise<number>
}

export interface EventFilter {
  /** All where it is absent; never empty. */
  readonly types?: readonly EventType[]
  readonly accountId?: string
}

export interface EventPage {
  readonly limit: number
  /** A position that this store gave. */
  readonly after?: string
}

export interface EventList {
  readonly items: readonly DomainEvent[]
  /** Of the last item; the one that was given where there are no items, null where there was none. At most 60 characters. */
  readonly position: string | null
  readonly more: boolean
}

export interface Webhooks {
  /** False, with nothing stored, when the owner has `most` already, in one step with the count. */
  add(webhook: Webhook, most: number, event: DomainEvent): Promise<boolean>
  find(owner: Owner, id: string): Promise<Webhook | undefined>
  /** Oldest first. */
  list(owner: Owner): Promise<readonly Webhook[]>
  /**
   * Sets the fields that are given and leaves the others. Undefined, with nothing changed, when there is no such
   * webhook, or where `expected` is given and its secret is another by now. A change with a `url`, or to `enabled`,
   * starts its pending deliveries anew in the same step: no attempts, due at `updatedAt`, under no lease, so that an
   * attempt under way settles nothing any more.
   */
  change(
    owner: Owner,
    id: string,
    change: WebhookChange,
    event: DomainEvent,
    expected?: Pick<Webhook, "secret">,
  ): Promise<Webhook | undefined>
  /** With its deliveries. False when the owner has no such webhook. */
  remove(owner: Owner, id: string, event: DomainEvent): Promise<boolean>
}

export type WebhookChange = Partial<
  Pick<
    Webhook,
    | "url"
    | "events"
    | "description"
    | "enabled"
    | "disabledReason"
    | "secret"
    | "previousSecret"
    | "previousSecretUntil"
    | "failingSince"
    | "holdUntil"
    | "failures"
  >
> & { readonly updatedAt: Date }

export interface Deliveries {
  /**
   * Makes of at most `limit` events that were not yet fanned out, oldest first, a pending delivery for each webhook
   * of the owner, switched on or not, whose own `webhook.created` was stored no later than the event, whatever their
   * times say, and whose patterns name its type.
   * In one step, and by one caller at a time over all instances: of one order key none is made before an older one,
   * none is made twice, and none is left out. Resolves to how many events it took; 0 also while another caller is at it.
   */
  fanOut(now: Date, limit: number): Promise<number>
  /**
   * Claims at most `limit` pending deliveries that are due at `now`, whose webhook is on and not held back, and that
   * are the oldest pending one of their order key; of one webhook never more than `perWebhook` under living leases,
   * those of earlier claims included. `attempts` grows by one, the lease runs until `until`, `firstAttemptAt` is set.
   * Those of owners with the fewest living leases first, then the longest due, so that nobody's slow webhooks keep
   * others waiting; several instances at once get different ones. A lease that ran out is as if it had never been.
   */
  claimDue(query: {
    readonly now: Date
    readonly until: Date
    readonly limit: number
    readonly perWebhook: number
  }): Promise<readonly ClaimedDelivery[]>
  /**
   * Writes down how a claimed attempt ended and ends its lease, in one step and once, when the delivery is pending and
   * still under that claim; false otherwise. `delivered` clears the webhook's `failingSince`, `holdUntil`
   * and `failures`, and where it had been failing for 5 minutes makes all its pending deliveries due at once. Any
   * other end counts one more of `failures` and sets `failingSince` where it is null; `retry` sets `dueAt` and, where
   * given, `holdUntil`; `disabled` switches the webhook off with its event, which is recorded once, and leaves the
   * delivery pending; where it has a `since` that is not the webhook's `failingSince` any more it is as `retry`.
   */
  settle(claimed: ClaimedDelivery, settled: SettledAttempt, now: Date): Promise<boolean>
  /** Newest event first. */
  list(
    owner: Owner,
    webhookId: string,
    filter: { readonly status?: DeliveryStatus },
    page: EventPage,
  ): Promise<DeliveryList>
  /**
   * Makes deliveries pending again, due now, with no attempts: the one of an event, or at most `limit` failed ones of
   * the webhook whose events happened since the given time, oldest first. A pending one is made due. Resolves to how
   * many.
   */
  replay(
    owner: Owner,
    webhookId: string,
    which: { readonly eventId: string } | { readonly failedSince: Date; readonly limit: number },
    now: Date,
  ): Promise<number>
}

export interface ClaimedDelivery {
  readonly delivery: Delivery
  readonly webhook: Webhook
  readonly event: DomainEvent
}

export interface DeliveryList {
  readonly items: readonly { readonly delivery: Delivery; readonly event: DomainEvent }[]
  /** Of the last item, as {@link EventList.position}. */
  readonly position: string | null
  readonly more: boolean
}
