import { join } from "node:path"
import { requestText } from "./load.ts"
import { root, type Server, startServer } from "./process.ts"

export type Store = "sqlite" | "postgres"

export interface MooringSpec {
  readonly store: Store
  /** An address of PostgreSQL; without one each service gets a SQLite file of its own. */
  readonly databaseUrl?: string
  /** Where the providers' hosts are to be looked for; without it they are the real ones. */
  readonly providerUrl?: string
  readonly env?: Readonly<Record<string, string>>
  /** Before the entry file, as for a profile. */
  readonly runtimeArguments?: readonly string[]
  readonly stopSignal?: "SIGTERM" | "SIGKILL"
  readonly core?: number
  /** Where its data is, for a service that goes on with another one's. */
  readonly folder?: string
}

export interface MooringService extends Server {
  readonly env: Readonly<Record<string, string>>
  key(tenant: string, environment: "live" | "test"): Promise<string>
  /** The JSON of an answer that must have been granted. */
  ask<Answer>(method: "GET" | "POST", path: string, key: string, body?: unknown): Promise<Answer>
}

/** Made up; what an installation would make with openssl. */
const secrets = {
  ENCRYPTION_KEYS: `bench1:${Buffer.alloc(32, 7).toString("base64")}`,
  JWT_SECRET: "made-up-secret-of-the-benchmarks-0123456789",
}

export const returnUrl = "https://app.example.com/connect/done"
export const entry = join(root, "src/cli.ts")
const loopbackEntry = join(root, "tests/support/live-entry.ts")

export const productionEnv = {
  NODE_ENV: "production",
  HOST: "127.0.0.1",
  PUBLIC_URL: "https://connect.example.com",
  RATE_LIMIT: "off",
  LOG_LEVEL: "info",
  ...secrets,
}

/** The real service, configured as for production but for the rate limit. */
export async function startMooring(spec: MooringSpec): Promise<MooringService> {
  const env = {
    ...productionEnv,
    ...(spec.databaseUrl !== undefined && { DATABASE_URL: spec.databaseUrl }),
    ...(spec.providerUrl !== undefined && { PROVIDER_URL: spec.providerUrl }),
    ...spec.env,
  }
  const script = spec.providerUrl === undefined ? [entry, "serve"] : [loopbackEntry]
  const server = await startServer({
    command: [process.execPath, ...(spec.runtimeArguments ?? []), ...script],
    env,
    readyPath: "/readyz",
    ...(spec.stopSignal && { stopSignal: spec.stopSignal }),
    ...(spec.core !== undefined && { core: spec.core }),
    ...(spec.folder !== undefined && { folder: spec.folder }),
  })
  const url = `http://127.0.0.1:${server.port}`
  return {
    ...server,
    env,
    async key(tenant, environment) {
      const args = ["--tenant", tenant, "--environment", environment, "--name", "bench", "--json"]
      const run = Bun.spawn([process.execPath, entry, "api-keys", "create", ...args], {
        cwd: server.folder,
        env: { PATH: process.env.PATH ?? "", HOME: server.folder, ...env },
        stdio: ["ignore", "pipe", "pipe"],
      })
      const [stdout, stderr] = await Promise.all([
        new Response(run.stdout).text(),
        new Response(run.stderr).text(),
      ])
      if ((await run.exited) !== 0) throw new Error(`no key was made: ${stderr}`)
      return (JSON.parse(stdout) as { key: string }).key
    },
    async ask<Answer>(method: "GET" | "POST", path: string, key: string, body?: unknown) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
      return JSON.parse(text) as Answer
    },
  }
}

/** A key whose tenant has an X app with real-looking settings. */
export async function keyWithXApp(service: MooringService, tenant: string): Promise<string> {
  const key = await service.key(tenant, "live")
  await service.ask("POST", "/v1/oauth-apps", key, {
    provider: "x",
    name: "bench",
    client_id: "bWFkZS11cC1jbGllbnQtaWQtb2YtYmVuY2g6MTpjaQ",
    client_secret: "made-up-client-secret-of-the-benchmarks-0123456789",
    allowed_return_urls: ["https://app.example.com/connect"],
  })
  return key
}

export interface Started {
  readonly authorize_url: string
  readonly flow_id: string
  readonly expires_at: string
}

export const startPath = `/v1/oauth/x/start?return_url=${encodeURIComponent(returnUrl)}`

export function authorized(path: string, key: string): string {
  return requestText({ path, headers: { Authorization: `Bearer ${key}` } })
}

let people = 2_000_000

/** The id of somebody who has not been there; the fake provider takes it for a code. */
export function nextPerson(): number {
  return people++
}

const parallel = 32

/** The results of so many tasks, of which a few run at a time. */
export async function inParallel<Result>(
  count: number,
  task: (i: number) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  let next = 0
  const work = async () => {
    while (next < count) {
      const i = next++
      results[i] = await task(i)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, work))
  return results
}
