import { expect, test } from "bun:test"
import { createHmac } from "node:crypto"
import { digits, graphError, secretOf } from "../../support/simulated-answers.ts"
import { wire } from "../../support/simulated-providers.ts"
import { now, redirectUri, wired } from "./wire.ts"

const { simulated, connect, connectOne, failure } = wired()

const page = (id: string, more: object = {}) => ({
  id,
  name: `Page ${id}`,
  access_token: `made-up-page-token-${id}`,
  tasks: ["CREATE_CONTENT"],
  ...more,
})
const list = (items: readonly object[], paging: object = {}) => ({ body: { data: items, paging } })
const permissions = (granted: readonly string[], declined: readonly string[] = []) =>
  list([
    ...granted.map((permission) => ({ permission, status: "granted" })),
    ...declined.map((permission) => ({ permission, status: "declined" })),
  ])
const idsOf = (accounts: readonly { readonly platformAccountId: string }[]) =>
  accounts.map((account) => account.platformAccountId)

test("one connect with Facebook: two exchanges by POST, the grants, and the Page with its own token", async () => {
  const account = await connectOne("facebook")
  expect(Object.fromEntries(simulated.sent("facebook", "token")[0]?.form ?? [])).toEqual({
    grant_type: "authorization_code",
    code: "code-facebook-facebook-client-0",
    redirect_uri: redirectUri,
    client_id: "facebook-client",
    client_secret: secretOf("facebook-client"),
  })
  expect(Object.fromEntries(simulated.sent("facebook", "long_lived_token")[0]?.form ?? [])).toEqual({
    grant_type: "fb_exchange_token",
    client_id: "facebook-client",
    client_secret: secretOf("facebook-client"),
    fb_exchange_token: "short-facebook-client",
  })
  expect(account).toEqual({
    platformAccountId: `5${digits("facebook-client")}`,
    handle: null,
    displayName: "Name of facebook-client",
    avatarUrl: "https://cdn.example/facebook-client.png",
    scopes: ["pages_show_list", "pages_read_engagement", "pages_manage_posts", "business_management"],
    metadata: {
      page_id: `5${digits("facebook-client")}`,
      person_id: `9${digits("facebook-client")}`,
      tasks: "MANAGE,CREATE_CONTENT",
    },
    tokens: {
      accessToken: "page-facebook-client",
      tokenType: "Bearer",
      expiresAt: null,
      refreshToken: null,
      refreshTokenExpiresAt: null,
      personToken: "facebook-facebook-client",
      personTokenExpiresAt: new Date(now.getTime() + 5183944_000),
    },
  })
})

test("every call to the Graph proves the secret and keeps the token out of the URL", async () => {
  await connect("facebook")
  const proof = createHmac("sha256", secretOf("facebook-client"))
    .update("facebook-facebook-client")
    .digest("hex")
  const calls = simulated.requests.filter((request) => request.method === "GET")
  expect(calls.map((request) => request.call)).toEqual(["permissions", "profile", "accounts", "businesses"])
  for (const request of calls) {
    expect(request.query.get("appsecret_proof")).toBe(proof)
    expect(request.query.has("access_token")).toBe(false)
  }
})

test("several Pages become several accounts, those without CREATE_CONTENT or a token none", async () => {
  const pages = [
    page("1"),
    page("2", { tasks: ["ANALYZE"] }),
    page("3", { access_token: undefined }),
    page("4", { tasks: undefined }),
    page("5", { username: "acme" }),
  ]
  simulated.answer("facebook", "accounts", list(pages))
  const accounts = await connect("facebook")
  expect(idsOf(accounts)).toEqual(["1", "5"])
  expect(accounts[1]?.handle).toBe("acme")
})

test("further answers are fetched by their cursor, and an address in an answer is never followed", async () => {
  simulated.answer("facebook", "accounts", (request) => {
    const after = request.query.get("after")
    if (after === null) {
      return wire(
        list([page("1")], { next: "https://evil.example/v25.0/me/accounts?after=c1&access_token=t" }),
      )
    }
    return wire(list([page("1"), page("2")], after === "c1" ? { next: "x", cursors: { after: "c2" } } : {}))
  })
  expect(idsOf(await connect("facebook"))).toEqual(["1", "2"])
  expect(simulated.sent("facebook", "accounts").map((request) => request.query.get("after"))).toEqual([
    null,
    "c1",
  ])
})

