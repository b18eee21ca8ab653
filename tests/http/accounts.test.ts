import { describe, expect, test } from "bun:test"
import { upstreamAccount } from "../support/connect-world.ts"
import { expectProblem, type HttpWorld, httpWorld, returnUrl } from "../support/http-world.ts"

const path = "/v1/accounts"

interface Listing {
  readonly items: readonly { readonly id: string; readonly handle: string }[]
  readonly next_cursor: string | null
  readonly total: number
}

/** Accounts named by their handles, each connected a second after the one before. */
async function worldWithAccounts(handles: readonly string[]) {
  const world = httpWorld()
  const as = await world.key()
  await world.storeApp(as)
  for (const handle of handles) await connectAs(world, as, handle)
  return { world, as }
}

async function connectAs(world: HttpWorld, as: string, handle: string, reference?: string) {
  world.pass(1000)
  world.provider.answer = async () => [
    upstreamAccount({
      platformAccountId: `id-of-${handle}`,
      handle,
      displayName: `${handle} & sons`,
      metadata: { page: `100% of ${handle}_1` },
    }),
  ]
  return world.connect(as, { return_url: returnUrl, ...(reference && { reference }) })
}

async function list(world: HttpWorld, as: string, query = ""): Promise<Listing> {
  const response = await world.call("GET", path + query, { as })
  expect(response.status).toBe(200)
  return (await response.json()) as Listing
}

const handlesOf = ({ items }: Listing) => items.map(({ handle }) => handle)

describe("one account", () => {
  test("has the documented fields and no other, tokens least of all", async () => {
    const { world, as } = await worldWithAccounts([])
    const [app] = (await (await world.call("GET", "/v1/oauth-apps", { as })).json()) as { id: string }[]
    const ends = new Date("2027-01-01T00:00:00.000Z")
    world.provider.answer = async () => [
      upstreamAccount({
        scopes: ["tweet.read"],
        metadata: { verified: "true" },
        tokens: { ...upstreamAccount().tokens, expiresAt: ends },
      }),
    ]
    const [id = ""] = await world.connect(as, { return_url: returnUrl, reference: "user-17" })
    const response = await world.call("GET", `${path}/${id}`, { as })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      id,
      provider: "x",
      platform_account_id: "2244994945",
      handle: "anndev",
      display_name: "Ann Dev",
      avatar_url: "https://pbs.example/ann.png",
      health: "active",
      health_detail: null,
      connection_type: "oauth",
      oauth_app_id: app?.id,
      scopes: ["tweet.read"],
      missing_scopes: ["tweet.write", "users.read", "media.write", "offline.access"],
      reference: "user-17",
      metadata: { verified: "true" },
      token_expires_at: "2027-01-01T00:00:00.000Z",
      connected_at: "2026-11-22T10:00:00.000Z",
      updated_at: "2026-11-22T10:00:00.000Z",
    })
  })

  test("looks the same in the list", async () => {
    const { world, as } = await worldWithAccounts(["ann"])
    const { items } = await list(world, as)
    expect(await (await world.call("GET", `${path}/${items[0]?.id}`, { as })).json()).toEqual(items[0])
  })

  test("that is none is 404", async () => {
    const { world, as } = await worldWithAccounts([])
    for (const id of [
      "acc_none",
      "oa_0",
      "%00",
      "a%2Fb",
      "id-of-ann",
      `acc_${"0".repeat(36)}`,
      "x".repeat(5000),
    ]) {
      await expectProblem(await world.call("GET", `${path}/${id}`, { as }), 404, "not_found", {
        words: /No account with this id/,
      })
    }
  })
})

