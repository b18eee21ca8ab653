import { describe, expect, test } from "bun:test"
import { deliverWebhooks, fanOutBatch } from "../../src/application/deliver-webhooks.ts"
import type { AttemptOutcome } from "../../src/domain/webhook.ts"
import type { WebhookMessage } from "../../src/ports/webhooks.ts"
import { acme } from "../support/connect-world.ts"
import { type DeliveryWorld, deliveryWorld } from "../support/delivery-world.ts"
import { answered, told, unanswered } from "../support/scripted-sender.ts"

const minute = 60_000
const hour = 60 * minute

/** Receivers that answer when the test lets them. */
function held() {
  const waiting: { readonly message: WebhookMessage; release(outcome?: AttemptOutcome): void }[] = []
  return {
    waiting,
    answer: (message: WebhookMessage) => {
      const { promise, resolve } = Promise.withResolvers<AttemptOutcome>()
      waiting.push({ message, release: (outcome = answered(200)) => resolve(outcome) })
      return promise
    },
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !holds(); tries++) await Bun.sleep(2)
  expect(holds()).toBe(true)
}

/** Of each account, its events in the order in which they came the first time. */
function firsts(messages: readonly WebhookMessage[]): ReadonlyMap<string, readonly string[]> {
  const seen = new Map<string, string[]>()
  for (const { data } of messages.map(told)) {
    const ofAccount = seen.get(data.account_id ?? "") ?? []
    seen.set(data.account_id ?? "", ofAccount)
    if (!ofAccount.includes(data.id)) ofAccount.push(data.id)
  }
  return seen
}

describe("an event", () => {
  test("goes to each webhook that wants it, with what the events API shows of it and nothing else", async () => {
    const world = deliveryWorld()
    const wanting = await world.hook("https://a.example/", ["account.updated"])
    await world.hook("https://b.example/", ["oauth_app.*"])
    const event = await world.happens("acc_1", {
      provider: "x",
      flowId: "flow_1",
      reference: "user-42",
      detail: "The tests said so.",
    })
    expect(await world.tick()).toBe(1)
    const [message] = world.receivers.sent
    if (!message) throw new Error("nothing was sent")
    expect({ ...message, body: JSON.parse(message.body) }).toEqual({
      url: "https://a.example/",
      id: event.id,
      at: world.clock.at,
      secrets: [expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/)],
      body: {
        type: "account.updated",
        timestamp: "2026-11-22T10:00:00.000Z",
        data: {
          id: event.id,
          environment: "live",
          actor: "system",
          provider: "x",
          account_id: "acc_1",
          flow_id: "flow_1",
          oauth_app_id: null,
          api_key_id: null,
          webhook_id: null,
          reference: "user-42",
          reason: null,
          detail: "The tests said so.",
        },
      },
    })
    expect(await world.statusOf(wanting.id)).toEqual(["delivered"])
    expect(await world.tick()).toBe(0)
  })

  test("is of no other owner's business", async () => {
    const world = deliveryWorld()
    await world.hook()
    await world.happens("acc_1", { tenant: "globex" })
    await world.happens("acc_1", { environment: "test" })
    expect(await world.tick()).toBe(0)
  })

  test("is fanned out in batches, none left out", async () => {
    const world = deliveryWorld()
    await world.hook()
    for (let i = 0; i <= fanOutBatch; i++) await world.happens(`acc_${i}`)
    expect(await world.delivering.fanOut()).toBe(fanOutBatch)
    expect(await world.delivering.fanOut()).toBe(2) // one of the webhook itself
    expect(await world.delivering.fanOut()).toBe(0)
    expect(await world.delivering.deliverDue()).toBe(fanOutBatch + 1)
    expect(new Set(world.receivers.sent.map(({ id }) => id)).size).toBe(fanOutBatch + 1)
  })

  test("is signed with both secrets for 24 hours after a rotation, and then with the new one", async () => {
    const world = deliveryWorld()
    const { webhook, secret: first } = await world.webhooks.create(acme, {
      url: "https://a.example/",
      events: ["account.*"],
    })
    const { secret: second } = await world.webhooks.rotateSecret(acme, webhook.id)
    const secretsNow = async () => {
      await world.happens("acc_1")
      await world.tick()
      return world.receivers.sent.at(-1)?.secrets
    }
    expect(await secretsNow()).toEqual([second, first])
    world.clock.at = new Date(world.clock.at.getTime() + 24 * hour - 1)
    expect(await secretsNow()).toEqual([second, first])
    world.clock.at = new Date(world.clock.at.getTime() + 1)
    expect(await secretsNow()).toEqual([second])
    const { secret: third } = await world.webhooks.rotateSecret(acme, webhook.id)
    expect(await secretsNow()).toEqual([third, second])
    expect(new Set([first, second, third]).size).toBe(3)
  })
})

