import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  abandonedFailure,
  type ConnectFlow,
  confirmLifetimeMs,
  exchangeLimitMs,
  exchangeWasLost,
  type FlowStatus,
  flowLifetimeMs,
  flowStatus,
  formatState,
  hasExpired,
  maxStateCharacters,
  type NewFlow,
  openFlow,
  parseState,
  proofState,
  type StoredFlowStatus,
  stateMessage,
} from "../../src/domain/connect-flow.ts"
import { idRandomBytes, isId, newId } from "../../src/domain/id.ts"
import { remedy } from "../../src/domain/oauth-error.ts"
import { providerNames } from "../../src/domain/provider.ts"

const start = new Date("2026-11-22T12:00:00.000Z")
const after = (milliseconds: number) => new Date(start.getTime() + milliseconds)

const asked: NewFlow = {
  id: newId("flow", start, new Uint8Array(idRandomBytes).fill(7)),
  tenant: "acme",
  environment: "live",
  provider: "x",
  oauthAppId: "oa_1",
  redirectUri: "https://mooring.example/v1/oauth/x/callback",
  scopes: ["tweet.read"],
  options: { hosts: "x.com" },
  returnUrl: null,
  reference: "user-42",
  reconnectAccountId: null,
  codeVerifier: null,
  select: false,
  proof: false,
  startedBy: "key:key_1",
}

describe("a flow that opens", () => {
  test("is pending for ten minutes, with nothing done yet, and is otherwise what was asked", () => {
    expect(openFlow(asked, start)).toEqual({
      ...asked,
      status: "pending",
      failure: null,
      accountIds: [],
      calls: [],
      callbackMac: null,
      createdAt: start,
      expiresAt: after(10 * 60_000),
      takenAt: null,
      completedAt: null,
    })
  })

  test("lives no longer than security allows", () => {
    expect(flowLifetimeMs).toBeLessThanOrEqual(10 * 60_000)
  })

  test("takes no outcome from whoever opens it", () => {
    const sly = { ...asked, status: "connected", accountIds: ["acc_1"], expiresAt: after(1e12) } as NewFlow
    expect(openFlow(sly, start)).toEqual(openFlow(asked, start))
  })

  test("has an id of its kind", () => {
    expect(isId("flow", asked.id)).toBe(true)
  })
})

test.each([
  [-1, false],
  [0, true],
  [1, true],
])("%i ms from its expiry a flow has expired: %p", (offset, expired) => {
  expect(hasExpired({ expiresAt: start }, after(offset))).toBe(expired)
})

describe("an exchange is taken for lost", () => {
  test.each([
    ["exchanging", exchangeLimitMs - 1, false],
    ["exchanging", exchangeLimitMs, true],
    ["exchanging", exchangeLimitMs + 1, true],
    ["pending", exchangeLimitMs, false],
    ["connected", exchangeLimitMs, false],
    ["failed", exchangeLimitMs, false],
    ["expired", exchangeLimitMs, false],
  ] as const)("when %s, %i ms after it was taken: %p", (status, offset, lost) => {
    expect(exchangeWasLost({ status, takenAt: start }, after(offset))).toBe(lost)
  })

  test("never when it was not taken", () => {
    expect(exchangeWasLost({ status: "exchanging", takenAt: null }, after(1e12))).toBe(false)
  })

  test("within a minute, and not before a callback has had its 15 seconds", () => {
    expect(exchangeLimitMs).toBeLessThan(60_000)
    expect(exchangeLimitMs).toBeGreaterThan(15_000)
  })
})

