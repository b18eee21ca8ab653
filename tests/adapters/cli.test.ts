import { afterAll, beforeEach, describe, expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { jwtVerify } from "jose"
import { type Actions, runCommand } from "../../src/adapters/cli/commands.ts"
import { signDashboardToken } from "../../src/adapters/cli/dashboard-token.ts"
import { showFirstSteps } from "../../src/adapters/cli/first-steps.ts"
import { keepLocalSecrets, makeSecrets } from "../../src/adapters/cli/local-secrets.ts"
import { faultFacts, scrub } from "../../src/adapters/cli/log.ts"
import { keyMint } from "../../src/adapters/crypto/key-mint.ts"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { manageApiKeys } from "../../src/application/api-keys.ts"
import { ids } from "../../src/application/ids.ts"
import { readConfig } from "../../src/config.ts"
import { defaultKeyScopes } from "../../src/domain/api-key.ts"
import { ConnectError } from "../../src/domain/errors.ts"

const now = () => new Date("2026-11-22T10:00:00.000Z")
const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))

function keysIn(storage = memoryStorage()) {
  return manageApiKeys({
    keys: storage.keys,
    mint: keyMint(randomBytes),
    newId: ids({ now, randomBytes }),
    now,
  })
}

/** Runs command lines over a store of its own, and keeps what was said and done. */
function aTerminal() {
  const keys = keysIn()
  const said = { out: [] as string[], err: [] as string[] }
  const done: string[] = []
  const actions: Actions = {
    serve: async () => void done.push("serve"),
    migrate: async () => {
      done.push("migrate")
      return []
    },
    withApiKeys: (use) => use(keys),
    installation: {
      settings: () => ({ faults: ["There is nothing here."] }),
      withStore: async () => Promise.reject(new Error("There is no store here.")),
    },
    signDashboardToken: async (tenant, seconds) => `token of ${tenant} for ${seconds} s`,
  }
  return {
    said,
    done,
    keys,
    actions,
    async run(line: string, change: Partial<Actions> = {}) {
      said.out.length = said.err.length = 0
      const code = await runCommand(
        line
          .split(" ")
          .filter((word) => word !== "")
          .map((word) => word.replaceAll("_", " ")),
        { ...actions, ...change },
        { print: (text) => void said.out.push(text), complain: (text) => void said.err.push(text) },
      )
      return { code, out: said.out.join("\n"), err: said.err.join("\n") }
    },
  }
}

let terminal: ReturnType<typeof aTerminal>
beforeEach(() => {
  terminal = aTerminal()
})

describe("help", () => {
  test("names every command, and is no error", async () => {
    const { code, out, err } = await terminal.run("--help")
    expect([code, err]).toEqual([0, ""])
    for (const command of ["serve", "migrate", "jwt", "doctor", "api-keys"]) expect(out).toContain(command)
  })

  test.each([
    "serve",
    "migrate",
    "jwt",
    "doctor",
    "api-keys",
    "api-keys create",
    "api-keys list",
    "api-keys revoke",
  ])("of %s says what it takes", async (command) => {
    const { code, out } = await terminal.run(`${command} --help`)
    expect(code).toBe(0)
    expect(out).toStartWith(`Usage: mooring ${command}`)
    expect(terminal.done).toEqual([])
  })

  test("is what a line without a command gets, as an error", async () => {
    const { code, err } = await terminal.run("")
    expect(code).toBe(1)
    expect(err).toContain("Usage: mooring")
  })
})

