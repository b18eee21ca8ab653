import { describe, expect, test } from "bun:test"
import {
  ask,
  authorizeAddress,
  call,
  callbackOf,
  codeOf,
  comeBack,
  connected,
  get,
  openSandbox,
  profileCall,
  tokenCall,
} from "./harness.ts"

const graph = "https://graph.instagram.com"

describe("Instagram's token calls", () => {
  test("the code's exchange gives the id as a bare number above 2^53", async () => {
    const box = openSandbox()
    const answer = await call(box, tokenCall("instagram", await codeOf(box, "instagram")))
    expect(answer.status).toBe(200)
    const digits = /"user_id":(\d+)[,}]/.exec(answer.body)?.[1] ?? ""
    expect(String(Number(digits))).not.toBe(digits)
    expect(JSON.parse(answer.body)).toMatchObject({
      access_token: expect.stringContaining("sandbox"),
      permissions: ["instagram_business_basic", "instagram_business_content_publish"],
    })
  })

  test("or wrapped in data, as the documents print it", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "instagram", { scenario: "nested_answer" })
    expect((await ask(box, tokenCall("instagram", code))).body).toEqual({
      data: [
        {
          access_token: expect.stringContaining("sandbox"),
          user_id: expect.stringMatching(/^\d{17}$/),
          permissions: "instagram_business_basic,instagram_business_content_publish",
        },
      ],
    })
  })

  test("errors of the exchange are flat", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "instagram")
    const refusal = async (changes: Record<string, string | undefined>) => {
      const { status, body } = await ask(box, tokenCall("instagram", code, changes))
      expect([status, body.error_type, body.code]).toEqual([400, "OAuthException", 400])
      return body.error_message
    }
    expect(await refusal({ code: "made-up" })).toBe("Matching code was not found or was already used")
    expect(await refusal({ client_secret: "wrong-secret" })).toContain("client secret")
    expect(await refusal({ redirect_uri: callbackOf("x") })).toContain("redirect_uri")
    expect(await refusal({ grant_type: undefined })).toContain("grant_type")
  })

  test("a code lives an hour", async () => {
    const box = openSandbox()
    const [early, late] = [await codeOf(box, "instagram"), await codeOf(box, "instagram")]
    box.pass(3599)
    expect((await call(box, tokenCall("instagram", early))).status).toBe(200)
    box.pass(1)
    expect((await call(box, tokenCall("instagram", late))).status).toBe(400)
  })

  test("the long-lived token is had by GET alone, with the right secret", async () => {
    const box = openSandbox()
    const first = await ask(box, tokenCall("instagram", await codeOf(box, "instagram")))
    const query = (secret: string) =>
      new URLSearchParams({
        grant_type: "ig_exchange_token",
        client_secret: secret,
        access_token: String(first.body.access_token),
      })
    expect((await ask(box, { url: `${graph}/access_token?${query("made-up")}` })).body).toEqual({
      access_token: expect.stringContaining("sandbox"),
      token_type: "bearer",
      expires_in: 5_184_000,
    })
    const wrong = await ask(box, { url: `${graph}/access_token?${query("wrong-secret")}` })
    expect(wrong.body.error).toMatchObject({ code: 1, message: "Error validating client secret." })
    const posted = await ask(box, { method: "POST", url: `${graph}/access_token?${query("made-up")}` })
    expect(posted.status).toBe(400)
  })

  test("a long-lived token renews itself once it is a day old, until it ends", async () => {
    const box = openSandbox()
    const token = await connected(box, "instagram")
    const renew = () =>
      ask(box, {
        url: `${graph}/refresh_access_token?grant_type=ig_refresh_token&access_token=${token}`,
      })
    box.pass(86_399)
    expect((await renew()).body.error).toMatchObject({ code: 100 })
    box.pass(1)
    expect((await renew()).body).toMatchObject({ expires_in: 5_184_000, token_type: "bearer" })
    box.pass(59 * 86_400)
    expect((await renew()).body.error).toMatchObject({ code: 190 })
  })
})

describe("Instagram's profile", () => {
  test("has the fields that were asked for", async () => {
    const box = openSandbox()
    const { status, body } = await ask(box, profileCall("instagram", await connected(box, "instagram")))
    expect(status).toBe(200)
    expect(body).toEqual({
      user_id: expect.stringMatching(/^1784140000000\d{4}$/),
      id: expect.stringMatching(/^\d{16}$/),
      username: "ann.dev",
      name: "Ann Dev",
      account_type: "BUSINESS",
      profile_picture_url: "https://sandbox.invalid/avatar/ann.png",
    })
  })

  test("leaves out what the person has not", async () => {
    const box = openSandbox()
    const token = await connected(box, "instagram", { person: "ben" })
    expect((await ask(box, profileCall("instagram", token))).body).not.toHaveProperty("profile_picture_url")
  })

  test("gives a bare number, an array, or a personal account where the scenario says so", async () => {
    const box = openSandbox()
    const profile = async (scenario: string) =>
      (await call(box, profileCall("instagram", await connected(box, "instagram", { scenario })))).body
    expect(await profile("big_number_id")).toMatch(/"user_id":17841400000001001,/)
    expect(JSON.parse(await profile("nested_answer"))).toMatchObject({ data: [{ username: "ann.dev" }] })
    expect(JSON.parse(await profile("account_not_eligible"))).toMatchObject({ account_type: "PERSONAL" })
  })

  test("needs instagram_business_basic", async () => {
    const box = openSandbox()
    const token = await connected(box, "instagram", { untick: "instagram_business_basic" })
    expect((await ask(box, profileCall("instagram", token))).body.error).toMatchObject({ code: 10 })
  })
})

test("Instagram comes back with #_ behind the code, and says no like Facebook", async () => {
  const box = openSandbox()
  const response = await get(box, authorizeAddress("instagram", { scenario: "approve" }))
  expect(response.headers.get("location")).toEndWith("#_")
  const back = await comeBack(box, "instagram", { scenario: "decline" })
  expect([back.get("error"), back.get("error_reason")]).toEqual(["access_denied", "user_denied"])
})
