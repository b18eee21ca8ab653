import { Elysia, t } from "elysia"
import type { CheckApp } from "../../application/check-app.ts"
import type { ManageOAuthApps } from "../../application/oauth-apps.ts"
import type { ProviderName } from "../../domain/provider.ts"
import { appCheckView } from "./app-check-view.ts"
import { callerWith } from "./context.ts"
import { closed, providerName, text } from "./schemas.ts"
import { appView } from "./views.ts"

const settable = {
  client_secret: text(),
  allowed_return_urls: t.Array(text("must be an address"), { detail: "must be a list of addresses" }),
  scopes: t.Array(text("must be one scope"), { detail: "must be a list of scopes" }),
  is_default: t.Boolean({ detail: "must be true or false" }),
  options: t.Record(t.String(), t.Unknown(), { detail: "must be an object" }),
}

const newApp = t.Object(
  {
    provider: providerName,
    name: text(),
    client_id: text(),
    client_secret: settable.client_secret,
    allowed_return_urls: t.Optional(settable.allowed_return_urls),
    scopes: t.Optional(settable.scopes),
    is_default: t.Optional(settable.is_default),
    options: t.Optional(settable.options),
  },
  closed,
)

const immutable = t.Undefined({
  detail: "cannot be changed, since refresh tokens are bound to it; store another app instead",
})

const appPatch = t.Partial(
  t.Object({ name: text(), ...settable, client_id: immutable, provider: immutable }),
  {
    ...closed,
    minProperties: 1,
    detail: `must set at least one of name, ${Object.keys(settable).join(", ")}`,
  },
)

export function oauthAppRoutes(
  apps: ManageOAuthApps,
  check: CheckApp,
  redirectUri: (provider: ProviderName) => string,
) {
  const view = (app: Parameters<typeof appView>[0]) => appView(app, redirectUri(app.provider))
  return new Elysia({ prefix: "/v1/oauth-apps" })
    .derive(({ request }) => ({ caller: callerWith(request, "apps") }))
    .post(
      "",
      async ({ caller, body, set }) => {
        const app = await apps.create(caller, { ...fields(body), ...required(body) })
        set.status = 201
        return view(app)
      },
      { body: newApp },
    )
    .get("", async ({ caller, query }) => (await apps.list(caller, query.provider)).map(view), {
      query: t.Object({ provider: t.Optional(providerName) }, closed),
    })
    .get("/:id", async ({ caller, params }) => view(await apps.get(caller, params.id)))
    .patch(
      "/:id",
      async ({ caller, params, body }) => view(await apps.change(caller, params.id, fields(body))),
      {
        body: appPatch,
      },
    )
    .post("/:id/check", async ({ caller, params }) => appCheckView(await check(caller, params.id)))
    .delete("/:id", async ({ caller, params, set }) => {
      await apps.remove(caller, params.id)
      set.status = 204
    })
}

function required(body: typeof newApp.static) {
  return {
    provider: body.provider,
    name: body.name,
    clientId: body.client_id,
    clientSecret: body.client_secret,
  }
}

function fields(body: Omit<typeof appPatch.static, "client_id" | "provider">) {
  return {
    name: body.name,
    clientSecret: body.client_secret,
    allowedReturnUrls: body.allowed_return_urls,
    scopes: body.scopes,
    isDefault: body.is_default,
    options: body.options,
  }
}
