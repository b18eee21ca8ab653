import { describe, expect, test } from "bun:test"
import { pruneEvents } from "../../src/application/read-events.ts"
import type { DomainEvent } from "../../src/domain/event.ts"
import { expectProblem, type HttpWorld, httpWorld, user } from "../support/http-world.ts"
import { aKey, anEvent } from "../support/storage-fixtures.ts"

interface Listing {
  readonly items: readonly { readonly id: string; readonly type: string; readonly [field: string]: unknown }[]
  readonly next_cursor: string | null
  readonly has_more: boolean
}

async function happen(world: HttpWorld, ...changes: readonly Partial<DomainEvent>[]) {
  const events = changes.map((change) =>
    anEvent({ tenant: "acme", environment: "live", at: world.now(), ...change, id: world.newId("evt") }),
  )
  for (const event of events) await world.storage.keys.add(aKey({ id: world.newId("key") }), event)
  return events.map(({ id }) => id)
}

async function list(world: HttpWorld, as: string, query = ""): Promise<Listing> {
  const response = await world.call("GET", `/v1/events${query}`, { as })
  expect(response.status).toBe(200)
  return (await response.json()) as Listing
}

/** A world whose tenant has a key and, but for the making of that, no events. */
async function ready() {
  const world = httpWorld()
  const as = await world.key({ scopes: ["events"] })
  return { world, as }
}

const ids = (listing: Listing) => listing.items.map(({ id }) => id)

describe("the events of a tenant", () => {
  test("tell what happened, to what, by whom, and no more", async () => {
    const { world, as } = await ready()
    const [id] = await happen(world, {
      type: "connect.failed",
      actor: "browser",
      provider: "tiktok",
      accountId: null,
      flowId: "flow_1",
      oauthAppId: "oa_1",
      apiKeyId: null,
      reference: "user-42",
      reason: "access_denied",
      detail: "The person declined.",
    })
    expect((await list(world, as)).items.at(-1)).toEqual({
      id: String(id),
      type: "connect.failed",
      timestamp: "2026-11-22T10:00:00.000Z",
      environment: "live",
      actor: "browser",
      provider: "tiktok",
      account_id: null,
      flow_id: "flow_1",
      oauth_app_id: "oa_1",
      api_key_id: null,
      webhook_id: null,
      reference: "user-42",
      reason: "access_denied",
      detail: "The person declined.",
    })
  })

  test("come oldest first, page after page, each once", async () => {
    const { world, as } = await ready()
    const [made = ""] = ids(await list(world, as))
    const all = [made, ...(await happen(world, ...Array.from({ length: 9 }, () => ({}))))]
    const seen: string[] = []
    let listing = await list(world, as, "?limit=3")
    for (;;) {
      seen.push(...ids(listing))
      expect(listing.has_more).toBe(seen.length < all.length)
      if (!listing.has_more) break
      listing = await list(world, as, `?limit=3&cursor=${listing.next_cursor}`)
    }
    expect(seen).toEqual(all)
  })

  test("are 50 a page unless asked otherwise", async () => {
    const { world, as } = await ready()
    await happen(world, ...Array.from({ length: 60 }, () => ({})))
    expect((await list(world, as)).items).toHaveLength(50)
    expect((await list(world, as, "?limit=100")).items).toHaveLength(61)
  })

  test("can be polled: the cursor leads on also when nothing was new", async () => {
    const { world, as } = await ready()
    let { next_cursor: cursor } = await list(world, as)
    for (let round = 0; round < 3; round++) {
      const idle = await list(world, as, `?cursor=${cursor}`)
      expect([idle.items, idle.has_more]).toEqual([[], false])
      const happened = await happen(world, {}, {})
      const busy = await list(world, as, `?cursor=${idle.next_cursor}`)
      expect(ids(busy)).toEqual([...happened])
      cursor = busy.next_cursor
    }
  })

  test("have no cursor while there was never one", async () => {
    const { world } = await ready()
    const as = await world.key({ tenant: "globex", scopes: ["events"], environment: "test" })
    expect(await list(world, as, "?type=webhook.created")).toEqual({
      items: [],
      next_cursor: null,
      has_more: false,
    })
  })

  test("are found by type, by group of types and by account", async () => {
    const { world, as } = await ready()
    const [connected, expiring, created, other] = await happen(
      world,
      { type: "account.connected", accountId: "acc_1" },
      { type: "account.expiring", accountId: "acc_1" },
      { type: "oauth_app.created", accountId: null },
      { type: "account.connected", accountId: "acc_2" },
    )
    const found = async (query: string) => ids(await list(world, as, query))
    expect(await found("?type=account.connected")).toEqual([connected, other].map(String))
    expect(await found("?type=account.*")).toEqual([connected, expiring, other].map(String))
    expect(await found("?type=oauth_app.*")).toEqual([created].map(String))
    expect(await found("?type=*")).toHaveLength(5)
    expect(await found("?account_id=acc_1")).toEqual([connected, expiring].map(String))
    expect(await found("?account_id=acc_1&type=account.expiring")).toEqual([expiring].map(String))
    expect(await found("?account_id=acc_none")).toEqual([])
  })

  test("of what an account goes through are there in order", async () => {
    const { world, as } = await ready()
    const wide = await world.key({ scopes: ["apps", "connect", "accounts", "tokens"] })
    await world.storeApp(wide)
    const [account = ""] = await world.connect(wide)
    await world.connect(wide)
    await world.call("DELETE", `/v1/accounts/${account}`, { as: wide })
    const { items } = await list(world, as, `?account_id=${account}`)
    expect(items.map(({ type }) => type)).toEqual([
      "account.connected",
      "account.reconnected",
      "account.disconnected",
    ])
  })

  test("are the owner's alone, by environment too", async () => {
    const { world, as } = await ready()
    await happen(world, { tenant: "globex" }, { environment: "test" })
    expect((await list(world, as)).items.map(({ type }) => type)).toEqual(["api_key.created"])
  })
})

