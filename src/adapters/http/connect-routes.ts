import { Elysia, t } from "elysia"
import type { CompleteConnect } from "../../application/complete-connect.ts"
import type { StartConnect } from "../../application/start-connect.ts"
import type { ViewFlow } from "../../application/view-flow.ts"
import { ConnectError } from "../../domain/errors.ts"
import { isProviderName, type ProviderName, providerNames } from "../../domain/provider.ts"
import { callerWith, contextOf } from "./context.ts"
import { landingPage, refusalPage, waitingPage } from "./pages.ts"
import { closed, plainText, text } from "./schemas.ts"
import { flowView } from "./views.ts"

const startQuery = t.Object(
  {
    return_url: t.Optional(text()),
    oauth_app_id: t.Optional(text()),
    account_id: t.Optional(text()),
    reference: t.Optional(plainText(200)),
  },
  closed,
)

/** Called by a tenant's backend. */
export function startRoutes(start: StartConnect, viewFlow: ViewFlow) {
  return new Elysia({ prefix: "/v1/oauth" })
    .derive(({ request }) => ({ caller: callerWith(request, "connect") }))
    .get(
      "/:provider/start",
      async ({ caller, params, query, request }) => {
        const { authorizeUrl, flow } = await start(caller, {
          provider: knownProvider(params.provider),
          returnUrl: query.return_url,
          oauthAppId: query.oauth_app_id,
          accountId: query.account_id,
          reference: query.reference,
        })
        contextOf(request).facts.flow_id = flow.id
        return {
          authorize_url: authorizeUrl.href,
          flow_id: flow.id,
          expires_at: flow.expiresAt.toISOString(),
        }
      },
      { query: startQuery },
    )
    .get("/flows/:id", async ({ caller, params }) => flowView(await viewFlow(caller, params.id)))
}

/** Called by the provider through the person's browser: the signed state is the only credential. */
export function callbackRoutes(complete: CompleteConnect) {
  return new Elysia({ prefix: "/v1/oauth" }).get("/:provider/callback", async ({ params, request }) => {
    const context = contextOf(request)
    const provider = params.provider
    // An unknown provider is answered like an unknown state: nobody but a browser is there to read a problem document.
    if (!isProviderName(provider)) return refusalPage("state_invalid", context.id)
    const outcome = await complete(provider, new URL(request.url).searchParams)
    if (outcome.kind === "refused") {
      context.facts.reason = outcome.reason
      return refusalPage(outcome.reason, context.id)
    }
    const { flow } = outcome
    Object.assign(context.facts, {
      flow_id: flow.id,
      tenant: flow.tenant,
      outcome: flow.status,
      reason: flow.failure?.reason ?? null,
      provider_code: flow.failure?.evidence?.code ?? null,
      provider_trace_id: flow.failure?.evidence?.traceId ?? null,
    })
    switch (outcome.kind) {
      case "redirect":
        return new Response(null, { status: 302, headers: { location: outcome.location } })
      case "landing":
        return landingPage(flow)
      case "waiting":
        return waitingPage()
    }
  })
}

function knownProvider(text: string): ProviderName {
  if (isProviderName(text)) return text
  throw new ConnectError("not_found", `There is no such provider; it is one of ${providerNames.join(", ")}.`)
}
