import { join } from "node:path"
import { type PostgresServer, startPostgres } from "./postgres.ts"
import { clientCore, root, startServer } from "./process.ts"

export const contestantsFolder = join(root, "tests/bench/contestants")

/** What contestants need beside themselves, all of it on the client's core. */
export interface World {
  readonly postgres: PostgresServer
  /** X's token and profile endpoints on loopback. */
  readonly providerUrl: string
}

/** A world for as long as the work takes. */
export async function inWorld<Result>(work: (world: World) => Promise<Result>): Promise<Result> {
  const postgres = await startPostgres()
  const provider = await startServer({
    command: [process.execPath, join(contestantsFolder, "fake-provider.ts")],
    core: clientCore,
  })
  try {
    return await work({ postgres, providerUrl: `http://127.0.0.1:${provider.port}` })
  } finally {
    await provider.stop()
    postgres.stop()
  }
}
