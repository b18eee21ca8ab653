import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { SignJWT } from "jose"
import { isId } from "../../src/domain/id.ts"
import { type ProviderName, providerNames } from "../../src/domain/provider.ts"
import type { ProviderRequest } from "../../src/ports/transport.ts"
import { type LocalMooring, localMooring } from "../support/local-mooring.ts"

const jwtSecret = "made-up-secret-of-these-tests-0123456789"
const secret = "made-up-client-secret-0123456789"

interface Checked {
  readonly id: string
  readonly provider: string
  readonly ok: boolean
  readonly checked_at: string
  readonly findings: readonly {
    readonly check: string
    readonly verdict: string
    readonly detail: string
    readonly console: { readonly page: string; readonly field: string; readonly url: string } | null
    readonly provider_error: Readonly<Record<string, unknown>> | null
  }[]
}

let mooring: LocalMooring
const keys = { test: "", live: "", other: "" }
const asked: ProviderRequest[] = []
const answered: string[] = []

beforeAll(async () => {
  mooring = await localMooring({
    env: { JWT_SECRET: jwtSecret },
    liveTransport: async (request) => {
      asked.push(request)
      const body = JSON.stringify({
        error: "unauthorized_client",
        error_description: `Missing valid authorization header ${request.headers.authorization} ${request.body}`,
      })
      return { status: 401, headers: {}, body }
    },
  })
  keys.test = await mooring.key("acme", "test")
  keys.live = await mooring.key("acme", "live")
  keys.other = await mooring.key("globex", "test")
})
afterAll(() => mooring.stop())

