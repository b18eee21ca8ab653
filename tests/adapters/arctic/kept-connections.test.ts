import { expect, test } from "bun:test"
import { liveTransport } from "../../../src/adapters/arctic/live-transport.ts"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { providerNames } from "../../../src/domain/provider.ts"
import type { ProviderRequest } from "../../../src/ports/transport.ts"
import {
  authorizeRequest,
  exchangeRequest,
  now,
  refreshRequest,
  renewing,
  revokeRequest,
  revoking,
  wired,
} from "./wire.ts"

const { simulated } = wired()
const sent: ProviderRequest[] = []
const reach = simulated.reach(liveTransport({ allowInsecureLoopback: true }))
const providers = arcticProviders({
  now: () => now,
  transport: (request, limits) => {
    sent.push(request)
    return reach(request, limits)
  },
})

const isPlainRead = ({ method, headers }: ProviderRequest) => method === "GET" && "authorization" in headers
const exchangesCode = ({ method, body }: ProviderRequest) =>
  method === "POST" && new URLSearchParams(body ?? "").get("grant_type") === "authorization_code"

test.each(providerNames)(
  "of a connect with %s the exchange of the code and plain reads may use a kept connection, and nothing else",
  async (provider) => {
    sent.length = 0
    const code = simulated.consent(new URL(providers.authorizeUrl(authorizeRequest(provider))))
    await providers.connect({ ...exchangeRequest(provider), code })
    expect(sent.filter(exchangesCode).length).toBe(1)
    expect(sent.filter(isPlainRead).length).toBeGreaterThan(0)
    for (const request of sent) {
      expect(request.mayUseKeptConnection === true).toBe(exchangesCode(request) || isPlainRead(request))
    }
  },
)

test.each(renewing)("a refresh with %s has a connection of its own", async (provider) => {
  sent.length = 0
  await providers.refresh(refreshRequest(provider))
  expect(sent.map(({ mayUseKeptConnection = false }) => mayUseKeptConnection)).toEqual([false])
})

test.each(revoking)("ending a grant with %s has connections of its own", async (provider) => {
  sent.length = 0
  await providers.revoke(revokeRequest(provider))
  expect(sent.length).toBeGreaterThan(0)
  expect(sent.filter(({ mayUseKeptConnection }) => mayUseKeptConnection)).toEqual([])
})
