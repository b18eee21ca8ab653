import { expiringWindowMs, type Health } from "./account.ts"
import type { ProviderName } from "./provider.ts"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/**
 * How an access token is renewed without the person. `rotating`: by a refresh token that works once and is
 * replaced by the answer. `refresh_token`: by one that stays. `itself`: a living long-lived token is exchanged
 * for a fresh one. `none`: not at all.
 */
export type Renewal = "rotating" | "refresh_token" | "itself" | "none"

/** What the provider gave and when; all that the rules below judge by. */
export interface TokenTimes {
  readonly provider: ProviderName
  readonly obtainedAt: Date
  /** Null where the access token does not end by itself. */
  readonly expiresAt: Date | null
  readonly hasRefreshToken: boolean
  readonly refreshTokenExpiresAt: Date | null
  readonly personTokenExpiresAt: Date | null
}

export function renewalOf(token: Pick<TokenTimes, "provider" | "hasRefreshToken">): Renewal {
  switch (token.provider) {
    case "x":
    case "tiktok":
      return token.hasRefreshToken ? "rotating" : "none"
    case "linkedin":
      return token.hasRefreshToken ? "refresh_token" : "none"
    case "instagram":
      return "itself"
    case "facebook":
      return "none"
  }
}

/** How long before its end a token that is being read is renewed first. */
const readMarginMs: Readonly<Record<ProviderName, number>> = {
  x: 5 * minute,
  tiktok: 5 * minute,
  linkedin: day,
  instagram: day,
  facebook: 0,
}

/** No token is handed out with less than this left: the caller still has to use it. */
const usableMs = 10_000

/** Meta refuses to renew a token younger than this (Instagram, refresh_access_token). */
const instagramMinAgeMs = day

/** X does not document how long a refresh token lives; about six months are reported. */
const assumedRefreshLifeMs = 180 * day

/** How long before the end of what keeps an account alive the background renews it. */
const keepAliveLeadMs: Readonly<Record<Exclude<Renewal, "none">, number>> = {
  rotating: 30 * day,
  refresh_token: 7 * day,
  itself: 14 * day,
}

/** What lives shorter than this is renewed when it is read, never in the background. */
const minKeptLifeMs = 2 * day

export function isUsable(token: Pick<TokenTimes, "expiresAt">, now: Date): boolean {
  return token.expiresAt === null || token.expiresAt.getTime() - now.getTime() > usableMs
}

/** Whether a reader should have it renewed first. A short-lived token has a margin of a quarter of its life at the most. */
export function isDueWhenRead(token: TokenTimes, now: Date): boolean {
  if (!isRenewable(token, now)) return false
  // As for {@link assumedExpiry}: it was given by hand beside a refresh token that was there already.
  if (token.expiresAt === null) return token.hasRefreshToken
  const life = token.expiresAt.getTime() - token.obtainedAt.getTime()
  const margin = Math.max(usableMs, Math.min(readMarginMs[token.provider], life / 4))
  return token.expiresAt.getTime() - now.getTime() <= margin
}

/** Whether the provider would renew it now, as far as the clock tells. */
export function isRenewable(token: TokenTimes, now: Date): boolean {
  switch (renewalOf(token)) {
    case "none":
      return false
    case "itself":
      return now.getTime() >= renewableFrom(token).getTime() && isUsable(token, now)
    case "rotating":
    case "refresh_token":
      return token.refreshTokenExpiresAt === null || token.refreshTokenExpiresAt.getTime() > now.getTime()
  }
}

/** The earliest moment at which a token that renews itself may be renewed. */
export function renewableFrom(token: Pick<TokenTimes, "provider" | "obtainedAt">): Date {
  const age = token.provider === "instagram" ? instagramMinAgeMs : 0
  return new Date(token.obtainedAt.getTime() + age)
}

/** A short-lived Instagram token, of an hour, ends long before it is old enough to be renewed. */
function endsBeforeItRenews(token: TokenTimes): boolean {
  return token.expiresAt !== null && !isRenewable(token, renewableFrom(token))
}

/**
 * When the background renews it, so that it does not die unread; null where it need not or cannot. `spread`,
 * from 0 to 1 and fixed for an account, brings it forward by up to a quarter of the lead, so that accounts
 * connected on one day are not renewed in one minute.
 */
