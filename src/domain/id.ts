const alphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32, whose text order is the order of the bytes

export const idRandomBytes = 16

export type IdPrefix = "oa" | "acc" | "flow" | "key" | "evt" | "wh" | "req"

/**
 * An id whose text order is the order of creation (to the millisecond), so that the stores append
 * instead of scattering; 128 random bits come after the time and make it unguessable.
 */
export function newId(prefix: IdPrefix, now: Date, random: Uint8Array): string {
  if (random.length !== idRandomBytes) throw new RangeError(`an id takes ${idRandomBytes} random bytes`)
  const at = (i: number): number => random[i] ?? 0
  const time = now.getTime()
  // 48 bits of time, 128 random ones and four zeros, twenty at a time: every call makes several ids.
  let text = `${prefix}_${base32(Math.floor(time / 2 ** 28) & 0xfffff)}${base32((time / 256) & 0xfffff)}`
  text += base32(((time & 255) << 12) | (at(0) << 4) | (at(1) >> 4))
  text += base32(((at(1) & 15) << 16) | (at(2) << 8) | at(3))
  for (let i = 4; i < 14; i += 5) {
    text += base32((at(i) << 12) | (at(i + 1) << 4) | (at(i + 2) >> 4))
    text += base32(((at(i + 2) & 15) << 16) | (at(i + 3) << 8) | at(i + 4))
  }
  return text + base32((at(14) << 12) | (at(15) << 4))
}

/** The last character has one bit to tell: with any other it would be a second spelling of the same bytes. */
const idPattern = /^[0-9a-hjkmnp-tv-z]{35}[0g]$/

/** Whether a text could be one of our ids; anything else is unknown without asking a store. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && idPattern.test(text.slice(prefix.length + 1))
}

const pairs = Array.from({ length: 1024 }, (_, i) => `${alphabet[i >> 5]}${alphabet[i & 31]}`)

/** Twenty bits as four characters. */
function base32(bits: number): string {
  return `${pairs[bits >> 10]}${pairs[bits & 1023]}`
}
