import { expect, test } from "bun:test"
import fc from "fast-check"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { TransportFault } from "../../../src/ports/transport.ts"
import {
  accessTokenIn,
  ask,
  authorizeAddress,
  authorizeQuery,
  type Call,
  call,
  callbackOf,
  codeOf,
  connected,
  get,
  limits,
  openSandbox,
  press,
  profileCall,
  publicUrl,
  tokenCall,
} from "./harness.ts"

const provider = fc.constantFrom(...providerNames)
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ maxLength: 60 }),
  fc.constantFrom(
    "approve",
    "ann",
    "S256",
    "%00",
    "\r\nset-cookie: a=b",
    "https://example.test/",
    "__proto__",
  ),
)
const hosts = [
  "api.x.com",
  "api.twitter.com",
  "www.linkedin.com",
  "api.linkedin.com",
  "open.tiktokapis.com",
  "graph.facebook.com",
  "api.instagram.com",
  "graph.instagram.com",
]
const paths = [
  "/2/oauth2/token",
  "/2/oauth2/revoke",
  "/2/users/me",
  "/oauth/v2/accessToken",
  "/oauth/v2/introspectToken",
  "/v2/userinfo",
  "/v2/oauth/token/",
  "/v2/oauth/revoke/",
  "/v2/user/info/",
  "/v25.0/oauth/access_token",
  "/v25.0/me",
  "/v25.0/me/accounts",
  "/v25.0/me/permissions",
  "/debug_token",
  "/oauth/access_token",
  "/access_token",
  "/refresh_access_token",
  "/oauth/v2/revoke",
  "/rest/organizationAcls",
  "/rest/organizations",
  "/rest/organizations/2414183",
]
const parameterNames = [
  "grant_type",
  "code",
  "client_id",
  "client_key",
  "client_secret",
  "redirect_uri",
  "code_verifier",
  "refresh_token",
  "access_token",
  "fb_exchange_token",
  "input_token",
  "fields",
  "after",
  "limit",
  "appsecret_proof",
  "q",
  "start",
  "count",
  "ids",
]
const restli = { "linkedin-version": "202609", "x-restli-protocol-version": "2.0.0" }
const grantTypes = ["authorization_code", "refresh_token", "fb_exchange_token", "ig_exchange_token"]
const parameters = fc.dictionary(
  fc.constantFrom(...parameterNames),
  fc.oneof(text, fc.constantFrom(...grantTypes)),
)

function hasToken(body: string): boolean {
  try {
    return accessTokenIn(JSON.parse(body)).length > 0
  } catch {
    return false
  }
}

