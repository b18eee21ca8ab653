import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test"
import type { Browser } from "playwright-core"
import { confirmLifetimeMs } from "../../src/domain/connect-flow.ts"
import { type ProviderName, providerNames, providerTitle } from "../../src/domain/provider.ts"
import { openBrowser, picturePath } from "../support/browser.ts"
import { type LocalMooring, localMooring } from "../support/local-mooring.ts"
import { client, type Started } from "../support/service.ts"

/**
 * Somebody has an authorize_url made in their own session and sends it to somebody else, whose consent would then
 * connect the sender's session with the receiver's account. With proof=required it must come to nothing, whatever
 * the sender does with all that they know: the flow's id, its state and its address.
 */

let mooring: LocalMooring
let api: ReturnType<typeof client>
let site: Site | undefined
let tenants = 0
let owner: { readonly tenant: string; readonly environment: "test" }

beforeAll(async () => {
  mooring = await localMooring()
})
afterAll(() => mooring.stop())

beforeEach(async () => {
  owner = { tenant: `acme-${++tenants}`, environment: "test" }
  api = client(mooring.url, await mooring.key(owner.tenant, "test"))
  await site?.stop()
  site = tenantSite()
})
afterAll(() => site?.stop())

interface Site {
  readonly home: string
  stop(): Promise<void>
}

/** The tenant's own site, as the README tells tenants to build it: it confirms with the flow of the session alone. */
function tenantSite(): Site {
  const sessions = new Map<string, string>()
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url)
      const page = (text: string) =>
        new Response(`<h1>${text}</h1>`, { headers: { "content-type": "text/html" } })
      const session = /session=([\w-]+)/.exec(request.headers.get("cookie") ?? "")?.[1] ?? ""
      if (url.pathname === "/connect") {
        const name = crypto.randomUUID()
        const started = await start((url.searchParams.get("provider") ?? "x") as ProviderName)
        sessions.set(name, started.flow_id)
        const headers = { "set-cookie": `session=${name}; Path=/`, location: started.authorize_url }
        return new Response(null, { status: 302, headers })
      }
      if (url.pathname !== "/done") return new Response(null, { status: 404 })
      const flowId = sessions.get(session)
      if (flowId === undefined) return page("You did not begin here")
      const confirmed = await confirm(flowId, url.searchParams.get("connect_code") ?? "")
      return page(confirmed.ok ? "Connected" : "Not connected")
    },
  })
  return { home: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) }
}

const start = (provider: ProviderName, more = "") =>
  api.json<Started>(
    "GET",
    `/v1/oauth/${provider}/start?proof=required${more}&return_url=${encodeURIComponent(`${site?.home}/done`)}`,
  )

const confirm = (flowId: string, code: string) =>
  api.call("POST", `/v1/oauth/flows/${flowId}/confirm`, { connect_code: code })

const flowOf = (id: string) =>
  api.json<{ status: string; proof: string; oauth_error: string | null; account_ids: string[] }>(
    "GET",
    `/v1/oauth/flows/${id}`,
  )

const accountsOf = async (query = "") =>
  (await api.json<{ items: { id: string; health: string }[] }>("GET", `/v1/accounts${query}`)).items

/** The provider's redirect to the callback, code and all, as the browser of whoever consents gets it. */
async function consent(authorizeUrl: string, person: string): Promise<string> {
  const url = new URL(authorizeUrl)
  url.searchParams.set("scenario", "approve")
  url.searchParams.set("person", person)
  const response = await fetch(url, { redirect: "manual" })
  return response.headers.get("location") ?? ""
}

const visit = (url: string) => fetch(url, { redirect: "manual" })

/** What somebody can ask who knows the authorize_url and so the state, but no code that the provider gave. */
function forgeriesOf(started: Started, provider: ProviderName): readonly string[] {
  const state = new URL(started.authorize_url).searchParams.get("state") ?? ""
  const callback = `${mooring.url}/v1/oauth/${provider}/callback?state=${encodeURIComponent(state)}`
  return [
    `${callback}&code=made-up-code`,
    `${callback}&code=${started.flow_id}`,
    `${callback}&code=${encodeURIComponent(state)}`,
    `${callback}&error=access_denied`,
    `${callback}&error=made-up-error`,
  ]
}

