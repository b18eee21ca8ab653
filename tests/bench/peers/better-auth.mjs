/**
 * Better Auth on Bun, set up as its pages say: social sign-in with one OAuth provider. Its rate limit is off like
 * ours, its tokens are encrypted like ours, and its SQLite file commits as durably.
 */
import { Database } from "bun:sqlite"
import { betterAuth } from "better-auth"
import { getMigrations } from "better-auth/db/migration"
import { genericOAuth } from "better-auth/plugins"
import { Pool } from "pg"

const { DATABASE_URL, PORT, PROVIDER_URL = "https://api.x.com" } = process.env

function openDatabase() {
  if (DATABASE_URL !== undefined) return new Pool({ connectionString: DATABASE_URL, max: 10 })
  const database = new Database("better-auth.sqlite")
  database.run("pragma journal_mode = wal")
  database.run("pragma synchronous = full")
  return database
}

const options = {
  database: openDatabase(),
  baseURL: "https://connect.example.com",
  trustedOrigins: ["https://app.example.com"],
  secret: "made-up-secret-of-the-benchmarks-0123456789",
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  account: { encryptOAuthTokens: true },
  plugins: [
    genericOAuth({
      config: [
        {
          providerId: "x",
          authorizationUrl: "https://x.com/i/oauth2/authorize",
          tokenUrl: `${PROVIDER_URL}/2/oauth2/token`,
          userInfoUrl: `${PROVIDER_URL}/2/users/me?user.fields=profile_image_url,verified`,
          clientId: "bWFkZS11cC1jbGllbnQtaWQtb2YtYmVuY2g6MTpjaQ",
          clientSecret: "made-up-client-secret-of-the-benchmarks-0123456789",
          scopes: ["tweet.read", "tweet.write", "users.read", "media.write", "offline.access"],
          authentication: "basic",
          pkce: true,
          accountSubject: ({ profile }) => profile.data.id,
          mapProfileToUser: ({ data }) => ({
            email: `${data.username}@example.com`,
            emailVerified: false,
            name: data.name,
            image: data.profile_image_url,
          }),
        },
      ],
    }),
  ],
}

const { runMigrations } = await getMigrations(options)
await runMigrations()
const auth = betterAuth(options)

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(PORT),
  fetch: (request) => (new URL(request.url).pathname === "/" ? new Response("ready") : auth.handler(request)),
})
