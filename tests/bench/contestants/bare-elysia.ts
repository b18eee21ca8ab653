/** The framework alone: the same JSON through a route of Elysia's. */
import { Elysia } from "elysia"

const answer = JSON.parse(process.env.ANSWER ?? "{}") as Record<string, unknown>

new Elysia()
  .get("/", () => answer)
  .get("/v1/*", () => answer)
  .listen({ hostname: "127.0.0.1", port: Number(process.env.PORT) })
