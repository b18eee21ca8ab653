import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { clientCore, pinned, temporaryFolder } from "./process.ts"

export interface LoadJob {
  /** Connections are dealt out over these. */
  readonly ports: readonly number[]
  readonly connections: number
  readonly ms: number
  /** JSON: for each group of callers a list of whole HTTP requests. */
  readonly requestsFile: string
  /** Each request is sent once, and the run is over when they are; otherwise they go round. */
  readonly once: boolean
  /** The groups of the connections, again and again; without it there is but one group. */
  readonly groups?: readonly number[]
}

export interface LoadResult {
  /** Whole answers within the time. */
  readonly answers: number
  /** Answers to what was under way when the time was over. */
  readonly late: number
  readonly failed: number
  readonly ms: number
  /** Answers of each port and to each group. */
  readonly byPort: readonly number[]
  readonly byGroup: readonly number[]
  readonly statuses: Readonly<Record<string, number>>
  /** The first answer, head and body. */
  readonly sample: string
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

export interface LoadClient {
  run(
    job: Omit<LoadJob, "requestsFile">,
    ...requestsOfGroups: readonly (readonly string[])[]
  ): Promise<LoadResult>
  stop(): void
}

/**
 * Our own client and not a package's, since on one core it must outrun bare `Bun.serve`: under it the floor's core
 * is more than nine tenths busy.
 */
export function loadClient(): LoadClient {
  const folder = temporaryFolder()
  const child = Bun.spawn(pinned(clientCore, [process.execPath, join(import.meta.dir, "load-client.ts")]), {
    stdio: ["pipe", "pipe", "inherit"],
  })
  const lines = linesOf(child.stdout)
  return {
    async run(job, ...requests) {
      const requestsFile = join(folder, "requests.json")
      writeFileSync(requestsFile, JSON.stringify(requests))
      child.stdin.write(`${JSON.stringify({ ...job, requestsFile })}\n`)
      child.stdin.flush()
      const { value } = await lines.next()
      if (value === undefined) throw new Error("the load client ended")
      return JSON.parse(value) as LoadResult
    },
    stop: () => child.kill(),
  }
}

export interface RequestText {
  readonly method?: "GET" | "POST"
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** A request as it goes over the wire. */
export function requestText({ method = "GET", path, headers = {}, body }: RequestText): string {
  const text = body === undefined ? "" : JSON.stringify(body)
  const all: Record<string, string> = {
    Host: "127.0.0.1",
    ...headers,
    ...(body !== undefined && {
      "Content-Type": "application/json",
      "Content-Length": String(Buffer.byteLength(text)),
    }),
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${text}`
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let text = ""
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      yield text.slice(0, end)
      text = text.slice(end + 1)
    }
  }
  return undefined
}
