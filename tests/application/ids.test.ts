import { describe, expect, test } from "bun:test"
import { randomPool } from "../../src/adapters/crypto/random-pool.ts"
import { ids } from "../../src/application/ids.ts"
import { newId } from "../../src/domain/id.ts"

describe("ids", () => {
  test("come in the order they were made in, beyond a full sequence and over a clock that steps back", () => {
    let now = 1_700_000_000_000
    const newIdOf = ids({ now: () => new Date(now), randomBytes: randomPool() })
    const made: string[] = []
    for (let i = 0; i < 70_000; i++) made.push(newIdOf("evt"))
    for (const step of [-5000, 1, 0, 6000, -1]) {
      now += step
      for (let i = 0; i < 300; i++) made.push(newIdOf("evt"))
    }
    expect(made).toEqual(made.toSorted())
    expect(new Set(made).size).toBe(made.length)
  })
  test("of flows keep all their random bits", () => {
    const random = new Uint8Array(16).fill(0xff)
    const now = new Date(1_700_000_000_000)
    const newIdOf = ids({ now: () => now, randomBytes: () => random.slice() })
    expect(newIdOf("flow")).toBe(newId("flow", now, random))
    expect(newIdOf("evt").slice(-19)).toBe(newId("evt", now, random).slice(-19))
  })
})
