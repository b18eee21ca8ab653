import { createServer, type Socket } from "node:net"
import type { Identity } from "./certificates.ts"

/** A server of raw sockets on 127.0.0.1, for what no well-behaved one would do. */
export async function rawServer(
  talk: (socket: Socket) => void,
): Promise<{ readonly port: number; readonly closed: Promise<void>; stop(): void }> {
  const closed = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.on("close", () => closed.resolve())
    socket.resume()
    talk(socket)
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, "127.0.0.1", listening.resolve)
  await listening.promise
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("it has no port")
  return { port: address.port, closed: closed.promise, stop: () => server.close() }
}

export interface Received {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A receiver that writes down all that it gets, and answers what the test says. */
export function receiver(options: { readonly tls?: Identity; readonly port?: number } = {}) {
  const received: Received[] = []
  const scripted = {
    answer: async (_: Received): Promise<Response> => new Response(null, { status: 204 }),
  }
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    ...(options.tls && { tls: { key: options.tls.key, cert: options.tls.cert } }),
    async fetch(request) {
      const got = { headers: Object.fromEntries(request.headers), body: await request.text() }
      received.push(got)
      return scripted.answer(got)
    },
  })
  const port = server.port ?? 0
  return {
    port,
    url: `http://127.0.0.1:${port}/hook`,
    received,
    scripted,
    stop: () => server.stop(true),
  }
}
