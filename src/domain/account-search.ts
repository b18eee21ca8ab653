import type { Account } from "./account.ts"

/**
 * What the stores must do alike with text. They differ by nature: PostgreSQL keeps no NUL, UTF-8 no lone
 * surrogate, and each has its own idea of letter case. So it is settled here, once, before a store sees it.
 */

/** Free text as every store can keep it: NUL and lone surrogates, which some cannot, become U+FFFD. */
export function storableText(text: string): string {
  return text.isWellFormed() && !text.includes("\0") ? text : text.toWellFormed().replaceAll("\0", "\uFFFD")
}

/** {@link storableText} for every text in plain data, names of fields included. A copy; dates stay dates. */
export function storable<Value>(value: Value): Value {
  return storableCopy(value) as Value
}

/**
 * Text that identifies a row (a tenant, an id, an account's platform id) is kept exactly or not at all:
 * mended, it could name another's row. Throws `RangeError` where a store could not keep it.
 */
export function exactText(text: string): string {
  if (storableText(text) === text) return text
  throw new RangeError("An identifying text must not have a NUL or a lone surrogate.")
}

/** One connect names each upstream account once. Throws `RangeError` where it names one twice. */
export function refuseTwins(accounts: readonly Pick<Account, "provider" | "platformAccountId">[]): void {
  const named = new Set(accounts.map((account) => `${account.provider}/${account.platformAccountId}`))
  if (named.size < accounts.length) throw new RangeError("A connect must not name one account twice.")
}

/** Stands between the values of a search text. A folded text never has it, so no query matches across two values. */
const separator = "\u001F"

/** The text in which {@link searchFold}ed queries are looked for: handle, display name and every metadata value. */
export function searchText(account: Pick<Account, "handle" | "displayName" | "metadata">): string {
  return [account.handle, account.displayName, ...Object.values(account.metadata)]
    .filter((value) => value !== null)
    .map(searchFold)
    .join(separator)
}

/** Folds the case of ASCII letters alone: what a store or a locale holds of other letters does not matter. */
export function searchFold(text: string): string {
  return storableText(text)
    .replaceAll(separator, " ")
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function storableCopy(value: unknown): unknown {
  if (typeof value === "string") return storableText(value)
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Date) return new Date(value)
  if (Array.isArray(value)) return value.map(storableCopy)
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [storableText(name), storableCopy(entry)]),
  )
}
