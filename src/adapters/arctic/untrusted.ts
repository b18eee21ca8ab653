/**
 * Readers for what a provider sent. Nothing is believed: each takes any value and gives a checked one, or
 * nothing, so that a hostile or broken answer ends as a missing field and never as an exception.
 */

const maxTokenCharacters = 8192
const maxIdCharacters = 256
const maxNameCharacters = 500
const maxUrlCharacters = 2048
const maxScopes = 100
const maxLifetimeSeconds = 10 * 365 * 24 * 60 * 60

/** Undefined where the text is not JSON. An integer above 2^53 comes back as the digits that were sent. */
export function parseJson(text: string): unknown {
  try {
    // The reviver costs ten times the parsing, and only digits that 2^53 has too can need it.
    return mayBeInexact.test(text) ? JSON.parse(text, keepExactIntegers) : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Sixteen digits in a row where a number can begin; within a text they do no harm. */
const mayBeInexact = /(?:^|[\s:,[-])\d{16}/

function keepExactIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value
  const source = context?.source ?? ""
  return /^-?\d+$/.test(source) ? source : value
}

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** A field of the answer's own, never one that every object inherits. */
export function field(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}

/** An empty list for anything but a list. */
export function readItems(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** A text that is not empty, as it was sent. */
export function readText(value: unknown): string | undefined {
  return typeof value === "string" && value.length > 0 ? value : undefined
}

/** An opaque id; a number is one as long as it is exact. */
export function readId(value: unknown): string | undefined {
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value
  return isVisibleAscii(text, maxIdCharacters) ? text : undefined
}

/** RFC 6749 appendix A.12, less the space, which no header could carry. */
export function readToken(value: unknown): string | undefined {
  return isVisibleAscii(value, maxTokenCharacters) ? value : undefined
}

function isVisibleAscii(value: unknown, longest: number): value is string {
  return typeof value === "string" && value.length <= longest && /^[\x21-\x7e]+$/.test(value)
}

/** A text for people: control characters become spaces, and what is too long is cut. */
export function readName(value: unknown): string | null {
  if (typeof value !== "string") return null
  const text = value.replace(/\p{Cc}+/gu, " ").trim()
  return cutText(text, maxNameCharacters) || null
}

/** At most so many characters, never half of one. */
export function cutText(text: string, longest: number): string {
  const whole = text.toWellFormed()
  return whole.length <= longest
    ? whole
    : Array.from(whole.slice(0, longest * 2))
        .slice(0, longest)
        .join("")
}

export function readHttpsUrl(value: unknown): string | null {
  const url = typeof value === "string" && value.length <= maxUrlCharacters ? URL.parse(value) : null
  const plain = url?.protocol === "https:" && url.username === "" && url.password === ""
  return plain && url.href.length <= maxUrlCharacters ? url.href : null
}

/** A lifetime; undefined for what cannot be one, so that the caller's documented fallback applies. */
export function readLifetimeSeconds(value: unknown): number | undefined {
  const seconds = typeof value === "string" && /^\d{1,12}$/.test(value) ? Number(value) : value
  const usable = typeof seconds === "number" && seconds > 0 && seconds <= maxLifetimeSeconds
  return usable ? seconds : undefined
}

/** Scopes as a list or as one text, whatever it joins them with. Undefined where the answer names none at all. */
export function readScopes(value: unknown): readonly string[] | undefined {
  const parts = typeof value === "string" ? value.split(/[\s,]+/) : Array.isArray(value) ? value : undefined
  if (!parts) return undefined
  const scopes: string[] = []
  for (const part of parts) {
    if (scopes.length === maxScopes) break
    // They are few: a set costs 3 µs more.
    if (isVisibleAscii(part, maxIdCharacters) && !scopes.includes(part)) scopes.push(part)
  }
  return scopes
}
