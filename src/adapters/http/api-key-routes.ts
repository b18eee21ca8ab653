import { Elysia, t } from "elysia"
import type { ManageApiKeys } from "../../application/api-keys.ts"
import { ConnectError } from "../../domain/errors.ts"
import { environments } from "../../domain/owner.ts"
import { callerWith } from "./context.ts"
import { closed, oneOf, text } from "./schemas.ts"
import { keyView } from "./views.ts"

const newKey = t.Object(
  {
    name: text(),
    environment: oneOf(environments),
    scopes: t.Optional(t.Array(text("must be a scope"), { detail: "must be a list of scopes" })),
    expires_at: t.Optional(text("must be an RFC 3339 time such as 2030-01-31T00:00:00Z")),
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

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i

function readTime(field: string, raw: string): Date {
  const time = new Date(raw)
  if (rfc3339.test(raw) && !Number.isNaN(time.getTime())) return time
  const detail = "must be an RFC 3339 time such as 2030-01-31T00:00:00Z"
  throw new ConnectError("invalid_input", `${field}: ${detail}`, { faults: [{ field, detail }] })
}
