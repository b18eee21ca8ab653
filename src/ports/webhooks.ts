import type { AttemptOutcome } from "../domain/webhook.ts"

/** What goes out: one event to one receiver. */
export interface WebhookMessage {
  readonly url: string
  /** Stays the same over all attempts, so that a receiver knows what it has seen. */
  readonly id: string
  readonly at: Date
  /** JSON; sent byte for byte as it was signed. */
  readonly body: string
  /** `whsec_` and base64; each gives a signature of its own. */
  readonly secrets: readonly [string, ...string[]]
}

export interface WebhookSender {
  /**
   * Signs and sends one POST, by Standard Webhooks 1.0, and never follows a redirect. Whatever the network or the
   * receiver does is an outcome, within `attemptLimitMs`; rejects only for a secret that is none.
   */
  send(message: WebhookMessage): Promise<AttemptOutcome>
  /**
   * Whether the host of an address may be sent to, as far as it can be told now: a name that does not resolve at
   * the moment may, since every attempt looks again.
   */
  mayReach(url: string): Promise<boolean>
}
