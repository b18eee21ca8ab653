import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { refreshLeaseMs } from "../../src/domain/token-life.ts"
import { freshDatabase } from "../support/postgres.ts"
import { rotatingProvider } from "../support/rotating-provider.ts"
import { client, dropFolder, type Service, startService } from "../support/service.ts"

const entry = join(import.meta.dir, "../support/live-entry.ts")

interface Problem {
  readonly access_token?: string
  readonly code?: string
}

describe.each([
  ["sqlite", 60],
  ["postgres", 40],
])("killed during refreshes, on %s", (store, kills) => {
  test(`after ${kills} kills each account has a working token or says honestly that it has not`, async () => {
    const provider = rotatingProvider()
    const database = store === "postgres" ? await freshDatabase() : undefined
    const env = {
      ENCRYPTION_KEYS: `t1:${Buffer.alloc(32, 5).toString("base64")}`,
      JWT_SECRET: "made-up-secret-of-the-tests-0123456789",
      PROVIDER_URL: provider.url,
      LOG_LEVEL: "warn",
    }
    let service: Service = await startService({
      databaseUrl: database?.url ?? "sqlite:mooring.sqlite",
      env,
      entry,
    })
    const key = await service.makeKey("acme", "live")
    await client(service.url, key).json("POST", "/v1/oauth-apps", {
      provider: "x",
      name: "Ours",
      client_id: "fake-client",
      client_secret: "fake-secret",
    })
    const accounts: string[] = []
    for (let i = 0; i < kills; i++) {
      const { accessToken, refreshToken } = provider.grant(String(i))
      const account = await client(service.url, key).json<{ id: string }>("POST", "/v1/accounts", {
        provider: "x",
        platform_account_id: String(i),
        credentials: { access_token: accessToken, refresh_token: refreshToken },
      })
      accounts.push(account.id)
    }

    /** What the account's readers were given before the kill: a token they may already be using. */
    const given = new Map<string, string>()
    for (const id of accounts) {
      provider.answerDelayMs = Math.random() * 40
      const reading = client(service.url, key)
        .call("GET", `/v1/accounts/${id}/token`)
        .then(async (response) => {
          const { access_token } = (await response.json()) as Problem
          if (response.ok && access_token) given.set(id, access_token)
        })
        .catch(() => {})
      await Bun.sleep(Math.random() * 60)
      await service.stop("SIGKILL")
      await reading
      service = await service.restart()
    }

    provider.answerDelayMs = 0
    await Bun.sleep(refreshLeaseMs + 500)
    const ends = { working: 0, reauthorization_required: 0 }
    const api = client(service.url, key)
    await Promise.all(
      accounts.map(async (id) => {
        const response = await api.call("GET", `/v1/accounts/${id}/token`)
        const body = (await response.json()) as Problem
        const { health } = await api.json<{ health: string }>("GET", `/v1/accounts/${id}`)
        if (response.ok) {
          // Not an older token than the provider gave, and not a dead one either.
          expect(provider.works(body.access_token ?? ""), `${id} has a working token`).toBe(true)
          expect(health).toBe("active")
          ends.working++
        } else {
          expect(`${response.status} ${body.code} ${health}`).toBe(
            "409 reauthorization_required reauthorization_required",
          )
          // What a reader was given had been stored, so such an account cannot have been lost.
          expect(given.has(id)).toBe(false)
          ends.reauthorization_required++
        }
      }),
    )
    expect(ends.working + ends.reauthorization_required).toBe(kills)
    // Some kills come before or after the refresh; if none of them left a working token, nothing was tested.
    expect(ends.working).toBeGreaterThan(0)
    await service.stop()
    await provider.stop()
    await database?.drop()
    dropFolder(service.folder)
  }, 240_000)
})