/** A thing that a page or an address may not give to anybody but the person who consented. */
const givesAway = /connect_code|ticket=/

async function expectNothing(url: string): Promise<void> {
  const response = await visit(url)
  expect(response.headers.get("location") ?? "").not.toMatch(givesAway)
  expect(await response.text()).not.toMatch(givesAway)
}

const codeIn = (response: Response) =>
  new URL(response.headers.get("location") ?? "").searchParams.get("connect_code") ?? ""

/** All that is kept of the tenant's accounts, sealed tokens too. */
async function rows() {
  const { items } = await mooring.storage.accounts.list(owner, {}, { limit: 100 })
  return Promise.all(items.map(({ id }) => mooring.storage.tokens.read(owner, id)))
}

describe.each([...providerNames])("a link to %s, forwarded by whoever had it made,", (provider) => {
  test("connects nothing after the receiver's consent, and is undone in ten minutes", async () => {
    const attackers = await start(provider)
    const victims = await visit(await consent(attackers.authorize_url, "ben"))
    expect(victims.status).toBe(302)
    for (const url of forgeriesOf(attackers, provider)) await expectNothing(url)

    expect(await flowOf(attackers.flow_id)).toMatchObject({ status: "pending", account_ids: [] })
    const held = await accountsOf()
    expect(held.length).toBeGreaterThan(0)
    for (const { id, health } of held) {
      expect(health).toBe("unconfirmed")
      for (const [method, call] of [
        ["GET", "token"],
        ["POST", "refresh"],
      ] as const) {
        const refused = await api.call(method, `/v1/accounts/${id}/${call}`)
        expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
          409,
          "unconfirmed",
        ])
      }
    }

    mooring.clock.offsetMs += confirmLifetimeMs
    await mooring.sweep()
    expect(await flowOf(attackers.flow_id)).toMatchObject({ status: "expired", oauth_error: "no_response" })
    expect(await accountsOf()).toEqual([])
    expect((await confirm(attackers.flow_id, codeIn(victims))).status).toBe(409)
  })

  test("leaves an account that the receiver had connected as it was, byte for byte", async () => {
    const own = await start(provider)
    const back = await visit(await consent(own.authorize_url, "ben"))
    expect((await confirm(own.flow_id, codeIn(back))).status).toBe(200)
    const before = await rows()

    const attackers = await start(provider)
    await visit(await consent(attackers.authorize_url, "ben"))
    for (const url of forgeriesOf(attackers, provider)) await expectNothing(url)
    expect(await rows()).toEqual(before)
    mooring.clock.offsetMs += confirmLifetimeMs
    await mooring.sweep()
    expect(await rows()).toEqual(before)
    const [account] = await accountsOf()
    expect(account?.health).toBe("active")
  })

  test("gives its maker nothing in a race with the receiver's browser", async () => {
    const attackers = await start(provider)
    const callback = await consent(attackers.authorize_url, "ben")
    const victims = visit(callback)
    const forged = forgeriesOf(attackers, provider)
    await Promise.all([...forged, ...forged, ...forged, ...forged].map(expectNothing))
    expect([200, 302]).toContain((await victims).status)
    for (const { health } of await accountsOf()) expect(health).toBe("unconfirmed")
  })

  test("that its maker calls back first is spent, and holds nothing", async () => {
    const attackers = await start(provider)
    const callback = await consent(attackers.authorize_url, "ben")
    for (const url of forgeriesOf(attackers, provider)) await expectNothing(url)
    const victims = await visit(callback)
    expect(victims.headers.get("location")).toMatch(/\/done\?oauth_error=[a-z_]+$/)
    expect(await accountsOf()).toEqual([])
  })
})

