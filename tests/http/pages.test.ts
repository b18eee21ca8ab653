import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { waitingPage } from "../../src/adapters/http/pages.ts"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { oauthErrorReasons, pageOnlyReasons } from "../../src/domain/oauth-error.ts"
import { providerNames, providerTitle } from "../../src/domain/provider.ts"
import type { Storage } from "../../src/ports/storage.ts"
import { refusal, upstreamAccount } from "../support/connect-world.ts"
import { httpWorld } from "../support/http-world.ts"

async function worldWithApp(environment: "live" | "test" = "live") {
  const world = httpWorld()
  const as = await world.key({ environment })
  await world.storeApp(as)
  return { world, as }
}

/** The page on which a connect without a return_url ends. */
async function landing(
  end: "connected" | Parameters<typeof refusal>[0],
  environment: "live" | "test" = "live",
) {
  const { world, as } = await worldWithApp(environment)
  world.provider.answer = async () => {
    if (end === "connected") return [upstreamAccount()]
    throw refusal(end)
  }
  const { id, state } = await world.startFlow(as, {})
  return { id, page: await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`) }
}

/** What holds for each page: it is whole, runs and loads nothing, and its policy allows its one style. */
async function expectPlainPage(page: Response): Promise<string> {
  const html = await page.text()
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8")
  expect(html).toStartWith('<!doctype html>\n<html lang="en">')
  expect(html).toEndWith("</html>\n")
  expect(html).toContain('<meta charset="utf-8">')
  expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">')
  expect(html).toMatch(/<title>[^<]{5,}<\/title>/)
  expect(html.match(/<h1>/g)).toHaveLength(1)
  expect(html).not.toMatch(
    /<(script|link|img|iframe|form|base|object|a)\b|\son\w+=|javascript:|https?:|style=/i,
  )
  const styles = [...html.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(([, style = ""]) => style)
  expect(styles).toHaveLength(1)
  const hash = createHash("sha256")
    .update(styles[0] ?? "")
    .digest("base64")
  expect(page.headers.get("content-security-policy")).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  )
  return html
}

describe("the landing page", () => {
  test("says that the account is connected", async () => {
    const { id, page } = await landing("connected")
    expect(page.status).toBe(200)
    const html = await expectPlainPage(page)
    expect(html).toContain("<h1>Your X account is connected</h1>")
    expect(html).toContain("You can close this window.")
    expect(html).toContain(id)
    expect(html).not.toContain("Sandbox")
  })

  test("counts the accounts where there are several", async () => {
    const { world, as } = await worldWithApp()
    world.provider.answer = async () =>
      ["1", "2", "3"].map((platformAccountId) => upstreamAccount({ platformAccountId }))
    const { state } = await world.startFlow(as, {})
    const page = await world.call("GET", `/v1/oauth/x/callback?state=${state}&code=fake-code`)
    expect(await expectPlainPage(page)).toContain("<h1>3 X accounts are connected</h1>")
  })

  const reasons = oauthErrorReasons.filter(
    (reason) => !(pageOnlyReasons as readonly string[]).includes(reason),
  )
  test.each(reasons)("says in plain words what happened and what to do: %s", async (reason) => {
    const { id, page } = await landing(reason)
    expect(page.status).toBe(200)
    const html = await expectPlainPage(page)
    expect(html).toContain("<h1>X was not connected</h1>")
    expect(html).toContain(`<code>${reason}</code>`)
    expect(html).toContain(id)
    const said = [...html.matchAll(/<p>([^<]*)<\/p>/g)].map(([, sentence = ""]) => sentence)
    expect(said).toHaveLength(2)
    expect(said[0]).toMatch(/^[A-Z].{15,}\.$/)
    expect(said.join(" ")).not.toMatch(
      /\b(token|scope|callback|OAuth|client_id|redirect|exchange|PKCE|console)\b/,
    )
    expect(html).not.toContain("a seeded refusal")
  })

  test("says that nothing real was connected in the sandbox, however it ends", async () => {
    for (const end of ["connected", "access_denied"] as const) {
      const { page } = await landing(end, "test")
      expect(await expectPlainPage(page)).toContain(
        '<p class="sandbox">Sandbox: nothing real was connected.</p>',
      )
    }
  })

  test.each([...providerNames])("spells the provider as it spells itself: %s", async (provider) => {
    const world = httpWorld()
    const as = await world.key({ environment: "test" })
    const started = await (await world.call("GET", `/v1/oauth/${provider}/start`, { as })).json()
    const { authorize_url } = started as { authorize_url: string }
    const state = new URL(authorize_url).searchParams.get("state")
    const page = await world.call("GET", `/v1/oauth/${provider}/callback?state=${state}&error=access_denied`)
    expect(await expectPlainPage(page)).toContain(`<h1>${providerTitle[provider]} was not connected</h1>`)
  })
})

describe("the refusal page", () => {
  test("says that the link cannot be used, and for whoever helps its reason and request", async () => {
    const { world, as } = await worldWithApp()
    const { state } = await world.startFlow(as)
    for (const [query, reason] of [
      ["", "state_invalid"],
      [`state=${state}`, "callback_invalid"],
    ]) {
      const page = await world.call("GET", `/v1/oauth/x/callback?${query}`)
      expect(page.status).toBe(400)
      const html = await expectPlainPage(page)
      expect(html).toContain("<h1>This link cannot be used</h1>")
      expect(html).toContain("connect again")
      expect(html).toContain(`<code>${reason}</code>`)
      expect(html).toContain(`<code>${page.headers.get("x-request-id")}</code>`)
    }
  })
})

test("a fault of ours at the callback is a page that can be loaded again, and the flow is as it was", async () => {
  const storage = memoryStorage()
  let down = true
  const away: Storage = {
    ...storage,
    flows: {
      ...storage.flows,
      consume: (...args) =>
        down ? Promise.reject(new Error("connection refused")) : storage.flows.consume(...args),
    },
  }
  const world = httpWorld({ storage: away })
  const key = await world.key()
  await world.storeApp(key)
  const { state } = await world.startFlow(key)
  const address = `/v1/oauth/x/callback?state=${state}&code=fake-code`
  const page = await world.call("GET", address)
  expect(page.status).toBe(500)
  expect(page.headers.get("content-type")).toContain("text/html")
  const html = await page.text()
  expect(html).toContain("Load this page again")
  expect(html).not.toContain("refused")
  expect(world.faultsSeen).toHaveLength(1)
  down = false
  expect((await world.call("GET", address)).headers.get("location")).toContain("connected=x")
})

test("the waiting page tries again by itself, without a script", async () => {
  const page = waitingPage()
  expect([page.status, page.headers.get("refresh")]).toEqual([200, "3"])
  expect(await expectPlainPage(page)).toContain("<h1>Still connecting</h1>")
})

test("no page shows anything that came in, in whatever parameter and however it is dressed", async () => {
  const { world, as } = await worldWithApp()
  const dressed = [
    "<img src=x onerror=canary()>",
    '"canary"',
    "&lt;canary",
    "{{canary}}",
    "canary\r\n\r\n<p>",
    "\u202ecanary",
    "%3Ccanary%3E",
    "canary",
  ]
  const names = [
    "state",
    "code",
    "error",
    "error_description",
    "error_message",
    "error_uri",
    "error_reason",
    "error_code",
    "iss",
    "scope",
    "return_url",
    "canary",
  ]
  for (const value of dressed) {
    for (const name of names) {
      const { state } = await world.startFlow(as, {})
      const queries = [
        { [name]: value },
        { state, [name]: value },
        { state, error: "access_denied", [name]: value },
      ]
      for (const query of queries) {
        const page = await world.call("GET", `/v1/oauth/x/callback?${new URLSearchParams(query)}`)
        expect([200, 400]).toContain(page.status)
        expect(await expectPlainPage(page)).not.toContain("canary")
      }
    }
    const provider = await world.call("GET", `/v1/oauth/${encodeURIComponent(value)}/callback`)
    expect(await expectPlainPage(provider)).not.toContain("canary")
  }
})
