/** Stands between a service and PostgreSQL and counts what the service sends. */
export interface CountingProxy {
  /** The same address by way of the proxy. */
  through(url: string): string
  /** Counts from now on; resolves to what was counted when called. */
  count(): () => StatementCounts
  stop(): void
}

export interface StatementCounts {
  /** Statements executed: Execute and simple Query messages. */
  readonly statements: number
  /** Times a connection spoke after the server had: what waits for the network, pipelining taken into account. */
  readonly roundTrips: number
}

interface Lane {
  readonly server: Promise<Bun.Socket<undefined>>
  readonly read: (chunk: Buffer) => void
  serverSpoke: boolean
}

export function countingProxy(url: string): CountingProxy {
  const target = new URL(url)
  const counted = { statements: 0, roundTrips: 0 }
  const listener = Bun.listen<Lane>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(client) {
        const server = Bun.connect({
          hostname: target.hostname,
          port: Number(target.port),
          socket: {
            data(_, chunk) {
              client.data.serverSpoke = true
              client.write(chunk)
            },
            close: () => void client.end(),
          },
        })
        const read = messageReader((type) => {
          if (type === "E" || type === "Q") counted.statements++
        })
        client.data = { server, read, serverSpoke: true }
      },
      data(client, chunk) {
        const { data } = client
        if (data.serverSpoke) counted.roundTrips++
        data.serverSpoke = false
        data.read(chunk)
        const copy = Buffer.from(chunk)
        void data.server.then((server) => server.write(copy))
      },
      close: ({ data }) => void data.server.then((server) => server.end()),
    },
  })
  return {
    through(url) {
      const moved = new URL(url)
      moved.port = String(listener.port)
      return moved.href
    },
    count() {
      const before = { ...counted }
      return () => ({
        statements: counted.statements - before.statements,
        roundTrips: counted.roundTrips - before.roundTrips,
      })
    },
    stop: () => listener.stop(true),
  }
}

const headBytes = 5

/** Tells the type of each message of a frontend; the first has none (PostgreSQL's protocol, section 53.2). */
function messageReader(onMessage: (type: string) => void): (chunk: Buffer) => void {
  let skip = -1
  let head = Buffer.alloc(0)
  return (chunk) => {
    let at = 0
    while (at < chunk.length) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - at)
        skip -= step
        at += step
        continue
      }
      const isStartup = skip === -1
      const needed = isStartup ? headBytes - 1 : headBytes
      const taken = chunk.subarray(at, at + needed - head.length)
      head = Buffer.concat([head, taken])
      at += taken.length
      if (head.length < needed) return
      if (!isStartup) onMessage(String.fromCharCode(head[0] ?? 0))
      skip = head.readUInt32BE(needed - 4) - 4
      head = Buffer.alloc(0)
    }
  }
}
