import { Elysia, t } from "elysia"
import type { ManageApiKeys } from "../../application/api-keys.ts"
import { environments } from "../../domain/owner.ts"
import { callerWith } from "./context.ts"
import { closed, oneOf, readTime, text, timeText } from "./schemas.ts"
import { keyView } from "./views.ts"

const newKey = t.Object(
  {
    name: text(),
    environment: oneOf(environments),
    scopes: t.Optional(t.Array(text("must be a scope"), { detail: "must be a list of scopes" })),
    expires_at: t.Optional(timeText),
  },
  closed,
)

export function apiKeyRoutes(keys: ManageApiKeys) {
  return new Elysia({ prefix: "/v1/api-keys" })
    .derive(({ request }) => ({ caller: callerWith(request, "keys") }))
    .post(
      "",
      async ({ caller, body, set }) => {
        const { key, text } = await keys.create(caller, {
          name: body.name,
          environment: body.environment,
          scopes: body.scopes,
          expiresAt: body.expires_at === undefined ? undefined : readTime("expires_at", body.expires_at),
        })
        set.status = 201
        return { ...keyView(key), key: text }
      },
      { body: newKey },
    )
    .get("", async ({ caller }) => (await keys.list(caller)).map(keyView))
    .delete("/:id", async ({ caller, params, set }) => {
      await keys.revoke(caller, params.id)
      set.status = 204
    })
}
