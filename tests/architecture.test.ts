import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"

const root = join(import.meta.dir, "..")
const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => join("src", file))

/** Import text, types included: a transpiler drops `import type` and would miss most offences. */
function importsOf(file: string): readonly string[] {
  const text = readFileSync(join(root, file), "utf8")
  const found = [
    ...text.matchAll(
      /(?:^|\n)(?:import|export)\b[^"']*?from\s*["']([^"']+)["']|import\(["']([^"']+)["']\)|(?:^|\n)import\s+["']([^"']+)["']/g,
    ),
  ]
  return found.map((m) => m[1] ?? m[2] ?? m[3] ?? "")
}

function target(file: string, specifier: string): string {
  return specifier.startsWith(".")
    ? relative(root, normalize(join(root, dirname(file), specifier)))
    : specifier
}

/** The room a file is in: domain, ports, application, adapters/<name>, or its own name at the top. */
function room(path: string): string {
  const [, first = "", second = ""] = path.split("/")
  return first === "adapters" ? `adapters/${second}` : first
}

function allowed(from: string, to: string): boolean {
  if (from === "main.ts" || from === to) return true
  if (from === "cli.ts") return to === "main.ts"
  if (from === "domain") return false
  if (from === "ports") return to === "domain"
  if (from === "application") return to === "domain" || to === "ports"
  if (from === "config.ts") return to === "domain"
  return (
    to === "domain" ||
    to === "ports" ||
    ((from === "adapters/http" || from === "adapters/cli") && to === "application")
  )
}

describe("imports point inwards", () => {
  test.each(files)("%s", (file) => {
    const from = room(file)
    for (const specifier of importsOf(file)) {
      const to = target(file, specifier)
      if (to.startsWith("src/")) {
        expect(allowed(from, room(to)), `${file} imports ${to}`).toBe(true)
        expect(
          to.endsWith(".ts") || to.endsWith(".sql") || to.endsWith(".json"),
          `${file} names the very file: ${specifier}`,
        ).toBe(true)
      } else if (!from.startsWith("adapters/") && from !== "main.ts") {
        expect.unreachable(`${file} imports the package ${specifier}`)
      } else if (specifier === "arctic" || specifier.startsWith("arctic/")) {
        expect(from, `${file} imports arctic`).toBe("adapters/arctic")
      }
    }
  })
})

test("the core uses web-standard APIs alone", () => {
  const outer = ["src/main.ts", "src/cli.ts"]
  for (const file of files.filter((file) => !file.startsWith("src/adapters/") && !outer.includes(file))) {
    expect(readFileSync(join(root, file), "utf8"), file).not.toMatch(
      /\bBun\.|["']node:|["']bun:|\bprocess\.[a-z]/,
    )
  }
})

test("nothing in src escapes the type checker or is left for later", () => {
  for (const file of files) {
    expect(readFileSync(join(root, file), "utf8"), file).not.toMatch(
      /: any\b|\bas any\b|@ts-(ignore|expect-error|nocheck)|\b(TODO|FIXME|XXX|HACK)\b/,
    )
  }
})

/** What is loaded before the first answer: all that static imports reach, types and dynamic imports left out. */
function loadedAtStart(): ReadonlySet<string> {
  const transpiler = new Bun.Transpiler({ loader: "ts" })
  const reached = new Set(["src/cli.ts"])
  for (const file of reached) {
    if (!file.startsWith("src/")) continue
    for (const { kind, path } of transpiler.scanImports(readFileSync(join(root, file), "utf8"))) {
      if (kind === "import-statement") reached.add(target(file, path))
    }
  }
  return reached
}

test("a start loads no package, and no built-in module that loads many, but what its first answer needs", () => {
  const packages = [...loadedAtStart()].filter((name) => !name.startsWith("src/"))
  // Each further one is paid for by every start: time it (`bun run bench startup`) before adding it here.
  expect(packages.toSorted()).toEqual(["elysia", "node:fs", "node:path"])
})

test("a start loads no store, none of the providers, no management, and nothing that only some installations use", () => {
  const rooms = new Set([...loadedAtStart()].filter((name) => name.startsWith("src/")).map(room))
  for (const later of ["arctic", "memory", "sqlite", "postgres", "webhooks"])
    expect(rooms).not.toContain(`adapters/${later}`)
  expect(loadedAtStart()).not.toContain("src/adapters/sandbox/sandbox.ts")
  expect(loadedAtStart()).not.toContain("src/adapters/cli/commands.ts")
  expect(loadedAtStart()).not.toContain("src/adapters/http/management-app.ts")
  expect(loadedAtStart()).not.toContain("src/application/management.ts")
})
