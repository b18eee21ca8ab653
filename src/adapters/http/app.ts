import { Elysia, ParseError, ValidationError } from "elysia"
import type { ReadAccounts } from "../../application/accounts.ts"
import type { ManageApiKeys } from "../../application/api-keys.ts"
import type { CheckApp } from "../../application/check-app.ts"
import type { ChooseAccounts } from "../../application/choose-accounts.ts"
import type { CompleteConnect } from "../../application/complete-connect.ts"
import type { ConfirmConnect } from "../../application/confirm-connect.ts"
import type { DisconnectAccount } from "../../application/disconnect-account.ts"
import type { ManageOAuthApps } from "../../application/oauth-apps.ts"
import type { ReadEvents } from "../../application/read-events.ts"
import type { ReadTokens } from "../../application/read-token.ts"
import type { RegisterAccount } from "../../application/register-account.ts"
import type { StartConnect } from "../../application/start-connect.ts"
import type { ViewFlows } from "../../application/view-flow.ts"
import type { ManageWebhooks } from "../../application/webhooks.ts"
import { ConnectError, refuseFaults } from "../../domain/errors.ts"
import type { OAuthErrorReason } from "../../domain/oauth-error.ts"
import type { ProviderName } from "../../domain/provider.ts"
import { accountRoutes, tokenRoutes } from "./account-routes.ts"
import { apiKeyRoutes } from "./api-key-routes.ts"
import { choosingRoutes } from "./choosing-routes.ts"
import { callbackRoutes, startRoutes } from "./connect-routes.ts"
import { contextOf } from "./context.ts"
import { docsRoutes } from "./docs-routes.ts"
import { eventRoutes } from "./event-routes.ts"
import type { EveryAnswer } from "./every-answer.ts"
import { healthRoutes } from "./health-routes.ts"
import { readJson, refuseBody } from "./json-body.ts"
import { oauthAppRoutes } from "./oauth-app-routes.ts"
import { faultPage } from "./pages.ts"
import { problem } from "./problem.ts"
import { readSchemaErrors, unknownField } from "./schemas.ts"
import { bodilessWebhookRoutes, webhookRoutes } from "./webhook-routes.ts"

/** The use cases behind the routes. */
export interface Application {
  readonly oauthApps: ManageOAuthApps
  readonly checkApp: CheckApp
  readonly apiKeys: ManageApiKeys
  readonly accounts: ReadAccounts
  readonly register: RegisterAccount
  readonly tokens: ReadTokens
  readonly disconnect: DisconnectAccount
  readonly choose: ChooseAccounts
  readonly start: StartConnect
  readonly complete: CompleteConnect
  readonly confirm: ConfirmConnect
  readonly flows: ViewFlows
  readonly events: ReadEvents
  readonly webhooks: ManageWebhooks
  readonly docsUrl: (reason: OAuthErrorReason) => string
  readonly redirectUri: (provider: ProviderName) => string
  /** Rejects while the service cannot answer. */
  readonly ready: () => Promise<void>
}

/** The routes. Elysia's defaults that are not ours: the host decides no path, nothing is dropped silently, no slash is forgiven. */
export function httpApp(
  application: Application,
  answers: Pick<EveryAnswer, "json">,
  onFault: (fault: unknown, requestId: string) => void,
) {
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
    .use(oauthAppRoutes(application.oauthApps, application.checkApp, application.redirectUri))
    .use(callbackRoutes(application.complete))
    .use(choosingRoutes(application.choose))
    .use(startRoutes(application))
    .use(accountRoutes(application))
    .use(tokenRoutes(application.tokens))
    .use(apiKeyRoutes(application.apiKeys))
    .use(eventRoutes(application.events))
    .use(webhookRoutes(application.webhooks))
    .use(docsRoutes())
    .use(healthRoutes(application.ready))
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

/** Where nobody but a person's browser comes, who is better shown a page than a problem document. */
const browserRoutes: readonly string[] = ["/v1/oauth/:provider/callback", "/v1/oauth/:provider/choose"]

/** What is posted without a body. The one page that takes a form, of {@link browserRoutes}, reads it itself. */
const bodiless: readonly string[] = [
  "/v1/oauth-apps/:id/check",
  "/v1/accounts/:id/refresh",
  ...bodilessWebhookRoutes,
]

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
