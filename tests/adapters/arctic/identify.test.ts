import { expect, test } from "bun:test"
import { createHmac } from "node:crypto"
import { providerNames } from "../../../src/domain/provider.ts"
import { digits, graphError, secretOf } from "../../support/simulated-answers.ts"
import { wire } from "../../support/simulated-providers.ts"
import { failureOf, identifyRequest, wired } from "./wire.ts"

const { simulated, providers } = wired()
const identify = providers.identify

test("X tells whose token it is", async () => {
  expect(await identify(identifyRequest("x", { credentials: null }))).toEqual({
    platformAccountId: `1${digits("x-client")}`,
    handle: "anndev",
    displayName: "Name of x-client",
    avatarUrl: "https://cdn.example/x-client.png",
    metadata: { verified: "true" },
  })
})

test("LinkedIn tells whose token it is, and nothing without openid", async () => {
  expect(await identify(identifyRequest("linkedin"))).toEqual({
    platformAccountId: "sub-linkedin-client",
    handle: null,
    displayName: "Name of linkedin-client",
    avatarUrl: "https://cdn.example/linkedin-client.png",
    metadata: { author_urn: "urn:li:person:sub-linkedin-client", person_id: "sub-linkedin-client" },
  })
  const message = "Not enough permissions to access: userinfo.GET.NO_VERSION"
  simulated.answer("linkedin", "profile", {
    status: 403,
    body: { status: 403, message, serviceErrorCode: 100 },
  })
  expect(await identify(identifyRequest("linkedin"))).toBeUndefined()
})

test("TikTok is asked for the username first, and without it where the token's scopes do not cover it", async () => {
  expect(await identify(identifyRequest("tiktok"))).toMatchObject({
    platformAccountId: "-open-tiktok-client",
    handle: "ann",
  })
  simulated.reset()
  simulated.answer("tiktok", "profile", ({ query }) =>
    query.get("fields")?.includes("username")
      ? wire({ status: 401, body: { data: {}, error: { code: "scope_not_authorized", message: "no" } } })
      : wire({ body: { data: { user: { open_id: "-o" } }, error: { code: "ok" } } }),
  )
  expect(await identify(identifyRequest("tiktok"))).toMatchObject({ platformAccountId: "-o", handle: null })
  expect(simulated.sent("tiktok", "profile").map(({ query }) => query.get("fields"))).toEqual([
    "open_id,union_id,avatar_url,display_name,username",
    "open_id,union_id,avatar_url,display_name",
  ])
})

test("TikTok is asked once where the token itself is dead", async () => {
  const error = { code: "access_token_invalid", message: "no" }
  simulated.answer("tiktok", "profile", { status: 401, body: { data: {}, error } })
  expect((await failureOf(identify(identifyRequest("tiktok")))).reason).toBe("reauth_required")
  expect(simulated.requests.length).toBe(1)
})

test("a Facebook Page is asked for by its id, with the proof of its own token", async () => {
  const pageId = `5${digits("facebook-client")}`
  const token = "facebook-facebook-client"
  expect(await identify(identifyRequest("facebook", { pageId }))).toEqual({
    platformAccountId: pageId,
    handle: "acme",
    displayName: "Name of facebook-client",
    avatarUrl: "https://cdn.example/facebook-client.png",
    metadata: { page_id: pageId },
  })
  const [sent] = simulated.sent("facebook", "page")
  expect(Object.fromEntries(sent?.query ?? [])).toEqual({
    fields: "id,name,username,picture.type(large)",
    appsecret_proof: createHmac("sha256", secretOf("facebook-client")).update(token).digest("hex"),
  })
})

test("Facebook without a Page and without credentials tells the person, with no proof", async () => {
  simulated.answer("facebook", "profile", { body: { id: "42", name: "Ann" } })
  expect(await identify(identifyRequest("facebook", { credentials: null }))).toMatchObject({
    platformAccountId: "42",
    metadata: {},
  })
  const [sent] = simulated.sent("facebook", "profile")
  expect(Object.fromEntries(sent?.query ?? [])).toEqual({ fields: "id,name,picture.type(large)" })
})

test("a page id is one segment of the address, whatever is in it", async () => {
  const pageId = "5/../me?fields=access_token&x="
  await failureOf(identify(identifyRequest("facebook", { pageId })))
  expect(simulated.requests).toEqual([])
})

test("Instagram tells whose token it is, and that a personal account is not eligible", async () => {
  expect(await identify(identifyRequest("instagram"))).toMatchObject({
    platformAccountId: `1784${digits("instagram-client")}`,
    metadata: { account_type: "BUSINESS" },
  })
  simulated.answer("instagram", "profile", { body: { user_id: "1", account_type: "PERSONAL" } })
  expect((await failureOf(identify(identifyRequest("instagram")))).reason).toBe("account_not_eligible")
})

test.each([...providerNames])(
  "%s: a token that is not taken is refused, in whatever words",
  async (provider) => {
    for (const body of ["", "<html>no</html>", {}, { title: "Something new", status: 401, message: "new" }]) {
      simulated.answer(provider, "profile", { status: 401, body })
      const refusal = await failureOf(identify(identifyRequest(provider)))
      expect([refusal.reason, refusal.fate, refusal.evidence.call]).toEqual([
        "reauth_required",
        "refused",
        "identify",
      ])
    }
  },
)

test("the Graph's dead token is refused though its status is 400", async () => {
  for (const provider of ["facebook", "instagram"] as const) {
    simulated.answer(provider, "profile", graphError(400, { code: 190, message: "Malformed access token" }))
    expect((await failureOf(identify(identifyRequest(provider)))).reason).toBe("reauth_required")
  }
})

test.each([...providerNames])("%s that fails on its side says nothing about the token", async (provider) => {
  simulated.answer(provider, "profile", { status: 503, headers: { "retry-after": "7" }, body: "" })
  const refusal = await failureOf(identify(identifyRequest(provider)))
  expect([refusal.reason, refusal.retryAfterSeconds]).toEqual(["provider_unavailable", 7])
})
