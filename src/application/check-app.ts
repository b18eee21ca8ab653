import type { Principal } from "../domain/api-key.ts"
import type { AppFinding } from "../domain/app-check.ts"
import { notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import { type OAuthApp, requestedScopes } from "../domain/oauth-app.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { Clock, SecretBox } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import { openCredentials } from "./app-credentials.ts"
import { type ProvidersByEnvironment, providersOf } from "./start-connect.ts"

/** For all calls of one check, in milliseconds. */
const checkLimitMs = 15_000

export interface CheckAppDeps {
  readonly apps: Storage["apps"]
  readonly box: SecretBox
  readonly providers: ProvidersByEnvironment
  readonly redirectUri: (provider: ProviderName) => string
  readonly now: Clock
}

export interface AppCheck {
  readonly app: OAuthApp
  readonly findings: readonly AppFinding[]
  readonly checkedAt: Date
}

/**
 * Asks the provider what it thinks of an app, before a person does. Nothing is changed, here or there. A
 * provider that cannot be asked is a finding too. Rejects with `not_found` for an app that is not the caller's.
 */
export type CheckApp = (principal: Principal, appId: string) => Promise<AppCheck>

export function checkApp(deps: CheckAppDeps): CheckApp {
  return async (principal, appId) => {
    const app = isId("oa", appId) ? await deps.apps.find(principal, appId) : undefined
    if (!app) throw notFound("OAuth app")
    const findings = await providersOf(deps.providers, app.environment).check({
      provider: app.provider,
      credentials: await openCredentials(deps.box, app),
      options: app.options,
      redirectUri: deps.redirectUri(app.provider),
      scopes: requestedScopes(app),
      deadline: AbortSignal.timeout(checkLimitMs),
    })
    return { app, findings, checkedAt: deps.now() }
  }
}
