import { describe, expect, test } from "bun:test"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import type { AppCheckName, AppFinding, Verdict } from "../../../src/domain/app-check.ts"
import type { OAuthAppOptions } from "../../../src/domain/oauth-app.ts"
import { defaultScopes, type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { ProviderFailure } from "../../../src/ports/providers.ts"
import {
  type ProviderAnswer,
  type ProviderRequest,
  type Transport,
  TransportFault,
} from "../../../src/ports/transport.ts"
import { now, redirectUri } from "./wire.ts"

const secret = "made-up-right-secret"

/** Ids of the form that each provider's have. */
const ids: Readonly<Record<ProviderName, string>> = {
  x: "VUVocGhRbWFkZS11cA:1:ci",
  linkedin: "78madeup00",
  tiktok: "awmadeup00000000",
  facebook: "100000000000001",
  instagram: "200000000000002",
}

type Answer = (request: Asked) => ProviderAnswer

interface Asked {
  readonly host: string
  readonly path: string
  readonly form: URLSearchParams
  readonly headers: ProviderRequest["headers"]
}

const json = (status: number, body: unknown): ProviderAnswer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
})
const flat = (status: number, error: string, error_description: string) =>
  json(status, { error, error_description })
const graph = (status: number, code: number, message: string, error_subcode?: number) =>
  json(status, { error: { message, type: "OAuthException", code, error_subcode, fbtrace_id: "AbCdEf12" } })
const igError = (error_message: string) =>
  json(400, { error_type: "OAuthException", code: 400, error_message })

/** The client of HTTP Basic, form-decoded (RFC 6749 section 2.3.1). */
function basicOf({ headers }: Asked): readonly string[] {
  const encoded = headers.authorization?.replace(/^Basic /, "") ?? ""
  return atob(encoded)
    .split(":")
    .map((part) => new URLSearchParams(`=${part}`).get("") ?? "")
}

/** Each provider's token endpoint as documents and observers tell of it: the client is judged before the code. */
const token: Readonly<Record<ProviderName, Answer>> = {
  // Observed with made-up codes: invalid_client for an unknown id, unauthorized_client for a wrong secret.
  x(asked) {
    const [id, given] = basicOf(asked)
    if (id !== ids.x) return flat(401, "invalid_client", "Unknown client")
    if (given !== secret) return flat(401, "unauthorized_client", "Missing valid authorization header")
    return flat(400, "invalid_request", "Value passed for the authorization code was invalid.")
  },
  // LinkedIn docs: authorization code flow, and the error table of the client credentials flow.
  linkedin({ form }) {
    const id = form.get("client_id")
    if (id !== ids.linkedin) {
      return flat(400, "invalid_client_id", `The passed in client_id is invalid "${id}"`)
    }
    if (form.get("client_secret") !== secret)
      return flat(401, "invalid_client", "Client authentication failed")
    return flat(
      400,
      "invalid_redirect_uri",
      "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code. Or authorization code expired. Or external member binding exists",
    )
  },
  // TikTok docs: oauth-error-handling; status 200 as implementers meet it, and one text for both.
  tiktok({ form }) {
    const fits = form.get("client_key") === ids.tiktok && form.get("client_secret") === secret
    if (!fits) return flat(200, "invalid_client", "Client key or secret is incorrect.")
    return flat(200, "invalid_request", "Redirect_uri is not matched with the uri when requesting code.")
  },
  facebook({ form }) {
    if (form.get("client_id") !== ids.facebook) {
      return graph(
        400,
        101,
        "Error validating application. Cannot get application info due to a system error.",
      )
    }
    if (form.get("client_secret") !== secret) return graph(400, 1, "Error validating client secret.")
    if (form.get("grant_type") === "client_credentials") {
      return json(200, { access_token: `${ids.facebook}|made-up-app-token`, token_type: "bearer" })
    }
    return graph(400, 100, "Invalid verification code format.")
  },
  instagram({ form }) {
    if (form.get("client_id") !== ids.instagram) return igError("Invalid platform app")
    if (form.get("client_secret") !== secret) return igError("Error validating client secret.")
    return igError("Matching code was not found or was already used")
  },
}

/** Meta docs: Graph API reference, /{application-id}/permissions. */
const permissions = (names: readonly string[], status = "live") =>
  json(200, { data: names.map((permission) => ({ permission, status })) })

const hosts: Readonly<Record<string, ProviderName>> = {
  "api.x.com": "x",
  "www.linkedin.com": "linkedin",
  "open.tiktokapis.com": "tiktok",
  "graph.facebook.com": "facebook",
  "api.instagram.com": "instagram",
}

