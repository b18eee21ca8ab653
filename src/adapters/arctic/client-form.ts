import { withinFetch } from "./scoped-fetch.ts"

/** What a client of Arctic's sends, less the address and the credentials that it puts into a header. */
export interface FormedRequest {
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** `application/x-www-form-urlencoded`. */
  readonly body: string
}

/** One field of a form: its name, encoded, and either its text, encoded too, or which value stands there. */
type Field<Name> = readonly [string, { readonly text: string } | { readonly value: Name }]

interface Template<Name> {
  readonly headers: FormedRequest["headers"]
  readonly fields: readonly Field<Name>[]
}

/**
 * Gives what `client` sends for any values, byte for byte, but has it form one request for all of them: of marks
 * where the values will stand, which are then filled in. 1 µs a request in place of 20. Nothing is ever sent from
 * here, and nothing of a value is kept.
 */
export function clientForm<Name extends string>(
  names: readonly Name[],
  client: (values: Readonly<Record<Name, string>>) => Promise<unknown>,
): (values: Readonly<Record<Name, string>>) => Promise<FormedRequest> {
  let template: Template<Name> | undefined
  return async (values) => {
    template ??= await templateOf(names, client)
    const texts = template.fields.map(
      ([name, part]) => `${name}=${"text" in part ? part.text : formEncode(values[part.value])}`,
    )
    return { headers: template.headers, body: texts.join("&") }
  }
}

async function templateOf<Name extends string>(
  names: readonly Name[],
  client: (values: Readonly<Record<Name, string>>) => Promise<unknown>,
): Promise<Template<Name>> {
  const marks = new Map(names.map((name) => [`mark-of-${name}`, name]))
  const marked = Object.fromEntries([...marks].map(([mark, name]) => [name, mark]))
  const request = await requestFormedBy(() => client(marked as Readonly<Record<Name, string>>))
  // Their length is another for every value, and credentials in a header would be the marks'.
  const { "content-length": _, authorization: __, ...headers } = Object.fromEntries(request.headers)
  const fields = [...new URLSearchParams(await request.text())].map(([name, text]): Field<Name> => {
    const value = marks.get(text)
    return [formEncode(name), value === undefined ? { text: formEncode(text) } : { value }]
  })
  return { headers, fields }
}

/** The first request of a client's; it gets no answer, since what the client would make of one does not count. */
function requestFormedBy(client: () => Promise<unknown>): Promise<Request> {
  return new Promise((resolve, reject) => {
    const take = (formed: Request) => {
      resolve(formed)
      return new Promise<Response>(() => {})
    }
    withinFetch(take, client).then(() => reject(new Error("nothing was sent")), reject)
  })
}

/** A text as it stands in a form (WHATWG URL, application/x-www-form-urlencoded). */
export function formEncode(text: string): string {
  // What most ids, codes and secrets are made of stays as it is.
  if (/^[\w*.-]*$/.test(text)) return text
  return encodeURIComponent(text.toWellFormed()).replace(/%20|[!'()~]/g, (found) =>
    found === "%20" ? "+" : `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
