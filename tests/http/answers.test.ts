import { describe, expect, test } from "bun:test"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { SealBroken } from "../../src/ports/crypto.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { StoreUnavailable } from "../../src/ports/storage.ts"
import { expectProblem, type HttpWorld, httpWorld, newApp } from "../support/http-world.ts"

/** One of every kind of answer, by the path that gives it. */
async function kindsOf(world: HttpWorld) {
  const as = await world.key()
  const app = await world.storeApp(as)
  const { state } = await world.startFlow(as)
  const landing = await world.startFlow(as, {})
  const callback = "/v1/oauth/x/callback"
  return {
    "a created object": await world.call("POST", "/v1/oauth-apps", { as, body: newApp }),
    "an object": await world.call("GET", `/v1/oauth-apps/${app.id}`, { as }),
    "a list": await world.call("GET", "/v1/accounts", { as }),
    "no content": await world.call("DELETE", `/v1/oauth-apps/${app.id}`, { as }),
    "a redirect": await world.call("GET", `${callback}?state=${state}&code=fake-code`),
    "our landing page": await world.call("GET", `${callback}?state=${landing.state}&code=fake-code`),
    "our refusal page": await world.call("GET", callback),
    "400": await world.call("GET", "/v1/accounts?limit=0", { as }),
    "401": await world.call("GET", "/v1/accounts"),
    "404": await world.call("GET", "/nope"),
    "405": await world.call("HEAD", "/healthz"),
    "415": await world.call("POST", "/v1/oauth-apps", { as, body: "x" }),
    health: await world.call("GET", "/healthz"),
  }
}

describe("every answer", () => {
  test("is not to be cached, sniffed, framed or referred from, and names its request", async () => {
    const seen = new Set<string | null>()
    const kinds = Object.entries(await kindsOf(httpWorld()))
    for (const [kind, { headers }] of kinds) {
      const csp = headers.get("content-security-policy") ?? ""
      expect({ kind, ...Object.fromEntries(headers) }).toMatchObject({
        kind,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-request-id": expect.stringMatching(/^req_[0-9a-z]{36}$/),
      })
      for (const part of [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
      ]) {
        expect(csp.split("; "), kind).toContain(part)
      }
      expect(csp).not.toMatch(/unsafe|\*|https?:/)
      expect(
        [...headers.keys()].filter((name) =>
          /^(access-control-|set-cookie$|server$|x-powered-by$|etag$)/.test(name),
        ),
      ).toEqual([])
      seen.add(headers.get("x-request-id"))
    }
    expect(seen.size).toBe(kinds.length)
  })

  test("asks for https ever after where PUBLIC_URL is https, and only there", async () => {
    for (const response of Object.values(await kindsOf(httpWorld({ https: true })))) {
      expect(response.headers.get("strict-transport-security")).toMatch(/^max-age=\d{8}/)
    }
    for (const response of Object.values(await kindsOf(httpWorld()))) {
      expect(response.headers.get("strict-transport-security")).toBeNull()
    }
  })

  test("takes its request id from nobody", async () => {
    const world = httpWorld()
    const response = await world.call("GET", "/healthz", {
      headers: { "x-request-id": "chosen", traceparent: "chosen" },
    })
    expect(response.headers.get("x-request-id")).not.toBe("chosen")
  })

  test("lets no other origin read it", async () => {
    const world = httpWorld()
    const as = await world.key()
    const headers = { origin: "https://evil.example", "access-control-request-method": "GET" }
    for (const method of ["GET", "OPTIONS"]) {
      const response = await world.call(method, "/v1/accounts", { as, headers })
      expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([])
    }
  })
})

/** Storage of which every call fails with a message that must stay inside. */
function brokenStorage(fault: () => unknown): Storage {
  const broken = <Port extends object>(port: Port): Port =>
    new Proxy(port, {
      get: () => async () => {
        throw fault()
      },
    })
  const storage = memoryStorage()
  return {
    ...storage,
    apps: broken(storage.apps),
    flows: broken(storage.flows),
    accounts: broken(storage.accounts),
    events: broken(storage.events),
  }
}

