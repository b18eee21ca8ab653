import type { AnyElysia } from "elysia"
import type { Management } from "../../application/management.ts"
import { accountRoutes } from "./account-routes.ts"
import { apiKeyRoutes } from "./api-key-routes.ts"
import { type AppDeps, appOf } from "./app.ts"
import { docsRoutes } from "./docs-routes.ts"
import { eventRoutes } from "./event-routes.ts"
import { oauthAppRoutes } from "./oauth-app-routes.ts"
import { bodilessWebhookRoutes, webhookRoutes } from "./webhook-routes.ts"

/** The routes that no start waits for: to load and make them took 16 of 200 ms from source. */
export function managementApp(uses: Management, deps: AppDeps): AnyElysia {
  return appOf(
    deps,
    [
      oauthAppRoutes(uses.oauthApps, uses.checkApp, uses.redirectUri),
      accountRoutes(uses),
      apiKeyRoutes(uses.apiKeys),
      eventRoutes(uses.events),
      webhookRoutes(uses.webhooks),
      docsRoutes(),
    ],
    ["/v1/oauth-apps/:id/check", "/v1/accounts/:id/refresh", ...bodilessWebhookRoutes],
  )
}
