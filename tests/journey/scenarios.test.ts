import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type Scenario, scenarios, scenariosOf } from "../../src/adapters/sandbox/scenarios.ts"
import { flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import { type OAuthErrorReason, oauthErrorReasons } from "../../src/domain/oauth-error.ts"
import { type ProviderName, providerNames } from "../../src/domain/provider.ts"
import { type LocalMooring, localMooring } from "../support/local-mooring.ts"
import { client, followConsent, type Started } from "../support/service.ts"

interface FlowAnswer {
  readonly status: string
  readonly oauth_error: OAuthErrorReason | null
  readonly detail: string | null
  readonly account_ids: readonly string[]
}

const returnUrl = "http://localhost:9/done?tab=a%20b"

let mooring: LocalMooring
let api: ReturnType<typeof client>
/** What each connect really ended in, for the last test. */
const produced = new Set<string>()

beforeAll(async () => {
  mooring = await localMooring()
  api = client(mooring.url, await mooring.key("acme", "test"))
})
afterAll(() => mooring.stop())

async function start(provider: ProviderName, more = ""): Promise<Started> {
  return api.json<Started>(
    "GET",
    `/v1/oauth/${provider}/start?return_url=${encodeURIComponent(returnUrl)}${more}`,
  )
}

const flow = (id: string) => api.json<FlowAnswer>("GET", `/v1/oauth/flows/${id}`)

async function play(provider: ProviderName, scenario: Scenario): Promise<void> {
  const started = await start(provider)
  const landing = await followConsent(started.authorize_url, { scenario: scenario.name })
  const name = `${provider} ${scenario.name}`
  if (scenario.ends === "state_invalid" || scenario.ends === "callback_invalid") {
    expect(landing.status, name).toBe(400)
    expect(landing.location, name).toBeNull()
    expect(landing.body, name).toContain(scenario.ends)
    expect((await flow(started.flow_id)).status, name).toBe("pending")
  } else if (scenario.ends === "no_response") {
    expect(landing.location, name).toBeNull()
    expect((await flow(started.flow_id)).status, name).toBe("pending")
  } else if (scenario.ends === "connected") {
    expect(landing.location, name).toBe(`${returnUrl}&connected=${provider}`)
    const ended = await flow(started.flow_id)
    expect(ended, name).toMatchObject({ status: "connected", oauth_error: null })
    expect(ended.account_ids.length, name).toBeGreaterThan(0)
  } else {
    expect(landing.location, name).toBe(`${returnUrl}&oauth_error=${scenario.ends}`)
    const ended = await flow(started.flow_id)
    expect(ended, name).toMatchObject({ status: "failed", oauth_error: scenario.ends, account_ids: [] })
    expect(ended.detail?.length ?? 0, name).toBeGreaterThan(30)
  }
  produced.add(scenario.ends)
}

describe("every scenario of the sandbox ends as it says, through the real server", () => {
  // A provider that hangs is given up after ten seconds, so these go side by side.
  const slow = (scenario: Scenario) => scenario.strikes?.with === "hang"

  test.each(
    providerNames.flatMap((provider) =>
      scenariosOf(provider)
        .filter((s) => !slow(s))
        .map((s) => [provider, s.name, s] as const),
    ),
  )("%s: %s", (provider, _, scenario) => play(provider, scenario))

  test("a provider that hangs is answered within fifteen seconds", async () => {
    const begun = performance.now()
    await Promise.all(
      providerNames.flatMap((provider) =>
        scenariosOf(provider)
          .filter(slow)
          .map((scenario) => play(provider, scenario)),
      ),
    )
    // The promise itself is in seconds; the margin is for a busy machine.
    expect(performance.now() - begun).toBeLessThan(15_000)
  }, 30_000)

  test("there are at least forty of them", () => {
    expect(scenarios.reduce((sum, scenario) => sum + scenario.providers.length, 0)).toBeGreaterThan(40)
    expect(new Set(scenarios.map((scenario) => scenario.name)).size).toBeGreaterThan(40)
  })
})

test("five Pages granted at once are five accounts, each with an id of its own", async () => {
  const started = await start("facebook")
  await followConsent(started.authorize_url, { scenario: "several_pages" })
  const ended = await flow(started.flow_id)
  expect(new Set(ended.account_ids).size).toBe(5)
})

test("a LinkedIn member's organisations are accounts beside their own, where the app asks for them", async () => {
  const app = await api.json<{ id: string }>("POST", "/v1/oauth-apps", {
    provider: "linkedin",
    name: "Pages",
    client_id: "fake-client-of-pages",
    client_secret: "fake-secret",
    scopes: ["openid", "profile", "w_member_social", "rw_organization_admin", "w_organization_social"],
    allowed_return_urls: ["http://localhost:9/done"],
  })
  const started = await start("linkedin", `&oauth_app_id=${app.id}`)
  await followConsent(started.authorize_url, { scenario: "approve", person: "cleo" })
  const ended = await flow(started.flow_id)
  const accounts = await Promise.all(
    ended.account_ids.map((id) =>
      api.json<{ platform_account_id: string; display_name: string }>("GET", `/v1/accounts/${id}`),
    ),
  )
  expect(accounts.map((account) => account.platform_account_id).sort()).toEqual([
    expect.stringMatching(/^[A-Za-z0-9_-]+$/),
    "urn:li:organization:2414183",
    "urn:li:organization:2414185",
  ])
  for (const { display_name } of accounts) expect(display_name.length).toBeGreaterThan(2)
  for (const id of ended.account_ids)
    expect((await api.call("DELETE", `/v1/accounts/${id}`)).status).toBe(204)
  expect((await api.call("DELETE", `/v1/oauth-apps/${app.id}`)).status).toBe(204)
})

test("what one tenant does in the sandbox ends nothing of another's", async () => {
  const tenants = await Promise.all(
    ["one", "two"].map(async (tenant) => client(mooring.url, await mooring.key(tenant, "test"))),
  )
  const ids = await Promise.all(
    tenants.map(async (tenant) => {
      const started = await tenant.json<Started>("GET", "/v1/oauth/tiktok/start")
      await followConsent(started.authorize_url, { scenario: "approve", person: "ann" })
      return (await tenant.json<FlowAnswer>("GET", `/v1/oauth/flows/${started.flow_id}`)).account_ids[0]
    }),
  )
  expect((await tenants[0]?.call("DELETE", `/v1/accounts/${ids[0]}`))?.status).toBe(204)
  expect((await tenants[1]?.call("POST", `/v1/accounts/${ids[1]}/refresh`))?.status).toBe(200)
})

test("an unticked scope is listed as missing", async () => {
  const started = await start("tiktok")
  await followConsent(started.authorize_url, { scenario: "untick:video.publish", person: "ben" })
  const [id] = (await flow(started.flow_id)).account_ids
  const account = await api.json<{ missing_scopes: string[]; handle: string }>("GET", `/v1/accounts/${id}`)
  expect(account.missing_scopes).toEqual(["video.publish"])
})

test("an id above 2^53 stays exact", async () => {
  const started = await start("instagram")
  await followConsent(started.authorize_url, { scenario: "big_number_id" })
  const [id] = (await flow(started.flow_id)).account_ids
  const account = await api.json<{ platform_account_id: string }>("GET", `/v1/accounts/${id}`)
  expect(account.platform_account_id).toMatch(/^\d{17,}$/)
  expect(Number.isSafeInteger(Number(account.platform_account_id))).toBe(false)
  expect(account.platform_account_id).not.toEndWith("00000")
})

test.each([...providerNames])("%s: connecting the same person again keeps the acc_ id", async (provider) => {
  const ids: string[] = []
  for (let i = 0; i < 3; i++) {
    const started = await start(provider)
    await followConsent(started.authorize_url, { scenario: "approve", person: "ben" })
    ids.push(...(await flow(started.flow_id)).account_ids)
  }
  expect(ids).toHaveLength(3)
  expect(new Set(ids).size).toBe(1)
})

test("a reconnect as another person is account_mismatch, and the account is as it was", async () => {
  for (const provider of providerNames) {
    const first = await start(provider)
    await followConsent(first.authorize_url, { scenario: "approve", person: "ann" })
    const [id] = (await flow(first.flow_id)).account_ids
    const before = await api.json<unknown>("GET", `/v1/accounts/${id}`)
    const again = await start(provider, `&account_id=${id}`)
    const landing = await followConsent(again.authorize_url, { scenario: "approve", person: "ben" })
    expect(landing.location, provider).toEndWith("oauth_error=account_mismatch")
    expect(await api.json<unknown>("GET", `/v1/accounts/${id}`), provider).toEqual(before)
  }
  produced.add("account_mismatch")
})

test("a return_url that is no longer allowed ends on our own page", async () => {
  const app = await api.json<{ id: string }>("POST", "/v1/oauth-apps", {
    provider: "linkedin",
    name: "Ours",
    client_id: "fake-client",
    client_secret: "fake-secret",
    allowed_return_urls: ["https://app.acme.example/a"],
  })
  const started = await api.json<Started>(
    "GET",
    "/v1/oauth/linkedin/start?return_url=https://app.acme.example/a/b",
  )
  await api.json("PATCH", `/v1/oauth-apps/${app.id}`, { allowed_return_urls: [] }, 200)
  const landing = await followConsent(started.authorize_url, { scenario: "approve" })
  expect(landing).toMatchObject({ status: 200, location: null })
  expect(landing.body).toContain("Your LinkedIn account is connected")
  await api.call("DELETE", `/v1/oauth-apps/${app.id}`)
})

test("every reason of the contract has been produced through the real server", async () => {
  const abandoned = await start("x")
  const interrupted = await start("x")
  // A process that died in the exchange leaves a taken flow behind; here the exchange hangs and the clock runs on.
  const hanging = followConsent(interrupted.authorize_url, { scenario: "hang" })
  await Bun.sleep(200)
  mooring.clock.offsetMs += 31_000
  await mooring.sweep()
  expect(await flow(interrupted.flow_id)).toMatchObject({ status: "failed", oauth_error: "server_error" })
  expect((await hanging).location).toEndWith("oauth_error=server_error")
  produced.add("server_error")

  mooring.clock.offsetMs += flowLifetimeMs
  expect(await flow(abandoned.flow_id)).toMatchObject({ status: "expired", oauth_error: "no_response" })
  produced.add("no_response")
  produced.delete("connected")
  expect([...produced].sort()).toEqual([...oauthErrorReasons].sort())
}, 30_000)
