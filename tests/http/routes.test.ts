import { describe, expect, test } from "bun:test"
import { expectProblem, httpWorld } from "../support/http-world.ts"

const ready = (async () => {
  const world = httpWorld()
  return { world, as: await world.key({ scopes: ["apps", "connect", "accounts", "keys"] }) }
})()

const paths: readonly (readonly [string, readonly string[]])[] = [
  ["/v1/oauth-apps", ["POST", "GET"]],
  ["/v1/oauth-apps/oa_none", ["GET", "PATCH", "DELETE"]],
  ["/v1/oauth-apps/oa_none/check", ["POST"]],
  ["/v1/oauth/x/start", ["GET"]],
  ["/v1/oauth/x/callback", ["GET"]],
  ["/v1/oauth/flows", ["GET"]],
  ["/v1/oauth/flows/flow_none", ["GET"]],
  ["/v1/oauth/flows/flow_none/confirm", ["POST"]],
  ["/v1/oauth/flows/start", ["GET"]],
  ["/v1/oauth/flows/flow_none/choose", ["POST"]],
  ["/v1/oauth/x/choose", ["GET", "POST"]],
  ["/v1/accounts", ["GET", "POST"]],
  ["/v1/accounts/acc_none", ["GET", "DELETE"]],
  ["/v1/accounts/acc_none/refresh", ["POST"]],
  ["/v1/accounts/acc_none/token", ["GET"]],
  ["/v1/api-keys", ["POST", "GET"]],
  ["/v1/api-keys/key_none", ["DELETE"]],
  ["/v1/events", ["GET"]],
  ["/v1/webhooks", ["POST", "GET"]],
  ["/v1/webhooks/wh_none", ["GET", "PATCH", "DELETE"]],
  ["/v1/webhooks/wh_none/test", ["POST"]],
  ["/v1/webhooks/wh_none/rotate-secret", ["POST"]],
  ["/v1/webhooks/wh_none/deliveries", ["GET"]],
  ["/v1/webhooks/wh_none/deliveries/evt_none/replay", ["POST"]],
  ["/v1/webhooks/wh_none/replay", ["POST"]],
  ["/docs/oauth-errors", ["GET"]],
  ["/docs/oauth-errors/access_denied", ["GET"]],
  ["/healthz", ["GET"]],
  ["/readyz", ["GET"]],
]

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

