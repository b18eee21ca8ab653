import { expect, test } from "bun:test"
import { secretOf } from "../../support/simulated-answers.ts"
import { now, redirectUri, verifier, wired } from "./wire.ts"

const { simulated, connectOne, failure } = wired()

const granted = (body: object) => ({ access_token: "tiktok-tiktok-client", token_type: "Bearer", ...body })

test("one connect with TikTok: a client key, no verifier, the profile it was granted", async () => {
  const account = await connectOne("tiktok")
  const [token] = simulated.sent("tiktok", "token")
  expect(token?.path).toBe("/v2/oauth/token/")
  expect(Object.fromEntries(token?.form ?? [])).toEqual({
    grant_type: "authorization_code",
    code: "code-tiktok-tiktok-client-0",
    redirect_uri: redirectUri,
    client_key: "tiktok-client",
    client_secret: secretOf("tiktok-client"),
  })
  expect(account).toMatchObject({
    platformAccountId: "-open-tiktok-client",
    handle: "ann",
    displayName: "Name of tiktok-client",
    scopes: ["user.info.basic", "user.info.profile", "video.publish", "video.upload"],
    metadata: { union_id: "u-tiktok-client" },
    tokens: {
      expiresAt: new Date(now.getTime() + 7200_000),
      refreshToken: "tiktok-refresh-tiktok-client",
      refreshTokenExpiresAt: new Date(now.getTime() + 15552000_000),
    },
  })
})

test("an app registered as Desktop sends the verifier of its hexadecimal challenge", async () => {
  await connectOne("tiktok", { options: { pkce: "s256_hex" } })
  expect(simulated.sent("tiktok", "token")[0]?.form.get("code_verifier")).toBe(verifier)
})

test("the challenge of RFC 7636 at a TikTok that wants hexadecimal is a PKCE mismatch", async () => {
  expect((await failure("tiktok", { options: { pkce: "s256" } })).reason).toBe("pkce_mismatch")
})

test("a person who unticked scopes is connected with those that are left, and no field beyond them is asked for", async () => {
  const account = await connectOne("tiktok", { granted: ["user.info.basic", "video.publish"] })
  expect(simulated.sent("tiktok", "profile")[0]?.query.get("fields")).toBe(
    "open_id,union_id,avatar_url,display_name",
  )
  expect(account).toMatchObject({ scopes: ["user.info.basic", "video.publish"], handle: null })
})

test("an error that comes with status 200 is an error", async () => {
  const refusal = await failure("tiktok", { clientSecret: "made-up-wrong" })
  expect(refusal.reason).toBe("invalid_client")
  expect(refusal.evidence).toMatchObject({ status: 200, code: "invalid_client", message: "unknown client" })
})

test("an error beside an access token is an error still", async () => {
  const body = granted({
    error: "invalid_grant",
    error_description: "no",
    log_id: "20260101ABCDEF0123456789",
  })
  simulated.answer("tiktok", "token", { body })
  const refusal = await failure("tiktok")
  expect(refusal.reason).toBe("code_invalid")
  expect(refusal.evidence.traceId).toBe("20260101ABCDEF0123456789")
  expect(simulated.sent("tiktok", "profile")).toEqual([])
})

test("a token answer inside data is read like a flat one", async () => {
  simulated.answer("tiktok", "token", {
    body: { data: granted({ open_id: "-open-tiktok-client", expires_in: 60 }), message: "success" },
  })
  expect((await connectOne("tiktok")).tokens.expiresAt).toEqual(new Date(now.getTime() + 60_000))
})

test("an error of the first version inside data is an error too", async () => {
  simulated.answer("tiktok", "token", {
    body: { data: { error_code: 10007, description: "Authorization code expired" }, message: "error" },
  })
  const { reason, evidence } = await failure("tiktok")
  expect([reason, evidence.code, evidence.message]).toEqual([
    "provider_error",
    "10007",
    "Authorization code expired",
  ])
})

test("a profile of another person than the token's is not connected", async () => {
  simulated.answer("tiktok", "token", { body: granted({ open_id: "-somebody-else" }) })
  expect((await failure("tiktok")).reason).toBe("invalid_response")
})

test("the token's own open_id serves where the profile has none", async () => {
  simulated.answer("tiktok", "profile", { body: { data: { user: {} }, error: { code: "ok" } } })
  expect((await connectOne("tiktok")).platformAccountId).toBe("-open-tiktok-client")
})
