import { type Contestant, repeating } from "./contestant.ts"
import { requestText } from "./load.ts"
import {
  authorized,
  inParallel,
  keyWithXApp,
  type MooringService,
  type MooringSpec,
  nextPerson,
  type Started,
  type Store,
  startMooring,
  startPath,
} from "./mooring.ts"
import { temporaryFolder } from "./process.ts"
import type { World } from "./world.ts"

export type HotPath = "start" | "callback" | "token"

export interface MooringContestant extends Contestant {
  readonly service: MooringService
  readonly key: string
  /** What one request is answered with. */
  readonly answer: unknown
}

/** What has outlived a crash once a call of it has been answered. */
export const keeps: Readonly<Record<HotPath, string>> = {
  start: "the flow, its verifier sealed",
  callback: "account with sealed tokens, the flow's end, event",
  token: "nothing new",
}

/** Mooring on one store, with all that one of its hot paths needs already there. */
export async function mooringContestant(
  path: HotPath,
  store: Store,
  { postgres, providerUrl }: World,
  change: Partial<MooringSpec> = {},
): Promise<MooringContestant> {
  const database = store === "postgres" ? await postgres.database() : undefined
  const folder = temporaryFolder()
  const spec = { store, folder, ...(database && { databaseUrl: database.url }) }
  const { service, key, ...asked } = await hotPaths[path](
    (more) => startMooring({ ...spec, ...more, ...change }),
    // What is only made ready is not profiled.
    () => startMooring({ ...spec, providerUrl }),
    providerUrl,
  )
  return {
    name: `Mooring, ${store === "sqlite" ? "SQLite" : "PostgreSQL"}`,
    keeps: keeps[path],
    service,
    key,
    store,
    pid: service.pid,
    ports: [service.port],
    cpu: service.cpu,
    ...(database && { databaseCpu: postgres.cpu }),
    ...asked,
    async stop() {
      await service.stop()
      await database?.drop()
    },
  }
}

type Ready = Pick<MooringContestant, "service" | "key" | "requests" | "once" | "status" | "answer">

/** `open` starts the service that is measured, `openBefore` one on the same data that makes something ready. */
type MakeReady = (
  open: (more?: Partial<MooringSpec>) => Promise<MooringService>,
  openBefore: () => Promise<MooringService>,
  providerUrl: string,
) => Promise<Ready>

const hotPaths: Readonly<Record<HotPath, MakeReady>> = {
  async start(open) {
    const service = await open()
    const key = await keyWithXApp(service, "acme")
    const answer = await service.ask("GET", startPath, key)
    return { service, key, answer, status: 200, ...repeating([authorized(startPath, key)]) }
  },

  async callback(open, _, providerUrl) {
    const service = await open({ providerUrl })
    const key = await keyWithXApp(service, "acme")
    const requests = (count: number) => callbacks(service, key, count)
    return { service, key, answer: null, status: 302, once: true, requests }
  },

  async token(open, openBefore) {
    const before = await openBefore()
    const key = await keyWithXApp(before, "acme")
    const ids = await inParallel(accountsRead, (i) => registerAccount(before, key, i))
    await before.stop()
    const service = await open()
    const paths = ids.map((id) => `/v1/accounts/${id}/token`)
    const answer = await service.ask("GET", paths[0] ?? "", key)
    return { service, key, answer, status: 200, ...repeating(paths.map((path) => authorized(path, key))) }
  },
}

const accountsRead = 100

async function registerAccount(service: MooringService, key: string, i: number): Promise<string> {
  const person = String(1_000_000 + i)
  const account = await service.ask<{ id: string }>("POST", "/v1/accounts", key, {
    provider: "x",
    platform_account_id: person,
    credentials: {
      access_token: `made-up-access-token-of-the-benchmarks-0123456789-0123456789.${person}`,
      refresh_token: `made-up-refresh-token-of-the-benchmarks-0123456789-0123456789.${person}`,
      expires_at: new Date(Date.now() + 12 * 3_600_000).toISOString(),
    },
  })
  return account.id
}

/** Starts so many flows, and answers with the addresses the provider would send their browsers to. */
async function callbacks(service: MooringService, key: string, count: number): Promise<readonly string[]> {
  return await inParallel(count, async () => {
    const started = await service.ask<Started>("GET", startPath, key)
    const state = new URL(started.authorize_url).searchParams.get("state") ?? ""
    return requestText({
      path: `/v1/oauth/x/callback?state=${encodeURIComponent(state)}&code=${nextPerson()}`,
    })
  })
}
