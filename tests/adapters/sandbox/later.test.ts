import { describe, expect, test } from "bun:test"
import { type Scenario, scenariosOf } from "../../../src/adapters/sandbox/scenarios.ts"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { type ProviderAnswer, TransportFault } from "../../../src/ports/transport.ts"
import {
  type Body,
  type Call,
  call,
  codeOf,
  connected,
  exchanged,
  limits,
  openSandbox,
  profileCall,
  refreshCall,
  revokeCall,
} from "./harness.ts"

type Opened = ReturnType<typeof openSandbox>

/** What a call came to: an answer, or how the connection failed. */
type Came = { readonly answer: ProviderAnswer; readonly body: Body } | { readonly fault: string }

async function came(box: Opened, asked: Call, timeoutMs = limits.timeoutMs): Promise<Came> {
  try {
    const answer = await call(box, asked, { ...limits, timeoutMs })
    return { answer, body: answer.body.startsWith("{") ? JSON.parse(answer.body) : {} }
  } catch (fault) {
    if (fault instanceof TransportFault) return { fault: fault.kind }
    throw fault
  }
}

function status(result: Came): number | string {
  return "fault" in result ? result.fault : result.answer.status
}

function bodyOf(result: Came): Body {
  return "fault" in result ? {} : result.body
}

/** An account connected under a scenario, old enough to be refreshed. */
async function account(provider: ProviderName, scenario: string, more: Record<string, string> = {}) {
  const box = openSandbox()
  const body =
    provider === "instagram" || provider === "facebook"
      ? { access_token: await connected(box, provider, { scenario, ...more }) }
      : await exchanged(box, provider, { scenario, ...more })
  if (provider === "instagram") box.pass(86_400)
  const { access_token: access, refresh_token: refresh } = body as Body
  return {
    box,
    access: String(access),
    /** What renews the account. */
    key: provider === "instagram" ? access : refresh,
    renew: (key: unknown, timeoutMs?: number) => came(box, refreshCall(provider, key), timeoutMs),
    reads: async (token: unknown) => status(await came(box, profileCall(provider, String(token)))),
  }
}

/** The next token to refresh with, after a good answer. */
function nextKey(provider: ProviderName, result: Came): unknown {
  expect(status(result)).toBe(200)
  expect(bodyOf(result).access_token).toStartWith("sandbox_")
  return provider === "instagram" ? bodyOf(result).access_token : bodyOf(result).refresh_token
}

const proofs: Readonly<Record<string, (provider: ProviderName) => Promise<void>>> = {
  async refresh_rate_limited(provider) {
    const { key, renew, reads, access } = await account(provider, "refresh_rate_limited")
    for (let turn = 0; turn < 2; turn++) {
      const result = await renew(key)
      const said = "answer" in result ? result.answer : undefined
      if (provider === "instagram") {
        expect(bodyOf(result).error).toMatchObject({ code: 4, is_transient: true })
        expect(said?.headers["x-app-usage"]).toContain("100")
      } else {
        expect([said?.status, said?.headers["retry-after"]]).toEqual([429, "60"])
      }
    }
    expect(await reads(access)).toBe(200)
  },

  async refresh_down(provider) {
    const { key, renew, reads, access } = await account(provider, "refresh_down")
    for (let turn = 0; turn < 2; turn++) expect(status(await renew(key))).toBe(503)
    expect(await reads(access)).toBe(200)
  },

  async refresh_fails_once(provider) {
    const { key, renew } = await account(provider, "refresh_fails_once")
    expect(status(await renew(key))).toBe(503)
    const second = nextKey(provider, await renew(key))
    const other = await account(provider, "refresh_fails_once")
    expect(status(await other.renew(other.key))).toBe(503)
    if (provider !== "instagram") nextKey(provider, await renew(second))
  },

  async refresh_hang(provider) {
    const { key, renew, reads, access } = await account(provider, "refresh_hang")
    for (let turn = 0; turn < 2; turn++) expect(status(await renew(key, 5))).toBe("timeout")
    expect(await reads(access)).toBe(200)
  },

  async refresh_slow(provider) {
    const { key, renew } = await account(provider, "refresh_slow", { delay_ms: "30" })
    const begun = performance.now()
    const second = nextKey(provider, await renew(key, 1000))
    expect(performance.now() - begun).toBeGreaterThanOrEqual(28)
    expect(status(await renew(provider === "instagram" ? key : second, 5))).toBe("timeout")
    // It took place although nobody waited for it, so the token that was sent is used up where it works once.
    if (provider !== "x" && provider !== "tiktok") return
    expect(bodyOf(await renew(second, 1000))).not.toHaveProperty("access_token")
  },

  async refresh_lost(provider) {
    const { key, renew, reads, access } = await account(provider, "refresh_lost")
    expect(status(await renew(key))).toBe("unreachable")
    expect(await reads(access)).toBe(200)
    const again = bodyOf(await renew(key))
    expect(again.error).toBe(provider === "x" ? "invalid_request" : "invalid_grant")
    expect(await reads(access)).toBe(401)
  },

  async refresh_refused(provider) {
    const { key, renew, reads, access } = await account(provider, "refresh_refused")
    const said = JSON.stringify(bodyOf(await renew(key)))
    const words = {
      x: "Value passed for the token was invalid.",
      linkedin: "The provided authorization grant or refresh token is invalid, expired or revoked",
      tiktok: '"error":"invalid_grant"',
      instagram: '"code":190',
      facebook: "nothing of the kind",
    }
    expect(said).toContain(words[provider])
    expect(await reads(access)).toBe(200)
  },

  async refresh_wrong_secret(provider) {
    const { key, renew } = await account(provider, "refresh_wrong_secret")
    const expected = { x: [401, "unauthorized_client"], linkedin: [401, "invalid_client"] }
    const result = await renew(key)
    expect([status(result), bodyOf(result).error]).toEqual(
      provider === "x" || provider === "linkedin" ? expected[provider] : [200, "invalid_client"],
    )
  },

  async refresh_no_rotation(provider) {
    const { key, renew, reads } = await account(provider, "refresh_no_rotation")
    for (let turn = 0; turn < 3; turn++) {
      const body = bodyOf(await renew(key))
      expect(await reads(body.access_token)).toBe(200)
      expect(body.refresh_token).toBe(provider === "x" ? undefined : "")
      expect("refresh_token" in body).toBe(provider !== "x")
    }
  },

  async revoke_fails(provider) {
    if (provider === "instagram") throw new Error("has no call to revoke with")
    const { box, access, key, reads } = await account(provider, "revoke_fails")
    for (const token of provider === "x" ? [access, key] : [access]) {
      expect(status(await came(box, revokeCall(provider, token)))).toBe(503)
    }
    expect(await reads(access)).toBe(200)
  },
}