interface Choices {
  readonly clientId?: string
  readonly clientSecret?: string
  readonly scopes?: readonly string[]
  readonly options?: OAuthAppOptions
  readonly limitMs?: number
  /** In place of the provider's own token endpoint. */
  readonly answers?: Partial<Record<ProviderName, Answer>>
  readonly permissions?: () => ProviderAnswer
  readonly transport?: Transport
}

/** Checks an app through the adapter as it is shipped; what was sent is kept. */
async function checked(provider: ProviderName, choices: Choices = {}) {
  const sent: ProviderRequest[] = []
  const answer: Transport = async (request) => {
    const url = new URL(request.url)
    const at = hosts[url.host] ?? "x"
    const asked = {
      host: url.host,
      path: url.pathname,
      form: new URLSearchParams(request.body ?? ""),
      headers: request.headers,
    }
    if (request.method === "GET") {
      expect(url.pathname).toBe(`/v25.0/${ids.facebook}/permissions`)
      expect(request.headers.authorization).toBe(`Bearer ${ids.facebook}|made-up-app-token`)
      return (choices.permissions ?? (() => permissions(defaultScopes.facebook)))()
    }
    return (choices.answers?.[at] ?? token[at])(asked)
  }
  const providers = arcticProviders({
    now: () => now,
    transport: async (request, limits) => {
      sent.push(request)
      return (choices.transport ?? answer)(request, limits)
    },
  })
  const findings = await providers.check({
    provider,
    credentials: {
      clientId: choices.clientId ?? ids[provider],
      clientSecret: choices.clientSecret ?? secret,
    },
    options: choices.options ?? {},
    redirectUri,
    scopes: choices.scopes ?? defaultScopes[provider],
    limitMs: choices.limitMs ?? 60_000,
  })
  return { findings, sent, verdicts: verdictsOf(findings), of: (check: AppCheckName) => one(findings, check) }
}

function verdictsOf(findings: readonly AppFinding[]): Partial<Record<AppCheckName, Verdict>> {
  return Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict]))
}

function one(findings: readonly AppFinding[], check: AppCheckName): AppFinding {
  const [found, ...others] = findings.filter((finding) => finding.check === check)
  if (!found || others.length > 0) throw new Error(`${findings.length} findings, not one of ${check}`)
  return found
}

const formOf = (request: ProviderRequest | undefined) => new URLSearchParams(request?.body ?? "")

