import type { Management } from "../../application/management.ts"
import { once } from "../../application/once.ts"
import { ConnectError, invalidField } from "../../domain/errors.ts"
import { isId } from "../../domain/id.ts"
import { isProviderName } from "../../domain/provider.ts"
import type { FirstNeed } from "../../ports/storage.ts"
import { type Address, addressReader } from "./address.ts"
import { type Application, httpApp } from "./app.ts"
import type { Authenticate } from "./authentication.ts"
import { openContext, type RequestContext } from "./context.ts"
import { everyAnswer } from "./every-answer.ts"
import type { RateLimits } from "./limits.ts"
import { problem } from "./problem.ts"

/** One line of the access log: an allow-list, so that no secret finds its way in. */
export interface AccessEntry {
  readonly request_id: string
  readonly method: string
  readonly route: string
  readonly status: number
  readonly duration_ms: number
  readonly tenant: string | undefined
  readonly environment: string | undefined
  readonly actor: string | undefined
}

export interface EdgeDeps {
  readonly application: Application
  /** Asked for with the first call that needs it. */
  readonly management: () => Promise<Management>
  readonly authenticate: Authenticate
  readonly limits: RateLimits
  /** Serves `/sandbox/…`; absent where the sandbox is switched off. */
  readonly sandboxPages: ((request: Request) => Promise<Response | undefined>) | undefined
  readonly https: boolean
  readonly newRequestId: () => string
  readonly onAccess: (
    entry: AccessEntry & Readonly<Record<string, string | number | null | undefined>>,
  ) => void
  readonly onFault: (fault: unknown, requestId: string) => void
}

/**
 * The client's address is asked for only where something is counted by it; it is empty once its connection is closed,
 * so that all who do not wait for their refusal are counted as one.
 */
export type Edge = (request: Request, address: () => string) => Promise<Response>

const methods: readonly string[] = ["GET", "POST", "PATCH", "DELETE"]
/** Where a browser comes with nothing but what we signed. */
const browserPath = /^\/v1\/oauth\/(?!flows\/)[^/]*\/(callback|choose)$/

/**
 * All that every request passes before and after the routes: its id, the caller, the limits, the headers, the
 * log line. Here and not in Elysia's hooks, since those run after parsing, and not at all for some faults.
 */
export function edge(deps: EdgeDeps): Edge {
  const answers = everyAnswer(deps.https)
  const appDeps = { answers, onFault: deps.onFault }
  const connecting = partOf(httpApp(deps.application, appDeps))
  const managing = once(async () => {
    const { managementApp } = await import("./management-app.ts")
    return partOf(managementApp(await deps.management(), appDeps))
  })
  const readAddress = addressReader()

  async function answer(request: Request, context: RequestContext): Promise<Response> {
    const url = readAddress(request.url)
    const isBrowser = browserPath.test(url.pathname)
    const isSandbox = deps.sandboxPages !== undefined && url.pathname.startsWith("/sandbox/")
    if (isBrowser || isSandbox) await deps.limits.spendBrowser(context.address())
    if (deps.sandboxPages && isSandbox) {
      context.route = "/sandbox/*"
      const page = await deps.sandboxPages(request)
      if (page) return page
    }
    if (url.pathname.startsWith("/v1/") && !isBrowser) await admit(request, url, context)
    const isConnecting = connecting.takes(request.method, url.pathname)
    const part = isConnecting ? connecting : await managing()
    if (!isConnecting && !part.takes(request.method, url.pathname)) {
      const allowed = [...connecting.methodsOf(url.pathname), ...part.methodsOf(url.pathname)]
      if (allowed.length > 0 || !methods.includes(request.method)) return methodNotAllowed(allowed, context)
    }
    if (!isBrowser) {
      refuseBrokenEscapes(url)
      refuseRepeated(url)
    }
    return part.handle(request)
  }

  async function admit(request: Request, url: Address, context: RequestContext): Promise<void> {
    try {
      const { principal, found } = await deps.authenticate(request, firstNeed(request.method, url))
      context.principal = principal
      context.found = found
    } catch (error) {
      if (error instanceof ConnectError && error.code === "unauthenticated")
        await deps.limits.spendFailure(context.address())
      throw error
    }
    // A line break is the one thing that neither half can have.
    await deps.limits.spendCall(`${context.principal.tenant}\n${context.principal.actor}`)
  }

  return async (request, address) => {
    const started = performance.now()
    const context = openContext(request, {
      id: deps.newRequestId(),
      address,
      principal: undefined,
      found: undefined,
      route: undefined,
      facts: {},
      hardened: undefined,
    })
    let response: Response
    try {
      response = await answer(request, context)
    } catch (error) {
      if (!(error instanceof ConnectError)) deps.onFault(error, context.id)
      response = problem(error, context.id)
    }
    if (response !== context.hardened) answers.harden(response, context.id)
    const { principal } = context
    deps.onAccess({
      request_id: context.id,
      method: request.method,
      route: context.route ?? "unknown",
      status: response.status,
      duration_ms: Math.round((performance.now() - started) * 10) / 10,
      tenant: principal?.tenant,
      environment: principal?.environment,
      actor: principal?.actor,
      ...context.facts,
    })
    return response
  }
}

