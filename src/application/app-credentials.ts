import type { OAuthApp } from "../domain/oauth-app.ts"
import type { ProviderName } from "../domain/provider.ts"
import type { SecretBox } from "../ports/crypto.ts"
import type { AppCredentials } from "../ports/providers.ts"

/** Where an app's secret is sealed. */
export function clientSecretPlace(app: Pick<OAuthApp, "tenant" | "id">) {
  return { tenant: app.tenant, table: "oauth_apps", row: app.id, column: "client_secret" } as const
}

/** An app's own client id and secret, in clear for the call that needs them. */
export async function openCredentials(box: SecretBox, app: OAuthApp): Promise<AppCredentials> {
  return { clientId: app.clientId, clientSecret: await box.open(app.clientSecret, clientSecretPlace(app)) }
}

/**
 * What a test flow of a tenant without apps shows the sandbox. Nothing real, and one for each tenant: what a
 * person does to an app in the sandbox must touch nobody else's accounts.
 */
export async function builtInCredentials(provider: ProviderName, tenant: string): Promise<AppCredentials> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(tenant))
  const name = new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true })
  return { clientId: `sandbox-${provider}-${name.slice(0, 10)}`, clientSecret: "sandbox" }
}
