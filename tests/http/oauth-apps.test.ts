import { describe, expect, test } from "bun:test"
import { defaultScopes, type ProviderName, providerNames } from "../../src/domain/provider.ts"
import { expectProblem, type HttpWorld, httpWorld, newApp } from "../support/http-world.ts"

const path = "/v1/oauth-apps"

async function worldWithKey() {
  const world = httpWorld()
  return { world, as: await world.key() }
}

const create = (world: HttpWorld, as: string, change: object = {}) =>
  world.call("POST", path, { as, body: { ...newApp, ...change } })

describe("storing an app", () => {
  test("answers 201 with the documented fields and nothing else, the secret least of all", async () => {
    const { world, as } = await worldWithKey()
    const response = await create(world, as, { scopes: ["tweet.read"], options: { hosts: "x.com" } })
    expect(response.status).toBe(201)
    expect(response.headers.get("content-type")).toStartWith("application/json")
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^oa_[0-9a-z]{36}$/),
      provider: "x",
      name: "Our X app",
      client_id: "fake-client-id",
      redirect_uri: "https://connect.example.com/v1/oauth/x/callback",
      scopes: ["tweet.read"],
      allowed_return_urls: ["https://app.acme.example/connect"],
      is_default: true,
      options: { hosts: "x.com" },
      created_at: "2026-11-22T10:00:00.000Z",
      updated_at: "2026-11-22T10:00:00.000Z",
    })
  })

  test.each([...providerNames])(
    "takes %s with its default scopes and its own redirect_uri",
    async (provider) => {
      const { world, as } = await worldWithKey()
      const response = await create(world, as, { provider, allowed_return_urls: undefined })
      expect(await response.json()).toMatchObject({
        provider,
        scopes: [...defaultScopes[provider]],
        allowed_return_urls: [],
        options: {},
        redirect_uri: `https://connect.example.com/v1/oauth/${provider}/callback`,
      })
    },
  )

  test("trims the id and the secret, since a pasted newline is a common cause of invalid_client", async () => {
    const { world, as } = await worldWithKey()
    const response = await create(world, as, { client_id: " fake-id\n", client_secret: "\tfake-secret \r\n" })
    expect(((await response.json()) as { client_id: string }).client_id).toBe("fake-id")
    const { state } = await world.startFlow(as)
    await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    expect(world.exchanges[0]?.credentials).toEqual({ clientId: "fake-id", clientSecret: "fake-secret" })
  })

  test("makes the first app of a provider the default, and a later one only when it asks", async () => {
    const { world, as } = await worldWithKey()
    const isDefault = async (change: object) =>
      ((await (await create(world, as, change)).json()) as { is_default: boolean }).is_default
    expect(await isDefault({})).toBe(true)
    expect(await isDefault({})).toBe(false)
    expect(await isDefault({ is_default: true })).toBe(true)
    const listed = (await (await world.call("GET", path, { as })).json()) as { is_default: boolean }[]
    expect(listed.map((app) => app.is_default)).toEqual([false, false, true])
    expect(await isDefault({ provider: "tiktok", is_default: false })).toBe(true)
  })

  const refusals: readonly (readonly [string, object, string, RegExp])[] = [
    ["no name", { name: undefined }, "name", /name: is required/],
    ["a name of spaces", { name: "   " }, "name", /1 to 120 characters/],
    ["a name of 121 characters", { name: "n".repeat(121) }, "name", /1 to 120 characters/],
    ["a name with a NUL", { name: "a\0b" }, "name", /control characters/],
    ["a name that is a number", { name: 7 }, "name", /must be text/],
    ["no provider", { provider: undefined }, "provider", /provider: is required|must be one of instagram/],
    ["an unknown provider", { provider: "myspace" }, "provider", /instagram, facebook, x, linkedin, tiktok/],
    ["a provider in capitals", { provider: "X" }, "provider", /one of/],
    ["no client_id", { client_id: undefined }, "client_id", /is required/],
    ["an empty client_id", { client_id: " " }, "client_id", /1 to 256 characters/],
    ["a client_id as a number", { client_id: 12345 }, "client_id", /must be text/],
    ["a client_id with a NUL within", { client_id: "a\0b" }, "client_id", /printable ASCII/],
    ["no client_secret", { client_secret: undefined }, "client_secret", /is required/],
    ["an empty client_secret", { client_secret: "" }, "client_secret", /1 to 1024 characters/],
    ["a secret beyond ASCII", { client_secret: "fäke" }, "client_secret", /printable ASCII; copy it again/],
    [
      "return URLs that are no list",
      { allowed_return_urls: "https://a.example" },
      "allowed_return_urls",
      /list of addresses/,
    ],
    [
      "a return URL that is a number",
      { allowed_return_urls: ["https://a.example", 1] },
      "allowed_return_urls[1]",
      /must be an address/,
    ],
    [
      "a return URL with a wildcard",
      { allowed_return_urls: ["https://*.acme.example"] },
      "allowed_return_urls[0]",
      /wildcard/,
    ],
    [
      "a return URL over plain http",
      { allowed_return_urls: ["http://acme.example"] },
      "allowed_return_urls[0]",
      /https/,
    ],
    [
      "a return URL with a lone surrogate's replacement",
      { allowed_return_urls: ["https://acme.example/\u200b"] },
      "allowed_return_urls[0]",
      /invisible/,
    ],
    [
      "21 return URLs",
      { allowed_return_urls: Array.from({ length: 21 }, (_, i) => `https://a${i}.example`) },
      "allowed_return_urls",
      /at most 20/,
    ],
    ["scopes in one text", { scopes: "tweet.read users.read" }, "scopes", /list of scopes/],
    [
      "two scopes in one entry",
      { scopes: ["tweet.read users.read"] },
      "scopes[0]",
      /each scope in its own entry/,
    ],
    ["a scope that is null", { scopes: [null] }, "scopes[0]", /must be one scope/],
    ["is_default as text", { is_default: "true" }, "is_default", /true or false/],
    ["options that are a list", { options: [] }, "options", /must be an object/],
    [
      "an option of another provider",
      { options: { pkce: "s256" } },
      "options.pkce",
      /not an option of x; it has hosts/,
    ],
    [
      "an option named constructor",
      { options: { constructor: true } },
      "options.constructor",
      /not an option of x/,
    ],
    [
      "an option of the wrong type",
      { options: { hosts: 5 } },
      "options.hosts",
      /must be one of x.com, twitter.com/,
    ],
    [
      "a mistyped field",
      { clientId: "x" },
      "clientId",
      /clientId: is not a field of this call; check its spelling/,
    ],
    ["an id of the caller's choosing", { id: "oa_mine" }, "id", /not a field/],
    ["a tenant of the caller's choosing", { tenant: "globex" }, "tenant", /not a field/],
    ["an environment", { environment: "test" }, "environment", /not a field/],
  ]
  const refusing = worldWithKey()
  test.each(refusals)("refuses %s and says what to change", async (_, change, field, words) => {
    const { world, as } = await refusing
    const problem = await expectProblem(await create(world, as, change), 400, "invalid_input", { words })
    expect(problem.errors?.map((fault) => fault.field)).toContain(field)
    expect(await (await world.call("GET", path, { as })).json()).toEqual([])
  })

  test("names every fault at once and never a value", async () => {
    const { world, as } = await worldWithKey()
    const body = {
      provider: "fake-provider",
      name: 5,
      client_secret: { hidden: "fake-secret-value" },
      extra: "fake-extra",
    }
    const problem = await expectProblem(await world.call("POST", path, { as, body }), 400, "invalid_input", {
      words: /\(and 4 more, see errors\)$/,
    })
    expect(problem.errors?.map(({ field }) => field).sort()).toEqual([
      "client_id",
      "client_secret",
      "extra",
      "name",
      "provider",
    ])
    expect(JSON.stringify(problem)).not.toMatch(/fake-/)
  })

  test("names a field with odd characters as the caller wrote it", async () => {
    const { world, as } = await worldWithKey()
    await expectProblem(await create(world, as, { "a/1/b~c": 1 }), 400, "invalid_input", {
      fields: ["a/1/b~c"],
    })
  })
})

