import { describe, expect, test } from "bun:test"
import { ask, type Body, connected, type OpenSandbox, openSandbox, profileCall } from "./harness.ts"

const scope = "openid profile w_member_social rw_organization_admin w_organization_social"
const headers = { "linkedin-version": "202609", "x-restli-protocol-version": "2.0.0" }
const aclsPath = "/rest/organizationAcls?q=roleAssignee&role=ADMINISTRATOR&state=APPROVED"

async function memberOf(person: string, changes: Record<string, string> = {}) {
  const box = openSandbox()
  const bearer = await connected(box, "linkedin", { scope, person, ...changes })
  const read = (path: string, sent: Record<string, string> = headers) =>
    ask(box, { url: `https://api.linkedin.com${path}`, bearer, headers: sent })
  return { box, bearer, read }
}

async function sub(box: OpenSandbox, bearer: string): Promise<string> {
  return String((await ask(box, profileCall("linkedin", bearer))).body.sub)
}

function organizationsIn(body: Body): readonly string[] {
  return (body.elements as readonly { readonly organization: string }[]).map((acl) => acl.organization)
}

describe("LinkedIn's organizationAcls", () => {
  test("lists what the member administers", async () => {
    const { box, bearer, read } = await memberOf("cleo")
    const roleAssignee = `urn:li:person:${await sub(box, bearer)}`
    const row = { role: "ADMINISTRATOR", state: "APPROVED", roleAssignee }
    expect(await read(aclsPath)).toEqual({
      status: 200,
      body: {
        elements: [
          { ...row, organization: "urn:li:organization:2414183" },
          { ...row, organization: "urn:li:organization:2414185" },
        ],
        paging: { count: 10, links: [], start: 0, total: 2 },
      },
    })
  })

  test("lists other roles where none is named, and only the one that is", async () => {
    const { read } = await memberOf("cleo")
    const found = async (more: string) =>
      organizationsIn((await read(`/rest/organizationAcls?q=roleAssignee${more}`)).body)
    expect(await found("")).toHaveLength(3)
    expect(await found("&role=ANALYST")).toEqual(["urn:li:organization:2414184"])
    expect(await found("&state=REQUESTED")).toEqual([])
  })

  test("is empty for who administers none", async () => {
    const { read } = await memberOf("dora")
    expect((await read(aclsPath)).body).toEqual({
      elements: [],
      paging: { count: 10, links: [], start: 0, total: 0 },
    })
  })

  test("comes in pages, each naming the next", async () => {
    const { read } = await memberOf("cleo")
    const first = (await read(`${aclsPath}&start=0&count=1`)).body
    expect(organizationsIn(first)).toEqual(["urn:li:organization:2414183"])
    expect(first.paging).toMatchObject({ count: 1, start: 0, total: 2 })
    const { links } = first.paging as { readonly links: readonly { href: string; rel: string }[] }
    expect(links.map(({ rel }) => rel)).toEqual(["next"])
    const second = (await read(links[0]?.href ?? "")).body
    expect(organizationsIn(second)).toEqual(["urn:li:organization:2414185"])
    expect(second.paging).toEqual({ count: 1, links: [], start: 1, total: 2 })
    expect((await read(`${aclsPath}&start=2&count=1`)).body.elements).toEqual([])
  })

  test.each(["start=-1", "start=a", "count=0", "count=101", "count=1e1"])("refuses %s", async (more) => {
    const { read } = await memberOf("cleo")
    expect((await read(`${aclsPath}&${more}`)).status).toBe(400)
  })

  test("has one finder", async () => {
    const { read } = await memberOf("cleo")
    expect((await read("/rest/organizationAcls?role=ADMINISTRATOR")).status).toBe(400)
  })
})

