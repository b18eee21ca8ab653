import type { Brand } from "./brand.ts"
import { ConnectError } from "./errors.ts"

/** An absolute address that a policy accepted: the parsed URL's serialisation, fit for a Location header. */
export type ReturnUrl = Brand<string, "ReturnUrl">

const maxCharacters = 2048
const loopbackHosts: readonly string[] = ["localhost", "127.0.0.1", "[::1]"]
const maxEncodingDepth = 5

/**
 * The parameters that carry the result; a return URL may not bring its own. Matches every decoded name that
 * some framework would file under them: PHP trims a name, cuts it at a NUL or `[`, and writes `_` for a dot, a
 * space or a lone `[`; ASP.NET ignores letter case.
 */
const resultParameter = /^\s*(connected|oauth[_.\s[]error|connect[_.\s[]code)\s*(?:$|[[\0])/i

/** A host as its canonical form spells it, with a port or without. No `u` flag: `i` must fold ASCII alone. */
const plainAuthority = /^(?:[a-z0-9_][a-z0-9._-]{0,252}|\[[0-9a-f:]+\])(?::\d+)?$/i

/** Tested first, since it is what nearly all addresses are made of and {@link invisible} costs more than all else. */
const visibleAscii = /^[!-~]*$/
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{White_Space}\p{Default_Ignorable_Code_Point}]/u

/** Nothing in it is encoded or could be read in two ways. */
const plainPath = /^[\w/.~-]*$/

/** What no decoder may meet: an escape that hides `/`, `\`, `.` or a control, or is not an escape everywhere. */
const hiddenByEscape = /%(?:2f|5c|2e|[01][0-9a-f]|7f|u[0-9a-f]{4})/i

/** The same as decoded bytes: C1 controls, and the overlong UTF-8 that lax decoders read as ASCII. */
const hiddenByBytes = /\xc2[\x80-\x9f]|[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]/

/**
 * Decides where a browser may be sent after a connect. An address is accepted when one allowed entry has the
 * same origin and its path equals the entry's path or continues it at a segment boundary; an entry that ends
 * in `/`, or has no path, covers all below it. Everything that two URL parsers could read differently is
 * refused whatever it resolves to (RFC 9700 section 4.1; design page, ReturnUrlPolicy).
 */
export class ReturnUrlPolicy {
  readonly #covers: (url: URL) => boolean
  readonly #refusal: string
  /** Most people of an app come back to the same address; what it was accepted by does not change. */
  #last: { readonly raw: string; readonly accepted: ReturnUrl } | undefined

  constructor(allowedReturnUrls: readonly string[]) {
    const entries = allowedReturnUrls.map(readEntry)
    this.#covers = (url) => entries.some((entry) => entryCovers(entry, url))
    this.#refusal =
      entries.length === 0
        ? "the app allows no return URL yet; add its origin and path to the app's allowed_return_urls"
        : "no entry of the app's allowed_return_urls covers it; add its origin and path there, or use one of the entries"
  }

  /** For the sandbox's built-in app: every loopback address, whatever its port and path. */
  static loopback(): ReturnUrlPolicy {
    return new LoopbackPolicy()
  }

  /** Throws `return_url_refused`, whose message says what to change. */
  accept(raw: string): ReturnUrl {
    if (this.#last?.raw !== raw) this.#last = { raw, accepted: this.#judge(raw) }
    return this.#last.accepted
  }

  #judge(raw: string): ReturnUrl {
    const parsed = parseReturnUrl(raw)
    if (typeof parsed === "string") throw refused(parsed)
    if (parsed.search !== "" && bringsResult(parsed.search)) {
      throw refused(
        "its query already has connected, connect_code or oauth_error, which Mooring adds; take it out",
      )
    }
    if (!this.#covers(parsed)) throw refused(this.#refusal)
    return parsed.href as ReturnUrl
  }

  /** Whether an address accepted earlier is still covered, for instance by the list as it is at the callback. */
  stillCovers(returnUrl: ReturnUrl): boolean {
    return this.#covers(new URL(returnUrl))
  }
}

function bringsResult(search: string): boolean {
  // Some servers split queries at semicolons too.
  const names = [...new URLSearchParams(search.replaceAll(";", "&")).keys()]
  return names.some((name) => resultParameter.test(name))
}

class LoopbackPolicy extends ReturnUrlPolicy {
  constructor() {
    super([])
  }

  override accept(raw: string): ReturnUrl {
    const parsed = parseReturnUrl(raw)
    if (typeof parsed !== "string" && !loopbackHosts.includes(parsed.hostname)) {
      throw refused(
        "the sandbox's built-in app returns to localhost, 127.0.0.1 or [::1] only; store an app of your own with this address in its allowed_return_urls",
      )
    }
    const origin = typeof parsed === "string" ? [] : [parsed.origin]
    return new ReturnUrlPolicy(origin).accept(raw)
  }

  override stillCovers(returnUrl: ReturnUrl): boolean {
    return loopbackHosts.includes(new URL(returnUrl).hostname)
  }
}

/** What is wrong with an entry of an allow-list, or undefined. Entries obey the same rules, and are plainer still. */
export function returnUrlEntryFault(entry: string): string | undefined {
  if (entry === "") return "must not be empty"
  if (entry.includes("*")) return "must not have a wildcard; list each address, a path covers all below it"
  if (entry.includes("?")) return "must not have a query; return_url may bring one"
  const parsed = parseReturnUrl(entry)
  return typeof parsed === "string" ? parsed : undefined
}

/** Appends a result, keeping the query that is there byte for byte (URLSearchParams would rewrite it). */
export function withResult(
  returnUrl: ReturnUrl,
  result: { readonly connected: string; readonly connect_code?: string } | { readonly oauth_error: string },
): string {
  const added = Object.entries<string>(result).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  // Only the first question mark opens the query: one at the end of `?a=b?` belongs to a value.
  const joint = !returnUrl.includes("?") ? "?" : /^[^?]*\?$|&$/.test(returnUrl) ? "" : "&"
  return `${returnUrl}${joint}${added.join("&")}`
}

function refused(why: string): ConnectError {
  return new ConnectError("return_url_refused", `return_url is refused: ${why}.`, {
    faults: [{ field: "return_url", detail: why }],
  })
}

/** The URL, or one phrase that says what is wrong with the text. */
function parseReturnUrl(raw: string): URL | string {
  if (raw.length === 0) return "must not be empty; leave it out to land on the dashboard"
  if (raw.length > maxCharacters) return `must have at most ${maxCharacters} characters`
  if (raw.includes("\\")) return "must not have a backslash"
  if (raw.includes("#")) return "must not have a fragment, not even an empty one"
  if (!visibleAscii.test(raw) && invisible.test(raw)) {
    return "must not have white space, control or invisible characters; percent-encode them in the query"
  }
  const shape = /^(https?):\/\/([^/?]+)([^?]*)/.exec(raw)
  if (!shape) return "must be an absolute address that begins with https:// and a host"
  const [, scheme, authority = "", path = ""] = shape
  if (authority.includes("@")) return "must not have user info before the host"
  const url = URL.parse(raw)
  if (!url) return "is not a valid address"
  if (scheme === "http" && !loopbackHosts.includes(url.hostname)) {
    return "must use https; http is for localhost, 127.0.0.1 and [::1]"
  }
  // Lower-casing alone would let a KELVIN SIGN through as a k, and the parser alone `a;b` or `a"b` as a host.
  if (authority.toLowerCase() !== url.host || !plainAuthority.test(authority)) {
    return `must spell its host canonically, in letters, digits, dots and hyphens: ${url.host}`
  }
  // A Location carries the serialisation, which spells what is not ASCII at up to six times its length.
  if (url.href.length > maxCharacters) return `must have at most ${maxCharacters} characters, percent-encoded`
  return pathFault(path) ?? url
}

/**
 * Undoes percent-encoding layer by layer, as bytes, and refuses what some server behind the tenant's own might
 * act on. Bytes, since one character may come encoded at several depths at once (`%c2%2585`).
 */
function pathFault(path: string): string | undefined {
  if (plainPath.test(path)) return undefined
  if (/%(?![0-9a-f]{2})/i.test(path)) return "must not have a malformed escape in its path"
  let layer = path.replace(/[^\x00-\x7f]+/g, encodeURIComponent)
  for (let depth = 0; depth <= maxEncodingDepth; depth++) {
    if (/(^|\/)\.+;/.test(layer)) return "must not have a segment of dots with a parameter in its path"
    if (hiddenByEscape.test(layer) || hiddenByBytes.test(layer)) {
      return "must not have an encoded slash, backslash, dot or control character in its path"
    }
    const next = layer.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    if (next === layer) return undefined
    layer = next
  }
  return "must not encode its path over and over"
}

interface Entry {
  readonly origin: string
  readonly path: string
  /** What the path of an address below it begins with. */
  readonly prefix: string
}

function readEntry(entry: string): Entry {
  const { origin, pathname: path } = new URL(entry)
  return { origin, path, prefix: path.endsWith("/") ? path : `${path}/` }
}

function entryCovers({ origin, path, prefix }: Entry, url: URL): boolean {
  if (origin !== url.origin) return false
  const { pathname } = url
  return pathname === path || pathname.startsWith(prefix)
}
