import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { ConnectError } from "../../src/domain/errors.ts"
import { newEvent } from "../../src/domain/event.ts"
import {
  type AddressRule,
  type AttemptOutcome,
  afterAttempt,
  checkWebhookInput,
  outcomeDetail,
  type WebhookInput,
  webhookUrlFault,
} from "../../src/domain/webhook.ts"

const now = new Date("2026-11-22T10:00:00.000Z")
const second = 1000
const hour = 3600 * second
const before = (ms: number) => new Date(now.getTime() - ms)

const answered = (status: number, retryAfterSeconds: number | null = null): AttemptOutcome => ({
  kind: "answered",
  status,
  retryAfterSeconds,
})
const unreachable: AttemptOutcome = { kind: "unanswered", why: "unreachable" }

interface Told {
  readonly outcome: AttemptOutcome
  readonly attempts?: number
  readonly failingSince?: Date | null
  readonly firstAttemptAt?: Date
  readonly random?: number
}

function settle({ outcome, attempts = 1, failingSince = null, firstAttemptAt = now, random = 0.5 }: Told) {
  const attempt = { webhook: { failingSince }, delivery: { attempts, firstAttemptAt }, outcome, now, random }
  return afterAttempt(attempt, (reason) =>
    newEvent(
      {
        id: "evt_made-up",
        type: "webhook.disabled",
        at: now,
        actor: "system",
        owner: { tenant: "acme", environment: "live" },
      },
      { detail: reason },
    ),
  )
}

/** How long from now a retry and the receiver as a whole have to wait, in seconds. */
function delays(told: Told) {
  const settled = settle(told)
  if (settled.kind !== "retry") throw new Error(`it was ${settled.kind}`)
  const seconds = (time: Date | null) => time && (time.getTime() - now.getTime()) / second
  return { due: seconds(settled.dueAt), hold: seconds(settled.holdUntil) }
}

function faultsOf(input: WebhookInput, rule: AddressRule = "public") {
  try {
    checkWebhookInput(input, rule)
    return []
  } catch (error) {
    if (error instanceof ConnectError) return error.faults
    throw error
  }
}

describe("a webhook's URL", () => {
  const good = [
    "https://hooks.acme.example",
    "https://hooks.acme.example/",
    "https://hooks.acme.example:443/a/b?c=d&e",
    "HTTPS://Hooks.Acme.Example/a",
    "https://bücher.example/a",
    "https://hooks.acme.example/a@b",
    `https://hooks.acme.example/${"a".repeat(2021)}`,
  ]
  test.each(good)("may be %s", (url) => {
    expect(webhookUrlFault(url, "public")).toBeUndefined()
    expect(webhookUrlFault(url, "private")).toBeUndefined()
    expect(checkWebhookInput({ url }, "public").url).toBe(url)
  })

  test.each([
    ["", "absolute https"],
    ["hooks.acme.example", "absolute https"],
    ["/hooks", "absolute https"],
    ["https:hooks.acme.example", "absolute https"],
    ["https:///hooks.acme.example", "absolute https"],
    ["https://", "absolute https"],
    ["ftp://hooks.acme.example/", "absolute https"],
    ["javascript:alert(1)", "absolute https"],
    ["file:///etc/passwd", "absolute https"],
    ["https://hooks.acme.example:99999/", "absolute https"],
    ["https://user@hooks.acme.example/", "user info"],
    ["https://user:made-up@hooks.acme.example/", "user info"],
    ["https://@hooks.acme.example/", "user info"],
    ["https://hooks.acme.example/#a", "fragment"],
    ["https://hooks.acme.example/#", "fragment"],
    [" https://hooks.acme.example/", "white space"],
    ["https://hooks.acme.example/\n", "white space"],
    ["https://hooks.acme.example/a b", "white space"],
    ["https:\\\\hooks.acme.example/", "white space"],
    ["https://hooks.acme.example/\u0000", "white space"],
    ["https://hooks.acme.example/\u200b", "white space"],
    [`https://hooks.acme.example/${"a".repeat(2022)}`, "2048"],
  ])("may not be %p, whatever addresses are allowed", (url, words) => {
    for (const rule of ["public", "private"] as const) {
      expect(webhookUrlFault(url, rule)).toContain(words)
      expect(faultsOf({ url }, rule).map(({ field }) => field)).toEqual(["url"])
    }
  })

  test("has plain http and another port where private addresses are allowed, and there alone", () => {
    const only = ["http://hooks.acme.example/", "http://127.0.0.1:8080/a", "https://hooks.acme.example:8443/"]
    for (const url of only) {
      expect(webhookUrlFault(url, "private")).toBeUndefined()
      expect(webhookUrlFault(url, "public")).toMatch(/https address|port/)
    }
  })
})

