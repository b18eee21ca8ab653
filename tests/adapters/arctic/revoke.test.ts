import { expect, test } from "bun:test"
import { createHmac } from "node:crypto"
import { graphError, secretOf } from "../../support/simulated-answers.ts"
import { wire } from "../../support/simulated-providers.ts"
import { failureOf, refreshRequest, revokeRequest, revoking, wired } from "./wire.ts"

const { simulated, providers } = wired()
const revoke = providers.revoke
const formsOf = (provider: "x" | "linkedin" | "tiktok") =>
  simulated.sent(provider, "revoke").map(({ form }) => Object.fromEntries(form))

test("X revokes both tokens, each with its hint and with Basic credentials", async () => {
  expect(await revoke(revokeRequest("x"))).toBe("revoked")
  const forms = formsOf("x").toSorted((a, b) => (a.token ?? "").localeCompare(b.token ?? ""))
  expect(forms).toEqual([
    { token: "x-refresh-x-client", token_type_hint: "refresh_token" },
    { token: "x-x-client", token_type_hint: "access_token" },
  ])
  for (const { headers, host, path } of simulated.sent("x", "revoke")) {
    expect(`${host}${path}`).toBe("api.x.com/2/oauth2/revoke")
    expect(atob(headers.get("authorization")?.replace("Basic ", "") ?? "")).toBe(
      "x-client:made-up-secret%2Fof%2Bx-client",
    )
  }
  const refusal = await failureOf(providers.refresh(refreshRequest("x")))
  expect(refusal.reason).toBe("reauth_required")
})

test.each(["access_token", "refresh_token"])(
  "X has revoked when the refresh token's revocation succeeded, and only then: %s refused",
  async (refused) => {
    const dead = { error: "invalid_request", error_description: "Value passed for the token was invalid." }
    simulated.answer("x", "revoke", ({ form }) =>
      form.get("token_type_hint") === refused
        ? wire({ status: 400, body: dead })
        : wire({ body: { revoked: true } }),
    )
    const outcome = await revoke(revokeRequest("x")).catch((error: unknown) => error)
    if (refused === "access_token") expect(outcome).toBe("revoked")
    else expect(outcome).toMatchObject({ reason: "reauth_required", evidence: { call: "revoke" } })
    expect(simulated.sent("x", "revoke").length).toBe(2)
  },
)

test("X without a refresh token is told by its access token alone", async () => {
  expect(await revoke(revokeRequest("x", { refreshToken: null }))).toBe("revoked")
  expect(formsOf("x")).toEqual([{ token: "x-x-client", token_type_hint: "access_token" }])
  expect((await failureOf(revoke(revokeRequest("x", { refreshToken: null })))).reason).toBe("reauth_required")
})

test("TikTok revokes by the access token, and an empty body is success", async () => {
  expect(await revoke(revokeRequest("tiktok"))).toBe("revoked")
  expect(formsOf("tiktok")).toEqual([
    {
      token: "tiktok-tiktok-client",
      client_key: "tiktok-client",
      client_secret: secretOf("tiktok-client"),
    },
  ])
  expect(simulated.sent("tiktok", "revoke")[0]?.path).toBe("/v2/oauth/revoke/")
})

test("TikTok's error with status 200 is no revocation", async () => {
  const body = { error: "invalid_request", error_description: "Access token is invalid", log_id: "2026" }
  simulated.answer("tiktok", "revoke", { body })
  const refusal = await failureOf(revoke(revokeRequest("tiktok")))
  expect([refusal.reason, refusal.fate, refusal.evidence.status]).toEqual(["provider_error", "refused", 200])
})

test("LinkedIn revokes with the client in the body; a partner's refresh token goes too and does not decide", async () => {
  simulated.answer("linkedin", "revoke", ({ form }) =>
    wire({ status: form.get("token")?.includes("refresh") ? 400 : 200, body: {} }),
  )
  expect(await revoke(revokeRequest("linkedin"))).toBe("revoked")
  const client = { client_id: "linkedin-client", client_secret: secretOf("linkedin-client") }
  expect(
    formsOf("linkedin")
      .map((form) => form.token)
      .toSorted(),
  ).toEqual(["linkedin-linkedin-client", "linkedin-refresh-linkedin-client"])
  expect(formsOf("linkedin")).toContainEqual({ token: "linkedin-linkedin-client", ...client })
  expect(simulated.sent("linkedin", "revoke")[0]?.headers.has("authorization")).toBe(false)
})

