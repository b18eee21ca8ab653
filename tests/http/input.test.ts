import { describe, expect, test } from "bun:test"
import { expectProblem, httpWorld, newApp, origin } from "../support/http-world.ts"

const json = { "content-type": "application/json" }
const ready = (async () => {
  const world = httpWorld()
  return { world, as: await world.key({ scopes: ["apps", "connect", "accounts", "keys"] }) }
})()

/** Every call that takes a body. */
const calls: readonly (readonly [string, string])[] = [
  ["POST", "/v1/oauth-apps"],
  ["PATCH", "/v1/oauth-apps/oa_none"],
  ["POST", "/v1/api-keys"],
  ["POST", "/v1/accounts"],
  ["POST", "/v1/oauth/flows/flow_none/choose"],
]

describe.each(calls)("the body of %s %s", (method, path) => {
  test.each([
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/problem+json",
    "application/xml",
    "application/octet-stream",
    "",
    "json",
    "application/json, text/plain",
  ])("is refused with 415 as %p", async (type) => {
    const { world, as } = await ready
    const response = await world.call(method, path, {
      as,
      body: JSON.stringify(newApp),
      headers: { "content-type": type },
    })
    await expectProblem(response, 415, "unsupported_media_type", {
      words: /as JSON with Content-Type: application\/json/,
    })
  })

  test("is refused with 415 where it has no type or is not there at all", async () => {
    const { world, as } = await ready
    const untyped = new Request(origin + path, {
      method,
      body: new Uint8Array([123, 125]),
      headers: { authorization: `Bearer ${as}` },
    })
    expect(untyped.headers.get("content-type")).toBeNull()
    await expectProblem(await world.edge(untyped, () => "203.0.113.7"), 415, "unsupported_media_type")
    await expectProblem(await world.call(method, path, { as }), 415, "unsupported_media_type")
  })

  test.each([
    ["", /not valid JSON; check quotes/],
    [" ", /not valid JSON/],
    ["{", /not valid JSON/],
    ["{'name':1}", /not valid JSON/],
    ['{"name":"x",}', /not valid JSON/],
    ["name=x", /not valid JSON/],
    ['{"name":NaN}', /not valid JSON/],
    ["{}{}", /not valid JSON/],
    ['{"name":"a\nb"}', /not valid JSON/],
    ["[]", /must be a JSON object/],
    ['[{"name":"x"}]', /must be a JSON object/],
    ["null", /must be a JSON object/],
    ["true", /must be a JSON object/],
    ["7", /must be a JSON object/],
    ['"text"', /must be a JSON object/],
    [`{"name":${"[".repeat(20)}${"]".repeat(20)}}`, /nested deeper than 8 levels/],
    [`{"name":${"[".repeat(30_000)}${"]".repeat(30_000)}}`, /nested deeper|not valid JSON/],
    [`{"a":${'{"a":'.repeat(10)}1${"}".repeat(10)}}`, /nested deeper/],
  ])("is refused with 400: %j", async (body, words) => {
    const { world, as } = await ready
    await expectProblem(await world.call(method, path, { as, body, headers: json }), 400, "invalid_input", {
      words,
    })
  })

  test("is refused where it is not UTF-8, with the words for it", async () => {
    const { world, as } = await ready
    const bytes = new Uint8Array([
      ...new TextEncoder().encode('{"name":"'),
      0xff,
      0xfe,
      ...new TextEncoder().encode('"}'),
    ])
    const request = new Request(origin + path, {
      method,
      body: bytes,
      headers: { ...json, authorization: `Bearer ${as}` },
    })
    await expectProblem(await world.edge(request, () => "203.0.113.7"), 400, "invalid_input", {
      words: /not valid UTF-8/,
    })
  })

  test.each([
    String.raw`"\ud800"`,
    String.raw`"a\uDFFFb"`,
    String.raw`"\ude00\ud83d"`,
    String.raw`["x","\ud800"]`,
    String.raw`{"\ud800":1}`,
  ])("is refused where an escape is half a character: %s", async (value) => {
    const { world, as } = await ready
    const body = `{"name":${value}}`
    await expectProblem(await world.call(method, path, { as, body, headers: json }), 400, "invalid_input", {
      words: /half a character/,
    })
  })

  test("is refused above 64 KiB, whether it says its length or not", async () => {
    const { world, as } = await ready
    const body = JSON.stringify({ name: "n".repeat(64 * 1024) })
    await expectProblem(
      await world.call(method, path, { as, body, headers: json }),
      413,
      "payload_too_large",
      { words: /larger than 64 KiB/ },
    )
    const chunked = new Request(origin + path, {
      method,
      headers: { ...json, authorization: `Bearer ${as}` },
      body: new Blob([body]).stream(),
    })
    expect(chunked.headers.get("content-length")).toBeNull()
    await expectProblem(await world.edge(chunked, () => "203.0.113.7"), 413, "payload_too_large")
    const lying = world.call(method, path, {
      as,
      body: "{}",
      headers: { ...json, "content-length": "70000" },
    })
    await expectProblem(await lying, 413, "payload_too_large")
  })

  test("is read no further than its bound", async () => {
    const { world, as } = await ready
    let sent = 0
    const endless = new ReadableStream({
      pull(controller) {
        sent += 8192
        controller.enqueue(new Uint8Array(8192).fill(32))
      },
    })
    const request = new Request(origin + path, {
      method,
      headers: { ...json, authorization: `Bearer ${as}` },
      body: endless,
    })
    await expectProblem(await world.edge(request, () => "203.0.113.7"), 413, "payload_too_large")
    expect(sent).toBeLessThan(200_000)
  })

  test("that breaks off is the caller's fault, not ours", async () => {
    const { world, as } = await ready
    const broken = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"name":'))
        controller.error(new Error("connection reset"))
      },
    })
    const request = new Request(origin + path, {
      method,
      headers: { ...json, authorization: `Bearer ${as}` },
      body: broken,
    })
    await expectProblem(await world.edge(request, () => "203.0.113.7"), 400, "invalid_input", {
      words: /ended before it was whole/,
    })
    expect(world.faultsSeen).toEqual([])
  })

  test.each(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "", " name", "NAME"])(
    "is refused with a field named %p",
    async (name) => {
      const { world, as } = await ready
      const body = `{${JSON.stringify(name)}:{"name":"x","admin":true}}`
      const problem = await expectProblem(
        await world.call(method, path, { as, body, headers: json }),
        400,
        "invalid_input",
      )
      expect(problem.errors).toContainEqual({
        field: name,
        detail: expect.stringContaining("not a field of this call"),
      })
      expect(({} as Readonly<Record<string, unknown>>).admin).toBeUndefined()
    },
  )
})

