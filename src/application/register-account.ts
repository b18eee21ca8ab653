import type { Account, AccountMetadata } from "../domain/account.ts"
import type { Principal } from "../domain/api-key.ts"
import { ConnectError, type FieldFault, refuseFaults } from "../domain/errors.ts"
import { newEvent } from "../domain/event.ts"
import { isId } from "../domain/id.ts"
import type { OAuthApp } from "../domain/oauth-app.ts"
import { type ProviderName, providerTitle } from "../domain/provider.ts"
import { assumedExpiry } from "../domain/token-life.ts"
import type { Clock, SecretBox } from "../ports/crypto.ts"
import { ProviderFailure, type UpstreamAccount, type UpstreamIdentity } from "../ports/providers.ts"
import type { Storage } from "../ports/storage.ts"
import { openCredentials } from "./app-credentials.ts"
import type { Ids } from "./ids.ts"
import { sealAccount } from "./seal-account.ts"
import { type ProvidersByEnvironment, providersOf } from "./start-connect.ts"

export interface RegisterAccountDeps {
  readonly storage: Pick<Storage, "apps" | "tokens">
  readonly box: SecretBox
  readonly providers: ProvidersByEnvironment
  readonly newId: Ids
  readonly now: Clock
}

export interface RegisterRequest {
  readonly provider: ProviderName
  readonly platformAccountId: string
  readonly handle?: string | undefined
  readonly displayName?: string | undefined
  readonly oauthAppId?: string | undefined
  readonly reference?: string | undefined
  readonly accessToken: string
  readonly refreshToken?: string | undefined
  readonly expiresAt?: Date | undefined
  readonly pageId?: string | undefined
  readonly igUserId?: string | undefined
  readonly authorUrn?: string | undefined
}

/**
 * Registers an account by hand, after the provider's own profile call said whose token it is, where the
 * credentials allow that question; one that exists is updated in place. Rejects with `invalid_input`,
 * `no_oauth_app`, `credentials_refused`, or `provider_unavailable`, and then nothing is stored.
 */
export type RegisterAccount = (
  principal: Principal,
  request: RegisterRequest,
) => Promise<{ readonly account: Account; readonly created: boolean }>

const identifyLimitMs = 15_000

export function registerAccount(deps: RegisterAccountDeps): RegisterAccount {
  return async (principal, given) => {
    const request = checkRequest(given, deps.now())
    const app = await chosenApp(deps, principal, request)
    const identity = await identify(deps, principal, request, app)
    const account = await sealAccount(deps, upstreamOf(request, identity, deps.now()), {
      owner: principal,
      provider: request.provider,
      connectionType: "manual",
      oauthAppId: app?.id ?? null,
      reference: request.reference ?? null,
      missingScopes: [],
      event: newEvent(
        {
          id: deps.newId("evt"),
          type: "account.connected",
          at: deps.now(),
          actor: principal.actor,
          owner: principal,
        },
        {
          provider: request.provider,
          oauthAppId: app?.id ?? null,
          reference: request.reference ?? null,
          detail: "Registered by hand.",
        },
      ),
    })
    return deps.storage.tokens.register(account)
  }
}

const limits = {
  platform_account_id: 256,
  handle: 500,
  display_name: 500,
  reference: 200,
  access_token: 8192,
  refresh_token: 8192,
  page_id: 256,
  ig_user_id: 256,
  author_urn: 256,
} as const

function checkRequest(request: RegisterRequest, now: Date): RegisterRequest {
  const faults: FieldFault[] = []
  const check = (name: keyof typeof limits, raw: string | undefined, prefix = ""): string | undefined => {
    const text = raw?.trim()
    if (text === undefined) return undefined
    if (text.length < 1 || text.length > limits[name] || /[\p{Cc}\p{Cs}]/u.test(text)) {
      faults.push({
        field: `${prefix}${name}`,
        detail: `must have 1 to ${limits[name]} characters, without control characters`,
      })
    }
    return text
  }
  const credential = (name: keyof typeof limits, raw: string | undefined) => check(name, raw, "credentials.")
  const token = (name: "access_token" | "refresh_token", raw: string | undefined): string | undefined => {
    const text = credential(name, raw)
    // It is sent in a header, where nothing else can stand.
    if (text && !/^[\x21-\x7E]+$/.test(text)) {
      const detail = "must be printable ASCII without spaces; copy it again from where it was issued"
      faults.push({ field: `credentials.${name}`, detail })
    }
    return text
  }
  const checked: RegisterRequest = {
    ...request,
    platformAccountId: check("platform_account_id", request.platformAccountId) ?? "",
    handle: check("handle", request.handle),
    displayName: check("display_name", request.displayName),
    reference: check("reference", request.reference),
    accessToken: token("access_token", request.accessToken) ?? "",
    refreshToken: token("refresh_token", request.refreshToken),
    pageId: credential("page_id", request.pageId),
    igUserId: credential("ig_user_id", request.igUserId),
    authorUrn: credential("author_urn", request.authorUrn),
  }
  if (request.expiresAt && !(request.expiresAt.getTime() > now.getTime())) {
    faults.push({
      field: "credentials.expires_at",
      detail: "must be in the future; a token that has ended is of no use",
    })
  }
  for (const [field, id] of [
    ["page_id", checked.pageId],
    ["ig_user_id", checked.igUserId],
  ] as const) {
    if (id !== undefined && id !== checked.platformAccountId) {
      faults.push({ field: `credentials.${field}`, detail: "must equal platform_account_id, or be left out" })
    }
  }
  refuseFaults(faults)
  return checked
}

