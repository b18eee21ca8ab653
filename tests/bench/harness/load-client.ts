/**
 * The load, as a process of its own so that it can have a core of its own. Reads one job a line from standard
 * input and answers each with one line. It speaks HTTP/1.1 itself over raw sockets: no more than one request is
 * under way on a connection, every answer is read to its end and its status counted.
 */
import { readFileSync } from "node:fs"
import type { LoadJob, LoadResult } from "./load.ts"

const drainMs = 15_000
const maxLatencies = 200_000

interface Connection {
  readonly port: number
  readonly group: number
  /** The beginning of an answer whose rest has not come yet. */
  pending: Buffer | undefined
  sentAt: number
  busy: boolean
}

async function run(job: LoadJob): Promise<LoadResult> {
  const queue = requestQueue(job)
  const tally = openTally(job.ports.length, queue.groups)
  const finished = Promise.withResolvers<void>()
  const startedAt = performance.now()
  let open = job.connections
  let ended = false

  const send = (socket: Bun.Socket<Connection>): void => {
    const request = ended ? undefined : queue.next(socket.data.group)
    if (!request) {
      socket.end()
      return
    }
    socket.data.sentAt = performance.now()
    socket.data.busy = true
    socket.write(request)
  }
  const close = (): void => {
    if (--open === 0) finished.resolve()
  }
  const handler: Bun.SocketHandler<Connection> = {
    open: send,
    data(socket, chunk) {
      const { data } = socket
      const buffer = data.pending ? Buffer.concat([data.pending, chunk]) : chunk
      if (!isWhole(buffer)) {
        // The runtime reuses the chunk's memory.
        data.pending = data.pending ? buffer : Buffer.from(chunk)
        return
      }
      data.pending = undefined
      data.busy = false
      tally.answered(data, buffer, ended)
      send(socket)
    },
    close({ data }) {
      if (data.busy) tally.failed()
      close()
    },
    error: tally.failed,
    connectError() {
      tally.failed()
      close()
    },
  }

  const timer = setTimeout(() => {
    ended = true
  }, job.ms)
  const cut = setTimeout(finished.resolve, job.ms + drainMs)
  for (let i = 0; i < job.connections; i++) {
    const data = connectionOf(job, i)
    void Bun.connect({ hostname: "127.0.0.1", port: job.ports[data.port] ?? 0, data, socket: handler })
  }
  await finished.promise
  clearTimeout(timer)
  clearTimeout(cut)
  return { ...tally.result(), ms: ended ? job.ms : performance.now() - startedAt }
}

function connectionOf(job: LoadJob, i: number): Connection {
  // Shifted with each turn of the groups, so that every group meets every port.
  const turn = job.groups ? Math.floor(i / job.groups.length) : 0
  const group = job.groups?.[i % job.groups.length] ?? 0
  return { port: (i + turn) % job.ports.length, group, pending: undefined, sentAt: 0, busy: false }
}

function requestQueue(job: LoadJob) {
  const texts = JSON.parse(readFileSync(job.requestsFile, "utf8")) as string[][]
  const groups = texts.map((group) => ({ at: 0, requests: group.map((text) => Buffer.from(text)) }))
  return {
    groups: groups.length,
    /** Undefined where each is sent but once and all are. */
    next(group: number): Buffer | undefined {
      const mine = groups[group]
      if (!mine || (job.once && mine.at >= mine.requests.length)) return undefined
      return mine.requests[mine.at++ % mine.requests.length]
    },
  }
}

function openTally(ports: number, groups: number) {
  const statuses: Record<string, number> = {}
  const latencies = new Float64Array(maxLatencies)
  const byPort = new Array<number>(ports).fill(0)
  const byGroup = new Array<number>(groups).fill(0)
  let [answers, late, failed, sample] = [0, 0, 0, ""]
  return {
    answered({ port, group, sentAt }: Connection, answer: Buffer, isLate: boolean): void {
      const status = answer.toString("latin1", 9, 12)
      statuses[status] = (statuses[status] ?? 0) + 1
      if (sample === "") sample = answer.toString("latin1")
      if (isLate) {
        late++
        return
      }
      if (answers < maxLatencies) latencies[answers] = performance.now() - sentAt
      answers++
      byPort[port] = (byPort[port] ?? 0) + 1
      byGroup[group] = (byGroup[group] ?? 0) + 1
    },
    failed: (): void => {
      failed++
    },
    result(): Omit<LoadResult, "ms"> {
      const sorted = latencies.subarray(0, Math.min(answers, maxLatencies)).sort()
      const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
      return { answers, late, failed, byPort, byGroup, statuses, sample, p50: at(0.5), p99: at(0.99) }
    },
  }
}

const headEnd = Buffer.from("\r\n\r\n")
const lastChunk = Buffer.from("0\r\n\r\n")

/** Whether the buffer holds one answer to its end. */
function isWhole(buffer: Buffer): boolean {
  const head = buffer.indexOf(headEnd)
  if (head === -1) return false
  const text = buffer.toString("latin1", 0, head)
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1]
  if (length !== undefined) return buffer.length >= head + headEnd.length + Number(length)
  if (!/\r\ntransfer-encoding: *chunked/i.test(text)) return true
  return buffer.length > head + headEnd.length && buffer.subarray(-lastChunk.length).equals(lastChunk)
}

for await (const line of console) {
  if (line === "") break // the bench has ended
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line) as LoadJob))}\n`)
}