const busyPath = /^\/v1\/(?:oauth\/([a-z]+)\/start|accounts\/(acc_[0-9a-z]+)\/token)$/

/** What the two busiest calls ask the store for first. A reconnect is not among them: its app is its account's. */
function firstNeed(method: string, url: Address): FirstNeed | undefined {
  const [, provider, accountId] = (method === "GET" && busyPath.exec(url.pathname)) || []
  if (accountId !== undefined) return { kind: "account", id: accountId }
  if (provider === undefined || !isProviderName(provider)) return undefined
  if (namesNoId(url.search)) return { kind: "app", provider, id: null }
  const query = new URLSearchParams(url.search)
  if (query.has("account_id")) return undefined
  const id = query.get("oauth_app_id")
  return id === null || isId("oa", id) ? { kind: "app", provider, id } : undefined
}

/** Whether no parameter's name ends in `_id`, told without taking the query apart; false too where it cannot be told. */
function namesNoId(search: string): boolean {
  // One way to read each text: with `?` as a separator too, one full of them took seconds to tell.
  return /^(?:\?\w+=[^&]*(?:&\w+=[^&]*)*)?$/.test(search) && !search.includes("_id=")
}

/** Elysia makes null of a parameter with such an escape in the path, and takes it as it stands in the query. */
function refuseBrokenEscapes(url: Address): void {
  // Most escapes are of ASCII, which are whole by themselves: told so in half the time of decoding them.
  if (!beyondAscii.test(url.search) && !beyondAscii.test(url.pathname)) return
  try {
    decodeURIComponent(url.pathname + url.search)
  } catch {
    throw new ConnectError(
      "invalid_input",
      "The address has a % that begins no UTF-8 escape; write a percent sign itself as %25.",
    )
  }
}

const beyondAscii = /%(?![0-7][0-9a-f])/i

/** Elysia would silently keep the last value of a repeated parameter. */
function refuseRepeated(url: Address): void {
  if (!url.search.includes("&")) return
  const names = [...new URLSearchParams(url.search).keys()]
  const repeated = names.find((name, i) => names.indexOf(name) !== i)
  if (repeated !== undefined)
    throw invalidField(repeated.slice(0, 40), "is there more than once; send it once")
}

function methodNotAllowed(allowed: readonly string[], context: RequestContext): Response {
  const response = problem(
    allowed.length > 0
      ? new ConnectError("method_not_allowed", `This path takes ${allowed.join(", ")}.`)
      : new ConnectError("not_found", "There is no such path."),
    context.id,
  )
  if (allowed.length > 0) response.headers.set("allow", allowed.join(", "))
  return response
}

/** Some of the routes, and what they take. */
function partOf(app: ReturnType<typeof httpApp>) {
  const patterns = app.routes.map(({ method, path }) => ({
    method,
    slashes: slashesIn(path),
    pattern: new RegExp(`^${path.replace(/:[^/]+/g, "[^/]+")}$`),
  }))
  // Asked before every call: so no pattern is tried that has another method.
  const ofMethod = Map.groupBy(patterns, ({ method }) => method)
  return {
    handle: (request: Request): Promise<Response> => app.handle(request),
    takes(method: string, path: string): boolean {
      const count = slashesIn(path)
      return (
        ofMethod.get(method)?.some(({ slashes, pattern }) => slashes === count && pattern.test(path)) ?? false
      )
    },
    methodsOf: (path: string): readonly string[] => [
      ...new Set(patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
    ],
  }
}

function slashesIn(path: string): number {
  let count = 0
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) count++
  return count
}
