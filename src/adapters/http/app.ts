import { type AnyElysia, Elysia, ParseError, ValidationError } from "elysia"
import type { ChooseAccounts } from "../../application/choose-accounts.ts"
import type { CompleteConnect } from "../../application/complete-connect.ts"
import type { ConfirmConnect } from "../../application/confirm-connect.ts"
import type { ReadTokens } from "../../application/read-token.ts"
import type { StartConnect } from "../../application/start-connect.ts"
import type { ViewFlows } from "../../application/view-flow.ts"
import { ConnectError, refuseFaults } from "../../domain/errors.ts"
import type { OAuthErrorReason } from "../../domain/oauth-error.ts"
import { choosingRoutes } from "./choosing-routes.ts"
import { callbackRoutes, startRoutes } from "./connect-routes.ts"
import { contextOf } from "./context.ts"
import type { EveryAnswer } from "./every-answer.ts"
import { healthRoutes } from "./health-routes.ts"
import { readJson, refuseBody } from "./json-body.ts"
import { faultPage } from "./pages.ts"
import { problem } from "./problem.ts"
import { readSchemaErrors, unknownField } from "./schemas.ts"
import { tokenRoutes } from "./token-routes.ts"

/** The use cases behind the routes that every start loads: connecting, and handing out tokens. */
export interface Application {
  readonly tokens: ReadTokens
  readonly choose: ChooseAccounts
  readonly start: StartConnect
  readonly complete: CompleteConnect
  readonly confirm: ConfirmConnect
  readonly flows: ViewFlows
  readonly docsUrl: (reason: OAuthErrorReason) => string
  /** Rejects while the service cannot answer. */
  readonly ready: () => Promise<void>
}

export interface AppDeps {
  readonly answers: Pick<EveryAnswer, "json">
  readonly onFault: (fault: unknown, requestId: string) => void
}

/** The routes that the first answer may be asked of, which are the busy ones too. */
export function httpApp(application: Application, deps: AppDeps): AnyElysia {
  return appOf(deps, [
    callbackRoutes(application.complete),
    choosingRoutes(application.choose),
    startRoutes(application),
    tokenRoutes(application.tokens),
    healthRoutes(application.ready),
  ])
}

/**
 * The routes, and what holds for each. Elysia's defaults that are not ours: the host decides no path, nothing is
 * dropped silently, no slash is forgiven. `bodiless`: what is posted without a body.
 */
export function appOf(
  { answers, onFault }: AppDeps,
  groups: readonly AnyElysia[],
  bodiless: readonly string[] = [],
): AnyElysia {
  const app = new Elysia({ handler: { standardHostname: false }, normalize: false, strictPath: true })
    // Before the routes: placed after, it would miss what fails in parse and derive.
    .onError({ as: "global" }, ({ error, request, route }) => {
      const context = contextOf(request)
      context.route ??= route
      const refusal = readError(error)
      if (refusal instanceof ConnectError) return problem(refusal, context.id)
      onFault(error, context.id)
      return browserRoutes.includes(route) ? faultPage(context.id) : problem(refusal, context.id)
    })
    // Elysia parses whatever is no GET; a DELETE has no body that says anything.
    .onParse({ as: "global" }, async ({ request, route }) => {
      if (request.method === "DELETE" || browserRoutes.includes(route)) return null
      if (!bodiless.includes(route)) return readJson(request)
      await refuseBody(request)
      return null
    })
    .onTransform({ as: "global" }, ({ request, route }) => {
      contextOf(request).route = route
      if (request.url.includes("?") && isClosed(request.method, route)) refuseQuery(request.url)
    })
    .mapResponse({ as: "global" }, ({ request, responseValue, set }) => {
      // Elysia makes an answer of another status anew, so that one is hardened once it is made.
      if (!isRecord(responseValue) || set.status !== 200) return
      const context = contextOf(request)
      context.hardened = answers.json(responseValue, context.id)
      return context.hardened
    })
  for (const group of groups) app.use(group)
  const open = new Set(
    app.routes.filter(({ hooks }) => hooks.query).map(({ method, path }) => `${method} ${path}`),
  )
  /** Whether it is a call of the API that says nothing of a query of its own. */
  function isClosed(method: string, route: string): boolean {
    return route.startsWith("/v1/") && !browserRoutes.includes(route) && !open.has(`${method} ${route}`)
  }
  return app
}

/** What routes return to be sent as JSON; an answer that is one already, or has no body, is nothing of the kind. */
function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Response)
}

/** Where nobody but a person's browser comes, who is better shown a page than a problem document. The form is read by its page. */
const browserRoutes: readonly string[] = ["/v1/oauth/:provider/callback", "/v1/oauth/:provider/choose"]

function refuseQuery(url: string): void {
  const names = [...new URL(url).searchParams.keys()]
  refuseFaults(names.map((field) => ({ field: field.slice(0, 40), detail: unknownField })))
}

function readError(error: unknown): unknown {
  if (error instanceof ValidationError) return readSchemaErrors(error.all)
  if (error instanceof ParseError) return error.cause
  if (isElysiaCode(error, "NOT_FOUND"))
    return new ConnectError("not_found", "There is no such path; check its spelling against the README.")
  return error
}

function isElysiaCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code
}