describe("LinkedIn's organizations", () => {
  test("are had one by one, with the logo as a URN where there is one", async () => {
    const { read } = await memberOf("cleo")
    const asset = "urn:li:digitalmediaAsset:SANDBOX2414183"
    expect(await read("/rest/organizations/2414183")).toEqual({
      status: 200,
      body: {
        id: 2414183,
        vanityName: "marsh-books",
        localizedName: "Marsh Books",
        name: { localized: { en_US: "Marsh Books" }, preferredLocale: { country: "US", language: "en" } },
        primaryOrganizationType: "NONE",
        logoV2: { cropped: asset, original: asset, cropInfo: { height: 0, width: 0, x: 0, y: 0 } },
      },
    })
    expect((await read("/rest/organizations/2414185")).body).not.toHaveProperty("logoV2")
  })

  test("are had together, each id with its own status", async () => {
    const { read } = await memberOf("cleo")
    const { status, body } = await read("/rest/organizations?ids=List(2414183,2414185,2414184,7)")
    expect(status).toBe(200)
    expect(body).toEqual({
      results: {
        "2414183": expect.objectContaining({ localizedName: "Marsh Books" }),
        "2414185": expect.objectContaining({ vanityName: "marsh-press" }),
      },
      statuses: { "2414183": 200, "2414185": 200, "2414184": 403, "7": 404 },
      errors: {
        "2414184": { status: 403, message: expect.stringContaining("urn:li:organization:2414184") },
        "7": { status: 404, message: expect.stringContaining("7") },
      },
    })
    const encoded = await read("/rest/organizations?ids=List%282414183%29")
    expect(Object.keys(encoded.body.results as object)).toEqual(["2414183"])
  })

  test.each(["", "?ids=2414183", "?ids=List()", "?ids=List(a)", "?ids=List(1,)"])(
    "are not had by %p",
    async (query) => {
      const { read } = await memberOf("cleo")
      expect((await read(`/rest/organizations${query}`)).status).toBe(400)
    },
  )

  test("of others, and ones where the member only looks on, stay closed", async () => {
    const { read } = await memberOf("zoe")
    expect((await read("/rest/organizations/2414191")).body.localizedName).toBe(`Zoë's "Fox & Co" 🦊`)
    expect((await read("/rest/organizations/2414183")).status).toBe(403)
    expect((await read("/rest/organizations/7")).status).toBe(404)
    const { read: asCleo } = await memberOf("cleo")
    expect((await asCleo("/rest/organizations/2414184")).status).toBe(403)
  })
})

describe("all of LinkedIn's organisation calls", () => {
  const paths = [aclsPath, "/rest/organizations/2414183", "/rest/organizations?ids=List(2414183)"]

  test.each(paths)("%s wants a version and the protocol's", async (path) => {
    const { read } = await memberOf("cleo")
    const { "linkedin-version": version, ...withoutVersion } = headers
    const { "x-restli-protocol-version": _, ...withoutProtocol } = headers
    const says = async (sent: Record<string, string>) => {
      const { status, body } = await read(path, sent)
      return [status, body.code]
    }
    expect(await says(withoutVersion)).toEqual([400, "VERSION_MISSING"])
    expect(await says(withoutProtocol)).toEqual([400, "ILLEGAL_ARGUMENT"])
    for (const dead of ["202412", "202613", "20260901", "latest"]) {
      expect(await says({ ...headers, "linkedin-version": dead })).toEqual([426, "NONEXISTENT_VERSION"])
    }
    for (const alive of [version, "202501", "203112"]) {
      expect((await read(path, { ...headers, "linkedin-version": alive })).status).toBe(200)
    }
  })

  test.each(paths)("%s wants a scope for organisations", async (path) => {
    const { read } = await memberOf("cleo", { scope: "openid profile w_member_social" })
    const { status, body } = await read(path)
    expect([status, body.code, body.serviceErrorCode]).toEqual([403, "ACCESS_DENIED", 100])
    for (const one of ["rw_organization_admin", "r_organization_admin", "w_organization_social"]) {
      const { read: allowed } = await memberOf("cleo", { scope: `openid profile ${one}` })
      expect((await allowed(path)).status).toBe(200)
    }
  })

  test.each(paths)("%s wants a token that lives", async (path) => {
    const { box, read } = await memberOf("cleo", { expires_in: "60" })
    const stranger = await ask(box, { url: `https://api.linkedin.com${path}`, headers, bearer: "made-up" })
    expect([stranger.status, stranger.body.message]).toEqual([401, "Invalid access token"])
    box.pass(60)
    const { status, body } = await read(path)
    expect([status, body.message]).toEqual([401, "Expired access token"])
  })

  test("are had by GET alone", async () => {
    const { box, bearer } = await memberOf("cleo")
    const url = `https://api.linkedin.com${aclsPath}`
    expect((await ask(box, { method: "POST", url, bearer, headers })).status).toBe(404)
  })

  test("name the member as the profile of that app does", async () => {
    const box = openSandbox()
    const bearer = await connected(box, "linkedin", { scope, person: "zoe" })
    const { body } = await ask(box, { url: `https://api.linkedin.com${aclsPath}`, bearer, headers })
    expect(body.elements).toMatchObject([{ roleAssignee: `urn:li:person:${await sub(box, bearer)}` }])
  })
})