describe("rotations of a secret at the same moment", () => {
  const secretsThatSign = async (world: DeliveryWorld) => {
    await world.happens("acc_1")
    await world.tick()
    return world.receivers.sent.at(-1)?.secrets
  }

  test("two follow one another, and what both answered signs", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    const rotated = await Promise.all([1, 2].map(() => world.webhooks.rotateSecret(acme, id)))
    const secrets = rotated.map(({ secret }) => secret)
    expect((await secretsThatSign(world))?.toSorted()).toEqual(secrets.toSorted())
    const { previousSecretUntil } = await world.webhooks.get(acme, id)
    expect(previousSecretUntil).toEqual(new Date(world.clock.at.getTime() + 24 * hour))
  })

  test("of more the later are refused, so that whatever was answered signs", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    const rotations = [1, 2, 3, 4].map(() => world.webhooks.rotateSecret(acme, id))
    const ends = await Promise.allSettled(rotations)
    const secrets = ends.flatMap((end) => (end.status === "fulfilled" ? [end.value.secret] : []))
    expect((await secretsThatSign(world))?.toSorted()).toEqual(secrets.toSorted())
    const refused = ends.flatMap((end) => (end.status === "rejected" ? [end.reason] : []))
    expect(refused).toMatchObject([{ code: "invalid_input" }, { code: "invalid_input" }])
  })
})

describe("a receiver that was down for six hours", () => {
  test.each(["unreachable", "timeout", "unresolved"] as const)(
    "(%s) gets everything soon after, one account's events in their order",
    async (why) => {
      const world = deliveryWorld()
      const { id } = await world.hook()
      const accounts = ["acc_1", "acc_2", "acc_3"]
      const happened = new Map<string, string[]>(accounts.map((account) => [account, []]))
      let isDown = true
      world.receivers.answer = async () => (isDown ? unanswered(why) : answered(200))
      for (let i = 0; i < 24; i++) {
        for (const account of accounts) {
          const event = await world.happens(account)
          happened.get(account)?.push(event.id)
        }
        await world.pass(hour / 4)
      }
      // It was left alone most of the time: some 4 at a time, at growing distances up to 15 minutes.
      expect(world.receivers.sent.length).toBeLessThan(200)
      expect(await world.webhooks.get(acme, id)).toMatchObject({ enabled: true })

      isDown = false
      world.receivers.sent.splice(0)
      await world.pass(18 * minute + 5000)
      expect(firsts(world.receivers.sent)).toEqual(happened)
      // What came was taken, so it came once.
      expect(world.receivers.sent).toHaveLength(72)
      expect(await world.webhooks.get(acme, id)).toMatchObject({ failingSince: null, failures: 0 })
    },
  )

  test("with 500 gets everything once one event gets through", async () => {
    const world = deliveryWorld()
    await world.hook()
    let isDown = true
    world.receivers.answer = async () => answered(isDown ? 500 : 200)
    for (let i = 0; i < 20; i++) await world.happens(`acc_${i % 5}`)
    await world.pass(6 * hour, 30_000)
    isDown = false
    world.receivers.sent.splice(0)
    await world.happens("acc_new")
    await world.tick()
    expect(world.receivers.sent).toHaveLength(21)
  })
})

