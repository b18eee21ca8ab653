import { type FieldFault, refuseFaults } from "./errors.ts"
import type { Environment } from "./owner.ts"
import { defaultScopes, type ProviderName } from "./provider.ts"
import { ReturnUrlPolicy, returnUrlEntryFault } from "./return-url-policy.ts"
import type { Sealed } from "./sealed.ts"

/** A tenant's own registration with a provider. */
export interface OAuthApp {
  readonly id: string
  readonly tenant: string
  readonly environment: Environment
  readonly provider: ProviderName
  readonly name: string
  /** Immutable: the provider binds refresh tokens to it. */
  readonly clientId: string
  readonly clientSecret: Sealed
  readonly scopes: readonly string[]
  readonly allowedReturnUrls: readonly string[]
  readonly isDefault: boolean
  readonly options: OAuthAppOptions
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** Where documents and practice disagree about a provider, the app can switch. Values are texts or booleans. */
export type OAuthAppOptions = Readonly<Record<string, string | boolean>>

type OptionRule = { readonly accepts: (value: unknown) => boolean; readonly detail: string }

const oneOf = (...values: readonly string[]): OptionRule => ({
  accepts: (value) => typeof value === "string" && values.includes(value),
  detail: `must be one of ${values.join(", ")}`,
})
const flag: OptionRule = { accepts: (value) => typeof value === "boolean", detail: "must be true or false" }
const graphVersion: OptionRule = {
  accepts: (value) => typeof value === "string" && /^v[1-9]\d{0,2}\.\d$/.test(value),
  detail: 'must be a Graph version such as "v25.0"',
}

const optionRules: Readonly<Record<ProviderName, Readonly<Record<string, OptionRule>>>> = {
  x: {
    hosts: oneOf("x.com", "twitter.com"),
    client_id_in_body: flag,
  },
  linkedin: {
    extended_login: flag,
    api_version: {
      accepts: (value) => typeof value === "string" && /^20[2-9]\d(0[1-9]|1[0-2])$/.test(value),
      detail: 'must be a LinkedIn API version such as "202609"',
    },
  },
  tiktok: { pkce: oneOf("off", "s256", "s256_hex") },
  facebook: {
    config_id: {
      accepts: (value) => typeof value === "string" && /^\d{5,32}$/.test(value),
      detail: "must be the number of a Facebook Login for Business configuration, as text",
    },
    config_id_with_scope: flag,
    graph_version: graphVersion,
  },
  instagram: {
    graph_version: graphVersion,
    authorize_host: oneOf("www.instagram.com", "api.instagram.com"),
    enable_fb_login: flag,
  },
}

export const maxReturnUrls = 20
const maxScopes = 50
const scopeToken = /^[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]{1,128}$/ // RFC 6749 section 3.3, less the comma that TikTok and Meta join with

/** What a caller may set; what is absent keeps its value or its default. */
export interface OAuthAppInput {
  readonly name?: string | undefined
  readonly clientId?: string | undefined
  readonly clientSecret?: string | undefined
  readonly allowedReturnUrls?: readonly string[] | undefined
  readonly scopes?: readonly string[] | undefined
  readonly options?: Readonly<Record<string, unknown>> | undefined
}

export interface CheckedOAuthAppInput {
  readonly name: string | undefined
  readonly clientId: string | undefined
  readonly clientSecret: string | undefined
  readonly allowedReturnUrls: readonly string[] | undefined
  readonly scopes: readonly string[] | undefined
  readonly options: OAuthAppOptions | undefined
}

/**
 * Trims ids and secrets (a pasted newline is a common cause of `invalid_client`) and refuses with every
 * fault at once. Throws `invalid_input`.
 */
export function checkOAuthAppInput(provider: ProviderName, input: OAuthAppInput): CheckedOAuthAppInput {
  const faults: FieldFault[] = []
  const name = input.name?.trim()
  if (name !== undefined && (name.length < 1 || name.length > 120)) {
    faults.push({ field: "name", detail: "must have 1 to 120 characters" })
  }
  if (name !== undefined && /\p{Cc}/u.test(name)) {
    faults.push({ field: "name", detail: "must not contain control characters" })
  }
  const clientId = checkCredential("client_id", input.clientId, 256, faults)
  const clientSecret = checkCredential("client_secret", input.clientSecret, 1024, faults)
  checkReturnUrls(input.allowedReturnUrls, faults)
  checkScopes(input.scopes, faults)
  checkOptions(provider, input.options, faults)
  refuseFaults(faults)
  return {
    name,
    clientId,
    clientSecret,
    allowedReturnUrls: input.allowedReturnUrls && [...new Set(input.allowedReturnUrls)],
    scopes:
      input.scopes && (input.scopes.length === 0 ? defaultScopes[provider] : [...new Set(input.scopes)]),
    options: input.options as OAuthAppOptions | undefined,
  }
}

/**
 * The scopes that a flow of this app asks for. A Facebook Login for Business configuration fixes the
 * permissions itself, so with a `config_id` none are asked for and none can be found missing.
 */
export function requestedScopes(app: Pick<OAuthApp, "provider" | "scopes" | "options">): readonly string[] {
  const configured = app.provider === "facebook" && app.options.config_id && !app.options.config_id_with_scope
  return configured ? [] : app.scopes
}

export function returnUrlPolicy(app: Pick<OAuthApp, "allowedReturnUrls">): ReturnUrlPolicy {
  return new ReturnUrlPolicy(app.allowedReturnUrls)
}

function checkCredential(
  field: string,
  raw: string | undefined,
  longest: number,
  faults: FieldFault[],
): string | undefined {
  const text = raw?.trim()
  if (text === undefined) return undefined
  if (text.length < 1 || text.length > longest) {
    faults.push({ field, detail: `must have 1 to ${longest} characters after trimming` })
  } else if (!/^[\x20-\x7E]+$/.test(text)) {
    faults.push({ field, detail: "must be printable ASCII; copy it again from the provider's console" })
  }
  return text
}

function checkReturnUrls(entries: readonly string[] | undefined, faults: FieldFault[]): void {
  if (entries === undefined) return
  if (entries.length > maxReturnUrls) {
    faults.push({ field: "allowed_return_urls", detail: `must have at most ${maxReturnUrls} entries` })
  }
  for (const [i, entry] of entries.entries()) {
    const fault = returnUrlEntryFault(entry)
    if (fault) faults.push({ field: `allowed_return_urls[${i}]`, detail: fault })
  }
}

function checkScopes(scopes: readonly string[] | undefined, faults: FieldFault[]): void {
  if (scopes === undefined) return
  if (scopes.length > maxScopes)
    faults.push({ field: "scopes", detail: `must have at most ${maxScopes} entries` })
  for (const [i, scope] of scopes.entries()) {
    if (!scopeToken.test(scope)) {
      faults.push({
        field: `scopes[${i}]`,
        detail:
          "must be one scope of 1 to 128 characters, without spaces or commas; put each scope in its own entry",
      })
    }
  }
}

function checkOptions(
  provider: ProviderName,
  options: Readonly<Record<string, unknown>> | undefined,
  faults: FieldFault[],
): void {
  const rules = optionRules[provider]
  for (const [name, value] of Object.entries(options ?? {})) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (!rule) {
      faults.push({
        field: `options.${name.slice(0, 40)}`,
        detail: `is not an option of ${provider}; it has ${Object.keys(rules).join(", ")}`,
      })
    } else if (!rule.accepts(value)) {
      faults.push({ field: `options.${name}`, detail: rule.detail })
    }
  }
}
