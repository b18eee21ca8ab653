import { ConnectError } from "./domain/errors.ts"
import { type ReturnUrl, ReturnUrlPolicy } from "./domain/return-url-policy.ts"
import type { AddressRule } from "./domain/webhook.ts"

export interface Config {
  readonly production: boolean
  readonly host: string
  readonly port: number
  /** Base of every `redirect_uri`, without a trailing slash. Never taken from a request. */
  readonly publicUrl: string
  readonly storage: StorageChoice
  /** The first seals, all open. Undefined outside production: keys are then made and kept beside the data. */
  readonly encryptionKeys: readonly EncryptionKey[] | undefined
  /** Undefined outside production: a secret is then made like the keys. */
  readonly dashboardTokens: DashboardTokens | undefined
  readonly dashboardUrl: ReturnUrl | null
  readonly logLevel: LogLevel
  /** How many proxies in front are ours; the client's address is read that many hops back. */
  readonly trustedProxies: number
  readonly rateLimit: boolean
  readonly sandbox: boolean
  readonly graphVersion: string
  readonly xHosts: "x.com" | "twitter.com"
  /** `private` lets webhooks go to every address, over plain http too. */
  readonly webhookAddresses: AddressRule
  readonly eventRetentionDays: number
  readonly flowRetentionDays: number
}

export type StorageChoice =
  | { readonly kind: "memory" }
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: string }

export interface EncryptionKey {
  readonly id: string
  /** 32 bytes. */
  readonly bytes: Uint8Array
}

/** How tokens of the tenants' own dashboard are checked. */
export interface DashboardTokens {
  readonly key:
    | { readonly kind: "secret"; readonly secret: string }
    | { readonly kind: "jwks"; readonly url: string }
  readonly issuer: string | undefined
  readonly audience: string | undefined
  readonly tenantClaim: string
}

const logLevels = ["debug", "info", "warn", "error", "silent"] as const
export type LogLevel = (typeof logLevels)[number]

/** Every fault of the environment at once. Names the settings, never their values. */
export class ConfigError extends Error {
  override readonly name = "ConfigError"
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`Mooring cannot start:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`)
    this.faults = faults
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/** Reads the settings; empty ones count as absent. Throws `ConfigError`. Pure: touches neither disk nor network. */
export function readConfig(env: Environment): Config {
  const faults: string[] = []
  const production = env.NODE_ENV === "production"
  const setting = (name: string): string | undefined => env[name]?.trim() || undefined
  const oneOf = <Value extends string>(name: string, values: readonly Value[], otherwise: Value): Value => {
    const text = setting(name)
    const found = values.find((value) => value === text)
    if (text !== undefined && found === undefined) faults.push(`${name} must be one of ${values.join(", ")}.`)
    return found ?? otherwise
  }
  const whole = (name: string, otherwise: number, most: number, least = 0): number => {
    const text = setting(name) ?? String(otherwise)
    if (/^\d{1,5}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text)
    faults.push(`${name} must be a whole number from ${least} to ${most}.`)
    return otherwise
  }

  const port = whole("PORT", 3000, 65_535)
  const config: Config = {
    production,
    host: setting("HOST") ?? (production ? "0.0.0.0" : "127.0.0.1"),
    port,
    publicUrl: readPublicUrl(setting("PUBLIC_URL"), production, port, faults),
    storage: readStorage(setting("DATABASE_URL"), faults),
    encryptionKeys: readEncryptionKeys(setting("ENCRYPTION_KEYS"), production, faults),
    dashboardTokens: readDashboardTokens(setting, production, faults),
    dashboardUrl: readDashboardUrl(setting("DASHBOARD_URL"), faults),
    logLevel: oneOf("LOG_LEVEL", logLevels, "info"),
    trustedProxies: whole("TRUST_PROXY", 0, 10),
    rateLimit: oneOf("RATE_LIMIT", ["on", "off"], "on") === "on",
    sandbox: oneOf("SANDBOX", ["on", "off"], "on") === "on",
    graphVersion: readGraphVersion(setting("GRAPH_VERSION"), faults),
    xHosts: oneOf("X_HOSTS", ["x.com", "twitter.com"], "x.com"),
    webhookAddresses:
      oneOf("WEBHOOK_PRIVATE_ADDRESSES", ["refuse", "allow"], "refuse") === "allow" ? "private" : "public",
    eventRetentionDays: whole("EVENT_RETENTION_DAYS", 365, 3650, 7),
    flowRetentionDays: whole("FLOW_RETENTION_DAYS", 30, 3650, 1),
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return config
}

function readPublicUrl(
  text: string | undefined,
  production: boolean,
  port: number,
  faults: string[],
): string {
  if (text === undefined) {
    if (production) {
      faults.push(
        "PUBLIC_URL is missing. Set it to the https address under which browsers reach Mooring, for example https://connect.example.com; every redirect_uri begins with it.",
      )
    }
    return `http://localhost:${port}`
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  const loopback = url?.protocol === "http:" && ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)
  // By the text, since the parsed URL does not tell an empty query or fragment from none.
  const isBare = url && !url.username && !url.password && !/[?#]/.test(text)
  if (!isBare || (url.protocol !== "https:" && !loopback)) {
    faults.push(
      "PUBLIC_URL must be an https address (http for localhost and 127.0.0.1) without user info, query or fragment.",
    )
    return ""
  }
  return url.href.replace(/\/+$/, "")
}

function readStorage(text: string | undefined, faults: string[]): StorageChoice {
  if (text === undefined) return { kind: "sqlite", path: "data/mooring.sqlite" }
  if (text === "memory:") return { kind: "memory" }
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) return { kind: "postgres", url: text }
  const path = /^sqlite:(?:\/\/(?=\/))?(.+)$/.exec(text)?.[1]
  if (path) return { kind: "sqlite", path }
  faults.push(
    "DATABASE_URL must be sqlite:PATH (for example sqlite:data/mooring.sqlite), postgres://user:password@host/database, or memory:.",
  )
  return { kind: "memory" }
}

const howToMakeAKey = `make one with: echo "k1:$(openssl rand -base64 32)"`

function readEncryptionKeys(
  text: string | undefined,
  production: boolean,
  faults: string[],
): readonly EncryptionKey[] | undefined {
  if (text === undefined) {
    if (production) {
      faults.push(
        `ENCRYPTION_KEYS is missing. It holds id:base64 pairs, newest first, of 32 random bytes each; ${howToMakeAKey}`,
      )
    }
    return undefined
  }
  const keys: EncryptionKey[] = []
  for (const [i, entry] of text.split(",").entries()) {
    const [, id, base64] = /^\s*([A-Za-z0-9_-]{1,32}):([A-Za-z0-9+/_-]+={0,2})\s*$/.exec(entry) ?? []
    const bytes = base64 === undefined ? undefined : readBase64(base64)
    if (!id || bytes?.length !== 32) {
      faults.push(`ENCRYPTION_KEYS: entry ${i + 1} must be id:base64 of exactly 32 bytes; ${howToMakeAKey}`)
    } else if (keys.some((key) => key.id === id)) {
      faults.push(
        `ENCRYPTION_KEYS: entry ${i + 1} repeats the id of an earlier one; give each key an id of its own.`,
      )
    } else {
      keys.push({ id, bytes })
    }
  }
  return keys
}

function readBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"))
  } catch {
    return undefined
  }
}

