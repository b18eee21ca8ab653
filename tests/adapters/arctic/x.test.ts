import { expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { authorizeRequest, exchangeRequest, now, redirectUri, verifier, wired } from "./wire.ts"

const { simulated, providers, connect, connectOne, failure } = wired()

test("one connect with X: form-encoded Basic credentials, the verifier of the challenge, then the profile", async () => {
  const account = await connectOne("x")
  const [token] = simulated.sent("x", "token")
  const basic = atob(token?.headers.get("authorization")?.replace("Basic ", "") ?? "")
  expect(basic).toBe("x-client:made-up-secret%2Fof%2Bx-client")
  expect(Object.fromEntries(token?.form ?? [])).toEqual({
    grant_type: "authorization_code",
    code: "code-x-x-client-0",
    redirect_uri: redirectUri,
    code_verifier: verifier,
  })
  const challenge = new URL(providers.authorizeUrl(authorizeRequest("x"))).searchParams.get("code_challenge")
  expect(challenge).toBe(createHash("sha256").update(verifier).digest("base64url"))
  const [profile] = simulated.sent("x", "profile")
  expect(`${profile?.host}${profile?.path}?${profile?.query}`).toBe(
    "api.x.com/2/users/me?user.fields=profile_image_url%2Cverified",
  )
  expect(account).toMatchObject({
    handle: "anndev",
    displayName: "Name of x-client",
    avatarUrl: "https://cdn.example/x-client.png",
    scopes: ["tweet.read", "tweet.write", "users.read", "media.write", "offline.access"],
    metadata: { verified: "true" },
    tokens: {
      accessToken: "x-x-client",
      tokenType: "Bearer",
      expiresAt: new Date(now.getTime() + 7200_000),
      refreshToken: "x-refresh-x-client",
      refreshTokenExpiresAt: null,
    },
  })
})

test("X gets the client id in the body too where the app asks for it", async () => {
  await connect("x", { options: { client_id_in_body: true } })
  expect(simulated.sent("x", "token")[0]?.form.get("client_id")).toBe("x-client")
})

test("X refuses another secret than the app's, and it is the credentials' fault", async () => {
  const refusal = await failure("x", { clientSecret: "made-up-wrong-secret" })
  expect(refusal.reason).toBe("invalid_client")
  expect(refusal.evidence).toMatchObject({ call: "token", status: 401, code: "unauthorized_client" })
})

test("X refuses a code that it never gave", async () => {
  expect((await failure("x", { code: "code-nobody-gave" })).reason).toBe("code_invalid")
})

test("without offline.access X gives no refresh token and nothing can be renewed", async () => {
  simulated.answer("x", "token", {
    body: { token_type: "bearer", access_token: "x-x-client", expires_in: 60 },
  })
  const { tokens, scopes } = await connectOne("x", { scopes: ["tweet.read", "users.read"] })
  expect(tokens).toMatchObject({ refreshToken: null })
  expect(scopes).toEqual(["tweet.read", "users.read"])
})

test("X calls for an app of the old hosts stay on them", async () => {
  const sent: string[] = []
  const old = arcticProviders({
    now: () => now,
    transport: async (request) => {
      sent.push(request.url)
      const body = { access_token: "made-up-token", token_type: "bearer", data: { id: "7" } }
      return { status: 200, headers: {}, body: JSON.stringify(body) }
    },
  })
  await old.connect(exchangeRequest("x", { options: { hosts: "twitter.com" } }))
  expect(sent).toEqual([
    "https://api.twitter.com/2/oauth2/token",
    "https://api.twitter.com/2/users/me?user.fields=profile_image_url,verified",
  ])
})

test("a code goes to the endpoint as it is today, whatever Arctic still believes", async () => {
  await connect("x")
  expect(simulated.sent("x", "token").map((request) => request.host)).toEqual(["api.x.com"])
})
