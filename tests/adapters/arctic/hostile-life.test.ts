import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { oauthErrorReasons } from "../../../src/domain/oauth-error.ts"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { ProviderFailure, type RefreshedTokens, type UpstreamIdentity } from "../../../src/ports/providers.ts"
import { type SimulatedCall, secretOf } from "../../support/simulated-answers.ts"
import { hostileBody } from "./hostile-body.ts"
import {
  allTextOf,
  identifyRequest,
  now,
  refreshRequest,
  renewing,
  revokeRequest,
  revoking,
  wired,
} from "./wire.ts"

const { simulated, providers } = wired()
const runs = { numRuns: 150 }
const statuses = fc.constantFrom(200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 503)

const personToken = "made-up+person/token"
const accessToken = "made-up+access/token"
const refreshToken = "made-up+refresh/token"
/** What a call could echo: all that it was given. */
function planted(provider: ProviderName, call: SimulatedCall): readonly string[] {
  const given = [secretOf(`${provider}-client`), accessToken]
  if (call === "profile") return given
  if (call === "revoke") return [...given, refreshToken, personToken]
  return provider === "instagram" ? given : [...given, refreshToken]
}

/** What a provider must have said, word for word, for an account to be taken as ended. */
const ends: Readonly<Record<ProviderName, RegExp>> = {
  x: /invalid_grant|value passed for the token was invalid/i,
  linkedin: /invalid_grant|grant or refresh token is invalid, expired or revoked/i,
  tiktok: /invalid_grant|access_token_invalid/i,
  facebook: /\b(190|102)\b|invalid_grant|session has expired/i,
  instagram: /\b(190|102)\b|invalid_grant|session has expired/i,
}

interface Said {
  readonly provider: ProviderName
  readonly call: SimulatedCall
  readonly status: number
  readonly body: string
}

function expectFailsWell(failure: ProviderFailure, said: Said): void {
  expect(oauthErrorReasons).toContain(failure.reason)
  expect(failure.reason).not.toBe("server_error")
  expect(["refused", "unknown"]).toContain(failure.fate)
  expect(failure.evidence.message?.length ?? 0).toBeLessThanOrEqual(200)
  const text = allTextOf(failure)
  for (const secret of planted(said.provider, said.call)) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(encodeURIComponent(secret))
  }
  const typedIn = said.call === "profile" && said.status === 401
  if (failure.reason === "reauth_required" && !typedIn) {
    expect(said.body).toMatch(ends[said.provider])
    expect([429, 500, 503, 301]).not.toContain(said.status)
    expect(failure.fate).toBe("refused")
  }
}

const visible = (text: unknown, longest: number) =>
  typeof text === "string" && text.length <= longest && /^[\x21-\x7e]+$/.test(text)
const nameOrNull = (text: unknown) =>
  text === null || (typeof text === "string" && text.length > 0 && !/\p{Cc}/u.test(text))

function expectTokens(given: RefreshedTokens): void {
  expect(visible(given.accessToken, 8192)).toBe(true)
  expect(given.tokenType).toBe("Bearer")
  expect(given.expiresAt?.getTime() ?? 0).toBeGreaterThan(now.getTime())
  expect(given.refreshToken === null || visible(given.refreshToken, 8192)).toBe(true)
  if (given.refreshToken === null) expect(given.refreshTokenExpiresAt).toBeNull()
  expect(given.scopes?.every((scope) => visible(scope, 256)) ?? true).toBe(true)
}

function expectIdentity(given: UpstreamIdentity | undefined): void {
  if (given === undefined) return
  expect(visible(given.platformAccountId, 256)).toBe(true)
  expect([given.handle, given.displayName].every(nameOrNull)).toBe(true)
  expect(given.avatarUrl ?? "https://").toStartWith("https://")
  expect(Object.values(given.metadata).every((value) => typeof value === "string")).toBe(true)
}

async function ending<Result>(
  provider: ProviderName,
  call: SimulatedCall,
  work: () => Promise<Result>,
  expectWell: (resolved: Result) => void,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(hostileBody(planted(provider, call)), statuses, async (body, status) => {
      simulated.reset()
      simulated.answer(provider, call, { status, body })
      const outcome = await work().catch((error: unknown) => {
        if (error instanceof ProviderFailure) return error
        throw error
      })
      if (outcome instanceof ProviderFailure) expectFailsWell(outcome, { provider, call, status, body })
      else expectWell(outcome)
      if (call === "refresh") expect(simulated.requests.length).toBe(1)
    }),
    runs,
  )
}

describe("whatever is answered, work ends well-formed or with a failure of the closed list, and tells no secret", () => {
  test.each(renewing)("%s refresh", (provider) => {
    const held = { accessToken, refreshToken: provider === "instagram" ? null : refreshToken }
    const refresh = () => providers.refresh(refreshRequest(provider, held))
    return ending(provider, "refresh", refresh, expectTokens)
  })

  test.each(revoking)("%s revoke", (provider) => {
    const held = { accessToken, refreshToken, personToken }
    const revoke = () => providers.revoke(revokeRequest(provider, held))
    return ending(provider, "revoke", revoke, (done) => expect(done).toBe("revoked"))
  })

  test.each([...providerNames])("%s identify", (provider) => {
    const identify = () => providers.identify(identifyRequest(provider, { accessToken }))
    return ending(provider, "profile", identify, expectIdentity)
  })
})