const minSecretBytes = 32

function readDashboardTokens(
  setting: (name: string) => string | undefined,
  production: boolean,
  faults: string[],
): DashboardTokens | undefined {
  const [secret, url] = [setting("JWT_SECRET"), setting("JWT_JWKS_URL")]
  const [issuer, audience] = [setting("JWT_ISSUER"), setting("JWT_AUDIENCE")]
  const tenantClaim = setting("JWT_TENANT_CLAIM") ?? "sub"
  if (secret !== undefined && url !== undefined) {
    faults.push(
      "JWT_SECRET and JWT_JWKS_URL are both set; keep the one your dashboard's tokens are signed with.",
    )
  } else if (secret !== undefined) {
    if (new TextEncoder().encode(secret).length < minSecretBytes) {
      faults.push(
        `JWT_SECRET must have at least ${minSecretBytes} bytes; make one with: openssl rand -base64 48`,
      )
    }
    return { key: { kind: "secret", secret }, issuer, audience, tenantClaim }
  } else if (url !== undefined) {
    checkJwksUrl(url, faults)
    if (issuer === undefined || audience === undefined) {
      faults.push(
        "JWT_JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE, or any token of that issuer would be accepted here.",
      )
    }
    return { key: { kind: "jwks", url }, issuer, audience, tenantClaim }
  } else if (production) {
    faults.push(
      "JWT_SECRET is missing (or JWT_JWKS_URL where your dashboard's tokens are signed with a key pair). Make a secret with: openssl rand -base64 48",
    )
  }
  return undefined
}

function checkJwksUrl(text: string, faults: string[]): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const loopback = url?.protocol === "http:" && ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)
  if (url?.protocol !== "https:" && !loopback) faults.push("JWT_JWKS_URL must be an https address.")
}

/** Held to the rules of return URLs, since people are redirected there. */
function readDashboardUrl(text: string | undefined, faults: string[]): ReturnUrl | null {
  if (text === undefined) return null
  try {
    return new ReturnUrlPolicy(URL.canParse(text) ? [new URL(text).origin] : []).accept(text)
  } catch (error) {
    const why = error instanceof ConnectError ? error.faults[0]?.detail : undefined
    faults.push(`DASHBOARD_URL ${why ?? "must be an absolute https address"}.`)
    return null
  }
}

function readGraphVersion(text: string | undefined, faults: string[]): string {
  if (text === undefined) return "v25.0"
  if (!/^v[1-9]\d{0,2}\.\d$/.test(text))
    faults.push('GRAPH_VERSION must be a Graph API version such as "v25.0".')
  return text
}
