import { describe, expect, test } from "bun:test"
import { liveTransport } from "../../../src/adapters/arctic/live-transport.ts"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import type { ProviderFailure } from "../../../src/ports/providers.ts"
import { type Transport, TransportFault } from "../../../src/ports/transport.ts"
import type { Reply } from "../../support/simulated-providers.ts"
import { failureOf, now, refreshRequest, renewing, revokeRequest, wired } from "./wire.ts"

const { simulated, providers } = wired({ timeoutMs: 2_000, maxBytes: 64 * 1024, refreshTimeoutMs: 200 })

type Fate = ProviderFailure["fate"]

const cases: readonly (readonly [Fate, string, Reply])[] = [
  ["refused", "an error", { status: 400, body: { error: "invalid_grant" } }],
  ["refused", "an error that nobody knows", { status: 400, body: {} }],
  ["refused", "an error with status 200", { status: 200, body: { error: "invalid_grant" } }],
  ["refused", "an error beside a token", { status: 200, body: { error: "x", access_token: "made-up" } }],
  ["refused", "a firewall's page", { status: 403, body: "<html>Forbidden</html>" }],
  ["refused", "a limit", { status: 429, body: "" }],
  ["refused", "a failure that says so", { status: 500, body: { error: "server_error" } }],
  ["refused", "a failure in any JSON", { status: 500, body: { message: "no" } }],
  ["refused", "a server that handles nothing now", { status: 503, body: "<html>Over capacity</html>" }],
  ["unknown", "a failure that says nothing", { status: 500, body: "" }],
  ["unknown", "a gateway's page", { status: 502, body: "<html>Bad gateway</html>" }],
  ["unknown", "a gateway that waited in vain", { status: 504, body: "" }],
  ["unknown", "success without a body", { status: 200, body: "" }],
  ["unknown", "no content", { status: 204 }],
  ["unknown", "success that is cut off", { status: 200, body: '{"access_token":"made-' }],
  ["unknown", "success without a token", { status: 200, body: {} }],
  ["unknown", "a token that cannot be one", { status: 200, body: { access_token: "two words" } }],
  ["unknown", "a token of another type", { status: 200, body: { access_token: "a", token_type: "mac" } }],
  ["unknown", "a page", { status: 200, body: "<html>Welcome</html>" }],
  ["unknown", "a redirect", { status: 302, headers: { location: "/" }, body: { error: "invalid_grant" } }],
  ["unknown", "too much", { status: 200, body: "x".repeat(70_000) }],
  ["unknown", "nothing in time", () => Bun.sleep(600).then(() => new Response("{}"))],
]

describe.each(renewing)("%s", (provider) => {
  test.each(cases)("the fate of a refresh is %s after %s", async (fate, _, reply) => {
    simulated.answer(provider, "refresh", reply)
    const refusal = await failureOf(providers.refresh(refreshRequest(provider)))
    expect(refusal.fate).toBe(fate)
    expect(simulated.requests.length).toBe(1)
  })

  test("a refresh that is past its deadline never leaves", async () => {
    const refusal = await failureOf(providers.refresh(refreshRequest(provider, { limitMs: 0 })))
    expect([refusal.fate, refusal.reason]).toEqual(["unsent", "provider_timeout"])
    expect(simulated.requests).toEqual([])
  })

  test("a refresh whose deadline comes while it waits has an unknown fate", async () => {
    simulated.answer(provider, "refresh", () => Bun.sleep(600).then(() => new Response("{}")))
    const refusal = await failureOf(providers.refresh(refreshRequest(provider, { limitMs: 40 })))
    expect([refusal.fate, refusal.reason]).toEqual(["unknown", "provider_timeout"])
  })

  test.each([
    ["unsent", "no connection", new TransportFault("unreachable", { unsent: true })],
    ["unsent", "a deadline that came before", new TransportFault("timeout", { unsent: true })],
    ["unknown", "a broken connection", new TransportFault("unreachable", { cause: "ECONNRESET" })],
    ["unknown", "a fault of our own in sending", new RangeError("made-up")],
  ] as const)("the fate of a refresh is %s after %s", async (fate, _, fault) => {
    const { refresh } = over(() => Promise.reject(fault))
    expect((await failureOf(refresh(refreshRequest(provider)))).fate).toBe(fate)
  })

  test("nobody there means that nothing left, over a real socket", async () => {
    const live = liveTransport({ allowInsecureLoopback: true })
    const { refresh } = over((request, limits) => live({ ...request, url: "http://127.0.0.1:1/" }, limits))
    const refusal = await failureOf(refresh(refreshRequest(provider)))
    expect([refusal.fate, refusal.reason, refusal.evidence.message]).toEqual([
      "unsent",
      "provider_timeout",
      "unreachable: ECONNREFUSED",
    ])
  })

  test("a connection that breaks before the answer leaves the fate unknown, over a real socket", async () => {
    let requests = 0
    const breaking = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          requests++
          socket.terminate()
        },
      },
    })
    const live = liveTransport({ allowInsecureLoopback: true })
    const url = `http://127.0.0.1:${breaking.port}/`
    const { refresh } = over((request, limits) => live({ ...request, url }, limits))
    expect((await failureOf(refresh(refreshRequest(provider)))).fate).toBe("unknown")
    await Bun.sleep(20)
    expect(requests).toBe(1)
    breaking.stop(true)
  })
})

test("the fate of what was read before the sending is that nothing was sent", async () => {
  const { refresh } = over(() => Promise.reject(new Error("must not be asked")))
  for (const change of [{ refreshToken: null }, { credentials: null }]) {
    expect((await failureOf(refresh(refreshRequest("x", change)))).fate).toBe("unsent")
  }
})

test("a revocation past its deadline is unsent too", async () => {
  const request = revokeRequest("tiktok", { limitMs: 0 })
  expect((await failureOf(providers.revoke(request))).fate).toBe("unsent")
})

function over(transport: Transport) {
  return arcticProviders({ transport, now: () => now })
}
