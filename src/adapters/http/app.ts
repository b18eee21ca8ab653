import { Elysia, ParseError, ValidationError } from "elysia"
import type { ReadAccounts } from "../../application/accounts.ts"
import type { ManageApiKeys } from "../../application/api-keys.ts"
import type { ChooseAccounts } from "../../application/choose-accounts.ts"
import type { CompleteConnect } from "../../application/complete-connect.ts"
import type { DisconnectAccount } from "../../application/disconnect-account.ts"
import type { ManageOAuthApps } from "../../application/oauth-apps.ts"
import type { ReadTokens } from "../../application/read-token.ts"
import type { RegisterAccount } from "../../application/register-account.ts"
import type { StartConnect } from "../../application/start-connect.ts"
import type { ViewFlow } from "../../application/view-flow.ts"
import { ConnectError } from "../../domain/errors.ts"
import type { ProviderName } from "../../domain/provider.ts"
import { accountRoutes, tokenRoutes } from "./account-routes.ts"
import { apiKeyRoutes } from "./api-key-routes.ts"
import { choosingRoutes } from "./choosing-routes.ts"
import { callbackRoutes, startRoutes } from "./connect-routes.ts"
import { contextOf } from "./context.ts"
import { healthRoutes } from "./health-routes.ts"
import { readJson } from "./json-body.ts"
import { oauthAppRoutes } from "./oauth-app-routes.ts"
import { faultPage } from "./pages.ts"
import { problem } from "./problem.ts"
import { readSchemaErrors } from "./schemas.ts"

/** The use cases behind the routes. */
export interface Application {
  readonly oauthApps: ManageOAuthApps
  readonly apiKeys: ManageApiKeys
  readonly accounts: ReadAccounts
  readonly register: RegisterAccount
  readonly tokens: ReadTokens
  readonly disconnect: DisconnectAccount
  readonly choose: ChooseAccounts
  readonly start: StartConnect
  readonly complete: CompleteConnect
  readonly viewFlow: ViewFlow
  readonly redirectUri: (provider: ProviderName) => string
  /** Rejects while the service cannot answer. */
  readonly ready: () => Promise<void>
}

/** The routes. Elysia's defaults that are not ours: the host decides no path, nothing is dropped silently, no slash is forgiven. */
export function httpApp(application: Application, onFault: (fault: unknown, requestId: string) => void) {
  return (
    new Elysia({ handler: { standardHostname: false }, normalize: false, strictPath: true })
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
      .onParse({ as: "global" }, ({ request, route }) =>
        request.method === "DELETE" || withoutJson.includes(route) ? null : readJson(request),
      )
      .onTransform({ as: "global" }, ({ request, route }) => {
        contextOf(request).route = route
      })
      .use(oauthAppRoutes(application.oauthApps, application.redirectUri))
      .use(callbackRoutes(application.complete))
      .use(choosingRoutes(application.choose))
      .use(startRoutes(application))
      .use(accountRoutes(application))
      .use(tokenRoutes(application.tokens))
      .use(apiKeyRoutes(application.apiKeys))
      .use(healthRoutes(application.ready))
  )
}

/** Where nobody but a person's browser comes, who is better shown a page than a problem document. */
const browserRoutes: readonly string[] = ["/v1/oauth/:provider/callback", "/v1/oauth/:provider/choose"]

/** What takes no body, and the one page that takes a form and reads it itself. */
const withoutJson: readonly string[] = ["/v1/accounts/:id/refresh", "/v1/oauth/:provider/choose"]

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
