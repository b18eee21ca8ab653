import { expect, test } from "bun:test"
import { digits, secretOf } from "../../support/simulated-answers.ts"
import { now, redirectUri, wired } from "./wire.ts"

const { simulated, connectOne, failure } = wired()

test("one connect with Instagram: exchange, the long-lived token, then an id that is exact above 2^53", async () => {
  const account = await connectOne("instagram")
  expect(Object.fromEntries(simulated.sent("instagram", "token")[0]?.form ?? [])).toEqual({
    grant_type: "authorization_code",
    code: "code-instagram-instagram-client-0",
    redirect_uri: redirectUri,
    client_id: "instagram-client",
    client_secret: secretOf("instagram-client"),
  })
  const [long] = simulated.sent("instagram", "long_lived_token")
  expect(`${long?.method} ${long?.host}${long?.path}`).toBe("GET graph.instagram.com/access_token")
  expect(Object.fromEntries(long?.query ?? [])).toEqual({
    grant_type: "ig_exchange_token",
    client_secret: secretOf("instagram-client"),
    access_token: "short-instagram-client",
  })
  const id = `1784${digits("instagram-client")}`
  expect(Number.isSafeInteger(Number(id))).toBe(false)
  expect(account).toMatchObject({
    platformAccountId: id,
    handle: "ann.dev",
    scopes: ["instagram_business_basic", "instagram_business_content_publish"],
    metadata: { ig_user_id: id, account_type: "BUSINESS" },
    tokens: {
      accessToken: "instagram-instagram-client",
      expiresAt: new Date(now.getTime() + 5183944_000),
      refreshToken: null,
    },
  })
})

test("the documents' form, everything inside data, is read as well", async () => {
  const token = {
    access_token: "short-instagram-client",
    user_id: "1020",
    permissions: "instagram_business_basic",
  }
  simulated.answer("instagram", "token", { body: { data: [token] } })
  simulated.answer("instagram", "profile", { body: { data: [{ user_id: "1784", username: "ann" }] } })
  expect(await connectOne("instagram")).toMatchObject({
    platformAccountId: "1784",
    scopes: ["instagram_business_basic"],
    metadata: { ig_user_id: "1784" },
  })
})

test("the tail that a hand-copied code has is taken off", async () => {
  await failure("instagram", { code: "made-up-code#_" })
  expect(simulated.sent("instagram", "token")[0]?.form.get("code")).toBe("made-up-code")
})

test("a personal account cannot be connected", async () => {
  simulated.answer("instagram", "profile", { body: { user_id: "1784", account_type: "PERSONAL" } })
  const { reason, evidence } = await failure("instagram")
  expect([reason, evidence.message]).toEqual(["account_not_eligible", "account_type is PERSONAL"])
})

test.each(["BUSINESS", "Media_Creator", "CREATOR"])("%s is a professional account", async (account_type) => {
  simulated.answer("instagram", "profile", { body: { user_id: "1784", account_type } })
  expect((await connectOne("instagram")).metadata.account_type).toBe(account_type)
})

test("without the long-lived token the connect fails as a whole", async () => {
  simulated.answer("instagram", "long_lived_token", { status: 500, body: {} })
  const { reason, evidence } = await failure("instagram")
  expect([reason, evidence.call]).toEqual(["provider_unavailable", "long_lived_token"])
  expect(simulated.sent("instagram", "profile")).toEqual([])
})

test("the app's own id of a person is never taken for the account's", async () => {
  simulated.answer("instagram", "profile", { body: { id: "2500", username: "ann" } })
  expect((await failure("instagram")).reason).toBe("invalid_response")
})

test("the Facebook app's id at Instagram is told as wrong credentials", async () => {
  const { reason, evidence } = await failure("instagram", { clientSecret: "made-up-facebook-secret" })
  expect(reason).toBe("invalid_client")
  expect(evidence).toMatchObject({ status: 400, code: "OAuthException/400", message: "Invalid platform app" })
})
