/** Reads a CPU profile in the format of Chrome's tools, and says by file, function and kind where the time itself was spent. */
import { readFileSync } from "node:fs"

interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

/** A stretch of time, in milliseconds before the end of the profile. */
export interface Window {
  readonly from: number
  readonly to: number
}

export interface Share {
  readonly name: string
  /** Of all samples in which the process was at work. */
  readonly share: number
}

export interface ProfileReport {
  readonly samples: number
  /** By kind of work; a native function counts for whoever called it. */
  readonly kinds: readonly Share[]
  readonly functions: readonly Share[]
  /** By the nearest function of ours that was on the stack. */
  readonly callers: readonly Share[]
}

/** The first that fits a frame's name and file says its kind. */
const kinds: readonly (readonly [string, RegExp])[] = [
  ["garbage collection", /^\(garbage collector\)/],
  ["log", /adapters\/cli\/(log|gathered-lines)|writeSync|\bfs\.|node:fs/],
  ["driver of PostgreSQL (postgres.js)", /node_modules\/postgres\//],
  ["SQLite (bun:sqlite)", /bun:sqlite/],
  ["Arctic", /node_modules\/(arctic|@oslojs)/],
  ["Elysia", /node_modules\/(elysia|@elysiajs|memoirist|exact-mirror|@sinclair)/],
  [
    "cryptography",
    /node:crypto|createCipher|createDecipher|createHmac|createHash|CryptoHasher|hkdf|randomBytes|timingSafeEqual|node_modules\/jose/,
  ],
  ["JSON", /^(parse|stringify|JSON)\b.*\[native/],
  ["ours: adapters/http", / src\/adapters\/http/],
  ["ours: adapters/postgres", / src\/adapters\/postgres/],
  ["ours: adapters/sqlite", / src\/adapters\/sqlite/],
  ["ours: adapters/arctic", / src\/adapters\/arctic/],
  ["ours: adapters/crypto", / src\/adapters\/crypto/],
  ["ours: the rest", / src\//],
  ["other packages", /node_modules/],
]

/** Reads what the profile saw within the windows. */
export function readProfile(path: string, windows: readonly Window[]): ProfileReport {
  const profile = JSON.parse(readFileSync(path, "utf8")) as Profile
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((id) => [id, node.id])))
  const spent = {
    kind: new Map<string, number>(),
    self: new Map<string, number>(),
    ours: new Map<string, number>(),
  }
  let left = profile.timeDeltas.reduce((sum, delta) => sum + delta, 0) / 1000
  let samples = 0
  for (const [i, id] of profile.samples.entries()) {
    const time = profile.timeDeltas[i] ?? 0
    left -= time / 1000
    if (!windows.some(({ from, to }) => left <= from && left >= to)) continue
    const stack = stackOf(id, nodes, parents)
    const frame = stack[0] ?? ""
    if (/^\((idle|program|root)\)/.test(frame)) continue
    samples++
    add(spent.self, frame, time)
    add(spent.kind, kindOf(stack), time)
    add(spent.ours, stack.find((caller) => caller.includes(" src/")) ?? "(no function of ours)", time)
  }
  return {
    samples,
    kinds: sharesOf(spent.kind),
    functions: sharesOf(spent.self),
    callers: sharesOf(spent.ours),
  }
}

function sharesOf(times: ReadonlyMap<string, number>): readonly Share[] {
  const total = [...times.values()].reduce((sum, time) => sum + time, 0)
  return [...times].map(([name, time]) => ({ name, share: time / total })).sort((a, b) => b.share - a.share)
}

function stackOf(
  id: number,
  nodes: ReadonlyMap<number, ProfileNode>,
  parents: ReadonlyMap<number, number>,
): readonly string[] {
  const stack: string[] = []
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
    const node = nodes.get(at)
    if (node) stack.push(describe(node))
  }
  return stack
}

/** The nearest frame that has a kind: native functions count for whoever called them. */
function kindOf(stack: readonly string[]): string {
  for (const frame of stack) {
    const kind = kinds.find(([, shape]) => shape.test(frame))
    if (kind) return kind[0]
  }
  return "the runtime itself"
}

function describe({ callFrame }: ProfileNode): string {
  const { functionName, url, lineNumber } = callFrame
  const file = url.replace(/^.*\/(?=node_modules\/)|^(?!.*node_modules).*?\/(?=src\/)/, "")
  return `${functionName || "(anonymous)"} ${file ? `${file}:${lineNumber + 1}` : "[native]"}`
}

function add(times: Map<string, number>, name: string, time: number): void {
  times.set(name, (times.get(name) ?? 0) + time)
}