describe("a slow receiver", () => {
  test("holds up nobody, has no more than four at a time, and gets the rest as they end", async () => {
    const world = deliveryWorld()
    await world.hook("https://slow.example/")
    await world.hook("https://fast.example/")
    const slow = held()
    world.receivers.answer = async (message) =>
      message.url === "https://slow.example/" ? slow.answer(message) : answered(200)
    for (let i = 0; i < 10; i++) await world.happens(`acc_${i}`)
    await world.fanOut()
    const working = world.delivering.deliverDue()
    await until(() => world.sentTo("https://fast.example/").length === 10)
    expect(slow.waiting).toHaveLength(4)

    // What happens meanwhile goes out too, though the call is still at work.
    await world.happens("acc_new")
    await world.fanOut()
    await until(() => world.sentTo("https://fast.example/").length === 11)

    slow.waiting[2]?.release()
    await until(() => slow.waiting.length === 5)
    await Bun.sleep(20)
    expect(slow.waiting).toHaveLength(5)
    for (let i = 0; i < 11; i++) {
      await until(() => slow.waiting.length > i)
      slow.waiting[i]?.release()
    }
    expect(await working).toBe(22)
  })

  test("gets the next event of an account only when the one before has ended", async () => {
    const world = deliveryWorld()
    await world.hook()
    const slow = held()
    world.receivers.answer = slow.answer
    const events = [await world.happens("acc_1"), await world.happens("acc_1")]
    await world.fanOut()
    const working = world.delivering.deliverDue()
    await until(() => slow.waiting.length === 1)
    await Bun.sleep(20)
    expect(slow.waiting).toHaveLength(1)
    slow.waiting[0]?.release()
    await until(() => slow.waiting.length === 2)
    slow.waiting[1]?.release()
    await working
    expect(slow.waiting.map(({ message }) => message.id)).toEqual(events.map(({ id }) => id))
  })

  test("of one tenant, on all its webhooks, leaves room for the others", async () => {
    const world = deliveryWorld()
    for (let i = 0; i < 19; i++) await world.hook(`https://slow.example/${i}`)
    const slow = held()
    world.receivers.answer = async (message) =>
      message.url.startsWith("https://slow.example/") ? slow.answer(message) : answered(200)
    for (let i = 0; i < 10; i++) await world.happens(`acc_${i}`)
    await world.fanOut()
    const working = world.delivering.deliverDue()
    await until(() => slow.waiting.length === 76)
    await world.hook("https://fast.example/")
    await world.happens("acc_1")
    await world.fanOut()
    await until(() => world.sentTo("https://fast.example/").length === 1)
    for (let i = 0; i < 19 * 11; i++) {
      await until(() => slow.waiting.length > i)
      slow.waiting[i]?.release()
    }
    await working
  })
})

