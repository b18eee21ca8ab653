/**
 * A profile that sees the runtime's own functions, by `perf` of Linux: which function of ours each was called for. The
 * profile of the runtime itself counts nearly all of them for nobody.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Share } from "./profile-reader.ts"

const samplesPerSecond = 2000

export interface NativeProfile {
  readonly samples: number
  /** What was running: compiled code of ours, the runtime's own, the kernel's, another thread. */
  readonly places: readonly Share[]
  /** By the nearest compiled function on the stack. */
  readonly functions: readonly NativeShare[]
}

export interface NativeShare extends Share {
  /** Of all samples: how much of it was not in its own code but in what it called of the runtime. */
  readonly outside: number
}

/** What the process needs to be started with: it then writes down where in memory it puts each function it compiles. */
export function namingCompiledCode(folder: string): Readonly<Record<string, string>> {
  // In this order: the lines are left out where their option does not come first.
  return { BUN_JSC_useSourceCodeDump: "1", BUN_JSC_useJITDump: "1", BUN_JSC_jitDumpDirectory: folder }
}

/** Records the process for as long. Throws where there is no `perf`, or where it may not. */
export async function record(pid: number, seconds: number, folder: string): Promise<string> {
  if (!Bun.which("perf")) throw new Error("This needs perf on the PATH; on Debian it is in linux-perf.")
  const file = join(folder, "perf.data")
  const how = ["-q", "-k", "mono", "--call-graph", "fp", "-F", String(samplesPerSecond), "-o", file]
  const perf = Bun.spawn(["perf", "record", ...how, "-p", String(pid), "sleep", String(seconds)], {
    stderr: "pipe",
  })
  if ((await perf.exited) !== 0)
    throw new Error(`perf record failed: ${await new Response(perf.stderr).text()}`)
  return file
}

const dumpOf = /^jit-\d+-(\d+)\.dump$/

/** With the lines come the runtime's own sources, as files beside all other temporary ones. */
export function removeSources(folder: string): void {
  for (const name of readdirSync(folder)) {
    const sources = new Bun.Glob(`source-*-${dumpOf.exec(name)?.[1]}-*`)
    for (const source of sources.scanSync(tmpdir())) rmSync(join(tmpdir(), source))
  }
}

/** Reads what {@link record} wrote. */
export async function readNativeProfile(file: string, pid: number, folder: string): Promise<NativeProfile> {
  const dump = readdirSync(folder).find((name) => dumpOf.exec(name)?.[1] === String(pid))
  if (!dump) throw new Error("the runtime wrote no names of compiled functions")
  const nameAt = compiledNames(readFileSync(join(folder, dump)))
  const places = new Map<string, number>()
  const functions = new Map<string, number>()
  const outside = new Map<string, number>()
  let samples = 0
  const script = Bun.spawn(["perf", "script", "-i", file, "-F", "comm,tid,ip,sym,dso"], { stderr: "ignore" })
  for (const sample of (await new Response(script.stdout).text()).split("\n\n")) {
    const stack = sample
      .split("\n")
      .map(readFrame)
      .filter((frame) => frame !== undefined)
    const [top] = stack
    if (!top) continue
    samples++
    const thread = /^\s*(\S.*?)\s+\d/.exec(sample)?.[1] ?? ""
    const isMain = thread.startsWith("bun")
    const own = nameAt(top.address)
    add(places, isMain ? (own ? "compiled functions" : placeOf(top.file)) : `thread ${thread}`)
    if (!isMain) continue
    const nearest = stack.map(({ address }) => nameAt(address)).find((name) => name && !/Thunk/.test(name))
    add(functions, nearest ?? "(none: sockets, timers, garbage collection)")
    if (nearest && !own) add(outside, nearest)
  }
  const shares = [...functions].map(([name, count]) => ({
    name,
    share: count / samples,
    outside: (outside.get(name) ?? 0) / samples,
  }))
  return { samples, places: sharesOf(places, samples), functions: descending(shares) }
}

interface Frame {
  readonly address: number
  readonly file: string
}

/** `    1a44ff1 symbol+0x3 (/path/bun)` */
function readFrame(line: string): Frame | undefined {
  const [, address, file] = /^\s+([0-9a-f]+) .*\(([^()]*)\)$/.exec(line) ?? []
  return address === undefined || file === undefined
    ? undefined
    : { address: Number.parseInt(address, 16), file }
}

function placeOf(file: string): string {
  if (file.includes("kernel")) return "the kernel"
  return /\bbun(\.exe)?$/.test(file) ? "the runtime" : (file.split("/").at(-1) ?? file)
}

/**
 * Who is at an address, by the runtime's file in the format of Linux' jitdump: a header, then records, those of code
 * behind those of its lines. What was compiled last at an address counts.
 */
function compiledNames(dump: Buffer): (address: number) => string | undefined {
  const found: { readonly from: number; readonly to: number; readonly name: string }[] = []
  const places = new Map<number, string>()
  for (let at = dump.readUInt32LE(8); at + 16 <= dump.length; ) {
    const [kind, size] = [dump.readUInt32LE(at), dump.readUInt32LE(at + 4)]
    if (size === 0) break
    if (kind === linesOfCode) places.set(numberAt(dump, at + 16), firstLine(dump, at + 32))
    if (kind === code) {
      const from = numberAt(dump, at + 32)
      const name = textAt(dump, at + 56).replace(/(?<=\w)#\w+$/, "")
      found.push({ from, to: from + numberAt(dump, at + 40), name: `${name}${places.get(from) ?? ""}` })
      places.delete(from)
    }
    at += size
  }
  const known = new Map<number, string | undefined>()
  return (address) => {
    if (!known.has(address))
      known.set(address, found.findLast(({ from, to }) => from <= address && address < to)?.name)
    return known.get(address)
  }
}

const [code, linesOfCode] = [0, 2]

/** ` src/adapters/http/edge.ts:75`: of the first entry, mostly the function's own; the line is that of the code without its types. */
function firstLine(dump: Buffer, at: number): string {
  const file = textAt(dump, at + 16).replace(/^.*\/(?=node_modules\/|src\/)/, "")
  return ` ${file}:${dump.readUInt32LE(at + 8)}`
}

function numberAt(dump: Buffer, at: number): number {
  return Number(dump.readBigUInt64LE(at))
}

function textAt(dump: Buffer, at: number): string {
  return dump.toString("utf8", at, dump.indexOf(0, at))
}

function sharesOf(counts: ReadonlyMap<string, number>, all: number): readonly Share[] {
  return descending([...counts].map(([name, count]) => ({ name, share: count / all })))
}

function descending<Some extends Share>(shares: readonly Some[]): readonly Some[] {
  return shares.toSorted((a, b) => b.share - a.share)
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
