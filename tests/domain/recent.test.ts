import { describe, expect, test } from "bun:test"
import { recent } from "../../src/domain/recent.ts"

describe("what was asked for last", () => {
  const names = (from: number, until: number) =>
    Array.from({ length: until - from }, (_, i) => String(from + i))

  test("is kept, so many at least and twice as many at most", () => {
    const kept = recent<string>(100)
    for (const name of names(0, 1000)) kept.set(name, name)
    expect(names(900, 1000).map(kept.get)).toEqual(names(900, 1000))
    expect(names(0, 800).filter((name) => kept.get(name) !== undefined)).toEqual([])
  })

  test("stays while it is asked for, whatever comes besides", () => {
    const kept = recent<string>(100)
    kept.set("asked for", "yes")
    for (const name of names(0, 1000)) {
      kept.set(name, name)
      expect(kept.get("asked for")).toBe("yes")
    }
  })

  test("is gone when it is deleted or all is cleared, however long it was kept", () => {
    for (const later of [0, 60]) {
      const kept = recent<string>(50)
      kept.set("old", "yes")
      for (const name of names(0, later)) kept.set(name, name)
      expect(kept.get("old")).toBe("yes")
      for (const name of names(100, 100 + later)) kept.set(name, name)
      kept.delete("old")
      expect(kept.get("old")).toBeUndefined()
      kept.set("old", "again")
      kept.clear()
      expect(kept.get("old")).toBeUndefined()
    }
  })
})
