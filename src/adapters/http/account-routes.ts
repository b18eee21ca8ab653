import { Elysia, t } from "elysia"
import type { ReadAccounts } from "../../application/accounts.ts"
import { healths } from "../../domain/account.ts"
import { callerWith } from "./context.ts"
import { closed, oneOf, plainText, providerName, text } from "./schemas.ts"
import { accountView } from "./views.ts"

const listQuery = t.Object(
  {
    provider: t.Optional(providerName),
    health: t.Optional(oneOf(healths)),
    reference: t.Optional(plainText(200)),
    q: t.Optional(plainText(200)),
    // As text, since Elysia's numbers take 1e1 and 0x10 too.
    limit: t.Optional(
      t.String({ pattern: "^([1-9]\\d?|100)$", detail: "must be a whole number from 1 to 100" }),
    ),
    cursor: t.Optional(text()),
  },
  closed,
)

export function accountRoutes(accounts: ReadAccounts) {
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
    .get("/:id", async ({ caller, params }) => accountView(await accounts.get(caller, params.id)))
}
