import { type IdPrefix, idRandomBytes, newId } from "../domain/id.ts"
import type { Clock, RandomBytes } from "../ports/crypto.ts"

export type Ids = (prefix: IdPrefix) => string

/** Two bytes' worth. */
const maxSequence = 256 ** 2 - 1

/**
 * Ids in the order in which this process made them, within a millisecond and over a clock that steps back too,
 * so that a connect's events read as they happened. A flow's gives none of its 128 random bits up for that,
 * since it is the handle within a state.
 */
export function ids(deps: { readonly now: Clock; readonly randomBytes: RandomBytes }): Ids {
  let time = 0
  let sequence = 0
  const sequenced = (prefix: IdPrefix): string => {
    const now = deps.now().getTime()
    if (now > time || sequence === maxSequence) {
      time = Math.max(now, time + 1)
      sequence = 0
    } else {
      sequence++
    }
    const bytes = deps.randomBytes(idRandomBytes)
    bytes[0] = sequence >> 8
    bytes[1] = sequence & 255
    return newId(prefix, new Date(time), bytes)
  }
  return (prefix) =>
    prefix === "flow" ? newId(prefix, deps.now(), deps.randomBytes(idRandomBytes)) : sequenced(prefix)
}
