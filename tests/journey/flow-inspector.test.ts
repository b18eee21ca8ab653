import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Browser } from "playwright-core"
import { flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import {
  type OAuthErrorReason,
  oauthErrorReasons,
  pageOnlyReasons,
  remedy,
} from "../../src/domain/oauth-error.ts"
import { type ProviderName, providerNames, providerTitle } from "../../src/domain/provider.ts"
import { openBrowser, picturePath } from "../support/browser.ts"
import { type LocalMooring, localMooring } from "../support/local-mooring.ts"
import { client, followConsent, type Started } from "../support/service.ts"

interface Inspected {
  readonly id: string
  readonly provider: ProviderName
  readonly status: string
  readonly oauth_error: OAuthErrorReason
  readonly detail: string
  readonly docs_url: string
  readonly provider_error: { readonly call: string } | null
  readonly steps: readonly {
    readonly step: string
    readonly at: string
    readonly detail: string
    readonly call: string | null
    readonly status: number | null
    readonly fault: string | null
    readonly duration_ms: number | null
  }[]
}

let mooring: LocalMooring
let api: ReturnType<typeof client>

beforeAll(async () => {
  mooring = await localMooring()
  api = client(mooring.url, await mooring.key("acme", "test"))
})
afterAll(() => mooring.stop())

const start = (provider: ProviderName, more = "") =>
  api.json<Started>("GET", `/v1/oauth/${provider}/start?return_url=http://localhost:9/done${more}`)

const inspect = (id: string) => api.json<Inspected>("GET", `/v1/oauth/flows/${id}`)

async function play(provider: ProviderName, scenario: string, more = "", person?: string): Promise<string> {
  const started = await start(provider, more)
  await followConsent(started.authorize_url, { scenario, ...(person && { person }) })
  return started.flow_id
}

type Failure = readonly [
  provider: ProviderName,
  scenario: string,
  reason: OAuthErrorReason,
  remedy: string,
  lastCall?: string,
]

/** What is seeded, the reason it must be given, words that only the right remedy has, and the call it failed at. */
const failures: readonly Failure[] = [
  ["instagram", "decline", "access_denied", "declined on Instagram's consent page"],
  ["facebook", "decline", "access_denied", "declined on Facebook's consent page"],
  ["x", "decline", "access_denied", "declined on X's consent page"],
  ["linkedin", "decline_login", "access_denied", "declined on LinkedIn's consent page"],
  ["tiktok", "decline", "access_denied", "declined on TikTok's consent page"],
  ["x", "scope_not_allowed", "scope_not_allowed", "set its permissions to Read and write"],
  ["linkedin", "scope_not_allowed", "scope_not_allowed", "on its Products tab add"],
  ["tiktok", "scope_not_allowed", "scope_not_allowed", "add Login Kit and Content Posting API"],
  ["x", "plan_missing", "scope_not_allowed", "its plan includes the API", "profile"],
  ["tiktok", "account_not_eligible", "account_not_eligible", "Sandbox settings > Target users"],
  ["instagram", "account_not_eligible", "account_not_eligible", "Only professional Instagram accounts"],
  ["x", "insufficient_scope", "insufficient_scope", "keep tweet.read and users.read", "profile"],
  ["linkedin", "insufficient_scope", "insufficient_scope", "keep openid and profile", "profile"],
  ["tiktok", "untick:user.info.basic", "insufficient_scope", "leave every permission ticked"],
  ["facebook", "untick:pages_show_list", "insufficient_scope", "leave every permission ticked"],
  ["instagram", "untick:instagram_business_basic", "insufficient_scope", "leave every permission ticked"],
  ["facebook", "no_publishable_account", "no_publishable_account", "granted no Page"],
  ["facebook", "pages_without_content", "no_publishable_account", "administrator or editor"],
  ["tiktok", "redirect_uri_mismatch", "redirect_uri_mismatch", "registered in TikTok's console", "token"],
  ["facebook", "redirect_uri_mismatch", "redirect_uri_mismatch", "registered in Facebook's console", "token"],
  [
    "instagram",
    "redirect_uri_mismatch",
    "redirect_uri_mismatch",
    "registered in Instagram's console",
    "token",
  ],
  ["x", "wrong_secret", "invalid_client", "not the API key", "token"],
  ["linkedin", "wrong_secret", "invalid_client", "the app's Auth tab", "token"],
  ["tiktok", "wrong_secret", "invalid_client", "sandbox and production have different pairs", "token"],
  ["facebook", "wrong_secret", "invalid_client", "App settings > Basic", "token"],
  ["instagram", "wrong_secret", "invalid_client", "differ from the Facebook App ID", "token"],
  ["x", "dead_code", "code_invalid", "expired or already used", "token"],
  ["tiktok", "error_in_200", "code_invalid", "expired or already used", "token"],
  ["x", "pkce_mismatch", "pkce_mismatch", "check the app's type in X's console", "token"],
  ["tiktok", "pkce_mismatch", "pkce_mismatch", "set options.pkce to off", "token"],
  ["linkedin", "token_revoked_at_once", "reauth_required", "LinkedIn refused the new token", "profile"],
  ["x", "rate_limited", "rate_limited", "X is limiting this app's calls", "token"],
  [
    "facebook",
    "rate_limited_profile",
    "rate_limited",
    "Facebook is limiting this app's calls",
    "permissions",
  ],
  ["linkedin", "provider_down", "provider_unavailable", "LinkedIn failed on its side", "token"],
  ["facebook", "pages_down", "provider_unavailable", "Facebook failed on its side", "accounts"],
  [
    "instagram",
    "long_lived_fails",
    "provider_unavailable",
    "Instagram failed on its side",
    "long_lived_token",
  ],
  ["tiktok", "unreachable", "provider_timeout", "TikTok did not answer in time", "token"],
  ["x", "hang", "provider_timeout", "X did not answer in time", "token"],
  ["instagram", "huge", "invalid_response", "not the documented format", "token"],
  ["linkedin", "profile_not_json", "invalid_response", "not the documented format", "profile"],
  [
    "tiktok",
    "unknown_error",
    "provider_error",
    "TikTok refused with an error Mooring does not know",
    "token",
  ],
]

describe("a connect that was made to fail is explained", () => {
  const played = new Map<string, Promise<string>>()
  const nameOf = ([provider, scenario, reason]: Failure) => `${provider}, ${scenario}: ${reason}`
  // Side by side, since a provider that hangs is given up only after ten seconds.
  beforeAll(() => {
    for (const failure of failures) played.set(nameOf(failure), play(failure[0], failure[1]))
  })

  test.each(failures.map((failure) => [nameOf(failure), failure] as const))(
    "%s, and what to do about it",
    async (_, failure) => {
      const [provider, , reason, words, lastCall] = failure
      const flow = await inspect((await played.get(nameOf(failure))) ?? "")
      expect(flow).toMatchObject({ status: "failed", oauth_error: reason, detail: remedy(reason, provider) })
      expect(flow.detail).toContain(words)

      const last = flow.steps.at(-1)
      expect(last).toMatchObject({ step: "failed", detail: `${reason}: ${flow.detail}` })
      expect(flow.steps.slice(0, 2).map(({ step }) => step)).toEqual(["started", "returned"])
      const times = flow.steps.map(({ at }) => at)
      expect(times).toEqual([...times].sort())
      if (lastCall) {
        const failing = flow.steps.at(-2)
        expect(failing).toMatchObject({
          step: "provider_call",
          call: lastCall,
          duration_ms: expect.any(Number),
        })
        expect(failing?.detail).toEndWith(", and here the connect failed.")
        expect(failing?.status === null).toBe(failing?.fault !== null)
      }

      expect(flow.docs_url).toBe(`${mooring.url}/docs/oauth-errors/${reason}`)
      const page = await fetch(flow.docs_url)
      expect(page.status).toBe(200)
      expect(await page.text()).toContain(`<h1>${reason}</h1>`)
    },
    30_000,
  )

  test("by pairs of a reason and a remedy, of which the table has more than thirty", () => {
    expect(new Set(failures.map(([provider, , reason]) => remedy(reason, provider))).size).toBeGreaterThan(30)
  })
})

describe("what the clock, the tenant or Mooring itself brings about is explained too", () => {
  test("nobody came back, nobody chose, nobody confirmed: three remedies for one reason", async () => {
    const away = (await start("x")).flow_id
    const unchosen = await play("facebook", "several_pages", "&select=true")
    const unconfirmed = await play("x", "approve", "&proof=required", "zoe")
    mooring.clock.offsetMs += flowLifetimeMs
    for (const written of [false, true]) {
      if (written) await mooring.sweep()
      const ends = await Promise.all([away, unchosen, unconfirmed].map(inspect))
      expect(ends.map(({ oauth_error }) => oauth_error)).toEqual(Array(3).fill("no_response"))
      expect(ends.map(({ detail }) => detail.slice(0, 40))).toEqual([
        "The person never came back from X within",
        "Nobody chose among the accounts that the",
        "Nobody confirmed this connect within ten",
      ])
      expect(ends.map(({ steps }) => steps.map(({ call, step }) => call ?? step))).toEqual([
        ["started", "expired"],
        expect.arrayContaining([
          "started",
          "returned",
          "token",
          "profile",
          "accounts",
          "choosing",
          "expired",
        ]),
        ["started", "returned", "token", "profile", "held", "expired"],
      ] as string[][])
    }
  })

  test("an account that is another than the one to reconnect", async () => {
    const first = await play("x", "approve", "", "ann")
    const { account_ids } = await api.json<{ account_ids: string[] }>("GET", `/v1/oauth/flows/${first}`)
    const flow = await inspect(await play("x", "approve", `&account_id=${account_ids[0]}`, "ben"))
    expect(flow).toMatchObject({ status: "failed", oauth_error: "account_mismatch", provider_error: null })
    expect(flow.steps.map(({ call, step }) => call ?? step)).toEqual([
      "started",
      "returned",
      "token",
      "profile",
      "failed",
    ])
  })

  test("an app that was deleted while the person was away", async () => {
    const app = await api.json<{ id: string }>("POST", "/v1/oauth-apps", {
      provider: "tiktok",
      name: "Short-lived",
      client_id: "made-up-client",
      client_secret: "made-up-secret",
      allowed_return_urls: ["http://localhost:9/done"],
    })
    const started = await start("tiktok")
    await api.call("DELETE", `/v1/oauth-apps/${app.id}`)
    await followConsent(started.authorize_url, { scenario: "approve" })
    const flow = await inspect(started.flow_id)
    expect(flow).toMatchObject({
      oauth_error: "invalid_client",
      detail: expect.stringMatching(/app was deleted/),
    })
    expect(flow.steps.map(({ step }) => step)).toEqual(["started", "returned", "failed"])
  })

  test("a list of what went wrong is one call away", async () => {
    const { items } = await api.json<{ items: Inspected[] }>(
      "GET",
      "/v1/oauth/flows?status=failed&reason=invalid_client&provider=linkedin",
    )
    expect(items).toHaveLength(1)
    expect(items[0]?.steps.at(-2)).toMatchObject({ call: "token", status: 401 })
  })
})

test("each reason has a remedy of its own with every provider, and the right one on its page", async () => {
  for (const provider of providerNames) {
    const remedies = oauthErrorReasons.map((reason) => remedy(reason, provider))
    expect(new Set(remedies).size, provider).toBe(oauthErrorReasons.length)
  }
  const seeded = new Set(failures.map(([, , reason]) => reason))
  const elsewhere = ["no_response", "account_mismatch", "server_error", ...pageOnlyReasons]
  expect([...seeded, ...elsewhere].sort()).toEqual([...oauthErrorReasons].sort())
})

describe("the pages about reasons, in a real browser", () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser.close())

  test.each([
    ["light", { width: 1000, height: 900 }],
    ["dark", { width: 390, height: 760 }],
  ] as const)("can be read and followed, %s", async (colorScheme, viewport) => {
    const context = await browser.newContext({ colorScheme, viewport })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on("console", (message) => complaints.push(message.text()))
    try {
      await page.goto(`${mooring.url}/docs/oauth-errors`)
      await page.screenshot({ path: picturePath(`docs-reasons-${colorScheme}`), fullPage: true })
      await page.getByRole("link", { name: "invalid_client" }).click()
      expect(await page.locator("h1").textContent()).toBe("invalid_client")
      for (const provider of providerNames)
        expect(await page.getByText(providerTitle[provider], { exact: true }).count()).toBe(1)
      const [scrolls, shows] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        document.documentElement.clientWidth,
      ])
      expect(scrolls).toBe(shows as number)
      await page.screenshot({ path: picturePath(`docs-invalid-client-${colorScheme}`), fullPage: true })
      await page.getByRole("link", { name: "All reasons" }).click()
      expect(await page.locator("dt").count()).toBe(oauthErrorReasons.length)
      expect(complaints.filter((text) => !text.includes("favicon"))).toEqual([])
    } finally {
      await context.close()
    }
  })
})
