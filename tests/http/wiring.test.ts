import { describe, expect, test } from "bun:test"
import type { Log } from "../../src/adapters/cli/log.ts"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { readConfig } from "../../src/config.ts"
import { mooring } from "../../src/main.ts"
import type { Storage } from "../../src/ports/storage.ts"
import type { ProviderAnswer, Transport } from "../../src/ports/transport.ts"
import { dashboardToken, jwtSecret, newApp, requestOf, returnUrl, user } from "../support/http-world.ts"

const env = {
  PUBLIC_URL: "https://connect.example.com/base/",
  DATABASE_URL: "memory:",
  ENCRYPTION_KEYS: `t1:${Buffer.alloc(32, 7).toString("base64")}`,
  JWT_SECRET: jwtSecret,
  RATE_LIMIT: "off",
}

/** The service as `main` wires it, over memory and a scripted provider; every log line is kept as text. */
function wired(
  change: Readonly<Record<string, string>> = {},
  liveTransport?: Transport,
  storage: Storage = memoryStorage(),
) {
  const lines: string[] = []
  const write = (...said: unknown[]) => void lines.push(JSON.stringify(said))
  const log = { debug: write, info: write, warn: write, error: write } as Log
  const service = mooring(readConfig({ ...env, ...change }), storage, {
    log,
    ...(liveTransport && { liveTransport }),
  })
  return {
    lines,
    call: (method: string, path: string, call: Parameters<typeof requestOf>[2] = {}) =>
      service.edge(requestOf(method, path, call), () => "203.0.113.7"),
    key: async (environment: "live" | "test") =>
      (await service.apiKeys.create(user("acme", environment), { name: "ci", environment })).text,
  }
}

type Wired = ReturnType<typeof wired>

async function start(service: Wired, as: string, query: Readonly<Record<string, string>>) {
  const response = await service.call("GET", `/v1/oauth/x/start?${new URLSearchParams(query)}`, { as })
  expect(response.status).toBe(200)
  const { authorize_url } = (await response.json()) as { authorize_url: string }
  const url = new URL(authorize_url)
  return { url, state: url.searchParams.get("state") ?? "" }
}

const answer = (status: number, body: unknown): ProviderAnswer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
})

describe("the service as it is wired", () => {
  test("connects a pretended account through the sandbox, from the test key to the tenant's page", async () => {
    const service = wired()
    const as = await service.key("test")
    const { url } = await start(service, as, { return_url: "http://localhost:5173/done?a=b" })
    expect(url.href).toStartWith("https://connect.example.com/base/sandbox/x/authorize?")
    const consent = await service.call("GET", `/sandbox/x/authorize${url.search}`)
    expect([consent.status, consent.headers.get("x-request-id")]).toEqual([
      200,
      expect.stringMatching(/^req_/),
    ])
    const agreed = await service.call("GET", `/sandbox/x/authorize${url.search}&scenario=approve`)
    const back = new URL(agreed.headers.get("location") ?? "")
    expect(back.href).toStartWith("https://connect.example.com/base/v1/oauth/x/callback?")
    const done = await service.call("GET", `/v1/oauth/x/callback${back.search}`)
    expect(done.headers.get("location")).toBe("http://localhost:5173/done?a=b&connected=x")
    const accounts = (await (await service.call("GET", "/v1/accounts", { as })).json()) as { total: number }
    expect(accounts.total).toBe(1)
  })

  test("takes redirect_uri and HSTS from PUBLIC_URL", async () => {
    const service = wired()
    const response = await service.call("POST", "/v1/oauth-apps", {
      as: await service.key("live"),
      body: newApp,
    })
    expect(((await response.json()) as { redirect_uri: string }).redirect_uri).toBe(
      "https://connect.example.com/base/v1/oauth/x/callback",
    )
    expect(response.headers.get("strict-transport-security")).toStartWith("max-age=")
    const plain = wired({ PUBLIC_URL: "http://localhost:3000" })
    expect((await plain.call("GET", "/healthz")).headers.get("strict-transport-security")).toBeNull()
  })

  test("with SANDBOX=off has no consent page, and test keys are told why nothing starts", async () => {
    const service = wired({ SANDBOX: "off" })
    expect((await service.call("GET", "/sandbox/x/authorize")).status).toBe(404)
    const refused = await service.call("GET", "/v1/oauth/x/start", { as: await service.key("test") })
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining("SANDBOX=off")])
  })

  test("limits callers unless RATE_LIMIT is off", async () => {
    const failures = async (service: Wired) => {
      const answers = await Promise.all(Array.from({ length: 25 }, () => service.call("GET", "/v1/accounts")))
      return answers.filter(({ status }) => status === 429).length
    }
    expect([await failures(wired()), await failures(wired({ RATE_LIMIT: "on" }))]).toEqual([0, 5])
  })
})

