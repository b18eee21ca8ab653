import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dir, "../..")
const entry = join(root, "src/cli.ts")

/** The real service as a process of its own, with its own folder for data, reached over a real socket. */
export interface Service {
  readonly url: string
  readonly folder: string
  readonly pid: number
  /** All that it has written so far, both streams. */
  output(): string
  /** Its log, parsed; lines that are no JSON are left out. */
  logs(): readonly Record<string, unknown>[]
  /** Runs a command of Mooring's beside it, with the same settings. */
  command(
    ...args: readonly string[]
  ): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }>
  makeKey(tenant: string, environment: "live" | "test", scopes?: string): Promise<string>
  /** Sends a signal and resolves to the exit code. */
  stop(signal?: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<number>
  /** The same service again, on the same data and port. */
  restart(): Promise<Service>
}

export interface ServiceOptions {
  readonly databaseUrl?: string
  readonly env?: Readonly<Record<string, string>>
  /** Runs this file in place of the command line's `serve`. */
  readonly entry?: string
}

const running = new Set<{ readonly kill: (signal: "SIGKILL") => void }>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** A folder of this test's own, to be given back with {@link dropFolder}. */
export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), "mooring-service-"))
}

export function dropFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Nobody else's port at this moment. */
export function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } })
  const { port } = server
  server.stop(true)
  return port
}

export async function startService(
  options: ServiceOptions = {},
  folder = makeFolder(),
  port = freePort(),
): Promise<Service> {
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    PORT: String(port),
    RATE_LIMIT: "off",
    ...(options.databaseUrl && { DATABASE_URL: options.databaseUrl }),
    ...options.env,
  }
  const spawn = (args: readonly string[]) =>
    Bun.spawn([process.execPath, entry, ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
  const child = options.entry
    ? Bun.spawn([process.execPath, options.entry], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
    : spawn(["serve"])
  running.add(child)
  void child.exited.then(() => running.delete(child))
  let output = ""
  const reading = [child.stdout, child.stderr].map(async (stream) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true })
  })
  const url = `http://localhost:${port}`
  await untilReady(url, child.exited, () => output)

  const service: Service = {
    url,
    folder,
    pid: child.pid,
    output: () => output,
    logs: () => output.split("\n").flatMap(parseLine),
    async command(...args) {
      const run = spawn(args)
      const [stdout, stderr, exitCode] = await Promise.all([
        new Response(run.stdout).text(),
        new Response(run.stderr).text(),
        run.exited,
      ])
      return { stdout, stderr, exitCode }
    },
    async makeKey(tenant, environment, scopes) {
      const more = scopes === undefined ? [] : ["--scopes", scopes]
      const made = await service.command(
        "api-keys",
        "create",
        "--tenant",
        tenant,
        "--environment",
        environment,
        "--name",
        "tests",
        "--json",
        ...more,
      )
      if (made.exitCode !== 0) throw new Error(`no key was made: ${made.stderr}`)
      return (JSON.parse(made.stdout) as { key: string }).key
    },
    async stop(signal = "SIGTERM") {
      child.kill(signal)
      const exitCode = await child.exited
      await Promise.all(reading)
      return exitCode
    },
    restart: () => startService(options, folder, port),
  }
  return service
}

async function untilReady(url: string, exited: Promise<number>, output: () => string): Promise<void> {
  let gone: number | undefined
  void exited.then((code) => {
    gone = code
  })
  for (let tries = 0; tries < 400; tries++) {
    if (gone !== undefined) throw new Error(`the service ended with ${gone}:\n${output()}`)
    const ready = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return
    await Bun.sleep(25)
  }
  throw new Error(`the service did not become ready:\n${output()}`)
}

function parseLine(line: string): Record<string, unknown>[] {
  try {
    return [JSON.parse(line) as Record<string, unknown>]
  } catch {
    return []
  }
}

/** Calls the API with a key, as a tenant's backend does. */
export function client(url: string, key: string) {
  const call = (method: string, path: string, body?: unknown) =>
    fetch(`${url}${path}`, {
      method,
      redirect: "manual",
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  return {
    call,
    /** The JSON of an answer that must have the given status. */
    async json<Answer>(
      method: string,
      path: string,
      body?: unknown,
      status = method === "POST" ? 201 : 200,
    ): Promise<Answer> {
      const response = await call(method, path, body)
      const text = await response.text()
      if (response.status !== status)
        throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
      return JSON.parse(text) as Answer
    },
  }
}

export interface Started {
  readonly authorize_url: string
  readonly flow_id: string
  readonly expires_at: string
}

/** Goes where a browser would be sent, one redirect at a time, until the address leaves Mooring; resolves to it. */
export async function followConsent(
  authorizeUrl: string,
  scenario: Readonly<Record<string, string>>,
): Promise<Landing> {
  const url = new URL(authorizeUrl)
  for (const [name, value] of Object.entries(scenario)) url.searchParams.set(name, value)
  const consent = await fetch(url, { redirect: "manual" })
  const callback = consent.headers.get("location")
  if (callback === null) return { status: consent.status, location: null, body: await consent.text() }
  const response = await fetch(callback, { redirect: "manual" })
  return { status: response.status, location: response.headers.get("location"), body: await response.text() }
}

export interface Landing {
  readonly status: number
  readonly location: string | null
  readonly body: string
}
