import type { Edge } from "./edge.ts"

export interface Serving {
  readonly port: number
  /**
   * Takes no new connections, finishes what is in flight, then resolves; what is not done by the given time is
   * cut off, such as a body that comes drop by drop.
   */
  stop(withinMs?: number): Promise<void>
}

/** Longer than anything takes after it came, a waiting token call too, and shorter than supervisors wait before they kill. */
const stopWithinMs = 50_000

/** A token call may wait 45 s for a refresh, with no byte sent meanwhile. */
const idleTimeoutSeconds = 60

/** Throws a sentence that says so where the port is taken: Bun would share it silently with `reusePort`. */
export function serve(
  edge: Edge,
  options: { readonly host: string; readonly port: number; readonly trustedProxies: number },
): Serving {
  // Work goes on when its client has gone, and Bun's own `stop` does not wait for it then.
  let underWay = 0
  const waiting: (() => void)[] = []
  const tellIdle = (): void => {
    if (underWay === 0) for (const tell of waiting.splice(0)) tell()
  }
  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve)
      tellIdle()
    })
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    reusePort: false,
    idleTimeout: idleTimeoutSeconds,
    // Bodies are read as they come and no further than our own limit, which answers with a problem document;
    // Bun's would be a bare 413 that no log line tells of.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request, server) {
      underWay++
      try {
        return await edge(request, () =>
          clientAddress(request, server.requestIP(request)?.address ?? "", options.trustedProxies),
        )
      } finally {
        underWay--
        tellIdle()
      }
    },
    // The edge answers every fault but one of its own log; Bun would show its stack outside production.
    error: () => new Response(null, { status: 500 }),
  })
  return {
    port: server.port ?? options.port,
    async stop(withinMs = stopWithinMs) {
      const late = Promise.withResolvers<void>()
      const cut = setTimeout(() => late.resolve(server.stop(true)), withinMs)
      const done = server.stop().then(idle)
      await Promise.race([done, late.promise]).finally(() => clearTimeout(cut))
    },
  }
}

/** Each trusted proxy appended the address it saw; what stands further left is whatever the client wrote. */
function clientAddress(request: Request, peer: string, trustedProxies: number): string {
  if (trustedProxies === 0) return peer
  const hops = (request.headers.get("x-forwarded-for") ?? "").split(",").map((hop) => hop.trim())
  return hops.at(-trustedProxies) || peer
}
