import type { TUnsafe } from "@sinclair/typebox"
import { t } from "elysia"
import { ConnectError, type FieldFault, invalidField } from "../../domain/errors.ts"
import { providerNames } from "../../domain/provider.ts"
import { parseRfc3339, rfc3339Example } from "../../domain/rfc3339.ts"

/** What the shapes of the wire share. They say what type a field has; what it may hold is the domain's to judge. */

/** Elysia's own `UnionEnum` would fill in its first value where the field is absent. */
export function oneOf<const Value extends string>(values: readonly Value[]): TUnsafe<Value> {
  const literals = values.map((value) => t.Literal(value))
  return t.Unsafe<Value>(t.Union(literals, { detail: `must be one of ${values.join(", ")}` }))
}

export const text = (detail = "must be text") => t.String({ detail })

/** A text to look something up by: no control characters, which the stores would choke on. */
export const plainText = (most: number) =>
  t.String({
    pattern: "^[^\\u0000-\\u001f\\u007f]*$",
    maxLength: most,
    detail: `must have at most ${most} characters, without control characters`,
  })

export const providerName = oneOf(providerNames)

/** As text, since Elysia's numbers take 1e1 and 0x10 too. */
export const pageLimit = t.String({
  pattern: "^([1-9]\\d?|100)$",
  detail: "must be a whole number from 1 to 100",
})

const timeDetail = `must be an RFC 3339 time such as ${rfc3339Example}`

export const timeText = text(timeDetail)

export const closed = { additionalProperties: false } as const

export const unknownField = "is not a field of this call; check its spelling or leave it out"

interface SchemaError {
  readonly path: string
  readonly message: string
  readonly schema: { readonly detail?: unknown }
}

/** The faults of a body or query that does not fit, in our words: Elysia's own would quote what was sent, secrets included. */
export function readSchemaErrors(errors: Iterable<unknown>): ConnectError {
  const faults = new Map<string, FieldFault>()
  for (const { path, message, schema } of errors as Iterable<SchemaError>) {
    const field = fieldName(path).slice(0, 100)
    if (!faults.has(field)) faults.set(field, { field, detail: describe(message, schema) })
  }
  const found = [...faults.values()].slice(0, 20)
  const [first] = found
  if (!first) return new ConnectError("invalid_input", "The input does not have the documented shape.")
  const more = found.length === 1 ? "" : ` (and ${found.length - 1} more, see errors)`
  return new ConnectError("invalid_input", `${first.field || "body"}: ${first.detail}${more}`, {
    faults: found,
  })
}

/** `scopes[1]` for the JSON pointer `/scopes/1` (RFC 6901). */
function fieldName(pointer: string): string {
  const names = pointer
    .split("/")
    .slice(1)
    .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"))
  return names.map((name, i) => (i === 0 ? name : /^\d+$/.test(name) ? `[${name}]` : `.${name}`)).join("")
}

function describe(message: string, schema: SchemaError["schema"]): string {
  if (message === "Unexpected property") return unknownField
  if (message === "Expected required property") return "is required"
  return typeof schema.detail === "string" ? schema.detail : message.replace(/^Expected/, "must be")
}

/** The moment a text names; refuses what is no RFC 3339 time. */
export function readTime(field: string, raw: string): Date {
  const time = parseRfc3339(raw)
  if (time) return time
  throw invalidField(field, timeDetail)
}
