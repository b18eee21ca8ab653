import type { AttemptOutcome } from "../../src/domain/webhook.ts"
import type { WebhookMessage, WebhookSender } from "../../src/ports/webhooks.ts"

export const answered = (status: number, retryAfterSeconds: number | null = null): AttemptOutcome => ({
  kind: "answered",
  status,
  retryAfterSeconds,
})

export const unanswered = (why: (AttemptOutcome & { kind: "unanswered" })["why"]): AttemptOutcome => ({
  kind: "unanswered",
  why,
})

/** Receivers that each test scripts, and all that was sent to them. */
export function scriptedSender() {
  const scripted = {
    sent: [] as WebhookMessage[],
    answer: async (_: WebhookMessage): Promise<AttemptOutcome> => answered(200),
    mayReach: async (_: string): Promise<boolean> => true,
  }
  const sender: WebhookSender = {
    send: (message) => {
      scripted.sent.push(message)
      return scripted.answer(message)
    },
    mayReach: (url) => scripted.mayReach(url),
  }
  return { scripted, sender }
}

/** What an event's message says, without its signature. */
export function told(message: WebhookMessage) {
  return JSON.parse(message.body) as {
    readonly type: string
    readonly timestamp: string
    readonly data: Readonly<Record<string, string | null>> & { readonly id: string }
  }
}
