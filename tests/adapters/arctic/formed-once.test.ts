import { expect, test } from "bun:test"
import fc from "fast-check"
import { facebook } from "../../../src/adapters/arctic/facebook.ts"
import { formedOnce } from "../../../src/adapters/arctic/formed-once.ts"
import { instagram } from "../../../src/adapters/arctic/instagram.ts"
import { linkedin } from "../../../src/adapters/arctic/linkedin.ts"
import { tiktok } from "../../../src/adapters/arctic/tiktok.ts"
import { x } from "../../../src/adapters/arctic/x.ts"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import type { AuthorizeRequest } from "../../../src/ports/providers.ts"
import { authorizeRequest } from "./wire.ts"

const adapters = { facebook, instagram, linkedin, tiktok, x }

/** How often each provider formed a URL. */
function counting() {
  const formed: AuthorizeRequest[] = []
  const form = (request: AuthorizeRequest) => {
    formed.push(request)
    const adapter = adapters[request.provider]
    return adapter.authorizeUrl(request, adapter.endpoints(request.options))
  }
  const once = formedOnce(form, ({ provider, options }) => adapters[provider].challenge(options))
  return { formed, form, once }
}

/** Whatever a tenant may write, and what of it some library might take for a pattern or an escape. */
const hostileText = fc.oneof(
  fc.string({ minLength: 1, unit: "binary" }).map((text) => text.toWellFormed()),
  fc.constantFrom("$&", "$1", "a+b c", "%41%2f", "state=1&code_challenge=2#x", "\u00e9\u{1F600}"),
)
const options = fc.record(
  {
    pkce: fc.constantFrom("s256", "s256_hex", "none"),
    hosts: fc.constantFrom("x.com", "twitter.com"),
    config_id: hostileText,
    config_id_with_scope: fc.boolean(),
    extended_login: fc.boolean(),
    enable_fb_login: fc.boolean(),
  },
  { requiredKeys: [] },
)
const shared = fc.record({
  provider: fc.constantFrom(...providerNames),
  clientId: hostileText,
  redirectUri: fc.webUrl({ withQueryParameters: true }),
  scopes: fc.array(hostileText, { maxLength: 4 }),
  options,
  reconnect: fc.boolean(),
})
const own = fc.record({
  state: fc.oneof(fc.stringMatching(/^[a-z0-9]{35}\.[a-z0-9]{8}\.[\w-]{43}$/), hostileText),
  codeVerifier: fc.stringMatching(/^[\w.~-]{43,128}$/),
})

test("each URL is the one that would be formed anew, byte for byte, whatever is in it", () => {
  const { form, once } = counting()
  fc.assert(
    fc.property(shared, fc.array(own, { minLength: 1, maxLength: 3 }), (request, flows) => {
      for (const flow of flows) {
        expect(once({ ...request, ...flow })).toBe(form({ ...request, ...flow }).href)
      }
    }),
    { numRuns: 500 },
  )
})

const changes: Readonly<Record<string, Partial<AuthorizeRequest>>> = {
  "another client": { clientId: "another-client" },
  "another redirect URI": { redirectUri: "https://other.acme.example/callback" },
  "other scopes": { scopes: ["other"] },
  "other options": { options: { extended_login: true } },
  "a reconnect": { reconnect: true },
}

test.each(Object.entries(changes))("%s is formed anew, and what was formed is not", (_, change) => {
  const { formed, once } = counting()
  const request = authorizeRequest("linkedin")
  const urls = [request, { ...request, ...change }, { ...request, state: "other" }].map((asked) =>
    once(asked),
  )
  expect(formed.length).toBe(2)
  expect(urls[2]).toBe(urls[0]?.replace(request.state, "other") ?? "")
})

test("a flow that must have a verifier and has none is a fault, formed before or not", () => {
  const { once } = counting()
  const bare = { ...authorizeRequest("x"), codeVerifier: null }
  expect(() => once(bare)).toThrow(TypeError)
  once(authorizeRequest("x"))
  expect(() => once(bare)).toThrow(TypeError)
})

test("a thousand are kept, and the oldest makes room for the next", () => {
  const { formed, once } = counting()
  const ask = (i: number) => once(authorizeRequest("x" satisfies ProviderName, { clientId: `client-${i}` }))
  for (let i = 0; i < 1000; i++) ask(i)
  ask(0)
  expect(formed.length).toBe(1000)
  ask(1000)
  ask(1)
  expect(formed.length).toBe(1001)
  ask(0)
  expect(formed.length).toBe(1002)
})
