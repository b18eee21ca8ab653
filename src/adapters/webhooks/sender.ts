import { lookup } from "node:dns/promises"
import http from "node:http"
import https from "node:https"
import { isIP, type LookupFunction } from "node:net"
import { Webhook } from "standardwebhooks"
import {
  type AddressRule,
  type AttemptOutcome,
  attemptLimitMs,
  type Unanswered,
  webhookUrlFault,
} from "../../domain/webhook.ts"
import type { WebhookMessage, WebhookSender } from "../../ports/webhooks.ts"
import { isPublicAddress } from "./public-address.ts"

/** All addresses of a host name. Rejects where it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>

export interface WebhookSenderOptions {
  readonly addresses: AddressRule
  readonly resolve?: Resolve
  /** PEM; in place of the certification authorities that the runtime trusts. */
  readonly ca?: string
  readonly limitMs?: number
}

/** Nobody reads the answer; so much of it is taken that a receiver can finish an ordinary one. */
const maxAnswerBytes = 16 * 1024

/**
 * Sends over `node:https` and not `fetch`, which goes through a proxy of the environment and looks names up by
 * itself. Each name is resolved once, every address is judged, and only those are connected to.
 */
export function webhookSender(options: WebhookSenderOptions): WebhookSender {
  const { addresses: rule, resolve = resolveBySystem, ca, limitMs = attemptLimitMs } = options

  async function addressesOf(url: URL, deadline: AbortSignal): Promise<readonly string[]> {
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1")
    const addresses = isIP(host) ? [host] : await beforeEnd(deadline, resolve(host))
    if (addresses.length === 0) throw new NoAnswer("unresolved")
    if (rule === "public" && !addresses.every(isPublicAddress)) throw new NoAnswer("address_refused")
    return addresses
  }

  async function exchange(message: WebhookMessage, deadline: AbortSignal): Promise<AttemptOutcome> {
    // The rule may have become stricter since the address was saved.
    if (webhookUrlFault(message.url, rule) !== undefined) throw new NoAnswer("address_refused")
    const url = new URL(message.url)
    const headers = signedHeaders(message)
    const addresses = await addressesOf(url, deadline)
    return post(url, { body: message.body, headers, addresses, deadline, ca })
  }

  return {
    async send(message) {
      try {
        return await within(limitMs, (deadline) => exchange(message, deadline))
      } catch (fault) {
        if (fault instanceof NoAnswer) return { kind: "unanswered", why: fault.why }
        throw fault
      }
    },

    async mayReach(text) {
      const url = URL.parse(text)
      if (!url) return false
      try {
        await within(limitMs, (deadline) => addressesOf(url, deadline))
        return true
      } catch (fault) {
        return fault instanceof NoAnswer && fault.why !== "address_refused"
      }
    },
  }
}

async function within<Result>(ms: number, work: (deadline: AbortSignal) => Promise<Result>): Promise<Result> {
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), ms)
  try {
    return await work(stop.signal)
  } finally {
    clearTimeout(timer)
  }
}

/** Raced, since a look-up cannot be called off. */
function beforeEnd(deadline: AbortSignal, looking: Promise<readonly string[]>): Promise<readonly string[]> {
  const late = Promise.withResolvers<readonly string[]>()
  deadline.addEventListener("abort", () => late.reject(new NoAnswer("timeout")))
  return Promise.race([looking.catch(() => []), late.promise])
}

class NoAnswer extends Error {
  override readonly name = "NoAnswer"
  readonly why: Unanswered

  constructor(why: Unanswered) {
    super(why)
    this.why = why
  }
}

async function resolveBySystem(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

/** Standard Webhooks 1.0: an HMAC-SHA-256 over id, time and body for each secret. */
function signedHeaders({ id, at, body, secrets }: WebhookMessage): Readonly<Record<string, string>> {
  return {
    "content-type": "application/json",
    "user-agent": "Mooring-Webhooks",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(" "),
  }
}

interface Posted {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly addresses: readonly string[]
  readonly deadline: AbortSignal
  readonly ca: string | undefined
}

/** Resolves when the answer has ended or enough of it was read. Rejects with `NoAnswer`. */
function post(url: URL, { body, headers, addresses, deadline, ca }: Posted): Promise<AttemptOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<AttemptOutcome>()
  const request = (url.protocol === "https:" ? https : http).request(url, {
    method: "POST",
    headers: { ...headers, "content-length": Buffer.byteLength(body) },
    lookup: giving(addresses),
    agent: false,
    // Said aloud, since the environment can switch it off. The name is checked, whatever address is connected to.
    rejectUnauthorized: true,
    ...(ca !== undefined && { ca }),
  })
  let outcome: AttemptOutcome | undefined
  const end = (fault?: unknown) => {
    request.destroy()
    if (outcome) resolve(outcome)
    else reject(new NoAnswer(deadline.aborted ? "timeout" : reasonOf(fault)))
  }
  deadline.addEventListener("abort", () => end())
  request.on("error", end)
  request.on("response", (response) => {
    outcome = {
      kind: "answered",
      status: response.statusCode ?? 0,
      retryAfterSeconds: readRetryAfter(response.headers["retry-after"], new Date()),
    }
    let bytes = 0
    response.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength
      if (bytes > maxAnswerBytes) end()
    })
    for (const ended of ["end", "error", "close"]) response.on(ended, () => end())
  })
  request.end(body)
  return promise
}

/** A look-up that gives what was resolved and judged before, whatever it is asked. */
function giving(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, options, callback) => {
    const [first] = found
    if (options.all === true) callback(null, found)
    else callback(null, first?.address ?? "", first?.family)
  }
}

const certificateCodes =
  /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_)/

function reasonOf(fault: unknown): Unanswered {
  const code = fault instanceof Error && "code" in fault ? String(fault.code) : ""
  if (certificateCodes.test(code)) return "certificate_refused"
  return code.startsWith("HPE_") ? "broken_answer" : "unreachable"
}

/** Seconds or a date (RFC 9110 section 10.2.3); null for anything else. */
function readRetryAfter(value: string | undefined, now: Date): number | null {
  if (value === undefined) return null
  if (/^\d{1,9}$/.test(value)) return Number(value)
  const time = value.endsWith(" GMT") ? Date.parse(value) : Number.NaN
  return Number.isNaN(time) ? null : Math.ceil((time - now.getTime()) / 1000)
}
