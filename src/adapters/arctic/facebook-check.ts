import { type AppFinding, appFinding, inWords, scopeFaults } from "../../domain/app-check.ts"
import { type CheckRequest, ProviderFailure } from "../../ports/providers.ts"
import {
  clientRefused,
  clientUnseen,
  heard,
  isSilent,
  madeUp,
  madeUpExchange,
  orOtherProduct,
  redirectUriFinding,
  refusalOf,
  says,
  scopeFindings,
  silence,
} from "./app-check.ts"
import type { Conversation } from "./conversation.ts"
import { permissionsWith, proofQuery } from "./graph.ts"
import type { CodeExchange, Endpoints } from "./provider-adapter.ts"
import { field, readToken } from "./untrusted.ts"

type Exchange = (attempt: CodeExchange) => Promise<object>

/** By an app access token, which is the same whenever it is asked for and shows that id and secret belong together. */
export async function checkFacebook(
  request: CheckRequest,
  conversation: Conversation,
  endpoints: Endpoints,
  exchange: Exchange,
): Promise<readonly AppFinding[]> {
  const answer = await appToken(request, conversation, endpoints)
  const findings =
    answer instanceof ProviderFailure
      ? await withoutAppToken(request, conversation, endpoints, answer)
      : await withAppToken(request, conversation, endpoints, exchange, answer)
  return [...findings, ...configFindings(request)]
}

async function appToken(
  { credentials }: CheckRequest,
  conversation: Conversation,
  endpoints: Endpoints,
): Promise<string | ProviderFailure> {
  const { clientId, clientSecret } = credentials
  const answer = await heard(
    conversation.ask("app_token", {
      url: endpoints.token,
      form: { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret },
    }),
  )
  if (answer instanceof ProviderFailure) return answer
  const token = readToken(field(answer, "access_token"))
  return token ?? conversation.failure("app_token", "invalid_response", "no usable access_token")
}

async function withAppToken(
  request: CheckRequest,
  conversation: Conversation,
  endpoints: Endpoints,
  exchange: Exchange,
  token: string,
): Promise<readonly AppFinding[]> {
  const [exchanged, permissions] = await Promise.all([
    refusalOf(conversation, exchange(madeUpExchange(request))),
    heard(approvedPermissions(request, conversation, endpoints, token)),
  ])
  const silent = [exchanged, permissions].find(
    (answer) => answer instanceof ProviderFailure && isSilent(answer),
  )
  return [
    appFinding("facebook", "client_id_accepted"),
    appFinding("facebook", "client_secret_accepted"),
    redirectUriFinding(request, exchanged),
    ...permissionFindings(request, permissions),
    ...(silent instanceof ProviderFailure ? [silence(request, silent)] : []),
  ]
}

async function withoutAppToken(
  request: CheckRequest,
  conversation: Conversation,
  endpoints: Endpoints,
  refusal: ProviderFailure,
): Promise<readonly AppFinding[]> {
  const rest = [redirectUriFinding(request), ...scopeFindings(request)]
  if (isSilent(refusal)) return [...clientUnseen(request, refusal), ...rest, silence(request, refusal)]
  if (refusal.reason !== "invalid_client") return [...clientUnseen(request, refusal), ...rest]
  const isUnknown =
    /^101(\/|$)/.test(refusal.evidence.code ?? "") || says(refusal, ["error validating application"])
  const client = clientRefused(request, refusal, isUnknown)
  const askInstagram = () =>
    conversation.ask("token", {
      url: endpoints.otherProduct ?? endpoints.token,
      form: {
        grant_type: "authorization_code",
        client_id: request.credentials.clientId,
        client_secret: madeUp.secret,
        code: madeUp.code,
        redirect_uri: request.redirectUri,
      },
    })
  return [...(await orOtherProduct(request, conversation, client, askInstagram)), ...rest]
}

function approvedPermissions(
  { credentials }: CheckRequest,
  conversation: Conversation,
  endpoints: Endpoints,
  token: string,
): Promise<object> {
  const query = proofQuery(conversation, token, credentials.clientSecret, { limit: "200" })
  const url = `${endpoints.api}/${encodeURIComponent(credentials.clientId)}/permissions?${query}`
  return conversation.ask("app_permissions", { url, bearer: token })
}

/**
 * An app may ask people who have a role on it for anything, and others only for what App Review approved;
 * which it is to be, the app's owner knows.
 */
function permissionFindings(request: CheckRequest, answer: object | ProviderFailure): readonly AppFinding[] {
  const { scopes } = request
  const faults = scopeFaults("facebook", scopes)
  if (scopes.length === 0 || faults.length > 0) return faults
  if (answer instanceof ProviderFailure) {
    return [appFinding("facebook", "scopes_unseen", { about: inWords(scopes), evidence: answer.evidence })]
  }
  const approved = permissionsWith(approvedStatuses, answer)
  const others = scopes.filter((scope) => scope !== "public_profile" && !approved.includes(scope))
  return [
    others.length === 0
      ? appFinding("facebook", "scopes_approved")
      : appFinding("facebook", "scopes_not_approved", { about: inWords(others) }),
  ]
}

/** The edge is documented, its words are not. */
const approvedStatuses = ["live", "approved", "granted"]

function configFindings({ credentials, options }: CheckRequest): readonly AppFinding[] {
  const about = options.config_id
  if (typeof about !== "string") return []
  const seen = about === credentials.clientId ? "config_id_is_app_id" : "config_id_unseen"
  return [appFinding("facebook", seen, { about })]
}
