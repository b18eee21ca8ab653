import { ConnectError } from "../../domain/errors.ts"

/** Of a request's address what decides anything at the edge. A URL is one. */
export interface Address {
  readonly pathname: string
  readonly search: string
}

/** What no parser changes anything of: no dots, no escapes but in the query, and nothing that needs one. */
const plainPath = /^\/[\w/-]*$/
const plainQuery = /^\?[\w.=&%~-]+$/

/**
 * Reads http and https addresses as a URL parser does. One whose origin was parsed before, as nearly every one's, and that
 * is plain is not parsed again, which costs five times as much. Throws `invalid_input`.
 */
export function addressReader(): (url: string) => Address {
  let known: string | undefined
  return (url) => {
    const at = url.indexOf("/", "https://".length)
    if (url.slice(0, at) !== known) {
      const parsed = readUrl(url)
      // Not where the two differ in where the path begins, as with a Host that has a ? or a \.
      if (parsed.pathname + parsed.search === url.slice(at)) known = url.slice(0, at)
      return parsed
    }
    const mark = url.indexOf("?", at)
    const pathname = mark < 0 ? url.slice(at) : url.slice(at, mark)
    const search = mark < 0 ? "" : url.slice(mark)
    const isPlain = plainPath.test(pathname) && (search === "" || plainQuery.test(search))
    return isPlain ? { pathname, search } : readUrl(url)
  }
}

/** Where `Host` is missing or no URL can have it, Bun leaves but a path in `request.url`. */
function readUrl(text: string): URL {
  const url = URL.parse(text)
  // Bun lets one through. Elysia reads the query to the end of the text, a URL only to the fragment.
  if (url && text.includes("#"))
    throw new ConnectError("invalid_input", "The address has a #, which no request carries; write it as %23.")
  if (url) return url
  throw new ConnectError("invalid_input", "Send a Host header that is a host name, with a port or without.")
}
