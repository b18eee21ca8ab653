/** Runs the whole suite and closes with the line `N passed, N failed`, counted from the runner's own report. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = mkdtempSync(join(tmpdir(), "mooring-tests-"))
const report = join(folder, "junit.xml")
// A test or its hook may be the first to need a database or a browser, and the machines are shared. On the
// command line, since a default set in code holds for the first file alone.
const timeoutMs = 60_000
const runner = Bun.spawn(
  [
    process.execPath,
    "test",
    `--timeout=${timeoutMs}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...process.argv.slice(2),
  ],
  { stdio: ["ignore", "inherit", "inherit"] },
)
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => runner.kill(signal))
const exitCode = await runner.exited

const { tests, failures } = countsOf(report)
rmSync(folder, { recursive: true, force: true })
const ok = exitCode === 0 && failures === 0 && tests > 0
// A runner that broke off without a failed test has failed all the same, and so has one that ran none.
const failed = ok ? 0 : Math.max(failures, 1)
process.stdout.write(`${Math.max(tests - failures, 0)} passed, ${failed} failed\n`)
process.exitCode = ok ? 0 : 1

function countsOf(path: string): { readonly tests: number; readonly failures: number } {
  try {
    const head = /<testsuites[^>]*>/.exec(readFileSync(path, "utf8"))?.[0] ?? ""
    const count = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0)
    return { tests: count("tests") - count("skipped"), failures: count("failures") + count("errors") }
  } catch {
    return { tests: 0, failures: 0 }
  }
}
