import {
  type ProviderAnswer,
  type ProviderRequest,
  type Transport,
  TransportFault,
} from "../../ports/transport.ts"
import { nativeFetch } from "./scoped-fetch.ts"

export interface LiveTransportOptions {
  /** Lets `http://127.0.0.1` and its like through, for stubs in tests. Nothing else is ever reached without TLS. */
  readonly allowInsecureLoopback?: boolean
}

/**
 * Talks to the real providers: TLS only, no redirect followed, nothing sent twice. The time limit covers
 * headers and body, and the body is counted as it is read, after decompression.
 */
export function liveTransport(options: LiveTransportOptions = {}): Transport {
  return async (request, limits) => {
    if (!mayReach(request.url, options)) {
      throw new TransportFault("unreachable", { cause: "InsecureAddress", unsent: true })
    }
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), limits.timeoutMs)
    try {
      const response = await nativeFetch(request.url, {
        method: request.method,
        headers: { ...request.headers, "accept-encoding": "identity" },
        body: request.body,
        redirect: "manual",
        signal: stop.signal,
        keepalive: request.mayUseKeptConnection === true && isSentOnceOrSafe(request),
      })
      return await readAnswer(response, limits.maxBytes)
    } catch (error) {
      const late = stop.signal.aborted
      stop.abort()
      throw faultOf(error, late)
    } finally {
      clearTimeout(timer)
    }
  }
}

/**
 * On a kept connection that dies the runtime sends again whatever RFC 9110 calls idempotent, and never a POST
 * (Bun 1.4.5; a test holds it). A read that is sent twice does no harm; a DELETE might be refused the second time.
 */
function isSentOnceOrSafe({ method }: ProviderRequest): boolean {
  return method === "POST" || method === "GET"
}

/** By the text alone, which costs nothing: what begins like this is parsed as nothing else, or not at all. */
function mayReach(address: string, options: LiveTransportOptions): boolean {
  if (address.startsWith("https://")) return true
  return options.allowInsecureLoopback === true && insecureLoopback.test(address)
}

const insecureLoopback = /^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?(?:[/?]|$)/

async function readAnswer(response: Response, maxBytes: number): Promise<ProviderAnswer> {
  const isShort = saysShort(response.headers, maxBytes)
  const body = isShort ? await response.text() : await readBounded(response, maxBytes)
  return {
    status: response.status,
    // Nearly nobody looks at them, and a copy costs 3 µs a call.
    get headers() {
      return Object.fromEntries(response.headers)
    },
    body,
  }
}

/**
 * Whether the length of the body is told and within the bound, so that no more than that is ever read: 9 µs less
 * than reading in parts. A compressed body tells another length than it has, and one in chunks has none to keep to.
 */
function saysShort(headers: Headers, maxBytes: number): boolean {
  const length = headers.get("content-length")
  if (length === null || !/^\d{1,9}$/.test(length) || Number(length) > maxBytes) return false
  return !headers.has("content-encoding") && !headers.has("transfer-encoding")
}

async function readBounded(response: Response, maxBytes: number): Promise<string> {
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let text = ""
  let count = 0
  while (reader) {
    const { value, done } = await reader.read()
    if (done) break
    count += value.byteLength
    if (count > maxBytes) throw new TransportFault("too_large")
    text += decoder.decode(value, { stream: true })
  }
  return text + decoder.decode()
}

/** No address, no name, or nobody there: the connection that would have carried the request never came about. */
const unopened: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ERR_INVALID_URL"])

/** Keeps the kind and a code word alone: the runtime's own error carries the address, and some addresses carry a secret. */
function faultOf(error: unknown, late: boolean): TransportFault {
  if (error instanceof TransportFault) return error
  if (late) return new TransportFault("timeout")
  const code = error instanceof Error && "code" in error ? error.code : undefined
  const cause = typeof code === "string" && /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : undefined
  return new TransportFault("unreachable", { cause, unsent: cause !== undefined && unopened.has(cause) })
}
