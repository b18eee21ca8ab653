import { describe, expect, test } from "bun:test"
import { expectProblem, type HttpWorld, httpWorld, user } from "../support/http-world.ts"
import { answered, told, unanswered } from "../support/scripted-sender.ts"
import { aKey, anEvent } from "../support/storage-fixtures.ts"

const url = "https://hooks.acme.example/mooring"

interface WebhookView {
  readonly id: string
  readonly url: string
  readonly secret?: string
  readonly enabled: boolean
  readonly [field: string]: unknown
}

interface DeliveriesView {
  readonly items: readonly {
    readonly event_id: string
    readonly status: string
    readonly [field: string]: unknown
  }[]
  readonly next_cursor: string | null
}

async function ready() {
  const world = httpWorld()
  const as = await world.key({ scopes: ["webhooks"] })
  return { world, as }
}

async function created(world: HttpWorld, as: string, change: object = {}): Promise<WebhookView> {
  const response = await world.call("POST", "/v1/webhooks", { as, body: { url, ...change } })
  expect(response.status).toBe(201)
  return (await response.json()) as WebhookView
}

async function read<View = WebhookView>(world: HttpWorld, as: string, path: string): Promise<View> {
  const response = await world.call("GET", path, { as })
  expect(response.status).toBe(200)
  return (await response.json()) as View
}

/** Events of the tenant's webhooks, by type and subject. */
async function eventsOf(world: HttpWorld) {
  const { items } = await world.storage.events.list(user("acme"), {}, { limit: 100 })
  return items
    .filter((event) => event.type.startsWith("webhook."))
    .map((event) => [event.type, event.webhookId, event.actor])
}

/** Gives a webhook so many events, each an attempt that failed. */
async function failedDeliveries(world: HttpWorld, id: string, count: number): Promise<readonly string[]> {
  const events = Array.from({ length: count }, (_, i) =>
    anEvent({ tenant: "acme", environment: "live", accountId: `acc_${i}`, at: world.now() }),
  )
  for (const event of events) await world.storage.keys.add(aKey({ id: world.newId("key") }), event)
  while ((await world.storage.deliveries.fanOut(world.now(), 500)) > 0) {}
  const claim = {
    now: world.now(),
    until: new Date(world.now().getTime() + 1000),
    limit: 500,
    perWebhook: 500,
  }
  for (const claimed of await world.storage.deliveries.claimDue(claim)) {
    if (claimed.webhook.id !== id) continue
    const end = events.some((event) => event.id === claimed.event.id)
      ? ({ kind: "failed", status: 500, detail: "The receiver answered 500." } as const)
      : ({ kind: "delivered", status: 204 } as const)
    await world.storage.deliveries.settle(claimed, end, world.now())
  }
  return events.map((event) => event.id)
}