test("whatever is sent to the providers' hosts, the answer is one, and no token comes of garbage", async () => {
  const box = openSandbox()
  const request = fc.record({
    method: fc.constantFrom("GET" as const, "POST" as const, "DELETE" as const),
    host: fc.constantFrom(...hosts),
    path: fc.oneof(fc.constantFrom(...paths), fc.webPath()),
    query: parameters,
    form: parameters,
    authorization: fc.oneof(
      text,
      text.map((garbage) => `Bearer ${garbage}`),
      fc.base64String().map((garbage) => `Basic ${garbage}`),
    ),
  })
  await fc.assert(
    fc.asyncProperty(request, async ({ method, host, path, query, form, authorization }) => {
      const sent = {
        method,
        url: `https://${host}${path}?${new URLSearchParams(query)}`,
        headers: { authorization, ...restli, "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(form).toString(),
      }
      const answer = await box.transport(sent, limits)
      expect(answer.status).toBeGreaterThanOrEqual(200)
      expect(hasToken(answer.body)).toBe(false)
    }),
    { numRuns: 1500 },
  )
})

test("no garbage is a code or a token, not even an altered real one", async () => {
  const box = openSandbox()
  const real = new Map<ProviderName, { code: string; token: string }>()
  for (const name of providerNames) {
    real.set(name, { code: await codeOf(box, name), token: await connected(box, name) })
  }
  const alteration = fc.record({
    at: fc.nat(),
    by: fc.string({ minLength: 1, maxLength: 3 }),
    cut: fc.nat(3),
  })
  const change = (honest: string, { at, by, cut }: { at: number; by: string; cut: number }) => {
    const start = at % honest.length
    return honest.slice(0, start) + by + honest.slice(start + cut)
  }
  await fc.assert(
    fc.asyncProperty(provider, alteration, async (name, altering) => {
      const { code, token } = real.get(name) ?? { code: "", token: "" }
      const altered = { code: change(code, altering), token: change(token, altering) }
      if (altered.code !== code) {
        expect(hasToken((await call(box, tokenCall(name, altered.code))).body)).toBe(false)
      }
      if (altered.token !== token && !/[\s&=#%+]/.test(altering.by)) {
        const { status } = await call(box, profileCall(name, encodeToken(name, altered.token)))
        expect(status).not.toBe(200)
      }
    }),
    { numRuns: 500 },
  )
})

/** Instagram takes its token in the query. */
function encodeToken(name: ProviderName, token: string): string {
  return name === "instagram" ? encodeURIComponent(token) : token
}

test("whatever the query and the form are, a redirect leads to the callback of that provider and carries no foreign header", async () => {
  const box = openSandbox()
  const names = [
    ...Object.keys(authorizeQuery("x")),
    "client_key",
    "config_id",
    "scenario",
    "person",
    "untick",
    "expires_in",
    "refresh_expires_in",
    "delay_ms",
    "pages",
  ]
  const changes = fc.dictionary(fc.oneof(fc.constantFrom(...names), text), text, { maxKeys: 6 })
  const fields = ["scenario", "person", "granted", "ticks", "page", "page_ticks"]
  const form = fc.option(fc.dictionary(fc.constantFrom(...fields), text), {
    nil: undefined,
  })
  await fc.assert(
    fc.asyncProperty(provider, changes, form, async (name, changed, filled) => {
      const url = authorizeAddress(name, changed)
      const response = filled ? await press(box, url, new URLSearchParams(filled)) : await get(box, url)
      expect([200, 302, 400]).toContain(response.status)
      const location = response.headers.get("location")
      expect(location !== null).toBe(response.status === 302)
      if (location === null) return
      const target = new URL(location)
      expect(`${target.origin}${target.pathname}`).toBe(callbackOf(name))
      expect(location).toMatch(/^[\x21-\x7e]+$/)
      expect(response.headers.get("set-cookie")).toBeNull()
    }),
    { numRuns: 1500 },
  )
})

test("any path below /sandbox/ is answered, and a page holds no raw markup of the caller", async () => {
  const box = openSandbox()
  await fc.assert(
    fc.asyncProperty(fc.webPath(), text, async (path, garbage) => {
      const url = `${publicUrl}/sandbox/${path}?scenario=${encodeURIComponent(`<x-${garbage}>`)}`
      const page = await (await get(box, url)).text()
      expect(page).not.toContain("<x-")
    }),
    { numRuns: 300 },
  )
})

test("a person's scopes come back as they were granted, whatever they are called", async () => {
  const box = openSandbox()
  const scope = fc.stringMatching(/^[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]{1,20}$/)
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(scope, { minLength: 1, maxLength: 8 }), async (scopes) => {
      const code = await codeOf(box, "tiktok", { scope: scopes.join(",") })
      const { body } = await ask(box, tokenCall("tiktok", code))
      expect(body.scope).toBe(scopes.join(","))
    }),
    { numRuns: 200 },
  )
})

test("the transport rejects with its own fault alone", async () => {
  const box = openSandbox()
  await fc.assert(
    fc.asyncProperty(text, text, async (url, authorization) => {
      const asked: Call = { url }
      const fault: unknown = await box
        .transport({ method: "GET", headers: { authorization }, body: null, url: asked.url }, limits)
        .then(
          () => undefined,
          (error: unknown) => error,
        )
      expect(fault).toBeInstanceOf(TransportFault)
    }),
    { numRuns: 300 },
  )
})