describe("a command line that is wrong", () => {
  test.each([
    ["serv", /unknown command 'serv'/],
    ["serve --fast", /unknown option '--fast'/],
    ["serve now", /too many arguments/],
    ["migrate --dry", /unknown option/],
    ["jwt", /required option '--tenant <tenant>' not specified/],
    ["jwt --tenant", /argument missing/],
    ["jwt --tenant _", /A tenant is a name of 1 to 200 characters/],
    ["jwt --tenant acme --expires-in soon", /such as 30m, 12h or 7d, at most 30d/],
    ["jwt --tenant acme --expires-in 31d", /at most 30d/],
    ["jwt --tenant acme --expires-in 0s", /such as 30m/],
    ["jwt --tenant acme --expires-in -1h", /such as 30m|argument missing/],
    ["jwt --tenant acme --expires-in 721h", /at most 30d/],
    ["doctor --environment prod", /Allowed choices are live, test/],
    ["doctor --tenant _", /A tenant is a name of 1 to 200 characters/],
    ["api-keys", /Usage: mooring api-keys/],
    ["api-keys make", /unknown command 'make'/],
    ["api-keys create --tenant acme --name ci", /required option '--environment <environment>'/],
    ["api-keys create --tenant acme --environment prod --name ci", /Allowed choices are live, test/],
    ["api-keys create --tenant acme --environment live", /required option '--name <name>'/],
    ["api-keys create --environment live --name ci", /required option '--tenant <tenant>'/],
    [
      "api-keys create --tenant acme --environment live --name ci --expires-at tomorrow",
      /RFC 3339 time such as 2030-01-31T00:00:00Z/,
    ],
    [
      "api-keys create --tenant acme --environment live --name ci --expires-at 2030-01-31T00:00:00",
      /RFC 3339/,
    ],
    [
      "api-keys create --tenant acme --environment live --name ci --expires-at 2030-02-30T00:00:00Z",
      /RFC 3339/,
    ],
    ["api-keys create --tenant acme --environment live --name ci --expires-at 2030-01-31", /RFC 3339/],
    ["api-keys list", /required option '--tenant/],
    ["api-keys revoke --tenant acme", /missing required argument 'id'/],
  ])("is refused with a sentence and 1: %s", async (line, words) => {
    const { code, out, err } = await terminal.run(line)
    expect([code, out]).toEqual([1, ""])
    expect(err).toMatch(words)
    expect(terminal.done).toEqual([])
    expect(
      await terminal.keys.list({
        tenant: "acme",
        environment: "live",
        scopes: [],
        actor: "cli",
        kind: "user",
      }),
    ).toEqual([])
  })

  test("points to the help", async () => {
    expect((await terminal.run("serve --fast")).err).toContain("run with --help")
  })
})

describe("commands", () => {
  test("serve serves", async () => {
    expect((await terminal.run("serve")).code).toBe(0)
    expect(terminal.done).toEqual(["serve"])
  })

  test("migrate says what it applied, or that there was nothing to do", async () => {
    expect(await terminal.run("migrate")).toEqual({ code: 0, out: "The database is up to date.", err: "" })
    const two = async () => ["001-connect", "002-tokens"]
    expect((await terminal.run("migrate", { migrate: two })).out).toBe("Applied 001-connect, 002-tokens.")
  })

  test("jwt prints the token alone, or JSON with its lifetime", async () => {
    expect(await terminal.run("jwt --tenant acme")).toEqual({
      code: 0,
      out: "token of acme for 43200 s",
      err: "",
    })
    for (const [time, seconds] of [
      ["90s", 90],
      ["30m", 1800],
      ["12h", 43_200],
      ["7d", 604_800],
      ["30d", 2_592_000],
    ]) {
      const { out } = await terminal.run(`jwt --tenant acme --expires-in ${time} --json`)
      expect(JSON.parse(out)).toEqual({ token: `token of acme for ${seconds} s`, expires_in: seconds })
    }
  })

  test("api-keys create prints the key alone, so that a script can take it as it comes", async () => {
    const { code, out, err } = await terminal.run(
      "api-keys create --tenant acme --environment live --name ci",
    )
    expect([code, err]).toEqual([0, ""])
    expect(out).toMatch(/^moor_live_\w+$/)
  })

  test("api-keys create --json prints the id, the key and what was made", async () => {
    const line =
      "api-keys create --tenant acme --environment test --name the_ci --scopes accounts,_tokens, --expires-at 2030-01-31T02:00:00+02:00 --json"
    const { code, out } = await terminal.run(line)
    expect(code).toBe(0)
    expect(JSON.parse(out)).toEqual({
      id: expect.stringMatching(/^key_/),
      key: expect.stringMatching(/^moor_test_/),
      name: "the ci",
      environment: "test",
      scopes: ["accounts", "tokens"],
      created_at: "2026-11-22T10:00:00.000Z",
      expires_at: "2030-01-31T00:00:00.000Z",
    })
  })

  test("api-keys create gives all scopes but keys, and keys where it is asked for", async () => {
    const scopes = async (more: string) =>
      (
        JSON.parse(
          (await terminal.run(`api-keys create --tenant acme --environment live --name ci --json ${more}`))
            .out,
        ) as { scopes: string[] }
      ).scopes
    expect(await scopes("")).toEqual([...defaultKeyScopes])
    expect(await scopes("--scopes keys,apps")).toEqual(["keys", "apps"])
  })

  test("api-keys create refuses what the domain refuses, with its sentence and 2", async () => {
    const { code, out, err } = await terminal.run(
      "api-keys create --tenant acme --environment live --name ci --scopes apps,admin",
    )
    expect([code, out]).toEqual([2, ""])
    expect(err).toMatch(/scopes\[1\]: must be one of apps, connect/)
    expect(
      (await terminal.run("api-keys create --tenant acme --environment live --name ci --scopes ,")).code,
    ).toBe(2)
    expect((await terminal.run("api-keys create --tenant acme --environment live --name _")).err).toMatch(
      /1 to 80 characters/,
    )
  })

  test("api-keys list shows a tenant's keys of both environments, and never a key itself", async () => {
    expect((await terminal.run("api-keys list --tenant acme")).out).toBe("The tenant acme has no keys.")
    expect((await terminal.run("api-keys list --tenant acme --json")).out).toBe("[]")
    const made = []
    for (const environment of ["live", "test"]) {
      const { out } = await terminal.run(
        `api-keys create --tenant acme --environment ${environment} --name ${environment}-ci --json`,
      )
      made.push(JSON.parse(out) as { id: string; key: string })
    }
    await terminal.run("api-keys create --tenant globex --environment live --name other")
    const plain = (await terminal.run("api-keys list --tenant acme")).out
    const listed = (await terminal.run("api-keys list --tenant acme --json")).out
    expect(plain.split("\n")).toEqual(
      expect.arrayContaining([`${made[0]?.id}  live  live-ci`, `${made[1]?.id}  test  test-ci`]),
    )
    expect((JSON.parse(listed) as object[]).map((key) => Object.keys(key))).toEqual(
      Array.from({ length: 2 }, () => ["id", "name", "environment", "scopes", "created_at", "expires_at"]),
    )
    for (const { key } of made) expect(plain + listed).not.toContain(key.split("_")[3] ?? key)
  })

  test("api-keys revoke revokes a key of either environment, once, and no other tenant's", async () => {
    const { out } = await terminal.run("api-keys create --tenant acme --environment test --name ci --json")
    const { id } = JSON.parse(out) as { id: string }
    // The line splitter of this test would take the underscore for a space.
    const revoke = (tenant: string) =>
      runCommand(["api-keys", "revoke", id, "--tenant", tenant], terminal.actions, {
        print: (text) => void terminal.said.out.push(text),
        complain: (text) => void terminal.said.err.push(text),
      })
    expect(await revoke("globex")).toBe(2)
    expect(terminal.said.err.join()).toContain("No API key with this id")
    expect(await revoke("acme")).toBe(0)
    expect(terminal.said.out.at(-1)).toBe(`Revoked ${id}.`)
    expect(await revoke("acme")).toBe(2)
    expect((await terminal.run("api-keys list --tenant acme --json")).out).toBe("[]")
  })

  test("a fault keeps its message and is 1", async () => {
    const fail = async () => {
      throw new Error("the disk is full")
    }
    for (const [line, change] of [
      ["serve", { serve: fail }],
      ["migrate", { migrate: fail }],
      ["jwt --tenant acme", { signDashboardToken: fail }],
      ["api-keys list --tenant acme", { withApiKeys: fail }],
    ] as const) {
      expect(await terminal.run(line, change)).toEqual({ code: 1, out: "", err: "the disk is full" })
    }
  })

  test("a refusal is told apart from a fault by its exit code", async () => {
    const refuse = async () => {
      throw new ConnectError("invalid_input", "name: must have 1 to 80 characters")
    }
    expect(await terminal.run("migrate", { migrate: refuse })).toMatchObject({
      code: 2,
      err: "name: must have 1 to 80 characters",
    })
  })
})

describe("a dashboard token", () => {
  const request = {
    secret: "fake-jwt-secret-that-is-32-bytes-or-more",
    tenant: "acme",
    tenantClaim: "sub",
    issuer: undefined,
    audience: undefined,
    lifetimeSeconds: 600,
  }
  const claims = async (change: Partial<typeof request> | { issuer: string; audience: string }) =>
    (
      await jwtVerify(
        await signDashboardToken({ ...request, ...change }),
        new TextEncoder().encode(request.secret),
      )
    ).payload

  test("names the tenant and ends when it is told to", async () => {
    const { sub, iat = 0, exp = 0, iss, aud } = await claims({})
    expect({ sub, iss, aud, lifetime: exp - iat }).toEqual({
      sub: "acme",
      iss: undefined,
      aud: undefined,
      lifetime: 600,
    })
  })

  test("has the issuer, the audience and the tenant claim that the configuration asks for", async () => {
    expect(await claims({ issuer: "i", audience: "a" })).toMatchObject({ iss: "i", aud: "a" })
    expect(await claims({ tenantClaim: "org" })).toMatchObject({ org: "acme", sub: "cli" })
  })
})

const folder = mkdtempSync(join(tmpdir(), "mooring-cli-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("the secrets an installation makes for itself", () => {
  test("are its owner's alone, in a folder made for them, and settings the configuration takes", () => {
    const path = join(folder, "a/b/secrets.env")
    const kept = keepLocalSecrets(path)
    expect(kept.made).toBe(true)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, "a/b")).mode & 0o777).toBe(0o700)
    expect(readdirSync(join(folder, "a/b"))).toEqual(["secrets.env"])
    expect(readFileSync(path, "utf8")).toMatch(
      /^# Made by Mooring.*keep this file\.\nENCRYPTION_KEYS=.+\nJWT_SECRET=.+\n$/,
    )
    const config = readConfig({ NODE_ENV: "production", PUBLIC_URL: "https://a.example", ...kept.secrets })
    expect(config.encryptionKeys).toHaveLength(1)
  })

  test("are the same on every later start", () => {
    const path = join(folder, "same.env")
    const first = keepLocalSecrets(path)
    expect([first.made, keepLocalSecrets(path)]).toEqual([true, { secrets: first.secrets, made: false }])
  })

  test("are never the same in two installations", () => {
    expect(makeSecrets()).not.toEqual(makeSecrets())
    expect(keepLocalSecrets(join(folder, "one.env")).secrets).not.toEqual(
      keepLocalSecrets(join(folder, "two.env")).secrets,
    )
  })

  test("are agreed upon by processes that start at the same moment", async () => {
    const path = join(folder, "race.env")
    const program = `
      const { keepLocalSecrets } = await import(${JSON.stringify(join(import.meta.dir, "../../src/adapters/cli/local-secrets.ts"))})
      while (Date.now() < ${Date.now() + 400}) {}
      console.log(JSON.stringify(keepLocalSecrets(${JSON.stringify(path)})))`
    const processes = Array.from({ length: 4 }, () =>
      Bun.spawn(["bun", "-e", program], { stdout: "pipe", stderr: "inherit" }),
    )
    const kept = await Promise.all(
      processes.map(
        async ({ stdout }) =>
          JSON.parse(await new Response(stdout).text()) as ReturnType<typeof keepLocalSecrets>,
      ),
    )
    expect(kept.filter(({ made }) => made)).toHaveLength(1)
    expect(new Set(kept.map(({ secrets }) => JSON.stringify(secrets))).size).toBe(1)
    expect(readdirSync(folder).filter((name) => name.startsWith("race"))).toEqual(["race.env"])
  })

  test("that are damaged stop the start, with the name of what is missing and no value", () => {
    const path = join(folder, "damaged.env")
    writeFileSync(path, "ENCRYPTION_KEYS=\nJWT_SECRET=fake-canary\n")
    expect(() => keepLocalSecrets(path)).toThrow(
      /has no ENCRYPTION_KEYS; restore the file, or remove it together with the database/,
    )
    writeFileSync(path, "ENCRYPTION_KEYS=k1:fake-canary\n")
    expect(() => keepLocalSecrets(path)).toThrow(/has no JWT_SECRET/)
    expect(() => keepLocalSecrets(path)).not.toThrow(/canary/)
    expect(readFileSync(path, "utf8")).toBe("ENCRYPTION_KEYS=k1:fake-canary\n")
  })

  test("may be edited by hand, with line ends of any kind", () => {
    const path = join(folder, "edited.env")
    writeFileSync(path, "# ours\r\nJWT_SECRET=b=c\r\nENCRYPTION_KEYS=k2:x,k1:y \r\n")
    expect(keepLocalSecrets(path).secrets).toEqual({ ENCRYPTION_KEYS: "k2:x,k1:y", JWT_SECRET: "b=c" })
  })

  test("are not made where they cannot be kept", () => {
    mkdirSync(join(folder, "is-a-folder.env"))
    expect(() => keepLocalSecrets(join(folder, "is-a-folder.env"))).toThrow()
  })
})

