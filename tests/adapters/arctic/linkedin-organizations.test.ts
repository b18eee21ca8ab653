import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { digits } from "../../support/simulated-answers.ts"
import { wire } from "../../support/simulated-providers.ts"
import { hostileBody } from "./hostile-body.ts"
import { wired } from "./wire.ts"

const { simulated, connect, connectOne } = wired()

const scopes = ["openid", "profile", "w_member_social", "w_organization_social"]
const role = (id: string | number, more: object = {}) => ({
  role: "ADMINISTRATOR",
  state: "APPROVED",
  organization: `urn:li:organization:${id}`,
  ...more,
})
const roles = (elements: readonly object[]) => ({ body: { elements } })
const idsOf = (accounts: readonly { readonly platformAccountId: string }[]) =>
  accounts.map((account) => account.platformAccountId)

test("each organisation the member administers is an account of its own beside the member's", async () => {
  const [member, organization, ...others] = await connect("linkedin", { scopes })
  const id = digits("linkedin-client")
  expect(others).toEqual([])
  expect(member?.platformAccountId).toBe("sub-linkedin-client")
  expect(organization).toEqual({
    platformAccountId: `urn:li:organization:${id}`,
    handle: "works",
    displayName: "Works of linkedin-client",
    avatarUrl: null,
    scopes,
    metadata: {
      author_urn: `urn:li:organization:${id}`,
      organization_id: id,
      person_id: "sub-linkedin-client",
    },
    tokens: member?.tokens ?? expect.unreachable(),
  })
  expect(member?.metadata.person_id).toBe("sub-linkedin-client")
})

test("organisations are asked for with the version and the protocol that LinkedIn insists on", async () => {
  await connect("linkedin", { scopes })
  await connect("linkedin", { scopes, options: { api_version: "202611" } })
  const calls = [
    ...simulated.sent("linkedin", "organization_acls"),
    ...simulated.sent("linkedin", "organizations"),
  ]
  expect(calls.map(({ headers }) => headers.get("linkedin-version"))).toEqual([
    "202609",
    "202611",
    "202609",
    "202611",
  ])
  for (const { headers } of calls) {
    expect(headers.get("x-restli-protocol-version")).toBe("2.0.0")
    expect(headers.get("authorization")).toBe("Bearer linkedin-linkedin-client")
  }
  const [acls, , organizations] = calls
  expect(Object.fromEntries(acls?.query ?? [])).toEqual({
    q: "roleAssignee",
    role: "ADMINISTRATOR",
    state: "APPROVED",
    start: "0",
    count: "50",
  })
  expect(organizations?.query.get("ids")).toBe(`List(${digits("linkedin-client")})`)
})

test.each([
  ["r_organization_social", 2],
  ["w_organization_social", 2],
  ["rw_organization_admin", 2],
  ["w_member_social_feed", 1],
])("%s among the granted scopes: %d accounts", async (scope, count) => {
  expect((await connect("linkedin", { scopes: ["openid", "profile", scope] })).length).toBe(count)
  expect(simulated.sent("linkedin", "organization_acls").length).toBe(count - 1)
})

describe("a list that cannot be read never costs the member's connect", () => {
  const refusals = [
    { status: 403, body: { status: 403, message: "Not enough permissions", serviceErrorCode: 100 } },
    { status: 426, body: { status: 426, message: "Requested version 20240901 is not active" } },
    { status: 401, body: { status: 401, message: "Invalid access token", serviceErrorCode: 65600 } },
    { status: 429, body: "" },
    { status: 500, body: "<html>" },
    { status: 302, headers: { location: "/elsewhere" }, body: "" },
    { status: 200, body: "not json" },
    { status: 200, body: { elements: "none" } },
    { status: 200, body: { elements: [null, 7, "urn:li:organization:1", {}, { organization: 5 }] } },
  ]
  test.each(refusals)("%j", async (answer) => {
    simulated.answer("linkedin", "organization_acls", answer)
    expect((await connectOne("linkedin", { scopes })).platformAccountId).toBe("sub-linkedin-client")
    expect(simulated.sent("linkedin", "organizations")).toEqual([])
  })

  test.each(refusals.slice(0, 7))(
    "and without their names organisations keep their ids: %j",
    async (answer) => {
      simulated.answer("linkedin", "organizations", answer)
      const [, organization] = await connect("linkedin", { scopes })
      expect(organization).toMatchObject({
        platformAccountId: `urn:li:organization:${digits("linkedin-client")}`,
        handle: null,
        displayName: null,
      })
    },
  )
})