describe.each(paths)("%s", (path, allowed) => {
  test.each(methods.filter((method) => !allowed.includes(method)))(
    "refuses %s with 405 and says what it takes",
    async (method) => {
      const { world, as } = await ready
      const response = await world.call(method, path, { as })
      expect(response.headers.get("allow")).toBe(allowed.join(", "))
      await expectProblem(response, 405, "method_not_allowed", {
        words: new RegExp(`takes ${allowed.join(", ")}\\.$`),
      })
    },
  )

  test.each(["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])(
    "is moved by no %s",
    async (header) => {
      const { world, as } = await ready
      const response = await world.call("PUT", path, { as, headers: { [header]: "GET" } })
      expect(response.status).toBe(405)
    },
  )

  test("is another path with a slash behind it, in capitals, doubled or escaped", async () => {
    const { world, as } = await ready
    const others = [
      `${path}/`,
      `${path}//`,
      path.toUpperCase(),
      `/${path}`,
      path.replace(/^\/(.)/, (_, letter: string) => `/%${letter.charCodeAt(0).toString(16)}`),
    ]
    for (const other of others) {
      const response = await world.call("GET", other, { as })
      expect([other, response.status]).toEqual([other, 404])
    }
  })
})

describe("a path that is none", () => {
  const absent = [
    "/",
    "/v1",
    "/v2/accounts",
    "/nope",
    "/metric",
    "/v1.1/accounts",
    "/favicon.ico",
    "/.env",
    "/healthz/x",
    "/healthz;a=b",
    "/sandbox/x/authorize",
    "/%2e%2e/etc/passwd",
    "/v1%2Faccounts",
    "/openap",
  ]
  test.each(absent)("is 404 with a credential and without: %s", async (path) => {
    const { world, as } = await ready
    for (const method of methods) {
      await expectProblem(await world.call(method, path), 404, "not_found", { words: /no such path/ })
      await expectProblem(await world.call(method, path, { as }), 404, "not_found", { words: /no such path/ })
    }
  })

  test.each([
    "/v1/",
    "/v1/nope",
    "/v1/oauth",
    "/v1/oauth/x",
    "/v1/oauth/x/callback/more",
    "/v1/oauth/flows/flow_none/nope",
    "/v1/accounts/acc_none/nope",
    "/v1//accounts",
    "/v1/oauth/flows/callback/x",
  ])("under /v1 it asks for the credential first, and then is 404: %s", async (path) => {
    const { world, as } = await ready
    await expectProblem(await world.call("GET", path), 401, "unauthenticated")
    await expectProblem(await world.call("GET", path, { as }), 404, "not_found", { words: /no such path/ })
  })

  test("is no less for dots and escapes on the way to one that is", async () => {
    const { world, as } = await ready
    expect((await world.call("GET", "/v1/nope/../accounts", { as })).status).toBe(200)
    await expectProblem(await world.call("GET", "/healthz/..%2fv1/accounts"), 404, "not_found")
    await expectProblem(await world.call("GET", "/healthz/../v1/accounts"), 401, "unauthenticated")
    await expectProblem(
      await world.call("GET", "/v1/oauth/x/callback/../../../accounts"),
      401,
      "unauthenticated",
    )
    await expectProblem(await world.call("GET", "/v1/accounts?/v1/oauth/x/callback"), 401, "unauthenticated")
    await expectProblem(await world.call("GET", "/v1/accounts%3F/callback"), 401, "unauthenticated")
  })
})

test("a flow named callback or start is a flow like any other", async () => {
  const { world, as } = await ready
  for (const id of ["callback", "start"]) {
    await expectProblem(await world.call("GET", `/v1/oauth/flows/${id}`), 401, "unauthenticated")
    await expectProblem(await world.call("GET", `/v1/oauth/flows/${id}`, { as }), 404, "not_found", {
      words: /No flow with this id/,
    })
  }
})

test("a malformed escape in a path is the caller's fault, not ours", async () => {
  const { world, as } = await ready
  for (const text of ["%", "%zz", "%E0%A4%A", "%ff", "%C0%AE", "a%2"]) {
    for (const [method, path] of [
      ["GET", `/v1/oauth-apps/${text}`],
      ["DELETE", `/v1/oauth-apps/${text}`],
      ["GET", `/v1/accounts/${text}`],
      ["GET", `/v1/oauth/flows/${text}`],
      ["GET", `/v1/oauth/${text}/start`],
      ["DELETE", `/v1/api-keys/${text}`],
    ] as const) {
      await expectProblem(await world.call(method, path, { as }), 400, "invalid_input", {
        words: /write a percent sign itself as %25/,
      })
    }
  }
  expect(world.faultsSeen).toEqual([])
})

test("a host of one character does not shift the path, nor does any other host choose it", async () => {
  const { world } = await ready
  const at = async (url: string) => (await world.edge(new Request(url), () => "203.0.113.7")).status
  expect(await at("http://a/abc/healthz")).toBe(404)
  expect(await at("http://a/healthz")).toBe(200)
  expect(await at("http://a:1/healthz")).toBe(200)
  expect(await at("http://a.very.long.host.name.example:65535/healthz")).toBe(200)
  expect(await at("http://[::1]/healthz")).toBe(200)
  expect(await at("http://healthz/")).toBe(404)
  expect(await at("https://ab/c/v1/accounts")).toBe(404)
  expect(await at("http://a/v1/accounts")).toBe(401)
})

test("a very long address is answered like any other", async () => {
  const { world, as } = await ready
  const long = "x".repeat(14_000)
  await expectProblem(await world.call("GET", `/${long}`), 404, "not_found")
  await expectProblem(await world.call("GET", `/v1/accounts/${long}`, { as }), 404, "not_found")
  await expectProblem(await world.call("GET", `/v1/accounts?cursor=${long}`, { as }), 400, "invalid_input")
  expect((await world.call("GET", `/healthz?${long}`)).status).toBe(200)
})

test("no route but these is served", async () => {
  const { world } = await ready
  const pattern = (path: string) => new RegExp(`^${path.replace(/:[^/]+/g, "[^/]+")}$`)
  for (const { method, path } of world.routes()) {
    const listed = paths.some(([known, allowed]) => pattern(path).test(known) && allowed.includes(method))
    expect([method, path, listed]).toEqual([method, path, true])
  }
})