test("an event of a tenant goes out as soon as one place is free, though others' slow webhooks fill them all", async () => {
  const world = deliveryWorld()
  const tenants = ["slow_1", "slow_2", "slow_3", "slow_4"]
  for (const tenant of tenants) {
    for (let i = 0; i < 16; i++) {
      const input = { url: `https://slow.example/${i}`, events: ["account.*"] }
      await world.webhooks.create({ ...acme, tenant }, input)
    }
    for (let i = 0; i < 20; i++) await world.happens(`acc_${i}`, { tenant })
  }
  await world.hook("https://fast.example/")
  await world.fanOut()

  const started = world.clock.at.getTime()
  const seconds = () => (world.clock.at.getTime() - started) / 1000
  let slow: { readonly endsAt: number; end(outcome: AttemptOutcome): void }[] = []
  const sentAt: number[] = []
  world.receivers.answer = (message) => {
    const { promise, resolve } = Promise.withResolvers<AttemptOutcome>()
    if (message.url === "https://fast.example/") {
      sentAt.push(seconds())
      resolve(answered(200))
    } else slow.push({ endsAt: seconds() + 9.9, end: resolve })
    return promise
  }
  /** A second goes by once everything has come to rest. */
  const second = async () => {
    await Bun.sleep(20)
    world.clock.at = new Date(world.clock.at.getTime() + 1000)
    const ended = slow.filter(({ endsAt }) => endsAt <= seconds())
    slow = slow.filter((each) => !ended.includes(each))
    if (seconds() === 3) {
      expect(slow).toHaveLength(256)
      await world.happens("acc_1")
      await world.fanOut()
    }
    for (const { end } of ended) end(answered(200))
  }
  let next: Promise<void> | undefined
  const wait = () => {
    next ??= second().finally(() => {
      next = undefined
    })
    return next
  }
  const delivering = deliverWebhooks({ ...world.deps, wait })
  expect(await delivering.deliverDue(() => sentAt.length > 0 || seconds() > 60)).toBeGreaterThan(256)
  expect(sentAt).toHaveLength(1)
  expect(sentAt[0]).toBeLessThanOrEqual(12)
})

describe("a receiver that asks for time", () => {
  test.each([429, 503])("by %p with Retry-After is left alone till then, in every event", async (status) => {
    const world = deliveryWorld()
    await world.hook()
    world.receivers.answer = async () => answered(status, 600)
    await world.happens("acc_1")
    await world.tick()
    world.receivers.answer = async () => answered(200)
    await world.happens("acc_2")
    await world.pass(599_000)
    expect(world.receivers.sent).toHaveLength(1)
    await world.pass(1000)
    expect(world.receivers.sent).toHaveLength(3)
  })

  test("by 429 without it is left alone for some seconds", async () => {
    const world = deliveryWorld({ random: () => 0.5 })
    await world.hook()
    world.receivers.answer = async () => answered(429)
    await world.happens("acc_1")
    await world.tick()
    await world.happens("acc_2")
    await world.pass(4000, 1000)
    expect(world.receivers.sent).toHaveLength(1)
    await world.pass(1000, 1000)
    expect(world.receivers.sent).toHaveLength(3)
  })
})

describe("an event that a receiver never takes", () => {
  test.each([
    ["refuses", answered(500)],
    ["hangs at", unanswered("timeout")],
  ])("(it %s it) holds up its own account for 72 hours, and nobody else", async (_, outcome) => {
    const world = deliveryWorld({ random: () => 0.5 })
    const { id } = await world.hook()
    const poison = await world.happens("acc_1")
    const next = await world.happens("acc_1")
    world.receivers.answer = async (message) => (message.id === poison.id ? outcome : answered(200))
    await world.tick()
    for (let i = 0; i < 71; i++) {
      const other = await world.happens("acc_2")
      await world.pass(hour, 10_000)
      expect(world.receivers.sent.some((message) => message.id === other.id)).toBe(true)
    }
    expect(world.receivers.sent.some((message) => message.id === next.id)).toBe(false)
    // Tried again and again, every 15 minutes at most.
    expect(world.receivers.sent.filter((message) => message.id === poison.id).length).toBeLessThan(300)
    await world.pass(3 * hour, minute)
    expect(world.receivers.sent.at(-1)?.id).toBe(next.id)
    const { items } = await world.webhooks.deliveries(acme, id, { status: "failed" })
    expect(items.map(({ event, delivery }) => [event.id, delivery.lastDetail])).toEqual([
      [poison.id, expect.stringMatching(/It was given up after 72 hours\.$/)],
    ])
    expect(await world.webhooks.get(acme, id)).toMatchObject({ enabled: true, failingSince: null })
  })

  test("goes out once more when it is replayed, alone or with all that failed since a time", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    const started = world.clock.at
    world.receivers.answer = async (message) =>
      answered(told(message).data.account_id === "acc_1" ? 500 : 200)
    const poison = await world.happens("acc_1")
    await world.tick()
    for (let i = 0; i < 74; i++) {
      await world.happens("acc_2")
      await world.pass(hour, 10 * minute)
    }
    expect((await world.webhooks.deliveries(acme, id, { status: "failed" })).items).toHaveLength(1)

    expect(await world.webhooks.replayFailed(acme, id, new Date(started.getTime() + 1))).toBe(0)
    expect(await world.webhooks.replayFailed(acme, id, started)).toBe(1)
    world.receivers.answer = async () => answered(200)
    world.receivers.sent.splice(0)
    await world.tick()
    expect(world.receivers.sent.map((message) => message.id)).toEqual([poison.id])

    await world.webhooks.replayEvent(acme, id, poison.id)
    await world.tick()
    expect(world.receivers.sent.map((message) => message.id)).toEqual([poison.id, poison.id])
  })
})