test.each([
  ["the same cursor again and again", () => "c1", 2],
  ["a new cursor for ever", (count: number) => `c${count}`, 20],
])("%s ends", async (_, cursor, calls) => {
  let count = 0
  simulated.answer("facebook", "accounts", () =>
    wire(list([page("1")], { next: `https://graph.facebook.com/v25.0/1/accounts?after=${cursor(++count)}` })),
  )
  expect(idsOf(await connect("facebook"))).toEqual(["1"])
  expect(simulated.sent("facebook", "accounts").length).toBe(calls)
})

test("Pages that only a business portfolio shows are connected too, each once", async () => {
  simulated.answer("facebook", "accounts", list([page("1"), page("2", { tasks: ["ANALYZE"] })]))
  simulated.answer("facebook", "businesses", list([{ id: "70" }]))
  simulated.answer("facebook", "business_pages", (request) => {
    const owned = request.path.endsWith("owned_pages")
    const shown = owned
      ? [page("1"), page("2", { tasks: undefined }), page("3", { tasks: undefined })]
      : [page("4")]
    return wire(list(shown))
  })
  const accounts = await connect("facebook")
  expect(idsOf(accounts)).toEqual(["1", "3", "4"])
  expect(accounts[1]?.metadata.tasks).toBeUndefined()
  for (const request of simulated.sent("facebook", "business_pages")) {
    expect(request.query.get("fields")?.split(",")).not.toContain("tasks")
  }
})

test("portfolios are left alone where business_management was not granted", async () => {
  simulated.answer("facebook", "permissions", permissions(["pages_show_list"], ["business_management"]))
  const account = await connectOne("facebook")
  expect(account.scopes).toEqual(["pages_show_list"])
  expect(simulated.sent("facebook", "businesses")).toEqual([])
})

test("a portfolio that cannot be read costs nothing while there are other Pages", async () => {
  simulated.answer("facebook", "businesses", list([{ id: "70" }]))
  simulated.answer("facebook", "business_pages", graphError(500, { code: 2, message: "temporary" }))
  expect((await connect("facebook")).length).toBe(1)
})

test("a portfolio that cannot be read is the reason where there is no other Page", async () => {
  simulated.answer("facebook", "accounts", list([]))
  simulated.answer("facebook", "businesses", graphError(500, { code: 2, message: "temporary" }))
  expect((await failure("facebook")).reason).toBe("provider_unavailable")
})

test("no Page to publish on is told as that", async () => {
  simulated.answer("facebook", "accounts", list([page("2", { tasks: ["ANALYZE"] })]))
  const { reason, evidence } = await failure("facebook")
  expect([reason, evidence.call]).toEqual(["no_publishable_account", "accounts"])
})

test("where even the list of Pages was declined the grant is insufficient", async () => {
  simulated.answer("facebook", "permissions", permissions(["public_profile"], ["pages_show_list"]))
  const { reason, evidence } = await failure("facebook")
  expect([reason, evidence.call]).toEqual(["insufficient_scope", "permissions"])
})

test("a Page's id above 2^53 stays exact though it came as a number", async () => {
  const body = `{"data":[{"id":17841400000000123,"access_token":"made-up","tasks":["CREATE_CONTENT"]}]}`
  simulated.answer("facebook", "accounts", { body })
  expect(idsOf(await connect("facebook"))).toEqual(["17841400000000123"])
})

test("the Graph's nested error tells its code, subcode and trace id", async () => {
  const message = "This authorization code has been used."
  simulated.answer("facebook", "token", graphError(400, { code: 100, error_subcode: 36009, message }))
  const refusal = await failure("facebook")
  expect(refusal.reason).toBe("code_invalid")
  expect(refusal.evidence).toEqual({
    call: "token",
    status: 400,
    code: "100/36009",
    message,
    traceId: "AbCdEf12",
  })
})
