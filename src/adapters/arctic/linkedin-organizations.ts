import { ProviderFailure } from "../../ports/providers.ts"
import type { Conversation } from "./conversation.ts"
import { field, readHttpsUrl, readItems, readName, readText } from "./untrusted.ts"

/** A company page that the member administers. */
export interface Organization {
  readonly id: string
  readonly name: string | null
  readonly vanityName: string | null
  readonly logoUrl: string | null
}

interface OrganizationsQuestion {
  readonly api: string
  /** The app's choice, if it made one. */
  readonly version: unknown
  readonly accessToken: string
}

/** A version lives a year at least, and one that was sunset answers 426. */
const defaultVersion = "202609"
const rolesPerAnswer = 50
const maxAnswers = 10

const listingScopes = ["r_organization_social", "w_organization_social", "rw_organization_admin"]

export function mayListOrganizations(scopes: readonly string[]): boolean {
  return listingScopes.some((scope) => scopes.includes(scope))
}

/**
 * The organisations that the member administers. They come beside the member's own account and never cost it: a
 * list that cannot be read is as short as it was read, and one without its names keeps its ids.
 */
export async function readOrganizations(
  conversation: Conversation,
  question: OrganizationsQuestion,
): Promise<readonly Organization[]> {
  const ids = await readAdministered(conversation, question)
  const batches = Array.from({ length: Math.ceil(ids.length / rolesPerAnswer) }, (_, i) =>
    ids.slice(i * rolesPerAnswer, (i + 1) * rolesPerAnswer),
  )
  const described = await Promise.all(batches.map((batch) => describe(conversation, question, batch)))
  return described.flat()
}

/** Page by page, by number: no address that an answer names is ever followed. */
async function readAdministered(
  conversation: Conversation,
  question: OrganizationsQuestion,
): Promise<readonly string[]> {
  const ids = new Set<string>()
  for (let answers = 0; answers < maxAnswers; answers++) {
    const start = answers * rolesPerAnswer
    const roles = await ask(
      conversation,
      question,
      `/rest/organizationAcls?q=roleAssignee&role=ADMINISTRATOR&state=APPROVED&start=${start}&count=${rolesPerAnswer}`,
    )
    const items = readItems(field(roles, "elements"))
    for (const item of items.slice(0, rolesPerAnswer)) {
      const id = administeredBy(item)
      if (id !== undefined) ids.add(id)
    }
    if (items.length < rolesPerAnswer) break
  }
  return [...ids]
}

/** The query asks for living administrators alone; an answer that brings others is not taken at its word. */
function administeredBy(item: unknown): string | undefined {
  const role = field(item, "role") ?? "ADMINISTRATOR"
  const state = field(item, "state") ?? "APPROVED"
  if (role !== "ADMINISTRATOR" || state !== "APPROVED") return undefined
  const urn = readText(field(item, "organization")) ?? readText(field(item, "organizationTarget"))
  return urn && /^urn:li:organization:(\d{1,20})$/.exec(urn)?.[1]
}

async function describe(
  conversation: Conversation,
  question: OrganizationsQuestion,
  ids: readonly string[],
): Promise<readonly Organization[]> {
  const answer = await ask(conversation, question, `/rest/organizations?ids=List(${ids.join(",")})`)
  const results = field(answer, "results")
  return ids.map((id) => {
    const organization = field(results, id)
    return {
      id,
      name: readName(field(organization, "localizedName")),
      vanityName: readName(field(organization, "vanityName")),
      logoUrl: logoOf(organization),
    }
  })
}

/** Only where LinkedIn resolves the logo by itself; mostly it names an asset, which is no address. */
function logoOf(organization: unknown): string | null {
  const original = field(field(organization, "logoV2"), "original~")
  const largest = readItems(field(original, "elements")).at(-1)
  return readHttpsUrl(field(readItems(field(largest, "identifiers"))[0], "identifier"))
}

/** Undefined where LinkedIn does not answer the question, for whatever reason. */
async function ask(
  conversation: Conversation,
  { api, version, accessToken }: OrganizationsQuestion,
  path: string,
): Promise<object | undefined> {
  try {
    return await conversation.ask("accounts", {
      url: `${api}${path}`,
      bearer: accessToken,
      headers: {
        "linkedin-version": typeof version === "string" ? version : defaultVersion,
        "x-restli-protocol-version": "2.0.0",
      },
    })
  } catch (error) {
    if (error instanceof ProviderFailure) return undefined
    throw error
  }
}