test.each([
  ["refuses", answered(500)],
  ["hangs at", unanswered("timeout")],
])(
  "an event that a busy receiver %s is tried less and less often, not after each success",
  async (_, outcome) => {
    const world = deliveryWorld({ random: () => 0.5 })
    await world.hook()
    const poison = await world.happens("acc_1")
    world.receivers.answer = async (message) => (message.id === poison.id ? outcome : answered(200))
    for (let i = 0; i < 720; i++) {
      await world.happens("acc_2")
      await world.pass(5000)
    }
    const tries = world.receivers.sent.filter((message) => message.id === poison.id).length
    expect(tries).toBeGreaterThan(4)
    expect(tries).toBeLessThan(12)
    expect(world.receivers.sent.length - tries).toBe(720)
  },
)

describe("a webhook that nothing gets through to", () => {
  test("is switched off after 72 hours with an event that says why, and loses nothing", async () => {
    const world = deliveryWorld({ random: () => 0.5 })
    const { id } = await world.hook("https://down.example/")
    await world.hook("https://watching.example/", ["webhook.disabled"])
    world.receivers.answer = async (message) =>
      message.url === "https://down.example/" ? unanswered("unreachable") : answered(200)
    const first = await world.happens("acc_1")
    await world.tick()
    await world.pass(72 * hour - minute, minute)
    expect(await world.webhooks.get(acme, id)).toMatchObject({ enabled: true, disabledReason: null })
    await world.pass(20 * minute, minute)
    const disabled = await world.webhooks.get(acme, id)
    expect(disabled).toMatchObject({
      enabled: false,
      disabledReason: expect.stringMatching(/^No attempt has succeeded for 72 hours\./),
    })
    const watched = world.receivers.sent.filter((message) => message.url === "https://watching.example/")
    expect(watched.map(told)).toMatchObject([
      {
        type: "webhook.disabled",
        data: { webhook_id: id, actor: "system", detail: disabled.disabledReason },
      },
    ])

    const second = await world.happens("acc_1")
    world.receivers.sent.splice(0)
    await world.pass(5 * hour, minute)
    expect(world.receivers.sent).toEqual([])

    world.receivers.answer = async () => answered(200)
    await world.webhooks.change(acme, id, { enabled: true })
    await world.tick()
    expect(world.receivers.sent.map((message) => message.id)).toEqual([first.id, second.id])
  })

  test("is switched off by 410 at once, and told so in one event however many were in flight", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    world.receivers.answer = async () => answered(410)
    for (let i = 0; i < 10; i++) await world.happens(`acc_${i}`)
    await world.tick()
    expect(world.receivers.sent).toHaveLength(4)
    expect(await world.webhooks.get(acme, id)).toMatchObject({ enabled: false })
    const { items } = await world.storage.events.list(acme, { types: ["webhook.disabled"] }, { limit: 10 })
    expect(items.map((event) => event.webhookId)).toEqual([id])
  })

  test("that is switched off by its tenant waits, and goes on where it was", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    await world.webhooks.change(acme, id, { enabled: false })
    const event = await world.happens("acc_1")
    await world.pass(minute)
    expect(world.receivers.sent).toEqual([])
    await world.webhooks.change(acme, id, { enabled: true })
    await world.tick()
    expect(world.receivers.sent.map((message) => message.id)).toEqual([event.id])
  })
})

