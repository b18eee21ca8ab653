import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { readResults } from "./bench/harness/report.ts"
import { figuresOf, withFigures } from "./bench/table.ts"

const readme = readFileSync(join(import.meta.dir, "../README.md"), "utf8")

test("the README's figures are those of the benchmarks' kept results", () => {
  const results = readResults()
  expect([...results.keys()].toSorted()).toEqual(
    [
      "callback",
      "instances",
      "memory",
      "scale",
      "soak-postgres",
      "soak-sqlite",
      "start",
      "startup",
      "token",
    ].toSorted(),
  )
  // `bun run bench table --keep` puts them there.
  expect(withFigures(readme, figuresOf(results))).toBe(readme)
})

test("a page without a place for figures is refused, and one with it keeps all else", () => {
  const [head, foot] = readme.split(figuresOf(readResults()))
  expect(withFigures(readme, "other figures")).toBe(`${head}other figures${foot}`)
  expect(() => withFigures("# A page", "figures")).toThrow("README.md has no lines")
})
