/**
 * What the stores must do alike with positions: each event has a place, a number that is higher the later it was
 * stored, and a position is the text of one.
 */

/** The place that a position tells of. Throws `RangeError` for one that no store gave. */
export function placeIn(position: string): number {
  if (/^[1-9]\d{0,14}$/.test(position)) return Number(position)
  throw new RangeError("A position must be one that the store gave.")
}

export interface Placed<Item> {
  readonly item: Item
  readonly place: number
}

/** A page of rows in order, of which one more than its limit were looked for. */
export function pageOf<Item>(
  found: readonly Placed<Item>[],
  { limit, after = null }: { readonly limit: number; readonly after?: string | null },
): { readonly items: readonly Item[]; readonly position: string | null; readonly more: boolean } {
  const rows = found.slice(0, limit)
  const last = rows.at(-1)
  return {
    items: rows.map(({ item }) => item),
    position: last ? String(last.place) : after,
    more: found.length > limit,
  }
}
