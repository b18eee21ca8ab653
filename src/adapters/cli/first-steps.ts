import type { ManageApiKeys } from "../../application/api-keys.ts"
import { operator } from "./operator.ts"

export interface FirstSteps {
  readonly apiKeys: ManageApiKeys
  readonly print: (text: string) => void
  readonly publicUrl: string
  readonly sandbox: boolean
  /** The file with the secrets that were made on this start, if any were. */
  readonly secretsMade: string | null
}

const tenant = "demo"

/**
 * Shows a newcomer what to type next. On the first start that includes a test key, made now and shown this
 * once; a test key reaches the sandbox alone. Never called in production.
 */
export async function showFirstSteps({
  apiKeys,
  print,
  publicUrl,
  sandbox,
  secretsMade,
}: FirstSteps): Promise<void> {
  const newcomer = operator(tenant, "test")
  if (secretsMade)
    print(
      `\nMade ${secretsMade} with this installation's encryption key and JWT secret. Keep it: tokens cannot be read without it.`,
    )
  if (!sandbox) return
  if ((await apiKeys.list(newcomer)).length > 0) {
    print(
      `\nTest key: shown on the first start. Another: npm run mooring -- api-keys create --tenant ${tenant} --environment test --name mine\n`,
    )
    return
  }
  const { text } = await apiKeys.create(newcomer, { name: "first steps", environment: "test" })
  print(`
A test key of the tenant "${tenant}", shown this once:

  ${text}

Connect a pretended X account in the built-in sandbox:

  curl -s -H "Authorization: Bearer ${text}" ${publicUrl}/v1/oauth/x/start

Then open the authorize_url it answers with in a browser.
`)
}
