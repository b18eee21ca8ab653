/** What the busiest statements have in common, each of which does what was asked of one moment. */
import type { PendingQuery, Sql } from "postgres"
import { mostTogether } from "./batched.ts"

/**
 * Runs a statement whose text was made once, when the program was loaded: the driver would put fragments together
 * anew for each call, which was 7 % of all that a callback cost the service.
 */
export function runBatch<Answer extends object>(
  sql: Sql,
  statement: string,
  parameters: readonly (string | null | JsonParameter)[],
): PendingQuery<Answer[]> {
  return sql.unsafe<Answer[]>(statement, [...parameters], { prepare: true })
}

type JsonParameter = ReturnType<Sql["json"]>

/**
 * A source of `asked` rows with their `place`, each column of which is one {@link textArray} from the first
 * parameter on. The planner cannot tell its limit and so expects one row: it then looks each row up by index, also
 * where it takes a table for small that has just begun to grow.
 */
export function askedWith(...columns: readonly string[]): string {
  const arrays = columns.map((_, i) => `$${i + 1}::text[]`)
  return `(
    select * from unnest(${arrays}) with ordinality limit (select ${mostTogether})
  ) asked (${columns}, place)`
}

/** A parameter for an array of texts, as the server writes it: array types are unknown to the driver without asking. */
export function textArray(texts: readonly (string | null)[]): string {
  const quoted = texts.map((text) => (text === null ? "null" : `"${text.replace(/["\\]/g, "\\$&")}"`))
  return `{${quoted.join(",")}}`
}

/** The first of those that have one name. */
export function firstOfEach<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
): ReadonlyMap<string, Item> {
  const first = new Map<string, Item>()
  for (const item of items) if (!first.has(nameOf(item))) first.set(nameOf(item), item)
  return first
}
