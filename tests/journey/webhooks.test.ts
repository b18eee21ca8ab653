import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { Webhook } from "standardwebhooks"
import { freshDatabase } from "../support/postgres.ts"
import { type Received, receiver } from "../support/receiver.ts"
import {
  client,
  dropFolder,
  followConsent,
  freePort,
  type Service,
  type Started,
  startService,
} from "../support/service.ts"

interface Message {
  readonly type: string
  readonly timestamp: string
  readonly data: Readonly<Record<string, string | null>>
}

interface Hook {
  readonly id: string
  readonly secret: string
}

interface Deliveries {
  readonly items: readonly { readonly event_id: string; readonly status: string; readonly attempts: number }[]
}

async function until<Found>(look: () => Found | undefined | Promise<Found | undefined>): Promise<Found> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await look()
    if (found !== undefined) return found
    await Bun.sleep(25)
  }
  throw new Error("it did not come in 15 seconds")
}

describe.each(["sqlite", "postgres"])("webhooks of a running service on %s", (store) => {
  let service: Service
  let database: Awaited<ReturnType<typeof freshDatabase>> | undefined
  let there: ReturnType<typeof receiver>
  let api: ReturnType<typeof client>

  beforeAll(async () => {
    database = store === "postgres" ? await freshDatabase() : undefined
    service = await startService({
      databaseUrl: database?.url ?? "sqlite:mooring.sqlite",
      env: {
        WEBHOOK_PRIVATE_ADDRESSES: "allow",
        ENCRYPTION_KEYS: `t1:${Buffer.alloc(32, 5).toString("base64")}`,
        JWT_SECRET: "made-up-secret-of-the-tests-0123456789",
      },
    })
    there = receiver()
    api = client(service.url, await service.makeKey("acme", "test"))
  })
  afterAll(async () => {
    await service.stop()
    there.stop()
    await database?.drop()
    dropFolder(service.folder)
  })

  const created = (url = there.url) => api.json<Hook>("POST", "/v1/webhooks", { url, events: ["account.*"] })

  async function connect(provider: string): Promise<void> {
    const started = await api.json<Started>("GET", `/v1/oauth/${provider}/start?reference=user-42`)
    expect((await followConsent(started.authorize_url, { scenario: "approve" })).status).toBe(200)
  }

  const verified = (secret: string, { body, headers }: Received) =>
    new Webhook(secret).verify(body, { ...headers }) as Message

  test("a connected account is told of within seconds, and the message verifies with the standard library", async () => {
    const hook = await created()
    await connect("x")
    const got = await until(() => there.received[0])
    const message = verified(hook.secret, got)
    expect(message).toMatchObject({
      type: "account.connected",
      data: { provider: "x", reference: "user-42" },
    })
    const events = await api.json<{ items: readonly Record<string, unknown>[] }>(
      "GET",
      "/v1/events?type=account.connected",
    )
    expect(events.items).toEqual([{ type: message.type, timestamp: message.timestamp, ...message.data }])
    const delivery = await until(async () => {
      const { items } = await api.json<Deliveries>("GET", `/v1/webhooks/${hook.id}/deliveries`)
      return items.find(({ status }) => status === "delivered")
    })
    expect(delivery).toMatchObject({ event_id: String(message.data.id), attempts: 1 })
    expect((await api.call("DELETE", `/v1/webhooks/${hook.id}`)).status).toBe(204)
  })

  test("after a rotation a message verifies with the old secret and with the new one", async () => {
    const hook = await created()
    const rotated = await api.json<Hook>("POST", `/v1/webhooks/${hook.id}/rotate-secret`, undefined, 200)
    there.received.splice(0)
    await connect("x")
    const got = await until(() => there.received[0])
    expect(got.headers["webhook-signature"]?.split(" ")).toHaveLength(2)
    for (const secret of [hook.secret, rotated.secret])
      expect(verified(secret, got)).toMatchObject({ type: "account.reconnected" })
    expect((await api.call("DELETE", `/v1/webhooks/${hook.id}`)).status).toBe(204)
  })

  test("a receiver that comes up late gets what it missed, in order, after a restart of the service too", async () => {
    const port = freePort()
    const hook = await created(`http://127.0.0.1:${port}/late`)
    for (let i = 0; i < 3; i++) await connect("linkedin")
    await until(async () => {
      const { items } = await api.json<Deliveries>("GET", `/v1/webhooks/${hook.id}/deliveries`)
      return items.length === 3 && items.some(({ attempts }) => attempts > 0) ? items : undefined
    })
    service = await service.stop().then(() => service.restart())
    const late = receiver({ port })
    await until(() => (late.received.length >= 3 ? late.received : undefined))
    expect(late.received.map((got) => verified(hook.secret, got).type)).toEqual([
      "account.connected",
      "account.reconnected",
      "account.reconnected",
    ])
    late.stop()
    expect((await api.call("DELETE", `/v1/webhooks/${hook.id}`)).status).toBe(204)
  }, 30_000)

  test("on SIGTERM what is being sent is finished and written down", async () => {
    const hook = await created()
    there.received.splice(0)
    there.scripted.answer = async () => {
      await Bun.sleep(1500)
      return new Response(null, { status: 204 })
    }
    await connect("tiktok")
    await until(() => there.received[0])
    const began = performance.now()
    expect(await service.stop()).toBe(0)
    expect(performance.now() - began).toBeGreaterThan(1000)
    expect(performance.now() - began).toBeLessThan(10_000)
    service = await service.restart()
    const { items } = await api.json<Deliveries>("GET", `/v1/webhooks/${hook.id}/deliveries`)
    expect(items).toMatchObject([{ status: "delivered", attempts: 1 }])
    await Bun.sleep(1500)
    expect(there.received).toHaveLength(1)
  }, 30_000)
})

test("without the setting no webhook goes to an address that is not public, or over plain http", async () => {
  const service = await startService()
  const api = client(service.url, await service.makeKey("acme", "test"))
  for (const url of [
    "https://127.0.0.1/",
    "https://[::ffff:10.0.0.1]/",
    "https://localhost/",
    "http://acme.example/",
  ]) {
    const response = await api.call("POST", "/v1/webhooks", { url })
    expect([url, response.status]).toEqual([url, 400])
  }
  await service.stop()
  dropFolder(service.folder)
})