describe("what a tenant sees of a flow", () => {
  const taken = after(flowLifetimeMs - 1)
  const lostAt = flowLifetimeMs - 1 + exchangeLimitMs
  const rows: readonly (readonly [StoredFlowStatus, takenAt: Date | null, at: number, FlowStatus])[] = [
    ["pending", null, 0, "pending"],
    ["pending", null, flowLifetimeMs - 1, "pending"],
    ["pending", null, flowLifetimeMs, "expired"],
    ["pending", null, 1e12, "expired"],
    ["exchanging", taken, flowLifetimeMs - 1, "pending"],
    ["exchanging", taken, flowLifetimeMs, "pending"], // taken in time: its expiry no longer counts
    ["exchanging", taken, lostAt - 1, "pending"],
    ["exchanging", taken, lostAt, "failed"],
    ["exchanging", taken, 1e12, "failed"],
    ["choosing", taken, flowLifetimeMs - 1, "pending"],
    ["choosing", taken, flowLifetimeMs, "expired"],
    ["confirming", taken, flowLifetimeMs - 1, "pending"],
    ["confirming", taken, flowLifetimeMs, "expired"],
    ["connected", taken, 0, "connected"],
    ["connected", taken, 1e12, "connected"],
    ["failed", taken, 0, "failed"],
    ["failed", taken, 1e12, "failed"],
    ["expired", null, 0, "expired"],
    ["expired", null, 1e12, "expired"],
  ]
  test.each(rows)("stored %s, taken %p, %i ms after start: %s", (status, takenAt, at, seen) => {
    const flow: ConnectFlow = { ...openFlow(asked, start), status, takenAt }
    expect(flowStatus(flow, after(at))).toBe(seen)
  })
})

describe("a flow that nobody ended", () => {
  const left = ["pending", "choosing", "confirming", "exchanging"] as const

  test("ends for the reason that belongs to how it was left", () => {
    const reasons = left.map((status) => abandonedFailure({ status, provider: "x" }).reason)
    expect(reasons).toEqual(["no_response", "no_response", "no_response", "server_error"])
  })

  test("says each time what to do, in one plain line", () => {
    const details = left.map((status) => abandonedFailure({ status, provider: "x" }).detail)
    expect(new Set(details).size).toBe(left.length)
    for (const detail of details) expect(detail).toMatch(/^[A-Z][\x20-\x7E]{39,318}\.$/)
    expect(details[0]).toBe(remedy("no_response", "x"))
    expect(details[1]).toContain("choose")
    expect(details[2]).toMatch(/ten minutes.*\/confirm from your backend with the connect_code/)
  })
})

describe("the proof of a flow", () => {
  const flow = (status: StoredFlowStatus, left?: StoredFlowStatus) => ({
    ...openFlow({ ...asked, proof: true }, start),
    status,
    failure: left ? abandonedFailure({ status: left, provider: "x" }) : null,
  })
  test.each([
    [flow("pending"), "required"],
    [flow("exchanging"), "required"],
    [flow("choosing"), "required"],
    [flow("confirming"), "awaited"],
    [flow("connected"), "confirmed"],
    [flow("failed", "exchanging"), "required"],
    [flow("expired", "pending"), "required"],
    [flow("expired", "choosing"), "required"],
    [flow("expired", "confirming"), "awaited"],
  ] as const)("is where its status and end say: %#", (given, state) => {
    expect(proofState(given)).toBe(state)
    expect(proofState({ ...given, proof: false })).toBeNull()
  })

  test("may be awaited for ten minutes", () => {
    expect(confirmLifetimeMs).toBe(10 * 60_000)
  })
})

const moment = fc.date({ min: new Date(0), max: new Date("5000-01-01"), noInvalidDate: true })
const bytes = (count: number) => fc.uint8Array({ minLength: count, maxLength: count })
const state = fc.record({
  flowId: fc.tuple(moment, bytes(idRandomBytes)).map(([now, random]) => newId("flow", now, random)),
  expiresAt: moment,
  mac: bytes(32).map((mac) => mac.toBase64({ alphabet: "base64url", omitPadding: true })),
})