describe("what a webhook is made of", () => {
  test("is checked with every fault at once", () => {
    const faults = faultsOf({
      url: "http://hooks.acme.example",
      events: ["account.*", "account", "token.read"],
      description: "a\u0007",
    })
    expect(faults.map(({ field }) => field)).toEqual(["url", "events[1]", "events[2]", "description"])
    expect(faults[1]?.detail).toContain("account.connected")
  })

  test("has 1 to 50 patterns, each once", () => {
    expect(faultsOf({ events: [] }).map(({ field }) => field)).toEqual(["events"])
    expect(faultsOf({ events: Array.from({ length: 51 }, () => "*") })[0]?.field).toBe("events")
    const checked = checkWebhookInput({ events: ["account.connected", "*", "account.connected"] }, "public")
    expect(checked.events).toEqual(["account.connected", "*"])
  })

  test("has a description of up to 200 characters, trimmed; an empty one is none", () => {
    expect(checkWebhookInput({ description: ` ${"a".repeat(200)} ` }, "public").description).toHaveLength(200)
    expect(faultsOf({ description: "a".repeat(201) })).toHaveLength(1)
    expect(checkWebhookInput({ description: "  " }, "public").description).toBeNull()
    expect(checkWebhookInput({ description: null }, "public").description).toBeNull()
    expect(checkWebhookInput({}, "public").description).toBeUndefined()
  })
})

describe("after an attempt", () => {
  test.each([200, 201, 202, 204, 299])("%p is delivered, however long it was failing", (status) => {
    expect(
      settle({
        outcome: answered(status),
        failingSince: before(100 * hour),
        firstAttemptAt: before(90 * hour),
      }),
    ).toEqual({ kind: "delivered", status })
  })

  test.each([100, 199, 300, 302, 400, 404, 500, 599])("%p is tried again", (status) => {
    expect(settle({ outcome: answered(status) })).toMatchObject({ kind: "retry", status, holdUntil: null })
  })

  test("410 switches the webhook off at once", () => {
    const settled = settle({ outcome: answered(410) })
    expect(settled).toMatchObject({ kind: "disabled", status: 410, since: null })
    if (settled.kind !== "disabled") throw new Error()
    expect(settled.reason).toContain("wants no more events")
    expect(settled.event).toMatchObject({ type: "webhook.disabled", detail: settled.reason })
  })

  test.each([
    [1, 5],
    [2, 30],
    [3, 120],
    [4, 300],
    [5, 900],
    [6, 1800],
    [7, 3600],
    [8, 3600],
    [500, 3600],
  ])("number %p that fails is made again after %p seconds", (attempts, seconds) => {
    expect(delays({ outcome: answered(500), attempts }).due).toBe(seconds)
    expect(delays({ outcome: answered(500), attempts, random: 0 }).due).toBeCloseTo(seconds * 0.8)
    expect(delays({ outcome: answered(500), attempts, random: 1 }).due).toBeCloseTo(seconds * 1.2)
  })

  test("a refusal of one event holds up that one alone", () => {
    expect(delays({ outcome: answered(500), failingSince: before(hour) }).hold).toBeNull()
    expect(delays({ outcome: answered(302), failingSince: before(hour) }).hold).toBeNull()
    expect(delays({ outcome: answered(503) }).hold).toBeNull()
  })

  const troubles: readonly AttemptOutcome[] = [
    answered(429),
    ...(["unresolved", "address_refused", "unreachable", "certificate_refused", "timeout"] as const).map(
      (why) => ({ kind: "unanswered", why }) as const,
    ),
  ]
  test.each(troubles)(
    "%p leaves the whole receiver alone, as long again as it has been failing",
    (outcome) => {
      expect(delays({ outcome })).toEqual({ due: 5, hold: 5 })
      expect(delays({ outcome, failingSince: before(4 * second) }).hold).toBe(5)
      expect(delays({ outcome, failingSince: before(40 * second) }).hold).toBe(40)
      expect(delays({ outcome, failingSince: before(60 * hour) }).hold).toBe(900)
    },
  )

  test("an event that gets no answer while others do is tried less and less often", () => {
    expect(delays({ outcome: unreachable, attempts: 7 })).toEqual({ due: 3600, hold: 5 })
  })

  test("an event that waits for a receiver that is down goes out as soon as any may", () => {
    expect(delays({ outcome: unreachable, attempts: 7, failingSince: before(6 * hour) })).toEqual({
      due: 900,
      hold: 900,
    })
  })

  test.each([429, 503])("%p with Retry-After is heeded within 1 second and 24 hours", (status) => {
    const after = (seconds: number) => delays({ outcome: answered(status, seconds), attempts: 7, random: 1 })
    expect(after(120)).toEqual({ due: 120, hold: 120 })
    expect(after(0)).toEqual({ due: 1, hold: 1 })
    expect(after(-5)).toEqual({ due: 1, hold: 1 })
    expect(after(86_400)).toEqual({ due: 86_400, hold: 86_400 })
    expect(after(86_401)).toEqual({ due: 86_400, hold: 86_400 })
    expect(after(999_999_999)).toEqual({ due: 86_400, hold: 86_400 })
  })

  test("Retry-After says nothing on other answers", () => {
    expect(delays({ outcome: answered(500, 120) })).toEqual({ due: 5, hold: null })
  })

  test("after 72 hours without a success the webhook is switched off, with the reason in its event", () => {
    const failing = (ms: number) => settle({ outcome: answered(503, 60), failingSince: before(ms) })
    expect(failing(72 * hour - 1).kind).toBe("retry")
    const settled = failing(72 * hour)
    if (settled.kind !== "disabled") throw new Error(settled.kind)
    expect(settled.reason).toBe(
      "No attempt has succeeded for 72 hours. The last one: The receiver answered 503. Mend it and set enabled to true; what was not delivered waits for that.",
    )
    expect(settled.event.detail).toBe(settled.reason)
    // Where somebody gets through meanwhile, it is made again as any other.
    const retried = failing(72 * hour - 1)
    if (retried.kind !== "retry") throw new Error(retried.kind)
    expect(settled).toMatchObject({ status: 503, detail: retried.detail })
    expect([settled.since, settled.dueAt, settled.holdUntil]).toEqual([
      before(72 * hour),
      retried.dueAt,
      retried.holdUntil,
    ])
  })

  test("one event that fails for 72 hours beside others that do not is given up", () => {
    const failing = (ms: number) =>
      settle({ outcome: answered(500), firstAttemptAt: before(ms), failingSince: before(hour) })
    expect(failing(72 * hour - 1).kind).toBe("retry")
    expect(failing(72 * hour)).toEqual({
      kind: "failed",
      status: 500,
      detail: "The receiver answered 500. It was given up after 72 hours.",
    })
  })
})

