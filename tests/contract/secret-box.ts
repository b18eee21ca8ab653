import { beforeEach, describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Sealed } from "../../src/domain/sealed.ts"
import { SealBroken, type SealedPlace, type SecretBox } from "../../src/ports/crypto.ts"

const place: SealedPlace = {
  tenant: "acme",
  table: "accounts",
  row: "live/x/2244994945",
  column: "access_token",
}
const secret = "fake-secret-that-no-message-may-show"

/** What every `SecretBox` promises. `open` gives a box of its own keys, others than those of any box before it. */
export function secretBoxContract(adapter: string, open: () => SecretBox): void {
  describe(`${adapter} keeps the secret box contract`, () => {
    let box: SecretBox
    beforeEach(() => {
      box = open()
    })

    /** Held to the promise that a failure names no secret, whatever was tried. */
    async function expectBroken(
      sealed: string,
      where: SealedPlace = place,
      of: SecretBox = box,
    ): Promise<void> {
      const fault = await of.open(sealed as Sealed, where).then(
        (opened) => new Error(`opened: ${opened}`),
        (error: unknown) => error,
      )
      expect(fault).toBeInstanceOf(SealBroken)
      expect((fault as SealBroken).message).not.toContain(secret)
      expect((fault as SealBroken).cause).toBeUndefined()
      if (sealed.length >= 24) expect((fault as SealBroken).message).not.toContain(sealed.slice(-24))
    }

    test.each([
      ["nothing", ""],
      ["a letter", "a"],
      ["a secret", secret],
      ["letters of every kind", "😀 e\u0301 \0 \n"],
      ["a long text", "x".repeat(100_000)],
    ])("what was sealed opens again: %s", async (_, text) => {
      expect(await box.open(await box.seal(text, place), place)).toBe(text)
    })

    test("whatever the lengths of the text and of its place, and whatever is opened beside it", async () => {
      const text = fc.string({ unit: "grapheme", minLength: 0, maxLength: 6000, size: "max" })
      const cases = fc.array(fc.tuple(text, fc.string({ maxLength: 2000, size: "max" })), {
        minLength: 1,
        maxLength: 4,
      })
      await fc.assert(
        fc.asyncProperty(cases, async (given) => {
          const sealed = await Promise.all(given.map(([text, row]) => box.seal(text, { ...place, row })))
          const opened = await Promise.all(
            given.map(([, row], i) => box.open(sealed[i] as Sealed, { ...place, row })),
          )
          expect(opened).toEqual(given.map(([text]) => text.toWellFormed()))
        }),
        { numRuns: 100, endOnFailure: true },
      )
    })

    test("a sealed text does not show what it holds", async () => {
      const sealed = await box.seal(secret, place)
      expect(sealed).not.toContain(secret)
      expect(Buffer.from(sealed, "base64url").toString("latin1")).not.toContain(secret)
    })

    test("two seals of the same secret differ", async () => {
      const seals = await Promise.all(Array.from({ length: 100 }, () => box.seal(secret, place)))
      expect(new Set(seals).size).toBe(100)
    })

    test.each([
      ["tenant", { tenant: "globex" }],
      ["tenant that begins alike", { tenant: "acme " }],
      ["table", { table: "oauth_apps" }],
      ["row", { row: "test/x/2244994945" }],
      ["column", { column: "refresh_token" }],
      ["place that runs together with it", { row: "live/x/22449949", column: "45access_token" }],
    ] as const)("a seal does not open in another %s", async (_, change) => {
      await expectBroken(await box.seal(secret, place), { ...place, ...change })
      await expectBroken(await box.seal(secret, { ...place, ...change }), place)
    })

    test("a seal does not open under another's keys", async () => {
      await expectBroken(await box.seal(secret, place), place, open())
    })

    test("a seal with any one character altered does not open", async () => {
      const sealed = await box.seal(secret, place)
      for (let i = 0; i < sealed.length; i++) {
        for (const other of ["A", "B", "-", ".", "=", "\n"]) {
          if (sealed[i] !== other) await expectBroken(sealed.slice(0, i) + other + sealed.slice(i + 1))
        }
      }
    })

    test("a seal that is cut, stretched or spelt in another way does not open", async () => {
      const sealed = await box.seal(secret, place)
      for (let i = 0; i < sealed.length; i++) await expectBroken(sealed.slice(0, i))
      for (const tail of ["A", "AAAA", "=", "==", ".", ".A", " ", "\n", "\0", "!"])
        await expectBroken(sealed + tail)
      for (const head of [" ", "v1.", "\ufeff", "\n"]) await expectBroken(head + sealed)
    })

    test("two seals cannot be made into a third", async () => {
      const [one, other] = [await box.seal(secret, place), await box.seal(secret, place)]
      for (let i = 1; i < one.length; i++) {
        const mixed = one.slice(0, i) + other.slice(i)
        if (mixed !== one && mixed !== other) await expectBroken(mixed)
      }
    })

    test("garbage does not open", async () => {
      const garbage = [
        "",
        ".",
        "..",
        "...",
        secret,
        `v1.${secret}`,
        `v1..${secret}`,
        "null",
        "{}",
        "v1.x.",
        "\0",
        "v0.a.b",
        "😀",
      ]
      for (const text of garbage) await expectBroken(text)
    })
  })
}
