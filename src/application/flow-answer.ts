import {
  type ConnectFlow,
  formatState,
  hasExpired,
  parseState,
  stateMessage,
} from "../domain/connect-flow.ts"
import { type DomainEvent, newEvent } from "../domain/event.ts"
import { type OAuthApp, returnUrlPolicy } from "../domain/oauth-app.ts"
import type { PageOnlyReason } from "../domain/oauth-error.ts"
import type { ProviderName } from "../domain/provider.ts"
import { type ReturnUrl, ReturnUrlPolicy, withResult } from "../domain/return-url-policy.ts"
import type { Clock, Signer } from "../ports/crypto.ts"
import type { Ids } from "./ids.ts"
import { connectCode } from "./proof.ts"

/**
 * What the browser is to be shown. `refused` is the only answer without a trusted state, and never
 * redirects; with one, every end is a `redirect` to a checked address or our own `landing` page, a flow that
 * waits for a choice is a `redirect` to our own page for that, and one still at work is `waiting`. `stranded` is the
 * browser that would be sent on with a code, where the app no longer allows the address.
 */
export type CallbackAnswer =
  | { readonly kind: "refused"; readonly reason: PageOnlyReason }
  | { readonly kind: "redirect"; readonly location: string; readonly flow: ConnectFlow }
  | { readonly kind: "landing"; readonly flow: ConnectFlow }
  | { readonly kind: "stranded"; readonly flow: ConnectFlow }
  | { readonly kind: "waiting"; readonly flow: ConnectFlow }

/** A flow as it stands, with the app whose allow-list decides where it may return to. */
export interface FlowWithApp {
  readonly flow: ConnectFlow
  readonly app: OAuthApp | null
}

export interface FlowAnswerDeps {
  readonly signer: Signer
  /** Where people land when a flow has no return_url; null shows our own page. */
  readonly dashboardUrl: ReturnUrl | null
}

/**
 * Where the browser goes from a flow that has ended, or that waits for somebody. `isSame` says whether it is the
 * one that the provider sent back: of a flow that asks for proof no other gets anything to go on with.
 */
export function flowAnswer(
  deps: FlowAnswerDeps,
  { flow, app }: FlowWithApp,
  { isSame }: { readonly isSame: boolean },
): CallbackAnswer {
  const isWaiting = flow.status === "choosing" || flow.status === "confirming"
  if (isWaiting && flow.proof && !isSame) return { kind: "landing", flow }
  if (flow.status === "choosing") return { kind: "redirect", location: choosingPage(deps.signer, flow), flow }
  const target = flow.returnUrl === null ? deps.dashboardUrl : stillAllowed(flow.returnUrl, flow, app)
  if (target === null) return { kind: flow.status === "confirming" ? "stranded" : "landing", flow }
  return { kind: "redirect", location: withResult(target, resultOf(deps.signer, flow)), flow }
}

function resultOf(signer: Signer, flow: ConnectFlow): Parameters<typeof withResult>[1] {
  switch (flow.status) {
    case "connected":
      return { connected: flow.provider }
    case "confirming":
      return { connected: flow.provider, connect_code: connectCode(signer, flow) }
    default:
      return {
        oauth_error: flow.failure?.reason ?? (flow.status === "pending" ? "no_response" : "server_error"),
      }
  }
}

/** The app's list as it is now: an address taken off it since the start is no longer a place to send people to. */
function stillAllowed(returnUrl: ReturnUrl, flow: ConnectFlow, app: OAuthApp | null): ReturnUrl | null {
  const policy = flow.oauthAppId === null ? ReturnUrlPolicy.loopback() : app && returnUrlPolicy(app)
  return policy?.stillCovers(returnUrl) ? returnUrl : null
}

/** A flow's id, its expiry and a MAC over both: `state` for the way to the provider, `choice` for our own page after it. */
export function signFlow(signer: Signer, purpose: "state" | "choice", flow: ConnectFlow): string {
  const mac = signer.sign(purpose, stateMessage(flow.provider, flow.id, flow.expiresAt))
  return formatState({ flowId: flow.id, expiresAt: flow.expiresAt, mac })
}

/** The flow's id where the text is one we signed for this purpose and provider, and is still in time. Touches no storage. */
export function readSignedFlow(
  deps: { readonly signer: Signer; readonly now: Clock },
  purpose: "state" | "choice",
  provider: ProviderName,
  text: string,
): string | undefined {
  const parts = parseState(text)
  if (
    !parts ||
    !deps.signer.verify(purpose, stateMessage(provider, parts.flowId, parts.expiresAt), parts.mac)
  )
    return undefined
  return hasExpired(parts, deps.now()) ? undefined : parts.flowId
}

/** Beside the callback, which is the one address of ours that a provider and a tenant know. */
function choosingPage(signer: Signer, flow: ConnectFlow): string {
  const url = new URL(flow.redirectUri.replace(/callback$/, "choose"))
  url.searchParams.set("ticket", signFlow(signer, "choice", flow))
  return url.href
}

export function flowEvent(
  deps: { readonly newId: Ids; readonly now: Clock },
  flow: ConnectFlow,
  type: "account.connected" | "account.updated" | "connect.failed",
  subject: Partial<Pick<DomainEvent, "reference" | "reason" | "detail">>,
  actor = "browser",
): DomainEvent {
  return newEvent(
    { id: deps.newId("evt"), type, at: deps.now(), actor, owner: flow },
    {
      provider: flow.provider,
      flowId: flow.id,
      oauthAppId: flow.oauthAppId,
      reference: flow.reference,
      ...subject,
    },
  )
}
