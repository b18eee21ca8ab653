import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { isObject } from "../../../src/adapters/arctic/untrusted.ts"
import { oauthErrorReasons } from "../../../src/domain/oauth-error.ts"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { ProviderFailure, type UpstreamAccount } from "../../../src/ports/providers.ts"
import { type SimulatedCall, secretOf } from "../../support/simulated-answers.ts"
import { hostileBody } from "./hostile-body.ts"
import { allTextOf, everyCall, exchangeRequest, failureOf, now, verifier, wired } from "./wire.ts"

const { simulated, connect, connectOne, failure } = wired()

const megabyte = "x".repeat(1024 * 1024)
const gzipped = Bun.gzipSync(new Uint8Array(50 * 1024 * 1024))

describe.each(everyCall.filter(([, call]) => call !== "businesses"))("%s %s", (provider, call) => {
  test.each([
    ["an empty body", "", 200],
    ["no content", "", 204],
    ["a text that is not JSON", "access_token=made-up", 200],
    ["JSON that is no object", "[1,2]", 200],
    ["JSON null", "null", 200],
    ["nesting without end", "[".repeat(60_000), 200],
    ["a megabyte", megabyte, 200],
    ["a redirect to somewhere else", "{}", 307],
  ])("%s is an invalid response", async (_, body, status) => {
    const headers: Record<string, string> = status === 307 ? { location: "http://127.0.0.1:1/stolen" } : {}
    simulated.answer(provider, call, { status, headers, body })
    expect((await failure(provider)).reason).toBe("invalid_response")
  })

  test("a small answer that inflates to fifty megabytes is an invalid response", async () => {
    simulated.answer(provider, call, () => new Response(gzipped, { headers: { "content-encoding": "gzip" } }))
    expect((await failure(provider)).reason).toBe("invalid_response")
  })
})

test.each([...providerNames])("%s is sent a code exactly once, whatever the answer", async (provider) => {
  const answers = [
    { status: 500, body: {} },
    { status: 429, headers: { "retry-after": "0" }, body: {} },
    { status: 408, body: {} },
    { status: 200, body: "" },
    { status: 400, body: { error: "temporarily_unavailable" } },
    { status: 302, headers: { location: "/again" }, body: {} },
  ]
  for (const answer of answers) {
    simulated.reset()
    simulated.answer(provider, "token", answer)
    await failure(provider)
    expect(simulated.requests.length).toBe(1)
  }
})

test("a connect whose time is up sends nothing more", async () => {
  const sent: string[] = []
  const { connect } = arcticProviders({
    now: () => now,
    transport: async ({ url }) => {
      sent.push(url)
      Bun.sleepSync(30)
      return { status: 200, headers: {}, body: JSON.stringify(token) }
    },
  })
  const late = await failureOf(connect(exchangeRequest("x", { limitMs: 20 })))
  expect([late.reason, late.fate, sent.length]).toEqual(["provider_timeout", "unsent", 1])
  const never = await failureOf(connect(exchangeRequest("x", { limitMs: 0 })))
  expect([never.reason, never.fate, sent.length]).toEqual(["provider_timeout", "unsent", 1])
})

test("the limit of the whole ends a call that is under way", async () => {
  simulated.answer("linkedin", "profile", () => Bun.sleep(5_000).then(() => new Response("{}")))
  const startedAt = performance.now()
  const refusal = await failure("linkedin", { limitMs: 60 })
  expect(refusal.reason).toBe("provider_timeout")
  expect(performance.now() - startedAt).toBeLessThan(1_500)
})

const token = { access_token: "x-x-client", token_type: "bearer" }
test.each([
  ["is missing", {}],
  ["is empty", { access_token: "" }],
  ["is a list", { access_token: ["x-x-client"] }],
  ["is a number", { access_token: 12345 }],
  ["has a line break", { access_token: "x-x\r\nclient" }],
  ["has more than 8 KiB", { access_token: "x".repeat(8193) }],
  ["is for another way of use", { ...token, token_type: "mac" }],
  ["has a type that is no text", { ...token, token_type: ["bearer"] }],
])("an access token that %s is an invalid response", async (_, body) => {
  simulated.answer("x", "token", { body })
  expect((await failure("x")).reason).toBe("invalid_response")
  expect(simulated.sent("x", "profile")).toEqual([])
})

test("a token that came with 201 is a token", async () => {
  simulated.answer("x", "token", { status: 201, body: { ...token, token_type: "BEARER" } })
  expect((await connectOne("x")).tokens.accessToken).toBe("x-x-client")
})