async function call(method: string, path: string, as: string | undefined, body?: object): Promise<Response> {
  const response = await fetch(mooring.url + path, {
    method,
    headers: {
      ...(as !== undefined && { authorization: `Bearer ${as}` }),
      ...(body && { "content-type": "application/json" }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  answered.push(await response.clone().text())
  return response
}

async function storeApp(as: string, provider: ProviderName, change: object = {}): Promise<string> {
  const app = { provider, name: "Checked", client_id: "made-up-client", client_secret: secret, ...change }
  const response = await call("POST", "/v1/oauth-apps", as, app)
  expect(response.status).toBe(201)
  return ((await response.json()) as { readonly id: string }).id
}

async function check(as: string, id: string): Promise<Checked> {
  const response = await call("POST", `/v1/oauth-apps/${id}/check`, as)
  expect(response.status).toBe(200)
  return (await response.json()) as Checked
}

async function checkNew(provider: ProviderName, change: object = {}): Promise<Checked> {
  return check(keys.test, await storeApp(keys.test, provider, change))
}

const verdictOf = (checked: Checked, name: string) =>
  checked.findings.find((finding) => finding.check === name)?.verdict

test("an app that is right is answered with every finding and no more than is documented", async () => {
  const id = await storeApp(keys.test, "x")
  const checked = await check(keys.test, id)
  expect(checked).toEqual({
    id,
    provider: "x",
    ok: true,
    checked_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    findings: [
      {
        check: "client_id",
        verdict: "ok",
        detail: "X knows this client id.",
        console: { page: "Keys and tokens", field: "OAuth 2.0 Client ID", url: "https://console.x.com" },
        provider_error: null,
      },
      expect.objectContaining({ check: "client_secret", verdict: "ok" }),
      {
        check: "redirect_uri",
        verdict: "unknown",
        detail: expect.stringContaining(`${mooring.url}/v1/oauth/x/callback`),
        console: expect.objectContaining({ field: "Callback URI / Redirect URL" }),
        provider_error: null,
      },
      expect.objectContaining({ check: "scopes", verdict: "unknown" }),
    ],
  })
  expect(isId("oa", checked.id)).toBe(true)
})

describe.each([...providerNames])("an app of %s", (provider) => {
  test("is found right, or to have a wrong secret, with what the provider said", async () => {
    expect((await checkNew(provider)).ok).toBe(true)
    const checked = await checkNew(provider, { client_secret: "wrong-secret-0123456789" })
    expect(checked.ok).toBe(false)
    const finding = checked.findings.find((finding) => finding.check === "client_secret")
    expect(finding).toMatchObject({
      verdict: "problem",
      console: { field: expect.stringMatching(/secret/i) },
    })
    expect(Object.keys(finding?.provider_error ?? {})).toEqual([
      "call",
      "status",
      "code",
      "message",
      "trace_id",
    ])
    expect(finding?.provider_error).toMatchObject({
      call: expect.stringMatching(/token$/),
      message: expect.any(String),
    })
  })
})

test.each([
  ["x", { client_id: "unknown-client-1" }, "client_id"],
  ["instagram", { client_id: "facebook-app-1" }, "client_id"],
  ["facebook", { client_id: "instagram-app-1" }, "client_id"],
  ["facebook", { client_id: "unregistered-redirect-1" }, "redirect_uri"],
  ["instagram", { client_id: "unregistered-redirect-1" }, "redirect_uri"],
  ["linkedin", { scopes: ["w_member_social"] }, "scopes"],
  ["facebook", { client_id: "12345678", options: { config_id: "12345678" } }, "config_id"],
  ["tiktok", { client_id: "sbaw-made-up" }, "environment"],
] as const)("an app of %s with %p has a problem with its %s", async (provider, change, name) => {
  const checked = await checkNew(provider, change)
  expect([checked.ok, verdictOf(checked, name)]).toEqual([false, "problem"])
})

test("a provider that is down is no problem of the app's", async () => {
  const checked = await checkNew("linkedin", { client_id: "provider-down-1" })
  expect([checked.ok, verdictOf(checked, "provider")]).toEqual([true, "unknown"])
})

test("what was mended is found mended", async () => {
  const id = await storeApp(keys.test, "tiktok", { client_secret: "wrong-secret-1" })
  expect((await check(keys.test, id)).ok).toBe(false)
  await call("PATCH", `/v1/oauth-apps/${id}`, keys.test, { client_secret: "made-up-right-one" })
  const tooSoon = await call("POST", `/v1/oauth-apps/${id}/check`, keys.test)
  expect([tooSoon.status, tooSoon.headers.get("retry-after")]).toEqual([429, "10"])
  expect(await tooSoon.json()).toMatchObject({
    code: "rate_limited",
    detail: expect.stringContaining("ask again in 10 s"),
  })
  mooring.clock.offsetMs += 10_000
  expect((await check(keys.test, id)).ok).toBe(true)
})

test("a check changes nothing of the app", async () => {
  const id = await storeApp(keys.test, "facebook")
  const before = await (await call("GET", `/v1/oauth-apps/${id}`, keys.test)).json()
  await check(keys.test, id)
  expect(await (await call("GET", `/v1/oauth-apps/${id}`, keys.test)).json()).toEqual(before)
})

test("an app of another tenant, of another environment or of nobody is absent, and nobody is asked", async () => {
  const id = await storeApp(keys.test, "x")
  asked.length = 0
  const answers = await Promise.all([
    call("POST", `/v1/oauth-apps/${id}/check`, keys.other),
    call("POST", `/v1/oauth-apps/${id}/check`, keys.live),
    call("POST", `/v1/oauth-apps/oa_${"0".repeat(35)}g/check`, keys.test),
    call("POST", "/v1/oauth-apps/oa_none/check", keys.test),
    call("POST", "/v1/oauth-apps/%27%20or%201=1/check", keys.test),
  ])
  for (const answer of answers) {
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({
      code: "not_found",
      detail: expect.stringContaining("No OAuth app"),
    })
  }
  expect(asked).toEqual([])
})

/** Of the tenant's dashboard, which may make keys. */
function dashboardToken(): Promise<string> {
  const expires = Math.floor(Date.now() / 1000) + 60
  return new SignJWT({ sub: "acme", exp: expires })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(jwtSecret))
}

test("a credential is needed, and of a key the scope apps", async () => {
  const id = await storeApp(keys.test, "x")
  expect((await call("POST", `/v1/oauth-apps/${id}/check`, undefined)).status).toBe(401)
  const made = await call("POST", "/v1/api-keys", await dashboardToken(), {
    name: "narrow",
    environment: "test",
    scopes: ["connect", "accounts", "tokens"],
  })
  const narrow = ((await made.json()) as { readonly key: string }).key
  const refused = await call("POST", `/v1/oauth-apps/${id}/check`, narrow)
  expect(refused.status).toBe(403)
  expect(await refused.json()).toMatchObject({ code: "insufficient_key_scope" })
})

test("it takes POST alone, and no body", async () => {
  const id = await storeApp(keys.test, "x")
  for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
    expect((await call(method, `/v1/oauth-apps/${id}/check`, keys.test)).status).toBe(405)
  }
  const refused = await call("POST", `/v1/oauth-apps/${id}/check`, keys.test, { client_id: "unknown-client" })
  expect(refused.status).toBe(400)
  expect(await refused.json()).toMatchObject({
    code: "invalid_input",
    detail: expect.stringContaining("takes no body"),
  })
  const url = `${mooring.url}/v1/oauth-apps/${id}/check`
  const headers = { authorization: `Bearer ${keys.test}`, "content-type": "text/plain" }
  expect((await fetch(url, { method: "POST", headers, body: "" })).status).toBe(200)
})

test("of a live app the provider itself is asked, and what it repeats of the secret is nowhere", async () => {
  asked.length = 0
  const id = await storeApp(keys.live, "x")
  const checked = await check(keys.live, id)
  expect(asked.map(({ url }) => url)).toEqual(["https://api.x.com/2/oauth2/token"])
  expect(verdictOf(checked, "client_secret")).toBe("problem")
  for (const text of [JSON.stringify(checked), mooring.log.join("\n")]) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(btoa(`made-up-client:${secret}`).replace(/=+$/, ""))
  }
})

test("no secret is in any answer or log line of all this", () => {
  const everything = [...answered, ...mooring.log].join("\n")
  for (const text of [secret, "wrong-secret-0123456789", "made-up-right-one", "sandbox-app-token"]) {
    expect(everything).not.toContain(text)
  }
  expect(everything).toContain("findings")
})
