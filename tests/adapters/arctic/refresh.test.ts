import { describe, expect, test } from "bun:test"
import { arcticProviders } from "../../../src/adapters/arctic/providers.ts"
import { refreshTimeLimitMs } from "../../../src/domain/token-life.ts"
import { secretOf } from "../../support/simulated-answers.ts"
import { allTextOf, failureOf, now, refreshRequest, renewing, wired } from "./wire.ts"

const { simulated, providers } = wired()
const refresh = providers.refresh
const seconds = (count: number) => new Date(now.getTime() + count * 1000)

test("X is refreshed with form-encoded Basic credentials, and gives a new refresh token", async () => {
  expect(await refresh(refreshRequest("x"))).toEqual({
    accessToken: "x-x-client.next",
    tokenType: "Bearer",
    expiresAt: seconds(7200),
    refreshToken: "x-refresh-x-client.next",
    refreshTokenExpiresAt: null,
    scopes: ["tweet.read", "offline.access"],
  })
  const [sent] = simulated.sent("x", "refresh")
  expect(`${sent?.method} ${sent?.host}${sent?.path}`).toBe("POST api.x.com/2/oauth2/token")
  expect(atob(sent?.headers.get("authorization")?.replace("Basic ", "") ?? "")).toBe(
    "x-client:made-up-secret%2Fof%2Bx-client",
  )
  expect(Object.fromEntries(sent?.form ?? [])).toEqual({
    grant_type: "refresh_token",
    refresh_token: "x-refresh-x-client",
  })
})

test("X gets the client id in the body of a refresh too where the app asks for it", async () => {
  await refresh(refreshRequest("x", { options: { client_id_in_body: true } }))
  expect(simulated.sent("x", "refresh")[0]?.form.get("client_id")).toBe("x-client")
})

test("a refresh token of X that was used before is refused for good", async () => {
  await refresh(refreshRequest("x"))
  const refusal = await failureOf(refresh(refreshRequest("x")))
  expect([refusal.reason, refusal.fate, refusal.evidence.call]).toEqual([
    "reauth_required",
    "refused",
    "refresh",
  ])
})

test("TikTok is refreshed with its client key in the body, and its new refresh token has an end", async () => {
  expect(await refresh(refreshRequest("tiktok"))).toEqual({
    accessToken: "tiktok-tiktok-client.next",
    tokenType: "Bearer",
    expiresAt: seconds(7200),
    refreshToken: "tiktok-refresh-tiktok-client.next",
    refreshTokenExpiresAt: seconds(15552000),
    scopes: ["user.info.basic", "video.publish"],
  })
  const [sent] = simulated.sent("tiktok", "refresh")
  expect(sent?.path).toBe("/v2/oauth/token/")
  expect(Object.fromEntries(sent?.form ?? [])).toEqual({
    grant_type: "refresh_token",
    refresh_token: "tiktok-refresh-tiktok-client",
    client_key: "tiktok-client",
    client_secret: secretOf("tiktok-client"),
  })
})

test("a refresh of TikTok that is answered inside data is read like a flat one", async () => {
  const data = { access_token: "made-up-a", refresh_token: "made-up-r", expires_in: 60 }
  simulated.answer("tiktok", "refresh", { body: { data, message: "success" } })
  const refreshed = await refresh(refreshRequest("tiktok"))
  expect(refreshed).toMatchObject({ accessToken: "made-up-a", refreshToken: "made-up-r", scopes: null })
  // By itself: toMatchObject of this runner takes any two dates for equal.
  expect(refreshed.expiresAt).toEqual(seconds(60))
})

test("an error of TikTok that comes with status 200 and beside a token is an error still", async () => {
  const body = { access_token: "made-up-a", error: "server_error", error_description: "try later" }
  simulated.answer("tiktok", "refresh", { body })
  const refusal = await failureOf(refresh(refreshRequest("tiktok")))
  expect([refusal.reason, refusal.fate]).toEqual(["provider_unavailable", "refused"])
})

test("LinkedIn gives the same refresh token back, with the end it always had", async () => {
  const request = refreshRequest("linkedin")
  const [first, second] = [await refresh(request), await refresh(request)]
  expect(first).toEqual({
    accessToken: "linkedin-linkedin-client.next",
    tokenType: "Bearer",
    expiresAt: seconds(5184000),
    refreshToken: "linkedin-refresh-linkedin-client",
    refreshTokenExpiresAt: seconds(300 * 86400),
    scopes: ["openid", "profile", "w_member_social"],
  })
  expect(second).toEqual(first)
  const [sent] = simulated.sent("linkedin", "refresh")
  expect(sent?.headers.has("authorization")).toBe(false)
  expect(Object.fromEntries(sent?.form ?? [])).toEqual({
    grant_type: "refresh_token",
    refresh_token: "linkedin-refresh-linkedin-client",
    client_id: "linkedin-client",
    client_secret: secretOf("linkedin-client"),
  })
})

