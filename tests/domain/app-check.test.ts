import { describe, expect, test } from "bun:test"
import {
  type AppSight,
  appChecks,
  appFinding,
  appSights,
  inWords,
  isSound,
  scopeFaults,
} from "../../src/domain/app-check.ts"
import { defaultScopes, type ProviderName, providerNames } from "../../src/domain/provider.ts"

test("what is looked at is the closed list that tenants switch on", () => {
  expect([...appChecks]).toEqual([
    "client_id",
    "client_secret",
    "redirect_uri",
    "scopes",
    "config_id",
    "environment",
    "provider",
  ])
})

/** What is there to be seen at one provider alone. */
const peculiar: Readonly<Partial<Record<AppSight, readonly ProviderName[]>>> = {
  client_id_of_other_product: ["facebook", "instagram"],
  config_id_is_app_id: ["facebook"],
  config_id_unseen: ["facebook"],
  environment_sandbox_key: ["tiktok"],
  environment_unmarked: ["tiktok"],
}

describe.each([...appSights])("%s", (sight) => {
  test.each([...(peculiar[sight] ?? providerNames)])(
    "of %s is one plain line that says where",
    (provider) => {
      const finding = appFinding(provider, sight, { about: "made-up-about" })
      expect(finding.detail).toMatch(/^[A-Z][\x20-\x7E]{20,400}\.$/)
      expect(finding.detail).not.toMatch(/ {2}|\.\.|undefined|null|NaN|\[object|\$\{/)
      if (finding.check === "provider") {
        expect(finding.console).toBeNull()
        return
      }
      expect(finding.console).toEqual({
        page: expect.stringMatching(/\S/),
        field: expect.stringMatching(/\S/),
        url: expect.stringMatching(/^https:\/\/[a-z.]+(\/[a-z]+)*$/),
      })
    },
  )

  test("is about what its name says", () => {
    const { check } = appFinding((peculiar[sight] ?? providerNames)[0] ?? "x", sight)
    expect(sight).toStartWith(check)
  })
})

test("a problem says what to change, and an unknown how to look", () => {
  for (const sight of appSights) {
    for (const provider of peculiar[sight] ?? providerNames) {
      const { verdict, detail } = appFinding(provider, sight, { about: "made-up-about" })
      if (verdict === "problem") expect(detail).toMatch(/copy|PATCH|add|store a new app/)
      if (verdict === "unknown") expect(detail).toMatch(/compare|look|check again|copy|request/)
    }
  }
})

test("only a problem makes an app unsound", () => {
  const finding = (sight: AppSight) => appFinding("x", sight)
  expect(isSound([])).toBe(true)
  expect(isSound([finding("client_id_accepted"), finding("redirect_uri_unseen")])).toBe(true)
  expect(isSound([finding("client_id_accepted"), finding("client_secret_refused")])).toBe(false)
})

describe("the names of scopes", () => {
  test.each([...providerNames])("that %s's apps have by default show no fault", (provider) => {
    expect(scopeFaults(provider, defaultScopes[provider])).toEqual([])
  })

  test.each([
    ["x", ["users.email", "dm.write", "tweet.moderate.write"]],
    ["linkedin", ["email", "r_basicprofile", "rw_organization_admin", "w_member_social_feed"]],
    ["tiktok", ["user.info.stats", "video.list"]],
    ["facebook", ["public_profile", "email", "publish_video", "instagram_basic"]],
    ["instagram", ["instagram_business_manage_comments", "instagram_business_manage_insights"]],
  ] as const)("that %s documents beside them show none either", (provider, more) => {
    expect(scopeFaults(provider, [...defaultScopes[provider], ...more])).toEqual([])
  })

  test("show all their faults at once", () => {
    expect(scopeFaults("instagram", ["business_basic", "pages_show_list"])).toEqual([
      expect.objectContaining({
        verdict: "problem",
        detail: expect.stringContaining("instagram_business_basic"),
      }),
      expect.objectContaining({ detail: expect.stringContaining("business_basic and pages_show_list") }),
    ])
  })

  test("are judged only where there are any", () => {
    expect(scopeFaults("facebook", [])).toEqual([])
  })
})

test.each([
  [[], ""],
  [["a"], "a"],
  [["a", "b"], "a and b"],
  [["a", "b", "c"], "a, b and c"],
])("%p reads %p", (names, words) => {
  expect(inWords(names)).toBe(words)
})
