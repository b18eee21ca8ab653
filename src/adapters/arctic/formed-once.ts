import type { AuthorizeRequest } from "../../ports/providers.ts"
import { type Challenge, challengeOf, verifierOf } from "./provider-adapter.ts"

const maxKept = 1000

/** Stand where a flow's own will; random, so that nothing a tenant makes up looks like them. */
const marks = { state: crypto.randomUUID(), codeVerifier: crypto.randomUUID() + crypto.randomUUID() }

const markChallenges: Readonly<Record<Challenge, string>> = {
  base64url: challengeOf(marks.codeVerifier, "base64url"),
  hex: challengeOf(marks.codeVerifier, "hex"),
}

const anyMark = new RegExp(`(${[marks.state, ...Object.values(markChallenges)].join("|")})`)

/** What needs no escape in a query, as every state of ours is. */
const plain = /^[\w.-]+$/

/**
 * Gives what `form` gives, byte for byte, but has one URL formed for all requests that differ in state and
 * verifier alone, and fills in these two: 1 µs a URL in place of 9. Keeps a thousand, since tenants make up the
 * rest of a request.
 */
export function formedOnce(
  form: (request: AuthorizeRequest) => URL,
  challenge: (request: AuthorizeRequest) => Challenge | null,
): (request: AuthorizeRequest) => string {
  const kept = new Map<string, readonly string[]>()

  /** The URL in parts, each mark one of them. */
  function templateFor({ state: _, codeVerifier: __, ...same }: AuthorizeRequest): readonly string[] {
    const key = JSON.stringify(same)
    const found = kept.get(key)
    if (found !== undefined) return found
    const [oldest] = kept.keys()
    if (kept.size >= maxKept && oldest !== undefined) kept.delete(oldest)
    const formed = form({ ...same, ...marks }).href.split(anyMark)
    kept.set(key, formed)
    return formed
  }

  return (request) => {
    if (!plain.test(request.state)) return form(request).href
    const written = challenge(request)
    const challenged = written === null ? null : challengeOf(verifierOf(request), written)
    let url = ""
    for (const part of templateFor(request)) {
      if (part === marks.state) url += request.state
      else if (written !== null && part === markChallenges[written]) url += challenged
      else url += part
    }
    return url
  }
}