test.each([
  ["7200", 7200],
  ['"3600"', 3600],
  ["59.5", 59.5],
  ["0", 7200],
  ["-1", 7200],
  ["1e400", 7200],
  ["99999999999999999999", 7200],
  ['"NaN"', 7200],
  ["null", 7200],
  ["[60]", 7200],
  ["{}", 7200],
])("expires_in of %s means %d seconds", async (sent, seconds) => {
  const body = `{"access_token":"x-x-client","expires_in":${sent}}`
  simulated.answer("x", "token", { body })
  expect((await connectOne("x")).tokens.expiresAt).toEqual(new Date(now.getTime() + seconds * 1000))
})

test("NaN as JSON is no JSON", async () => {
  simulated.answer("x", "token", { body: `{"access_token":"x-x-client","expires_in":NaN}` })
  expect((await failure("x")).reason).toBe("invalid_response")
})

test("a profile is cut to size and cleaned, and only an https picture is kept", async () => {
  const user = {
    id: "7",
    name: `\u0000Ann\n${"😀".repeat(600)}`,
    username: ["ann"],
    profile_image_url: "http://x.example/a.png",
    verified: "yes",
  }
  simulated.answer("x", "profile", { body: { data: user } })
  const account = await connectOne("x")
  expect([...(account.displayName ?? "")].length).toBe(500)
  expect(account).toMatchObject({ handle: null, avatarUrl: null, metadata: {} })
  expect(account.displayName?.startsWith("Ann 😀")).toBe(true)
  expect(account.displayName?.isWellFormed()).toBe(true)
})

test("an inherited name is not a field", async () => {
  simulated.answer("x", "profile", { body: '{"__proto__":{"data":{"id":"7"}}}' })
  expect((await failure("x")).reason).toBe("invalid_response")
})

test.each(['"x y"', '""', "1.5", "-0.1", "true", '["7"]', `"${"7".repeat(257)}"`])(
  "%s is no id",
  async (id) => {
    simulated.answer("x", "profile", { body: `{"data":{"id":${id}}}` })
    expect((await failure("x")).reason).toBe("invalid_response")
  },
)

/** What an answer to the call could echo. */
function planted(provider: ProviderName, call: SimulatedCall): readonly string[] {
  const always = [secretOf(`${provider}-client`), verifier]
  if (call === "token") return always
  const short = provider === "facebook" || provider === "instagram" ? [`short-${provider}-client`] : []
  return [...always, ...short, ...(call === "long_lived_token" ? [] : [`${provider}-${provider}-client`])]
}

describe("whatever a provider answers to a call", () => {
  test.each(everyCall)(
    "%s %s: well-formed accounts or a failure of the closed list, and no secret",
    async (provider, call) => {
      const secrets = planted(provider, call)
      const statuses = fc.constantFrom(200, 200, 200, 201, 301, 400, 401, 403, 404, 429, 500)
      await fc.assert(
        fc.asyncProperty(hostileBody(secrets), statuses, async (body, status) => {
          simulated.answer(provider, call, { status, body })
          await endsWell(provider, secrets)
        }),
        { numRuns: 60 },
      )
    },
    60_000,
  )
})

async function endsWell(provider: ProviderName, secrets: readonly string[]): Promise<void> {
  const outcome = await connect(provider).catch((error: unknown) => error)
  if (Array.isArray(outcome)) {
    expect(outcome.length).toBeGreaterThan(0)
    for (const account of outcome) expectWellFormed(account)
    return
  }
  expect(outcome).toBeInstanceOf(ProviderFailure)
  if (!(outcome instanceof ProviderFailure)) return
  expect(oauthErrorReasons).toContain(outcome.reason)
  expect(outcome.reason).not.toBe("server_error")
  expect(outcome.evidence.message?.length ?? 0).toBeLessThanOrEqual(200)
  const text = allTextOf(outcome)
  for (const secret of secrets) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(encodeURIComponent(secret))
  }
}

function expectWellFormed(account: UpstreamAccount): void {
  expect(account.platformAccountId).toMatch(/^[\x21-\x7e]{1,256}$/)
  expect(account.tokens.accessToken).toMatch(/^[\x21-\x7e]{1,8192}$/)
  expect(account.tokens.tokenType).toBe("Bearer")
  for (const text of [account.handle, account.displayName]) {
    expect(text === null || (typeof text === "string" && text.length > 0 && !/\p{Cc}/u.test(text))).toBe(true)
  }
  expect(account.avatarUrl ?? "https://").toStartWith("https://")
  expect(account.scopes.every((scope) => /^[\x21-\x7e]+$/.test(scope))).toBe(true)
  expect(isObject(account.metadata)).toBe(true)
  expect(Object.values(account.metadata).every((value) => typeof value === "string")).toBe(true)
  const { expiresAt } = account.tokens
  expect(expiresAt === null || expiresAt.getTime() > now.getTime()).toBe(true)
}