async function chosenApp(
  deps: RegisterAccountDeps,
  principal: Principal,
  request: RegisterRequest,
): Promise<OAuthApp | undefined> {
  const { oauthAppId, provider } = request
  const app =
    oauthAppId === undefined
      ? await deps.storage.apps.findDefault(principal, provider)
      : isId("oa", oauthAppId)
        ? await deps.storage.apps.find(principal, oauthAppId)
        : undefined
  if (oauthAppId !== undefined && app?.provider !== provider) {
    throw new ConnectError(
      "no_oauth_app",
      `There is no ${providerTitle[provider]} app with this oauth_app_id; GET /v1/oauth-apps?provider=${provider} lists them.`,
    )
  }
  return app
}

async function identify(
  deps: RegisterAccountDeps,
  principal: Principal,
  request: RegisterRequest,
  app: OAuthApp | undefined,
): Promise<UpstreamIdentity | undefined> {
  const title = providerTitle[request.provider]
  const identity = await askIdentity(deps, principal, request, app).catch((error: unknown) => {
    throw error instanceof ProviderFailure ? identifyRefusal(error, title) : error
  })
  if (identity && identity.platformAccountId !== request.platformAccountId && !isOrganisation(request)) {
    throw refused(
      "platform_account_id",
      `${title} says this token belongs to another account; check platform_account_id, or take the token of that account`,
    )
  }
  return identity
}

async function askIdentity(
  deps: RegisterAccountDeps,
  principal: Principal,
  request: RegisterRequest,
  app: OAuthApp | undefined,
): Promise<UpstreamIdentity | undefined> {
  const providers = await providersOf(deps.providers, principal.environment)
  return providers.identify({
    provider: request.provider,
    credentials: app ? await openCredentials(deps.box, app) : null,
    options: app?.options ?? {},
    accessToken: request.accessToken,
    pageId: request.provider === "facebook" ? request.platformAccountId : null,
    limitMs: identifyLimitMs,
  })
}

/** A member's token speaks for the organisations they administer, which the profile call does not name. */
function isOrganisation({ provider, platformAccountId }: RegisterRequest): boolean {
  return provider === "linkedin" && platformAccountId.startsWith("urn:li:organization:")
}

function identifyRefusal(failure: ProviderFailure, title: string): ConnectError {
  switch (failure.reason) {
    case "reauth_required":
    case "invalid_client":
    case "insufficient_scope":
    case "scope_not_allowed":
    case "account_not_eligible":
      return refused(
        "credentials.access_token",
        `was refused by ${title} (${failure.reason}); take a living token that may read the profile`,
      )
    default: {
      const seconds = failure.retryAfterSeconds ?? 30
      return new ConnectError(
        "provider_unavailable",
        `${title} could not be asked whose token this is (${failure.reason}), so nothing was stored; try again in ${seconds} s.`,
        { retryAfterSeconds: seconds },
      )
    }
  }
}

function refused(field: string, detail: string): ConnectError {
  return new ConnectError("credentials_refused", `${field}: ${detail}.`, { faults: [{ field, detail }] })
}

function upstreamOf(
  request: RegisterRequest,
  identity: UpstreamIdentity | undefined,
  now: Date,
): UpstreamAccount {
  const { provider } = request
  const assumed = assumedExpiry({ provider, hasRefreshToken: request.refreshToken !== undefined }, now)
  const sameAccount = identity?.platformAccountId === request.platformAccountId ? identity : undefined
  return {
    platformAccountId: request.platformAccountId,
    handle: request.handle ?? sameAccount?.handle ?? null,
    displayName: request.displayName ?? sameAccount?.displayName ?? null,
    avatarUrl: sameAccount?.avatarUrl ?? null,
    scopes: [],
    metadata: metadataOf(request, sameAccount?.metadata ?? {}),
    tokens: {
      accessToken: request.accessToken,
      tokenType: "Bearer",
      expiresAt: request.expiresAt ?? assumed,
      refreshToken: request.refreshToken ?? null,
      refreshTokenExpiresAt: null,
      personToken: null,
      personTokenExpiresAt: null,
    },
  }
}

function metadataOf(request: RegisterRequest, said: AccountMetadata): AccountMetadata {
  return {
    ...said,
    ...(request.pageId !== undefined && { page_id: request.pageId }),
    ...(request.igUserId !== undefined && { ig_user_id: request.igUserId }),
    ...(request.authorUrn !== undefined && { author_urn: request.authorUrn }),
  }
}
