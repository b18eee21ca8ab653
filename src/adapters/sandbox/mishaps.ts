import { type ProviderAnswer, TransportFault, type TransportLimits } from "../../ports/transport.ts"
import type { Mishap } from "./scenarios.ts"
import { json } from "./wire.ts"

const page = "<!doctype html><title>Checking your browser</title><p>Sandbox: this is not JSON.</p>"

/** Does to a call what the network, or a server in front of the API, does. Rejects with `TransportFault` alone. */
export async function suffer(mishap: Mishap, limits: TransportLimits): Promise<ProviderAnswer> {
  switch (mishap) {
    case "hang":
      return neverAnswered(limits)
    case "unreachable":
      throw new TransportFault("unreachable")
    case "huge":
      throw new TransportFault("too_large")
    case "html":
      return { status: 200, headers: { "content-type": "text/html; charset=utf-8" }, body: page }
    case "not_json":
      return { ...json(200, {}), body: '{"access_token":"sandbox-cut-off-he' }
    case "redirect":
      return { status: 302, headers: { location: "https://sandbox.invalid/elsewhere" }, body: "" }
    case "down":
      return { status: 503, headers: { "content-type": "text/plain" }, body: "upstream connect error" }
    case "broken":
      return { status: 500, headers: { "content-type": "text/plain" }, body: "Internal Server Error" }
  }
}

/** Brings an answer late, or fails as the live transport does where the caller's time is up before. */
export async function dawdle(
  answer: ProviderAnswer,
  delayMs: number,
  limits: TransportLimits,
): Promise<ProviderAnswer> {
  await wait(delayMs, limits)
  return answer
}

async function neverAnswered(limits: TransportLimits): Promise<never> {
  await wait(Number.POSITIVE_INFINITY, limits)
  throw new TransportFault("timeout")
}

/** In real time, which no injected clock moves. */
async function wait(ms: number, { timeoutMs }: TransportLimits): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.min(ms, timeoutMs)))
  if (ms >= timeoutMs) throw new TransportFault("timeout")
}
