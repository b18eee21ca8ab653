import { type ProviderName, providerNames } from "../../src/domain/provider.ts"
import type { Transport } from "../../src/ports/transport.ts"
import {
  type Grant,
  type Memory,
  ownAnswer,
  type RecordedRequest,
  type SimulatedCall,
  type Wire,
} from "./simulated-answers.ts"

/**
 * The five providers on 127.0.0.1, each as strict and as peculiar as its documents say, in its own wire
 * format. A test may take over the answer of any call; every request is recorded as it came over the wire.
 */
export interface SimulatedProviders {
  readonly requests: readonly RecordedRequest[]
  /** What was asked of one call, oldest first. */
  sent(provider: ProviderName, call: SimulatedCall): readonly RecordedRequest[]
  /** From now on this is the answer, in place of the provider's own. */
  answer(provider: ProviderName, call: SimulatedCall, reply: Reply): void
  /** The person agrees on the consent page; the code that would come back. Throws where the page would refuse. */
  consent(authorizeUrl: URL, grant?: { readonly scopes: readonly string[] }): string
  /** The live transport, with the providers' hosts found here. */
  reach(live: Transport): Transport
  /** Forgets requests, answers and what became of tokens. */
  reset(): void
  stop(): Promise<void>
}

export type Reply = Wire | ((request: RecordedRequest) => Response | Promise<Response>)

interface Dialog {
  readonly address: string
  readonly clientId: string
  readonly separator: string
  readonly required: readonly string[]
  readonly optional: readonly string[]
}

const common = ["response_type", "redirect_uri", "state"]
const dialogs: Readonly<Record<ProviderName, Dialog>> = {
  x: {
    address: "https://x.com/i/oauth2/authorize",
    clientId: "client_id",
    separator: " ",
    required: [...common, "client_id", "scope", "code_challenge", "code_challenge_method"],
    optional: [],
  },
  linkedin: {
    address: "https://www.linkedin.com/oauth/v2/authorization",
    clientId: "client_id",
    separator: " ",
    required: [...common, "client_id", "scope"],
    optional: ["enable_extended_login"],
  },
  tiktok: {
    address: "https://www.tiktok.com/v2/auth/authorize/",
    clientId: "client_key",
    separator: ",",
    required: [...common, "client_key", "scope"],
    optional: ["disable_auto_auth", "code_challenge", "code_challenge_method"],
  },
  facebook: {
    address: "https://www.facebook.com/v25.0/dialog/oauth",
    clientId: "client_id",
    separator: ",",
    required: [...common, "client_id"],
    optional: ["scope", "config_id", "auth_type"],
  },
  instagram: {
    address: "https://www.instagram.com/oauth/authorize",
    clientId: "client_id",
    separator: ",",
    required: [...common, "client_id", "scope"],
    optional: ["enable_fb_login", "force_reauth"],
  },
}

/** Host and path (the Graph version cut out) to the call they are. */
const routes: readonly (readonly [string, RegExp, ProviderName, SimulatedCall])[] = [
  ["api.x.com", /^POST \/2\/oauth2\/token$/, "x", "token"],
  ["api.x.com", /^POST \/2\/oauth2\/revoke$/, "x", "revoke"],
  ["api.x.com", /^GET \/2\/users\/me$/, "x", "profile"],
  ["www.linkedin.com", /^POST \/oauth\/v2\/accessToken$/, "linkedin", "token"],
  ["www.linkedin.com", /^POST \/oauth\/v2\/revoke$/, "linkedin", "revoke"],
  ["api.linkedin.com", /^GET \/v2\/userinfo$/, "linkedin", "profile"],
  ["api.linkedin.com", /^GET \/rest\/organizationAcls$/, "linkedin", "organization_acls"],
  ["api.linkedin.com", /^GET \/rest\/organizations$/, "linkedin", "organizations"],
  ["open.tiktokapis.com", /^POST \/v2\/oauth\/token\/$/, "tiktok", "token"],
  ["open.tiktokapis.com", /^POST \/v2\/oauth\/revoke\/$/, "tiktok", "revoke"],
  ["open.tiktokapis.com", /^GET \/v2\/user\/info\/$/, "tiktok", "profile"],
  ["graph.facebook.com", /^POST \/v25\.0\/oauth\/access_token$/, "facebook", "token"],
  ["graph.facebook.com", /^GET \/v25\.0\/me\/permissions$/, "facebook", "permissions"],
  ["graph.facebook.com", /^DELETE \/v25\.0\/me\/permissions$/, "facebook", "revoke"],
  ["graph.facebook.com", /^GET \/v25\.0\/me$/, "facebook", "profile"],
  ["graph.facebook.com", /^GET \/v25\.0\/\d+$/, "facebook", "page"],
  ["graph.facebook.com", /^GET \/v25\.0\/me\/accounts$/, "facebook", "accounts"],
  ["graph.facebook.com", /^GET \/v25\.0\/me\/businesses$/, "facebook", "businesses"],
  ["graph.facebook.com", /^GET \/v25\.0\/\d+\/(owned|client)_pages$/, "facebook", "business_pages"],
  ["api.instagram.com", /^POST \/oauth\/access_token$/, "instagram", "token"],
  ["graph.instagram.com", /^GET \/access_token$/, "instagram", "long_lived_token"],
  ["graph.instagram.com", /^GET \/refresh_access_token$/, "instagram", "refresh"],
  ["graph.instagram.com", /^GET \/v25\.0\/me$/, "instagram", "profile"],
]

