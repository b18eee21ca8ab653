import { type AppFinding, appFinding, inWords, scopeFaults } from "../../domain/app-check.ts"
import type { OAuthErrorReason, ProviderEvidence } from "../../domain/oauth-error.ts"
import { type CheckRequest, ProviderFailure } from "../../ports/providers.ts"
import type { Conversation } from "./conversation.ts"
import type { CodeExchange } from "./provider-adapter.ts"

/** What a check sends in place of the real: each says of itself what it is, whoever comes upon it in a log. */
export const madeUp = {
  code: "made-up-code-of-an-app-check",
  verifier: "made-up-verifier-of-an-app-check-0123456789",
  secret: "wrong-secret-of-an-app-check",
} as const

/**
 * Exchanges a made-up code, which no provider grants: whether it refuses the client or the code shows what it
 * thinks of the client. None documents which of the two it judges first, so a refused code alone proves
 * nothing; only where the same exchange under a secret that is surely wrong ends as `invalid_client` was the
 * app's own secret accepted.
 */
export async function checkByMadeUpCode(
  request: CheckRequest,
  conversation: Conversation,
  exchange: (attempt: CodeExchange) => Promise<object>,
  /** The provider's words, in lower case, for an id that it does not know; none where it keeps that to itself. */
  unknownClientWords: readonly string[],
): Promise<readonly AppFinding[]> {
  const { provider } = request
  const answer = await refusalOf(conversation, exchange(madeUpExchange(request)))
  const redirectUri = redirectUriFinding(request, answer)
  if (isSilent(answer)) return [...clientUnseen(request, answer), redirectUri, silence(request, answer)]
  if (answer.reason === "invalid_client") {
    const unknown = says(answer, unknownClientWords)
    return [...clientRefused(request, answer, unknown), redirectUri]
  }
  const wrong = { ...request.credentials, clientSecret: madeUp.secret }
  const control = await refusalOf(conversation, exchange({ ...madeUpExchange(request), credentials: wrong }))
  if (control.reason === "invalid_client") {
    return [
      appFinding(provider, "client_id_accepted"),
      appFinding(provider, "client_secret_accepted"),
      redirectUri,
    ]
  }
  const silent = isSilent(control) ? [silence(request, control)] : []
  return [...clientUnseen(request, answer), redirectUri, ...silent]
}

export function madeUpExchange({ credentials, options, redirectUri }: CheckRequest): CodeExchange {
  return { credentials, options, redirectUri, code: madeUp.code, codeVerifier: madeUp.verifier }
}

/** The answer to a call, or how it was refused. Rejects with what is our own fault. */
export async function heard(work: Promise<object>): Promise<object | ProviderFailure> {
  try {
    return await work
  } catch (error) {
    if (error instanceof ProviderFailure) return error
    throw error
  }
}

/** How a call ends that nobody grants. */
export async function refusalOf(conversation: Conversation, work: Promise<object>): Promise<ProviderFailure> {
  const answer = await heard(work)
  if (answer instanceof ProviderFailure) return answer
  return conversation.failure("token", "invalid_response", "what was made up was not refused")
}

/**
 * Meta gives one app an App ID for Facebook and another for Instagram. Where the one product does not know the
 * id, the other is asked under a made-up secret: what it says of that shows that the id is its own.
 */
export async function orOtherProduct(
  { provider }: CheckRequest,
  conversation: Conversation,
  findings: readonly AppFinding[],
  ask: () => Promise<object>,
): Promise<readonly AppFinding[]> {
  const unknown = findings.find(({ check, verdict }) => check === "client_id" && verdict === "problem")
  if (!unknown || !says(await refusalOf(conversation, ask()), knownClientWords)) return findings
  const { evidence } = unknown
  const other = appFinding(provider, "client_id_of_other_product", { evidence })
  return findings.map((finding) => (finding === unknown ? other : finding))
}

/** Meta's complaints that come only once the id was recognised. */
const knownClientWords = ["client secret", "client_secret", "matching code was not found"]

/** One of the two is wrong, and what is then said of the other counts for nothing. */
export function clientRefused(
  { provider }: CheckRequest,
  { evidence }: ProviderFailure,
  unknownClient: boolean,
): readonly AppFinding[] {
  return unknownClient
    ? [appFinding(provider, "client_id_unknown", { evidence }), appFinding(provider, "client_secret_unseen")]
    : [appFinding(provider, "client_id_unseen"), appFinding(provider, "client_secret_refused", { evidence })]
}

export function clientUnseen(
  { provider }: CheckRequest,
  { evidence }: ProviderFailure,
): readonly AppFinding[] {
  return [
    appFinding(provider, "client_id_unseen"),
    appFinding(provider, "client_secret_unseen", { evidence }),
  ]
}

/** A problem only where the provider says so: that it refused the code first tells nothing of the redirect URI. */
export function redirectUriFinding(
  { provider, redirectUri: about }: CheckRequest,
  answer?: ProviderFailure,
): AppFinding {
  return answer?.reason === "redirect_uri_mismatch" && !says(answer, comparisons)
    ? appFinding(provider, "redirect_uri_unregistered", { about, evidence: answer.evidence })
    : appFinding(provider, "redirect_uri_unseen", { about })
}

/** Words of a complaint that compares with the authorization the code came of, which a made-up one has not. */
const comparisons = ["requesting code", "authorization code", "oauth dialog request", "original redirect"]

/** What the names show, and else that the provider does not show whether this app may ask for them. */
export function scopeFindings({ provider, scopes }: CheckRequest): readonly AppFinding[] {
  if (scopes.length === 0) return []
  const faults = scopeFaults(provider, scopes)
  return faults.length > 0 ? faults : [appFinding(provider, "scopes_unseen", { about: inWords(scopes) })]
}

export function silence({ provider }: CheckRequest, { reason, evidence }: ProviderFailure): AppFinding {
  return appFinding(provider, "provider_silent", { about: silences[reason] ?? "did not answer", evidence })
}

/** Whether the failure is about the provider being there, and so tells nothing of the app. */
export function isSilent({ reason }: ProviderFailure): boolean {
  return Object.hasOwn(silences, reason)
}

const silences: Readonly<Partial<Record<OAuthErrorReason, string>>> = {
  provider_timeout: "did not answer in time",
  provider_unavailable: "failed on its side",
  rate_limited: "is limiting this app's calls",
  invalid_response: "answered with something that is not the documented format",
}

export function says({ evidence }: ProviderFailure, words: readonly string[]): boolean {
  const said = saidBy(evidence)
  return words.some((word) => said.includes(word))
}

function saidBy({ code, message }: ProviderEvidence): string {
  return `${code ?? ""} ${message ?? ""}`.toLowerCase()
}