describe("the list", () => {
  const five = worldWithAccounts(["ann", "bob", "cleo", "dan", "eve"])

  test("is empty, and says so in the same shape, where there is nothing", async () => {
    const { world, as } = await worldWithAccounts([])
    expect(await list(world, as)).toEqual({ items: [], next_cursor: null, total: 0 })
  })

  test("has the newest first, in pages that join without a gap or a double", async () => {
    const { world, as } = await five
    const first = await list(world, as, "?limit=2")
    const second = await list(world, as, `?limit=2&cursor=${first.next_cursor}`)
    const third = await list(world, as, `?limit=2&cursor=${second.next_cursor}`)
    expect([first, second, third].map(handlesOf)).toEqual([["eve", "dan"], ["cleo", "bob"], ["ann"]])
    expect([first.total, second.total, third.total, third.next_cursor]).toEqual([5, 5, 5, null])
    expect(handlesOf(await list(world, as))).toEqual(["eve", "dan", "cleo", "bob", "ann"])
  })

  test("gives no cursor behind a page that ends it exactly", async () => {
    const { world, as } = await five
    expect((await list(world, as, "?limit=5")).next_cursor).toBeNull()
    expect((await list(world, as, "?limit=100")).next_cursor).toBeNull()
  })

  test("keeps its place while accounts come", async () => {
    const { world, as } = await worldWithAccounts(["ann", "bob", "cleo"])
    const first = await list(world, as, "?limit=2")
    await connectAs(world, as, "zoe")
    expect(handlesOf(await list(world, as, `?limit=2&cursor=${first.next_cursor}`))).toEqual(["ann"])
  })

  test.each([
    ["handle", "?q=OB", ["bob"]],
    ["display name", "?q=cleo%20%26%20sons", ["cleo"]],
    ["metadata", "?q=of%20dan_1", ["dan"]],
    ["a percent sign as itself", "?q=100%25%20of%20eve", ["eve"]],
    ["an underscore as itself", "?q=ann_1", ["ann"]],
    ["nothing", "?q=zzz", []],
    ["an empty text finds all", "?q=", ["eve", "dan", "cleo", "bob", "ann"]],
    ["a comma is no list", "?q=ann,bob", []],
  ] as const)("searches %s", async (_, query, found) => {
    const { world, as } = await five
    const listing = await list(world, as, query)
    expect(handlesOf(listing)).toEqual([...found])
    expect(listing.total).toBe(found.length)
  })

  test("filters by provider, health and reference", async () => {
    const { world, as } = await worldWithAccounts(["ann"])
    await connectAs(world, as, "bob", "user,17")
    expect(handlesOf(await list(world, as, "?provider=x&health=active"))).toEqual(["bob", "ann"])
    expect(handlesOf(await list(world, as, "?provider=tiktok"))).toEqual([])
    expect(handlesOf(await list(world, as, "?health=refresh_unknown"))).toEqual([])
    expect(handlesOf(await list(world, as, "?reference=user,17"))).toEqual(["bob"])
    expect(handlesOf(await list(world, as, "?reference=user"))).toEqual([])
  })

  test.each([
    ["limit=0", "limit", /whole number from 1 to 100/],
    ["limit=101", "limit", /1 to 100/],
    ["limit=1e1", "limit", /1 to 100/],
    ["limit=0x10", "limit", /1 to 100/],
    ["limit=01", "limit", /1 to 100/],
    ["limit=-1", "limit", /1 to 100/],
    ["limit=%2B1", "limit", /1 to 100/],
    ["limit=1.0", "limit", /1 to 100/],
    ["limit=", "limit", /1 to 100/],
    ["limit=1,2", "limit", /1 to 100/],
    ["limit=%EF%BC%91", "limit", /1 to 100/],
    ["limit=1%0A", "limit", /1 to 100/],
    ["provider=myspace", "provider", /instagram, facebook/],
    ["health=good", "health", /active, expiring, reauthorization_required, refresh_unknown/],
    ["health=", "health", /active/],
    ["offset=5", "offset", /not a field/],
    ["tenant=globex", "tenant", /not a field/],
    ["environment=test", "environment", /not a field/],
    ["q=a%00b", "q", /without control characters/],
    [`q=${"q".repeat(201)}`, "q", /at most 200/],
    ["q=a&q=b", "q", /more than once/],
    ["reference=a%1fb", "reference", /without control characters/],
  ] as const)("refuses ?%s", async (query, field, words) => {
    const { world, as } = await five
    await expectProblem(await world.call("GET", `${path}?${query}`, { as }), 400, "invalid_input", {
      words,
      fields: [field],
    })
  })

  test("takes a cursor beside the filters it was given for alone", async () => {
    const { world, as } = await five
    const cursors = [
      ["", (await list(world, as, "?limit=1")).next_cursor],
      ["provider=x&", (await list(world, as, "?provider=x&limit=1")).next_cursor],
      ["health=active&", (await list(world, as, "?health=active&limit=1")).next_cursor],
      ["q=e&", (await list(world, as, "?q=e&limit=1")).next_cursor],
    ] as const
    const others = ["", "provider=x&", "provider=tiktok&", "health=active&", "q=e&", "q=x&", "reference=x&"]
    for (const [filters, cursor] of cursors) {
      expect(cursor).toBeString()
      expect((await list(world, as, `?${filters}cursor=${cursor}`)).items).not.toEqual([])
      for (const other of others.filter((other) => other !== filters)) {
        const response = await world.call("GET", `${path}?${other}cursor=${cursor}`, { as })
        await expectProblem(response, 400, "invalid_input", { words: /these filters/, fields: ["cursor"] })
      }
    }
  })

  test("refuses a cursor that is not its own, letter by letter", async () => {
    const { world, as } = await five
    const cursor = (await list(world, as, "?limit=2")).next_cursor ?? ""
    const garbled = [
      "",
      "x",
      "..",
      `${cursor}x`,
      cursor.slice(1),
      cursor.slice(0, -1),
      `${cursor}.`,
      cursor.toUpperCase(),
      cursor.split(".").reverse().join("."),
      cursor.replace(/^./, (letter) => (letter === "a" ? "b" : "a")),
      cursor.replace(/acc_0/, "acc_1"),
      "%00",
      "eyJpZCI6MX0",
      "c".repeat(8000),
    ]
    for (const text of garbled) {
      const response = await world.call("GET", `${path}?cursor=${text}`, { as })
      await expectProblem(response, 400, "invalid_input", {
        words: /pass next_cursor as it came/,
        fields: ["cursor"],
      })
    }
  })
})
