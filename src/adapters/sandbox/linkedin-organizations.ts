import type { ProviderAnswer } from "../../ports/transport.ts"
import { type Grant, grantedScopes } from "./grant.ts"
import { apiError, sayTokenFault } from "./linkedin-faults.ts"
import { linkedinMemberId, type Organization, people } from "./people.ts"
import { bearer, type Desk, json, liveTicket, type WireRequest } from "./wire.ts"

/** Any of these lets the organisations be read; LinkedIn grants them to vetted apps alone. */
const organizationScopes: readonly string[] = [
  "rw_organization_admin",
  "r_organization_admin",
  "w_organization_social",
  "r_organization_social",
]

/** Older ones are long out of service. Newer ones are all served, so that a simulated year changes nothing. */
const oldestVersion = "202501"

/** What `GET /rest/…` answers about the organisations a member has a role in; undefined for other paths. */
export function organizationsEdge(request: WireRequest, desk: Desk): ProviderAnswer | undefined {
  const answer = answerTo(request)
  if (answer === undefined) return undefined
  const fault = headerFault(request)
  if (fault) return fault
  const ticket = liveTicket(desk, "linkedin", ["access"], bearer(request))
  if (typeof ticket === "string") return sayTokenFault(ticket)
  return grantedScopes(ticket.grant).some((scope) => organizationScopes.includes(scope))
    ? answer(ticket.grant)
    : apiError(403, 100, "ACCESS_DENIED", `Not enough permissions to access: GET ${request.path}`)
}

type Answer = (grant: Grant) => ProviderAnswer

function answerTo({ path, query }: WireRequest): Answer | undefined {
  if (path === "/rest/organizationAcls") return (grant) => acls(grant, query)
  if (path === "/rest/organizations") return (grant) => several(grant, query.get("ids"))
  const id = /^\/rest\/organizations\/(\d{1,12})$/.exec(path)?.[1]
  return id === undefined ? undefined : (grant) => one(grant, Number(id))
}

function headerFault({ headers }: WireRequest): ProviderAnswer | undefined {
  const version = headers["linkedin-version"]
  if (!version) {
    return apiError(
      400,
      0,
      "VERSION_MISSING",
      "A version must be present. Please specify a version by adding the LinkedIn-Version header.",
    )
  }
  if (!/^20\d\d(0[1-9]|1[0-2])$/.test(version) || version < oldestVersion) {
    return apiError(426, 0, "NONEXISTENT_VERSION", `Requested version ${version} is not active`)
  }
  return headers["x-restli-protocol-version"] === "2.0.0"
    ? undefined
    : apiError(400, 0, "ILLEGAL_ARGUMENT", "The header X-Restli-Protocol-Version must be 2.0.0")
}

const defaultCount = 10
const mostCount = 100

/** The member's roles, as many as were asked for and no more, so that pages are followed. */
function acls(grant: Grant, query: URLSearchParams): ProviderAnswer {
  if (query.get("q") !== "roleAssignee") {
    return apiError(400, 0, "ILLEGAL_ARGUMENT", "No finder of that name: q must be roleAssignee")
  }
  const start = countIn(query, "start", 0)
  const count = countIn(query, "count", defaultCount)
  if (start === undefined || count === undefined || count < 1 || count > mostCount) {
    return apiError(400, 0, "ILLEGAL_ARGUMENT", "start and count must be numbers in range")
  }
  const rows = people[grant.person].organizations
    .map((organization) => acl(grant, organization))
    .filter(({ role, state }) => fits(query, "role", role) && fits(query, "state", state))
  const next = start + count < rows.length ? [nextLink(query, start + count, count)] : []
  return json(200, {
    elements: rows.slice(start, start + count),
    paging: { count, links: next, start, total: rows.length },
  })
}

function acl(grant: Grant, { id, role }: Organization) {
  return {
    organization: `urn:li:organization:${id}`,
    role,
    roleAssignee: `urn:li:person:${linkedinMemberId(grant)}`,
    state: "APPROVED",
  }
}

function fits(query: URLSearchParams, name: "role" | "state", value: string): boolean {
  return (query.get(name) ?? value) === value
}

function countIn(query: URLSearchParams, name: string, otherwise: number): number | undefined {
  const text = query.get(name)
  if (text === null) return otherwise
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined
}

function nextLink(query: URLSearchParams, start: number, count: number) {
  const following = new URLSearchParams(query)
  following.set("start", String(start))
  following.set("count", String(count))
  return { href: `/rest/organizationAcls?${following}`, rel: "next", type: "application/json" }
}

function one(grant: Grant, id: number): ProviderAnswer {
  const found = lookUp(grant, id)
  return "fault" in found ? apiError(found.status, 0, found.code, found.fault) : json(200, describe(found))
}

/** Rest.li 2.0 writes a list as `List(1,2)`; each id has a status of its own. */
function several(grant: Grant, ids: string | null): ProviderAnswer {
  const listed = /^List\((\d{1,12}(?:,\d{1,12}){0,99})\)$/.exec(ids ?? "")?.[1]
  if (!listed) return apiError(400, 0, "ILLEGAL_ARGUMENT", "ids must be a list of numbers: List(1,2)")
  const results: Record<string, unknown> = {}
  const statuses: Record<string, number> = {}
  const errors: Record<string, unknown> = {}
  for (const id of listed.split(",")) {
    const found = lookUp(grant, Number(id))
    statuses[id] = "fault" in found ? found.status : 200
    if ("fault" in found) errors[id] = { status: found.status, message: found.fault }
    else results[id] = describe(found)
  }
  return json(200, { results, statuses, errors })
}

interface Missed {
  readonly status: 403 | 404
  readonly code: "ACCESS_DENIED" | "NOT_FOUND"
  readonly fault: string
}

function lookUp(grant: Grant, id: number): Organization | Missed {
  const mine = people[grant.person].organizations.find((organization) => organization.id === id)
  if (mine?.role === "ADMINISTRATOR") return mine
  const exists = Object.values(people).some(({ organizations }) => organizations.some((o) => o.id === id))
  return exists
    ? {
        status: 403,
        code: "ACCESS_DENIED",
        fault: `Viewer doesn't have permission to the ADMIN_ONLY VisibilityReduction for urn:li:organization:${id}`,
      }
    : { status: 404, code: "NOT_FOUND", fault: `Could not find organization with id ${id}` }
}

/** The logo is a URN and no address: LinkedIn's images have a call of their own. */
function describe({ id, name, vanityName, hasLogo }: Organization): Readonly<Record<string, unknown>> {
  const asset = `urn:li:digitalmediaAsset:SANDBOX${id}`
  const cropInfo = { height: 0, width: 0, x: 0, y: 0 }
  return {
    id,
    vanityName,
    localizedName: name,
    name: { localized: { en_US: name }, preferredLocale: { country: "US", language: "en" } },
    primaryOrganizationType: "NONE",
    ...(hasLogo ? { logoV2: { cropped: asset, original: asset, cropInfo } } : {}),
  }
}