describe("the first steps", () => {
  async function shown(apiKeys: ReturnType<typeof keysIn>, change: object = {}) {
    const printed: string[] = []
    const print = (text: string) => void printed.push(text)
    await showFirstSteps({
      apiKeys,
      print,
      publicUrl: "http://localhost:3000",
      sandbox: true,
      secretsMade: null,
      ...change,
    })
    return printed.join("\n")
  }

  test("print a test key once, with a command that uses it", async () => {
    const keys = keysIn()
    const first = await shown(keys)
    const [key = ""] = /moor_test_\w+/.exec(first) ?? []
    expect(first.match(/moor_test_\w+/g)).toEqual([key, key])
    expect(first).toContain(
      `curl -s -H "Authorization: Bearer ${key}" http://localhost:3000/v1/oauth/x/start`,
    )
    const second = await shown(keys)
    expect(second).not.toContain("moor_")
    expect(second).toContain("api-keys create --tenant demo --environment test")
  })

  test("make that key for the sandbox alone, and one that cannot make others", async () => {
    const keys = keysIn()
    await shown(keys)
    const demo = { tenant: "demo", environment: "live", scopes: [], actor: "cli", kind: "user" } as const
    expect(await keys.list(demo)).toEqual([
      expect.objectContaining({ environment: "test", scopes: defaultKeyScopes }),
    ])
  })

  test("say which file was made, and nothing that is in it", async () => {
    expect(await shown(keysIn(), { secretsMade: "data/secrets.env" })).toMatch(
      /Made data\/secrets\.env .*Keep it/,
    )
    expect(await shown(keysIn())).not.toContain("secrets.env")
  })

  test("make no key where there is no sandbox", async () => {
    const keys = keysIn()
    expect(await shown(keys, { sandbox: false })).toBe("")
    expect(
      await keys.list({ tenant: "demo", environment: "test", scopes: [], actor: "cli", kind: "user" }),
    ).toEqual([])
  })
})

