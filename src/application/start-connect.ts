import type { Principal } from "../domain/api-key.ts"
import { type ConnectFlow, openFlow } from "../domain/connect-flow.ts"
import { ConnectError, invalidField, notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import { type OAuthApp, type OAuthAppOptions, requestedScopes, returnUrlPolicy } from "../domain/oauth-app.ts"
import type { Environment } from "../domain/owner.ts"
import { defaultScopes, type ProviderName, providerTitle } from "../domain/provider.ts"
import { ReturnUrlPolicy } from "../domain/return-url-policy.ts"
import type { Clock, RandomBytes, SecretBox, Signer } from "../ports/crypto.ts"
import type { Providers } from "../ports/providers.ts"
import type { Storage } from "../ports/storage.ts"
import { builtInCredentials } from "./app-credentials.ts"
import { signFlow } from "./flow-answer.ts"
import type { Ids } from "./ids.ts"

export interface StartConnectDeps {
  readonly storage: Pick<Storage, "apps" | "flows" | "accounts">
  readonly box: SecretBox
  readonly signer: Signer
  /** `test` is absent where the sandbox is switched off. */
  readonly providers: ProvidersByEnvironment
  readonly redirectUri: (provider: ProviderName) => string
  readonly newId: Ids
  readonly now: Clock
  readonly randomBytes: RandomBytes
}

/** Asked for with each use: the first one loads them. */
export interface ProvidersByEnvironment {
  readonly live: () => Promise<Providers>
  readonly test: (() => Promise<Providers>) | undefined
}

export interface StartRequest {
  readonly provider: ProviderName
  readonly returnUrl: string | undefined
  readonly oauthAppId: string | undefined
  readonly accountId: string | undefined
  readonly reference: string | undefined
  /** Whether a choice is asked for where the person grants several accounts at once. */
  readonly select?: boolean | undefined
  /** Whether the accounts stay inert until the tenant's backend confirms who came back. */
  readonly proof?: boolean | undefined
  /** The app that this request means, null where there is none, if it was read a moment ago; it is looked up else. */
  readonly app?: OAuthApp | null | undefined
}

export interface StartedConnect {
  readonly authorizeUrl: string
  readonly flow: ConnectFlow
}

/**
 * Opens a flow and says where to send the person. When it resolves the flow is stored. Rejects with
 * `ConnectError`: `no_oauth_app`, `return_url_refused`, `not_found` or `invalid_input`.
 */
export type StartConnect = (principal: Principal, request: StartRequest) => Promise<StartedConnect>

/** What a flow needs of its app, whether registered or the sandbox's own. */
interface StartingApp {
  readonly id: string | null
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly options: OAuthAppOptions
  readonly policy: ReturnUrlPolicy
}

export function startConnect(deps: StartConnectDeps): StartConnect {
  const startingApp = startingApps()
  return async (principal, request) => {
    const providers = await providersOf(deps.providers, principal.environment)
    checkReference(request.reference)
    const registered = await chooseApp(deps, principal, request)
    const app = registered ? startingApp(registered) : await sandboxApp(request.provider, principal.tenant)
    const returnUrl = request.returnUrl === undefined ? null : app.policy.accept(request.returnUrl)
    if (request.proof && returnUrl === null) {
      throw invalidField(
        "return_url",
        "is needed with proof=required, since the connect_code comes back on it; name the page that takes it",
      )
    }

    const now = deps.now()
    const id = deps.newId("flow")
    const codeVerifier = providers.usesPkce(request.provider, app.options)
      ? newCodeVerifier(deps.randomBytes)
      : null
    const flow = openFlow(
      {
        id,
        tenant: principal.tenant,
        environment: principal.environment,
        provider: request.provider,
        oauthAppId: app.id,
        redirectUri: deps.redirectUri(request.provider),
        scopes: app.scopes,
        options: app.options,
        returnUrl,
        reference: request.reference ?? null,
        reconnectAccountId: request.accountId ?? null,
        codeVerifier:
          codeVerifier === null
            ? null
            : await deps.box.seal(codeVerifier, verifierPlace(principal.tenant, id)),
        select: request.select ?? false,
        proof: request.proof ?? false,
        startedBy: principal.actor,
      },
      now,
    )
    await deps.storage.flows.add(flow)

    const authorizeUrl = providers.authorizeUrl({
      provider: flow.provider,
      clientId: app.clientId,
      redirectUri: flow.redirectUri,
      scopes: flow.scopes,
      options: flow.options,
      state: signFlow(deps.signer, "state", flow),
      codeVerifier,
      reconnect: flow.reconnectAccountId !== null,
    })
    return { authorizeUrl, flow }
  }
}

export function providersOf(providers: ProvidersByEnvironment, environment: Environment): Promise<Providers> {
  const found = providers[environment]
  if (!found) {
    throw new ConnectError(
      "invalid_input",
      "The sandbox is switched off on this server (SANDBOX=off), so test keys connect nothing; use a live key.",
    )
  }
  return found()
}

export function verifierPlace(tenant: string, flowId: string) {
  return { tenant, table: "flows", row: flowId, column: "code_verifier" } as const
}

/** The registered app that a request means; null where that is the sandbox's own. */
async function chooseApp(
  deps: StartConnectDeps,
  principal: Principal,
  request: StartRequest,
): Promise<OAuthApp | null> {
  const account =
    request.accountId === undefined
      ? undefined
      : await reconnectedAccount(deps, principal, request.accountId, request.provider)
  // Refresh tokens are bound to a client id, so a reconnect stays with its app unless told otherwise.
  const wanted = request.oauthAppId ?? account?.oauthAppId ?? undefined
  const app =
    request.app === undefined ? await findApp(deps, principal, request.provider, wanted) : request.app
  if (app && app.provider !== request.provider) {
    throw invalidField(
      "oauth_app_id",
      `is an app of ${app.provider}; start ${app.provider}, or name an app of ${request.provider}`,
    )
  }
  if (app) return app
  if (wanted === undefined && principal.environment === "test") return null
  const title = providerTitle[request.provider]
  throw new ConnectError(
    "no_oauth_app",
    wanted === undefined
      ? `There is no ${title} app yet; store its client_id and client_secret with POST /v1/oauth-apps first.`
      : `There is no ${title} app with this oauth_app_id; GET /v1/oauth-apps?provider=${request.provider} lists them.`,
  )
}

async function findApp(
  { storage }: StartConnectDeps,
  principal: Principal,
  provider: ProviderName,
  id: string | undefined,
): Promise<OAuthApp | undefined> {
  if (id === undefined) return storage.apps.findDefault(principal, provider)
  return isId("oa", id) ? storage.apps.find(principal, id) : undefined
}

async function reconnectedAccount(
  deps: StartConnectDeps,
  principal: Principal,
  id: string,
  provider: ProviderName,
) {
  const account = isId("acc", id) ? await deps.storage.accounts.find(principal, id) : undefined
  if (!account) throw notFound("account")
  if (account.provider !== provider) {
    throw invalidField(
      "account_id",
      `is an account of ${account.provider}; start ${account.provider} to reconnect it`,
    )
  }
  return account
}

/** Each app's once, for stores that hand out the very same record again while it has not changed. */
function startingApps(): (app: OAuthApp) => StartingApp {
  const known = new WeakMap<OAuthApp, StartingApp>()
  return (app) => {
    const held = known.get(app)
    if (held) return held
    const starting: StartingApp = {
      id: app.id,
      clientId: app.clientId,
      scopes: requestedScopes(app),
      options: app.options,
      policy: returnUrlPolicy(app),
    }
    known.set(app, starting)
    return starting
  }
}

async function sandboxApp(provider: ProviderName, tenant: string): Promise<StartingApp> {
  return {
    id: null,
    clientId: (await builtInCredentials(provider, tenant)).clientId,
    scopes: defaultScopes[provider],
    options: {},
    policy: ReturnUrlPolicy.loopback(),
  }
}

function checkReference(reference: string | undefined): void {
  if (reference === undefined) return
  if (reference.length < 1 || reference.length > 200 || /\p{Cc}/u.test(reference)) {
    throw invalidField("reference", "must have 1 to 200 characters, without control characters")
  }
}

/** 32 random bytes make 43 characters, RFC 7636 section 4.1. */
function newCodeVerifier(randomBytes: RandomBytes): string {
  return randomBytes(32).toBase64({ alphabet: "base64url", omitPadding: true })
}
