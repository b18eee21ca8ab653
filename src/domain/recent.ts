export interface Recent<Value> {
  get(name: string): Value | undefined
  set(name: string, value: Value): void
  delete(name: string): void
  clear(): void
}

/**
 * Keeps what was asked for last: `fewest` values at the least, and at the most twice as many. They are dropped half of
 * them at once, so that a working set a little larger than this is not lost with every value that is new.
 */
export function recent<Value>(fewest: number): Recent<Value> {
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()

  function set(name: string, value: Value): void {
    if (young.size >= fewest) {
      old = young
      young = new Map()
    }
    young.set(name, value)
  }

  return {
    get(name) {
      const value = young.get(name)
      if (value !== undefined) return value
      const older = old.get(name)
      if (older !== undefined) set(name, older)
      return older
    },
    set,
    delete(name) {
      young.delete(name)
      old.delete(name)
    },
    clear() {
      young.clear()
      old.clear()
    },
  }
}