describe("a webhook", () => {
  test("is made with a secret that no later answer shows", async () => {
    const { world, as } = await ready()
    const made = await created(world, as, {
      description: "Production",
      events: ["account.*", "connect.failed"],
    })
    expect(made).toEqual({
      id: expect.stringMatching(/^wh_[0-9a-z]{36}$/),
      url,
      events: ["account.*", "connect.failed"],
      description: "Production",
      enabled: true,
      disabled_reason: null,
      failing_since: null,
      previous_secret_until: null,
      created_at: "2026-11-22T10:00:00.000Z",
      updated_at: "2026-11-22T10:00:00.000Z",
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    })
    const { secret, ...rest } = made
    expect(await read(world, as, `/v1/webhooks/${made.id}`)).toEqual(rest)
    expect(await read<unknown>(world, as, "/v1/webhooks")).toEqual([rest])
    const changed = await world.call("PATCH", `/v1/webhooks/${made.id}`, { as, body: { enabled: false } })
    expect(await changed.text()).not.toContain(String(secret))
    const kept = await world.storage.webhooks.find(user("acme"), made.id)
    expect(JSON.stringify(kept)).not.toContain(String(secret).slice(6))
  })

  test("wants every event unless it says which", async () => {
    const { world, as } = await ready()
    expect((await created(world, as)).events).toEqual(["*"])
    expect((await created(world, as)).description).toBeNull()
  })

  test("is listed oldest first, and is not the other environment's", async () => {
    const { world, as } = await ready()
    const ids: string[] = []
    for (let i = 0; i < 3; i++) {
      ids.push((await created(world, as)).id)
      world.pass(1)
    }
    const listed = await read<readonly WebhookView[]>(world, as, "/v1/webhooks")
    expect(listed.map(({ id }) => id)).toEqual(ids)
    const test = await world.key({ environment: "test", scopes: ["webhooks"] })
    expect(await read<unknown>(world, test, "/v1/webhooks")).toEqual([])
    await expectProblem(await world.call("GET", `/v1/webhooks/${ids[0]}`, { as: test }), 404, "not_found")
  })

  test("is changed in what is given alone, and its changes are events", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as, { description: "one" })
    world.pass(1000)
    const patch = async (body: object) => {
      const response = await world.call("PATCH", `/v1/webhooks/${id}`, { as, body })
      expect(response.status).toBe(200)
      return (await response.json()) as WebhookView
    }
    expect(await patch({ events: ["*", "*"] })).toMatchObject({ url, events: ["*"], description: "one" })
    expect(await patch({ url: "https://other.acme.example/" })).toMatchObject({
      url: "https://other.acme.example/",
      updated_at: "2026-11-22T10:00:01.000Z",
    })
    expect(await patch({ description: null })).toMatchObject({ description: null })
    expect(await patch({ enabled: false })).toMatchObject({ enabled: false, disabled_reason: null })
    const actor = `key:key_${as.split("_")[2]}`
    expect(await eventsOf(world)).toEqual([
      ["webhook.created", id, actor],
      ...Array.from({ length: 4 }, () => ["webhook.updated", id, actor]),
    ])
  })

  test("forgets how it fared when it is switched on, or gets another URL", async () => {
    const { world, as } = await ready()
    for (const body of [{ enabled: true }, { url: "https://other.acme.example/" }]) {
      const { id } = await created(world, as)
      const failing = {
        failingSince: world.now(),
        holdUntil: world.now(),
        failures: 7,
        enabled: false,
        disabledReason: "No attempt has succeeded.",
        updatedAt: world.now(),
      }
      const event = anEvent({ tenant: "acme", environment: "live", webhookId: id })
      await world.storage.webhooks.change(user("acme"), id, failing, event)
      expect(await read(world, as, `/v1/webhooks/${id}`)).toMatchObject({
        failing_since: world.now().toISOString(),
        disabled_reason: "No attempt has succeeded.",
      })
      const patched = await world.call("PATCH", `/v1/webhooks/${id}`, { as, body })
      expect(await patched.json()).toMatchObject({ failing_since: null, disabled_reason: null })
      expect(await world.storage.webhooks.find(user("acme"), id)).toMatchObject({
        failingSince: null,
        holdUntil: null,
        failures: 0,
        disabledReason: null,
      })
    }
  })

  test("is deleted with an event, and is then unknown", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const response = await world.call("DELETE", `/v1/webhooks/${id}`, { as })
    expect([response.status, await response.text()]).toEqual([204, ""])
    for (const method of ["GET", "DELETE"])
      await expectProblem(await world.call(method, `/v1/webhooks/${id}`, { as }), 404, "not_found")
    expect((await eventsOf(world)).at(-1)?.[0]).toBe("webhook.deleted")
  })

  test("is one of 20 at most, in each environment", async () => {
    const { world, as } = await ready()
    for (let i = 0; i < 20; i++) await created(world, as)
    const response = await world.call("POST", "/v1/webhooks", { as, body: { url } })
    await expectProblem(response, 400, "invalid_input", { words: /20 webhooks already/ })
    await created(world, await world.key({ environment: "test", scopes: ["webhooks"] }))
    expect((await eventsOf(world)).filter(([type]) => type === "webhook.created")).toHaveLength(20)
  })

  test("may be at no address that is not public, by its text or by what its name resolves to", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    world.receivers.mayReach = async (address) => address === url
    const attempts = [
      ["POST", "/v1/webhooks"],
      ["PATCH", `/v1/webhooks/${id}`],
    ] as const
    for (const [method, path] of attempts) {
      const refused = async (address: string, words: RegExp) =>
        expectProblem(await world.call(method, path, { as, body: { url: address } }), 400, "invalid_input", {
          fields: ["url"],
          words,
        })
      await refused("https://intern.acme.example/", /not public/)
      await refused("http://hooks.acme.example/", /https/)
      await refused("https://hooks.acme.example:8443/", /port/)
    }
    expect(await read(world, as, `/v1/webhooks/${id}`)).toMatchObject({ url })
  })

  test.each([
    ["nothing", {}, ["url"]],
    ["a URL that is no text", { url: 5 }, ["url"]],
    ["a field too many", { url, secret: "whsec_made-up" }, ["secret"]],
    ["a state", { url, enabled: false }, ["enabled"]],
    ["events that are no list", { url, events: "account.*" }, ["events"]],
    ["no events", { url, events: [] }, ["events"]],
    ["an unknown event", { url, events: ["*", "account.exploded"] }, ["events[1]"]],
    ["the message of the test call", { url, events: ["webhook.test"] }, ["events[0]"]],
    ["a long description", { url, description: "a".repeat(201) }, ["description"]],
  ])("is not made of %s", async (_, body, fields) => {
    const { world, as } = await ready()
    const response = await world.call("POST", "/v1/webhooks", { as, body })
    await expectProblem(response, 400, "invalid_input", { fields })
    expect(await eventsOf(world)).toEqual([])
  })

  test.each([
    ["nothing", {}, [""]],
    ["a secret", { secret: "whsec_made-up" }, ["secret"]],
    ["a time", { created_at: "2030-01-01T00:00:00Z" }, ["created_at"]],
    ["a state that is no boolean", { enabled: "true" }, ["enabled"]],
    ["null for a URL", { url: null }, ["url"]],
  ])("is not changed by %s", async (_, body, fields) => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const response = await world.call("PATCH", `/v1/webhooks/${id}`, { as, body })
    await expectProblem(response, 400, "invalid_input", { fields })
  })
})

