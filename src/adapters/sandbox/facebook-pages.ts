import { Buffer } from "node:buffer"
import type { ProviderAnswer } from "../../ports/transport.ts"
import { type Grant, grantedScopes, type Ticket } from "./grant.ts"
import { fieldNames, graphError, parametersOf, pick } from "./graph.ts"
import { avatarUrl, type Page, people } from "./people.ts"
import { hasVariant, type Refusal } from "./scenarios.ts"
import { coversPage } from "./standing.ts"
import { bearer, type Desk, json, type Reply, struck, type WireRequest } from "./wire.ts"

/** Fewer than any client asks for, so that following `paging.next` is never left out. */
const pageSize = 2

const businessId = "900100200300401"

/** What `GET path` answers where it is about Pages; undefined for other paths. */
export function pagesEdge(
  path: string,
  ticket: Ticket,
  request: WireRequest,
  desk: Desk,
  say: (refusal: Refusal) => ProviderAnswer,
): Reply | undefined {
  const rows = ticket.kind === "page" ? undefined : edgeOf(path, ticket.grant, desk)
  if (rows === undefined) return onePage(path, ticket, request, desk)
  return struck(desk, ticket.grant, "pages", say) ?? list(rows, request, ticket, desk)
}

type Rows = readonly (Page | { readonly id: string; readonly name: string })[]

/** What a list of Pages or portfolios holds; undefined where the path is none of them. */
function edgeOf(path: string, grant: Grant, desk: Desk): Rows | ProviderAnswer | undefined {
  const scopes = grantedScopes(grant)
  const pages = grantedPages(grant, desk)
  const inPortfolio = hasVariant(grant, "business_pages")
  const owned = people[grant.person].pages.filter((_, i) => i % 2 === 0)
  const portfolio = (isListed: (page: Page) => boolean) => (inPortfolio ? pages.filter(isListed) : [])
  const business = (rows: Rows) => (scopes.includes("business_management") ? rows : noBusiness)
  switch (path) {
    case "/me/accounts":
      // Without the permission the list is empty, and no error says why.
      return scopes.includes("pages_show_list") && !inPortfolio ? pages : []
    case "/me/businesses":
      return business(inPortfolio ? [{ id: businessId, name: "Sandbox Portfolio" }] : [])
    case `/${businessId}/owned_pages`:
      return business(portfolio((page) => owned.includes(page)))
    case `/${businessId}/client_pages`:
      return business(portfolio((page) => !owned.includes(page)))
    default:
      return undefined
  }
}

function grantedPages(grant: Grant, desk: Desk): readonly Page[] {
  return people[grant.person].pages.filter(({ id }) => coversPage(desk, grant, id))
}

const noBusiness = graphError(403, {
  code: 200,
  message: "(#200) Requires business_management permission to manage the object",
})

function list(rows: Rows | ProviderAnswer, request: WireRequest, ticket: Ticket, desk: Desk): ProviderAnswer {
  if ("status" in rows) return rows
  const parameters = parametersOf(request)
  const limit = Math.max(1, Math.min(pageSize, Number(parameters.get("limit") ?? pageSize) || pageSize))
  const from = positionAfter(parameters.get("after"))
  if (from === undefined) return graphError(400, { code: 100, message: "(#100) Invalid cursors values" })
  const shown = rows.slice(from, from + limit)
  if (shown.length === 0) return json(200, { data: [] })
  const names = fieldNames(parameters.get("fields") ?? "access_token,name,tasks")
  const cursors = { before: cursor(from), after: cursor(from + shown.length) }
  const more = from + shown.length < rows.length
  return json(200, {
    data: shown.map((row) => pick("username" in row ? describe(row, ticket, desk, names) : row, names)),
    paging: { cursors, ...(more ? { next: nextUrl(request, cursors.after) } : {}) },
  })
}

/** Carries every parameter of this request, and the token even where it came in a header, as the real one does. */
function nextUrl(request: WireRequest, after: string): string {
  const query = new URLSearchParams(request.query)
  query.set("access_token", query.get("access_token") ?? bearer(request) ?? "")
  query.set("after", after)
  return `https://${request.host}${request.path}?${query}`
}

function cursor(position: number): string {
  return Buffer.from(`sandbox-${position}`).toString("base64url")
}

function positionAfter(text: string | null): number | undefined {
  if (text === null) return 0
  const digits = /^sandbox-(\d{1,4})$/.exec(Buffer.from(text, "base64url").toString("utf8"))?.[1]
  return digits === undefined ? undefined : Number(digits)
}

function onePage(path: string, ticket: Ticket, request: WireRequest, desk: Desk): ProviderAnswer | undefined {
  const id = path === "/me" ? ticket.pageId : /^\/(\d{5,20})$/.exec(path)?.[1]
  if (!id) return undefined
  const page = grantedPages(ticket.grant, desk).find((page) => page.id === id)
  if (!page || (ticket.kind === "page" && ticket.pageId !== id)) {
    return graphError(400, {
      code: 100,
      subcode: 33,
      message: `Unsupported get request. Object with ID '${id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation.`,
      type: "GraphMethodException",
    })
  }
  const names = fieldNames(parametersOf(request).get("fields") ?? "name")
  return json(200, pick(describe(page, ticket, desk, names), names))
}

function describe(
  page: Page,
  ticket: Ticket,
  desk: Desk,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  const figuresOnly = hasVariant(ticket.grant, "pages_without_content")
  return {
    id: page.id,
    name: page.name,
    username: page.username,
    access_token: names.includes("access_token") ? pageToken(page, ticket, desk) : null,
    category: "Local business",
    tasks: figuresOnly
      ? ["ANALYZE"]
      : ["ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MESSAGING", "MODERATE", "MANAGE"],
    picture: { data: { height: 200, is_silhouette: false, url: avatarUrl(`page-${page.id}`), width: 200 } },
  }
}

/** Of a long-lived user token comes a Page token without an end of its own; of a short one, one that ends with it. */
function pageToken(page: Page, ticket: Ticket, desk: Desk): string {
  const left = ticket.expiresAt && Math.ceil((ticket.expiresAt.getTime() - desk.now().getTime()) / 1000)
  return desk.tickets.issue({
    kind: "page",
    grant: ticket.grant,
    pageId: page.id,
    lifetimeSeconds: ticket.kind === "short" ? left : null,
  })
}
