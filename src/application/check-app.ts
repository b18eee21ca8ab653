import type { Principal } from "../domain/api-key.ts"
import type { AppFinding } from "../domain/app-check.ts"
import { ConnectError, notFound } from "../domain/errors.ts"
import { isId } from "../domain/id.ts"
import { type OAuthApp, requestedScopes } from "../domain/oauth-app.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { Clock, SecretBox } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import { openCredentials } from "./app-credentials.ts"
import { type ProvidersByEnvironment, providersOf } from "./start-connect.ts"

/** For all calls of one check, in milliseconds. */
const checkLimitMs = 15_000
/** From the end of one check of an app to the next: a check sends a wrong secret on purpose, which providers count. */
const restMs = 10_000

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
 * provider that cannot be asked is a finding too. Rejects with `not_found` for an app that is not the caller's, and
 * with `rate_limited` while this process checks the app already and for 10 s after that.
 */
export type CheckApp = (principal: Principal, appId: string) => Promise<AppCheck>

export function checkApp(deps: CheckAppDeps): CheckApp {
  const turns = turnsOf(deps.now)
  return async (principal, appId) => {
    const app = isId("oa", appId) ? await deps.apps.find(principal, appId) : undefined
    if (!app) throw notFound("OAuth app")
    turns.begin(app.id)
    try {
      const providers = await providersOf(deps.providers, app.environment)
      const findings = await providers.check({
        provider: app.provider,
        credentials: await openCredentials(deps.box, app),
        options: app.options,
        redirectUri: deps.redirectUri(app.provider),
        scopes: requestedScopes(app),
        limitMs: checkLimitMs,
      })
      return { app, findings, checkedAt: deps.now() }
    } finally {
      turns.end(app.id)
    }
  }
}

/** Whose turn it is not. Remembers no more than the apps that are checked now, or were in the last 10 s. */
function turnsOf(now: Clock) {
  const restsUntil = new Map<string, number>()
  return {
    begin(appId: string): void {
      const at = now().getTime()
      for (const [id, until] of restsUntil) if (until <= at) restsUntil.delete(id)
      const until = restsUntil.get(appId)
      if (until !== undefined) throw tooSoon(until === Infinity ? restMs : until - at)
      restsUntil.set(appId, Infinity)
    },
    end: (appId: string): void => void restsUntil.set(appId, now().getTime() + restMs),
  }
}

function tooSoon(leftMs: number): ConnectError {
  const seconds = Math.ceil(leftMs / 1000)
  return new ConnectError(
    "rate_limited",
    `This app is being checked, or was just now, and the provider counts each check; ask again in ${seconds} s.`,
    { retryAfterSeconds: seconds },
  )
}
