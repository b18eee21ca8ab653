import { expect, test } from "bun:test"
import type { Webhook } from "../../src/domain/webhook.ts"
import type { Storage, WebhookChange } from "../../src/ports/storage.ts"
import {
  aClaimOfDeliveries,
  acme,
  addWebhook,
  after,
  anEvent,
  anId,
  aWebhook,
  eventsOf,
  fanOutAll,
  happen,
  noon,
  sealed,
  strangers,
} from "../support/storage-fixtures.ts"

const full = {
  url: "https://acme.example/hooks?a=1&b=🦤",
  events: ["account.*", "connect.failed"],
  description: "to the queue 🦤",
  enabled: false,
  disabledReason: "It answered 410.",
  secret: sealed("second secret"),
  previousSecret: sealed("first secret"),
  previousSecretUntil: after(86_400_000),
  failingSince: after(-1),
  holdUntil: after(5003),
  failures: 17,
  updatedAt: after(7),
} satisfies WebhookChange

export function webhooksContract(storage: () => Storage): void {
  test("a webhook comes back equal, with all its fields or the fewest, and its event with it", async () => {
    const [few, many] = [aWebhook(), aWebhook({ ...full, createdAt: after(1) })]
    const events = [few, many].map(({ id }) => anEvent({ type: "webhook.created", webhookId: id }))
    for (const [i, webhook] of [few, many].entries())
      expect(await storage().webhooks.add(webhook, 10, events[i] ?? anEvent())).toBe(true)
    expect(await storage().webhooks.find(acme, few.id)).toEqual(few)
    expect(await storage().webhooks.find(acme, many.id)).toEqual(many)
    expect(await storage().webhooks.list(acme)).toEqual([few, many])
    expect(await eventsOf(storage())).toEqual(events)
  })

  test("text that no store keeps as it is comes back mended", async () => {
    const { id } = await addWebhook(storage(), { description: "a\0b\uD800" })
    expect((await storage().webhooks.find(acme, id))?.description).toBe("a\uFFFDb\uFFFD")
  })

  test("an owner's webhooks are listed oldest first", async () => {
    const young = await addWebhook(storage(), { createdAt: after(1) })
    const twins = [await addWebhook(storage()), await addWebhook(storage())]
    const old = await addWebhook(storage(), { createdAt: after(-1) })
    const inOrder = [old, ...twins.toSorted((a, b) => (a.id < b.id ? -1 : 1)), young]
    expect(await storage().webhooks.list(acme)).toEqual(inOrder)
  })

  test("of many added at once an owner gets as many as it may have, and others' do not count", async () => {
    await addWebhook(storage(), { tenant: "globex" })
    await addWebhook(storage(), { environment: "test" })
    const adds = Array.from({ length: 10 }, () => storage().webhooks.add(aWebhook(), 3, anEvent()))
    expect((await Promise.all(adds)).filter(Boolean)).toHaveLength(3)
    expect(await storage().webhooks.list(acme)).toHaveLength(3)
    expect(await eventsOf(storage())).toHaveLength(3)
    expect(await storage().webhooks.add(aWebhook(), 3, anEvent())).toBe(false)
    expect(await storage().webhooks.add(aWebhook(), 4, anEvent())).toBe(true)
  })

  test("an id is kept once: a second webhook under it is refused, with its event", async () => {
    const webhook = await addWebhook(storage())
    await expect(storage().webhooks.add({ ...webhook, url: "other" }, 10, anEvent())).rejects.toThrow()
    expect(await storage().webhooks.list(acme)).toEqual([webhook])
    expect(await eventsOf(storage())).toHaveLength(1)
  })

  test("each field is set alone, and all at once, also back to nothing", async () => {
    let expected = await addWebhook(storage())
    const change = async (fields: WebhookChange) => {
      expected = { ...expected, ...fields }
      const event = anEvent({ type: "webhook.updated", webhookId: expected.id })
      expect(await storage().webhooks.change(acme, expected.id, fields, event)).toEqual(expected)
      expect(await storage().webhooks.find(acme, expected.id)).toEqual(expected)
      expect((await eventsOf(storage())).at(-1)).toEqual(event)
    }
    for (const [i, [field, value]] of Object.entries(full).entries())
      await change({ [field]: value, updatedAt: after(10 + i) })
    const { description, disabledReason, previousSecret, previousSecretUntil, failingSince, holdUntil } =
      aWebhook()
    await change({ description, disabledReason, previousSecret, previousSecretUntil, updatedAt: after(50) })
    await change({ failingSince, holdUntil, failures: 0, enabled: true, updatedAt: after(51) })
    await change({ ...full, updatedAt: after(60) })
  })

  test.each([{ url: "https://new.example/" }, { enabled: true }])(
    "changed to %o it starts what waits anew, and attempts under way settle nothing",
    async (change) => {
      const webhook = await addWebhook(storage())
      const other = await addWebhook(storage())
      const { deliveries, webhooks } = storage()
      await happen(storage(), {}, {}, {})
      await fanOutAll(storage())
      const claims = await deliveries.claimDue(aClaimOfDeliveries({ until: after(40) }))
      const [ended, waiting, ...flying] = claims.filter((each) => each.webhook.id === webhook.id)
      if (!ended || !waiting || !flying[0]) throw new Error("three were due")
      const failed = { status: 500, detail: "It answered 500." } as const
      await deliveries.settle(ended, { kind: "failed", ...failed }, after(1))
      const retry = { kind: "retry", ...failed, dueAt: after(86_400_000), holdUntil: null } as const
      await deliveries.settle(waiting, retry, after(1))
      const deliveriesOf = async ({ id }: Webhook) =>
        (await deliveries.list(acme, id, {}, { limit: 9 })).items.map(({ delivery }) => delivery)
      const [before, others] = [await deliveriesOf(webhook), await deliveriesOf(other)]
      const mended = await webhooks.change(acme, webhook.id, { ...change, updatedAt: after(7) }, anEvent())
      const anew = { attempts: 0, firstAttemptAt: null, dueAt: after(7) }
      expect(await deliveriesOf(webhook)).toEqual(
        before.map((each) => (each.status === "pending" ? { ...each, ...anew } : each)),
      )
      expect(await deliveriesOf(other)).toEqual(others)
      const late = { since: null, reason: "gone", event: anEvent({ type: "webhook.disabled" }) }
      const gone = { kind: "disabled", ...failed, dueAt: noon, holdUntil: null, ...late } as const
      for (const settled of [gone, { ...retry, holdUntil: after(86_400_000) }])
        expect(await deliveries.settle(flying[0], settled, after(8))).toBe(false)
      expect(await webhooks.find(acme, webhook.id)).toEqual(mended)
      const again = await deliveries.claimDue(aClaimOfDeliveries({ now: after(9), until: after(50) }))
      expect(again.map((each) => [each.webhook.id, each.delivery.attempts])).toEqual([
        [webhook.id, 1],
        [webhook.id, 1],
      ])
    },
  )

  test.each([{ enabled: false }, { events: ["*"] }, { description: "other" }])(
    "changed to %o it leaves what waits as it is",
    async (change) => {
      const webhook = await addWebhook(storage())
      const { deliveries, webhooks } = storage()
      await happen(storage(), {})
      await fanOutAll(storage())
      const [claimed] = await deliveries.claimDue(aClaimOfDeliveries())
      if (!claimed) throw new Error("one was due")
      await webhooks.change(acme, webhook.id, { ...change, updatedAt: after(7) }, anEvent())
      const { items } = await deliveries.list(acme, webhook.id, {}, { limit: 9 })
      expect(items.map(({ delivery }) => delivery)).toEqual([claimed.delivery])
      expect(await deliveries.settle(claimed, { kind: "delivered", status: 204 }, after(8))).toBe(true)
    },
  )

  test("of changes at once that expect the same secret one is made, and no event tells of the others", async () => {
    const webhook = await addWebhook(storage())
    const changes = Array.from({ length: 6 }, (_, i) =>
      storage().webhooks.change(
        acme,
        webhook.id,
        { secret: sealed(`secret ${i}`), previousSecret: webhook.secret, updatedAt: after(1) },
        anEvent({ type: "webhook.updated" }),
        { secret: webhook.secret },
      ),
    )
    const made = (await Promise.all(changes)).filter((changed) => changed !== undefined)
    expect(made).toHaveLength(1)
    expect(await storage().webhooks.find(acme, webhook.id)).toEqual(made[0])
    expect((await eventsOf(storage())).filter(({ type }) => type === "webhook.updated")).toHaveLength(1)
  })

  test("changing one leaves the others", async () => {
    const [one, other] = [await addWebhook(storage()), await addWebhook(storage())]
    await storage().webhooks.change(acme, one.id, full, anEvent())
    expect(await storage().webhooks.find(acme, other.id)).toEqual(other)
  })

  test("a webhook is removed once, with its deliveries and those alone", async () => {
    const [one, other] = [await addWebhook(storage()), await addWebhook(storage())]
    await happen(storage(), { at: noon }, { at: noon })
    await fanOutAll(storage())
    const event = anEvent({ type: "webhook.deleted", webhookId: one.id })
    const removals = Array.from({ length: 5 }, (_, i) =>
      storage().webhooks.remove(acme, one.id, i === 0 ? event : anEvent({ type: "webhook.deleted" })),
    )
    expect((await Promise.all(removals)).filter(Boolean)).toHaveLength(1)
    expect((await eventsOf(storage())).filter(({ type }) => type === "webhook.deleted")).toHaveLength(1)
    expect(await storage().webhooks.find(acme, one.id)).toBeUndefined()
    expect(await storage().webhooks.list(acme)).toEqual([other])
    // Added anew under its id, it has none of them.
    await storage().webhooks.add(one, 10, anEvent())
    const deliveriesOf = async (id: string) =>
      (await storage().deliveries.list(acme, id, {}, { limit: 9 })).items.length
    expect([await deliveriesOf(one.id), await deliveriesOf(other.id)]).toEqual([0, 2])
  })

  test("an unknown webhook is neither found, changed nor removed, and no event tells of it", async () => {
    const id = anId("wh")
    expect(await storage().webhooks.find(acme, id)).toBeUndefined()
    expect(await storage().webhooks.change(acme, id, { updatedAt: noon }, anEvent())).toBeUndefined()
    expect(await storage().webhooks.remove(acme, id, anEvent())).toBe(false)
    expect(await eventsOf(storage())).toEqual([])
  })

  test("a stranger sees, changes and removes no webhook", async () => {
    const webhook = await addWebhook(storage())
    for (const stranger of strangers) {
      expect(await storage().webhooks.find(stranger, webhook.id)).toBeUndefined()
      expect(await storage().webhooks.list(stranger)).toEqual([])
      const change = { enabled: false, updatedAt: noon }
      expect(await storage().webhooks.change(stranger, webhook.id, change, anEvent(stranger))).toBeUndefined()
      expect(await storage().webhooks.remove(stranger, webhook.id, anEvent(stranger))).toBe(false)
      expect(await eventsOf(storage(), stranger)).toEqual([])
    }
    expect(await storage().webhooks.find(acme, webhook.id)).toEqual(webhook)
  })

  test("where the event cannot be kept, a webhook is neither added, changed nor removed", async () => {
    const [event] = await happen(storage(), {})
    if (!event) throw new Error("nothing happened")
    const [webhook, other] = [await addWebhook(storage()), aWebhook()]
    await expect(storage().webhooks.add(other, 10, event)).rejects.toThrow()
    await expect(storage().webhooks.change(acme, webhook.id, full, event)).rejects.toThrow()
    await expect(storage().webhooks.remove(acme, webhook.id, event)).rejects.toThrow()
    expect(await storage().webhooks.list(acme)).toEqual([webhook])
  })
}
