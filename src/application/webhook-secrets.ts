import type { Webhook } from "../domain/webhook.ts"
import type { RandomBytes, SecretBox } from "../ports/crypto.ts"

const secretBytes = 32

/** As Standard Webhooks 1.0 writes them: 256 random bits in base64 behind `whsec_`. */
export function newSecret(randomBytes: RandomBytes): string {
  return `whsec_${randomBytes(secretBytes).toBase64()}`
}

/** Where a webhook's secrets are sealed. */
export function secretPlace(
  webhook: Pick<Webhook, "tenant" | "id">,
  column: "secret" | "previous_secret" = "secret",
) {
  return { tenant: webhook.tenant, table: "webhooks", row: webhook.id, column } as const
}

/** The secrets that sign at a time, the newest first. */
export async function signingSecrets(
  box: SecretBox,
  webhook: Webhook,
  now: Date,
): Promise<readonly [string, ...string[]]> {
  const secret = await box.open(webhook.secret, secretPlace(webhook))
  const { previousSecret, previousSecretUntil } = webhook
  if (!previousSecret || !previousSecretUntil || previousSecretUntil <= now) return [secret]
  return [secret, await box.open(previousSecret, secretPlace(webhook, "previous_secret"))]
}
