import type { ProviderName } from "../../domain/provider.ts"
import type { Mishap, Refusal } from "./scenarios.ts"

/**
 * What is wrong with an app is chosen by how its own client id and secret begin, since a check of it meets no
 * consent page on which to choose. Every other id and secret is right.
 */
const byClientId: readonly (readonly [beginning: string, fault: Refusal | Mishap])[] = [
  ["unknown-client", "unknown_client"],
  ["provider-down", "down"],
  ["provider-hangs", "hang"],
]
const unregisteredRedirect = "unregistered-redirect"
const wrongSecret = "wrong-secret"

/** Meta's two kinds of app id, neither of which the other product knows. */
const foreignIds: Readonly<Partial<Record<ProviderName, string>>> = {
  facebook: "instagram-app",
  instagram: "facebook-app",
}

/** What a call runs into with which a client authenticates itself; undefined where id and secret are right. */
export function appFault(
  provider: ProviderName,
  clientId: string | null,
  secret: string | null,
): Refusal | Mishap | undefined {
  const id = clientId ?? ""
  const foreign = foreignIds[provider]
  if (foreign !== undefined && id.startsWith(foreign)) return "unknown_client"
  const listed = byClientId.find(([beginning]) => id.startsWith(beginning))
  if (listed) return listed[1]
  return !secret || secret.startsWith(wrongSecret) ? "wrong_secret" : undefined
}

/** Whether the app's redirect URI is not registered, which Facebook and Instagram alone say at the token call. */
export function lacksRedirect(clientId: string | null): boolean {
  return clientId?.startsWith(unregisteredRedirect) ?? false
}
