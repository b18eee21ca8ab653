import { describe, expect, test } from "bun:test"
import { flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import { oauthErrorReasons, pageOnlyReasons, remedy } from "../../src/domain/oauth-error.ts"
import { providerNames, providerTitle } from "../../src/domain/provider.ts"

test("the reasons are the closed list that tenants switch on", () => {
  expect(oauthErrorReasons).toEqual([
    "access_denied",
    "state_invalid",
    "no_response",
    "callback_invalid",
    "scope_not_allowed",
    "insufficient_scope",
    "account_not_eligible",
    "no_publishable_account",
    "redirect_uri_mismatch",
    "invalid_client",
    "code_invalid",
    "pkce_mismatch",
    "reauth_required",
    "rate_limited",
    "provider_unavailable",
    "provider_timeout",
    "invalid_response",
    "provider_error",
    "account_mismatch",
    "server_error",
  ])
})

test("the two reasons without an address to return to are shown on our own page alone", () => {
  expect(pageOnlyReasons).toEqual(["state_invalid", "callback_invalid"])
})

describe.each([...providerNames])("what %s's tenants are told to do", (provider) => {
  test.each([...oauthErrorReasons])("about %s is one plain line that ends with a period", (reason) => {
    const sentence = remedy(reason, provider)
    expect(sentence).toMatch(/^[A-Z][\x20-\x7E]{39,318}\.$/)
    expect(sentence).not.toMatch(/ {2}|\.\.|undefined|null|NaN|\[object|\$\{|\{\{|%s|%p|<[a-z]|\.\s*\./)
    // The one brace there is belongs to a route, as the reference spells it.
    expect(sentence.replace("GET /v1/oauth-apps/{id}", "")).not.toMatch(/[{}]/)
  })

  test("differs from reason to reason", () => {
    const sentences = oauthErrorReasons.map((reason) => remedy(reason, provider))
    expect(new Set(sentences).size).toBe(oauthErrorReasons.length)
  })

  test("speaks of no other provider, save where Instagram's app is told from Facebook's", () => {
    for (const reason of oauthErrorReasons) {
      const named = providerNames.filter((other) =>
        new RegExp(`\\b${providerTitle[other]}\\b`).test(remedy(reason, provider)),
      )
      const known = reason === "invalid_client" && provider === "instagram" ? ["facebook"] : []
      expect(named.filter((other) => other !== provider)).toEqual(known as typeof named)
    }
  })

  test("about a person who never came back tells the time a flow really lasts", () => {
    expect(flowLifetimeMs).toBe(10 * 60_000)
    expect(remedy("no_response", provider)).toContain("ten minutes")
  })
})
