import BurstyRateLimiter from "rate-limiter-flexible/lib/BurstyRateLimiter.js"
import RateLimiterMemory from "rate-limiter-flexible/lib/RateLimiterMemory.js"
import RateLimiterRes from "rate-limiter-flexible/lib/RateLimiterRes.js"
import { ConnectError } from "../../domain/errors.ts"
import type { RateLimits } from "./limits.ts"

/**
 * 100 calls a second for each caller, with bursts of 500; 20 failed authentications a minute for each address;
 * 50 browser calls a second for each, with bursts of 500, since many people may share one.
 */
export function memoryRateLimits(): RateLimits {
  const calls = new BurstyRateLimiter(
    new RateLimiterMemory({ keyPrefix: "call", points: 100, duration: 1 }),
    new RateLimiterMemory({ keyPrefix: "burst", points: 400, duration: 60 }),
  )
  const browsers = new BurstyRateLimiter(
    new RateLimiterMemory({ keyPrefix: "browser", points: 50, duration: 1 }),
    new RateLimiterMemory({ keyPrefix: "crowd", points: 450, duration: 60 }),
  )
  const failures = new RateLimiterMemory({ keyPrefix: "failure", points: 20, duration: 60 })
  return {
    spendCall: (actor) => spend(calls, actor, "This credential makes more than 100 calls a second"),
    spendBrowser: (address) => spend(browsers, bucketOf(network(address)), "This address comes too often"),
    spendFailure: (address) =>
      spend(failures, bucketOf(network(address)), "This address fails to authenticate too often"),
  }
}

async function spend(
  limiter: { consume(key: string): Promise<unknown> },
  key: string,
  what: string,
): Promise<void> {
  try {
    await limiter.consume(key)
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal
    const seconds = Math.max(1, Math.ceil(refusal.msBeforeNext / 1000))
    throw new ConnectError("rate_limited", `${what}; wait ${seconds} s and go slower.`, {
      retryAfterSeconds: seconds,
    })
  }
}

const buckets = 16_384n
const seed = crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n

/** Addresses by the million must not cost memory by the million; nobody can tell which ones share a bucket. */
function bucketOf(network: string): string {
  return String(Bun.hash.xxHash64(network, seed) % buckets)
}

/** One IPv6 subscriber holds a whole /64, so the last four groups do not count. */
function network(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address
  const [head = ""] = address.split("::")
  return head.split(":").slice(0, 4).join(":")
}
