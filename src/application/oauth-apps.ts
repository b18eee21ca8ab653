import type { Principal } from "../domain/api-key.ts"
import { ConnectError, invalidField, notFound } from "../domain/errors.ts"
import { newEvent } from "../domain/event.ts"
import { isId } from "../domain/id.ts"
import { checkOAuthAppInput, type OAuthApp, type OAuthAppInput } from "../domain/oauth-app.ts"
import { defaultScopes, type ProviderName } from "../domain/provider.ts"
import type { Clock, SecretBox } from "../ports/crypto.ts"
import type { OAuthAppChange, Storage } from "../ports/storage.ts"
import { clientSecretPlace } from "./app-credentials.ts"
import type { Ids } from "./ids.ts"

export interface OAuthAppsDeps {
  readonly apps: Storage["apps"]
  readonly box: SecretBox
  readonly newId: Ids
  readonly now: Clock
}

export interface NewOAuthApp extends OAuthAppInput {
  readonly provider: ProviderName
  readonly name: string
  readonly clientId: string
  readonly clientSecret: string
  readonly isDefault?: boolean | undefined
}

export interface OAuthAppPatch extends OAuthAppInput {
  readonly isDefault?: boolean | undefined
}

/** What a tenant does with its own apps. Every rejection is a `ConnectError`; the secret is sealed before anything is kept. */
export interface ManageOAuthApps {
  create(principal: Principal, input: NewOAuthApp): Promise<OAuthApp>
  list(principal: Principal, provider?: ProviderName): Promise<readonly OAuthApp[]>
  get(principal: Principal, id: string): Promise<OAuthApp>
  change(principal: Principal, id: string, patch: OAuthAppPatch): Promise<OAuthApp>
  remove(principal: Principal, id: string): Promise<void>
}

export function manageOAuthApps(deps: OAuthAppsDeps): ManageOAuthApps {
  const event = (
    principal: Principal,
    type: "created" | "updated" | "deleted",
    app: Pick<OAuthApp, "id" | "provider">,
  ) =>
    newEvent(
      {
        id: deps.newId("evt"),
        type: `oauth_app.${type}`,
        at: deps.now(),
        actor: principal.actor,
        owner: principal,
      },
      { oauthAppId: app.id, provider: app.provider },
    )

  const sealSecret = (principal: Principal, id: string, secret: string) =>
    deps.box.seal(secret, clientSecretPlace({ tenant: principal.tenant, id }))

  const get = async (principal: Principal, id: string) => {
    const app = isId("oa", id) ? await deps.apps.find(principal, id) : undefined
    if (!app) throw notFound("OAuth app")
    return app
  }

  return {
    async create(principal, input) {
      const checked = checkOAuthAppInput(input.provider, input)
      const id = deps.newId("oa")
      const now = deps.now()
      const app: OAuthApp = {
        id,
        tenant: principal.tenant,
        environment: principal.environment,
        provider: input.provider,
        name: checked.name ?? input.name,
        clientId: checked.clientId ?? input.clientId,
        clientSecret: await sealSecret(principal, id, checked.clientSecret ?? input.clientSecret),
        scopes: checked.scopes ?? defaultScopes[input.provider],
        allowedReturnUrls: checked.allowedReturnUrls ?? [],
        isDefault: input.isDefault ?? false,
        options: checked.options ?? {},
        createdAt: now,
        updatedAt: now,
      }
      return deps.apps.add(app, event(principal, "created", app))
    },

    list: (principal, provider) => deps.apps.list(principal, provider),

    get,

    async change(principal, id, patch) {
      const app = await get(principal, id)
      if (patch.isDefault === false && app.isDefault) {
        throw invalidField(
          "is_default",
          "cannot be taken from the default app; make another app of the provider the default instead",
        )
      }
      const checked = checkOAuthAppInput(app.provider, patch)
      const change: OAuthAppChange = {
        updatedAt: deps.now(),
        ...(checked.name !== undefined && { name: checked.name }),
        ...(checked.clientSecret !== undefined && {
          clientSecret: await sealSecret(principal, id, checked.clientSecret),
        }),
        ...(checked.allowedReturnUrls !== undefined && { allowedReturnUrls: checked.allowedReturnUrls }),
        ...(checked.scopes !== undefined && { scopes: checked.scopes }),
        ...(checked.options !== undefined && { options: checked.options }),
        ...(patch.isDefault === true && { isDefault: true as const }),
      }
      const changed = await deps.apps.change(principal, id, change, event(principal, "updated", app))
      if (!changed) throw notFound("OAuth app")
      return changed
    },

    async remove(principal, id) {
      const app = await get(principal, id)
      const removed = await deps.apps.remove(principal, id, event(principal, "deleted", app))
      if (removed.kind === "absent") throw notFound("OAuth app")
      if (removed.kind === "in_use") {
        const accounts = removed.accounts === 1 ? "1 account uses" : `${removed.accounts} accounts use`
        throw new ConnectError(
          "oauth_app_in_use",
          `${accounts} this app, and their tokens are bound to its client_id. Disconnect them or connect them again through another app first.`,
        )
      }
    },
  }
}
