import { describe, expect, test } from "bun:test"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { builtInCredentials } from "../../../src/application/app-credentials.ts"
import type { AppCheckName, AppFinding } from "../../../src/domain/app-check.ts"
import { isSound } from "../../../src/domain/app-check.ts"
import { defaultScopes, type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import type { AppCredentials } from "../../../src/ports/providers.ts"
import {
  ask,
  callbackOf,
  clientId,
  clientSecret,
  codeOf,
  openSandbox,
  startedAt,
  tokenCall,
} from "./harness.ts"

const right: AppCredentials = { clientId, clientSecret }

/** What the shipped adapter finds out about an app in the sandbox. */
function check(provider: ProviderName, credentials: AppCredentials): Promise<readonly AppFinding[]> {
  const { transport } = openSandbox()
  return arcticProviders({
    transport,
    now: () => startedAt,
    limits: { timeoutMs: 40, maxBytes: 64 * 1024 },
  }).check({
    provider,
    credentials,
    options: {},
    redirectUri: callbackOf(provider),
    scopes: defaultScopes[provider],
    limitMs: 60_000,
  })
}

function of(findings: readonly AppFinding[], name: AppCheckName): AppFinding | undefined {
  return findings.find(({ check }) => check === name)
}

describe.each([...providerNames])("in the sandbox an app of %s", (provider) => {
  test("with any ordinary id and secret is right", async () => {
    for (const credentials of [right, { clientId: "12345", clientSecret: "x" }]) {
      const findings = await check(provider, credentials)
      expect(isSound(findings)).toBe(true)
      expect(of(findings, "client_id")?.verdict).toBe("ok")
      expect(of(findings, "client_secret")?.verdict).toBe("ok")
      expect(of(findings, "provider")).toBeUndefined()
    }
  })

  test("that is the built-in one is right", async () => {
    const findings = await check(provider, await builtInCredentials(provider, "acme"))
    expect(isSound(findings)).toBe(true)
    expect(of(findings, "client_secret")?.verdict).toBe("ok")
  })

  test("whose secret begins with wrong-secret has a wrong secret", async () => {
    const findings = await check(provider, { ...right, clientSecret: "wrong-secret-of-a-test" })
    expect(of(findings, "client_secret")?.verdict).toBe("problem")
  })

  test("whose id begins with unknown-client has an id that nobody knows", async () => {
    const findings = await check(provider, { ...right, clientId: "unknown-client-7" })
    const name = provider === "tiktok" ? "client_secret" : "client_id"
    expect(of(findings, name)).toMatchObject({ verdict: "problem" })
    expect(of(findings, name)?.detail).not.toMatch(/Facebook app|Instagram App ID/)
  })

  test.each(["provider-down-1", "provider-hangs-1"])("whose id is %s finds nobody there", async (id) => {
    const findings = await check(provider, { ...right, clientId: id })
    expect(isSound(findings)).toBe(true)
    expect(of(findings, "provider")?.verdict).toBe("unknown")
    expect(of(findings, "client_secret")?.verdict).toBe("unknown")
  })

  test("that is found wrong cannot exchange a real code either", async () => {
    const box = openSandbox()
    const name = provider === "tiktok" ? "client_key" : "client_id"
    for (const wrong of [{ clientId: "unknown-client-7" }, { clientSecret: "wrong-secret-7" }]) {
      const credentials = { ...right, ...wrong }
      const code = await codeOf(box, provider, { [name]: credentials.clientId })
      const own = { [name]: credentials.clientId, client_secret: credentials.clientSecret }
      const call = tokenCall(provider, code, provider === "x" ? {} : own)
      const basic = `${credentials.clientId}:${credentials.clientSecret}`
      const { body } = await ask(box, provider === "x" ? { ...call, basic } : call)
      expect(body).not.toHaveProperty("access_token")
    }
  })
})

test.each(["facebook", "instagram"] as const)(
  "in the sandbox %s knows of an app whose id begins with unregistered-redirect that its redirect URI is not registered",
  async (provider) => {
    const findings = await check(provider, { ...right, clientId: "unregistered-redirect-1" })
    expect(of(findings, "redirect_uri")).toMatchObject({
      verdict: "problem",
      detail: expect.stringContaining(callbackOf(provider)),
    })
    expect(of(findings, "client_secret")?.verdict).toBe("ok")
  },
)

test.each([
  ["instagram", "facebook-app-1", /App ID of a Facebook app/],
  ["facebook", "instagram-app-1", /Instagram App ID/],
] as const)("in the sandbox %s has the other product's id in %s", async (provider, id, words) => {
  const findings = await check(provider, { ...right, clientId: id })
  expect(of(findings, "client_id")).toMatchObject({
    verdict: "problem",
    detail: expect.stringMatching(words),
  })
})

test("in the sandbox a TikTok key that begins with sbaw is a sandbox's", async () => {
  const findings = await check("tiktok", { ...right, clientId: "sbaw-made-up" })
  expect(of(findings, "environment")?.verdict).toBe("problem")
  expect(of(findings, "client_secret")?.verdict).toBe("ok")
})

describe("Facebook's app access token in the sandbox", () => {
  const url = "https://graph.facebook.com/v25.0/oauth/access_token"
  const form = { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret }

  test("lists what App Review approved, for its own app alone", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, { url, form })
    expect({ status, body }).toEqual({
      status: 200,
      body: { access_token: `${clientId}|sandbox-app-token`, token_type: "bearer" },
    })
    const list = (id: string, bearer: string) =>
      ask(box, { url: `https://graph.facebook.com/v25.0/${id}/permissions`, bearer })
    const own = await list(clientId, String(body.access_token))
    expect(own.body.data).toContainEqual({ permission: "pages_show_list", status: "live" })
    expect((await list("another-app", String(body.access_token))).status).toBe(403)
    expect((await list(clientId, "made-up")).status).toBe(400)
    expect((await list("%zz", "made-up|sandbox-app-token")).status).toBe(403)
  })

  test("is refused to a wrong client", async () => {
    const refused = (change: object) => ask(openSandbox(), { url, form: { ...form, ...change } })
    expect((await refused({ client_secret: "wrong-secret" })).body).toMatchObject({
      error: { code: 1, message: "Error validating client secret." },
    })
    expect((await refused({ client_id: "unknown-client" })).body).toMatchObject({ error: { code: 101 } })
  })
})
