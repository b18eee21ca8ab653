import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { addressReader } from "../../src/adapters/http/address.ts"
import { ConnectError } from "../../src/domain/errors.ts"

/** What a Host header may bring, and what of it moves the place where a parser sees the path begin. */
const origin = fc
  .tuple(
    fc.constantFrom("http://", "https://", "http:/", ""),
    fc.oneof(
      fc.constantFrom(
        "a",
        "a.example",
        "a:3000",
        "[::1]:3000",
        "127.1",
        "A",
        "a?b",
        "a/b",
        "a\\b",
        "x@y",
        "y:99999",
      ),
      fc.constantFrom("", "a?", "a/", "a%2fb", "..", "\u00e9", "a b"),
    ),
  )
  .map((parts) => parts.join(""))
const piece = fc.constantFrom(
  "/",
  "//",
  "v1",
  "accounts",
  "a_1",
  ".",
  "..",
  "%2e",
  "%2f",
  "\\",
  ";",
  " ",
  "\u00e9",
  "@",
  "|",
)
const rest = fc
  .tuple(
    fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join("")}`),
    fc.constantFrom(
      "",
      "?",
      "?a=b",
      "?a=%2F&b=c~d.e",
      "?a=b?c",
      "?a b",
      "?'",
      "?\u00e9",
      "#a",
      "?a#b",
      "?a[]=b",
    ),
  )
  .map((parts) => parts.join(""))

function read(reader: ReturnType<typeof addressReader>, url: string) {
  try {
    const { pathname, search } = reader(url)
    return { pathname, search }
  } catch (error) {
    return error instanceof ConnectError ? error.code : error
  }
}

describe("an address", () => {
  test("is read as a parser reads it, whatever was read before it", () => {
    const expected = (url: string) => {
      const parsed = URL.parse(url)
      if (!parsed || url.includes("#")) return "invalid_input"
      return { pathname: parsed.pathname, search: parsed.search }
    }
    fc.assert(
      fc.property(
        fc.array(origin, { minLength: 1, maxLength: 2 }),
        fc.array(rest, { minLength: 1 }),
        (origins, rests) => {
          const reader = addressReader()
          for (const each of rests)
            for (const from of origins) {
              const url = from + each
              expect([url, read(reader, url)]).toEqual([url, expected(url)])
            }
        },
      ),
      { numRuns: 3000 },
    )
  })

  test("that is plain is not parsed a second time", () => {
    const reader = addressReader()
    const plain =
      "http://127.0.0.1:3000/v1/oauth/x/start?return_url=https%3A%2F%2Fapp.example.com%2Fa&reference=b"
    expect(reader("http://127.0.0.1:3000/healthz")).toBeInstanceOf(URL)
    expect(reader(plain)).not.toBeInstanceOf(URL)
    expect(reader(plain.replace("127.0.0.1", "other.example"))).toBeInstanceOf(URL)
  })
})