describe("a fault", () => {
  const told = "fake-sql at /home/fake/secret.ts: password=fake-password"
  const faults: readonly (readonly [string, () => unknown])[] = [
    ["an error", () => new Error(told)],
    [
      "an error with a status and a code of its own",
      () => Object.assign(new Error(told), { status: 418, code: "NOT_FOUND_FAKE", response: told }),
    ],
    ["a broken seal", () => new SealBroken(told)],
    ["a type error", () => new TypeError(told)],
    ["a text", () => told],
    ["a response, which must not be taken for an answer", () => new Response(told, { status: 200 })],
    ["nothing", () => undefined],
    ["null", () => null],
    ["an error whose message is HTML", () => new Error(`<b>${told}`)],
  ]

  test.each(faults)("that is %s is a bare 500 which the log can be asked about", async (_, fault) => {
    const world = httpWorld({ storage: brokenStorage(fault) })
    const as = await world.key()
    const calls: readonly (readonly [string, string, object?])[] = [
      ["GET", "/v1/oauth-apps"],
      ["POST", "/v1/oauth-apps", newApp],
      ["GET", `/v1/oauth-apps/oa_${"0".repeat(35)}g`],
      ["DELETE", `/v1/oauth-apps/oa_${"0".repeat(35)}g`],
      ["GET", `/v1/oauth/x/start?account_id=acc_${"0".repeat(35)}g`],
      ["GET", `/v1/oauth/flows/flow_${"0".repeat(35)}g`],
      ["GET", "/v1/accounts"],
    ]
    for (const [method, path, body] of calls) {
      world.faultsSeen.length = 0
      const response = await world.call(method, path, { as, ...(body && { body }) })
      const text = await response.clone().text()
      const problem = await expectProblem(response, 500, "internal_error", {
        words: /log explains it under this request_id/,
      })
      expect(Object.keys(problem).sort()).toEqual(["code", "detail", "request_id", "status", "title", "type"])
      expect(text).not.toMatch(/fake/)
      expect([...response.headers].join()).not.toMatch(/fake/)
      expect(world.faultsSeen).toHaveLength(1)
      expect(world.faultsSeen[0]?.requestId).toBe(problem.request_id)
    }
  })

  test("in the check of a key is one too, and lets nobody in", async () => {
    const storage = memoryStorage()
    const world = httpWorld({ storage })
    const as = await world.key()
    storage.keys.findById = async () => {
      throw new Error(told)
    }
    await expectProblem(await world.call("GET", "/v1/accounts", { as }), 500, "internal_error")
    expect(world.faultsSeen.map(({ fault }) => fault)).toEqual([new Error(told)])
  })

  test("that is a store out of reach is a 503 that says when to come again, and is handed to the log as well", async () => {
    const away = new StoreUnavailable(told)
    const world = httpWorld({ storage: brokenStorage(() => away) })
    const as = await world.key()
    for (const [method, path, body] of [
      ["POST", "/v1/oauth-apps", newApp],
      ["GET", "/v1/accounts", undefined],
    ] as const) {
      world.faultsSeen.length = 0
      const response = await world.call(method, path, { as, ...(body && { body }) })
      expect(response.headers.get("retry-after")).toBe("5")
      await expectProblem(response, 503, "not_ready", { words: /database cannot be reached/ })
      expect(world.faultsSeen.map(({ fault }) => fault)).toEqual([away])
    }
  })

  test("is handed over as it was thrown", async () => {
    const fault = new Error(told)
    const world = httpWorld({ storage: brokenStorage(() => fault) })
    await world.call("GET", "/v1/accounts", { as: await world.key() })
    expect(world.faultsSeen[0]?.fault).toBe(fault)
  })

  test("is logged with its route and status, like any answer", async () => {
    const world = httpWorld({ storage: brokenStorage(() => new Error(told)) })
    await world.call("GET", "/v1/accounts", { as: await world.key() })
    expect(world.entries).toEqual([
      expect.objectContaining({ route: "/v1/accounts", status: 500, tenant: "acme" }),
    ])
  })

  test("in the store at a callback is a plain page, and neither the fault nor the person's state is in it", async () => {
    const storage = memoryStorage()
    const world = httpWorld({ storage })
    const as = await world.key()
    await world.storeApp(as)
    const { state } = await world.startFlow(as)
    storage.flows.consume = async () => {
      throw new Error(told)
    }
    const response = await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    const text = await response.text()
    expect(response.status).toBe(500)
    expect(text).toContain("Something failed on our side")
    expect(text).not.toContain(state)
    expect(text).not.toContain(told)
  })
})
