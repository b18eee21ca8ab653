/** The README's figures, made from the kept results. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Options } from "./harness/options.ts"
import { root } from "./harness/process.ts"
import { readResults, say } from "./harness/report.ts"
import { rounded, type Spread } from "./harness/statistics.ts"

interface Dated {
  readonly date: string
}

interface ComparisonResult extends Dated {
  readonly floor: string
  readonly notes: readonly string[]
  readonly connections: Readonly<
    Record<string, Readonly<Record<string, { readonly ratio: Spread; readonly cpu_ratio: Spread }>>>
  >
  readonly a_request: Readonly<Record<string, Readonly<Record<string, number | null>>>>
  readonly keeps: Readonly<Record<string, string>>
}

interface InstancesResult extends Dated {
  readonly connections: number
  readonly cores_for_the_processes: number
  readonly processes: Readonly<
    Record<
      string,
      { readonly ratio: Spread; readonly least_busy_of_even_share: Spread; readonly small_tenant: Spread }
    >
  >
}

interface StartupResult extends Dated {
  readonly kinds: Readonly<
    Record<string, { readonly first_start: Spread; readonly again: Spread; readonly resident: Spread }>
  >
}

interface MemoryResult extends Dated {
  readonly connects: number
  readonly stores: Readonly<
    Record<string, { readonly before: number; readonly highest: number; readonly five_seconds_after: number }>
  >
}

interface SoakResult extends Dated {
  readonly store: string
  readonly minutes: number
  readonly connects: number
  readonly token_reads: number
  readonly resident_megabytes: { readonly after_warm_up: number; readonly at_the_end: number }
  readonly growth_megabytes_an_hour: number
  readonly variance_explained_by_the_line: number
}

interface ScaleResult extends Dated {
  readonly accounts: readonly number[]
  readonly accepted_ratio: number
  readonly retention: Readonly<
    Record<
      string,
      {
        readonly expired_per_second: number
        readonly flows_forgotten_per_second: number
        readonly events_forgotten_per_second: number
      }
    >
  >
  readonly stores: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly promised: boolean; readonly ratio: Record<string, Spread> }>>
    >
  >
}

const readme = join(root, "README.md")
const begin = "<!-- made by `bun run bench table --keep` from tests/bench/results -->"
const end = "<!-- made until here -->"

/** Prints the figures; with --keep they take the place of those in the README. */
export async function table({ keep }: Options): Promise<void> {
  const figures = figuresOf(readResults())
  say(figures)
  if (keep) writeFileSync(readme, withFigures(readFileSync(readme, "utf8"), figures))
}

/** A page with these figures in place of its own. Throws where the page has no place for them. */
export function withFigures(page: string, figures: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`README.md has no lines "${begin}" and "${end}"`)
  return `${page.slice(0, from + begin.length)}\n\n${figures}\n\n${page.slice(to)}`
}

export function figuresOf(results: ReadonlyMap<string, unknown>): string {
  const made: string[] = []
  const show = <Result>(part: string, text: (result: Result) => string) => {
    const result = results.get(part)
    if (result) made.push(text(result as Result))
  }
  for (const part of ["start", "callback", "token"]) {
    show<ComparisonResult>(part, (result) => comparison(part, result))
  }
  show("startup", startup)
  show("memory", memory)
  for (const store of ["sqlite", "postgres"]) show(`soak-${store}`, soak)
  show("instances", instances)
  show("scale", scale)
  return made.join("\n\n")
}

function comparison(part: string, { date, floor, notes, ...result }: ComparisonResult): string {
  const [[connections, standings] = ["", {}], ...others] = Object.entries(result.connections).sort(
    ([a], [b]) => Number(b === "32") - Number(a === "32") || Number(a) - Number(b),
  )
  const rows = Object.entries(standings).map(([name, { ratio, cpu_ratio }]) => [
    name,
    spread(ratio),
    ...others.map(([, found]) => String(found[name]?.ratio.median ?? "–")),
    `${cpu_ratio.median}×`,
    work(result.a_request[name]),
    result.keeps[name] ?? "",
  ])
  return [
    `**\`${part}\`**, answers a second as a share of ${floor}, ${connections} connections (${date}):`,
    lines([
      ["", "ratio (quartiles)", ...others.map(([count]) => `at ${count}`), "CPU", "a request", "stored"],
      ...rows,
    ]),
    notes.map((note) => `- ${note}`).join("\n"),
  ].join("\n\n")
}