describe.each([...providerNames])("an app of %s", (provider) => {
  test("that is right has no problem, and what does not show is unknown", async () => {
    const { verdicts, sent } = await checked(provider)
    expect(verdicts).toEqual({
      client_id: "ok",
      client_secret: "ok",
      redirect_uri: "unknown",
      scopes: provider === "facebook" ? "ok" : "unknown",
      ...(provider === "tiktok" && { environment: "unknown" }),
    })
    expect(sent.length).toBeLessThanOrEqual(3)
  })

  test("is checked with nothing real but its own credentials, and with calls that create nothing", async () => {
    const { sent } = await checked(provider)
    for (const request of sent) {
      const form = formOf(request)
      expect(form.get("code") ?? "made-up").toStartWith("made-up")
      expect(form.get("code_verifier") ?? "made-up").toStartWith("made-up")
      expect(["authorization_code", "client_credentials", null]).toContain(form.get("grant_type"))
      expect(request.url).not.toContain(secret)
      if (provider === "facebook") continue
      expect(form.get("grant_type")).toBe("authorization_code")
      expect(form.get("redirect_uri")).toBe(redirectUri)
    }
  })

  test("with a wrong secret is told from one with a wrong code, at once", async () => {
    const { of, verdicts, sent } = await checked(provider, { clientSecret: "made-up-other-secret" })
    expect(of("client_secret")).toMatchObject({
      verdict: "problem",
      console: { field: expect.stringMatching(/secret/i), url: expect.stringMatching(/^https:/) },
      evidence: { call: provider === "facebook" ? "app_token" : "token" },
    })
    expect(verdicts.client_id).toBe("unknown")
    expect(sent.length).toBe(1)
  })

  test("with an id that nobody knows has a problem that names it", async () => {
    const { of } = await checked(provider, { clientId: "999999999999999" })
    // TikTok says one thing of both.
    const check = provider === "tiktok" ? "client_secret" : "client_id"
    expect(of(check)).toMatchObject({ verdict: "problem", evidence: expect.anything() })
    expect(of(check).detail).toMatch(/client (id|key)/)
    expect(of(check === "client_id" ? "client_secret" : "client_id").verdict).toBe("unknown")
  })

  test.each([
    ["does not answer", () => Promise.reject(new TransportFault("timeout")), /did not answer in time/],
    ["is not there", () => Promise.reject(new TransportFault("unreachable")), /did not answer in time/],
    ["says too much", () => Promise.reject(new TransportFault("too_large")), /not the documented format/],
    ["is down", async () => json(503, {}), /failed on its side/],
    ["fails behind a page", async () => ({ ...json(502, {}), body: "<html>" }), /failed on its side/],
    ["limits calls", async () => json(429, {}), /limiting this app's calls/],
    ["answers with a page", async () => ({ ...json(200, {}), body: "<html>" }), /not the documented format/],
    ["answers with nothing", async () => json(200, {}), /not the documented format/],
    ["redirects", async () => ({ ...json(302, {}), body: "" }), /not the documented format/],
  ] as const)("is neither blamed nor praised while the provider %s", async (_, answer, words) => {
    const { findings, of } = await checked(provider, { transport: answer })
    expect(new Set(findings.map(({ verdict }) => verdict))).toEqual(new Set(["unknown"]))
    expect(of("provider")).toMatchObject({ detail: expect.stringMatching(words), console: null })
    expect(of("provider").evidence).not.toBeNull()
  })

  test("is asked nothing once the time is up", async () => {
    const { findings, sent } = await checked(provider, { limitMs: 0 })
    expect(sent).toEqual([])
    expect(new Set(findings.map(({ verdict }) => verdict))).toEqual(new Set(["unknown"]))
  })

  test("is not called right for a code that was granted though it was made up", async () => {
    const granted = json(200, { access_token: "made-up-granted-token-0123456789" })
    const { verdicts } = await checked(provider, { transport: async () => granted })
    expect(verdicts.client_secret).toBe(provider === "facebook" ? "ok" : "unknown")
    expect(JSON.stringify(verdicts)).not.toContain("problem")
  })

  test("tells of a fault of our own as a fault", async () => {
    const work = checked(provider, { transport: () => Promise.reject(new RangeError("made-up")) })
    const fault: unknown = await work.catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(ProviderFailure)
    expect(fault).toMatchObject({ reason: "server_error" })
  })

  test("lets no secret into a finding, whatever the provider repeats", async () => {
    const echo: Transport = async (request) => {
      const given = formOf(request).get("client_secret") ?? ""
      const said = [given, encodeURIComponent(given), request.headers.authorization ?? "", request.body]
      return flat(400, "invalid_client", said.join(" ").trim())
    }
    for (const clientSecret of [secret, "a made up/secret+with=signs"]) {
      for (const transport of [
        echo,
        async (request: ProviderRequest) => graph(400, 1, await textOf(echo, request)),
      ]) {
        const { findings } = await checked(provider, { clientSecret, transport })
        const told = JSON.stringify(findings)
        const spellings = [
          clientSecret,
          encodeURIComponent(clientSecret),
          btoa(clientSecret).replace(/=+$/, ""),
        ]
        for (const spelling of spellings) expect(told).not.toContain(spelling)
        expect(told).not.toContain(btoa(`${ids[provider]}:${clientSecret}`))
      }
    }
  })

  test("has its findings in one order, each with what to do", async () => {
    const options = { config_id: "123456789" }
    const down = () => Promise.reject(new TransportFault("timeout"))
    const { findings } = await checked(provider, { options, transport: down })
    const order = [
      "client_id",
      "client_secret",
      "redirect_uri",
      "scopes",
      "config_id",
      "environment",
      "provider",
    ]
    const told = findings.map(({ check }) => check as string)
    expect(told).toEqual(order.filter((check) => told.includes(check)))
  })
})

async function textOf(transport: Transport, request: ProviderRequest): Promise<string> {
  const limits = { timeoutMs: 1, maxBytes: 1 }
  return (await transport(request, limits)).body
}

/** All but Facebook, whose app access token shows it without a made-up code. */
const byCode = providerNames.filter((provider) => provider !== "facebook")

describe.each(byCode)("%s", (provider) => {
  test("that refuses the code before it looks at the client shows nothing of the secret", async () => {
    const answers = { [provider]: () => token[provider](asRight(provider)) }
    const { verdicts, sent } = await checked(provider, { answers, clientSecret: "made-up-other-secret" })
    expect(verdicts).toMatchObject({ client_id: "unknown", client_secret: "unknown" })
    expect(sent.length).toBe(2)
  })

  test("that is out of reach for the second call shows nothing of the secret, and that is said", async () => {
    let calls = 0
    const transport: Transport = async () => {
      calls++
      if (calls > 1) throw new TransportFault("timeout")
      return token[provider](asRight(provider))
    }
    const { verdicts } = await checked(provider, { transport })
    expect(verdicts).toMatchObject({ client_secret: "unknown", provider: "unknown" })
  })

  test("is given the app's own secret once, and a second time one that is surely wrong", async () => {
    const { sent } = await checked(provider)
    const secrets = sent.map((request) =>
      provider === "x"
        ? basicOf({ host: "", path: "", form: new URLSearchParams(), headers: request.headers })[1]
        : formOf(request).get("client_secret"),
    )
    expect(secrets).toEqual([secret, "wrong-secret-of-an-app-check"])
  })

  test("that refuses with an error nobody knows shows the secret by refusing another differently", async () => {
    const answers = {
      [provider]: (asked: Asked) => {
        const [id, given] =
          provider === "x" ? basicOf(asked) : [ids[provider], asked.form.get("client_secret")]
        return id === ids[provider] && given === secret
          ? flat(400, "unheard_of", "Nobody knows")
          : token[provider](asked)
      },
    }
    expect((await checked(provider, { answers })).verdicts).toMatchObject({ client_secret: "ok" })
  })
})

/** What a client that is right would send. */
function asRight(provider: ProviderName): Asked {
  const id = ids[provider]
  return {
    host: "",
    path: "",
    form: new URLSearchParams({ client_id: id, client_key: id, client_secret: secret }),
    headers: { authorization: `Basic ${btoa([id, secret].map(encodeURIComponent).join(":"))}` },
  }
}

describe("a redirect URI", () => {
  const cases: readonly (readonly [ProviderName, ProviderAnswer])[] = [
    [
      "facebook",
      graph(400, 100, "Invalid redirect_uri: Given URL is not allowed by the Application configuration."),
    ],
    [
      "facebook",
      graph(400, 191, "Can't Load URL: The domain of this URL isn't included in the app's domains."),
    ],
    ["instagram", igError("Invalid redirect_uri")],
    ["x", flat(400, "invalid_request", "Callback URL not approved for this client application.")],
  ]
  test.each(cases)(
    "that %s calls unregistered is a problem, with the very address",
    async (provider, answer) => {
      const answers = {
        [provider]: (asked: Asked) => {
          const own = token[provider](asked)
          const refusesCode = own.status === 400 && !/secret|client|application/i.test(own.body)
          return refusesCode ? answer : own
        },
      }
      const { of, verdicts } = await checked(provider, { answers })
      expect(of("redirect_uri")).toMatchObject({
        verdict: "problem",
        evidence: { call: "token", status: 400 },
      })
      expect(of("redirect_uri").detail).toContain(redirectUri)
      expect(verdicts).toMatchObject({ client_id: "ok", client_secret: "ok" })
    },
  )

  const comparisons: readonly (readonly [ProviderName, ProviderAnswer])[] = [
    [
      "facebook",
      graph(
        400,
        100,
        "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
        36008,
      ),
    ],
    [
      "instagram",
      igError(
        "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request",
      ),
    ],
    [
      "tiktok",
      flat(200, "invalid_request", "Redirect_uri is not matched with the uri when requesting code."),
    ],
    [
      "x",
      flat(
        400,
        "invalid_request",
        "Value passed for the redirect uri did not match the uri of the authorization code.",
      ),
    ],
    [
      "linkedin",
      flat(
        400,
        "invalid_redirect_uri",
        "appid/redirect uri/code verifier does not match authorization code.",
      ),
    ],
  ]
  test.each(comparisons)(
    "that %s only compares with the code's shows nothing of the console",
    async (provider, answer) => {
      const { verdicts } = await checked(provider, { answers: { [provider]: () => answer } })
      expect(verdicts.redirect_uri).toBe("unknown")
    },
  )
})

describe("scopes", () => {
  test.each([
    ["x", ["tweet.write", "users.read"], /tweet\.read,/],
    ["linkedin", ["w_member_social"], /openid and profile,/],
    ["tiktok", ["video.publish"], /user\.info\.basic,/],
    ["facebook", ["pages_manage_posts"], /pages_show_list,/],
    ["instagram", ["instagram_business_content_publish"], /instagram_business_basic,/],
  ] as const)("of %s without what reads the profile are a problem", async (provider, scopes, words) => {
    const { of } = await checked(provider, { scopes })
    expect(of("scopes")).toMatchObject({ verdict: "problem", detail: expect.stringMatching(words) })
  })

  test.each([
    ["x", "pages_show_list"],
    ["linkedin", "user.info.basic"],
    ["tiktok", "tweet_read"],
    ["facebook", "instagram_business_basic"],
    ["instagram", "business_basic"],
    ["instagram", "instagram_content_publish"],
  ] as const)("of %s with %s, which is no scope there, are a problem", async (provider, scope) => {
    const { of } = await checked(provider, { scopes: [...defaultScopes[provider], scope] })
    expect(of("scopes")).toMatchObject({ verdict: "problem", detail: expect.stringContaining(scope) })
  })

  test("of Facebook that App Review has not approved are left to the owner's judgement", async () => {
    const only = () => permissions(["pages_show_list", "business_management"])
    const { of } = await checked("facebook", { permissions: only })
    expect(of("scopes")).toMatchObject({
      verdict: "unknown",
      detail: expect.stringContaining(
        "pages_read_engagement and pages_manage_posts, so only people with a role",
      ),
    })
    const pending = () => permissions(defaultScopes.facebook, "pending")
    expect((await checked("facebook", { permissions: pending })).verdicts.scopes).toBe("unknown")
  })

  test("of Facebook are unknown where the list is kept back, and the rest stays seen", async () => {
    const refused = () => graph(403, 10, "(#10) Application does not have permission for this action")
    const { of, verdicts } = await checked("facebook", { permissions: refused })
    expect(of("scopes")).toMatchObject({
      verdict: "unknown",
      evidence: { call: "app_permissions", status: 403 },
    })
    expect(verdicts).toMatchObject({ client_secret: "ok", client_id: "ok" })
    expect(verdicts.provider).toBeUndefined()
    const down = await checked("facebook", { permissions: () => json(500, {}) })
    expect(down.verdicts).toMatchObject({ client_secret: "ok", scopes: "unknown", provider: "unknown" })
  })

  test("are nobody's business where a configuration decides", async () => {
    const { findings } = await checked("facebook", { scopes: [], options: { config_id: "123456789" } })
    expect(findings.map(({ check }) => check)).not.toContain("scopes")
  })
})

test("a config_id that is the App ID is a problem; any other is left to the console", async () => {
  const own = await checked("facebook", { options: { config_id: ids.facebook } })
  expect(own.of("config_id")).toMatchObject({
    verdict: "problem",
    console: { field: "the Configuration ID" },
  })
  const other = await checked("facebook", { options: { config_id: "123456789" } })
  expect(other.of("config_id")).toMatchObject({
    verdict: "unknown",
    detail: expect.stringContaining("123456789"),
  })
  expect((await checked("facebook")).verdicts.config_id).toBeUndefined()
})

test.each([
  ["instagram", "facebook", /App ID of a Facebook app/],
  ["facebook", "instagram", /is an Instagram App ID/],
] as const)(
  "the id of an app of %s that is %s's is called that, and no secret goes there",
  async (provider, other, words) => {
    const { of, sent } = await checked(provider, { clientId: ids[other] })
    expect(of("client_id")).toMatchObject({ verdict: "problem", detail: expect.stringMatching(words) })
    const [, foreign] = sent
    expect(hosts[new URL(foreign?.url ?? "").host]).toBe(other)
    expect(foreign?.url).not.toContain("{version}")
    expect(formOf(foreign).get("client_secret")).toBe("wrong-secret-of-an-app-check")
    expect(sent.length).toBe(2)
  },
)

test.each(["instagram", "facebook"] as const)(
  "an unknown id of %s stays that where the other product cannot be asked",
  async (provider) => {
    const other = provider === "facebook" ? "instagram" : "facebook"
    const answers = {
      [other]: () => {
        throw new TransportFault("timeout")
      },
    }
    const { of } = await checked(provider, { clientId: "999999999999999", answers })
    expect(of("client_id").detail).toMatch(/does not know this client id/)
  },
)

test("Facebook's other word for an unknown application is about the id too", async () => {
  const unknown = () => graph(400, 190, "Error validating application. Invalid application ID.")
  const { verdicts } = await checked("facebook", { answers: { facebook: unknown } })
  expect(verdicts).toMatchObject({ client_id: "problem", client_secret: "unknown" })
})

test("a key of TikTok's sandbox is told from one of production", async () => {
  const clientId = "sbawmadeup000000"
  const { of } = await checked("tiktok", { clientId })
  expect(of("environment")).toMatchObject({
    verdict: "problem",
    detail: expect.stringContaining("target users"),
  })
  expect((await checked("tiktok")).verdicts.environment).toBe("unknown")
})
