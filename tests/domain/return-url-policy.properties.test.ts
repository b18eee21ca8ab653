import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ConnectError } from "../../src/domain/errors.ts"
import {
  type ReturnUrl,
  ReturnUrlPolicy,
  returnUrlEntryFault,
  withResult,
} from "../../src/domain/return-url-policy.ts"
import { app, unseen, wideEntries } from "./return-url-corpus.ts"
import { refusals } from "./return-url-path-corpus.ts"

const callback = "https://mooring.example/v1/oauth/x/callback?state=s&code=c#_=_"
const entries = [`${app}/connect`, `${app}/deep/er/`, "http://localhost:3000/cb", "http://[::1]:8080"]
const narrow = new ReturnUrlPolicy(entries)
const wide = new ReturnUrlPolicy(wideEntries)

const honest = [
  `${app}/connect`,
  `${app}/connect/done?a=b`,
  `${app}/deep/er/still?next=%2Fhome&q`,
  "http://localhost:3000/cb?x",
  "http://[::1]:8080/",
]

/** What turns an honest address into something else, or is thought to. */
const dangers = [
  ..."/\\@:;?#&=%.+[]*~|^<>\"'` \t\r\n\0",
  ...Object.values(unseen),
  ...["//", "/\\", "/../", "/./", "..", "/..;/", "..%3b", "%2e%2e", "%2E/", "%2f", "%252f", "%25%32%66"],
  ...["%5c", "%00", "%0a", "%25", "%41", "%c0%af", "%c2%85", "%e2%80%8b", "%u002f", "%", "%2"],
  ...["https:", "http:", "https://", "javascript:", "@evil.example", ".evil.example", "evil.example/"],
  ...[":443", ":0443", ":8443", ":0", "127.1", "0x7f.1", "[::1]", "localhost", "xn--", "A", "K", "connect"],
  ...[
    "?a=b?",
    "&&",
    ";connected=x",
    "&connected",
    "&oauth_error=y",
    "&connect_code=z",
    "%63onnected",
    "connected[]=",
    "#x",
  ],
  ...["é", "ß", "\u212A", "\u3002", "\uFF0F", "\uFF0E", "\uFF20", "\u2100", "\u{1F680}", "\uFFFD"],
]

const mutation = fc.record({
  at: fc.nat(70),
  cut: fc.constantFrom(0, 0, 0, 1, 3),
  put: fc.constantFrom(...dangers),
})

/** An honest address, or one known to be refused, with up to four dangerous pieces put in anywhere. */
const address = fc
  .tuple(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...honest) },
      { weight: 1, arbitrary: fc.constantFrom(...refusals.flatMap(({ addresses }) => addresses)) },
    ),
    fc.array(mutation, { maxLength: 4 }),
  )
  .map(([text, mutations]) =>
    mutations.reduce((mutated, { at, cut, put }) => {
      const place = at % (mutated.length + 1)
      return mutated.slice(0, place) + put + mutated.slice(place + cut)
    }, text),
  )

const anyText = fc.oneof(address, fc.string({ unit: "binary", maxLength: 60 }), fc.string({ maxLength: 60 }))

/** The address accepted, or undefined; anything but the one refusal is a defect. */
function accepted(policy: ReturnUrlPolicy, raw: string): ReturnUrl | undefined {
  try {
    return policy.accept(raw)
  } catch (error) {
    if (error instanceof ConnectError && error.code === "return_url_refused") return undefined
    throw error
  }
}

/** Runs a check on every address that a policy accepts, and makes sure that there were enough of them. */
function forAccepted(
  policy: ReturnUrlPolicy,
  check: (url: ReturnUrl, raw: string) => void,
  runs = 4000,
): void {
  let count = 0
  fc.assert(
    fc.property(address, (raw) => {
      const url = accepted(policy, raw)
      if (url === undefined) return
      count++
      check(url, raw)
    }),
    { numRuns: runs },
  )
  expect(count).toBeGreaterThan(runs / 40)
}

/** RFC 3986 appendix B: the second parser, which knows nothing of WHATWG's repairs. */
function splitByRfc3986(text: string) {
  const [, scheme = "", authority = "", path = "", query, fragment] =
    /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text) ?? []
  return { scheme, authority, path, query, fragment }
}

/** Whether a path is within an entry's, told segment by segment and not by the prefix of a text. */
function isWithin(path: string, entryPath: string): boolean {
  const wanted = entryPath.replace(/\/$/, "").split("/")
  const given = path.split("/")
  if (entryPath.endsWith("/") && given.length <= wanted.length) return false
  return wanted.every((segment, i) => given[i] === segment)
}

