import { expect, test } from "bun:test"
import fc from "fast-check"
import { evidenceText, evidenceTraceId } from "../../../src/adapters/arctic/redact.ts"

const none: ReadonlySet<string> = new Set()

test.each([
  ["unsupported_response_type", "unsupported_response_type"],
  ["unauthorized_scope_error", "unauthorized_scope_error"],
  ["user_cancelled_authorize", "user_cancelled_authorize"],
  ["unsupported-authentication", "unsupported-authentication"],
  ["token act.0123456789abcdefABCDEF01 is dead", "token act.[redacted] is dead"],
  ["9f86d081884c7d659a2feaa0c55ad015", "[redacted]"],
  ["MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", "[redacted]"],
  ["abcdefghijklmnopqrstuvwxyz", "[redacted]"],
  ["a\u0000b\r\nc\u2028d", "a b c d"],
  ["", null],
  ["   ", null],
])("of %j the evidence keeps %j", (raw, kept) => {
  expect(evidenceText(raw, none)).toBe(kept)
})

test("evidence has at most 200 characters and never half of one", () => {
  const text = evidenceText("😀 ".repeat(300), none) ?? ""
  expect(Array.from(text).length).toBe(200)
  expect(text.isWellFormed()).toBe(true)
})

test("a known secret is removed in every spelling and wherever it stands", () => {
  const secrets = fc
    .string({ minLength: 4, maxLength: 60, unit: "grapheme-ascii" })
    .filter((s) => !"[redacted]".includes(s.toLowerCase()))
  fc.assert(
    fc.property(secrets, fc.lorem(), fc.lorem(), (secret, before, after) => {
      const known = new Set([secret])
      for (const spelling of [secret, encodeURIComponent(secret), btoa(secret), secret.toUpperCase()]) {
        const text = evidenceText(`${before}:${spelling}:${after}`, known) ?? ""
        expect(text.split("[redacted]").join("").toLowerCase()).not.toContain(spelling.toLowerCase())
      }
    }),
  )
})

test("a trace id is kept as it is, unless its form is odd or it is a secret", () => {
  expect(evidenceTraceId("202601011234567890ABCDEF0123456789", none)).toBe(
    "202601011234567890ABCDEF0123456789",
  )
  expect(evidenceTraceId("x".repeat(129), none)).toBeNull()
  expect(evidenceTraceId("a b", none)).toBeNull()
  expect(evidenceTraceId("made-up-secret", new Set(["made-up-secret"]))).toBeNull()
  expect(evidenceTraceId(null, none)).toBeNull()
})