test("64 KiB to the byte are read, and one more is not", async () => {
  const { world, as } = await ready
  const send = (bytes: number) =>
    world.call("POST", "/v1/oauth-apps", { as, body: JSON.stringify(newApp).padEnd(bytes), headers: json })
  expect((await send(64 * 1024)).status).toBe(201)
  expect((await send(64 * 1024 + 1)).status).toBe(413)
})

test("JSON counts in every spelling of its type, with a byte order mark too", async () => {
  const { world, as } = await ready
  for (const type of [
    "application/json",
    "Application/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    " application/json ",
  ]) {
    const response = await world.call("POST", "/v1/oauth-apps", {
      as,
      body: `\ufeff${JSON.stringify(newApp)}`,
      headers: { "content-type": type },
    })
    expect(response.status).toBe(201)
  }
})

test("text comes back exactly as it was sent, character by character", async () => {
  const { world, as } = await ready
  const names = ["😀 e\u0301 \u202e\u200d", "null", "0", "<b>&amp;", "a\\b\"c'd;--", "\ufffd", "%s {{y}}"]
  for (const name of names) {
    const body = JSON.stringify({ ...newApp, name }).replace("😀", String.raw`\ud83d\ude00`)
    const { id } = (await (
      await world.call("POST", "/v1/oauth-apps", { as, body, headers: json })
    ).json()) as { id: string }
    const stored = (await (await world.call("GET", `/v1/oauth-apps/${id}`, { as })).json()) as {
      name: string
    }
    expect(stored.name).toBe(name)
  }
})

