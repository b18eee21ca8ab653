import type { Database } from "bun:sqlite"

export interface GroupCommit {
  /** Runs the work in the next transaction; resolves to its result once that is on disk. */
  write<Result>(work: () => Result): Promise<Result>
  /** Commits what is queued. Later writes reject. */
  close(): void
}

interface Job {
  readonly work: () => unknown
  readonly resolve: (result: unknown) => void
  readonly reject: (fault: unknown) => void
}

/**
 * Durable writes cost a disk flush each, so all that are asked for within one turn of the event loop share
 * one transaction. Every work has its own savepoint: where one fails it alone is undone and rejects. Where
 * the transaction itself fails nothing is stored and all reject.
 */
export function groupCommit(db: Database): GroupCommit {
  const sql = {
    begin: db.query("begin immediate"),
    commit: db.query("commit"),
    rollback: db.query("rollback"),
    savepoint: db.query("savepoint work"),
    release: db.query("release work"),
    undo: db.query("rollback to work"),
  }
  let queued: Job[] = []
  let closed = false

  function commitQueued(): void {
    const jobs = queued
    queued = []
    if (jobs.length === 0) return
    try {
      sql.begin.run()
      const outcomes = jobs.map(runAlone)
      sql.commit.run()
      for (const tell of outcomes) tell()
    } catch (fault) {
      if (db.inTransaction) sql.rollback.run()
      for (const job of jobs) job.reject(fault)
    }
  }

  /** Answers with how to tell the caller, which must wait for the commit. */
  function runAlone({ work, resolve, reject }: Job): () => void {
    sql.savepoint.run()
    try {
      const result = work()
      sql.release.run()
      return () => resolve(result)
    } catch (fault) {
      // A full disk or a broken one makes SQLite roll back all by itself: then there is no savepoint left.
      if (!db.inTransaction) throw fault
      sql.undo.run()
      sql.release.run()
      return () => reject(fault)
    }
  }

  return {
    write<Result>(work: () => Result) {
      return new Promise<Result>((resolve, reject) => {
        if (closed) return reject(new Error("The storage is closed."))
        // Not before this turn's other callbacks: a server answers many requests in one turn.
        if (queued.length === 0) setImmediate(commitQueued)
        queued.push({ work, resolve: (result) => resolve(result as Result), reject })
      })
    },
    close() {
      closed = true
      commitQueued()
    },
  }
}
