import { Database } from "bun:sqlite"
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { client, dropFolder, makeFolder, type Service, startService } from "../support/service.ts"

const entry = join(import.meta.dir, "../../src/cli.ts")
const secret = "made-up-client-secret-0123456789"
const keyText = (byte: number) => Buffer.alloc(32, byte).toString("base64")

interface Told {
  readonly ok: boolean
  readonly findings: readonly {
    readonly oauth_app_id: string | null
    readonly environment: string | null
    readonly provider: string | null
    readonly check: string
    readonly verdict: string
    readonly detail: string
    readonly console: object | null
    readonly provider_error: object | null
  }[]
}

/** Runs the doctor as a process of its own; nothing of it is ours but the code. */
async function doctor(
  folder: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
) {
  const child = Bun.spawn([process.execPath, entry, "doctor", ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", HOME: folder, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { out, err, code, told: () => JSON.parse(out) as Told }
}

const keyFile = (folder: string) => join(folder, "data", "secrets.env")

describe("beside a running server on SQLite", () => {
  let service: Service
  const apps = { right: "", wrong: "", live: "" }

  beforeAll(async () => {
    service = await startService()
    const test = client(service.url, await service.makeKey("acme", "test"))
    const live = client(service.url, await service.makeKey("acme", "live"))
    const store = async (as: typeof test, change: object) => {
      const app = {
        provider: "x",
        name: "Ours",
        client_id: "made-up-client",
        client_secret: secret,
        ...change,
      }
      return (await as.json<{ id: string }>("POST", "/v1/oauth-apps", app)).id
    }
    apps.right = await store(test, {})
    apps.wrong = await store(test, { provider: "instagram", client_id: "facebook-app-1" })
    apps.live = await store(live, { provider: "tiktok", client_id: "sbawmadeup" })
  })
  afterAll(async () => {
    await service.stop()
    dropFolder(service.folder)
  })

  test("every app of the tenant is checked, a line a finding, and problems are exit code 1", async () => {
    const { out, err, code } = await doctor(service.folder, ["--tenant", "acme", "--environment", "test"])
    expect([code, err]).toEqual([1, ""])
    const lines = out.trimEnd().split("\n")
    for (const line of lines) expect(line).toMatch(/^(ok {5}|problem|unknown) {2}\S.*: .+\.$/)
    expect(lines[0]).toBe("ok       settings: Every setting can be read.")
    expect(out).toContain("ok       database: The database answers, and its tables are up to date.\n")
    expect(out).toContain(`ok       ${apps.right} test x client_secret: X accepts this client secret.\n`)
    expect(out).toMatch(
      new RegExp(`problem  ${apps.wrong} test instagram client_id: This client id is the App ID of`),
    )
    expect(out).not.toContain(apps.live)
  })

  test("one app is checked where it is named, and without a problem the exit code is 0", async () => {
    const { out, code } = await doctor(service.folder, ["--tenant", "acme", "--app", apps.right])
    expect(code).toBe(0)
    expect(out).toContain(`${apps.right} test x keys: ENCRYPTION_KEYS open the client secret.`)
    expect(out).not.toContain(apps.wrong)
  })

  test("JSON says the same, with the console and what the provider said", async () => {
    const ran = await doctor(service.folder, ["--tenant", "acme", "--app", apps.wrong, "--json"])
    expect(ran.code).toBe(1)
    const told = ran.told()
    expect(told.ok).toBe(false)
    expect(told.findings).toContainEqual({
      oauth_app_id: apps.wrong,
      environment: "test",
      provider: "instagram",
      check: "client_id",
      verdict: "problem",
      detail: expect.stringMatching(/Facebook app/),
      console: {
        page: "Instagram > API setup with Instagram login",
        field: "Instagram app ID",
        url: "https://developers.facebook.com/apps",
      },
      provider_error: {
        call: "token",
        status: 400,
        code: "OAuthException/400",
        message: "Invalid platform app",
        trace_id: null,
      },
    })
  })

  test("an app of another tenant, or none, is refused like one that is not there", async () => {
    for (const args of [
      ["--tenant", "globex", "--app", apps.right],
      ["--tenant", "acme", "--app", "oa_none"],
    ]) {
      const { err, code } = await doctor(service.folder, args)
      expect([code, err]).toEqual([2, expect.stringMatching(/^No OAuth app with this id/)])
    }
    const { out, code } = await doctor(service.folder, ["--tenant", "globex"])
    expect([code, out]).toEqual([
      0,
      expect.stringContaining("unknown  apps: The tenant globex has no OAuth apps."),
    ])
  })

  test("without a tenant only the installation is looked at, and that is said", async () => {
    const { out, code } = await doctor(service.folder)
    expect(code).toBe(0)
    expect(out).toMatch(/^unknown {2}keys: Name a tenant/m)
    expect(out).not.toContain("oa_")
  })

  test("an app without its tenant is refused", async () => {
    const { err, code } = await doctor(service.folder, ["--app", apps.right])
    expect([code, err]).toEqual([2, "--app: needs --tenant with the tenant whose app it is\n"])
  })

  test("with the sandbox off its apps cannot be checked, which is no problem of theirs", async () => {
    const { out, code } = await doctor(service.folder, ["--tenant", "acme", "--app", apps.right], {
      SANDBOX: "off",
    })
    expect(code).toBe(0)
    expect(out).toContain(`unknown  ${apps.right} test x provider: The sandbox is switched off`)
  })

  test("keys that are not those the database was sealed with are a problem that names the one that is missing", async () => {
    const env = { ENCRYPTION_KEYS: `other1:${keyText(9)}` }
    const { out, code } = await doctor(service.folder, ["--tenant", "acme"], env)
    expect(code).toBe(1)
    for (const id of [apps.right, apps.wrong, apps.live]) {
      expect(out).toMatch(new RegExp(`problem  ${id} .* keys: .*no configured key has the id local1`))
    }
    const same = await doctor(service.folder, ["--tenant", "acme"], {
      ENCRYPTION_KEYS: `local1:${keyText(9)}`,
    })
    expect([same.code, same.out]).toEqual([1, expect.stringMatching(/does not open under its key/)])
  })

  test("no secret, key or password is told", async () => {
    const ran = [
      await doctor(service.folder, ["--tenant", "acme", "--environment", "test"]),
      await doctor(service.folder, ["--tenant", "acme", "--environment", "test", "--json"]),
      await doctor(service.folder, ["--tenant", "acme"], { ENCRYPTION_KEYS: `other1:${keyText(9)}` }),
    ]
    const file = await Bun.file(keyFile(service.folder)).text()
    const made = [...file.matchAll(/=(\S+)$/gm)].map(([, value]) => value ?? "")
    expect(made.length).toBe(2)
    for (const { out, err } of ran) {
      for (const text of [secret, keyText(9), ...made]) {
        expect(out + err).not.toContain(text)
      }
    }
  })

  test("the server serves on, and nothing in its database changed", async () => {
    const tables = () => {
      const db = new Database(join(service.folder, "data", "mooring.sqlite"), { readonly: true })
      const dump = ["oauth_apps", "events", "migrations"].map((name) =>
        db.query(`select * from ${name}`).all(),
      )
      db.close()
      return dump
    }
    const before = tables()
    await doctor(service.folder, ["--tenant", "acme", "--environment", "test"])
    expect(tables()).toEqual(before)
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200)
  })
})

describe("where the installation is not what it should be", () => {
  const folders: string[] = []
  const aFolder = () => {
    const folder = makeFolder()
    folders.push(folder)
    return folder
  }
  afterAll(() => folders.forEach(dropFolder))

  const migrate = (folder: string, env: Readonly<Record<string, string>> = {}) =>
    Bun.spawn([process.execPath, entry, "migrate"], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", HOME: folder, ...env },
      stdio: ["ignore", "ignore", "ignore"],
    }).exited

  test("nothing is made in an empty folder, and what is missing is said", async () => {
    const folder = aFolder()
    const { out, code } = await doctor(folder)
    expect(code).toBe(1)
    expect(out).toMatch(/^problem {2}database: There is no database at .*mooring migrate/m)
    expect(out).toMatch(/^problem {2}keys: No ENCRYPTION_KEYS/m)
    // Bun may keep a cache of its own in the home folder.
    expect(readdirSync(folder).filter((name) => name !== ".bun")).toEqual([])
  })

  test("every fault of the settings is told at once, and never a value", async () => {
    const { out, code } = await doctor(aFolder(), [], {
      PORT: "made-up-port",
      PUBLIC_URL: "http://connect.example.com",
      ENCRYPTION_KEYS: "k1:made-up-and-too-short",
    })
    expect(code).toBe(1)
    expect(out.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^problem {2}settings: PORT must/),
      expect.stringMatching(/^problem {2}settings: PUBLIC_URL must be an https address/),
      expect.stringMatching(/^problem {2}settings: ENCRYPTION_KEYS: entry 1 must/),
    ])
    expect(out).not.toContain("made-up")
  })

  test("a database that lacks a migration is told, and is not migrated", async () => {
    const folder = aFolder()
    expect(await migrate(folder)).toBe(0)
    const path = join(folder, "data", "mooring.sqlite")
    const applied = (change?: string) => {
      const db = new Database(path)
      if (change) db.run(change)
      const names = db.query("select name from migrations order by name").values()
      db.close()
      return names
    }
    const older = applied("delete from migrations where name > '001-connect'")
    const { out, code } = await doctor(folder)
    expect([code, out]).toEqual([1, expect.stringMatching(/problem {2}database: .* lacks 002-token-life/)])
    expect(applied()).toEqual(older)
  })

  test("a PostgreSQL that is away is told without its password", async () => {
    const { out, code } = await doctor(aFolder(), [], {
      DATABASE_URL: "postgres://mooring:made-up-password@127.0.0.1:1/mooring",
      ENCRYPTION_KEYS: `k1:${keyText(1)}`,
      JWT_SECRET: "made-up-jwt-secret-of-this-test-0123456789",
    })
    expect([code, out]).toEqual([
      1,
      expect.stringMatching(/problem {2}database: The PostgreSQL database mooring at/),
    ])
    expect(out).not.toContain("made-up")
  })

  test("a store in the server's memory is unknown", async () => {
    const { out, code } = await doctor(aFolder(), ["--tenant", "acme"], { DATABASE_URL: "memory:" })
    expect([code, out]).toEqual([0, expect.stringMatching(/^unknown {2}database: memory:/m)])
  })

  test.each([
    ["http://localhost:3000", "unknown"],
    ["http://127.0.0.1:3000", "unknown"],
    ["http://[::1]:3000", "unknown"],
    ["http://192.168.7.7:3000", "problem"],
    ["http://127.0.0.1.example.com", "problem"],
    ["http://localhost.example.com", "problem"],
  ])("of the http addresses only a loopback one is called this machine's: %s", async (address, verdict) => {
    const folder = aFolder()
    await migrate(folder)
    const { out, code } = await doctor(folder, [], { PUBLIC_URL: address })
    expect(code).toBe(verdict === "problem" ? 1 : 0)
    expect(out.includes("which only this machine reaches")).toBe(verdict === "unknown")
    if (verdict === "problem")
      expect(out).toMatch(/^problem {2}settings: PUBLIC_URL must be an https address/m)
  })

  test("an https PUBLIC_URL is right", async () => {
    const folder = aFolder()
    await migrate(folder)
    const { out, code } = await doctor(folder, [], { PUBLIC_URL: "https://connect.example.com/" })
    expect(code).toBe(0)
    expect(out).toContain("ok       public_url: PUBLIC_URL is https://connect.example.com, with which")
    expect(existsSync(keyFile(folder))).toBe(true)
  })
})