describe("whatever a policy accepts", () => {
  test("takes a browser to an allowed origin and path, and nowhere else", () => {
    forAccepted(narrow, (url) => {
      const location = withResult(url, { connected: "x" })
      const reached = new URL(location, callback)
      const covering = entries
        .map((entry) => new URL(entry))
        .filter((entry) => entry.origin === reached.origin && isWithin(reached.pathname, entry.pathname))
      expect(covering, location).not.toBeEmpty()
      expect(reached.username + reached.password).toBe("")
    })
  })

  test("reads the same to a parser that follows RFC 3986", () => {
    forAccepted(wide, (url) => {
      const location = withResult(url, { connected: "x" })
      const { scheme, authority, path, query, fragment } = splitByRfc3986(location)
      const reached = new URL(location)
      expect(`${scheme}://${authority}`).toBe(reached.origin)
      expect(path).toBe(reached.pathname)
      expect(`?${query}`).toBe(reached.search)
      expect(fragment).toBeUndefined()
      expect(path.split("/")).not.toContain("..")
      expect(path.split("/")).not.toContain(".")
    })
  })

  test("is printable ASCII of at most 2,048 characters, without backslash, fragment or user info", () => {
    forAccepted(wide, (url) => {
      expect(url).toMatch(/^[\x21-\x7E]+$/)
      expect(url).not.toMatch(/[\\#]/)
      expect(splitByRfc3986(url).authority).toMatch(/^[a-z0-9._-]+(:[1-9]\d*)?$|^\[::1\]:8080$/)
      expect(url.length).toBeLessThanOrEqual(2048)
    })
  })

  test("keeps its segments however often its path is decoded", () => {
    forAccepted(wide, (url) => {
      const { path } = splitByRfc3986(url)
      const shape = (text: string) => text.replace(/[^/.\\]/g, "")
      let layer = Buffer.from(path, "latin1")
      for (let round = 0; round < 10; round++) {
        layer = Buffer.from(unescapeBytes(layer.toString("latin1")), "latin1")
        expect(shape(layer.toString("latin1"))).toBe(shape(path))
        expect(layer.toString("utf8")).not.toMatch(/\p{Cc}|(^|\/)\.+;/u)
      }
    })
  })

  test("is accepted again as it is, unchanged", () => {
    forAccepted(wide, (url) => {
      expect<string | undefined>(accepted(wide, url)).toBe(url)
      expect(wide.stillCovers(url)).toBe(true)
    })
  })

  test("carries exactly the result, which URLSearchParams reads, behind all that was there", () => {
    forAccepted(wide, (url) => {
      for (const result of [
        { connected: "x" },
        { connected: "x", connect_code: "c" },
        { oauth_error: "a b&c=d#é" },
      ]) {
        const location = withResult(url, result)
        const before = [...new URL(url).searchParams]
        expect(location).toStartWith(url)
        expect([...new URL(location).searchParams]).toEqual([...before, ...Object.entries(result)])
        expect(
          before.filter(([name]) => ["connected", "connect_code", "oauth_error"].includes(name)),
        ).toEqual([])
      }
    })
  })
})

function unescapeBytes(text: string): string {
  return text.replace(/%[0-9a-f]{2}/gi, (triplet) =>
    String.fromCharCode(Number.parseInt(triplet.slice(1), 16)),
  )
}

test("any text at all is accepted or refused, and never anything else", () => {
  fc.assert(
    fc.property(anyText, (raw) => {
      accepted(wide, raw)
      accepted(ReturnUrlPolicy.loopback(), raw)
      returnUrlEntryFault(raw)
    }),
    { numRuns: 4000 },
  )
})

test("whatever may be an entry covers itself", () => {
  let count = 0
  fc.assert(
    fc.property(address, (entry) => {
      if (returnUrlEntryFault(entry) !== undefined) return
      count++
      expect<string>(new ReturnUrlPolicy([entry]).accept(entry)).toBe(new URL(entry).href)
    }),
    { numRuns: 4000 },
  )
  expect(count).toBeGreaterThan(100)
})

test("whatever the loopback policy accepts stays on this machine", () => {
  const policy = ReturnUrlPolicy.loopback()
  forAccepted(policy, (url) => {
    expect(["localhost", "127.0.0.1", "[::1]"]).toContain(new URL(url).hostname)
    expect(splitByRfc3986(url).authority).toMatch(/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/)
    expect(policy.stillCovers(url)).toBe(true)
  })
})

describe("no honest tenant is refused:", () => {
  const segment = fc.stringMatching(/^[A-Za-z0-9_~!$&'()*+,;=:@-]{1,12}$/)
  const words = fc
    .string({ unit: "grapheme", maxLength: 12 })
    .map((text) => text.replace(/[\p{Cc}./\\]/gu, ""))

  test("plain segments below an entry, with a query", () => {
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), fc.webQueryParameters(), (segments, query) => {
        const raw = `${[`${app}/connect`, ...segments].join("/")}${query && `?${query}`}`
        expect<string>(narrow.accept(raw)).toBe(new URL(raw).href)
      }),
      { numRuns: 1000 },
    )
  })

  test("text of any language, percent-encoded, in path and query", () => {
    fc.assert(
      fc.property(words, (text) => {
        const raw = `${app}/connect/${encodeURIComponent(text)}?q=${encodeURIComponent(text)}`
        expect<string>(narrow.accept(raw)).toBe(new URL(raw).href)
      }),
      { numRuns: 1000 },
    )
  })
})