describe("rotating a secret", () => {
  test("answers with the new one, and says until when the old one signs as well", async () => {
    const { world, as } = await ready()
    const { id, secret } = await created(world, as)
    const response = await world.call("POST", `/v1/webhooks/${id}/rotate-secret`, { as })
    expect(response.status).toBe(200)
    const rotated = (await response.json()) as WebhookView
    expect(rotated).toMatchObject({ id, previous_secret_until: "2026-11-23T10:00:00.000Z" })
    expect(rotated.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(rotated.secret).not.toBe(secret)
    await world.call("POST", `/v1/webhooks/${id}/test`, { as })
    expect(world.receivers.sent.at(-1)?.secrets).toEqual([String(rotated.secret), String(secret)])
  })
})

describe("testing a webhook", () => {
  test("sends a message at once, and tells how it ended; nothing of it is kept", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const before = await world.storage.events.list(user("acme"), {}, { limit: 100 })
    const response = await world.call("POST", `/v1/webhooks/${id}/test`, { as })
    expect(await response.json()).toEqual({
      delivered: true,
      status: 200,
      detail: "The receiver answered 200.",
      duration_ms: 0,
    })
    const [message] = world.receivers.sent
    if (!message) throw new Error("nothing was sent")
    const { data, ...head } = told(message)
    expect(head).toEqual({ type: "webhook.test", timestamp: "2026-11-22T10:00:00.000Z" })
    expect(data).toMatchObject({ id: message.id, webhook_id: id, environment: "live" })
    expect(await world.storage.events.list(user("acme"), {}, { limit: 100 })).toEqual(before)
    expect((await read<DeliveriesView>(world, as, `/v1/webhooks/${id}/deliveries`)).items).toEqual([])
  })

  test.each([
    [answered(500), 500, /answered 500/],
    [answered(302), 302, /redirects are not followed/],
    [unanswered("timeout"), null, /within 10 seconds/],
    [unanswered("unresolved"), null, /does not resolve/],
    [unanswered("certificate_refused"), null, /certificate/],
    [unanswered("address_refused"), null, /not public/],
  ])("tells what went wrong: %j", async (outcome, status, words) => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    world.receivers.answer = async () => outcome
    const response = await world.call("POST", `/v1/webhooks/${id}/test`, { as })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      delivered: false,
      status,
      detail: expect.stringMatching(words),
    })
    expect(await read(world, as, `/v1/webhooks/${id}`)).toMatchObject({ enabled: true, failing_since: null })
  })

  test("is done four at a time for one tenant, and none is held against another", async () => {
    const { world, as } = await ready()
    const other = await world.key({ tenant: "globex", scopes: ["webhooks"] })
    const ids = [await created(world, as), await created(world, as)].map(({ id }) => id)
    const theirs = await created(world, other)
    const { promise, resolve } = Promise.withResolvers<void>()
    world.receivers.answer = async () => {
      await promise
      return answered(200)
    }
    const send = (key: string, id = "") => world.call("POST", `/v1/webhooks/${id}/test`, { as: key })
    const waiting = [0, 1, 0, 1].map((i) => send(as, ids[i]))
    while (world.receivers.sent.length < 4) await Bun.sleep(1)
    const fifth = send(as, ids[0])
    await Bun.sleep(5)
    const another = send(other, theirs.id)
    while (world.receivers.sent.length < 5) await Bun.sleep(1)
    resolve()
    const refused = await fifth
    expect(refused.headers.get("retry-after")).toBe("5")
    await expectProblem(refused, 429, "rate_limited", { words: /4 tests are under way/ })
    for (const response of await Promise.all([...waiting, another])) expect(response.status).toBe(200)
    for (let i = 0; i < 6; i++) expect((await send(as, "wh_none")).status).toBe(404)
    expect((await send(as, ids[0])).status).toBe(200)
    expect(world.receivers.sent).toHaveLength(6)
  })

  test("works while it is switched off", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    await world.call("PATCH", `/v1/webhooks/${id}`, { as, body: { enabled: false } })
    const response = await world.call("POST", `/v1/webhooks/${id}/test`, { as })
    expect(await response.json()).toMatchObject({ delivered: true })
  })
})

