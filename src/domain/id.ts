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

/** Two characters at a time, since every call makes several ids. */
const pairs = Array.from({ length: 1024 }, (_, i) => `${alphabet[i >> 5]}${alphabet[i & 31]}`)

/** Five bytes, as two halves of twenty bits, are eight characters; behind the last byte come zeros. */
function base32(bytes: Uint8Array): string {
  const at = (i: number): number => bytes[i] ?? 0
  let text = ""
  for (let i = 0; i < bytes.length; i += 5) {
    const high = (at(i) << 12) | (at(i + 1) << 4) | (at(i + 2) >> 4)
    const low = ((at(i + 2) & 15) << 16) | (at(i + 3) << 8) | at(i + 4)
    text += `${pairs[high >> 10]}${pairs[high & 1023]}${pairs[low >> 10]}${pairs[low & 1023]}`
  }
  return text.slice(0, Math.ceil((bytes.length * 8) / 5))
}
