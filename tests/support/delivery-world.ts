import { randomBytes } from "node:crypto"
import { randomPool } from "../../src/adapters/crypto/random-pool.ts"
import { aesSecretBox } from "../../src/adapters/crypto/secret-box.ts"
import { hmacSigner } from "../../src/adapters/crypto/signer.ts"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { type DeliverWebhooksDeps, deliverWebhooks } from "../../src/application/deliver-webhooks.ts"
import { ids } from "../../src/application/ids.ts"
import { manageWebhooks } from "../../src/application/webhooks.ts"
import { type DomainEvent, newEvent } from "../../src/domain/event.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { acme, keyring } from "./connect-world.ts"
import { scriptedSender, told } from "./scripted-sender.ts"
import { aKey } from "./storage-fixtures.ts"

/** Webhooks and their delivery over memory storage, with scripted receivers and a clock that each test moves. */
export function deliveryWorld(options: { readonly storage?: Storage; readonly random?: () => number } = {}) {
  const clock = { at: new Date("2026-11-22T10:00:00.000Z") }
  const now = () => clock.at
  const random = (count: number) => new Uint8Array(randomBytes(count))
  const storage = options.storage ?? memoryStorage()
  const box = aesSecretBox(keyring, randomPool())
  const signer = hmacSigner(keyring)
  const newId = ids({ now, randomBytes: random })
  const { scripted, sender } = scriptedSender()
  const faults: unknown[] = []
  const deps: DeliverWebhooksDeps = {
    deliveries: storage.deliveries,
    box,
    sender,
    newId,
    now,
    random: options.random ?? Math.random,
    // While something is in flight time stands still here, and what is new is looked for often.
    wait: () => Bun.sleep(2),
    onFault: (fault) => void faults.push(fault),
  }
  const delivering = deliverWebhooks(deps)
  const webhooks = manageWebhooks({
    storage,
    box,
    signer,
    sender,
    addresses: "public",
    randomBytes: random,
    newId,
    now,
  })

  const world = {
    clock,
    now,
    storage,
    deps,
    delivering,
    webhooks,
    receivers: scripted,
    faults,

    /** A webhook for the events of accounts alone, so that none tells of the webhooks themselves. */
    async hook(url = "https://hooks.acme.example/", events: readonly string[] = ["account.*"]) {
      return (await webhooks.create(acme, { url, events })).webhook
    },

    /** An event of an account, stored now. */
    async happens(accountId: string, change: Partial<DomainEvent> = {}): Promise<DomainEvent> {
      const event = newEvent(
        { id: newId("evt"), type: "account.updated", at: now(), actor: "system", owner: acme },
        { accountId, ...change },
      )
      await storage.keys.add(aKey({ id: newId("key") }), event)
      return event
    },

    async fanOut(): Promise<void> {
      while (await delivering.fanOut()) {}
    },

    /** What the background does in one second. */
    async tick(): Promise<number> {
      await world.fanOut()
      return delivering.deliverDue()
    },

    /** Lets time go by, with the background at work every so often. */
    async pass(ms: number, everyMs = 5000): Promise<void> {
      const until = clock.at.getTime() + ms
      while (clock.at.getTime() < until) {
        clock.at = new Date(Math.min(clock.at.getTime() + everyMs, until))
        await world.tick()
      }
    },

    /** The accounts' events in the order in which they were sent, of those that the filter keeps. */
    sentTo(url: string): readonly string[] {
      return scripted.sent.filter((message) => message.url === url).map((message) => told(message).data.id)
    },

    async statusOf(webhookId: string): Promise<readonly string[]> {
      const { items } = await webhooks.deliveries(acme, webhookId, { limit: 100 })
      return items.map(({ delivery }) => delivery.status)
    },
  }
  return world
}

export type DeliveryWorld = ReturnType<typeof deliveryWorld>
