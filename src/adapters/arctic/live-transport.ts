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
    if (limits.deadline.aborted) throw new TransportFault("timeout", { unsent: true })
    const stop = stopAfter(limits.timeoutMs, limits.deadline)
    try {
      const response = await nativeFetch(request.url, {
        method: request.method,
        headers: { ...request.headers, "accept-encoding": "identity" },
        body: request.body,
        redirect: "manual",
        signal: stop.signal,
        keepalive: isPlainRead(request),
      })
      return await readAnswer(response, limits.maxBytes)
    } catch (error) {
      const late = stop.signal.aborted
      stop.abort()
      throw faultOf(error, late)
    } finally {
      stop.release()
    }
  }
}

/**
 * A kept connection may have died unseen: then nobody knows whether what was sent was spent, and the runtime may
 * send it again. So only plain reads use one, and they are told by their token in a header: where a GET exchanges
 * a token, the token is in the address.
 */
function isPlainRead(request: ProviderRequest): boolean {
  return request.method === "GET" && request.headers.authorization !== undefined
}

function mayReach(address: string, options: LiveTransportOptions): boolean {
  if (!URL.canParse(address)) return false
  const url = new URL(address)
  const loopback = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname)
  return (
    url.protocol === "https:" ||
    (options.allowInsecureLoopback === true && url.protocol === "http:" && loopback)
  )
}

/** One signal for both limits, whose timer does not outlive the call. */
function stopAfter(timeoutMs: number, deadline: AbortSignal) {
  const controller = new AbortController()
  const abort = () => controller.abort()
  const timer = setTimeout(abort, timeoutMs)
  deadline.addEventListener("abort", abort)
  return {
    signal: controller.signal,
    abort,
    release: () => {
      clearTimeout(timer)
      deadline.removeEventListener("abort", abort)
    },
  }
}

async function readAnswer(response: Response, maxBytes: number): Promise<ProviderAnswer> {
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: await readBounded(response.body, maxBytes),
  }
}

async function readBounded(stream: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  let count = 0
  for await (const chunk of stream ?? []) {
    count += chunk.byteLength
    if (count > maxBytes) throw new TransportFault("too_large")
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** No name, or nobody there: the connection that would have carried the request never came about. */
const unopened: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED"])

/** Keeps the kind and a code word alone: the runtime's own error carries the address, and some addresses carry a secret. */
function faultOf(error: unknown, late: boolean): TransportFault {
  if (error instanceof TransportFault) return error
  if (late) return new TransportFault("timeout")
  const code = error instanceof Error && "code" in error ? error.code : undefined
  const cause = typeof code === "string" && /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : undefined
  return new TransportFault("unreachable", { cause, unsent: cause !== undefined && unopened.has(cause) })
}
