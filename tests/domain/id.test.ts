import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type IdPrefix, idRandomBytes, isId, newId } from "../../src/domain/id.ts"

const prefixes: readonly IdPrefix[] = ["oa", "acc", "flow", "key", "evt"]
const prefix = fc.constantFrom(...prefixes)
const random = fc.uint8Array({ minLength: idRandomBytes, maxLength: idRandomBytes })
const time = fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true })

describe("an id", () => {
  test("sorts as text in the order of creation, whatever its random part", () => {
    fc.assert(
      fc.property(prefix, time, time, random, random, (kind, one, other, a, b) => {
        fc.pre(one.getTime() !== other.getTime())
        const [earlier, later] = one < other ? [one, other] : [other, one]
        expect(newId(kind, earlier, a) < newId(kind, later, b)).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  test("sorts by the very millisecond", () => {
    const least = new Uint8Array(idRandomBytes)
    const greatest = least.map(() => 255)
    for (const moment of [0, 255, 256, 65_535, 2 ** 32 - 1, 1_795_000_000_000]) {
      expect(newId("evt", new Date(moment), greatest) < newId("evt", new Date(moment + 1), least)).toBe(true)
    }
  })

  test("is its prefix and 36 characters that no one confuses, and is known as an id", () => {
    fc.assert(
      fc.property(prefix, time, random, (kind, now, bytes) => {
        const id = newId(kind, now, bytes)
        expect(id).toMatch(new RegExp(`^${kind}_[0-9a-z]{36}$`))
        expect(id.slice(kind.length)).not.toMatch(/[ilou]/)
        expect(isId(kind, id)).toBe(true)
      }),
    )
  })

  test("loses no bit: other bytes or another moment make another id", () => {
    fc.assert(
      fc.property(
        time,
        random,
        fc.nat(idRandomBytes - 1),
        fc.integer({ min: 1, max: 255 }),
        (now, a, at, flip) => {
          const b = a.map((byte, i) => (i === at ? byte ^ flip : byte))
          expect(newId("acc", now, a)).not.toBe(newId("acc", now, b))
          expect(newId("acc", now, a)).not.toBe(newId("acc", new Date(now.getTime() + 1), a))
        },
      ),
    )
  })

  test("spells its bytes in Crockford's base 32", () => {
    const ascending = Uint8Array.from({ length: idRandomBytes }, (_, i) => i)
    expect(newId("oa", new Date(0), new Uint8Array(idRandomBytes))).toBe(`oa_${"0".repeat(36)}`)
    expect(newId("oa", new Date(2 ** 48 - 1), new Uint8Array(idRandomBytes).fill(255))).toBe(
      `oa_${"z".repeat(35)}g`,
    )
    expect(newId("flow", new Date("2026-11-22T00:00:00Z"), ascending)).toBe(
      `flow_${crockford(new Date("2026-11-22T00:00:00Z"), ascending)}`,
    )
  })

  test.each([0, 15, 17, 32])("is not made from %i random bytes", (count) => {
    expect(() => newId("oa", new Date(0), new Uint8Array(count))).toThrow("16 random bytes")
  })
})

/** The same by way of one big number, five bits at a time. */
function crockford(now: Date, bytes: Uint8Array): string {
  const number = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), BigInt(now.getTime()))
  return Array.from({ length: 36 }, (_, i) => {
    const digit = Number(((number << 4n) >> BigInt(5 * (35 - i))) & 31n)
    return "0123456789abcdefghjkmnpqrstvwxyz"[digit] ?? ""
  }).join("")
}

describe("not an id", () => {
  const good = newId("acc", new Date(0), new Uint8Array(idRandomBytes).fill(90))
  const body = good.slice("acc_".length)
  test.each([
    "",
    "acc",
    "acc_",
    body,
    `_${body}`,
    `oa_${body}`,
    `ACC_${body}`,
    `acc-${body}`,
    `acc__${body}`,
    ` ${good}`,
    `${good} `,
    `${good}\n`,
    `${good}\0`,
    good.slice(0, -1),
    `${good}0`,
    `acc_${body.toUpperCase()}`,
    ...["i", "l", "o", "u", "-", "_", "%", "é", "\u0661"].map(
      (c) => `acc_${body.slice(0, 10)}${c}${body.slice(11)}`,
    ),
    ...["1", "h", "z"].map((last) => `${good.slice(0, -1)}${last}`), // bits that no byte has
    `acc_${"'; drop table accounts; --".padEnd(36, "0")}`,
    "__proto__",
  ])("%p", (text) => {
    expect(isId("acc", text)).toBe(false)
  })

  test("any text that is not of its form", () => {
    fc.assert(
      fc.property(prefix, fc.string(), (kind, text) => {
        expect(isId(kind, text)).toBe(false)
      }),
    )
  })

  test("another kind's", () => {
    for (const kind of prefixes) expect(isId(kind, good)).toBe(kind === "acc")
  })
})
