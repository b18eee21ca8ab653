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

/** The work of one caller failed, and not the transaction it shared. */
class WorkFailed extends Error {}

/**
 * Durable writes cost a disk flush each, so all that are asked for within one turn of the event loop share
 * one transaction. Where a work fails it alone is undone and rejects: the transaction is rolled back, and done again
 * with a savepoint for each. Where the transaction itself fails nothing is stored and all reject. So a work may run
 * twice, and must do nothing but ask and change the database. `before` ends what else is open on the connection.
 */
export function groupCommit(db: Database, before: () => void = () => {}): GroupCommit {
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
      before()
      const results = transaction(() => jobs.map(runTogether))
      for (const [i, { resolve }] of jobs.entries()) resolve(results[i])
    } catch (fault) {
      const ofOne = fault instanceof WorkFailed
      if (ofOne && jobs.length > 1) commitSeparately(jobs)
      else for (const { reject } of jobs) reject(ofOne ? fault.cause : fault)
    }
  }

  function commitSeparately(jobs: readonly Job[]): void {
    try {
      for (const tell of transaction(() => jobs.map(runAlone))) tell()
    } catch (fault) {
      for (const { reject } of jobs) reject(fault)
    }
  }

  function runTogether({ work }: Job): unknown {
    try {
      return work()
    } catch (fault) {
      throw new WorkFailed("a work of a transaction failed", { cause: fault })
    }
  }

  function transaction<Result>(work: () => Result): Result {
    sql.begin.run()
    try {
      const result = work()
      sql.commit.run()
      return result
    } catch (fault) {
      if (db.inTransaction) sql.rollback.run()
      throw fault
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