export function keepAliveAt(token: TokenTimes, spread: number): Date | null {
  const renewal = renewalOf(token)
  if (renewal === "none") return null
  const end = endOfRenewability(token)
  if (end === null) return null
  const life = end.getTime() - token.obtainedAt.getTime()
  // Near an end that renewing does not move, each renewal would only call for the next one sooner.
  if (life < minKeptLifeMs) return null
  const lead = Math.min(keepAliveLeadMs[renewal], life / 2)
  const at = end.getTime() - lead - spread * (lead / 4)
  return new Date(Math.max(at, renewableFrom(token).getTime()))
}

/** When nothing can renew the token any more unless it is renewed before. */
function endOfRenewability(token: TokenTimes): Date | null {
  switch (renewalOf(token)) {
    case "itself":
      return token.expiresAt
    case "rotating":
      return token.refreshTokenExpiresAt ?? new Date(token.obtainedAt.getTime() + assumedRefreshLifeMs)
    case "refresh_token":
      // LinkedIn's refresh token keeps its own end however often it is used; only the access token needs renewing.
      return token.expiresAt
    case "none":
      return null
  }
}

/**
 * When the person is needed at the latest, whatever Mooring does; null where it can go on for ever. Facebook's
 * is the end of the person's own grant; the Page token may outlive it, so it is an announcement and no verdict.
 */
export function personNeededAt(token: TokenTimes): Date | null {
  switch (renewalOf(token)) {
    case "rotating":
      return null
    case "itself":
      return endsBeforeItRenews(token) ? token.expiresAt : null
    case "refresh_token":
      return later(token.refreshTokenExpiresAt, token.expiresAt)
    case "none":
      return token.provider === "facebook" ? token.personTokenExpiresAt : token.expiresAt
  }
}

/** Null where the first is: an end that nobody told is none. */
function later(end: Date | null, other: Date | null): Date | null {
  return end !== null && other !== null && other > end ? other : end
}

/** What the clock alone makes of an account's health, and what to tell about it. Undefined where it changes nothing. */
export function healthByClock(
  account: { readonly provider: ProviderName; readonly health: Health; readonly personNeededAt: Date | null },
  now: Date,
): Extract<Health, "expiring" | "reauthorization_required"> | undefined {
  if (account.personNeededAt === null || account.health === "reauthorization_required") return undefined
  const left = account.personNeededAt.getTime() - now.getTime()
  if (left <= 0 && account.provider !== "facebook") return "reauthorization_required"
  return left <= expiringWindowMs && account.health === "active" ? "expiring" : undefined
}

/**
 * When to take a token for ended whose end nobody told: one that a refresh token can replace, at once; an
 * Instagram one in a few days, so that it is renewed in half of them and its true end learnt. Null elsewhere.
 */
export function assumedExpiry(
  token: Pick<TokenTimes, "provider" | "hasRefreshToken">,
  now: Date,
): Date | null {
  switch (renewalOf(token)) {
    case "rotating":
    case "refresh_token":
      return now
    case "itself":
      return new Date(now.getTime() + 4 * day)
    case "none":
      return null
  }
}

/** How long a claim to refresh holds unless its living holder renews it. */
export const refreshLeaseMs = 15_000

/** Giving up on a rotating token is what loses it, so a refresh is waited for longer than any other call. */
export const refreshTimeLimitMs = 30_000

const firstBackOffMs = 30_000
const longestBackOffMs = 6 * hour

/**
 * When to try again after the given number of failures in a row: doubling from 30 s to 6 h, with jitter over
 * the upper half so that accounts that failed together do not return together; never before Retry-After.
 */
export function retryAt(
  failures: number,
  retryAfterSeconds: number | undefined,
  random: number,
  now: Date,
): Date {
  const step = Math.min(firstBackOffMs * 2 ** Math.min(failures - 1, 20), longestBackOffMs)
  const wait = step / 2 + random * (step / 2)
  return new Date(now.getTime() + Math.max(wait, (retryAfterSeconds ?? 0) * 1000))
}

/** A number from 0 to 1 that is the same for an account at all times and spread evenly over accounts. */
export function spreadOf(accountId: string): number {
  let hash = 2166136261 // FNV-1a
  for (let i = 0; i < accountId.length; i++) hash = Math.imul(hash ^ accountId.charCodeAt(i), 16777619)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) // Murmur3's last steps: names that differ little end far apart
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
