import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  exactText,
  refuseTwins,
  searchFold,
  searchText,
  storable,
  storableText,
} from "../../src/domain/account-search.ts"

const text = fc.string({ unit: "binary" })
const anyText = fc.oneof(
  text,
  fc.string({ unit: fc.constantFrom("a", "\0", "\uD800", "\uDC00", "\u001F", "É") }),
)

describe("text that every store can keep", () => {
  test("is as it was, save for NUL and lone surrogates", () => {
    expect(storableText("a\0b\uD800c\uDC00d\u{1F680}é\n")).toBe("a\uFFFDb\uFFFDc\uFFFDd\u{1F680}é\n")
    fc.assert(
      fc.property(anyText, (raw) => {
        const kept = storableText(raw)
        expect(kept.isWellFormed() && !kept.includes("\0")).toBe(true)
        expect(kept).toHaveLength(raw.length)
        expect(storableText(kept)).toBe(kept)
        if (raw.isWellFormed() && !raw.includes("\0")) expect(kept).toBe(raw)
      }),
    )
  })

  test("within plain data is found wherever it is, names of fields included, and the rest is a like copy", () => {
    const at = new Date("2026-11-22T12:00:00.000Z")
    const given = { "n\0": ["a\0", { deep: "\uD800" }], at, count: 3, flag: false, none: null }
    const kept = storable(given)
    expect<unknown>(kept).toEqual({
      "n\uFFFD": ["a\uFFFD", { deep: "\uFFFD" }],
      at,
      count: 3,
      flag: false,
      none: null,
    })
    expect(kept.at).not.toBe(at)
  })

  test("is not made of what identifies a row: that is kept exactly or refused", () => {
    for (const id of ["", "17841400000000000", "-000abc", "é\u{1F680}"]) expect(exactText(id)).toBe(id)
    for (const id of ["a\0", "\0", "\uD800", "a\uDC00b"]) expect(() => exactText(id)).toThrow(RangeError)
  })
})

test("one connect names each upstream account once, and two providers' ids are two accounts", () => {
  const one = { provider: "x", platformAccountId: "1" } as const
  expect(() => refuseTwins([])).not.toThrow()
  expect(() =>
    refuseTwins([one, { ...one, platformAccountId: "2" }, { ...one, provider: "tiktok" }]),
  ).not.toThrow()
  expect(() => refuseTwins([one, { ...one, platformAccountId: "2" }, { ...one }])).toThrow(RangeError)
})

describe("a search", () => {
  const account = {
    handle: "AnnDev",
    displayName: "Ann É Dev",
    metadata: { page: "My_Page 100%", city: "Åre" },
  }

  test("finds a part of handle, display name or any metadata value, whatever the case of ASCII letters", () => {
    for (const query of ["anndev", "ANNDEV", "n É d", "my_page", "100%", "åre".toUpperCase(), ""]) {
      expect(searchText(account)).toContain(searchFold(query))
    }
  })

  test("does not fold other letters, and reads % and _ as themselves", () => {
    for (const query of ["é", "åre", "a_ndev", "an%dev", "myxpage"]) {
      expect(searchText(account)).not.toContain(searchFold(query))
    }
  })

  test("never matches across two values, whatever is in them", () => {
    expect(searchText({ handle: null, displayName: null, metadata: {} })).toBe("")
    fc.assert(
      fc.property(fc.array(anyText, { minLength: 1, maxLength: 4 }), anyText, (values, query) => {
        const metadata = Object.fromEntries(values.map((value, i) => [`field_${i}`, value]))
        const found = searchText({ handle: null, displayName: null, metadata }).includes(searchFold(query))
        expect(found).toBe(values.some((value) => searchFold(value).includes(searchFold(query))))
      }),
    )
  })
})
