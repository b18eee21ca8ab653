import { field, readHttpsUrl, readId, readItems, readName, readText, readToken } from "./untrusted.ts"

/** Asks the Graph as the person. */
export type AskGraph = (
  call: "permissions" | "profile" | "accounts",
  path: string,
  parameters?: Readonly<Record<string, string>>,
) => Promise<object>

/** A Page on which the person may publish. */
export interface FacebookPage {
  readonly id: string
  readonly name: string | null
  readonly username: string | null
  readonly avatarUrl: string | null
  readonly accessToken: string
  /** Null where the Graph does not tell: `tasks` is a field of `/me/accounts` alone. */
  readonly tasks: readonly string[] | null
}

const pageFields = "id,name,username,access_token,picture.type(large)"
/** With pictures and tokens a hundred Pages would be more than one answer may hold. */
const pagesPerAnswer = "25"
const maxAnswers = 20
const maxBusinesses = 10

/**
 * Every Page on which the person may create content: those of `/me/accounts` and, where allowed, those that
 * a business portfolio owns or serves, which can be missing there. A portfolio that cannot be read fails the
 * whole only when nothing else was found.
 */
export async function readPages(graph: AskGraph, withPortfolios: boolean): Promise<readonly FacebookPage[]> {
  const listed = await readAll(graph, "/me/accounts", `${pageFields},tasks`)
  const portfolios = withPortfolios ? await readPortfolios(graph) : { items: [], fault: undefined }
  const known = new Set(listed.map((item) => readId(field(item, "id"))))
  const others = portfolios.items.filter((item) => !known.has(readId(field(item, "id"))))
  const pages = [...listed.filter(hasCreateContent), ...others.filter(mayCreateContent)]
    .map(readPage)
    .filter((page) => page !== undefined)
  if (pages.length === 0 && portfolios.fault !== undefined) throw portfolios.fault
  return [...new Map(pages.map((page) => [page.id, page])).values()]
}

interface PortfolioPages {
  readonly items: readonly unknown[]
  readonly fault: unknown
}

async function readPortfolios(graph: AskGraph): Promise<PortfolioPages> {
  try {
    const businesses = await graph("accounts", "/me/businesses", {
      fields: "id",
      limit: String(maxBusinesses),
    })
    const edges = readItems(field(businesses, "data"))
      .slice(0, maxBusinesses)
      .map((business) => readId(field(business, "id")))
      .filter((id) => id !== undefined)
      .flatMap((id) => ["owned_pages", "client_pages"].map((edge) => `/${encodeURIComponent(id)}/${edge}`))
    const read = await Promise.allSettled(edges.map((edge) => readAll(graph, edge, pageFields)))
    return {
      items: read.flatMap((edge) => (edge.status === "fulfilled" ? edge.value : [])),
      fault: read.find((edge) => edge.status === "rejected")?.reason,
    }
  } catch (fault) {
    return { items: [], fault }
  }
}

/**
 * All items of an edge. Of `paging.next` only the cursor is taken, so that no address an answer names is
 * ever followed.
 */
async function readAll(graph: AskGraph, path: string, fields: string): Promise<readonly unknown[]> {
  const items: unknown[] = []
  const seen = new Set<string>()
  let after: string | undefined
  do {
    const answer = await graph("accounts", path, {
      fields,
      limit: pagesPerAnswer,
      ...(after === undefined ? {} : { after }),
    })
    items.push(...readItems(field(answer, "data")))
    if (after !== undefined) seen.add(after)
    after = cursorAfter(answer)
  } while (after !== undefined && !seen.has(after) && seen.size + 1 < maxAnswers)
  return items
}

function cursorAfter(answer: object): string | undefined {
  const paging = field(answer, "paging")
  const next = readText(field(paging, "next"))
  if (next === undefined || !URL.canParse(next)) return undefined
  const cursor = new URL(next).searchParams.get("after") ?? readText(field(field(paging, "cursors"), "after"))
  return cursor && cursor.length <= 1024 ? cursor : undefined
}

function hasCreateContent(item: unknown): boolean {
  return readItems(field(item, "tasks")).includes("CREATE_CONTENT")
}

function mayCreateContent(item: unknown): boolean {
  return field(item, "tasks") === undefined || hasCreateContent(item)
}

function readPage(item: unknown): FacebookPage | undefined {
  const id = readId(field(item, "id"))
  const accessToken = readToken(field(item, "access_token"))
  if (!id || !accessToken) return undefined
  const tasks = field(item, "tasks")
  return {
    id,
    name: readName(field(item, "name")),
    username: readName(field(item, "username")),
    avatarUrl: readHttpsUrl(field(field(field(item, "picture"), "data"), "url")),
    accessToken,
    tasks:
      tasks === undefined
        ? null
        : readItems(tasks)
            .map(readName)
            .filter((task) => task !== null),
  }
}
