import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { freshDatabase } from "../support/postgres.ts"
import { type RotatingProvider, rotatingProvider } from "../support/rotating-provider.ts"
import { client, dropFolder, type Service, startService } from "../support/service.ts"

const entry = join(import.meta.dir, "../support/live-entry.ts")

describe.each([
  ["four processes on one PostgreSQL", 4],
  ["one process on SQLite", 1],
])("%s", (_, processes) => {
  let provider: RotatingProvider
  let services: readonly Service[]
  let key: string
  let id: string
  let drop = async () => {}

  beforeAll(async () => {
    provider = rotatingProvider()
    const env = {
      ENCRYPTION_KEYS: `t1:${Buffer.alloc(32, 5).toString("base64")}`,
      JWT_SECRET: "made-up-secret-of-the-tests-0123456789",
      PROVIDER_URL: provider.url,
      LOG_LEVEL: "warn",
    }
    let databaseUrl = "sqlite:mooring.sqlite"
    if (processes > 1) {
      const database = await freshDatabase()
      databaseUrl = database.url
      drop = database.drop
    }
    services = await Promise.all(
      Array.from({ length: processes }, () => startService({ databaseUrl, env, entry })),
    )
    const first = services[0] as Service
    key = await first.makeKey("acme", "live")
    const api = client(first.url, key)
    await api.json("POST", "/v1/oauth-apps", {
      provider: "x",
      name: "Ours",
      client_id: "fake-client",
      client_secret: "fake-secret",
    })
    const { accessToken, refreshToken } = provider.grant("42")
    const account = await api.json<{ id: string }>("POST", "/v1/accounts", {
      provider: "x",
      platform_account_id: "42",
      credentials: { access_token: accessToken, refresh_token: refreshToken },
    })
    id = account.id
  })
  afterAll(async () => {
    await Promise.all(services.map((service) => service.stop("SIGKILL")))
    await provider.stop()
    await drop()
    for (const service of services) dropFolder(service.folder)
  })

  // The second stall is longer than the lease, which its living holder has to prolong.
  test.each([3_000, 20_000])(
    "200 concurrent reads of an expired account while the provider stalls %p ms: one refresh, 200 good answers",
    async (stall) => {
      const before = provider.refreshes
      provider.answerDelayMs = stall
      const answers = await Promise.all(
        Array.from({ length: 200 }, async (_, i) => {
          const service = services[i % services.length] as Service
          provider.expiresIn = 3600
          const response = await client(service.url, key).call("GET", `/v1/accounts/${id}/token`)
          return { status: response.status, body: (await response.json()) as { access_token?: string } }
        }),
      )
      expect(answers.filter((answer) => answer.status !== 200)).toEqual([])
      expect(new Set(answers.map((answer) => answer.body.access_token)).size).toBe(1)
      expect(provider.refreshes - before).toBe(1)
      expect(provider.familiesKilled).toBe(0)
      expect(provider.works(answers[0]?.body.access_token ?? "")).toBe(true)
      // The next round needs an ended token: a forced refresh, from any process, gives one that ends at once.
      provider.answerDelayMs = 0
      provider.expiresIn = 5
      const forced = await client((services.at(-1) as Service).url, key).call(
        "POST",
        `/v1/accounts/${id}/refresh`,
      )
      expect(forced.status).toBe(200)
      expect(provider.familiesKilled).toBe(0)
    },
    90_000,
  )
})
