/** @fastify/oauth2: its route redirects to the provider and keeps state and verifier in cookies of the browser. */
import oauth2 from "@fastify/oauth2"
import fastify from "fastify"

const app = fastify()
app.register(oauth2, {
  name: "x",
  scope: ["tweet.read", "tweet.write", "users.read", "media.write", "offline.access"],
  credentials: {
    client: {
      id: "bWFkZS11cC1jbGllbnQtaWQtb2YtYmVuY2g6MTpjaQ",
      secret: "made-up-client-secret-of-the-benchmarks-0123456789",
    },
    auth: {
      authorizeHost: "https://x.com",
      authorizePath: "/i/oauth2/authorize",
      tokenHost: "https://api.x.com",
      tokenPath: "/2/oauth2/token",
    },
  },
  startRedirectPath: "/start",
  callbackUri: "https://connect.example.com/callback",
  pkce: "S256",
})
app.get("/", () => "ready")
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) })
