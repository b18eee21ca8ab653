import { describe, expect, test } from "bun:test"
import {
  ask,
  callbackOf,
  clientId,
  clientSecret,
  codeOf,
  comeBack,
  connected,
  openSandbox,
  profileCall,
  tokenCall,
} from "./harness.ts"

describe("LinkedIn's token call", () => {
  test("answers in LinkedIn's form, without a refresh token", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, tokenCall("linkedin", await codeOf(box, "linkedin")))
    expect(status).toBe(200)
    expect(body).toEqual({
      access_token: expect.stringContaining("sandbox"),
      expires_in: 5_184_000,
      scope: "openid,profile,w_member_social",
      token_type: "Bearer",
      id_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    })
  })

  test("refuses Basic, alone or beside the body's credentials", async () => {
    const box = openSandbox()
    const right = tokenCall("linkedin", await codeOf(box, "linkedin"))
    const basic = `${clientId}:${clientSecret}`
    expect(await ask(box, { ...right, basic })).toEqual({
      status: 401,
      body: { error: "invalid_client", error_description: "Client authentication failed" },
    })
    const alone = await ask(box, {
      ...right,
      basic,
      form: { ...right.form, client_id: undefined, client_secret: undefined },
    })
    expect(alone.body.error_description).toBe('A required parameter "client_id" is missing')
    expect((await ask(box, right)).status).toBe(200)
  })

  test("has one text for a used code, an expired one and another redirect URI, and another for an unknown one", async () => {
    const box = openSandbox()
    const used = await codeOf(box, "linkedin")
    await ask(box, tokenCall("linkedin", used))
    const asUsed = await ask(box, tokenCall("linkedin", used))
    const elsewhere = tokenCall("linkedin", await codeOf(box, "linkedin"), {
      redirect_uri: callbackOf("x"),
    })
    const asElsewhere = await ask(box, elsewhere)
    const old = await codeOf(box, "linkedin")
    box.pass(30 * 60)
    const asOld = await ask(box, tokenCall("linkedin", old))
    expect(asUsed.body.error_description).toContain("does not match authorization code. Or")
    expect(asOld).toEqual(asUsed)
    expect(asElsewhere.body.error_description).toBe(asUsed.body.error_description)
    expect(asElsewhere.body.error).toBe("invalid_redirect_uri")
    expect((await ask(box, tokenCall("linkedin", "made-up"))).body.error_description).toContain("not found")
  })

  test("ignores a challenge", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "linkedin", { code_challenge: "whatever", code_challenge_method: "S256" })
    expect((await ask(box, tokenCall("linkedin", code))).status).toBe(200)
  })

  test("gives partners a refresh token that stays the same while its lifetime falls", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "linkedin", { scenario: "partner_refresh" })
    const first = (await ask(box, tokenCall("linkedin", code))).body
    expect(first.refresh_token_expires_in).toBe(365 * 86_400)
    box.pass(86_400)
    const refresh = {
      grant_type: "refresh_token",
      refresh_token: String(first.refresh_token),
      code: undefined,
      redirect_uri: undefined,
    }
    const { status, body } = await ask(box, tokenCall("linkedin", "", refresh))
    expect(status).toBe(200)
    expect(body.refresh_token).toBe(first.refresh_token)
    expect(body.refresh_token_expires_in).toBe(364 * 86_400)
    expect(body.access_token).not.toBe(first.access_token)
  })
})

describe("LinkedIn's other calls", () => {
  test("userinfo has no handle, and a sub that is the person's for this app", async () => {
    const box = openSandbox()
    const profile = async () =>
      (await ask(box, profileCall("linkedin", await connected(box, "linkedin")))).body
    const first = await profile()
    expect(first).toEqual({
      sub: expect.stringMatching(/^[\w]{10}$/),
      name: "Ann Dev",
      given_name: "Ann",
      family_name: "Dev",
      picture: "https://sandbox.invalid/avatar/ann.png",
      locale: { country: "US", language: "en" },
    })
    expect((await profile()).sub).toBe(first.sub)
    const code = await codeOf(box, "linkedin", { client_id: "another-client" })
    const other = await ask(box, tokenCall("linkedin", code, { client_id: "another-client" }))
    const elsewhere = await ask(box, profileCall("linkedin", String(other.body.access_token)))
    expect(elsewhere.body.sub).not.toBe(first.sub)
  })

  test("userinfo gives the address with the email scope, and leaves a missing picture out", async () => {
    const box = openSandbox()
    const token = await connected(box, "linkedin", { scope: "openid profile email", person: "ben" })
    const { body } = await ask(box, profileCall("linkedin", token))
    expect(body).toMatchObject({ email: "ben@sandbox.invalid", email_verified: true })
    expect(body).not.toHaveProperty("picture")
  })

  test("userinfo tells expired, revoked and invalid tokens apart", async () => {
    const box = openSandbox()
    const [expiring, revoked] = [
      await connected(box, "linkedin", { expires_in: "60" }),
      await connected(box, "linkedin"),
    ]
    box.pass(60)
    await ask(box, {
      url: "https://www.linkedin.com/oauth/v2/revoke",
      form: { token: revoked, client_id: clientId, client_secret: clientSecret },
    })
    const says = async (token: string) => {
      const { status, body } = await ask(box, profileCall("linkedin", token))
      return [status, body.message]
    }
    expect(await says(expiring)).toEqual([401, "Expired access token"])
    expect(await says(revoked)).toEqual([401, "The token used in the request has been revoked by the user"])
    expect(await says("made-up")).toEqual([401, "Invalid access token"])
  })

  test("userinfo needs openid and profile", async () => {
    const box = openSandbox()
    const token = await connected(box, "linkedin", { scope: "openid w_member_social" })
    expect((await ask(box, profileCall("linkedin", token))).status).toBe(403)
  })

  test("introspection tells whether a token lives", async () => {
    const box = openSandbox()
    const token = await connected(box, "linkedin")
    const inspect = async (changes: Record<string, string> = {}) =>
      ask(box, {
        url: "https://www.linkedin.com/oauth/v2/introspectToken",
        form: { token, client_id: clientId, client_secret: clientSecret, ...changes },
      })
    expect((await inspect()).body).toMatchObject({ active: true, status: "active", client_id: clientId })
    expect((await inspect({ client_id: "another-client" })).body).toEqual({ active: false })
    expect((await inspect({ client_secret: "wrong-secret" })).status).toBe(401)
    box.pass(60 * 86_400)
    expect((await inspect()).body).toEqual({ active: false, status: "expired" })
  })

  test("any other path is LinkedIn's 404", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, { url: "https://api.linkedin.com/rest/nothing" })
    expect([status, body.code]).toEqual([404, "RESOURCE_NOT_FOUND"])
  })
})

test("LinkedIn has two ways to decline", async () => {
  const box = openSandbox()
  const errorOf = async (scenario: string) => (await comeBack(box, "linkedin", { scenario })).get("error")
  expect(await errorOf("decline")).toBe("user_cancelled_authorize")
  expect(await errorOf("decline_login")).toBe("user_cancelled_login")
})
