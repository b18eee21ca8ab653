import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { type ProviderName, providerNames } from "../../../src/domain/provider.ts"
import { authorizeRequest, type ConnectChoices, now, state, verifier } from "./wire.ts"

const silent = () => Promise.reject(new Error("an authorize URL needs no call"))
const providers = arcticProviders({ transport: silent, now: () => now })

const back = "redirect_uri=https%3A%2F%2Fconnect.acme.example%2Fv1%2Foauth%2Fcallback"
const base64url = createHash("sha256").update(verifier).digest("base64url")
const hex = createHash("sha256").update(verifier).digest("hex")

type Case = readonly [string, ProviderName, ConnectChoices & { readonly reconnect?: boolean }, string]

const xQuery = `response_type=code&client_id=x-client&${back}&state=${state}&code_challenge_method=S256&code_challenge=${base64url}&scope=tweet.read%20tweet.write%20users.read%20media.write%20offline.access`
const linkedinQuery = `response_type=code&client_id=linkedin-client&state=${state}&scope=openid%20profile%20w_member_social&${back}`
const tiktokScope = "scope=user.info.basic%2Cuser.info.profile%2Cvideo.publish%2Cvideo.upload"
const facebookQuery = `response_type=code&client_id=facebook-client&state=${state}&${back}`
const facebookScope =
  "scope=pages_show_list%2Cpages_read_engagement%2Cpages_manage_posts%2Cbusiness_management"
const instagramQuery = `response_type=code&client_id=instagram-client&state=${state}&scope=instagram_business_basic%2Cinstagram_business_content_publish&${back}`

const cases: readonly Case[] = [
  [
    "X joins scopes by spaces and challenges with S256",
    "x",
    {},
    `https://x.com/i/oauth2/authorize?${xQuery}`,
  ],
  [
    "X has nothing more to ask on a reconnect",
    "x",
    { reconnect: true },
    `https://x.com/i/oauth2/authorize?${xQuery}`,
  ],
  [
    "X on its old host",
    "x",
    { options: { hosts: "twitter.com" } },
    `https://twitter.com/i/oauth2/authorize?${xQuery}`,
  ],
  [
    "LinkedIn gets no challenge",
    "linkedin",
    {},
    `https://www.linkedin.com/oauth/v2/authorization?${linkedinQuery}`,
  ],
  [
    "LinkedIn with extended login",
    "linkedin",
    { options: { extended_login: true } },
    `https://www.linkedin.com/oauth/v2/authorization?${linkedinQuery}&enable_extended_login=true`,
  ],
  [
    "TikTok has a client key, a slash at the end and no challenge",
    "tiktok",
    {},
    `https://www.tiktok.com/v2/auth/authorize/?response_type=code&client_key=tiktok-client&state=${state}&${tiktokScope}&${back}`,
  ],
  [
    "TikTok as the desktop guide has it: hexadecimal",
    "tiktok",
    { options: { pkce: "s256_hex" }, reconnect: true },
    `https://www.tiktok.com/v2/auth/authorize/?response_type=code&client_key=tiktok-client&state=${state}&code_challenge_method=S256&code_challenge=${hex}&${tiktokScope}&${back}&disable_auto_auth=1`,
  ],
  [
    "TikTok with the challenge of RFC 7636",
    "tiktok",
    { options: { pkce: "s256" } },
    `https://www.tiktok.com/v2/auth/authorize/?response_type=code&client_key=tiktok-client&state=${state}&code_challenge_method=S256&code_challenge=${base64url}&${tiktokScope}&${back}`,
  ],
  [
    "Facebook joins scopes by commas, at today's Graph version, and asks again for what was declined",
    "facebook",
    {},
    `https://www.facebook.com/v25.0/dialog/oauth?${facebookQuery}&${facebookScope}&auth_type=rerequest`,
  ],
  [
    "Facebook is asked again for what was declined, on a reconnect too and at the app's own version",
    "facebook",
    { reconnect: true, options: { graph_version: "v26.0" } },
    `https://www.facebook.com/v26.0/dialog/oauth?${facebookQuery}&${facebookScope}&auth_type=rerequest`,
  ],
  [
    "a configuration of Facebook Login for Business takes the place of the scopes",
    "facebook",
    { options: { config_id: "123456" } },
    `https://www.facebook.com/v25.0/dialog/oauth?${facebookQuery}&config_id=123456`,
  ],
  [
    "a configuration and the scopes where the app wants both",
    "facebook",
    { options: { config_id: "123456", config_id_with_scope: true } },
    `https://www.facebook.com/v25.0/dialog/oauth?${facebookQuery}&config_id=123456&${facebookScope}`,
  ],
  [
    "Instagram hides the Facebook login",
    "instagram",
    {},
    `https://www.instagram.com/oauth/authorize?${instagramQuery}&enable_fb_login=0`,
  ],
  [
    "Instagram with every switch, on a reconnect",
    "instagram",
    { reconnect: true, options: { enable_fb_login: true, authorize_host: "api.instagram.com" } },
    `https://api.instagram.com/oauth/authorize?${instagramQuery}&force_reauth=true`,
  ],
]

