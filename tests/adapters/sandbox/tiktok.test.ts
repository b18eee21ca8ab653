import { describe, expect, test } from "bun:test"
import {
  ask,
  authorizeAddress,
  callbackOf,
  challenge,
  clientId,
  codeOf,
  comeBack,
  connected,
  get,
  hexChallenge,
  openSandbox,
  profileCall,
  revokeCall,
  state,
  tokenCall,
  verifier,
} from "./harness.ts"

describe("TikTok's token call", () => {
  test("answers flat, with commas between the scopes", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, tokenCall("tiktok", await codeOf(box, "tiktok")))
    expect(status).toBe(200)
    expect(body).toEqual({
      access_token: expect.stringContaining("sandbox"),
      expires_in: 7200,
      open_id: expect.stringMatching(/^-000\w{32}$/),
      refresh_expires_in: 15_552_000,
      refresh_token: expect.stringContaining("sandbox"),
      scope: "user.info.basic,user.info.profile,video.publish,video.upload",
      token_type: "Bearer",
    })
  })

  test("says no with status 200", async () => {
    const box = openSandbox()
    expect(await ask(box, tokenCall("tiktok", "made-up"))).toEqual({
      status: 200,
      body: {
        error: "invalid_grant",
        error_description: "Authorization code is invalid.",
        log_id: expect.stringMatching(/^\w+$/),
      },
    })
    const code = await codeOf(box, "tiktok")
    const errorOf = async (changes: Record<string, string | undefined>) =>
      (await ask(box, tokenCall("tiktok", code, changes))).body.error
    expect(await errorOf({ client_secret: "wrong-secret" })).toBe("invalid_client")
    expect(await errorOf({ client_key: undefined, client_id: clientId })).toBe("invalid_request")
    expect(await errorOf({ redirect_uri: callbackOf("x") })).toBe("invalid_request")
    expect(await errorOf({ grant_type: "password" })).toBe("unsupported_grant_type")
  })

  test("lives behind a trailing slash", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "tiktok")
    const { status, body } = await ask(box, {
      ...tokenCall("tiktok", code),
      url: "https://open.tiktokapis.com/v2/oauth/token",
    })
    expect(status).toBe(404)
    expect(body.error).toMatchObject({ code: "unsupported_path" })
  })

  test.each([
    ["base64url", challenge],
    ["hexadecimal", hexChallenge],
    ["upper-case hexadecimal", hexChallenge.toUpperCase()],
  ])("checks the verifier against a challenge in %s", async (_, code_challenge) => {
    const box = openSandbox()
    const pkce = { code_challenge, code_challenge_method: "S256" }
    const wrong = await ask(
      box,
      tokenCall("tiktok", await codeOf(box, "tiktok", pkce), { code_verifier: `${verifier}x` }),
    )
    expect(wrong.body).toMatchObject({
      error: "invalid_request",
      error_description: "Code verifier or code challenge is invalid.",
    })
    const none = await ask(box, tokenCall("tiktok", await codeOf(box, "tiktok", pkce)))
    expect(none.body.error).toBe("invalid_request")
    const right = await ask(
      box,
      tokenCall("tiktok", await codeOf(box, "tiktok", pkce), { code_verifier: verifier }),
    )
    expect(right.body).toHaveProperty("access_token")
  })

  test("wants no verifier where there was no challenge", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "tiktok")
    const { body } = await ask(box, tokenCall("tiktok", code, { code_verifier: verifier }))
    expect(body).toHaveProperty("access_token")
  })

  test("wraps its answer in data where the scenario says so", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "tiktok", { scenario: "nested_answer" })
    const { body } = await ask(box, tokenCall("tiktok", code))
    expect(body).toMatchObject({ message: "success", data: { access_token: expect.any(String) } })
  })
})

describe("TikTok's user info", () => {
  test("has the fields that were asked for, and an error object that says ok", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, profileCall("tiktok", await connected(box, "tiktok")))
    expect(status).toBe(200)
    expect(body).toEqual({
      data: {
        user: {
          open_id: expect.stringMatching(/^-000/),
          union_id: expect.any(String),
          avatar_url: "https://sandbox.invalid/avatar/ann.png",
          display_name: "Ann Dev",
          username: "ann.dev",
        },
      },
      error: { code: "ok", message: "", log_id: expect.any(String) },
    })
  })

  test("fails as a whole for one field without its scope", async () => {
    const box = openSandbox()
    const token = await connected(box, "tiktok", { untick: "user.info.profile" })
    const url = "https://open.tiktokapis.com/v2/user/info/"
    const refused = await ask(box, { url: `${url}?fields=open_id,username`, bearer: token })
    expect([refused.status, refused.body.error]).toMatchObject([401, { code: "scope_not_authorized" }])
    expect((await ask(box, { url: `${url}?fields=open_id`, bearer: token })).status).toBe(200)
    expect((await ask(box, { url: `${url}?fields=open_id,nothing`, bearer: token })).status).toBe(400)
    expect((await ask(box, { url, bearer: token })).status).toBe(400)
  })

  test("ends with the app, for earlier consents of the person too, and not for other people and apps", async () => {
    const box = openSandbox()
    const [earlier, token] = [await connected(box, "tiktok"), await connected(box, "tiktok")]
    const ben = await connected(box, "tiktok", { person: "ben" })
    expect(await ask(box, revokeCall("tiktok", token))).toEqual({ status: 200, body: {} })
    for (const dead of [earlier, token]) {
      const { status, body } = await ask(box, profileCall("tiktok", dead))
      expect([status, body.error]).toMatchObject([401, { code: "access_token_invalid" }])
    }
    expect((await ask(box, profileCall("tiktok", ben))).status).toBe(200)
    expect((await ask(box, profileCall("tiktok", await connected(box, "tiktok")))).status).toBe(200)
  })
})

describe("TikTok's authorize page", () => {
  test("comes back with the scopes that were granted", async () => {
    const box = openSandbox()
    const back = await comeBack(box, "tiktok", { scenario: "approve", untick: "video.upload" })
    expect(back.get("scopes")).toBe("user.info.basic,user.info.profile,video.publish")
  })

  test("calls the client id client_key and joins scopes with commas", async () => {
    const box = openSandbox()
    const text = async (changes: Record<string, string | undefined>) =>
      (await get(box, authorizeAddress("tiktok", changes))).text()
    expect(await text({ client_key: undefined, client_id: clientId })).toContain(
      "TikTok calls the client id client_key",
    )
    expect(await text({ scope: "user.info.basic video.upload" })).toContain("join scopes with commas")
  })

  test("a person outside the app's sandbox is told apart by error_type", async () => {
    const box = openSandbox()
    const back = await comeBack(box, "tiktok", { scenario: "account_not_eligible" })
    expect(Object.fromEntries(back)).toEqual({
      error: "access_denied",
      error_type: "non_sandbox_target",
      state,
    })
  })
})