describe("a webhook that is mended", () => {
  test.each([answered(410), answered(429, 86_400), answered(500), answered(200)])(
    "by another address hears nothing of how the old one answers late: %o",
    async (late) => {
      const world = deliveryWorld()
      const { id } = await world.hook("https://old.example/")
      const old = held()
      world.receivers.answer = async (message) =>
        message.url === "https://old.example/" ? old.answer(message) : answered(200)
      const events = [await world.happens("acc_1"), await world.happens("acc_2")]
      await world.fanOut()
      const working = world.delivering.deliverDue()
      await until(() => old.waiting.length === 2)
      const mended = await world.webhooks.change(acme, id, { url: "https://new.example/" })
      for (const { release } of old.waiting) release(late)
      await working
      await world.tick()
      expect(world.sentTo("https://new.example/").toSorted()).toEqual(events.map((e) => e.id).toSorted())
      expect(await world.webhooks.get(acme, id)).toEqual(mended)
      expect(await world.statusOf(id)).toEqual(["delivered", "delivered"])
    },
  )

  test("by being switched on sends what waited at once, for another 72 hours", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    world.receivers.answer = async () => answered(503, 86_400)
    const event = await world.happens("acc_1")
    await world.tick()
    await world.webhooks.change(acme, id, { enabled: false })
    await world.pass(100 * hour, hour)
    expect(world.receivers.sent).toHaveLength(1)
    world.receivers.answer = async () => answered(503, 86_400)
    await world.tick()
    await world.webhooks.change(acme, id, { enabled: true })
    await world.tick()
    expect(world.receivers.sent.map((message) => message.id)).toEqual([event.id, event.id])
    expect(await world.statusOf(id)).toEqual(["pending"])
    // The receiver asked for a day; switched on once more it is not heeded any longer.
    world.receivers.answer = async () => answered(200)
    await world.webhooks.change(acme, id, { enabled: true })
    await world.tick()
    expect(await world.statusOf(id)).toEqual(["delivered"])
  })

  test("by an answer at the last moment stays on, though others in flight then failed", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    world.receivers.answer = async () => answered(500)
    await world.happens("acc_0")
    await world.tick()
    world.clock.at = new Date(world.clock.at.getTime() + 72 * hour)
    const slow = held()
    world.receivers.answer = slow.answer
    for (let i = 1; i < 4; i++) await world.happens(`acc_${i}`)
    await world.fanOut()
    const working = world.delivering.deliverDue()
    await until(() => slow.waiting.length === 4)
    const good = slow.waiting.find(({ message }) => told(message).data.account_id === "acc_2")
    good?.release(answered(200))
    await until(() => world.sentTo("https://hooks.acme.example/").length === 5)
    while ((await world.webhooks.get(acme, id)).failingSince !== null) await Bun.sleep(2)
    for (const { release } of slow.waiting) release(answered(500))
    await working
    expect(await world.webhooks.get(acme, id)).toMatchObject({
      enabled: true,
      failures: 3,
      failingSince: world.clock.at,
    })
    expect((await world.statusOf(id)).toSorted()).toEqual(["delivered", "pending", "pending", "pending"])
  })
})

