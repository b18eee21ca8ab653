import { Elysia } from "elysia"
import { ConnectError } from "../../domain/errors.ts"

/** `healthz`: the process answers. `readyz`: it can do its work, so send it traffic. */
export function healthRoutes(ready: () => Promise<void>) {
  return new Elysia()
    .get("/healthz", () => ({ status: "ok" }))
    .get("/readyz", async () => {
      await ready().catch(() => {
        throw new ConnectError(
          "not_ready",
          "The database cannot be reached or the server is stopping; ask again in a moment.",
          {
            retryAfterSeconds: 5,
          },
        )
      })
      return { status: "ready" }
    })
}
