import { serve } from "../../src/adapters/http/serve.ts"
import { readConfig } from "../../src/config.ts"
import { migrate, mooring, openStorage } from "../../src/main.ts"
import type { Storage } from "../../src/ports/storage.ts"
import type { Transport } from "../../src/ports/transport.ts"
import { freePort } from "./service.ts"

export interface LocalMooring {
  readonly url: string
  readonly storage: Storage
  readonly sweep: ReturnType<typeof mooring>["sweep"]
  /** Every line it logged, as text. */
  readonly log: readonly string[]
  readonly keepAlive: ReturnType<typeof mooring>["keepAlive"]
  readonly clock: { offsetMs: number }
  key(tenant: string, environment: "live" | "test"): Promise<string>
  stop(): Promise<void>
}

/** The real wiring and the real HTTP server in this process, with a clock that can be moved and a provider that can be had. */
export async function localMooring(
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly liveTransport?: Transport
    readonly clock?: { offsetMs: number }
  } = {},
): Promise<LocalMooring> {
  const port = freePort()
  const config = readConfig({
    PORT: String(port),
    DATABASE_URL: "memory:",
    ENCRYPTION_KEYS: `t1:${Buffer.alloc(32, 7).toString("base64")}`,
    JWT_SECRET: "made-up-secret-of-the-tests-0123456789",
    RATE_LIMIT: "off",
    ...options.env,
  })
  const clock = options.clock ?? { offsetMs: 0 }
  const lines: string[] = []
  const write = (entry: unknown) => void lines.push(JSON.stringify(entry))
  await migrate(config.storage)
  const storage = await openStorage(config.storage, { serve: true })
  const { edge, sweep, keepAlive, apiKeys } = mooring(config, storage, {
    log: { debug: write, info: write, warn: write, error: write },
    now: () => new Date(Date.now() + clock.offsetMs),
    ...(options.liveTransport && { liveTransport: options.liveTransport }),
  })
  const serving = serve(edge, { host: config.host, port, trustedProxies: 0 })
  return {
    url: config.publicUrl,
    storage,
    sweep,
    keepAlive,
    log: lines,
    clock,
    async key(tenant, environment) {
      const operator = {
        tenant,
        environment,
        scopes: ["apps", "connect", "accounts", "tokens", "events", "webhooks", "keys"],
        actor: "cli",
        kind: "user",
      } as const
      return (await apiKeys.create(operator, { name: "tests", environment })).text
    },
    async stop() {
      await serving.stop()
      await storage.close()
    },
  }
}
