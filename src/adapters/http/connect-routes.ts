import { Elysia, t } from "elysia"
import type { ChooseAccounts } from "../../application/choose-accounts.ts"
import type { CompleteConnect } from "../../application/complete-connect.ts"
import type { ConfirmConnect } from "../../application/confirm-connect.ts"
import type { CallbackAnswer } from "../../application/flow-answer.ts"
import type { StartConnect } from "../../application/start-connect.ts"
import type { FlowView, ViewFlows } from "../../application/view-flow.ts"
import type { FlowStatus } from "../../domain/connect-flow.ts"
import { ConnectError } from "../../domain/errors.ts"
import { type OAuthErrorReason, oauthErrorReasons } from "../../domain/oauth-error.ts"
import { isProviderName, type ProviderName, providerNames } from "../../domain/provider.ts"
import { callerWith, contextOf } from "./context.ts"
import { landingPage, refusalPage, strandedPage, waitingPage } from "./pages.ts"
import { closed, oneOf, pageLimit, plainText, providerName, text } from "./schemas.ts"
import { flowView } from "./views.ts"

const startQuery = t.Object(
  {
    return_url: t.Optional(text()),
    oauth_app_id: t.Optional(text()),
    account_id: t.Optional(text()),
    reference: t.Optional(plainText(200)),
    select: t.Optional(oneOf(["true", "false"])),
    proof: t.Optional(oneOf(["required"])),
  },
  closed,
)

const flowStatuses = ["pending", "connected", "failed", "expired"] as const satisfies readonly FlowStatus[]

const listQuery = t.Object(
  {
    status: t.Optional(oneOf(flowStatuses)),
    reason: t.Optional(oneOf(oauthErrorReasons)),
    oauth_app_id: t.Optional(plainText(200)),
    provider: t.Optional(providerName),
    reference: t.Optional(plainText(200)),
    limit: t.Optional(pageLimit),
    cursor: t.Optional(text()),
  },
  closed,
)

const confirmation = t.Object({ connect_code: text("must be the connect_code from the return_url") }, closed)

const choice = t.Object(
  {
    platform_account_ids: t.Array(text("must be a platform_account_id"), {
      minItems: 1,
      maxItems: 500,
      detail: "must be a list of one or more platform_account_ids",
    }),
  },
  closed,
)

export interface StartUses {
  readonly start: StartConnect
  readonly flows: ViewFlows
  readonly choose: ChooseAccounts
  readonly confirm: ConfirmConnect
  /** The page about a reason, as an absolute address. */
  readonly docsUrl: (reason: OAuthErrorReason) => string
}

/** Called by a tenant's backend. */
export function startRoutes({ start, flows, choose, confirm, docsUrl }: StartUses) {
  const shown = (view: FlowView, choices?: Parameters<typeof flowView>[2]) => flowView(view, docsUrl, choices)
  return new Elysia({ prefix: "/v1/oauth" })
    .derive(({ request }) => ({ caller: callerWith(request, "connect") }))
    .get(
      "/:provider/start",
      async ({ caller, params, query, request }) => {
        const context = contextOf(request)
        const { authorizeUrl, flow } = await start(caller, {
          provider: knownProvider(params.provider),
          returnUrl: query.return_url,
          oauthAppId: query.oauth_app_id,
          accountId: query.account_id,
          reference: query.reference,
          select: query.select === "true",
          proof: query.proof === "required",
          app: context.found?.app,
        })
        context.facts.flow_id = flow.id
        return {
          authorize_url: authorizeUrl,
          flow_id: flow.id,
          expires_at: flow.expiresAt.toISOString(),
        }
      },
      { query: startQuery },
    )
    .get(
      "/flows",
      async ({ caller, query }) => {
        const { limit, oauth_app_id, ...filter } = query
        const listing = await flows.list(caller, {
          ...filter,
          oauthAppId: oauth_app_id,
          limit: limit === undefined ? undefined : Number(limit),
        })
        return { items: listing.items.map((view) => shown(view)), next_cursor: listing.nextCursor }
      },
      { query: listQuery },
    )
    .get("/flows/:id", async ({ caller, params }) => {
      const view = await flows.get(caller, params.id)
      const choices = view.flow.status === "choosing" ? await choose.choicesOf(caller, params.id) : undefined
      return shown(view, choices)
    })
    .post(
      "/flows/:id/choose",
      async ({ caller, params, body }) => {
        await choose.choose(caller, params.id, body.platform_account_ids)
        return shown(await flows.get(caller, params.id))
      },
      { body: choice },
    )
    .post(
      "/flows/:id/confirm",
      async ({ caller, params, body, request }) => {
        await confirm(caller, params.id, body.connect_code)
        contextOf(request).facts.flow_id = params.id
        return shown(await flows.get(caller, params.id))
      },
      { body: confirmation },
    )
}

/** Called by the provider through the person's browser: the signed state is the only credential. */
export function callbackRoutes(complete: CompleteConnect) {
  return new Elysia({ prefix: "/v1/oauth" }).get("/:provider/callback", async ({ params, request }) => {
    const { provider } = params
    // An unknown provider is answered like an unknown state: nobody but a browser is there to read a problem document.
    if (!isProviderName(provider)) return refusalPage("state_invalid", contextOf(request).id)
    return answerBrowser(request, await complete(provider, new URL(request.url).searchParams))
  })
}

/** What a person's browser gets to see of how a flow stands. */
export function answerBrowser(request: Request, answer: CallbackAnswer): Response {
  const context = contextOf(request)
  if (answer.kind === "refused") {
    context.facts.reason = answer.reason
    return refusalPage(answer.reason, context.id)
  }
  const { flow } = answer
  Object.assign(context.facts, {
    flow_id: flow.id,
    tenant: flow.tenant,
    outcome: flow.status,
    reason: flow.failure?.reason ?? null,
    provider_code: flow.failure?.evidence?.code ?? null,
    provider_trace_id: flow.failure?.evidence?.traceId ?? null,
  })
  switch (answer.kind) {
    case "redirect":
      return new Response(null, { status: 302, headers: { location: answer.location } })
    case "landing":
      return landingPage(flow)
    case "stranded":
      return strandedPage(flow)
    case "waiting":
      return waitingPage()
  }
}

function knownProvider(text: string): ProviderName {
  if (isProviderName(text)) return text
  throw new ConnectError("not_found", `There is no such provider; it is one of ${providerNames.join(", ")}.`)
}
