import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Contestant, repeating } from "./contestant.ts"
import { type RequestText, requestText } from "./load.ts"
import { inParallel, nextPerson, returnUrl } from "./mooring.ts"
import { root, startServer } from "./process.ts"
import { say } from "./report.ts"
import type { World } from "./world.ts"

const folder = join(root, "tests/bench/peers")

/** Installs what we compare with, in a folder of its own; resolves to whether it is there. */
export async function installPeers(): Promise<boolean> {
  const wanted = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    dependencies: Readonly<Record<string, string>>
  }
  const isThere = Object.entries(wanted.dependencies).every(([name, version]) => {
    const path = join(folder, "node_modules", name, "package.json")
    return (
      existsSync(path) && (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version === version
    )
  })
  if (isThere) return true
  say("installing what is compared with …")
  const install = Bun.spawn(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
  })
  const complaint = await new Response(install.stderr).text()
  if ((await install.exited) === 0) return true
  say(`The peers could not be installed, so they are left out:\n${complaint.slice(-1000)}`)
  return false
}

const origin = "https://connect.example.com"

const signIn: RequestText = {
  method: "POST",
  path: "/api/auth/sign-in/social",
  headers: { Origin: origin },
  body: { provider: "x", callbackURL: returnUrl, disableRedirect: true },
}

/** Better Auth on Bun. */
export async function betterAuth(
  path: "start" | "callback",
  store: "sqlite" | "postgres",
  world: World,
): Promise<Contestant> {
  const database = store === "postgres" ? await world.postgres.database() : undefined
  const server = await startServer({
    command: [process.execPath, join(folder, "better-auth.mjs")],
    env: {
      NODE_ENV: "production",
      PROVIDER_URL: world.providerUrl,
      ...(database && { DATABASE_URL: database.url }),
    },
  })
  return {
    name: `Better Auth, ${store === "sqlite" ? "SQLite" : "PostgreSQL"}`,
    keeps: path === "start" ? "the flow, its verifier in clear" : "account with sealed tokens, user, session",
    pid: server.pid,
    ports: [server.port],
    store,
    cpu: server.cpu,
    ...(database && { databaseCpu: world.postgres.cpu }),
    ...(path === "start"
      ? { ...repeating([requestText(signIn)]), status: 200 }
      : { requests: (count) => callbacks(server.port, count), once: true, status: 302 }),
    async stop() {
      await server.stop()
      await database?.drop()
    },
  }
}

/** Each with the cookie that Better Auth's start has set in that browser. */
async function callbacks(port: number, count: number): Promise<readonly string[]> {
  const { path, method = "GET", headers, body } = signIn
  return await inParallel(count, async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify(body),
    })
    const { url } = (await response.json()) as { url: string }
    const state = new URL(url).searchParams.get("state") ?? ""
    const cookies = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0])
    return requestText({
      path: `/api/auth/callback/x?state=${encodeURIComponent(state)}&code=${nextPerson()}`,
      headers: { Cookie: cookies.join("; ") },
    })
  })
}

/** grant on Express, on Node. */
export async function grantExpress(): Promise<Contestant> {
  return await onNode("grant on Express (Node)", "nothing: a session in memory", "grant-express.mjs", {
    path: "/connect/twitter2",
  })
}

/** @fastify/oauth2, on Node. */
export async function fastifyOAuth2(): Promise<Contestant> {
  return await onNode("@fastify/oauth2 (Node)", "nothing: cookies of the browser", "fastify-oauth2.mjs", {
    path: "/start",
  })
}

async function onNode(name: string, keeps: string, file: string, request: RequestText): Promise<Contestant> {
  const server = await startServer({
    command: ["node", join(folder, file)],
    env: { NODE_ENV: "production" },
  })
  return {
    name,
    keeps,
    pid: server.pid,
    ports: [server.port],
    status: 302,
    ...repeating([requestText(request)]),
    cpu: server.cpu,
    stop: server.stop,
  }
}