test("no text field takes a NUL or half a character, and none of them is a fault", async () => {
  const { world, as } = await ready
  const fields: readonly (readonly [string, object, string])[] = [
    ["/v1/oauth-apps", newApp, "name"],
    ["/v1/oauth-apps", newApp, "client_id"],
    ["/v1/oauth-apps", newApp, "client_secret"],
    ["/v1/oauth-apps", newApp, "provider"],
    ["/v1/api-keys", { environment: "live" }, "name"],
    ["/v1/api-keys", { name: "ci" }, "environment"],
    ["/v1/api-keys", { name: "ci", environment: "live" }, "expires_at"],
  ]
  for (const [path, body, field] of fields) {
    for (const value of ["a\0b", "a\ud800b", "\udfff"]) {
      await expectProblem(
        await world.call("POST", path, { as, body: { ...body, [field]: value } }),
        400,
        "invalid_input",
      )
    }
  }
  for (const list of ["allowed_return_urls", "scopes"]) {
    for (const value of ["a\0b", "a\ud800b"]) {
      const body = { ...newApp, [list]: [value] }
      await expectProblem(await world.call("POST", "/v1/oauth-apps", { as, body }), 400, "invalid_input")
    }
  }
  expect(world.faultsSeen).toEqual([])
})

describe("a query", () => {
  const paths = ["/v1/accounts", "/v1/oauth-apps", "/v1/oauth/x/start"]

  test.each(paths)("of %s with a malformed escape is refused, in names and values", async (path) => {
    const { world, as } = await ready
    for (const query of ["q=%", "q=%zz", "q=%ff", "q=%ED%A0%80", "q=%C0%80", "%zz=1", "q=a%2", "q=%u0041"]) {
      await expectProblem(await world.call("GET", `${path}?${query}`, { as }), 400, "invalid_input", {
        words: /%25/,
      })
    }
  })

  test.each(paths)("of %s with an unknown field is refused, and every field named", async (path) => {
    const { world, as } = await ready
    const problem = await expectProblem(
      await world.call("GET", `${path}?b=1&a=2`, { as }),
      400,
      "invalid_input",
      {
        words: /is not a field of this call.*\(and 1 more, see errors\)/,
      },
    )
    expect(problem.errors?.map(({ field }) => field).sort()).toEqual(["a", "b"])
  })

  test("with four thousand fields is answered shortly, and at once", async () => {
    const { world, as } = await ready
    const query = Array.from({ length: 4000 }, (_, i) => `f${i}`).join("&")
    const started = performance.now()
    const problem = await expectProblem(
      await world.call("GET", `/v1/accounts?${query}`, { as }),
      400,
      "invalid_input",
    )
    expect(problem.errors?.length).toBeLessThanOrEqual(20)
    expect(performance.now() - started).toBeLessThan(500)
  })

  test("with a field name of a thousand characters is not given back at length", async () => {
    const { world, as } = await ready
    for (const query of ["n".repeat(1000), `${"n".repeat(1000)}&${"n".repeat(1000)}`]) {
      const problem = await expectProblem(
        await world.call("GET", `/v1/accounts?${query}`, { as }),
        400,
        "invalid_input",
      )
      expect(JSON.stringify(problem).length).toBeLessThan(800)
    }
  })
})

test("a list with twenty thousand bad entries is answered shortly", async () => {
  const world = httpWorld()
  const body = { ...newApp, allowed_return_urls: Array(20_000).fill("") }
  const response = await world.call("POST", "/v1/oauth-apps", { as: await world.key(), body })
  expect(response.status).toBe(400)
  expect((await response.text()).length).toBeLessThan(8_000)
})

test("a body with thousands of unknown fields is answered shortly, and at once", async () => {
  const { world, as } = await ready
  const body = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`f${i}`, 1]))
  const started = performance.now()
  const problem = await expectProblem(
    await world.call("POST", "/v1/oauth-apps", { as, body }),
    400,
    "invalid_input",
  )
  expect(problem.errors).toHaveLength(20)
  expect(performance.now() - started).toBeLessThan(1000)
})
