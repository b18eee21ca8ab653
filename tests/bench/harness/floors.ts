import { join } from "node:path"
import { type Contestant, repeating } from "./contestant.ts"
import { startServer } from "./process.ts"
import { contestantsFolder } from "./world.ts"

export interface FloorSpec {
  readonly name: string
  readonly file: "bare.ts" | "bare-elysia.ts" | "callback-floor.ts"
  readonly request: string
  readonly status: number
  readonly env: Readonly<Record<string, string>>
}

/** A server that does nothing of what is measured, but answers the same requests. */
export async function floor({ name, file, request, status, env }: FloorSpec): Promise<Contestant> {
  const server = await startServer({
    command: [process.execPath, join(contestantsFolder, file)],
    env: { NODE_ENV: "production", ...env },
  })
  return {
    name,
    keeps: "nothing",
    pid: server.pid,
    ports: [server.port],
    status,
    ...repeating([request]),
    cpu: server.cpu,
    stop: server.stop,
  }
}

/** What Mooring once answered, to be answered by a floor; the contestant is stopped again. */
export async function sampleOf(
  open: () => Promise<Contestant & { readonly answer: unknown }>,
): Promise<{ readonly request: string; readonly answer: string }> {
  const contestant = await open()
  const [request = ""] = await contestant.requests(1)
  await contestant.stop()
  return { request, answer: JSON.stringify(contestant.answer) }
}
