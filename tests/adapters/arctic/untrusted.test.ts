import { expect, test } from "bun:test"
import fc from "fast-check"
import {
  cutText,
  field,
  parseJson,
  readHttpsUrl,
  readId,
  readScopes,
} from "../../../src/adapters/arctic/untrusted.ts"

test("every integer comes back with the digits that were sent", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (integer) => {
      const body = parseJson(`{"id":${integer}}`)
      expect(String(field(body, "id"))).toBe(String(integer))
      expect(readId(field(body, "id"))).toBe(String(integer))
    }),
  )
})

test("wherever in an answer an integer stands, its digits come back", () => {
  const places = [
    "%",
    " %",
    "[%]",
    "[1,%]",
    "[\n\t%]",
    '{"a":\r\n%}',
    '{"a":{"b":[ % ]}}',
    '["1234567890123456",%]',
  ]
  const integers = fc.oneof(
    fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
    // Sixteen digits, of which some are above 2^53.
    fc.bigInt({ min: 2n ** 53n - 10n, max: 10n ** 16n + 10n }),
  )
  fc.assert(
    fc.property(fc.constantFrom(...places), integers, (place, integer) => {
      const written = JSON.stringify(parseJson(place.replace("%", String(integer)))).replaceAll(`"`, "")
      expect(written).toBe(place.replace("%", String(integer)).replace(/["\s]/g, ""))
    }),
    { numRuns: 1000 },
  )
})

test("all other JSON is what JSON.parse makes of it, and what is none is undefined", () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), (text, cut) => {
      const plain = JSON.parse(text)
      const exact = /\d{16}/.test(text)
      if (!exact) expect(parseJson(text)).toEqual(plain)
      const broken = `${text.slice(0, cut % text.length)}\u0000`
      expect(parseJson(broken)).toBeUndefined()
    }),
  )
  for (const text of ["1e20", "0.12345678901234567", "1234567890123456.5", '"12345678901234567"']) {
    expect(parseJson(text)).toEqual(JSON.parse(text))
  }
})

test("a field is the answer's own, never an inherited one", () => {
  for (const name of ["toString", "constructor", "__proto__", "hasOwnProperty"]) {
    expect(field({}, name)).toBeUndefined()
  }
  expect(field(parseJson('{"__proto__":"own"}'), "__proto__")).toBe("own")
  expect(field([1], "length")).toBeUndefined()
  expect(field("text", "length")).toBeUndefined()
})

test.each([
  ["a b,c", ["a", "b", "c"]],
  ["a, b\n", ["a", "b"]],
  [["a", "a", 1, "", "b c"], ["a"]],
  ["", []],
  [undefined, undefined],
  [7, undefined],
  [Array.from({ length: 150 }, (_, i) => `s${i}`), Array.from({ length: 100 }, (_, i) => `s${i}`)],
])("the scopes in %j are %j", (value, scopes) => {
  expect(readScopes(value)).toEqual(scopes)
})

test.each([
  ["https://cdn.example/a.png?x=1", "https://cdn.example/a.png?x=1"],
  ["http://cdn.example/a.png", null],
  ["javascript:alert(1)", null],
  ["https://user:pass@cdn.example/a.png", null],
  [`https://cdn.example/${"a".repeat(2048)}`, null],
  [`https://cdn.example/${"ä".repeat(1000)}`, null],
  ["//cdn.example/a.png", null],
  [["https://cdn.example"], null],
])("of the picture %j is kept %j", (value, kept) => {
  expect(readHttpsUrl(value)).toBe(kept)
})

test("a text is cut to whole characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 0, max: 20 }), (text, longest) => {
      const cut = cutText(text, longest)
      expect(cut.isWellFormed()).toBe(true)
      expect(text.toWellFormed().startsWith(cut)).toBe(true)
      expect(Array.from(cut).length).toBeLessThanOrEqual(Math.max(longest, 0))
    }),
  )
})