test("Instagram's token renews itself: the documented GET, without client credentials", async () => {
  expect(await refresh(refreshRequest("instagram", { credentials: null }))).toEqual({
    accessToken: "instagram-instagram-client.next",
    tokenType: "Bearer",
    expiresAt: seconds(5183944),
    refreshToken: null,
    refreshTokenExpiresAt: null,
    scopes: null,
  })
  const [sent] = simulated.sent("instagram", "refresh")
  expect(`${sent?.method} ${sent?.host}${sent?.path}`).toBe("GET graph.instagram.com/refresh_access_token")
  expect(Object.fromEntries(sent?.query ?? [])).toEqual({
    grant_type: "ig_refresh_token",
    access_token: "instagram-instagram-client",
  })
})

test("the token in Instagram's address is in no evidence, however it is echoed", async () => {
  const token = "made up/token+of=Instagram"
  for (const echo of [token, encodeURIComponent(token), new URLSearchParams([["t", token]]).toString()]) {
    const error = {
      code: 1,
      message: `GET /refresh_access_token?access_token=${echo} failed`,
      fbtrace_id: echo,
    }
    simulated.answer("instagram", "refresh", { status: 500, body: { error } })
    const refusal = await failureOf(refresh(refreshRequest("instagram", { accessToken: token })))
    expect(allTextOf(refusal)).not.toContain(echo)
    expect(allTextOf(refusal)).not.toContain(token)
  }
})

test("Facebook renews nothing, and asking for it is our own fault", async () => {
  const refusal = await failureOf(refresh(refreshRequest("facebook")))
  expect([refusal.reason, refusal.fate]).toEqual(["server_error", "unsent"])
  expect(refusal.evidence).toMatchObject({
    call: "refresh",
    message: "Facebook tokens are not renewed without the person",
  })
  expect(simulated.requests).toEqual([])
})

test.each(renewing.filter((provider) => provider !== "instagram"))(
  "%s without a refresh token or without credentials sends nothing",
  async (provider) => {
    for (const change of [{ refreshToken: null }, { credentials: null }]) {
      const refusal = await failureOf(refresh(refreshRequest(provider, change)))
      expect([refusal.reason, refusal.fate]).toEqual(["server_error", "unsent"])
    }
    expect(simulated.requests).toEqual([])
  },
)

test.each(renewing)("%s: a refresh token that is empty, or no token at all, is none", async (provider) => {
  for (const refresh_token of ["", null, 7, ["made-up"], "two words", "x".repeat(8193)]) {
    const body = { access_token: "made-up-a", refresh_token, refresh_token_expires_in: 60, expires_in: 60 }
    simulated.answer(provider, "refresh", { body })
    const given = await refresh(refreshRequest(provider))
    expect(given).toMatchObject({ refreshToken: null, refreshTokenExpiresAt: null })
    expect(given.expiresAt).toEqual(seconds(60))
  }
})

describe.each(renewing)("%s", (provider) => {
  test.each([
    ["an error", { status: 400, body: { error: "invalid_grant" } }],
    ["a limit", { status: 429, headers: { "retry-after": "0" }, body: "" }],
    ["a failure", { status: 500, body: {} }],
    ["a failure that asks to be tried again", { status: 503, headers: { "retry-after": "0" }, body: "" }],
    ["a time-out told by status", { status: 408, body: "" }],
    ["a redirect", { status: 307, headers: { location: "/again" }, body: "" }],
    ["nothing", { status: 200, body: "" }],
    ["a token", { status: 200, body: { access_token: "made-up-a" } }],
  ])("is sent a refresh exactly once when the answer is %s", async (_, answer) => {
    simulated.answer(provider, "refresh", answer)
    await refresh(refreshRequest(provider)).catch(() => {})
    expect(simulated.requests.length).toBe(1)
  })

  test("is waited for longer than any other call", async () => {
    const limits: number[] = []
    const counting = arcticProviders({
      now: () => now,
      transport: async (_request, { timeoutMs }) => {
        limits.push(timeoutMs)
        return { status: 200, headers: {}, body: `{"access_token":"made-up"}` }
      },
    })
    await counting.refresh(refreshRequest(provider))
    await counting.revoke({ ...refreshRequest(provider), personToken: null })
    expect(limits[0]).toBe(refreshTimeLimitMs)
    expect(limits.slice(1).every((limit) => limit === 10_000)).toBe(true)
  })
})

test("the old hosts of X are refreshed at the old hosts, by option or by default", async () => {
  const sent: string[] = []
  const old = (xHosts: "x.com" | "twitter.com") =>
    arcticProviders({
      now: () => now,
      xHosts,
      transport: async (request) => {
        sent.push(new URL(request.url).host)
        return { status: 200, headers: {}, body: `{"access_token":"made-up"}` }
      },
    })
  await old("x.com").refresh(refreshRequest("x", { options: { hosts: "twitter.com" } }))
  await old("twitter.com").refresh(refreshRequest("x"))
  await old("twitter.com").refresh(refreshRequest("x", { options: { hosts: "x.com" } }))
  expect(sent).toEqual(["api.twitter.com", "api.twitter.com", "api.x.com"])
})