describe("the maker's own session", () => {
  test("is confirmed by no guess, nor by the code of another flow of theirs", async () => {
    const forwarded = await start("x")
    await visit(await consent(forwarded.authorize_url, "ben"))
    const own = await start("x")
    const ownCode = codeIn(await visit(await consent(own.authorize_url, "ann")))
    const guesses = [ownCode, "made-up-code", "", forwarded.flow_id, ownCode.slice(1), "A".repeat(43)]
    for (const guess of guesses) expect((await confirm(forwarded.flow_id, guess)).status).toBe(400)
    expect((await confirm(own.flow_id, ownCode)).status).toBe(200)
    expect(await accountsOf("?health=active")).toHaveLength(1)
  })

  test("belongs to its tenant: with another tenant's key even the right code is for no flow", async () => {
    const started = await start("x")
    const code = codeIn(await visit(await consent(started.authorize_url, "ben")))
    const stranger = client(mooring.url, await mooring.key("globex", "test"))
    const path = `/v1/oauth/flows/${started.flow_id}/confirm`
    expect((await stranger.call("POST", path, { connect_code: code })).status).toBe(404)
    const live = client(mooring.url, await mooring.key(owner.tenant, "live"))
    expect((await live.call("POST", path, { connect_code: code })).status).toBe(404)
    expect((await confirm(started.flow_id, code)).status).toBe(200)
  })

  test("gets no choice among the receiver's Pages either", async () => {
    const forwarded = await start("facebook", "&select=true")
    const victims = await visit(await consent(forwarded.authorize_url, "cleo"))
    expect(victims.headers.get("location")).toContain("/choose?ticket=")
    for (const url of forgeriesOf(forwarded, "facebook")) await expectNothing(url)
    expect(await accountsOf()).toEqual([])
  })
})

describe("in a real browser", () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser.close())

  const phone = {
    viewport: { width: 390, height: 760 },
    isMobile: true,
    hasTouch: true,
    userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Instagram 400.0",
  }

  test.each([...providerNames])(
    "%s: who begins at the tenant's site and comes back is connected",
    async (provider) => {
      const context = await browser.newContext(phone)
      try {
        const page = await context.newPage()
        await page.goto(`${site?.home}/connect?provider=${provider}`)
        await page.getByRole("button", { name: "Ann Dev" }).click()
        await page.waitForURL(/\/done\?/)
        expect(await page.locator("h1").textContent()).toBe("Connected")
        expect(await accountsOf()).toMatchObject([{ health: "active" }])
        const cookies = await context.cookies(mooring.url)
        expect(cookies.filter(({ domain }) => domain === "localhost")).toEqual([])
      } finally {
        await context.close()
      }
    },
  )

  test("who got the link from somebody else is told by the tenant that they did not begin here", async () => {
    const started = await start("x")
    const context = await browser.newContext()
    try {
      const page = await context.newPage()
      await page.goto(started.authorize_url)
      await page.getByRole("button", { name: "Ben" }).click()
      await page.waitForURL(/\/done\?/)
      expect(await page.locator("h1").textContent()).toBe("You did not begin here")
      expect(await accountsOf("?health=active")).toEqual([])
    } finally {
      await context.close()
    }
  })

  test("consent on another device, without any cookie, is the tenant's to confirm for the one that began", async () => {
    const started = await start("x")
    const context = await browser.newContext(phone)
    try {
      const page = await context.newPage()
      await page.goto(started.authorize_url)
      await page.getByRole("button", { name: "Ann Dev" }).click()
      await page.waitForURL(/\/done\?/)
      const code = new URL(page.url()).searchParams.get("connect_code") ?? ""
      expect((await confirm(started.flow_id, code)).status).toBe(200)
      expect(await accountsOf()).toMatchObject([{ health: "active" }])
    } finally {
      await context.close()
    }
  })

  test("whoever calls back in another's place is told to finish where they began, in plain words", async () => {
    const started = await start("x")
    await visit(await consent(started.authorize_url, "ben"))
    const context = await browser.newContext({ viewport: { width: 900, height: 700 } })
    try {
      const page = await context.newPage()
      await page.goto(forgeriesOf(started, "x")[0] ?? "")
      expect(await page.locator("h1").textContent()).toBe("Finish in the browser you began in")
      expect(await page.locator("main").textContent()).toContain(
        `Your ${providerTitle.x} account is not connected yet.`,
      )
      await page.screenshot({ path: picturePath("landing-unproven"), fullPage: true })
    } finally {
      await context.close()
    }
  })
})
