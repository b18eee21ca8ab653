import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { ProviderName } from "../../../src/domain/provider.ts"
import {
  accessTokenIn,
  ask,
  authorizeAddress,
  codeOf,
  connected,
  exchanged,
  get,
  type OpenSandbox,
  openSandbox,
  profileCall,
  refreshCall,
} from "./harness.ts"

const day = 86_400

async function lives(box: OpenSandbox, provider: ProviderName, token: unknown): Promise<boolean> {
  return (await ask(box, profileCall(provider, String(token)))).status === 200
}

describe("expires_in", () => {
  test.each([
    ["x", "approve"],
    ["tiktok", "approve"],
    ["linkedin", "partner_refresh"],
  ] as const)("holds for the renewed tokens too: %s", async (provider, scenario) => {
    const box = openSandbox()
    let body = await exchanged(box, provider, { scenario, expires_in: "100" })
    for (let turn = 0; turn < 3; turn++) {
      expect(body.expires_in).toBe(100)
      box.pass(99)
      expect(await lives(box, provider, body.access_token)).toBe(true)
      box.pass(1)
      expect(await lives(box, provider, body.access_token)).toBe(false)
      body = (await ask(box, refreshCall(provider, body.refresh_token))).body
    }
  })

  test("holds for Instagram's renewed tokens too", async () => {
    const box = openSandbox()
    const token = await connected(box, "instagram", { expires_in: String(2 * day) })
    box.pass(day)
    const { body } = await ask(box, refreshCall("instagram", token))
    expect(body.expires_in).toBe(2 * day)
    box.pass(2 * day - 1)
    expect(await lives(box, "instagram", body.access_token)).toBe(true)
    box.pass(1)
    expect(await lives(box, "instagram", body.access_token)).toBe(false)
  })

  test("holds under short_lived, and unsaid under no_expires_in", async () => {
    const box = openSandbox()
    const short = await exchanged(box, "x", { scenario: "short_lived" })
    expect((await ask(box, refreshCall("x", short.refresh_token))).body.expires_in).toBe(60)
    const unsaid = await exchanged(box, "x", { scenario: "no_expires_in", expires_in: "60" })
    const { body } = await ask(box, refreshCall("x", unsaid.refresh_token))
    expect(body).not.toHaveProperty("expires_in")
    box.pass(60)
    expect(await lives(box, "x", body.access_token)).toBe(false)
  })
})

describe("refresh_expires_in", () => {
  test("is how long each of TikTok's refresh tokens lives, the renewed ones too", async () => {
    const box = openSandbox()
    let body = await exchanged(box, "tiktok", { refresh_expires_in: "500" })
    for (let turn = 0; turn < 2; turn++) {
      expect(body.refresh_expires_in).toBe(500)
      box.pass(499)
      body = (await ask(box, refreshCall("tiktok", body.refresh_token))).body
    }
    box.pass(500)
    expect((await ask(box, refreshCall("tiktok", body.refresh_token))).body.error).toBe("invalid_grant")
  })

  test("is how long X's refresh tokens live, though X never says it", async () => {
    const box = openSandbox()
    const first = await exchanged(box, "x", { refresh_expires_in: "500" })
    expect(Object.keys(first).filter((name) => name.includes("expires"))).toEqual(["expires_in"])
    box.pass(499)
    const second = await ask(box, refreshCall("x", first.refresh_token))
    expect(second.status).toBe(200)
    box.pass(500)
    expect((await ask(box, refreshCall("x", second.body.refresh_token))).status).toBe(400)
  })

  test("counts from LinkedIn's first grant, and no access token outlives it", async () => {
    const box = openSandbox()
    const partner = { scenario: "partner_refresh", refresh_expires_in: String(90 * day) }
    const first = await exchanged(box, "linkedin", partner)
    expect([first.expires_in, first.refresh_token_expires_in]).toEqual([60 * day, 90 * day])
    box.pass(50 * day)
    const second = (await ask(box, refreshCall("linkedin", first.refresh_token))).body
    expect([second.expires_in, second.refresh_token_expires_in]).toEqual([40 * day, 40 * day])
    box.pass(40 * day - 1)
    expect(await lives(box, "linkedin", second.access_token)).toBe(true)
    box.pass(1)
    expect(await lives(box, "linkedin", second.access_token)).toBe(false)
    const { status, body } = await ask(box, refreshCall("linkedin", first.refresh_token))
    expect([status, body.error]).toEqual([400, "invalid_request"])
  })

  test.each(["facebook", "instagram"] as const)(
    "is refused where there is nothing to refresh with: %s",
    async (provider) => {
      const url = authorizeAddress(provider, { scenario: "approve", refresh_expires_in: "60" })
      const response = await get(openSandbox(), url)
      expect([response.status, await response.text()]).toEqual([
        400,
        expect.stringContaining("refresh_expires_in does nothing"),
      ])
    },
  )

  test.each(["0", "soon", "99999999999"])("is not %p", async (refresh_expires_in) => {
    await expect(codeOf(openSandbox(), "tiktok", { refresh_expires_in })).rejects.toThrow("answered 400")
  })
})

