import postgres from "postgres"

/** Measured to be enough: larger statements and more of them at once cost the server more than they save. */
const mostRows = 64
const mostUnderWay = 2

export interface BatchedWrites<Row> {
  /** Resolves when the row is stored; rejects with its own fault, whatever else was sent with it. */
  add(row: Row): Promise<void>
  /** Sends what waits and resolves when all has its outcome. Later adds reject. */
  close(): Promise<void>
}

interface Waiting<Row> {
  readonly row: Row
  readonly resolve: () => void
  readonly reject: (fault: unknown) => void
}

/**
 * A statement costs the server more than a row does, so the rows of one moment are written together: those of one
 * turn of the event loop, and those that come while two writes are under way. `write` stores all or nothing; where
 * the server refuses that, each row is tried alone.
 */
export function batchedWrites<Row>(
  write: (rows: readonly Row[]) => PromiseLike<unknown>,
): BatchedWrites<Row> {
  let waiting: Waiting<Row>[] = []
  const underWay = new Set<Promise<void>>()
  let closed = false

  function send(): void {
    while (waiting.length > 0 && underWay.size < mostUnderWay) {
      const batch = waiting.slice(0, mostRows)
      waiting = waiting.slice(mostRows)
      const outcome = deliver(batch).finally(() => {
        underWay.delete(outcome)
        send()
      })
      underWay.add(outcome)
    }
  }

  async function deliver(batch: readonly Waiting<Row>[]): Promise<void> {
    try {
      await write(batch.map(({ row }) => row))
      for (const { resolve } of batch) resolve()
    } catch (fault) {
      if (batch.length > 1 && isRefusal(fault)) for (const one of batch) await deliver([one])
      else for (const { reject } of batch) reject(fault)
    }
  }

  return {
    add(row) {
      return new Promise<void>((resolve, reject) => {
        if (closed) return reject(new Error("The storage is closed."))
        // Not before this turn's other callbacks: a server answers many requests in one turn.
        if (waiting.length === 0) setImmediate(send)
        waiting.push({ row, resolve, reject })
      })
    },
    async close() {
      closed = true
      send()
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

/** Whether the server has refused the statement and stored nothing of it. A connection that is lost says neither. */
function isRefusal(fault: unknown): boolean {
  return fault instanceof postgres.PostgresError && fault.severity === "ERROR"
}
