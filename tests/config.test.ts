import { describe, expect, test } from "bun:test"
import { type Config, ConfigError, readConfig } from "../src/config.ts"

const key = Buffer.alloc(32, 7).toString("base64")
const secret = "fake-jwt-secret-that-is-32-bytes-or-more"

/** All that production asks for. */
const production = {
  NODE_ENV: "production",
  PUBLIC_URL: "https://connect.example.com",
  ENCRYPTION_KEYS: `k1:${key}`,
  JWT_SECRET: secret,
}

function faultsOf(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

test("with nothing set it is a development server on this machine alone, with SQLite and the sandbox", () => {
  expect(readConfig({})).toEqual({
    production: false,
    host: "127.0.0.1",
    port: 3000,
    publicUrl: "http://localhost:3000",
    storage: { kind: "sqlite", path: "data/mooring.sqlite" },
    encryptionKeys: undefined,
    dashboardTokens: undefined,
    dashboardUrl: null,
    logLevel: "info",
    trustedProxies: 0,
    rateLimit: true,
    sandbox: true,
    graphVersion: "v25.0",
    xHosts: "x.com",
    webhookAddresses: "public",
    eventRetentionDays: 365,
    flowRetentionDays: 30,
  })
})

test("in production it listens on every address, and has what it was given", () => {
  expect(readConfig(production)).toMatchObject({
    production: true,
    host: "0.0.0.0",
    publicUrl: "https://connect.example.com",
    encryptionKeys: [{ id: "k1", bytes: new Uint8Array(32).fill(7) }],
    dashboardTokens: {
      key: { kind: "secret", secret },
      issuer: undefined,
      audience: undefined,
      tenantClaim: "sub",
    },
  })
})

type Table = readonly (readonly [string, Partial<Config>])[]

const accepted: Readonly<Record<string, Table>> = {
  PORT: [
    ["8080", { port: 8080, publicUrl: "http://localhost:8080" }],
    ["0", { port: 0 }],
    ["65535", { port: 65_535 }],
    [" 8080 ", { port: 8080 }],
    ["", { port: 3000 }],
  ],
  HOST: [
    ["0.0.0.0", { host: "0.0.0.0" }],
    ["::", { host: "::" }],
  ],
  PUBLIC_URL: [
    ["https://connect.example.com", { publicUrl: "https://connect.example.com" }],
    ["https://connect.example.com/", { publicUrl: "https://connect.example.com" }],
    ["https://Connect.Example.com:443//", { publicUrl: "https://connect.example.com" }],
    ["https://example.com/mooring/", { publicUrl: "https://example.com/mooring" }],
    ["http://localhost:8080", { publicUrl: "http://localhost:8080" }],
    ["http://127.0.0.1", { publicUrl: "http://127.0.0.1" }],
    ["http://[::1]:3000/", { publicUrl: "http://[::1]:3000" }],
  ],
  DATABASE_URL: [
    ["memory:", { storage: { kind: "memory" } }],
    ["sqlite:data/a.sqlite", { storage: { kind: "sqlite", path: "data/a.sqlite" } }],
    ["sqlite:/var/lib/a.sqlite", { storage: { kind: "sqlite", path: "/var/lib/a.sqlite" } }],
    ["sqlite:///var/lib/a.sqlite", { storage: { kind: "sqlite", path: "/var/lib/a.sqlite" } }],
    ["postgres://u:p@db/mooring", { storage: { kind: "postgres", url: "postgres://u:p@db/mooring" } }],
    [
      "postgresql://db/mooring?sslmode=require",
      { storage: { kind: "postgres", url: "postgresql://db/mooring?sslmode=require" } },
    ],
  ],
  ENCRYPTION_KEYS: [
    [`a:${key}`, { encryptionKeys: [{ id: "a", bytes: new Uint8Array(32).fill(7) }] }],
    [
      ` k-2_:${Buffer.alloc(32, 255).toString("base64url")} , k1:${key} `,
      {
        encryptionKeys: [
          { id: "k-2_", bytes: new Uint8Array(32).fill(255) },
          { id: "k1", bytes: new Uint8Array(32).fill(7) },
        ],
      },
    ],
  ],
  DASHBOARD_URL: [
    ["https://dash.acme.example", { dashboardUrl: "https://dash.acme.example/" as Config["dashboardUrl"] }],
    [
      "https://dash.acme.example/a?b=c",
      { dashboardUrl: "https://dash.acme.example/a?b=c" as Config["dashboardUrl"] },
    ],
    ["http://localhost:5173/", { dashboardUrl: "http://localhost:5173/" as Config["dashboardUrl"] }],
  ],
  LOG_LEVEL: (["debug", "info", "warn", "error", "silent"] as const).map(
    (level) => [level, { logLevel: level }] as const,
  ),
  TRUST_PROXY: [
    ["0", { trustedProxies: 0 }],
    ["2", { trustedProxies: 2 }],
    ["10", { trustedProxies: 10 }],
  ],
  RATE_LIMIT: [
    ["on", { rateLimit: true }],
    ["off", { rateLimit: false }],
  ],
  SANDBOX: [
    ["on", { sandbox: true }],
    ["off", { sandbox: false }],
  ],
  GRAPH_VERSION: [["v26.0", { graphVersion: "v26.0" }]],
  X_HOSTS: [["twitter.com", { xHosts: "twitter.com" }]],
  WEBHOOK_PRIVATE_ADDRESSES: [
    ["allow", { webhookAddresses: "private" }],
    ["refuse", { webhookAddresses: "public" }],
    ["", { webhookAddresses: "public" }],
  ],
  EVENT_RETENTION_DAYS: [
    ["7", { eventRetentionDays: 7 }],
    ["3650", { eventRetentionDays: 3650 }],
  ],
  FLOW_RETENTION_DAYS: [
    ["1", { flowRetentionDays: 1 }],
    ["3650", { flowRetentionDays: 3650 }],
  ],
}

describe.each(Object.entries(accepted))("%s", (name, table) => {
  test.each([...table])("may be %j", (value, expected) => {
    expect(readConfig({ [name]: value })).toMatchObject(expected)
  })

  test("that is empty or blank counts as absent", () => {
    for (const value of ["", "  ", undefined]) expect(readConfig({ [name]: value })).toEqual(readConfig({}))
  })
})

const refused: Readonly<Record<string, { readonly values: readonly string[]; readonly words: RegExp }>> = {
  PORT: {
    values: ["-1", "65536", "3e3", "0x50", "80.0", "http", "123456", "8 0"],
    words: /whole number from 0 to 65535/,
  },
  PUBLIC_URL: {
    values: [
      "connect.example.com",
      "http://connect.example.com",
      "http://localhost.example.com",
      "ftp://connect.example.com",
      "https://user@connect.example.com",
      "https://user:pass@connect.example.com",
      "https://:pass@connect.example.com",
      "https://connect.example.com?a=b",
      "https://connect.example.com/?",
      "https://connect.example.com/#",
      "https://connect.example.com#a",
      "https://",
      "//connect.example.com",
      "javascript:alert(1)",
    ],
    words: /must be an https address .* without user info, query or fragment/,
  },
  DATABASE_URL: {
    values: [
      "sqlite",
      "sqlite:",
      "mysql://db/x",
      "data/mooring.sqlite",
      "memory",
      "postgres:",
      "postgres:/u:fake-password@db",
      "http://db",
      "POSTGRES://db",
    ],
    words: /sqlite:PATH .*postgres:\/\/user:password@host\/database, or memory:/,
  },
  ENCRYPTION_KEYS: {
    values: [
      key,
      `:${key}`,
      "k1:",
      "k1:dG9vIHNob3J0",
      `k1:${Buffer.alloc(33).toString("base64")}`,
      `k1:${Buffer.alloc(31).toString("base64")}`,
      `k 1:${key}`,
      `k1:${key},`,
      `,k1:${key}`,
      `k1:${key};k2:${key}`,
      `${"k".repeat(33)}:${key}`,
      `k1:!!${key.slice(2)}`,
    ],
    words: /id:base64 of exactly 32 bytes; make one with: echo "k1:\$\(openssl rand -base64 32\)"/,
  },
  JWT_SECRET: {
    values: ["short", "x".repeat(31), "é".repeat(15)],
    words: /at least 32 bytes; make one with: openssl rand -base64 48/,
  },
  DASHBOARD_URL: {
    values: [
      "dash.acme.example",
      "http://dash.acme.example",
      "https://u@dash.acme.example",
      "https://dash.acme.example/#a",
      "https://dash.acme.example?connected=1",
      "mailto:a@b.example",
      "https://dash acme.example",
      `https://dash.acme.example/${"a".repeat(3000)}`,
    ],
    words: /^DASHBOARD_URL [a-z].*\.$/,
  },
  LOG_LEVEL: { values: ["INFO", "trace", "verbose", "0"], words: /one of debug, info, warn, error, silent/ },
  TRUST_PROXY: {
    values: ["true", "-1", "11", "1.5", "loopback", "10.0.0.0/8"],
    words: /whole number from 0 to 10/,
  },
  RATE_LIMIT: { values: ["true", "0", "OFF"], words: /one of on, off/ },
  SANDBOX: { values: ["false", "1"], words: /one of on, off/ },
  GRAPH_VERSION: { values: ["25", "v25", "25.0", "v025.0", "v25.0/"], words: /such as "v25\.0"/ },
  X_HOSTS: { values: ["x", "X.com", "api.x.com"], words: /one of x\.com, twitter\.com/ },
  WEBHOOK_PRIVATE_ADDRESSES: { values: ["true", "on", "ALLOW"], words: /one of refuse, allow/ },
  EVENT_RETENTION_DAYS: { values: ["6", "0", "-1", "3651", "1y"], words: /whole number from 7 to 3650/ },
  FLOW_RETENTION_DAYS: { values: ["0", "3651", "30d"], words: /whole number from 1 to 3650/ },
  JWT_JWKS_URL: {
    values: ["http://dash.example/jwks", "dash.example/jwks", "file:///etc/passwd", "data:,{}"],
    words: /must be an https address/,
  },
}

describe.each(Object.entries(refused))("%s", (name, { values, words }) => {
  test.each([...values])("must not be %j, and the refusal says what it may be", (value) => {
    const rest = name === "JWT_JWKS_URL" ? { JWT_ISSUER: "i", JWT_AUDIENCE: "a" } : {}
    const faults = faultsOf({ ...rest, [name]: value })
    expect(faults).toHaveLength(1)
    expect(faults[0]).toStartWith(name)
    expect(faults[0]).toMatch(words)
  })
})

describe("dashboard tokens", () => {
  const jwks = {
    JWT_JWKS_URL: "https://dash.example/jwks",
    JWT_ISSUER: "https://dash.example",
    JWT_AUDIENCE: "mooring",
  }

  test("are checked by a secret, an issuer and an audience where they are given, and a claim for the tenant", () => {
    const env = { JWT_SECRET: secret, JWT_ISSUER: "i", JWT_AUDIENCE: "a", JWT_TENANT_CLAIM: "org" }
    expect(readConfig(env).dashboardTokens).toEqual({
      key: { kind: "secret", secret },
      issuer: "i",
      audience: "a",
      tenantClaim: "org",
    })
  })

  test("are checked by a key set, over plain http from this machine alone", () => {
    expect(readConfig(jwks).dashboardTokens).toEqual({
      key: { kind: "jwks", url: "https://dash.example/jwks" },
      issuer: "https://dash.example",
      audience: "mooring",
      tenantClaim: "sub",
    })
    expect(readConfig({ ...jwks, JWT_JWKS_URL: "http://127.0.0.1:1/jwks" }).dashboardTokens?.key.kind).toBe(
      "jwks",
    )
  })

  test("need an issuer and an audience with a key set", () => {
    for (const absent of ["JWT_ISSUER", "JWT_AUDIENCE"]) {
      expect(faultsOf({ ...jwks, [absent]: "" })).toEqual([
        expect.stringContaining("needs JWT_ISSUER and JWT_AUDIENCE"),
      ])
    }
  })

  test("are checked by a secret or a key set, not by both", () => {
    expect(faultsOf({ ...jwks, JWT_SECRET: secret })).toEqual([
      expect.stringContaining("are both set; keep the one"),
    ])
  })

  test("have a secret of 32 bytes in UTF-8, not of 32 letters", () => {
    expect(faultsOf({ JWT_SECRET: "é".repeat(16) })).toEqual([])
  })
})

describe("production", () => {
  test("refuses to start without each secret and its address, and says how to make one", () => {
    expect(faultsOf({ NODE_ENV: "production" })).toEqual([
      expect.stringMatching(
        /^PUBLIC_URL is missing\. Set it to the https address .*for example https:\/\/connect\.example\.com/,
      ),
      expect.stringMatching(
        /^ENCRYPTION_KEYS is missing\..*make one with: echo "k1:\$\(openssl rand -base64 32\)"/,
      ),
      expect.stringMatching(
        /^JWT_SECRET is missing \(or JWT_JWKS_URL.*Make a secret with: openssl rand -base64 48/,
      ),
    ])
    for (const name of ["PUBLIC_URL", "ENCRYPTION_KEYS", "JWT_SECRET"]) {
      expect(faultsOf({ ...production, [name]: " " })).toEqual([
        expect.stringContaining(`${name} is missing`),
      ])
    }
  })

  test("is that word alone", () => {
    for (const NODE_ENV of ["", "development", "test", "Production"])
      expect(readConfig({ NODE_ENV }).production).toBe(false)
  })

  test("takes a key set in place of a secret", () => {
    const { JWT_SECRET: _, ...rest } = production
    const env = { ...rest, JWT_JWKS_URL: "https://dash.example/jwks", JWT_ISSUER: "i", JWT_AUDIENCE: "a" }
    expect(readConfig(env).dashboardTokens?.key.kind).toBe("jwks")
  })
})

test("two keys of one id are refused, and the entry is named", () => {
  expect(faultsOf({ ENCRYPTION_KEYS: `k1:${key},k2:${key},k1:${key}` })).toEqual([
    expect.stringMatching(/entry 3 repeats the id of an earlier one/),
  ])
})

test("every fault is told at once, each on a line of its own", () => {
  const env = Object.fromEntries(Object.entries(refused).map(([name, { values }]) => [name, values[0]]))
  const faults = faultsOf({ ...env, JWT_JWKS_URL: "", NODE_ENV: "production" })
  for (const name of Object.keys(refused).filter((name) => name !== "JWT_JWKS_URL")) {
    expect(faults.filter((fault) => fault.startsWith(name))).toHaveLength(1)
  }
  expect(() => readConfig(env)).toThrow(/^Mooring cannot start:\n( {2}- .+\n)+ {2}- .+$/)
})

test("no fault repeats a value, which may be a secret", () => {
  const canary = "canary0a1b2c"
  const env = Object.fromEntries(Object.keys(refused).map((name) => [name, canary]))
  const others = [
    env,
    { DATABASE_URL: `postgres:/u:${canary}@db` },
    { ENCRYPTION_KEYS: `${canary}:${canary},k1:${key},k1:${key}` },
    { PUBLIC_URL: `https://u:${canary}@host` },
    { DASHBOARD_URL: `https://u:${canary}@host` },
    { DASHBOARD_URL: `https://host/${canary}?connected=${canary}` },
    { JWT_JWKS_URL: `http://${canary}`, JWT_SECRET: `${canary}${secret}` },
  ]
  for (const one of others) {
    const faults = faultsOf(one)
    expect(faults.length).toBeGreaterThan(0)
    expect(faults.join("\n")).not.toContain(canary)
  }
})