describe("over a year of the injected clock", () => {
  test.each(["x", "tiktok"] as const)("a family is renewed once a month and lives: %s", async (provider) => {
    const box = openSandbox()
    let body = await exchanged(box, provider)
    for (let month = 0; month < 13; month++) {
      box.pass(30 * day)
      expect(await lives(box, provider, body.access_token)).toBe(false)
      body = (await ask(box, refreshCall(provider, body.refresh_token))).body
      expect(await lives(box, provider, body.access_token)).toBe(true)
    }
  })

  test("Instagram's token renews itself every fifty days, and dies when it is left for sixty", async () => {
    const box = openSandbox()
    let token = await connected(box, "instagram")
    for (let turn = 0; turn < 8; turn++) {
      box.pass(50 * day)
      token = accessTokenIn((await ask(box, refreshCall("instagram", token))).body)
    }
    expect(await lives(box, "instagram", token)).toBe(true)
    box.pass(60 * day)
    expect((await ask(box, refreshCall("instagram", token))).body.error).toMatchObject({ code: 190 })
  })

  test("a partner's LinkedIn lasts 365 days, whatever is renewed", async () => {
    const box = openSandbox()
    const { refresh_token } = await exchanged(box, "linkedin", { scenario: "partner_refresh" })
    for (let passed = 0; passed < 360; passed += 60) {
      expect((await ask(box, refreshCall("linkedin", refresh_token))).status).toBe(200)
      box.pass(60 * day)
    }
    box.pass(5 * day)
    expect((await ask(box, refreshCall("linkedin", refresh_token))).status).toBe(400)
  })

  test("X's and TikTok's refresh tokens die after 180 days of rest", async () => {
    const box = openSandbox()
    const [x, tiktok] = [await exchanged(box, "x"), await exchanged(box, "tiktok")]
    box.pass(180 * day)
    expect((await ask(box, refreshCall("x", x.refresh_token))).status).toBe(400)
    expect((await ask(box, refreshCall("tiktok", tiktok.refresh_token))).body.error).toBe("invalid_grant")
  })

  test("a Page's token needs nothing", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const { body } = await ask(box, { url: "https://graph.facebook.com/v25.0/me/accounts", bearer: token })
    const [page] = body.data as readonly { readonly access_token: string }[]
    box.pass(400 * day)
    expect(await lives(box, "facebook", page?.access_token)).toBe(true)
    expect(await lives(box, "facebook", token)).toBe(false)
  })
})

test("nothing in the sandbox looks at another clock, and only what dawdles waits", () => {
  const folder = join(import.meta.dir, "../../../src/adapters/sandbox")
  const files = readdirSync(folder)
  expect(files).toContain("mishaps.ts")
  for (const file of files) {
    const text = readFileSync(join(folder, file), "utf8")
    expect(text, file).not.toMatch(/Date\.now|new Date\(\)|performance\.|setInterval|\bsleep\b/)
    if (file !== "mishaps.ts") expect(text, file).not.toContain("setTimeout")
  }
})
