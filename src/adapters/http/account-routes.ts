import { Elysia, t } from "elysia"
import type { ReadAccounts } from "../../application/accounts.ts"
import type { DisconnectAccount } from "../../application/disconnect-account.ts"
import type { ReadTokens } from "../../application/read-token.ts"
import type { RegisterAccount } from "../../application/register-account.ts"
import { healths } from "../../domain/account.ts"
import { callerWith } from "./context.ts"
import { closed, oneOf, pageLimit, plainText, providerName, readTime, text, timeText } from "./schemas.ts"
import { accountView } from "./views.ts"

const listQuery = t.Object(
  {
    provider: t.Optional(providerName),
    health: t.Optional(oneOf(healths)),
    reference: t.Optional(plainText(200)),
    q: t.Optional(plainText(200)),
    limit: t.Optional(pageLimit),
    cursor: t.Optional(text()),
  },
  closed,
)

const newAccount = t.Object(
  {
    provider: providerName,
    platform_account_id: text(),
    handle: t.Optional(text()),
    display_name: t.Optional(text()),
    oauth_app_id: t.Optional(text()),
    reference: t.Optional(text()),
    credentials: t.Object(
      {
        access_token: text(),
        refresh_token: t.Optional(text()),
        expires_at: t.Optional(timeText),
        page_id: t.Optional(text()),
        ig_user_id: t.Optional(text()),
        author_urn: t.Optional(text()),
      },
      { ...closed, detail: "must be an object with access_token" },
    ),
  },
  closed,
)

export interface AccountUses {
  readonly accounts: ReadAccounts
  readonly register: RegisterAccount
  readonly tokens: ReadTokens
  readonly disconnect: DisconnectAccount
}

export function accountRoutes({ accounts, register, tokens, disconnect }: AccountUses) {
  return new Elysia({ prefix: "/v1/accounts" })
    .derive(({ request }) => ({ caller: callerWith(request, "accounts") }))
    .get(
      "",
      async ({ caller, query }) => {
        const { limit, ...filter } = query
        const listing = await accounts.list(caller, {
          ...filter,
          limit: limit === undefined ? undefined : Number(limit),
        })
        return {
          items: listing.items.map(accountView),
          next_cursor: listing.nextCursor,
          total: listing.total,
        }
      },
      { query: listQuery },
    )
    .post(
      "",
      async ({ caller, body, set }) => {
        const { account, created } = await register(caller, registration(body))
        set.status = created ? 201 : 200
        return accountView(account)
      },
      { body: newAccount },
    )
    .get("/:id", async ({ caller, params }) => accountView(await accounts.get(caller, params.id)))
    .post(
      "/:id/refresh",
      async ({ caller, params }) => {
        const account = await tokens.refresh(caller, params.id)
        return {
          id: account.id,
          health: account.health,
          token_expires_at: account.tokenExpiresAt?.toISOString() ?? null,
        }
      },
      { parse: "none" },
    )
    .delete("/:id", async ({ caller, params, set }) => {
      await disconnect(caller, params.id)
      set.status = 204
    })
}

function registration(body: typeof newAccount.static) {
  const { credentials } = body
  return {
    provider: body.provider,
    platformAccountId: body.platform_account_id,
    handle: body.handle,
    displayName: body.display_name,
    oauthAppId: body.oauth_app_id,
    reference: body.reference,
    accessToken: credentials.access_token,
    refreshToken: credentials.refresh_token,
    expiresAt:
      credentials.expires_at === undefined
        ? undefined
        : readTime("credentials.expires_at", credentials.expires_at),
    pageId: credentials.page_id,
    igUserId: credentials.ig_user_id,
    authorUrn: credentials.author_urn,
  }
}