describe("a webhook's deliveries", () => {
  test("are listed newest first with what became of them, in pages and by status", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as, { events: ["account.*", "webhook.created"] })
    const events = await failedDeliveries(world, id, 5)
    const path = `/v1/webhooks/${id}/deliveries`
    const all = await read<DeliveriesView>(world, as, path)
    // The first is of the webhook's own making, which it is told of as well.
    expect(all.items.map((item) => item.event_id).slice(0, 5)).toEqual([...events].reverse())
    expect(all.items).toHaveLength(6)
    expect(all.items[0]).toEqual({
      event_id: String(events[4]),
      status: "failed",
      attempts: 1,
      last_status: 500,
      last_detail: "The receiver answered 500.",
      created_at: "2026-11-22T10:00:00.000Z",
      first_attempt_at: "2026-11-22T10:00:00.000Z",
      next_attempt_at: null,
      completed_at: "2026-11-22T10:00:00.000Z",
      event: expect.objectContaining({ id: events[4], type: expect.any(String), account_id: "acc_4" }),
    })

    const seen: string[] = []
    let cursor = ""
    do {
      const page = await read<DeliveriesView>(world, as, `${path}?status=failed&limit=2${cursor}`)
      seen.push(...page.items.map((item) => item.event_id))
      cursor = page.next_cursor === null ? "" : `&cursor=${page.next_cursor}`
    } while (cursor !== "")
    expect(seen).toEqual([...events].reverse())
    expect((await read<DeliveriesView>(world, as, `${path}?status=delivered`)).items).toHaveLength(1)
    expect((await read<DeliveriesView>(world, as, `${path}?status=pending`)).items).toEqual([])
  })

  test("have a cursor that fits this webhook, this status and this tenant alone", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const { id: other } = await created(world, as)
    await failedDeliveries(world, id, 3)
    const path = `/v1/webhooks/${id}/deliveries`
    const { next_cursor: cursor } = await read<DeliveriesView>(world, as, `${path}?limit=1`)
    if (cursor === null) throw new Error("no cursor")
    const elsewhere = [
      `/v1/webhooks/${other}/deliveries?cursor=${cursor}`,
      `${path}?status=failed&cursor=${cursor}`,
      `/v1/events?cursor=${cursor}`,
      `/v1/accounts?cursor=${cursor}`,
      `${path}?cursor=${cursor}x`,
      `${path}?cursor=`,
      `${path}?cursor=.`,
    ]
    const wide = await world.key({ scopes: ["webhooks", "events", "accounts"] })
    for (const address of elsewhere) {
      const response = await world.call("GET", address, { as: wide })
      await expectProblem(response, 400, "invalid_input", { fields: ["cursor"] })
    }
    expect((await world.call("GET", `${path}?cursor=${cursor}`, { as })).status).toBe(200)
  })

  test.each(["status=done", "limit=0", "limit=101", "limit=1e1", "page=2"])("refuse ?%s", async (query) => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const response = await world.call("GET", `/v1/webhooks/${id}/deliveries?${query}`, { as })
    await expectProblem(response, 400, "invalid_input", { fields: [query.split("=")[0] ?? ""] })
  })

  test("go out once more, one by its event or all that failed since a time", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const [first] = await failedDeliveries(world, id, 3)
    const replay = (path: string, body?: object) =>
      world.call("POST", `/v1/webhooks/${id}${path}`, { as, ...(body && { body }) })
    const one = await replay(`/deliveries/${first}/replay`)
    expect([one.status, await one.json()]).toEqual([202, { replayed: 1 }])
    const pending = async () =>
      (await read<DeliveriesView>(world, as, `/v1/webhooks/${id}/deliveries?status=pending`)).items
    expect(await pending()).toMatchObject([
      { event_id: String(first), attempts: 0, next_attempt_at: world.now().toISOString() },
    ])

    const rest = await replay("/replay", { failed_since: "2026-11-22T10:00:00Z" })
    expect([rest.status, await rest.json()]).toEqual([202, { replayed: 2 }])
    expect(await pending()).toHaveLength(3)
    const none = await replay("/replay", { failed_since: "2026-11-22T10:00:00.001Z" })
    expect(await none.json()).toEqual({ replayed: 0 })
  })

  test("are not replayed by what is no call", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const replay = (path: string, body?: object) =>
      world.call("POST", `/v1/webhooks/${id}${path}`, { as, ...(body && { body }) })
    const nobody = `evt_${"0".repeat(35)}g`
    for (const eventId of [nobody, "evt_none", "%00"])
      await expectProblem(await replay(`/deliveries/${eventId}/replay`), 404, "not_found")
    await expectProblem(await replay("/replay", {}), 400, "invalid_input", { fields: ["failed_since"] })
    await expectProblem(await replay("/replay", { failed_since: "yesterday" }), 400, "invalid_input", {
      fields: ["failed_since"],
    })
    await expectProblem(
      await replay("/replay", { failed_since: "2026-11-22T10:00:00Z", status: "failed" }),
      400,
      "invalid_input",
      { fields: ["status"] },
    )
    await expectProblem(await replay("/replay"), 415, "unsupported_media_type")
  })
})