/** Planted where secrets and private things go; each is unlike anything else, and none may come out in a log. */
const canaries = {
  clientSecret: "canary-client-secret-0a1b2c3d4e",
  code: "canary-code-0a1b2c3d4e5f6a7b8c9d",
  accessToken: "canary-access-token-0a1b2c3d4e5f",
  refreshToken: "canary-refresh-token-0a1b2c3d4e5f",
  returnQuery: "canary-return-query",
  reference: "canary-reference",
  search: "canary-search",
  description: "canary-description",
  header: "canary-header",
  cookie: "canary-cookie",
  body: "canary-body",
  path: "canary-path",
} as const

describe("the log of a whole run", () => {
  /** Answers well, refuses with all it was sent in its mouth, or breaks with it in the error. */
  const provider =
    (mode: { now: "well" | "echo" | "break" }): Transport =>
    async (request) => {
      if (mode.now === "break")
        throw new Error(`${request.url} ${request.body} ${JSON.stringify(request.headers)}`)
      if (mode.now === "echo")
        return answer(400, {
          error: "invalid_request",
          error_description: `${request.body} ${canaries.accessToken}`,
        })
      if (!request.url.includes("/oauth2/token"))
        return answer(200, { data: { id: "42", name: "Ann", username: "anndev" } })
      return answer(200, {
        access_token: canaries.accessToken,
        refresh_token: canaries.refreshToken,
        token_type: "bearer",
        expires_in: 7200,
        scope: "tweet.read users.read offline.access",
      })
    }

  test("has a line for each request and no secret, code, state, token, query or input", async () => {
    const mode = { now: "well" as "well" | "echo" | "break" }
    const storage = memoryStorage()
    const service = wired({}, provider(mode), storage)
    const [as, jwt] = [await service.key("live"), await dashboardToken({ sub: "acme" })]
    const secrets: string[] = [
      as,
      as.split("_")[3] ?? "",
      jwt,
      jwtSecret,
      env.ENCRYPTION_KEYS.slice(3),
      ...Object.values(canaries),
    ]
    let sent = 0
    const call = (...[method, path, rest]: Parameters<Wired["call"]>) => {
      sent++
      return service.call(method, path, rest)
    }
    const headers = {
      cookie: `a=${canaries.cookie}`,
      "x-anything": canaries.header,
      "user-agent": canaries.header,
    }

    const app = { ...newApp, client_secret: canaries.clientSecret }
    expect((await call("POST", "/v1/oauth-apps", { as, headers, body: app })).status).toBe(201)
    const minted = (await (
      await call("POST", "/v1/api-keys", { as: jwt, body: { name: "ci", environment: "live" } })
    ).json()) as { id: string; key: string }
    secrets.push(minted.key)

    const outcomes: (string | null)[] = []
    for (const now of ["well", "echo", "break"] as const) {
      mode.now = now
      const query = { return_url: `${returnUrl}&a=${canaries.returnQuery}`, reference: canaries.reference }
      const { state } = await start(service, as, query)
      sent++
      secrets.push(state)
      const back = await call("GET", `/v1/oauth/x/callback?state=${state}&code=${canaries.code}`, { headers })
      outcomes.push(
        new URL(back.headers.get("location") ?? "").searchParams.get(
          now === "well" ? "connected" : "oauth_error",
        ),
      )
    }
    expect(outcomes).toEqual(["x", expect.stringMatching(/./), "server_error"])
    const declined = await start(service, as, {})
    sent++
    secrets.push(declined.state)
    await call(
      "GET",
      `/v1/oauth/x/callback?state=${declined.state}&error=access_denied&error_description=${canaries.description}`,
    )

    await call("GET", `/v1/oauth/x/callback?state=${canaries.code}&code=${canaries.code}`)
    await call("GET", `/v1/oauth/${canaries.path}/callback?state=${canaries.code}`)
    await call("GET", `/v1/accounts?q=${canaries.search}&reference=${canaries.reference}`, { as })
    await call("GET", `/v1/accounts?${canaries.search}=1`, { as })
    await call("GET", `/v1/accounts/${canaries.path}`, { as })
    await call("GET", `/${canaries.path}`)
    await call("GET", `/sandbox/${canaries.path}?code=${canaries.code}`)
    await call("POST", "/v1/oauth-apps", {
      as,
      body: `{"client_secret":"${canaries.body}"`,
      headers: { "content-type": "application/json" },
    })
    await call("POST", "/v1/oauth-apps", { as, body: { client_secret: [canaries.clientSecret] } })
    await call("GET", "/v1/accounts", { as: `moor_live_${canaries.header}` })
    await call("GET", "/v1/accounts", { as: `${jwt.slice(0, -2)}xx` })
    await call("GET", "/v1/accounts", { headers: { authorization: canaries.header } })
    await call("GET", `/v1/accounts?key=${as}`)
    storage.accounts.find = async () => {
      throw new Error(
        `Authorization: Bearer ${as} ${jwt} {"access_token":"${canaries.accessToken}"} postgres://u:${canaries.body}@db ?code=${canaries.code}`,
      )
    }
    expect((await call("GET", `/v1/accounts/acc_${"0".repeat(35)}g`, { as })).status).toBe(500)

    const requests = service.lines.filter((line) => line.endsWith('"request"]'))
    const faults = service.lines.filter((line) => line.endsWith('"fault"]'))
    expect(requests).toHaveLength(sent)
    // The provider adapter that broke, and the store that did.
    expect(faults).toHaveLength(2)
    const logged = service.lines.join("\n")
    for (const secret of secrets) expect(logged).not.toContain(secret)
    expect(logged).not.toContain("canary")
    expect(requests.join()).not.toContain("?")
    expect(logged).toContain('"route":"/v1/oauth/:provider/callback"')
  })

  test("says of each request what an operator needs, and has these fields alone", async () => {
    const service = wired()
    const as = await service.key("test")
    await start(service, as, {})
    await service.call("GET", "/v1/oauth/x/callback?state=forged")
    await service.call("GET", "/v1/accounts")
    const entries = service.lines.map((line) => (JSON.parse(line) as [Readonly<Record<string, unknown>>])[0])
    const common = {
      request_id: expect.stringMatching(/^req_/),
      duration_ms: expect.any(Number),
      method: "GET",
    }
    expect(entries).toEqual([
      {
        ...common,
        route: "/v1/oauth/:provider/start",
        status: 200,
        tenant: "acme",
        environment: "test",
        actor: expect.stringMatching(/^key:key_/),
        flow_id: expect.stringMatching(/^flow_/),
      },
      { ...common, route: "/v1/oauth/:provider/callback", status: 400, reason: "state_invalid" },
      { ...common, route: "unknown", status: 401 },
    ])
  })
})