describe("what a fault may say in the log", () => {
  const mint = keyMint(randomBytes)
  const apiKey = mint.mint("live", `key_${"0".repeat(36)}`).text
  const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY21lIn0.c2lnbmF0dXJl"

  test.each([
    ["an API key", `cannot use ${apiKey} here`, "cannot use [redacted] here"],
    ["a JWT", `bad token ${token}.`, "bad token [redacted]."],
    ["a JWT without a signature", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "[redacted]"],
    ["a sealed value", `value v1.k1.${"A".repeat(40)} is broken`, "value [redacted] is broken"],
    ["a bearer header", "Authorization: Bearer abc.def-123==", "Authorization: [redacted]"],
    ["a basic header", "authorization: basic dXNlcjpwYXNz", "authorization: [redacted]"],
    [
      "a password in an address",
      "connect postgres://user:pass@db:5432/x",
      "connect postgres://[redacted]db:5432/x",
    ],
    [
      "a code and a state in a query",
      "GET /callback?code=abc&state=def&x=1",
      "GET /callback?code=[redacted]&state=[redacted]&x=1",
    ],
    [
      "a code and a ticket of our own in a query",
      "GET /choose?ticket=abc.def&x=1 then /done?connected=x&connect_code=g-h",
      "GET /choose?ticket=[redacted]&x=1 then /done?connected=x&connect_code=[redacted]",
    ],
    ["a webhook's secret", "signs with whsec_bWFkZS11cA==, says", "signs with [redacted], says"],
    [
      "a form",
      "client_secret=abc&grant_type=authorization_code&code_verifier=def&refresh_token=ghi",
      "client_secret=[redacted]&grant_type=authorization_code&code_verifier=[redacted]&refresh_token=[redacted]",
    ],
    [
      "JSON",
      '{"access_token":"abc","id_token": "d e f","n":1}',
      '{"access_token":[redacted],"id_token": [redacted],"n":1}',
    ],
    [
      "JSON in a text",
      String.raw`body "{\"refresh_token\":\"abc\",\"n\":1}"`,
      String.raw`body "{\"refresh_token\":[redacted],\"n\":1}"`,
    ],
    [
      "an object as a log would write it",
      "{ client_secret: 'a b c', n: 1 }",
      "{ client_secret: [redacted], n: 1 }",
    ],
    [
      "a Meta exchange",
      "https://graph.example/x?fb_exchange_token=abc&y=1",
      "https://graph.example/x?fb_exchange_token=[redacted]&y=1",
    ],
  ])("is nothing that has the shape of a secret: %s", (_, text, clean) => {
    expect(scrub(text)).toBe(clean)
  })

  test.each([
    "connect ECONNREFUSED 127.0.0.1:5432",
    "exit code=1 in state=closed",
    "no configured key has the id k1; add it to ENCRYPTION_KEYS",
    "the column client_secret of oauth_apps does not open",
    "https://provider.example/token answered 400",
  ])("is what helps: %s", (text) => {
    expect(scrub(text)).toBe(text)
  })

  test("is bounded, however long it is", () => {
    const started = performance.now()
    expect(scrub(`${"a".repeat(500_000)} moor_live_x`).length).toBe(4000)
    for (const text of [
      "eyJ".repeat(50_000),
      "v1.".repeat(50_000),
      "access_token:".repeat(20_000),
      "://".repeat(50_000),
    ])
      scrub(text)
    expect(performance.now() - started).toBeLessThan(3000)
  })

  test("is its name, message and stack, and of what is no error its kind", () => {
    const fault = new TypeError(`broke with ${apiKey}`)
    const facts = faultFacts(fault)
    expect(facts).toEqual({
      fault: "TypeError",
      message: "broke with [redacted]",
      stack: expect.stringContaining("cli.test.ts"),
    })
    expect(JSON.stringify(facts)).not.toContain(apiKey)
    expect(faultFacts(`broke with ${apiKey}`)).toEqual({ fault: "string", message: "broke with [redacted]" })
    expect(faultFacts(undefined)).toEqual({ fault: "undefined", message: "undefined" })
    expect(faultFacts(Object.assign(new Error("x"), { stack: undefined }))).toEqual({
      fault: "Error",
      message: "x",
    })
  })
})
