import { expect, test } from "bun:test"
import { liveTransport } from "../../../src/adapters/arctic/live-transport.ts"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import type { ProviderCall } from "../../../src/domain/oauth-error.ts"
import { providerNames } from "../../../src/domain/provider.ts"
import { exchangeRequest, now, wired } from "./wire.ts"

const { simulated, connectOne } = wired({ timeoutMs: 20_000, maxBytes: 64 * 1024 })

test("two hundred connects at once, of five providers and forty apps each, never mix", async () => {
  const connects = Array.from({ length: 200 }, (_, i) => {
    const provider = providerNames[i % providerNames.length] ?? "x"
    return { provider, clientId: `${provider}-app-${i}` }
  })
  const accounts = await Promise.all(
    connects.map(({ provider, clientId }) => connectOne(provider, { clientId })),
  )
  for (const [i, account] of accounts.entries()) {
    const { provider, clientId } = connects[i] ?? {}
    expect(account.displayName).toBe(`Name of ${clientId}`)
    const kind = provider === "facebook" ? "page" : provider
    expect(account.tokens.accessToken).toBe(`${kind}-${clientId}`)
  }
  for (const provider of providerNames) expect(simulated.sent(provider, "token").length).toBe(40)
})

test("of two transports each connect uses its own, so that a test flow never reaches a live provider", async () => {
  const named = (name: string) =>
    arcticProviders({
      now: () => now,
      transport: async () => {
        await Bun.sleep(Math.random() * 5)
        const body = { access_token: `made-up-${name}`, sub: name }
        return { status: 200, headers: {}, body: JSON.stringify(body) }
      },
    })
  const [live, sandbox] = [named("live"), named("sandbox")]
  const rounds = Array.from({ length: 50 }, () => [live, sandbox]).flat()
  const accounts = await Promise.all(
    rounds.map((providers) => providers.connect(exchangeRequest("linkedin"))),
  )
  expect(accounts.flat().map((account) => account.platformAccountId)).toEqual(
    rounds.map((providers) => (providers === live ? "live" : "sandbox")),
  )
})

test("a transport that breaks its word ends as our own fault, without what it said", async () => {
  const providers = arcticProviders({
    now: () => now,
    transport: () => Promise.reject(new RangeError("https://x.example/?client_secret=made-up")),
  })
  for (const provider of providerNames) {
    const error = await providers.connect(exchangeRequest(provider)).catch((error: unknown) => error)
    expect(error).toMatchObject({
      name: "ProviderFailure",
      reason: "server_error",
      evidence: { call: "token", status: null, code: null, message: "RangeError", traceId: null },
    })
    expect(Bun.inspect(error)).not.toContain("made-up")
  }
})

test("a flow that must have a verifier and has none is our own fault, and nothing is sent", async () => {
  const sent: string[] = []
  const providers = arcticProviders({
    now: () => now,
    transport: async (request) => {
      sent.push(request.url)
      return { status: 200, headers: {}, body: "{}" }
    },
  })
  const request = { ...exchangeRequest("x"), codeVerifier: null }
  expect(await providers.connect(request).catch((error: unknown) => error)).toMatchObject({
    reason: "server_error",
  })
  expect(sent).toEqual([])
})

test("a connect tells of every call it sent, with its time, its status or its fault, and no other connect's", async () => {
  const providers = arcticProviders({
    now: () => now,
    transport: simulated.reach(liveTransport({ allowInsecureLoopback: true })),
    limits: { timeoutMs: 50, maxBytes: 64 * 1024 },
  })
  simulated.answer("linkedin", "token", { body: { access_token: "made-up" } })
  simulated.answer("linkedin", "profile", () => Bun.sleep(500).then(() => new Response("{}")))
  const told = { linkedin: [] as ProviderCall[], tiktok: [] as ProviderCall[] }
  await Promise.allSettled(
    (["linkedin", "tiktok"] as const).map((provider) =>
      providers.connect({ ...exchangeRequest(provider), onCall: (call) => void told[provider].push(call) }),
    ),
  )
  const durationMs = expect.any(Number)
  expect(told).toEqual({
    linkedin: [
      { call: "token", at: now, status: 200, fault: null, durationMs },
      { call: "profile", at: now, status: null, fault: "timeout", durationMs },
    ],
    // Status 200 and a refusal all the same, as TikTok has it.
    tiktok: [{ call: "token", at: now, status: 200, fault: null, durationMs }],
  })
  const [asked, late] = told.linkedin
  expect(asked?.durationMs).toBeGreaterThanOrEqual(0)
  expect(late?.durationMs).toBeGreaterThanOrEqual(45)
  expect(late?.durationMs).toBeLessThan(450)
})

test("a call that a deadline kept from being sent is not told of", async () => {
  const told: ProviderCall[] = []
  const request = { ...exchangeRequest("x"), limitMs: 0 }
  const providers = arcticProviders({ now: () => now, transport: () => Promise.reject(new Error("sent")) })
  await providers.connect({ ...request, onCall: (call) => void told.push(call) }).catch(() => {})
  expect(told).toEqual([])
})
