import { cutText } from "./untrusted.ts"

const maxEvidenceCharacters = 200
const shortestSecret = 4
const removed = "[redacted]"

/**
 * A provider's text made fit for the log and for the flow that a tenant reads: on one line, without any of
 * the given secrets in whatever encoding, without anything else that looks like a token, and short.
 */
export function evidenceText(raw: string | null | undefined, secrets: ReadonlySet<string>): string | null {
  if (!raw) return null
  // Cut last: the front of a secret that was cut in half would no longer be recognised.
  const clean = withoutTokens(withoutSecrets(oneLine(raw), secrets)).trim()
  return cutText(clean, maxEvidenceCharacters) || null
}

/** An id for the provider's support looks like a token by nature, so only its form and the secrets are checked. */
export function evidenceTraceId(raw: string | null | undefined, secrets: ReadonlySet<string>): string | null {
  if (!raw || !/^[\w.:+/=-]{1,128}$/.test(raw)) return null
  return withoutSecrets(raw, secrets) === raw ? raw : null
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")
}

function withoutSecrets(text: string, secrets: ReadonlySet<string>): string {
  let clean = text
  for (const secret of secrets) {
    if (secret.length < shortestSecret) continue
    for (const spelling of spellingsOf(secret)) {
      clean = clean.replace(new RegExp(RegExp.escape(spelling), "gi"), removed)
    }
  }
  return clean
}

function spellingsOf(secret: string): ReadonlySet<string> {
  const bytes = new TextEncoder().encode(secret)
  return new Set([
    secret,
    encodeURIComponent(secret),
    new URLSearchParams([["", secret]]).toString().slice(1),
    bytes.toBase64({ omitPadding: true }),
    bytes.toBase64({ alphabet: "base64url", omitPadding: true }),
  ])
}

function withoutTokens(text: string): string {
  return text.replace(/[A-Za-z0-9+/_=-]{24,}/g, (run) => (isWords(run) ? run : removed))
}

/** `unsupported_response_type` is long too, but made of words. */
function isWords(run: string): boolean {
  return run.split(/[_/-]/).every((part) => /^(?:[A-Z]?[a-z]{0,17}|[A-Z]{1,12})$/.test(part))
}
