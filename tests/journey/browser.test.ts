import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser, Page } from "playwright-core"
import { type ProviderName, providerNames, providerTitle } from "../../src/domain/provider.ts"
import { openBrowser, picturePath } from "../support/browser.ts"
import { freshDatabase } from "../support/postgres.ts"
import { client, dropFolder, type Service, type Started, startService } from "../support/service.ts"

let browser: Browser
/** The tenant's own page, where people come back to. */
let tenant: ReturnType<typeof Bun.serve>

beforeAll(async () => {
  browser = await openBrowser()
  tenant = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) =>
      new Response(`<h1>Back at the tenant</h1><pre>${new URL(request.url).search}</pre>`, {
        headers: { "content-type": "text/html" },
      }),
  })
})
afterAll(async () => {
  await browser.close()
  await tenant.stop(true)
})

describe.each(["sqlite", "postgres"])("on %s, in a real browser", (store) => {
  let service: Service
  let api: ReturnType<typeof client>
  let drop = async () => {}

  beforeAll(async () => {
    if (store === "postgres") {
      const database = await freshDatabase()
      drop = database.drop
      service = await startService({ databaseUrl: database.url })
    } else {
      service = await startService()
    }
    api = client(service.url, await service.makeKey("acme", "test"))
  })
  afterAll(async () => {
    await service.stop()
    await drop()
    dropFolder(service.folder)
  })

  const start = (provider: ProviderName, more = "") =>
    api.json<Started>("GET", `/v1/oauth/${provider}/start?reference=user-7${more}`)
  const home = () => `http://127.0.0.1:${tenant.port}/settings?tab=social`

  /** Opens a page and collects what Chromium complains of, such as a broken content security policy. */
  async function open(
    url: string,
    use: (page: Page, complaints: string[]) => Promise<void>,
    options = {},
  ): Promise<void> {
    const context = await browser.newContext({ viewport: { width: 900, height: 760 }, ...options })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on("console", (message) => complaints.push(message.text()))
    page.on("pageerror", (error) => complaints.push(error.message))
    try {
      await page.goto(url)
      await use(page, complaints)
    } finally {
      await context.close()
    }
  }

  test.each([...providerNames])(
    "%s: a person approves and lands on a page that says so",
    async (provider) => {
      const started = await start(provider)
      await open(started.authorize_url, async (page, complaints) => {
        expect(await page.locator(".band").textContent()).toContain(
          `Sandbox — not the real ${providerTitle[provider]}`,
        )
        await page.screenshot({ path: picturePath(`consent-${provider}`), fullPage: true })
        await page.getByRole("button", { name: "Ann Dev" }).click()
        await page.waitForURL(/\/callback\?/)
        expect(await page.locator("h1").textContent()).toContain(
          `${providerTitle[provider]} account is connected`,
        )
        expect(page.url().startsWith(service.url)).toBe(true)
        await page.screenshot({ path: picturePath(`landing-${provider}-connected`) })
        expect(complaints.filter((text) => !text.includes("favicon"))).toEqual([])
      })
      const flow = await api.json<{ status: string; account_ids: string[] }>(
        "GET",
        `/v1/oauth/flows/${started.flow_id}`,
      )
      expect(flow.status).toBe("connected")
      const account = await api.json<{ reference: string; display_name: string }>(
        "GET",
        `/v1/accounts/${flow.account_ids[0]}`,
      )
      expect(account.reference).toBe("user-7")
    },
  )

  test.each([...providerNames])(
    "%s: a person declines and comes back to the tenant's page",
    async (provider) => {
      const started = await start(provider, `&return_url=${encodeURIComponent(home())}`)
      await open(started.authorize_url, async (page, complaints) => {
        await page.getByRole("button", { name: "Decline", exact: true }).click()
        await page.waitForURL(/settings/)
        expect(page.url().replace(/#.*$/, "")).toBe(`${home()}&oauth_error=access_denied`)
        expect(await page.locator("h1").textContent()).toBe("Back at the tenant")
        expect(complaints.filter((text) => !text.includes("favicon"))).toEqual([])
      })
      const flow = await api.json<{ status: string; oauth_error: string }>(
        "GET",
        `/v1/oauth/flows/${started.flow_id}`,
      )
      expect(flow).toMatchObject({ status: "failed", oauth_error: "access_denied" })
    },
  )

  test("a scope unticked on the page is missing on the account", async () => {
    const started = await start("tiktok")
    await open(started.authorize_url, async (page) => {
      await page.getByRole("checkbox", { name: "video.upload" }).uncheck()
      await page.getByRole("button", { name: "Ben" }).click()
      await page.waitForURL(/\/callback\?/)
    })
    const flow = await api.json<{ account_ids: string[] }>("GET", `/v1/oauth/flows/${started.flow_id}`)
    const account = await api.json<{ missing_scopes: string[] }>("GET", `/v1/accounts/${flow.account_ids[0]}`)
    expect(account.missing_scopes).toEqual(["video.upload"])
  })

  test("of several Pages the person keeps some, and of the others nothing is stored", async () => {
    const started = await start("facebook", `&select=true&return_url=${encodeURIComponent(home())}`)
    const addresses: string[] = []
    await open(started.authorize_url, async (page, complaints) => {
      page.on("request", (request) => addresses.push(request.url()))
      await page.getByRole("button", { name: "Cleo" }).click()
      await page.waitForURL(/\/choose\?/)
      const boxes = page.getByRole("checkbox")
      expect(await boxes.count()).toBe(5)
      await page.screenshot({ path: picturePath("choose-pages") })
      await boxes.nth(1).uncheck()
      await boxes.nth(3).uncheck()
      expect(await api.json<{ total: number }>("GET", "/v1/accounts?provider=facebook&q=cleo")).toMatchObject(
        { total: 0 },
      )
      await page.getByRole("button", { name: "Connect" }).click()
      await page.waitForURL(/settings/)
      expect(page.url().replace(/#.*$/, "")).toBe(`${home()}&connected=facebook`)
      expect(complaints.filter((text) => !text.includes("favicon"))).toEqual([])
    })
    expect(addresses.filter((address) => /access_token|sandbox-access|EAA/i.test(address))).toEqual([])
    const flow = await api.json<{ status: string; account_ids: string[] }>(
      "GET",
      `/v1/oauth/flows/${started.flow_id}`,
    )
    expect(flow).toMatchObject({ status: "connected" })
    expect(flow.account_ids).toHaveLength(3)
  })

  test("whoever wants none of the Pages declines", async () => {
    const started = await start("facebook", "&select=true")
    await open(
      started.authorize_url,
      async (page) => {
        await page.getByRole("button", { name: "Cleo" }).click()
        await page.waitForURL(/\/choose\?/)
        await page.screenshot({ path: picturePath("choose-pages-dark-phone") })
        await page.getByRole("button", { name: "None of these" }).click()
        expect(await page.locator("h1").textContent()).toBe("Facebook was not connected")
      },
      { viewport: { width: 390, height: 780 }, colorScheme: "dark" },
    )
    expect(await api.json<unknown>("GET", `/v1/oauth/flows/${started.flow_id}`)).toMatchObject({
      status: "failed",
      oauth_error: "access_denied",
      account_ids: [],
    })
  })

  test("a failure is chosen on the page, and the landing page explains it", async () => {
    const started = await start("instagram")
    await open(
      started.authorize_url,
      async (page) => {
        await page.getByText("Make it fail").click()
        await page.screenshot({ path: picturePath("consent-instagram-open"), fullPage: true })
        await page.getByRole("button", { name: "wrong_secret" }).click()
        await page.waitForURL(/\/callback\?/)
        expect(await page.locator("h1").textContent()).toBe("Instagram was not connected")
        expect(await page.locator("main").textContent()).toContain("invalid_client")
        await page.screenshot({ path: picturePath("landing-failed-dark-phone") })
      },
      { viewport: { width: 390, height: 780 }, colorScheme: "dark" },
    )
  })

  test("a callback that cannot be trusted shows a plain page and goes nowhere", async () => {
    const forged = `${service.url}/v1/oauth/x/callback?state=<b>forged</b>&code=c`
    await open(forged, async (page, complaints) => {
      expect(page.url()).toStartWith(`${service.url}/v1/oauth/x/callback`)
      expect(await page.locator("h1").textContent()).toBe("This link cannot be used")
      expect(await page.content()).not.toContain("forged")
      await page.screenshot({ path: picturePath("refusal") })
      expect(complaints.filter((text) => !text.includes("favicon") && !text.includes("400"))).toEqual([])
    })
  })
})
