import { describe, expect, test } from "bun:test"
import { checkOAuthAppInput } from "../../src/domain/oauth-app.ts"
import {
  defaultScopes,
  isProviderName,
  missingScopes,
  providerNames,
  providerTitle,
} from "../../src/domain/provider.ts"

test("the five providers are known by their names, and nothing else is", () => {
  expect(providerNames.every(isProviderName)).toBe(true)
  for (const text of ["", "X", "x ", "twitter", "Instagram", "__proto__", "constructor", "toString", "0"]) {
    expect(isProviderName(text)).toBe(false)
  }
})

test.each([...providerNames])("%s has a title, and default scopes that an app may ask for", (provider) => {
  const scopes = defaultScopes[provider]
  expect(providerTitle[provider].toLowerCase()).toBe(provider)
  expect(checkOAuthAppInput(provider, { scopes }).scopes).toEqual(scopes)
  expect(scopes).not.toBeEmpty()
})

describe("missing scopes", () => {
  test.each([
    [["a", "b", "c"], ["c", "a"], ["b"]],
    [["c", "b", "a"], [], ["c", "b", "a"]],
    [["a"], ["a", "b"], []],
    [[], ["a"], []],
    [["a"], ["A", "a "], ["a"]],
  ])("of %p, with %p granted, are %p", (requested, granted, missing) => {
    expect(missingScopes(requested, granted)).toEqual(missing)
  })
})
