import { describe, expect, test } from "bun:test"
import { Webhook } from "standardwebhooks"
import { freshDatabase } from "../support/postgres.ts"
import { receiver } from "../support/receiver.ts"
import {
  client,
  dropFolder,
  followConsent,
  type Service,
  type Started,
  startService,
} from "../support/service.ts"

interface Events {
  readonly items: readonly { readonly id: string; readonly account_id: string | null }[]
  readonly next_cursor: string | null
  readonly has_more: boolean
}

const providers = ["x", "linkedin", "tiktok", "instagram"] as const

async function allEvents(api: ReturnType<typeof client>): Promise<Events["items"]> {
  const items: Events["items"][number][] = []
  let page = await api.json<Events>("GET", "/v1/events?type=account.*&limit=100")
  for (;;) {
    items.push(...page.items)
    if (!page.has_more) return items
    page = await api.json<Events>("GET", `/v1/events?type=account.*&limit=100&cursor=${page.next_cursor}`)
  }
}

function byAccount(events: readonly { readonly id: string; readonly account: string }[]) {
  const found = new Map<string, string[]>()
  for (const { id, account } of events) found.set(account, [...(found.get(account) ?? []), id])
  return found
}

describe.each([
  ["sqlite", 50, 1],
  ["postgres", 50, 2],
])("killed while events go out, on %s", (store, kills, instances) => {
  test(`after ${kills} kills every event has been delivered, and one account's in order`, async () => {
    const there = receiver()
    there.scripted.answer = async () => {
      await Bun.sleep(Math.random() * 60)
      return new Response(null, { status: Math.random() < 0.02 ? 500 : 204 })
    }
    const database = store === "postgres" ? await freshDatabase() : undefined
    const options = {
      databaseUrl: database?.url ?? "sqlite:mooring.sqlite",
      env: {
        ENCRYPTION_KEYS: `t1:${Buffer.alloc(32, 5).toString("base64")}`,
        JWT_SECRET: "made-up-secret-of-the-tests-0123456789",
        WEBHOOK_PRIVATE_ADDRESSES: "allow",
        LOG_LEVEL: "warn",
      },
    }
    const services: Service[] = []
    for (let i = 0; i < instances; i++) services.push(await startService(options))
    const at = (i: number): Service => {
      const service = services[i % instances]
      if (!service) throw new Error("no service")
      return service
    }
    const key = await at(0).makeKey("acme", "test")
    const hook = await client(at(0).url, key).json<{ id: string; secret: string }>("POST", "/v1/webhooks", {
      url: there.url,
      events: ["account.*"],
    })

    let isDone = false
    /** One person's account at one provider, connected again and again through whichever instance is up. */
    const connecting = providers.map(async (provider) => {
      for (let i = 0; !isDone; i++) {
        try {
          const started = await client(at(i).url, key).json<Started>("GET", `/v1/oauth/${provider}/start`)
          await followConsent(started.authorize_url, { scenario: "approve" })
        } catch {
          await Bun.sleep(20)
        }
        await Bun.sleep(Math.random() * 100)
      }
    })
    for (let i = 0; i < kills; i++) {
      await Bun.sleep(Math.random() * 400)
      await at(i).stop("SIGKILL")
      services[i % instances] = await at(i).restart()
    }
    isDone = true
    await Promise.all(connecting)

    const api = client(at(0).url, key)
    const recorded = (await allEvents(api)).map(({ id, account_id }) => ({ id, account: account_id ?? "" }))
    expect(recorded.length).toBeGreaterThan(kills)
    const seen = () => new Set(there.received.map(({ headers }) => headers["webhook-id"]))
    // What a killed process had claimed is claimed again when its lease of 30 s has run out.
    for (let tries = 0; tries < 900 && recorded.some(({ id }) => !seen().has(id)); tries++)
      await Bun.sleep(100)

    const received = there.received.map(({ body, headers }) => {
      const { data } = new Webhook(hook.secret).verify(body, { ...headers }, { jsonParse: true }) as {
        data: { id: string; account_id: string }
      }
      return { id: data.id, account: data.account_id }
    })
    const inOrder = byAccount(recorded)
    expect(inOrder.size).toBe(providers.length)
    for (const [account, came] of byAccount(received)) {
      // At least once: the last one may come again, but never one before it.
      const places = came.map((id) => inOrder.get(account)?.indexOf(id) ?? -1)
      expect(places).toEqual([...places].sort((a, b) => a - b))
      expect([...new Set(came)]).toEqual([...(inOrder.get(account) ?? [])])
    }
    // Kills that hit nothing would prove nothing: some were between the sending and the writing down.
    expect(received.length).toBeGreaterThan(recorded.length)

    for (const service of services) await service.stop()
    there.stop()
    await database?.drop()
    for (const { folder } of services) dropFolder(folder)
  }, 300_000)
})