const later: readonly (readonly [ProviderName, string, Scenario])[] = providerNames.flatMap((provider) =>
  scenariosOf(provider)
    .filter((scenario) => scenario.later !== undefined)
    .map((scenario) => [provider, scenario.name, scenario] as const),
)

describe("a scenario that strikes later does so, and not before", () => {
  test.each(later)("%s %s", async (provider, name) => {
    const prove = proofs[name]
    if (!prove) throw new Error("has no proof")
    await prove(provider)
  })

  test("there is one for each provider that the stroke can befall", () => {
    const providersOf = (name: string) =>
      later.filter(([, named]) => named === name).map(([provider]) => provider)
    const renewing = ["instagram", "x", "linkedin", "tiktok"] as const
    const others = ["x", "linkedin", "tiktok"] as const
    expect(Object.keys(proofs).map((name) => [name, providersOf(name)])).toEqual([
      ["refresh_rate_limited", [...renewing]],
      ["refresh_down", [...renewing]],
      ["refresh_fails_once", [...renewing]],
      ["refresh_hang", [...renewing]],
      ["refresh_slow", [...renewing]],
      ["refresh_lost", ["x", "tiktok"]],
      ["refresh_refused", [...renewing]],
      ["refresh_wrong_secret", [...others]],
      ["refresh_no_rotation", ["x", "tiktok"]],
      ["revoke_fails", ["facebook", ...others]],
    ])
    expect(new Set(later.map(([, name]) => name))).toEqual(new Set(Object.keys(proofs)))
  })

  test("each connects, says in one line what comes, and has something to be refreshed with", async () => {
    for (const [provider, name, scenario] of later) {
      expect(scenario.ends).toBe("connected")
      expect(scenario.later).toMatch(/^[A-Z][^\n]{8,120}\.$/)
      const { key } = await account(provider, name)
      if (provider !== "facebook") expect(key, `${provider} ${name}`).toStartWith("sandbox_")
    }
  })

  test("the scenario goes with the grant to another instance", async () => {
    const { key } = await account("x", "refresh_refused")
    expect(status(await came(openSandbox("other"), refreshCall("x", key)))).toBe(400)
  })
})

describe("delay_ms", () => {
  test("makes the refreshes of any scenario slow, and nothing else", async () => {
    const { key, renew, reads, access } = await account("tiktok", "approve", { delay_ms: "100" })
    expect(limits.timeoutMs).toBeLessThan(100)
    expect(await reads(access)).toBe(200)
    const begun = performance.now()
    nextKey("tiktok", await renew(key, 5000))
    expect(performance.now() - begun).toBeGreaterThanOrEqual(98)
  })

  test("is three seconds where refresh_slow does not say otherwise", async () => {
    const { key, renew } = await account("linkedin", "refresh_slow")
    const [hasty, patient] = await Promise.all([renew(key, 2900), renew(key, 9000)])
    expect(status(hasty)).toBe("timeout")
    nextKey("linkedin", patient)
  }, 10_000)

  test.each(["0", "600001", "soon", "-1", ""])("is not %p", async (delay_ms) => {
    await expect(codeOf(openSandbox(), "x", { delay_ms })).rejects.toThrow("answered 400")
  })
})