const anyOutcome: fc.Arbitrary<AttemptOutcome> = fc.oneof(
  fc.record({
    kind: fc.constant("answered" as const),
    status: fc.integer({ min: 100, max: 999 }),
    retryAfterSeconds: fc.option(fc.integer()),
  }),
  fc.record({
    kind: fc.constant("unanswered" as const),
    why: fc.constantFrom("unresolved", "address_refused", "unreachable", "timeout", "broken_answer"),
  }),
)

test("whatever happens, an attempt ends in something that can happen, and a retry lies ahead within a day", () => {
  const age = fc.integer({ min: 0, max: 100 * hour })
  const anyTold = fc.record({
    outcome: anyOutcome,
    attempts: fc.integer({ min: 1, max: 10_000 }),
    failingSince: fc.option(age.map(before)),
    firstAttemptAt: age.map(before),
    random: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  })
  fc.assert(
    fc.property(anyTold, (told) => {
      const settled = settle(told)
      const isGood =
        told.outcome.kind === "answered" && told.outcome.status >= 200 && told.outcome.status <= 299
      expect(settled.kind === "delivered").toBe(isGood)
      if (settled.kind !== "retry") return
      // Nothing is tried for more than 72 hours, and nothing is given up before.
      expect(now.getTime() - told.firstAttemptAt.getTime()).toBeLessThan(72 * hour)
      expect(now.getTime() - (told.failingSince ?? now).getTime()).toBeLessThan(72 * hour)
      for (const time of [settled.dueAt, settled.holdUntil ?? settled.dueAt]) {
        expect(time.getTime()).toBeGreaterThan(now.getTime())
        expect(time.getTime()).toBeLessThanOrEqual(now.getTime() + 24 * hour)
      }
      expect(settled.detail).toBe(outcomeDetail(told.outcome))
    }),
    { numRuns: 2000 },
  )
})

test("what is told of an attempt is one sentence that says what to do or to look at", () => {
  fc.assert(
    fc.property(anyOutcome, (outcome) => {
      expect(outcomeDetail(outcome)).toMatch(/^[A-Z].{15,160}\.$/)
    }),
  )
  expect(outcomeDetail(answered(301))).toContain("redirects are not followed")
})