describe("a state", () => {
  test("reads back as it was written, in at most 128 characters that a URL need not escape", () => {
    fc.assert(
      fc.property(state, (parts) => {
        const text = formatState(parts)
        expect(parseState(text)).toEqual(parts)
        expect(text.length).toBeLessThanOrEqual(maxStateCharacters)
        expect(encodeURIComponent(text)).toBe(text)
      }),
      { numRuns: 500 },
    )
    expect(maxStateCharacters).toBe(128)
  })

  test("is read only in the one spelling it was written in", () => {
    const place = fc.nat(90)
    const put = fc.oneof(fc.constantFrom(..."0gzA-_.=+/ \n\0é", ""), fc.string({ maxLength: 3 }))
    fc.assert(
      fc.property(state, place, fc.nat(2), put, (parts, at, cut, piece) => {
        const text = formatState(parts)
        const altered = text.slice(0, at) + piece + text.slice(at + cut)
        const read = parseState(altered)
        if (read) expect(formatState(read)).toBe(altered)
        if (read && altered !== text) expect(read).not.toEqual(parts)
      }),
      { numRuns: 2000 },
    )
  })

  test("is never thrown at, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.stringMatching(/^[a-z.]*$/)),
        (text) => {
          const read = parseState(text)
          if (read) expect(formatState(read)).toBe(text)
        },
      ),
      { numRuns: 1000 },
    )
  })

  const good = { flowId: asked.id, expiresAt: after(flowLifetimeMs), mac: `${"m".repeat(42)}A` }
  const [body = "", expiry = "", mac = ""] = formatState(good).split(".")
  test("of the example is well formed, so that the garbled ones below differ in one thing", () => {
    expect(parseState([body, expiry, mac].join("."))).toEqual(good)
  })

  test.each([
    ["nothing", ""],
    ["dots alone", ".."],
    ["two parts", `${body}.${expiry}`],
    ["four parts", `${body}.${expiry}.${mac}.`],
    ["a prefix", `flow_${body}.${expiry}.${mac}`],
    ["an upper-case id", `${body.toUpperCase()}.${expiry}.${mac}`],
    ["an id too short", `${body.slice(1)}.${expiry}.${mac}`],
    ["an id with bits to spare", `${body.slice(0, -1)}1.${expiry}.${mac}`],
    ["no expiry", `${body}..${mac}`],
    ["an upper-case expiry", `${body}.${expiry.toUpperCase()}.${mac}`],
    ["an expiry with a leading zero", `${body}.0${expiry}.${mac}`],
    ["an expiry beyond all dates", `${body}.${"z".repeat(12)}.${mac}`],
    ["a negative expiry", `${body}.-${expiry}.${mac}`],
    ["a MAC too short", `${body}.${expiry}.${mac.slice(1)}`],
    ["a MAC too long", `${body}.${expiry}.${mac}A`],
    ["a padded MAC", `${body}.${expiry}.${mac}=`],
    ["a MAC in the other base64 alphabet", `${body}.${expiry}.+${mac.slice(1)}`],
    ["a MAC with bits to spare", `${body}.${expiry}.${mac.slice(0, -1)}B`],
    ["a line feed behind", `${body}.${expiry}.${mac}\n`],
    ["a space before", ` ${body}.${expiry}.${mac}`],
    ["a megabyte", "a".repeat(1_000_000)],
    ["a megabyte of dots", ".".repeat(1_000_000)],
  ])("is not read from %s", (_, text) => {
    expect(parseState(text)).toBeUndefined()
  })
})

test("what is signed tells any two states apart, and any two providers", () => {
  const provider = fc.constantFrom(...providerNames)
  fc.assert(
    fc.property(provider, provider, state, state, (p, q, a, b) => {
      const same = p === q && a.flowId === b.flowId && a.expiresAt.getTime() === b.expiresAt.getTime()
      expect(stateMessage(p, a.flowId, a.expiresAt) === stateMessage(q, b.flowId, b.expiresAt)).toBe(same)
    }),
  )
  for (const p of providerNames) {
    for (const q of providerNames) {
      expect(stateMessage(p, asked.id, start) === stateMessage(q, asked.id, start)).toBe(p === q)
    }
  }
  expect(stateMessage("x", asked.id, start)).not.toBe(stateMessage("x", asked.id, after(1)))
  const other = newId("flow", start, new Uint8Array(idRandomBytes).fill(8))
  expect(stateMessage("x", asked.id, start)).not.toBe(stateMessage("x", other, start))
})
