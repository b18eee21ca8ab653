import type { ProviderName } from "../../domain/provider.ts"
import { type ConsentRequest, type Fault, shorten } from "./consent-request.ts"
import { isPersonName, type PersonName, people, personNames } from "./people.ts"
import { findScenario, type Scenario, scenariosOf } from "./scenarios.ts"

/** How the person decides, whether by a button or by the query of a test. */
export interface Choice {
  readonly scenario: Scenario
  readonly person: PersonName
  readonly declined: readonly string[]
  readonly expiresIn: number | null
  readonly refreshExpiresIn: number | null
  readonly delayMs: number | null
  /** Null for every Page the person has. */
  readonly pages: readonly string[] | null
}

/** What was chosen: by button and ticks in the form, and by the parameters that a test appends to the query. */
export interface Given {
  readonly query: URLSearchParams
  readonly form?: URLSearchParams
}

/** `undefined` where nothing is chosen yet and the page is to be shown. */
export function readChoice(request: ConsentRequest, given: Given): Choice | Fault | undefined {
  const { query, form } = given
  const named = form ? (form.get("scenario") ?? "approve") : (query.get("scenario") ?? "page")
  const { provider } = request.simulation
  const scenario = findScenario(provider, named)
  const person = form?.get("person") ?? query.get("person") ?? scenario?.person ?? "ann"
  const unticked = [...query.getAll("untick"), ...(scenario?.unticks ? [scenario.unticks] : [])]
  const fault =
    scenarioFault(request, named, scenario) ??
    personFault(person) ??
    figureFault(provider, query) ??
    untickFault(request, unticked) ??
    pagesFault(provider, query, scenario && !showsPageTicks(form) ? person : undefined)
  if (fault) return { fault }
  if (!scenario || !isPersonName(person)) return undefined
  const declined = new Set([...unticked, ...leftUnticked(request, form)])
  return {
    scenario,
    person,
    declined: request.scopes.filter((scope) => declined.has(scope)),
    expiresIn: figureIn(query, "expires_in") ?? scenario.expiresIn ?? null,
    refreshExpiresIn: figureIn(query, "refresh_expires_in") ?? null,
    delayMs: figureIn(query, "delay_ms") ?? scenario.delayMs ?? null,
    pages: chosenPages(person, given),
  }
}

/** The page says that it showed ticks, since a form without any ticked box sends none. */
function leftUnticked(request: ConsentRequest, form: URLSearchParams | undefined): readonly string[] {
  if (!request.partial || !form?.has("ticks")) return []
  const ticked = form.getAll("granted")
  return request.scopes.filter((scope) => !ticked.includes(scope))
}

function showsPageTicks(form: URLSearchParams | undefined): boolean {
  return form?.has("page_ticks") ?? false
}

/** Whoever has one Page alone has no ticks, and grants it. */
function chosenPages(person: PersonName, { query, form }: Given): readonly string[] | null {
  const own = people[person].pages.map(({ id }) => id)
  const listed = query.get("pages")?.split(",") ?? own
  const ticked = own.length > 1 ? (form?.getAll("page") ?? own) : own
  const chosen = showsPageTicks(form) ? ticked : listed
  const granted = own.filter((id) => chosen.includes(id))
  return granted.length === own.length ? null : granted
}

function scenarioFault(
  { simulation }: ConsentRequest,
  named: string,
  scenario: Scenario | undefined,
): string | undefined {
  if (scenario || named === "page") return undefined
  const names = scenariosOf(simulation.provider).map(({ name }) => name)
  return `scenario ${shorten(named)} is unknown here; use page (or none) for the consent page, or one of ${names.join(", ")}.`
}

function personFault(person: string): string | undefined {
  if (isPersonName(person)) return undefined
  return `person ${shorten(person)} is unknown; use one of ${personNames.join(", ")}.`
}

const tenYears = 10 * 365 * 86_400

/** The parameters that are numbers, and the providers where they do nothing. */
const figures = {
  expires_in: { of: "seconds", most: tenYears, idle: [] },
  refresh_expires_in: { of: "seconds", most: tenYears, idle: ["facebook", "instagram"] },
  delay_ms: { of: "milliseconds", most: 600_000, idle: ["facebook"] },
} as const satisfies Record<string, { of: string; most: number; idle: readonly ProviderName[] }>

type Figure = keyof typeof figures

/** Of a parameter that was found to be sound. */
function figureIn(query: URLSearchParams, name: Figure): number | undefined {
  const text = query.get(name)
  return text === null ? undefined : Number(text)
}

function figureFault(provider: ProviderName, query: URLSearchParams): string | undefined {
  for (const [name, { of, most, idle }] of Object.entries(figures)) {
    const text = query.get(name)
    if (text === null) continue
    if ((idle as readonly ProviderName[]).includes(provider)) return idleFault(name)
    if (!/^[1-9]\d{0,9}$/.test(text) || Number(text) > most) {
      return `${name} must be a number of ${of} from 1 to ${most}.`
    }
  }
  return undefined
}

function idleFault(name: string): string {
  return `${name} does nothing with this provider; take it out.`
}

function untickFault(request: ConsentRequest, unticked: readonly string[]): string | undefined {
  if (unticked.length > 0 && !request.partial) {
    return "untick does nothing here: this consent is given as a whole or not at all; take it out."
  }
  const stranger = unticked.find((scope) => !request.scopes.includes(scope))
  return stranger === undefined
    ? undefined
    : `untick names ${shorten(stranger)}, which the app does not ask for; it asks for ${request.scopes.join(", ")}.`
}

/** While nobody is chosen the Pages may be anybody's; they are ticked on the page then. An empty list grants none. */
function pagesFault(
  provider: ProviderName,
  query: URLSearchParams,
  person: string | undefined,
): string | undefined {
  const listed = query.get("pages")
  if (listed === null) return undefined
  if (provider !== "facebook") return idleFault("pages")
  const owners = personNames.filter((name) => person === undefined || name === person)
  const ids = owners.flatMap((name) => people[name].pages.map(({ id }) => id))
  const stranger = listed.split(",").find((id) => id !== "" && !ids.includes(id))
  return stranger === undefined
    ? undefined
    : `pages names ${shorten(stranger)}, which ${person ? `${person} does not have` : "nobody here has"}; use some of ${ids.join(", ") || "none"}, joined by commas.`
}