function startup({ date, kinds }: StartupResult): string {
  return [
    `**From the start of the process to its first answer**, in ms, and MB resident when idle (${date}):`,
    lines([
      ["", "with a database to make", "again", "MB"],
      ...Object.entries(kinds).map(([name, { first_start, again, resident }]) => [
        name,
        ...[first_start, again, resident].map(spread),
      ]),
    ]),
  ].join("\n\n")
}

function memory({ date, connects, stores }: MemoryResult): string {
  return [
    `**MB resident over ${count(connects)} connects**, each of another person (${date}):`,
    lines([
      ["", "before", "highest", "5 s after"],
      ...Object.entries(stores).map(([store, { before, highest, five_seconds_after }]) => [
        store,
        ...[before, highest, five_seconds_after].map(String),
      ]),
    ]),
  ].join("\n\n")
}

function soak(result: SoakResult): string {
  const { after_warm_up, at_the_end } = result.resident_megabytes
  return `**${result.minutes} minutes on ${result.store}** with ${count(result.connects)} connects and ${count(result.token_reads)} token reads: ${after_warm_up} MB resident after the warm-up, ${at_the_end} MB at the end; the line through it has a slope of ${result.growth_megabytes_an_hour} MB an hour and explains ${Math.round(result.variance_explained_by_the_line * 100)} % of the variance (${result.date}).`
}

function instances({ date, connections, processes, ...result }: InstancesResult): string {
  return [
    `**Processes on one PostgreSQL**, \`start\`, ${connections} connections, ${result.cores_for_the_processes} core for the processes (${date}):`,
    lines([
      [
        "processes",
        "of one",
        "least busy, of an even share",
        "a small tenant's connection, of a large one's",
      ],
      ...Object.entries(processes).map(([size, found]) => [
        size,
        ...[found.ratio, found.least_busy_of_even_share, found.small_tenant].map(spread),
      ]),
    ]),
  ].join("\n\n")
}

function scale({ date, accounts, accepted_ratio, stores, retention }: ScaleResult): string {
  const [smallest = 0, ...larger] = accounts
  const most = larger.at(-1) ?? 0
  const names = [...new Set(Object.values(stores).flatMap((operations) => Object.keys(operations)))]
  const shown = (promised: boolean): string => {
    const those = names.filter((name) =>
      Object.values(stores).some((operations) => operations[name]?.promised === promised),
    )
    const heads = Object.keys(stores).flatMap((store) => larger.map((size) => `${store}, ${count(size)}`))
    const ratios = (name: string) =>
      Object.values(stores).flatMap((operations) =>
        larger.map((size) => ratioCell(operations[name]?.ratio[size]?.median, promised, accepted_ratio)),
      )
    return lines([["", ...heads], ...those.map((name) => [name, ...ratios(name)])])
  }
  const kept = Object.entries(retention).map(
    ([store, { expired_per_second, flows_forgotten_per_second, events_forgotten_per_second }]) =>
      `- ${store}: ${count(expired_per_second)} flows expired, ${count(flows_forgotten_per_second)} flows and ${count(events_forgotten_per_second)} events forgotten for each second spent on it, while 1,000 flows a second were started`,
  )
  return [
    `**What ${count(most)} accounts over 1,000 tenants cost**, as a multiple of the time at ${count(smallest)}; the tenant that asks has 500 at every size (${date}; above ${accepted_ratio} in bold):`,
    shown(true),
    "What grows with the tenant that asks, who has a thousandth or a tenth of all accounts:",
    shown(false),
    kept.join("\n"),
  ].join("\n\n")
}

function ratioCell(ratio: number | undefined, promised: boolean, accepted: number): string {
  if (ratio === undefined) return "–"
  return promised && ratio > accepted ? `**${rounded(ratio, 2)}**` : String(rounded(ratio, 2))
}

/** The first row is the head. */
function lines([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n")
}

function spread({ median, low, high }: Spread): string {
  return low === high ? String(median) : `${median} (${low}–${high})`
}

function count(number: number): string {
  return number.toLocaleString("en")
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
