import { Elysia } from "elysia"
import type { ReadTokens } from "../../application/read-token.ts"
import { callerWith, contextOf } from "./context.ts"

/** A route of its own, since a key needs the scope `tokens` for it: the one place where a token leaves. */
export function tokenRoutes(tokens: ReadTokens) {
  return new Elysia({ prefix: "/v1/accounts" })
    .derive(({ request }) => ({ caller: callerWith(request, "tokens") }))
    .get("/:id/token", async ({ caller, params, request }) => {
      const context = contextOf(request)
      const { accessToken, tokenType, account } = await tokens.read(caller, params.id, context.found?.account)
      context.facts.account_id = account.id
      return {
        access_token: accessToken,
        token_type: tokenType,
        expires_at: account.tokenExpiresAt?.toISOString() ?? null,
        scopes: account.scopes,
        platform_account_id: account.platformAccountId,
      }
    })
}
