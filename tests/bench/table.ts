/** The README's tables, made from the kept results. */
import { readResults, say } from "./harness/report.ts"
import type { Spread } from "./harness/statistics.ts"

interface ComparisonResult {
  readonly date: string
  readonly floor: string
  readonly notes: readonly string[]
  readonly versions: Readonly<Record<string, string>>
  readonly connections: Readonly<
    Record<string, Readonly<Record<string, { readonly ratio: Spread; readonly cpu_ratio: Spread }>>>
  >
  readonly a_request: Readonly<Record<string, Readonly<Record<string, number | null>>>>
  readonly keeps: Readonly<Record<string, string>>
}

const comparisons = ["start", "callback", "token"]

export async function table(): Promise<void> {
  const results = readResults()
  for (const part of comparisons) {
    const result = results.get(part)
    if (result) sayComparison(part, result as ComparisonResult)
  }
}

function sayComparison(part: string, result: ComparisonResult): void {
  const [[connections, standings] = ["", {}], ...others] = Object.entries(result.connections).sort(
    ([a], [b]) => Number(b === "32") - Number(a === "32") || Number(a) - Number(b),
  )
  say(`\n**${part}**, against ${result.floor}, ${connections} connections (${result.date})\n`)
  say(
    `| | answers (quartiles) |${others.map(([count]) => ` at ${count} |`).join("")} CPU | a request | keeps |`,
  )
  say(`| --- | --- |${others.map(() => " --- |").join("")} --- | --- | --- |`)
  for (const [name, { ratio, cpu_ratio }] of Object.entries(standings)) {
    const elsewhere = others.map(([, found]) => ` ${found[name]?.ratio.median ?? "–"} |`).join("")
    say(
      `| ${name} | ${spread(ratio)} |${elsewhere} ${cpu_ratio.median}× | ${work(result.a_request[name])} | ${result.keeps[name] ?? ""} |`,
    )
  }
  say()
  for (const note of result.notes) say(`- ${note}`)
}

function spread({ median, low, high }: Spread): string {
  return low === high ? String(median) : `${median} (${low}–${high})`
}

/** Statements or disk flushes, whichever the store has. */
function work(counts: Readonly<Record<string, number | null>> | undefined): string {
  if (!counts) return "–"
  const { statements, roundTrips, flushes, fileWrites } = counts
  if (statements !== null && statements !== undefined)
    return `${statements} statements, ${roundTrips} round trips`
  if (flushes !== null && flushes !== undefined) return `${flushes} flushes, ${fileWrites} file writes`
  return "n/a"
}
