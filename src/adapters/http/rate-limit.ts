import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible"
import { ConnectError } from "../../domain/errors.ts"

export interface RateLimits {
  /** A call of a known caller. Rejects with `rate_limited`. */
  spendCall(actor: string): Promise<void>
  /** A failed authentication from an address. Rejects with `rate_limited`. */
  spendFailure(address: string): Promise<void>
}

/** 100 calls a second for each caller, with bursts of 500; 20 failed authentications a minute for each address. */
export function memoryRateLimits(): RateLimits {
  const calls = new BurstyRateLimiter(
    new RateLimiterMemory({ keyPrefix: "call", points: 100, duration: 1 }),
    new RateLimiterMemory({ keyPrefix: "burst", points: 400, duration: 60 }),
  )
  const failures = new RateLimiterMemory({ keyPrefix: "failure", points: 20, duration: 60 })
  return {
    spendCall: (actor) => spend(calls, actor, "This credential makes more than 100 calls a second"),
    spendFailure: (address) =>
      spend(failures, network(address), "This address fails to authenticate too often"),
  }
}

export const unlimited: RateLimits = {
  spendCall: async () => {},
  spendFailure: async () => {},
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

/** One IPv6 subscriber holds a whole /64, so the last four groups do not count. */
function network(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address
  const [head = ""] = address.split("::")
  return head.split(":").slice(0, 4).join(":")
}
