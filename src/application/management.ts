import type { AddressRule } from "../domain/webhook.ts"
import type { Clock, RandomBytes, SecretBox, Signer } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import type { WebhookSender } from "../ports/webhooks.ts"
import { type ReadAccounts, readAccounts } from "./accounts.ts"
import type { ManageApiKeys } from "./api-keys.ts"
import { type CheckApp, type CheckAppDeps, checkApp } from "./check-app.ts"
import { type DisconnectAccount, disconnectAccount } from "./disconnect-account.ts"
import type { Ids } from "./ids.ts"
import { type ManageOAuthApps, manageOAuthApps } from "./oauth-apps.ts"
import { type ReadEvents, readEvents } from "./read-events.ts"
import type { ReadTokens } from "./read-token.ts"
import type { TokenDeps } from "./refresh-tokens.ts"
import { type RegisterAccount, registerAccount } from "./register-account.ts"
import type { ProvidersByEnvironment } from "./start-connect.ts"
import { type ManageWebhooks, manageWebhooks } from "./webhooks.ts"

export interface ManagementDeps {
  readonly storage: Storage
  readonly box: SecretBox
  readonly signer: Signer
  readonly providers: ProvidersByEnvironment
  readonly sender: WebhookSender
  readonly addresses: AddressRule
  readonly redirectUri: CheckAppDeps["redirectUri"]
  readonly randomBytes: RandomBytes
  readonly newId: Ids
  readonly now: Clock
  readonly refreshing: TokenDeps
  readonly tokens: ReadTokens
  readonly apiKeys: ManageApiKeys
}

/** What tenants set up and look into, apart from connecting and handing out tokens. */
export interface Management {
  readonly oauthApps: ManageOAuthApps
  readonly checkApp: CheckApp
  readonly apiKeys: ManageApiKeys
  readonly accounts: ReadAccounts
  readonly register: RegisterAccount
  readonly tokens: ReadTokens
  readonly disconnect: DisconnectAccount
  readonly events: ReadEvents
  readonly webhooks: ManageWebhooks
  readonly redirectUri: CheckAppDeps["redirectUri"]
}

/** Together, so that they can be loaded together, after the first answer. */
export function management(deps: ManagementDeps): Management {
  const { storage, signer } = deps
  return {
    oauthApps: manageOAuthApps({ ...deps, apps: storage.apps }),
    checkApp: checkApp({ ...deps, apps: storage.apps }),
    apiKeys: deps.apiKeys,
    accounts: readAccounts({ accounts: storage.accounts, signer }),
    register: registerAccount(deps),
    tokens: deps.tokens,
    disconnect: disconnectAccount(deps.refreshing),
    events: readEvents({ events: storage.events, signer }),
    webhooks: manageWebhooks(deps),
    redirectUri: deps.redirectUri,
  }
}