describe("an authorize URL carries exactly what the documents list", () => {
  test.each(cases)("%s", (_, provider, choices, expected) => {
    expect(providers.authorizeUrl(authorizeRequest(provider, choices))).toBe(expected)
  })
})

test("no authorize URL carries the verifier", () => {
  for (const provider of providerNames) {
    const url = providers.authorizeUrl(authorizeRequest(provider, { options: { pkce: "s256_hex" } }))
    expect(decodeURIComponent(url)).not.toContain(verifier)
  }
})

test("the base of an authorize URL can be another, its parameters stay", () => {
  const elsewhere = arcticProviders({
    transport: silent,
    now: () => now,
    endpoints: { facebook: { authorize: "https://sandbox.example/facebook/consent" } },
  })
  const url = elsewhere.authorizeUrl(authorizeRequest("facebook"))
  expect(url).toBe(
    `https://sandbox.example/facebook/consent?${facebookQuery}&${facebookScope}&auth_type=rerequest`,
  )
})

test("the Graph version can be another by default, and an app that names one has its own", () => {
  const newer = arcticProviders({ transport: silent, now: () => now, graphVersion: "v26.0" })
  const paths = [{}, { graph_version: "v24.0" }].map(
    (options) => new URL(newer.authorizeUrl(authorizeRequest("facebook", { options }))).pathname,
  )
  expect(paths).toEqual(["/v26.0/dialog/oauth", "/v24.0/dialog/oauth"])
})

test("the old hosts of X can be the default, and an app that names hosts has its own", () => {
  const old = arcticProviders({ transport: silent, now: () => now, xHosts: "twitter.com" })
  const hosts = [{}, { hosts: "x.com" }, { hosts: "twitter.com" }].map(
    (options) => new URL(old.authorizeUrl(authorizeRequest("x", { options }))).host,
  )
  expect(hosts).toEqual(["twitter.com", "x.com", "twitter.com"])
})

test("a verifier is wanted by X always and by TikTok where the app switched it on", () => {
  const wanting = (options: Record<string, string>) =>
    providerNames.filter((provider) => providers.usesPkce(provider, options))
  expect(wanting({})).toEqual(["x"])
  expect(wanting({ pkce: "off" })).toEqual(["x"])
  expect(wanting({ pkce: "s256" })).toEqual(["x", "tiktok"])
  expect(wanting({ pkce: "s256_hex" })).toEqual(["x", "tiktok"])
})

test("only LinkedIn publishes an issuer that a callback could name", () => {
  const issuers = providerNames.map((provider) => providers.issuer(provider)).filter(Boolean)
  expect(issuers).toEqual(["https://www.linkedin.com/oauth"])
})
