import { expect, test } from "bun:test"
import { secretOf } from "../../support/simulated-answers.ts"
import { now, redirectUri, wired } from "./wire.ts"

const { simulated, connectOne, failure } = wired()
const day = 24 * 60 * 60_000

test("one connect with LinkedIn: credentials in the body, comma-joined scopes read, no refresh token", async () => {
  const account = await connectOne("linkedin")
  const [token] = simulated.sent("linkedin", "token")
  expect(token?.headers.has("authorization")).toBe(false)
  expect(Object.fromEntries(token?.form ?? [])).toEqual({
    grant_type: "authorization_code",
    code: "code-linkedin-linkedin-client-0",
    redirect_uri: redirectUri,
    client_id: "linkedin-client",
    client_secret: secretOf("linkedin-client"),
  })
  expect(account).toEqual({
    platformAccountId: "sub-linkedin-client",
    handle: null,
    displayName: "Name of linkedin-client",
    avatarUrl: "https://cdn.example/linkedin-client.png",
    scopes: ["openid", "profile", "w_member_social"],
    metadata: { author_urn: "urn:li:person:sub-linkedin-client", person_id: "sub-linkedin-client" },
    tokens: {
      accessToken: "linkedin-linkedin-client",
      tokenType: "Bearer",
      expiresAt: new Date(now.getTime() + 60 * day),
      refreshToken: null,
      refreshTokenExpiresAt: null,
      personToken: null,
      personTokenExpiresAt: null,
    },
  })
})

test("LinkedIn's scopes may come joined by spaces, and a partner's refresh token is kept with its end", async () => {
  simulated.answer("linkedin", "token", {
    body: {
      access_token: "linkedin-linkedin-client",
      scope: "openid w_member_social",
      refresh_token: "made-up-refresh",
      refresh_token_expires_in: 86400 * 365,
    },
  })
  const { scopes, tokens } = await connectOne("linkedin")
  expect(scopes).toEqual(["openid", "w_member_social"])
  // One by one: toMatchObject of this runner takes any two dates for equal.
  expect(tokens.refreshToken).toBe("made-up-refresh")
  expect(tokens.expiresAt).toEqual(new Date(now.getTime() + 60 * day))
  expect(tokens.refreshTokenExpiresAt).toEqual(new Date(now.getTime() + 365 * day))
})

test("a member without a picture or a joined name still has the name's parts", async () => {
  simulated.answer("linkedin", "profile", { body: { sub: "s1", given_name: "Ann", family_name: "Dev" } })
  expect(await connectOne("linkedin")).toMatchObject({ displayName: "Ann Dev", avatarUrl: null })
})

test("LinkedIn refuses another secret than the app's", async () => {
  expect((await failure("linkedin", { clientSecret: "made-up-wrong" })).reason).toBe("invalid_client")
})

test("LinkedIn's request id comes with the evidence", async () => {
  const headers = { "x-li-uuid": "AAX1-made/up+uuid==" }
  simulated.answer("linkedin", "profile", { status: 403, headers, body: { status: 403, message: "No" } })
  expect((await failure("linkedin")).evidence).toEqual({
    call: "profile",
    status: 403,
    code: null,
    message: "No",
    traceId: "AAX1-made/up+uuid==",
  })
})