describe("when something breaks here", () => {
  test("an attempt that cannot be written down is made again when its lease has run out", async () => {
    const world = deliveryWorld()
    await world.hook()
    let isBroken = true
    const broken = deliverWebhooks({
      ...world.deps,
      deliveries: {
        ...world.deps.deliveries,
        settle: (...args) =>
          isBroken ? Promise.reject(new Error("made-up")) : world.deps.deliveries.settle(...args),
      },
    })
    const events = [await world.happens("acc_1"), await world.happens("acc_1")]
    await world.fanOut()
    expect(await broken.deliverDue()).toBe(1)
    expect(world.faults).toHaveLength(1)
    isBroken = false
    expect(await broken.deliverDue()).toBe(0)
    world.clock.at = new Date(world.clock.at.getTime() + 30_000)
    expect(await broken.deliverDue()).toBe(2)
    const [first, second] = events.map(({ id }) => id)
    expect(world.receivers.sent.map(({ id }) => id)).toEqual([first, first, second].map(String))
  })

  test("what is on its way ends, though the store can be asked for nothing more", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook()
    const slow = held()
    world.receivers.answer = slow.answer
    await world.happens("acc_1")
    await world.fanOut()
    let claims = 0
    const broken = deliverWebhooks({
      ...world.deps,
      deliveries: {
        ...world.deps.deliveries,
        claimDue: (query) =>
          claims++ === 0 ? world.deps.deliveries.claimDue(query) : Promise.reject(new Error("made-up")),
      },
    })
    let ended = false
    const working = broken.deliverDue().catch((fault: unknown) => {
      ended = true
      return fault
    })
    await until(() => claims > 1)
    await Bun.sleep(20)
    expect(ended).toBe(false)
    slow.waiting[0]?.release()
    expect(await working).toEqual(new Error("made-up"))
    expect(await world.statusOf(id)).toEqual(["delivered"])
  })

  test("a secret that does not open holds up no other webhook", async () => {
    const world = deliveryWorld()
    const { id } = await world.hook("https://broken.example/")
    await world.hook("https://fine.example/")
    const other = await world.webhooks.get(acme, id)
    await world.storage.webhooks.change(
      acme,
      id,
      { secret: `${other.secret}x` as typeof other.secret, updatedAt: world.clock.at },
      { ...(await world.happens("acc_0")), id: "evt_made-up" },
    )
    await world.happens("acc_1")
    await world.tick()
    expect(world.sentTo("https://broken.example/")).toEqual([])
    expect(world.sentTo("https://fine.example/").length).toBeGreaterThan(0)
    expect(world.faults.length).toBeGreaterThan(0)
  })
})

test("told to stop it begins nothing more, and what is on its way ends", async () => {
  const world = deliveryWorld()
  const { id } = await world.hook()
  const slow = held()
  world.receivers.answer = slow.answer
  for (let i = 0; i < 6; i++) await world.happens(`acc_${i}`)
  await world.fanOut()
  let isStopping = false
  const working = world.delivering.deliverDue(() => isStopping)
  await until(() => slow.waiting.length === 4)
  isStopping = true
  for (const { release } of slow.waiting) release()
  expect(await working).toBe(4)
  expect((await world.statusOf(id)).filter((status) => status === "delivered")).toHaveLength(4)
  expect(await world.delivering.deliverDue(() => isStopping)).toBe(0)
})

test("two instances at once send each event once, one account's in order", async () => {
  const world = deliveryWorld()
  await world.hook()
  const second = deliverWebhooks(world.deps)
  world.receivers.answer = async () => {
    await Bun.sleep(Math.random() * 4)
    return answered(200)
  }
  const happened = new Map<string, string[]>()
  for (let i = 0; i < 60; i++) {
    const event = await world.happens(`acc_${i % 6}`)
    happened.set(`acc_${i % 6}`, [...(happened.get(`acc_${i % 6}`) ?? []), event.id])
  }
  const counts = await Promise.all(
    [world.delivering, second].map(async (instance) => {
      while (await instance.fanOut()) {}
      return instance.deliverDue()
    }),
  )
  expect(counts.reduce((sum, count) => sum + count)).toBe(60)
  expect(firsts(world.receivers.sent)).toEqual(happened)
})
