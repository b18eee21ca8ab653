import { newEvent } from "../domain/event.ts"
import { afterAttempt } from "../domain/webhook.ts"
import type { Clock, SecretBox } from "../ports/crypto.ts"
import type { ClaimedDelivery, Storage } from "../ports/storage.ts"
import type { WebhookSender } from "../ports/webhooks.ts"
import { eventFields, eventMessage } from "./event-message.ts"
import type { Ids } from "./ids.ts"
import { signingSecrets } from "./webhook-secrets.ts"

export interface DeliverWebhooksDeps {
  readonly deliveries: Storage["deliveries"]
  readonly box: SecretBox
  readonly sender: WebhookSender
  readonly newId: Ids
  readonly now: Clock
  /** 0 up to 1. */
  readonly random: () => number
  readonly wait: (ms: number) => Promise<void>
  readonly onFault: (fault: unknown, deliveryId: string) => void
}

export interface DeliverWebhooks {
  /** Makes deliveries of one batch of events; resolves to how many it took: {@link fanOutBatch} where there may be more. */
  fanOut(): Promise<number>
  /**
   * Sends all that is due, and what becomes due meanwhile; resolves to how many attempts it made when nothing is
   * left in flight. Begins none any more once told to stop. Safe on any number of instances at once.
   */
  deliverDue(isStopping?: () => boolean): Promise<number>
}

export const fanOutBatch = 500
/** How many are claimed at a time. */
const claimBatch = 32
/**
 * How many may be in flight. So many that the webhooks of one tenant (20 in each environment, 4 each) leave room for
 * the others', however slowly they answer.
 */
const mostInFlight = 256
const perWebhook = 4
/** Longer than an attempt and the writing down of its end may take. */
const leaseMs = 30_000
/** While something is in flight, what has become due is looked for so often. */
const lookAgainMs = 1000

/** Events go out at least once, and one account's in order: the store hands out the oldest of each order key alone. */
export function deliverWebhooks(deps: DeliverWebhooksDeps): DeliverWebhooks {
  return {
    fanOut: () => deps.deliveries.fanOut(deps.now(), fanOutBatch),

    async deliverDue(isStopping = () => false) {
      const inFlight = new Set<Promise<void>>()
      let attempts = 0
      const begin = (claimed: ClaimedDelivery) => {
        attempts++
        const attempt = deliver(deps, claimed).finally(() => inFlight.delete(attempt))
        inFlight.add(attempt)
      }
      try {
        for (;;) {
          const room = isStopping() ? 0 : mostInFlight - inFlight.size
          const claimed = await claim(deps, room)
          for (const one of claimed) begin(one)
          if (inFlight.size === 0) return attempts
          const isAll = claimed.length < claimBatch
          if (isAll) await Promise.race([...inFlight, deps.wait(lookAgainMs)])
        }
      } finally {
        // Where the store cannot be asked for more, what is on its way still ends here.
        await Promise.all(inFlight)
      }
    },
  }
}

async function claim(deps: DeliverWebhooksDeps, room: number): Promise<readonly ClaimedDelivery[]> {
  if (room === 0) return []
  const now = deps.now()
  const until = new Date(now.getTime() + leaseMs)
  return deps.deliveries.claimDue({ now, until, limit: Math.min(room, claimBatch), perWebhook })
}

/** Never rejects: where an attempt cannot be made or written down, its lease runs out and it is made again. */
async function deliver(deps: DeliverWebhooksDeps, claimed: ClaimedDelivery): Promise<void> {
  const { webhook, delivery, event } = claimed
  try {
    const at = deps.now()
    const outcome = await deps.sender.send({
      url: webhook.url,
      id: event.id,
      at,
      body: eventMessage(event.type, event.at, eventFields(event)),
      secrets: await signingSecrets(deps.box, webhook, at),
    })
    const now = deps.now()
    const settled = afterAttempt({ webhook, delivery, outcome, now, random: deps.random() }, (reason) =>
      newEvent(
        { id: deps.newId("evt"), type: "webhook.disabled", at: now, actor: "system", owner: webhook },
        { webhookId: webhook.id, detail: reason },
      ),
    )
    await deps.deliveries.settle(claimed, settled, now)
  } catch (fault) {
    deps.onFault(fault, `${webhook.id}/${event.id}`)
  }
}