describe("listing apps", () => {
  test("answers a bare array, oldest first, of one provider where it is named", async () => {
    const { world, as } = await worldWithKey()
    const names = async (query = "") =>
      ((await (await world.call("GET", path + query, { as })).json()) as { name: string }[]).map(
        ({ name }) => name,
      )
    expect(await names()).toEqual([])
    for (const [name, provider] of [
      ["a", "x"],
      ["b", "tiktok"],
      ["c", "x"],
    ] as const) {
      await world.storeApp(as, { name, provider })
      world.pass(1)
    }
    expect(await names()).toEqual(["a", "b", "c"])
    expect(await names("?provider=x")).toEqual(["a", "c"])
    expect(await names("?provider=linkedin")).toEqual([])
  })

  test("refuses a provider it does not know and a query it does not know", async () => {
    const { world, as } = await worldWithKey()
    await expectProblem(await world.call("GET", `${path}?provider=myspace`, { as }), 400, "invalid_input", {
      words: /provider: must be one of instagram/,
      fields: ["provider"],
    })
    await expectProblem(await world.call("GET", `${path}?providr=x`, { as }), 400, "invalid_input", {
      words: /providr: is not a field/,
      fields: ["providr"],
    })
  })
})

describe("one app", () => {
  test("comes back as it was stored", async () => {
    const { world, as } = await worldWithKey()
    const stored = await world.storeApp(as)
    const response = await world.call("GET", `${path}/${stored.id}`, { as })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual(stored)
  })

  test("takes each changeable field by PATCH, leaves the others, and still shows no secret", async () => {
    const { world, as } = await worldWithKey()
    const stored = await world.storeApp(as)
    world.pass(1000)
    const changes = [
      { name: "Renamed" },
      { allowed_return_urls: ["https://other.example"] },
      { scopes: ["tweet.read"] },
      { options: { client_id_in_body: true } },
      { is_default: true },
    ]
    let expected: object = { ...stored, updated_at: "2026-11-22T10:00:01.000Z" }
    for (const change of changes) {
      expected = { ...expected, ...change }
      const response = await world.call("PATCH", `${path}/${stored.id}`, { as, body: change })
      expect(response.status).toBe(200)
      expect(await response.json()).toEqual(expected)
    }
    const secret = await world.call("PATCH", `${path}/${stored.id}`, {
      as,
      body: { client_secret: "fake-new-secret" },
    })
    expect(await secret.json()).toEqual(expected)
    expect(await (await world.call("GET", `${path}/${stored.id}`, { as })).json()).toEqual(expected)
  })

  test("uses a changed secret from the next exchange on", async () => {
    const { world, as } = await worldWithKey()
    const { id } = await world.storeApp(as)
    await world.call("PATCH", `${path}/${id}`, { as, body: { client_secret: " fake-new-secret " } })
    await world.connect(as)
    expect(world.exchanges[0]?.credentials.clientSecret).toBe("fake-new-secret")
  })

  test.each(["client_id", "provider"])("refuses to change %s and says why", async (field) => {
    const { world, as } = await worldWithKey()
    const stored = await world.storeApp(as)
    const body = { name: "Renamed", [field]: "tiktok" }
    await expectProblem(
      await world.call("PATCH", `${path}/${stored.id}`, { as, body }),
      400,
      "invalid_input",
      {
        words: new RegExp(`^${field}: cannot be changed.*store another app`),
        fields: [field],
      },
    )
    expect(await (await world.call("GET", `${path}/${stored.id}`, { as })).json()).toEqual(stored)
  })

  test("refuses a PATCH that sets nothing, and names what it could set", async () => {
    const { world, as } = await worldWithKey()
    const { id } = await world.storeApp(as)
    await expectProblem(await world.call("PATCH", `${path}/${id}`, { as, body: {} }), 400, "invalid_input", {
      words: /at least one of name, client_secret, allowed_return_urls/,
    })
  })

  test("refuses a PATCH with a mistyped field or a bad value, and changes nothing", async () => {
    const { world, as } = await worldWithKey()
    const stored = await world.storeApp(as)
    const bodies = [
      { nmae: "x" },
      { name: "" },
      { name: null },
      { client_secret: "" },
      { scopes: [""] },
      { is_default: 1 },
    ]
    for (const change of bodies) {
      const body = { name: "Renamed", ...change }
      await expectProblem(
        await world.call("PATCH", `${path}/${stored.id}`, { as, body }),
        400,
        "invalid_input",
      )
    }
    expect(await (await world.call("GET", `${path}/${stored.id}`, { as })).json()).toEqual(stored)
  })

  test("does not give up being the default but to another app", async () => {
    const { world, as } = await worldWithKey()
    const [first, second] = [await world.storeApp(as), await world.storeApp(as)]
    await expectProblem(
      await world.call("PATCH", `${path}/${first.id}`, { as, body: { is_default: false } }),
      400,
      "invalid_input",
      { words: /make another app of the provider the default/, fields: ["is_default"] },
    )
    await world.call("PATCH", `${path}/${second.id}`, { as, body: { is_default: true } })
    expect(await (await world.call("GET", `${path}/${first.id}`, { as })).json()).toMatchObject({
      is_default: false,
    })
  })

  test("is gone after DELETE, which answers 204 without a body", async () => {
    const { world, as } = await worldWithKey()
    const { id } = await world.storeApp(as)
    const response = await world.call("DELETE", `${path}/${id}`, { as })
    expect(response.status).toBe(204)
    expect(await response.text()).toBe("")
    expect(response.headers.get("content-type")).toBeNull()
    for (const method of ["GET", "DELETE"]) {
      await expectProblem(await world.call(method, `${path}/${id}`, { as }), 404, "not_found", {
        words: /No OAuth app/,
      })
    }
  })

  test.each([
    ["no body", {}],
    ["a form", { body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } }],
    ["broken JSON", { body: "{", headers: { "content-type": "application/json" } }],
  ])("is deleted whatever body comes along: %s", async (_, sent) => {
    const { world, as } = await worldWithKey()
    const { id } = await world.storeApp(as)
    expect((await world.call("DELETE", `${path}/${id}`, { as, ...sent })).status).toBe(204)
    expect((await world.call("GET", `${path}/${id}`, { as })).status).toBe(404)
  })

  test("is not deleted while accounts use it, and the refusal counts them", async () => {
    const { world, as } = await worldWithKey()
    const { id } = await world.storeApp(as)
    await world.connect(as)
    await expectProblem(await world.call("DELETE", `${path}/${id}`, { as }), 409, "oauth_app_in_use", {
      words: /^1 account uses this app.*Disconnect them/,
    })
    expect((await world.call("GET", `${path}/${id}`, { as })).status).toBe(200)
  })

  test.each(["GET", "PATCH", "DELETE"])("%s of an id that is none is 404", async (method) => {
    const { world, as } = await worldWithKey()
    for (const id of [
      "oa_none",
      "acc_0",
      "*",
      "%00",
      "a%2Fb",
      "..%2f..",
      `oa_${"0".repeat(36)}`,
      "x".repeat(5000),
    ]) {
      const body = method === "PATCH" ? { body: { name: "x" } } : {}
      const response = await world.call(method, `${path}/${id}`, { as, ...body })
      await expectProblem(response, 404, "not_found", { words: /No OAuth app with this id\. List them/ })
    }
  })
})

test("the redirect_uri is the configured one, whatever the request's headers say", async () => {
  const { world, as } = await worldWithKey()
  const headers = { host: "evil.example", "x-forwarded-host": "evil.example", forwarded: "host=evil.example" }
  const provider: ProviderName = "x"
  const response = await world.call("POST", path, { as, headers, body: { ...newApp, provider } })
  expect(await response.text()).not.toContain("evil")
})