test("LinkedIn without a refresh token sends one revocation", async () => {
  expect(await revoke(revokeRequest("linkedin", { refreshToken: null }))).toBe("revoked")
  expect(simulated.sent("linkedin", "revoke").length).toBe(1)
})

test("Facebook ends the person's grant: DELETE with the person's token and its proof", async () => {
  expect(await revoke(revokeRequest("facebook"))).toBe("revoked")
  const [sent] = simulated.sent("facebook", "revoke")
  expect(`${sent?.method} ${sent?.host}${sent?.path}`).toBe("DELETE graph.facebook.com/v25.0/me/permissions")
  expect(sent?.headers.get("authorization")).toBe("Bearer facebook-facebook-client")
  const proof = createHmac("sha256", secretOf("facebook-client"))
    .update("facebook-facebook-client")
    .digest("hex")
  expect(Object.fromEntries(sent?.query ?? [])).toEqual({ appsecret_proof: proof })
  expect(sent?.body).toBe("")
})

test("Facebook without the app's credentials sends no proof", async () => {
  expect(await revoke(revokeRequest("facebook", { credentials: null }))).toBe("revoked")
  expect([...(simulated.sent("facebook", "revoke")[0]?.query ?? [])]).toEqual([])
})

test.each([
  ["true", "revoked"],
  ['{"success":true}', "revoked"],
  ['{"success":false}', "provider_error"],
  ["false", "invalid_response"],
])("Facebook's answer %s to a revocation is %s", async (body, outcome) => {
  simulated.answer("facebook", "revoke", { body })
  const ended = await revoke(revokeRequest("facebook")).catch((error) => error.reason)
  expect(ended).toBe(outcome)
})

test("Facebook without the person's token leaves the grant alone", async () => {
  expect(await revoke(revokeRequest("facebook", { personToken: null }))).toBe("unsupported")
  expect(simulated.requests).toEqual([])
})

test("Instagram has no revocation", async () => {
  expect(await revoke(revokeRequest("instagram"))).toBe("unsupported")
  expect(simulated.requests).toEqual([])
})

test.each(["x", "tiktok", "linkedin"] as const)(
  "%s cannot be revoked without the app's credentials",
  async (provider) => {
    expect(await revoke(revokeRequest(provider, { credentials: null }))).toBe("unsupported")
    expect(simulated.requests).toEqual([])
  },
)

test.each(revoking)("%s: an empty body, 204 and {} are success, a page is not", async (provider) => {
  for (const answer of [{ body: "" }, { status: 204 }, { body: {} }]) {
    simulated.answer(provider, "revoke", answer)
    expect(await revoke(revokeRequest(provider))).toBe("revoked")
  }
  simulated.answer(provider, "revoke", { body: "<html>Welcome</html>" })
  const refusal = await failureOf(revoke(revokeRequest(provider)))
  expect([refusal.reason, refusal.fate]).toEqual(["invalid_response", "unknown"])
})

test("a dead person token at Facebook is told as that", async () => {
  simulated.answer("facebook", "revoke", graphError(400, { code: 190, error_subcode: 460 }))
  expect((await failureOf(revoke(revokeRequest("facebook")))).reason).toBe("reauth_required")
})

test("the tokens that a revocation sends are in no evidence", async () => {
  for (const provider of revoking) {
    simulated.answer(provider, "revoke", (request) =>
      wire({
        status: 400,
        body: {
          error: "invalid_request",
          error_description: `no ${request.form.get("token") ?? request.headers.get("authorization")}`,
        },
      }),
    )
    const { evidence } = await failureOf(revoke(revokeRequest(provider)))
    expect(evidence.message).toMatch(/^no (Bearer )?\[redacted\]/)
  }
})