test("only living administrators of organisations count, each organisation once", async () => {
  const elements = [
    role("1"),
    role("1"),
    role("2", { role: "ANALYST" }),
    role("3", { state: "REQUESTED" }),
    role("4", { organization: "urn:li:organizationBrand:4" }),
    role("5", { organization: "urn:li:organization:5) OR (x" }),
    role("6", { organization: undefined, organizationTarget: "urn:li:organization:6" }),
  ]
  simulated.answer("linkedin", "organization_acls", roles(elements))
  expect(idsOf(await connect("linkedin", { scopes })).slice(1)).toEqual([
    "urn:li:organization:1",
    "urn:li:organization:6",
  ])
  expect(simulated.sent("linkedin", "organizations")[0]?.query.get("ids")).toBe("List(1,6)")
})

test("roles are read page by page and described in batches", async () => {
  simulated.answer("linkedin", "organization_acls", ({ query }) => {
    const start = Number(query.get("start"))
    const left = Math.min(50, 120 - start)
    return wire(roles(Array.from({ length: left }, (_, i) => role(start + i + 1))))
  })
  expect((await connect("linkedin", { scopes })).length).toBe(121)
  const starts = simulated.sent("linkedin", "organization_acls").map(({ query }) => query.get("start"))
  expect(starts).toEqual(["0", "50", "100"])
  const batches = simulated
    .sent("linkedin", "organizations")
    .map(({ query }) => query.get("ids")?.split(",").length)
  expect(batches.toSorted()).toEqual([20, 50, 50])
})

test("a list without end ends", async () => {
  let next = 0
  simulated.answer("linkedin", "organization_acls", () =>
    wire(roles(Array.from({ length: 80 }, () => role(++next)))),
  )
  expect((await connect("linkedin", { scopes })).length).toBe(501)
  expect(simulated.sent("linkedin", "organization_acls").length).toBe(10)
})

test("a list that breaks off is as long as it was read", async () => {
  simulated.answer("linkedin", "organization_acls", ({ query }) =>
    query.get("start") === "0"
      ? wire(roles(Array.from({ length: 50 }, (_, i) => role(i + 1))))
      : wire({ status: 500, body: {} }),
  )
  expect((await connect("linkedin", { scopes })).length).toBe(51)
})

test("a logo is kept where LinkedIn resolves it to an https address", async () => {
  const logo = (identifier: string) => ({
    localizedName: "Works",
    logoV2: { "original~": { elements: [{ identifiers: [{ identifier }] }] } },
  })
  simulated.answer("linkedin", "organization_acls", roles([role("1"), role("2"), role("3")]))
  const results = {
    "1": logo("https://media.example/1.png"),
    "2": logo("http://media.example/2.png"),
    "3": { logoV2: { original: "urn:li:digitalmediaAsset:3" } },
  }
  simulated.answer("linkedin", "organizations", { body: { results } })
  const accounts = await connect("linkedin", { scopes })
  expect(accounts.slice(1).map((account) => account.avatarUrl)).toEqual([
    "https://media.example/1.png",
    null,
    null,
  ])
})

test.each(["organization_acls", "organizations"] as const)(
  "whatever is answered to %s, the member is connected and every organisation is well-formed",
  async (call) => {
    const bodies = hostileBody(["urn:li:organization:77", "linkedin-linkedin-client"])
    await fc.assert(
      fc.asyncProperty(bodies, fc.constantFrom(200, 200, 403, 500), async (body, status) => {
        simulated.answer("linkedin", call, { status, body })
        const [member, ...organizations] = await connect("linkedin", { scopes })
        expect(member?.platformAccountId).toBe("sub-linkedin-client")
        for (const { platformAccountId, handle, displayName, metadata } of organizations) {
          expect(platformAccountId).toMatch(/^urn:li:organization:\d{1,20}$/)
          expect(metadata.author_urn).toBe(platformAccountId)
          for (const text of [handle, displayName]) expect(text === null || text.length > 0).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  },
)
