import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"

export const root = join(import.meta.dir, "../../..")

/** The server under test has the first core to itself; the client, databases and fake providers share the last. */
export const serverCore = 0
export const clientCore = availableParallelism() - 1

const canPin = Bun.which("taskset") !== null && clientCore > serverCore

/** The command, held to one core where the machine has several and `taskset`. */
export function pinned(core: number, command: readonly string[]): string[] {
  return canPin ? ["taskset", "-c", String(core), ...command] : [...command]
}

export const pinning = canPin ? `server on core ${serverCore}, client on core ${clientCore}` : "not pinned"

export interface Server {
  readonly port: number
  readonly pid: number
  readonly folder: string
  /** Milliseconds from the start of the process to its first answer. */
  readonly readyAfterMs: number
  /** CPU time of it and its children so far, in microseconds. */
  cpu(): number
  /** Resident memory of it and its children, in bytes. */
  resident(): number
  /** What it wrote last, for error messages. */
  output(): string
  stop(): Promise<void>
}

export interface ServerSpec {
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** A path that answers, with whatever status, when it is ready. */
  readonly readyPath?: string
  readonly core?: number
  readonly port?: number
  /** Where it runs; otherwise it gets a folder of its own. */
  readonly folder?: string
  /** Where SIGTERM is the end that counts, as for a profile that is written then. */
  readonly stopSignal?: "SIGTERM" | "SIGKILL"
}

const running = new Set<{ readonly kill: (signal: "SIGKILL") => void }>()
const folders: string[] = []
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))

/** A folder that is gone when this process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mooring-bench-"))
  folders.push(folder)
  return folder
}

/** Starts a server that reads `PORT`; its output goes to a file in its folder. */
export async function startServer(spec: ServerSpec): Promise<Server> {
  const folder = spec.folder ?? temporaryFolder()
  const port = spec.port ?? freePort()
  const log = join(folder, "output.log")
  const output = openSync(log, "a")
  const startedAt = performance.now()
  const child = Bun.spawn(pinned(spec.core ?? serverCore, spec.command), {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", HOME: folder, PORT: String(port), ...spec.env },
    stdio: ["ignore", output, output],
  })
  closeSync(output)
  running.add(child)
  void child.exited.then(() => running.delete(child))
  const tail = () => readFileSync(log, "utf8").slice(-2000)
  await untilAnswers(`http://127.0.0.1:${port}${spec.readyPath ?? "/"}`, () => child.exitCode, tail)
  const readyAfterMs = performance.now() - startedAt
  return {
    port,
    pid: child.pid,
    folder,
    readyAfterMs,
    cpu: () => cpuOf(familyOf(child.pid)),
    resident: () => residentOf(familyOf(child.pid)),
    output: tail,
    async stop() {
      child.kill(spec.stopSignal ?? "SIGKILL")
      await child.exited
    },
  }
}

const readyPollMs = 2

async function untilAnswers(url: string, exitCode: () => number | null, output: () => string): Promise<void> {
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline) {
    if (exitCode() !== null) throw new Error(`the server ended with ${exitCode()}:\n${output()}`)
    if (await fetch(url, { redirect: "manual" }).then(answersWell, () => false)) return
    await Bun.sleep(readyPollMs)
  }
  throw new Error(`the server did not answer:\n${output()}`)
}

async function answersWell(response: Response): Promise<boolean> {
  await response.arrayBuffer()
  return response.status !== 503
}

export function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  const { port } = server
  server.stop(true)
  return port
}

/** The process and all its descendants. */
export function familyOf(pid: number): readonly number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync("/proc")) {
    const fields = /^\d+$/.test(name) ? statOf(Number(name)) : undefined
    if (fields) parents.set(Number(name), Number(fields[1]))
  }
  const family = [pid]
  for (const member of family) {
    for (const [child, parent] of parents) if (parent === member) family.push(child)
  }
  return family
}

/** The fields of /proc/PID/stat from the third on, which comes after a name that may hold anything. */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    return text.slice(text.lastIndexOf(")") + 2).split(" ")
  } catch {
    return undefined
  }
}

const tickMicroseconds = 10_000

export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    // User and system time, its own and that of children that have ended.
    const ticks = (statOf(pid) ?? []).slice(11, 15)
    return sum + ticks.reduce((total, count) => total + Number(count), 0) * tickMicroseconds
  }, 0)
}

function residentOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/status`, "utf8")
      return sum + Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) * 1024
    } catch {
      return sum
    }
  }, 0)
}
