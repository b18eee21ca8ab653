import { join } from "node:path"
import { type Contestant, repeating } from "./contestant.ts"
import { requestText } from "./load.ts"
import {
  authorized,
  inParallel,
  nextPerson,
  returnUrl,
  type Started,
  type Store,
  startPath,
} from "./mooring.ts"
import { type HotPath, keeps } from "./mooring-contestants.ts"
import { startServer } from "./process.ts"
import { contestantsFolder, type World } from "./world.ts"

/** The least that the work takes, written by hand: what could be had on this machine at all. */
export async function byHand(path: HotPath, store: Store, world: World): Promise<Contestant> {
  const database = store === "postgres" ? await world.postgres.database() : undefined
  const server = await startServer({
    command: [process.execPath, join(contestantsFolder, "by-hand.ts")],
    env: {
      NODE_ENV: "production",
      PROVIDER_URL: world.providerUrl,
      RETURN_URL: returnUrl,
      CALLER_KEY: key,
      ...(database && { DATABASE_URL: database.url }),
    },
  })
  const origin = `http://127.0.0.1:${server.port}`
  return {
    name: `By hand, ${store === "sqlite" ? "SQLite" : "PostgreSQL"}`,
    keeps: keeps[path],
    pid: server.pid,
    ports: [server.port],
    store,
    cpu: server.cpu,
    ...(database && { databaseCpu: world.postgres.cpu }),
    ...(await requestsOf[path](origin)),
    async stop() {
      await server.stop()
      await database?.drop()
    },
  }
}

const key = "made-up-key-of-the-benchmarks-0123456789"

const requestsOf: Readonly<
  Record<HotPath, (origin: string) => Promise<Pick<Contestant, "requests" | "once" | "status">>>
> = {
  start: async () => ({ ...repeating([authorized(startPath, key)]), status: 200 }),

  callback: async (origin) => ({
    once: true,
    status: 302,
    requests: (count) =>
      inParallel(count, async () => {
        const headers = { authorization: `Bearer ${key}` }
        const started = (await (await fetch(origin + startPath, { headers })).json()) as Started
        const state = new URL(started.authorize_url).searchParams.get("state") ?? ""
        return requestText({ path: `/v1/oauth/x/callback?state=${state}&code=${nextPerson()}` })
      }),
  }),

  async token(origin) {
    const ids = (await (await fetch(`${origin}/fill`)).json()) as readonly string[]
    return { ...repeating(ids.map((id) => authorized(`/v1/accounts/${id}/token`, key))), status: 200 }
  },
}