describe("who may", () => {
  const calls = [
    ["GET", "", undefined],
    ["POST", "", { url }],
    ["GET", "/ID", undefined],
    ["PATCH", "/ID", { enabled: false }],
    ["DELETE", "/ID", undefined],
    ["POST", "/ID/test", undefined],
    ["POST", "/ID/rotate-secret", undefined],
    ["GET", "/ID/deliveries", undefined],
    ["POST", "/ID/deliveries/EVENT/replay", undefined],
    ["POST", "/ID/replay", { failed_since: "2020-01-01T00:00:00Z" }],
  ] as const

  test.each(calls)(
    "%s /v1/webhooks%s: whoever has the scope, and nobody else",
    async (method, path, body) => {
      const { world, as } = await ready()
      const { id } = await created(world, as)
      const [event = ""] = await failedDeliveries(world, id, 1)
      const call = (key: string | undefined) =>
        world.call(method, `/v1/webhooks${path.replace("ID", id).replace("EVENT", event)}`, {
          ...(key !== undefined && { as: key }),
          ...(body && { body }),
        })
      await expectProblem(await call(undefined), 401, "unauthenticated")
      const others = await world.key({ scopes: ["apps", "connect", "accounts", "tokens", "events", "keys"] })
      await expectProblem(await call(others), 403, "insufficient_key_scope", { words: /scope webhooks/ })
      expect((await call(as)).ok).toBe(true)
    },
  )

  test.each(calls.slice(2))(
    "%s /v1/webhooks%s: another tenant's webhook is as absent as nobody's, and stays as it was",
    async (method, path, body) => {
      const { world, as } = await ready()
      const { id } = await created(world, as)
      const [event = ""] = await failedDeliveries(world, id, 1)
      const globex = await world.key({ tenant: "globex", scopes: ["webhooks"] })
      const owner = user("acme")
      const everything = async () =>
        structuredClone([
          await world.storage.webhooks.list(owner),
          await world.storage.deliveries.list(owner, id, {}, { limit: 100 }),
          await world.storage.events.list(owner, {}, { limit: 100 }),
        ])
      const before = await everything()
      const sentBefore = world.receivers.sent.length
      const call = async (webhook: string, eventId: string) => {
        const response = await world.call(
          method,
          `/v1/webhooks${path.replace("ID", webhook).replace("EVENT", eventId)}`,
          { as: globex, ...(body && { body }) },
        )
        const { request_id: _, ...problem } = await expectProblem(response, 404, "not_found")
        return problem
      }
      expect(await call(id, event)).toEqual(await call(`wh_${"0".repeat(35)}g`, `evt_${"0".repeat(35)}g`))
      expect(await everything()).toEqual(before)
      expect(world.receivers.sent.length).toBe(sentBefore)
    },
  )

  test("another tenant's event is not replayed on one's own webhook", async () => {
    const { world, as } = await ready()
    const { id } = await created(world, as)
    const [event = ""] = await failedDeliveries(world, id, 1)
    const globex = await world.key({ tenant: "globex", scopes: ["webhooks"] })
    const { id: own } = await created(world, globex)
    const response = await world.call("POST", `/v1/webhooks/${own}/deliveries/${event}/replay`, {
      as: globex,
    })
    await expectProblem(response, 404, "not_found")
  })
})
