import type { Database } from "bun:sqlite"
import { recent } from "../../domain/recent.ts"

/** So many at the least, and twice as many at the most: an account with its app takes 2 KB, with the longest tokens 40. */
const fewestRemembered = 2_000

export interface TurnReads {
  /**
   * Opens one transaction for what is read in this turn of the event loop, unless one is open. Until the turn ends
   * nothing is seen that another process commits meanwhile.
   */
  begin(): void
  /** Before our own writes, and before the database is closed. */
  end(): void
  /**
   * What `read` answers, or has answered under this name since the database last changed under another process's
   * hands or was {@link forget}ed. Nothing is remembered that was not found, or that was read within a write. For rows
   * that are read with every call and change seldom; whoever changes one forgets it in the same work.
   */
  remember<Value extends object>(name: string, read: () => Value | undefined): Value | undefined
  /** Without a name, everything. */
  forget(name?: string): void
}

/**
 * A read outside a transaction takes and gives back the lock of the file, which costs twice as much as the look-up
 * itself (10 of 13.5 µs were measured). So the reads of one turn share a transaction; and SQLite's `data_version`, which
 * another process's commit changes, is asked once in it.
 */
export function turnReads(db: Database): TurnReads {
  const sql = {
    begin: db.query<never, []>("begin"),
    commit: db.query<never, []>("commit"),
    version: db.query<{ readonly data_version: number }, []>("pragma data_version"),
  }
  const remembered = recent<object>(fewestRemembered)
  let version: number | undefined
  let open = false

  function begin(): void {
    // Within a write there is a transaction already.
    if (open || db.inTransaction) return
    sql.begin.run()
    open = true
    setImmediate(end)
    forgetWhatOthersChanged()
  }

  /** Within a transaction, so that nobody changes anything meanwhile. */
  function forgetWhatOthersChanged(): void {
    try {
      const now = sql.version.get()?.data_version
      if (now !== version) remembered.clear()
      version = now
    } catch (fault) {
      // Nobody may be answered from memory then.
      version = undefined
      remembered.clear()
      end()
      throw fault
    }
  }

  function end(): void {
    if (!open) return
    open = false
    // A full disk or a broken one makes SQLite end the transaction all by itself.
    if (db.inTransaction) sql.commit.run()
  }

  return {
    begin,
    end,
    remember<Value extends object>(name: string, read: () => Value | undefined) {
      begin()
      if (!open) forgetWhatOthersChanged()
      const held = remembered.get(name)
      if (held) return held as Value
      const found = read()
      // What a write reads may be its own, and undone.
      if (found && open) remembered.set(name, found)
      return found
    },
    forget(name) {
      if (name === undefined) remembered.clear()
      else remembered.delete(name)
    },
  }
}