export function startSimulatedProviders(): SimulatedProviders {
  const requests: RecordedRequest[] = []
  const replies = new Map<string, Reply>()
  const memory: Memory = { codes: new Map<string, Grant>(), ended: new Set<string>() }
  const { codes } = memory

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(raw) {
      const request = await record(raw)
      if (!request) return wire({ status: 404, body: "no such call" })
      requests.push(request)
      const reply = replies.get(`${request.provider}.${request.call}`)
      if (!reply) return wire(ownAnswer(request, memory))
      return typeof reply === "function" ? reply(request) : wire(reply)
    },
  })

  return {
    requests,
    sent: (provider, call) =>
      requests.filter((request) => request.provider === provider && request.call === call),
    answer: (provider, call, reply) => void replies.set(`${provider}.${call}`, reply),
    consent(authorizeUrl, grant) {
      const asked = readDialog(authorizeUrl)
      const code = `code-${asked.provider}-${asked.clientId}-${codes.size}`
      codes.set(code, { ...asked, scopes: grant?.scopes ?? asked.scopes })
      return code
    },
    reach: (live) => (request, limits) => {
      const { host, pathname, search } = new URL(request.url)
      return live({ ...request, url: `${server.url.origin}/${host}${pathname}${search}` }, limits)
    },
    reset() {
      requests.length = 0
      replies.clear()
      memory.ended.clear()
    },
    stop: () => server.stop(true),
  }
}

export function wire(reply: Wire): Response {
  const text = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body ?? {})
  const status = reply.status ?? 200
  const bodiless = status === 204 || status === 304
  const headers = { "content-type": "application/json", ...reply.headers }
  return new Response(bodiless ? null : text, { status, headers })
}

/** At one token endpoint the type of grant says which call it is. */
const callsByGrant: Readonly<Record<string, SimulatedCall>> = {
  fb_exchange_token: "long_lived_token",
  refresh_token: "refresh",
}

async function record(raw: Request): Promise<RecordedRequest | undefined> {
  const url = new URL(raw.url)
  const [, host = ""] = url.pathname.split("/")
  const path = url.pathname.slice(host.length + 1)
  const route = routes.find(([at, pattern]) => at === host && pattern.test(`${raw.method} ${path}`))
  if (!route) return undefined
  const body = await raw.text()
  const form = new URLSearchParams(body)
  const [, , provider, call] = route
  return {
    provider,
    call: callsByGrant[form.get("grant_type") ?? ""] ?? call,
    method: raw.method,
    host,
    path,
    query: url.searchParams,
    headers: raw.headers,
    body,
    form,
  }
}

/** What each consent page insists on: its own address, its parameters and no others, each once. */
function readDialog(url: URL): Grant {
  const found = providerNames.find((name) => dialogs[name].address === url.origin + url.pathname)
  if (!found) throw new Error(`no consent page at ${url.origin}${url.pathname}`)
  const dialog = dialogs[found]
  const names = [...url.searchParams.keys()]
  const missing = dialog.required.filter((name) => !url.searchParams.get(name))
  const unknown = names.filter((name) => ![...dialog.required, ...dialog.optional].includes(name))
  if (missing.length + unknown.length > 0 || new Set(names).size !== names.length) {
    throw new Error(`${found} refuses: missing ${missing}, unknown ${unknown}`)
  }
  return {
    provider: found,
    clientId: url.searchParams.get(dialog.clientId) ?? "",
    redirectUri: url.searchParams.get("redirect_uri") ?? "",
    scopes: (url.searchParams.get("scope") ?? "").split(dialog.separator),
    challenge: url.searchParams.get("code_challenge"),
  }
}
