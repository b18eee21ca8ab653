import { describe, expect, test } from "bun:test"
import {
  ask,
  authorizeAddress,
  call,
  callbackOf,
  clientId,
  codeOf,
  connected,
  exchanged,
  get,
  openSandbox,
  profileCall,
  refreshCall,
  revokeCall,
  tokenCall,
} from "./harness.ts"

describe("X's token call", () => {
  test("answers in X's form for Basic credentials, the redirect URI and the verifier", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, tokenCall("x", await codeOf(box, "x")))
    expect(status).toBe(200)
    expect(body).toEqual({
      token_type: "bearer",
      expires_in: 7200,
      access_token: expect.stringContaining("sandbox"),
      scope: "tweet.read tweet.write users.read media.write offline.access",
      refresh_token: expect.stringContaining("sandbox"),
    })
  })

  test("is served on the legacy host too", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "x")
    const { status } = await ask(box, {
      ...tokenCall("x", code),
      url: "https://api.twitter.com/2/oauth2/token",
    })
    expect(status).toBe(200)
  })

  test("refuses a secret in the body, a wrong one and none", async () => {
    const box = openSandbox()
    const right = tokenCall("x", await codeOf(box, "x"))
    const { basic: _, ...withoutBasic } = right
    const refusal = {
      status: 401,
      body: { error: "unauthorized_client", error_description: "Missing valid authorization header" },
    }
    const inBody = { ...withoutBasic, form: { ...right.form, client_id: clientId, client_secret: "made-up" } }
    expect(await ask(box, withoutBasic)).toEqual(refusal)
    expect(await ask(box, inBody)).toEqual(refusal)
    expect(await ask(box, { ...right, basic: `${clientId}:wrong-secret` })).toEqual(refusal)
    expect(await ask(box, { ...right, basic: `${clientId}:` })).toEqual(refusal)
    expect((await ask(box, right)).status).toBe(200)
  })

  test("takes a client id in the body beside Basic, and a form-encoded one in it", async () => {
    const box = openSandbox()
    const odd = "made up/client+id"
    const encoded = "made+up%2Fclient%2Bid"
    const first = tokenCall("x", await codeOf(box, "x"), { client_id: clientId })
    expect((await ask(box, first)).status).toBe(200)
    for (const id of [odd, encoded]) {
      const code = await codeOf(box, "x", { client_id: odd })
      expect((await ask(box, { ...tokenCall("x", code), basic: `${id}:made-up` })).status).toBe(200)
    }
  })

  test.each(["code", "redirect_uri", "code_verifier", "grant_type"])("names a missing %s", async (name) => {
    const box = openSandbox()
    const { status, body } = await ask(box, tokenCall("x", await codeOf(box, "x"), { [name]: undefined }))
    expect(status).toBe(400)
    expect(body).toEqual({
      error: "invalid_request",
      error_description: `Missing required parameter [${name}].`,
    })
  })

  test("tells a wrong verifier and a wrong redirect URI from a dead code", async () => {
    const box = openSandbox()
    const says = async (changes: Record<string, string>) =>
      (await ask(box, tokenCall("x", await codeOf(box, "x"), changes))).body.error_description
    expect(await says({ code_verifier: "another-verifier-of-a-test-0123456789-0123456789" })).toBe(
      "Value passed for the code verifier did not match the code challenge.",
    )
    expect(await says({ redirect_uri: `${callbackOf("x")}/` })).toBe(
      "Value passed for the redirect uri did not match the uri of the authorization code.",
    )
    expect(await says({ code: "made-up" })).toBe("Value passed for the authorization code was invalid.")
  })

  test("a code lives 30 seconds: at 29 it is taken, at 30 it is dead", async () => {
    const box = openSandbox()
    const [early, late] = [await codeOf(box, "x"), await codeOf(box, "x")]
    box.pass(29)
    expect((await ask(box, tokenCall("x", early))).status).toBe(200)
    box.pass(1)
    const { status, body } = await ask(box, tokenCall("x", late))
    expect([status, body.error]).toEqual([400, "invalid_request"])
  })

  test("gives no refresh token without offline.access", async () => {
    const box = openSandbox()
    const { body } = await ask(
      box,
      tokenCall("x", await codeOf(box, "x", { scope: "tweet.read users.read" })),
    )
    expect(body).not.toHaveProperty("refresh_token")
    expect(body.scope).toBe("tweet.read users.read")
  })

  test("revoking ends the one token that is given", async () => {
    const box = openSandbox()
    const { access_token: access, refresh_token: refresh } = await exchanged(box, "x")
    const revoked = { status: 200, body: { revoked: true } }
    expect(await ask(box, revokeCall("x", access))).toEqual(revoked)
    expect((await ask(box, profileCall("x", String(access)))).status).toBe(401)
    const second = await ask(box, refreshCall("x", refresh))
    expect(second.status).toBe(200)
    expect(await ask(box, revokeCall("x", second.body.refresh_token))).toEqual(revoked)
    expect((await ask(box, refreshCall("x", second.body.refresh_token))).status).toBe(400)
    expect((await ask(box, profileCall("x", String(second.body.access_token)))).status).toBe(200)
  })

  test("revoking a dead token, or garbage, is well too", async () => {
    const box = openSandbox()
    const { access_token: access } = await exchanged(box, "x", { expires_in: "1" })
    box.pass(1)
    for (const token of [access, "made-up"]) {
      expect(await ask(box, revokeCall("x", token))).toEqual({ status: 200, body: { revoked: true } })
    }
  })
})

