import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import postgres from "postgres"
import { freshDatabase } from "../support/postgres.ts"
import {
  client,
  dropFolder,
  followConsent,
  makeFolder,
  type Service,
  type Started,
  startService,
} from "../support/service.ts"

const secrets = {
  ENCRYPTION_KEYS: `t1:${Buffer.alloc(32, 5).toString("base64")}`,
  JWT_SECRET: "made-up-secret-of-the-tests-0123456789",
}

describe("two instances on one PostgreSQL", () => {
  let services: readonly [Service, Service]
  let database: Awaited<ReturnType<typeof freshDatabase>>
  let key: string

  beforeAll(async () => {
    database = await freshDatabase()
    // Both know the address of a balancer that does not exist, as two instances behind one would.
    const env = { ...secrets, PUBLIC_URL: "http://localhost:9" }
    services = await Promise.all([
      startService({ databaseUrl: database.url, env }),
      startService({ databaseUrl: database.url, env }),
    ])
    key = await services[0].makeKey("acme", "test")
  })
  afterAll(async () => {
    await Promise.all(services.map((service) => service.stop()))
    await database.drop()
    for (const service of services) dropFolder(service.folder)
  })

  const through = (service: Service, address: string) => address.replace("http://localhost:9", service.url)

  test("migrate at the same moment without harm, and either finishes what the other started", async () => {
    const [a, b] = services
    const started = await client(a.url, key).json<Started>("GET", "/v1/oauth/linkedin/start")
    const consent = await fetch(`${through(b, started.authorize_url)}&scenario=approve`, {
      redirect: "manual",
    })
    const landing = await fetch(through(a, consent.headers.get("location") ?? ""), { redirect: "manual" })
    expect(await landing.text()).toContain("Your LinkedIn account is connected")
    expect(await client(b.url, key).json<unknown>("GET", `/v1/oauth/flows/${started.flow_id}`)).toMatchObject(
      { status: "connected" },
    )
  })

  test("of fifty callbacks over both, one exchanges, and all fifty land in the same place", async () => {
    const started = await client(services[0].url, key).json<Started>(
      "GET",
      "/v1/oauth/x/start?return_url=http://localhost:9/done",
    )
    const consent = await fetch(`${through(services[0], started.authorize_url)}&scenario=approve`, {
      redirect: "manual",
    })
    const callback = consent.headers.get("location") ?? ""
    const landings = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const service = services[i % 2] ?? services[0]
        return fetch(through(service, callback), { redirect: "manual" })
      }),
    )
    expect(new Set(landings.map((landing) => landing.headers.get("location")))).toEqual(
      new Set(["http://localhost:9/done?connected=x"]),
    )
    const sql = postgres(database.url, { max: 1 })
    const events = await sql`select type from events where flow_id = ${started.flow_id}`
    await sql.end()
    // A code of the sandbox is refused the second time, so a second exchange would be seen as a failure as well.
    expect(events.map((event) => event.type)).toEqual(["account.connected"])
  })

  test("a revoked key is refused by both at once", async () => {
    const [a, b] = services
    const doomed = await a.makeKey("acme", "test")
    expect((await client(b.url, doomed).call("GET", "/v1/accounts")).status).toBe(200)
    const id = `key_${doomed.split("_")[2]}`
    expect((await a.command("api-keys", "revoke", id, "--tenant", "acme")).exitCode).toBe(0)
    expect((await client(a.url, doomed).call("GET", "/v1/accounts")).status).toBe(401)
    expect((await client(b.url, doomed).call("GET", "/v1/accounts")).status).toBe(401)
  })
})

describe("one process", () => {
  test("a second one on the same SQLite file is refused with a sentence that says why", async () => {
    const service = await startService()
    const second = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/cli.ts"), "serve"], {
      cwd: service.folder,
      env: { PATH: process.env.PATH ?? "", PORT: "0" },
    })
    expect(second.exitCode).toBe(1)
    expect(second.stderr.toString()).toMatch(/serv/i)
    expect(second.stderr.toString()).not.toContain("    at ")
    // Killed without a chance to say goodbye, it leaves nothing that would keep the next one out.
    await service.stop("SIGKILL")
    const next = await service.restart()
    await next.stop()
    dropFolder(service.folder)
  })

  test("SIGTERM finishes what is in flight and then leaves with 0", async () => {
    const service = await startService()
    const api = client(service.url, await service.makeKey("acme", "test"))
    const started = await api.json<Started>("GET", "/v1/oauth/x/start")
    const inFlight = followConsent(started.authorize_url, { scenario: "hang_profile" })
    await Bun.sleep(300)
    const exit = service.stop("SIGTERM")
    await Bun.sleep(300)
    expect(
      await fetch(`${service.url}/healthz`).then(
        () => "open",
        () => "closed",
      ),
    ).toBe("closed")
    expect((await inFlight).body).toContain("provider_timeout")
    expect(await exit).toBe(0)
    expect(service.logs().at(-1)).toMatchObject({ msg: "stopped" })
    dropFolder(service.folder)
  }, 30_000)

  test("without the keys that its database was sealed with it stays down, and says what to put back", async () => {
    const service = await startService()
    await service.stop()
    rmSync(join(service.folder, "data/secrets.env"))
    const run = await service.command("serve")
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain("data/secrets.env is missing")
    expect(run.stderr).toContain("ENCRYPTION_KEYS")
    expect(existsSync(join(service.folder, "data/secrets.env"))).toBe(false)
    dropFolder(service.folder)
  })

  test("what it made for itself is its owner's alone", async () => {
    const service = await startService()
    const data = join(service.folder, "data")
    expect(statSync(data).mode & 0o077).toBe(0)
    for (const file of readdirSync(data)) expect(statSync(join(data, file)).mode & 0o077, file).toBe(0)
    expect(existsSync(join(data, "secrets.env"))).toBe(true)
    await service.stop()
    dropFolder(service.folder)
  })

  test("in production a missing secret stops it with sentences that say how to make one", () => {
    const folder = makeFolder()
    const run = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/cli.ts"), "serve"], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", NODE_ENV: "production" },
    })
    const said = run.stderr.toString()
    expect(run.exitCode).toBe(1)
    for (const name of ["ENCRYPTION_KEYS", "JWT_SECRET", "PUBLIC_URL"])
      expect(said).toContain(`${name} is missing`)
    expect(said).toContain("openssl rand -base64 32")
    expect(said).not.toContain("    at ")
    expect(readdirSync(folder)).toEqual([])
    dropFolder(folder)
  })

  test("it stays down where its port is taken, and says so", async () => {
    const service = await startService()
    const folder = makeFolder()
    const run = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../src/cli.ts"), "serve"], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", PORT: new URL(service.url).port },
    })
    expect(run.exitCode).toBe(1)
    expect(run.stderr.toString()).toMatch(/port/i)
    await service.stop()
    dropFolder(service.folder)
    dropFolder(folder)
  })
})
