const alphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32, whose text order is the order of the bytes

const timeBytes = 6
export const idRandomBytes = 16

export type IdPrefix = "oa" | "acc" | "flow" | "key" | "evt" | "wh" | "req"

/**
 * An id whose text order is the order of creation (to the millisecond), so that the stores append
 * instead of scattering; 128 random bits come after the time and make it unguessable.
 */
export function newId(prefix: IdPrefix, now: Date, random: Uint8Array): string {
  if (random.length !== idRandomBytes) throw new RangeError(`an id takes ${idRandomBytes} random bytes`)
  const bytes = new Uint8Array(timeBytes + idRandomBytes)
  let time = now.getTime()
  for (let i = timeBytes - 1; i >= 0; i--) {
    bytes[i] = time % 256
    time = Math.floor(time / 256)
  }
  bytes.set(random, timeBytes)
  return `${prefix}_${base32(bytes)}`
}

/** The last character has one bit to tell: with any other it would be a second spelling of the same bytes. */
const idPattern = /^[0-9a-hjkmnp-tv-z]{35}[0g]$/

/** Whether a text could be one of our ids; anything else is unknown without asking a store. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && idPattern.test(text.slice(prefix.length + 1))
}

const characterCodes = Uint8Array.from(alphabet, (character) => character.charCodeAt(0))

/**
 * Five bytes, as two halves of twenty bits, are eight characters; behind the last byte come zeros. By character
 * codes, since every call makes several ids and joining texts costs three times as much.
 */
function base32(bytes: Uint8Array): string {
  const at = (i: number): number => bytes[i] ?? 0
  const codes: number[] = []
  for (let i = 0; i < bytes.length; i += 5) {
    const high = (at(i) << 12) | (at(i + 1) << 4) | (at(i + 2) >> 4)
    const low = ((at(i + 2) & 15) << 16) | (at(i + 3) << 8) | at(i + 4)
    for (const half of [high, low]) {
      for (let bit = 15; bit >= 0; bit -= 5) codes.push(characterCodes[(half >> bit) & 31] ?? 0)
    }
  }
  codes.length = Math.ceil((bytes.length * 8) / 5)
  return String.fromCharCode(...codes)
}
