export interface RateLimits {
  /** A call of a known caller. Rejects with `rate_limited`. */
  spendCall(actor: string): Promise<void>
  /** A failed authentication from an address. Rejects with `rate_limited`. A right credential still passes. */
  spendFailure(address: string): Promise<void>
  /** A call of a browser, which has no credential to count by. Rejects with `rate_limited`. */
  spendBrowser(address: string): Promise<void>
}

/** Where something in front of the service counts. */
export const unlimited: RateLimits = {
  spendCall: async () => {},
  spendFailure: async () => {},
  spendBrowser: async () => {},
}
