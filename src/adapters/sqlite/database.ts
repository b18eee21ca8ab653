import { Database } from "bun:sqlite"
import { closeSync, existsSync, mkdirSync, openSync, realpathSync } from "node:fs"
import { dirname } from "node:path"

/** How long a write waits for another process's, in milliseconds. Ours take a few. */
const busyTimeoutMs = 5000

/** Makes the file, readable by its owner alone, and its directory where they are missing. */
export function createDatabase(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  // Never opens a file that exists: closing it would drop the POSIX locks that SQLite holds on it.
  if (!existsSync(path)) closeSync(openSync(path, "a", 0o600))
}

/** Opens an existing database so that a commit is on disk when it returns. */
export function openDatabase(path: string): Database {
  const db = new Database(path, { readwrite: true, create: false, strict: true })
  db.run(`pragma busy_timeout = ${busyTimeoutMs}`)
  whenFree(() => db.run("pragma journal_mode = wal"))
  db.run("pragma synchronous = full")
  db.run("pragma foreign_keys = on")
  return db
}

/**
 * A statement that may half fail keeps pages as they were: from 64 KB a transaction on in a file among the system's
 * temporary ones. Not for migrations, whose new indexes are sorted there as well.
 */
export function keepTemporaryInMemory(db: Database): void {
  db.run("pragma temp_store = memory")
}

/** The first switch to write-ahead logging fails at once beside another process, whatever the busy timeout. */
function whenFree(work: () => void): void {
  const deadline = Date.now() + busyTimeoutMs
  for (;;) {
    try {
      work()
      return
    } catch (fault) {
      if (!isBusy(fault) || Date.now() > deadline) throw fault
      Bun.sleepSync(5)
    }
  }
}

/**
 * Makes this the one process that serves the database, until the returned function is called or the process
 * ends in any way. The claim is a lock on a file beside the database, which the operating system releases
 * by itself; the file stays. Throws where another serves it.
 */
export function claimServing(path: string): () => void {
  const claim = `${realpathSync(path)}.serving`
  createDatabase(claim)
  const db = new Database(claim, { readwrite: true, create: false })
  try {
    db.run("pragma journal_mode = memory") // the lock is all we want, not a journal file
    db.run("begin exclusive")
  } catch (fault) {
    db.close()
    throw isBusy(fault) ? new Error(servedAlready(path)) : fault
  }
  return () => db.close()
}

function servedAlready(path: string): string {
  return `Another process already serves the database ${path}. Stop that one first, or give this one a database of its own; to run several instances on the same data, use PostgreSQL.`
}

function isBusy(fault: unknown): boolean {
  return fault instanceof Error && "code" in fault && fault.code === "SQLITE_BUSY"
}
