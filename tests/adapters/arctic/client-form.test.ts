import { beforeAll, expect, test } from "bun:test"
import { Facebook, LinkedIn, TikTok, Twitter } from "arctic"
import fc from "fast-check"
import { clientForm } from "../../../src/adapters/arctic/client-form.ts"
import { instagramClient } from "../../../src/adapters/arctic/instagram-client.ts"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { installScopedFetch, withinFetch } from "../../../src/adapters/arctic/scoped-fetch.ts"
import type { ProviderName } from "../../../src/domain/provider.ts"
import type { ProviderRequest } from "../../../src/ports/transport.ts"
import { exchangeRequest, now, refreshRequest, revokeRequest } from "./wire.ts"

beforeAll(() => void installScopedFetch())

/** What came out of a scope around the client itself. */
async function sentBy(client: () => Promise<unknown>): Promise<string> {
  const sent: string[] = []
  const take = async (request: Request) => {
    sent.push(await request.text())
    return new Response("{}")
  }
  await withinFetch(take, client).catch(() => {})
  expect(sent.length).toBe(1)
  return sent[0] ?? ""
}

/** The bodies that our adapters send. */
async function sentByUs(work: (providers: ReturnType<typeof arcticProviders>) => Promise<unknown>) {
  const sent: ProviderRequest[] = []
  const providers = arcticProviders({
    now: () => now,
    transport: async (request) => {
      sent.push(request)
      return { status: 400, headers: {}, body: "{}" }
    },
  })
  await work(providers).catch(() => {})
  return sent.map(({ body }) => body ?? "")
}

/** Whatever may be in a code or a secret, and what of it could be taken for a mark, a pattern or an escape. */
const text = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.string({ minLength: 1, unit: "binary" }).map((text) => text.toWellFormed()),
  fc.constantFrom(
    "mark-of-code",
    "mark-of-clientSecret",
    "$&",
    "a b+c%41",
    "code=1&x=2",
    "~!'()*",
    "\u{1F600}",
    "half \uD83D of one",
  ),
)
const values = fc.record({
  clientId: text,
  clientSecret: text,
  redirectUri: fc.webUrl({ withQueryParameters: true }),
  code: text,
  codeVerifier: text,
  refreshToken: text,
})
type Values = typeof values extends fc.Arbitrary<infer Record> ? Record : never

const exchanges: Readonly<Record<ProviderName, (values: Values) => Promise<unknown>>> = {
  x: (v) => new Twitter(v.clientId, "", v.redirectUri).validateAuthorizationCode(v.code, v.codeVerifier),
  linkedin: (v) => new LinkedIn(v.clientId, v.clientSecret, v.redirectUri).validateAuthorizationCode(v.code),
  tiktok: (v) =>
    new TikTok(v.clientId, v.clientSecret, v.redirectUri).validateAuthorizationCode(v.code, v.codeVerifier),
  facebook: (v) => new Facebook(v.clientId, v.clientSecret, v.redirectUri).validateAuthorizationCode(v.code),
  instagram: (v) =>
    instagramClient(v.clientId, v.clientSecret, v.redirectUri).validateAuthorizationCode(
      v.code.replace(/#_$/, ""),
    ),
}

const providerCases = Object.entries(exchanges) as [ProviderName, (values: Values) => Promise<unknown>][]

test.each(providerCases)(
  "an exchange with %s is what its client forms, byte for byte, whatever is in it",
  async (provider, client) => {
    await fc.assert(
      fc.asyncProperty(values, async (asked) => {
        const request = {
          ...exchangeRequest(provider, { options: { pkce: "s256" } }),
          ...asked,
          credentials: asked,
        }
        const [body] = await sentByUs((providers) => providers.connect(request))
        expect(body).toBe(await sentBy(() => client(asked)))
      }),
      { numRuns: 100 },
    )
  },
)

const renewals = {
  x: (v: Values) => new Twitter(v.clientId, "", "").refreshAccessToken(v.refreshToken),
  linkedin: (v: Values) => new LinkedIn(v.clientId, v.clientSecret, "").refreshAccessToken(v.refreshToken),
  tiktok: (v: Values) => new TikTok(v.clientId, v.clientSecret, "").refreshAccessToken(v.refreshToken),
} as const

test.each(Object.entries(renewals) as [keyof typeof renewals, (v: Values) => Promise<unknown>][])(
  "a refresh with %s is what its client forms, byte for byte, whatever is in it",
  async (provider, client) => {
    await fc.assert(
      fc.asyncProperty(values, async (asked) => {
        const request = refreshRequest(provider, { credentials: asked, refreshToken: asked.refreshToken })
        const [body] = await sentByUs((providers) => providers.refresh(request))
        expect(body).toBe(await sentBy(() => client(asked)))
      }),
      { numRuns: 100 },
    )
  },
)

test("an end of TikTok's is what its client forms, byte for byte, whatever is in it", async () => {
  await fc.assert(
    fc.asyncProperty(values, async (asked) => {
      const request = revokeRequest("tiktok", { credentials: asked, accessToken: asked.code })
      const [body] = await sentByUs((providers) => providers.revoke(request))
      const client = new TikTok(asked.clientId, asked.clientSecret, "")
      expect(body).toBe(await sentBy(() => client.revokeToken(asked.code)))
    }),
    { numRuns: 100 },
  )
})

const ask = (body: string) => fetch("https://old.example/token", { method: "POST", body })

test("one request is formed for all values, and none of them is in another's", async () => {
  let formed = 0
  const form = clientForm(["code"], ({ code }) => {
    formed++
    return ask(`a=1+2&code=${code}`)
  })
  const bodies = await Promise.all(["one", "two three"].map(async (code) => (await form({ code })).body))
  expect(bodies).toEqual(["a=1+2&code=one", "a=1+2&code=two+three"])
  formed = 0
  expect((await form({ code: "four" })).body).toBe("a=1+2&code=four")
  expect(formed).toBe(0)
})

test("the headers are the client's, less the length it told and the credentials that would be of marks", async () => {
  const headers = {
    Accept: "application/json",
    "Content-Type": "application/x-www-form-urlencoded",
    "Content-Length": "17",
    Authorization: "Basic old",
  }
  const form = clientForm(["code"], ({ code }) =>
    fetch("https://old.example/token", { method: "POST", headers, body: `code=${code}` }),
  )
  expect((await form({ code: "made-up" })).headers).toEqual({
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
  })
})

test.each([
  [
    "one after the other",
    async (code: string) => {
      await ask(`first=1&code=${code}`)
      await ask(`second=1&code=${code}`)
    },
  ],
  ["at once", (code: string) => Promise.all([ask(`first=1&code=${code}`), ask(`second=1&code=${code}`)])],
])("a client that asks twice %s is heard once", async (_, twice) => {
  const form = clientForm(["code"], ({ code }) => twice(code))
  expect((await form({ code: "made-up" })).body).toBe("first=1&code=made-up")
})

test("a client that asks nothing, or fails before it asks, forms nothing, and is asked again", async () => {
  const clients = [async () => "asked nothing", () => Promise.reject(new RangeError("made-up"))]
  const form = clientForm(["code"], ({ code }) => (clients.shift() ?? (() => ask(`code=${code}`)))())
  await expect(form({ code: "one" })).rejects.toThrow("nothing was sent")
  await expect(form({ code: "two" })).rejects.toThrow(RangeError)
  expect((await form({ code: "three" })).body).toBe("code=three")
})