describe("X's profile", () => {
  test("has the fields that were asked for", async () => {
    const box = openSandbox()
    const token = await connected(box, "x")
    expect((await ask(box, profileCall("x", token))).body).toEqual({
      data: {
        id: expect.stringMatching(/^\d{17}$/),
        name: "Ann Dev",
        username: "anndev",
        profile_image_url: "https://sandbox.invalid/avatar/ann.png",
        verified: false,
      },
    })
    const { body } = await ask(box, { url: "https://api.x.com/2/users/me", bearer: token })
    expect(Object.keys(body.data as object)).toEqual(["id", "name", "username"])
  })

  test("is the same person on every app", async () => {
    const box = openSandbox()
    const first = await ask(box, profileCall("x", await connected(box, "x")))
    const code = await codeOf(box, "x", { client_id: "another-client" })
    const other = await ask(box, { ...tokenCall("x", code), basic: "another-client:made-up" })
    const second = await ask(box, profileCall("x", String(other.body.access_token)))
    expect(second.body).toEqual(first.body)
  })

  test("needs tweet.read and users.read, and a token that lives", async () => {
    const box = openSandbox()
    for (const scope of ["tweet.read", "users.read"]) {
      const narrow = await connected(box, "x", { scope })
      const { status, headers } = await call(box, profileCall("x", narrow))
      expect([status, headers["content-type"]]).toEqual([403, "application/problem+json"])
    }
    const token = await connected(box, "x")
    box.pass(7200)
    const { status, body } = await ask(box, profileCall("x", token))
    expect(status).toBe(401)
    expect(body).toEqual({ title: "Unauthorized", detail: "Unauthorized", type: "about:blank", status: 401 })
  })

  test("a rate limit says when it ends, in both of X's ways", async () => {
    const box = openSandbox()
    const token = await connected(box, "x", { scenario: "rate_limited_profile" })
    const { status, headers } = await call(box, profileCall("x", token))
    expect(status).toBe(429)
    expect(headers).toMatchObject({
      "retry-after": "60",
      "x-rate-limit-reset": String(new Date("2026-01-05T10:01:00Z").getTime() / 1000),
    })
  })

  test("any other path is X's 404", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, { url: "https://api.x.com/2/tweets" })
    expect([status, body.title]).toEqual([404, "Not Found"])
  })
})

test("X's authorize page wants an S256 challenge and a short state", async () => {
  const box = openSandbox()
  const page = async (changes: Record<string, string | undefined>) => {
    const response = await get(box, authorizeAddress("x", { scenario: "approve", ...changes }))
    expect(response.status).toBe(400)
    return response.text()
  }
  expect(await page({ code_challenge: undefined })).toContain("code_challenge is missing")
  expect(await page({ code_challenge_method: "plain" })).toContain("code_challenge_method must be S256")
  expect(await page({ code_challenge: "short" })).toContain("code_challenge is not the SHA-256")
  expect(await page({ state: "s".repeat(501) })).toContain("state has more than 500 characters")
})
