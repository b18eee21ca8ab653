import { type FieldFault, refuseFaults } from "./errors.ts"
import { type DomainEvent, eventPatterns } from "./event.ts"
import type { Owner } from "./owner.ts"
import type { Sealed } from "./sealed.ts"

/** Where a tenant is told of its events, by Standard Webhooks. */
export interface Webhook extends Owner {
  readonly id: string
  readonly url: string
  /** Patterns of event types: `account.connected`, `account.*`, `*`. */
  readonly events: readonly string[]
  readonly description: string | null
  /** While it is off its deliveries wait; they go out when it is switched on again. */
  readonly enabled: boolean
  /** Why Mooring switched it off; null where nobody or the tenant did. */
  readonly disabledReason: string | null
  readonly secret: Sealed
  /** Signs as well until its time, so that receivers can change over (24 h). */
  readonly previousSecret: Sealed | null
  readonly previousSecretUntil: Date | null
  /** Since when no attempt has succeeded; null after a good one. */
  readonly failingSince: Date | null
  /** Nothing is sent before: the receiver asked for it, or could not be reached. */
  readonly holdUntil: Date | null
  /** Failed attempts in a row, over all its deliveries. */
  readonly failures: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

export const deliveryStatuses = ["pending", "delivered", "failed"] as const

export type DeliveryStatus = (typeof deliveryStatuses)[number]

/** One event on its way to one webhook; the two ids together name it. */
export interface Delivery {
  readonly webhookId: string
  readonly eventId: string
  /** Within one webhook, deliveries with the same key go one after another, in the order of their events. */
  readonly orderKey: string
  readonly status: DeliveryStatus
  readonly attempts: number
  readonly createdAt: Date
  readonly firstAttemptAt: Date | null
  /** The next attempt of a pending one; no sooner than this. */
  readonly dueAt: Date
  readonly completedAt: Date | null
  /** What the last attempt got: an HTTP status, null where nobody answered. */
  readonly lastStatus: number | null
  readonly lastDetail: string | null
}

/** How one attempt ended, as the store is to write it down. */
export type SettledAttempt =
  | { readonly kind: "delivered"; readonly status: number }
  | {
      readonly kind: "retry"
      readonly dueAt: Date
      /** Given where the receiver as a whole is to be left alone until then. */
      readonly holdUntil: Date | null
      readonly status: number | null
      readonly detail: string
    }
  | { readonly kind: "failed"; readonly status: number | null; readonly detail: string }
  /** The webhook is switched off; the delivery waits. The event tells of it. */
  | {
      readonly kind: "disabled"
      readonly reason: string
      /** It counts only while the webhook has been failing since then; null: it always counts. */
      readonly since: Date | null
      /** Where it does not count, the attempt is made again as by `retry`. */
      readonly dueAt: Date
      readonly holdUntil: Date | null
      readonly status: number | null
      readonly detail: string
      readonly event: DomainEvent
    }

/** So many an owner may have. */
export const maxWebhooks = 20

/** After a rotation the secret before signs as well for so long. */
export const secretOverlapMs = 24 * 60 * 60_000

const maxUrlCharacters = 2048
const maxPatterns = 50
const maxDescription = 200

/** What a caller may set; what is absent keeps its value or its default. */
export interface WebhookInput {
  readonly url?: string | undefined
  readonly events?: readonly string[] | undefined
  readonly description?: string | null | undefined
}

export interface CheckedWebhookInput {
  readonly url: string | undefined
  readonly events: readonly string[] | undefined
  readonly description: string | null | undefined
}

/** Which addresses a webhook may have: `private` lets every address, port and plain http through. */
export type AddressRule = "public" | "private"

/** Refuses with every fault at once. Throws `invalid_input`. */
export function checkWebhookInput(input: WebhookInput, rule: AddressRule): CheckedWebhookInput {
  const faults: FieldFault[] = []
  const urlFault = input.url === undefined ? undefined : webhookUrlFault(input.url, rule)
  if (urlFault) faults.push({ field: "url", detail: urlFault })
  checkPatterns(input.events, faults)
  const description = input.description?.trim()
  if (description !== undefined && (description.length > maxDescription || /\p{Cc}/u.test(description))) {
    faults.push({
      field: "description",
      detail: `must have at most ${maxDescription} characters, without control characters`,
    })
  }
  refuseFaults(faults)
  return {
    url: input.url,
    events: input.events && [...new Set(input.events)],
    description: input.description === undefined ? undefined : description || null,
  }
}

/**
 * Why a webhook may not have this URL, by its text alone; undefined where it may. What its host resolves to is
 * judged when it is sent to.
 */
export function webhookUrlFault(text: string, rule: AddressRule): string | undefined {
  if (text.length > maxUrlCharacters) return `must have at most ${maxUrlCharacters} characters`
  if (/[\s\\\p{C}]/u.test(text)) return "must not contain white space, control characters or backslashes"
  const url = URL.parse(text)
  const schemes = rule === "private" ? /^https?:\/\/[^/?#]/i : /^https:\/\/[^/?#]/i
  if (!url || !schemes.test(text)) {
    return url?.protocol === "http:"
      ? "must be an https address, unless the operator sets WEBHOOK_PRIVATE_ADDRESSES=allow"
      : "must be an absolute https address"
  }
  if (text.includes("#")) return "must not have a fragment"
  // By the text, since the parsed URL does not tell empty user info from none.
  if (/^[a-z]+:\/\/[^/?#]*@/i.test(text)) return "must not have user info"
  if (rule === "public" && url.port !== "") return "must not name a port; events go to 443"
  return undefined
}

function checkPatterns(patterns: readonly string[] | undefined, faults: FieldFault[]): void {
  if (patterns === undefined) return
  if (patterns.length < 1 || patterns.length > maxPatterns)
    faults.push({ field: "events", detail: `must have 1 to ${maxPatterns} entries` })
  for (const [i, pattern] of patterns.entries()) {
    if (!eventPatterns.includes(pattern))
      faults.push({ field: `events[${i}]`, detail: `must be one of ${eventPatterns.join(", ")}` })
  }
}

/** Why an attempt got no HTTP answer. */
export type Unanswered =
  | "unresolved"
  | "address_refused"
  | "unreachable"
  | "certificate_refused"
  | "broken_answer"
  | "timeout"

export type AttemptOutcome =
  | {
      readonly kind: "answered"
      readonly status: number
      /** What `Retry-After` asked for, as it came; null where there was none. */
      readonly retryAfterSeconds: number | null
    }
  | { readonly kind: "unanswered"; readonly why: Unanswered }

/** An attempt has so long, from the look-up of the name to the end of the answer. */
export const attemptLimitMs = 10_000

const unansweredDetails = {
  unresolved: "The host name does not resolve; check its spelling and its DNS records.",
  address_refused:
    "The host has an address that is not public; WEBHOOK_PRIVATE_ADDRESSES=allow lets Mooring send there.",
  unreachable: "No connection came about; check that the receiver runs and can be reached from here.",
  certificate_refused:
    "The TLS certificate was not accepted; it must be valid for the host and come with its whole chain.",
  broken_answer: "What came back was no HTTP answer.",
  timeout: `No answer came within ${attemptLimitMs / 1000} seconds.`,
} as const satisfies Record<Unanswered, string>

/** One sentence on how an attempt ended; never quotes what the receiver wrote. */
export function outcomeDetail(outcome: AttemptOutcome): string {
  if (outcome.kind === "unanswered") return unansweredDetails[outcome.why]
  const { status } = outcome
  if (status >= 300 && status < 400)
    return `The receiver answered ${status}; redirects are not followed, so give the address it leads to.`
  return `The receiver answered ${status}.`
}

export function isDelivered(outcome: AttemptOutcome): boolean {
  return outcome.kind === "answered" && outcome.status >= 200 && outcome.status < 300
}

const giveUpAfterMs = 72 * 60 * 60_000
const retryDelaysMs = [5_000, 30_000, 120_000, 300_000, 900_000, 1_800_000, 3_600_000] as const
const shortestHoldMs = 5_000
const longestHoldMs = 900_000
const longestRetryAfterMs = 24 * 60 * 60_000
const jitter = 0.2

export interface Attempt {
  readonly webhook: Pick<Webhook, "failingSince">
  /** As claimed: this attempt is counted. */
  readonly delivery: Pick<Delivery, "attempts" | "firstAttemptAt">
  readonly outcome: AttemptOutcome
  readonly now: Date
  /** 0 up to 1; spreads the attempts that failed at the same moment. */
  readonly random: number
}

/** What comes of an attempt. `disabledEvent` makes the event where the webhook is switched off. */
export function afterAttempt(
  attempt: Attempt,
  disabledEvent: (reason: string) => DomainEvent,
): SettledAttempt {
  const { webhook, delivery, outcome, now } = attempt
  const status = outcome.kind === "answered" ? outcome.status : null
  if (status !== null && isDelivered(outcome)) return { kind: "delivered", status }
  const detail = outcomeDetail(outcome)
  const reason = disableReason(webhook, status, detail, now)
  if (reason !== undefined) {
    const since = status === 410 ? null : webhook.failingSince
    const event = disabledEvent(reason)
    return { kind: "disabled", reason, since, ...nextAttempt(attempt), status, detail, event }
  }
  if (hasLasted(delivery.firstAttemptAt, now))
    return { kind: "failed", status, detail: `${detail} It was given up after 72 hours.` }
  return { kind: "retry", ...nextAttempt(attempt), status, detail }
}

function disableReason(
  webhook: Pick<Webhook, "failingSince">,
  status: number | null,
  detail: string,
  now: Date,
): string | undefined {
  const next = "Mend it and set enabled to true; what was not delivered waits for that."
  if (status === 410) return `The receiver answered 410: it wants no more events. ${next}`
  if (!hasLasted(webhook.failingSince, now)) return undefined
  return `No attempt has succeeded for 72 hours. The last one: ${detail} ${next}`
}

function hasLasted(since: Date | null, now: Date): boolean {
  return since !== null && now.getTime() - since.getTime() >= giveUpAfterMs
}

function nextAttempt(attempt: Attempt): { readonly dueAt: Date; readonly holdUntil: Date | null } {
  const { webhook, outcome, now, random } = attempt
  const asked = outcome.kind === "answered" ? retryAfterMs(outcome) : undefined
  if (asked !== undefined) {
    const until = new Date(now.getTime() + asked)
    return { dueAt: until, holdUntil: until }
  }
  const spread = 1 - jitter + 2 * jitter * random
  const after = (ms: number) => new Date(now.getTime() + Math.round(ms * spread))
  const own = after(retryDelayMs(attempt.delivery.attempts))
  if (!troublesAll(outcome)) return { dueAt: own, holdUntil: null }
  const hold = after(holdMs(webhook.failingSince, now))
  // While nothing gets through, the receiver is to blame and not this event: it goes out once anything can.
  return { dueAt: webhook.failingSince === null ? own : hold, holdUntil: hold }
}

function retryAfterMs({ status, retryAfterSeconds }: AttemptOutcome & { kind: "answered" }) {
  if (retryAfterSeconds === null || (status !== 429 && status !== 503)) return undefined
  return Math.min(Math.max(retryAfterSeconds * 1000, 1000), longestRetryAfterMs)
}

function retryDelayMs(attempts: number): number {
  return retryDelaysMs[Math.min(Math.max(attempts, 1), retryDelaysMs.length) - 1] ?? shortestHoldMs
}

/** Whether the next event would fare no better: the receiver is full, or nobody is there. */
function troublesAll(outcome: AttemptOutcome): boolean {
  return outcome.kind === "unanswered" || outcome.status === 429
}

/** As long again as it has been failing. By time and not by count, since several attempts fail at the same moment. */
function holdMs(failingSince: Date | null, now: Date): number {
  const failing = failingSince === null ? 0 : now.getTime() - failingSince.getTime()
  return Math.min(Math.max(failing, shortestHoldMs), longestHoldMs)
}