describe("a cursor of events", () => {
  test("fits its owner and its filter alone, and not a character of it can be another", async () => {
    const { world, as } = await ready()
    await happen(world, { type: "account.connected" }, { type: "account.connected" })
    const { next_cursor: cursor } = await list(world, as, "?type=account.*&limit=1")
    if (cursor === null) throw new Error("no cursor")
    const refused = async (query: string, key = as) => {
      const response = await world.call("GET", `/v1/events?${query}`, { as: key })
      await expectProblem(response, 400, "invalid_input", { fields: ["cursor"] })
    }
    await refused(`cursor=${cursor}`)
    await refused(`type=account.connected&cursor=${cursor}`)
    await refused(`type=account.*&account_id=acc_1&cursor=${cursor}`)
    await refused(
      `type=account.*&cursor=${cursor}`,
      await world.key({ tenant: "globex", scopes: ["events"] }),
    )
    await refused(
      `type=account.*&cursor=${cursor}`,
      await world.key({ environment: "test", scopes: ["events"] }),
    )
    for (let i = 0; i < cursor.length; i++) {
      const other = cursor[i] === "A" ? "B" : "A"
      await refused(`type=account.*&cursor=${cursor.slice(0, i)}${other}${cursor.slice(i + 1)}`)
    }
    for (const garbled of ["", ".", "x", cursor.slice(1), `${cursor}.`, `${cursor.toLowerCase()}a`])
      await refused(`type=account.*&cursor=${garbled}`)
    expect((await world.call("GET", `/v1/events?type=account.*&cursor=${cursor}`, { as })).status).toBe(200)
  })
})

describe("a question about events", () => {
  test.each([
    ["type=account", "type"],
    ["type=account.conn*", "type"],
    ["type=", "type"],
    ["type=webhook.test", "type"],
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=-1", "limit"],
    ["limit=ten", "limit"],
    ["since=2020", "since"],
    ["account_id=a%00b", "account_id"],
  ])("is refused with ?%s", async (query, field) => {
    const { world, as } = await ready()
    const response = await world.call("GET", `/v1/events?${query}`, { as })
    await expectProblem(response, 400, "invalid_input", { fields: [field] })
  })

  test("is for keys with the scope events", async () => {
    const { world } = await ready()
    await expectProblem(await world.call("GET", "/v1/events"), 401, "unauthenticated")
    const as = await world.key({ scopes: ["apps", "connect", "accounts", "tokens", "webhooks", "keys"] })
    await expectProblem(await world.call("GET", "/v1/events", { as }), 403, "insufficient_key_scope", {
      words: /scope events/,
    })
  })
})

test("events are forgotten after their retention, in batches, and no sooner", async () => {
  const { world, as } = await ready()
  const prune = pruneEvents({ events: world.storage.events, retentionDays: 7, now: world.now })
  await happen(world, ...Array.from({ length: 600 }, () => ({})))
  const day = 24 * 60 * 60_000
  world.pass(7 * day)
  const [last] = await happen(world, {})
  while ((await world.storage.deliveries.fanOut(world.now(), 500)) > 0) {}
  expect(await prune()).toBe(false)
  expect((await list(world, as, "?limit=100")).has_more).toBe(true)
  world.pass(1)
  expect(await prune()).toBe(true)
  expect(await prune()).toBe(false)
  expect(ids(await list(world, as))).toEqual([String(last)])
  expect((await world.storage.events.list(user("acme"), {}, { limit: 1000 })).items).toHaveLength(1)
})
