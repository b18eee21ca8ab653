// The package's entry loads a limiter for each of its twenty stores, which took 7 ms of every start. So the three
// files that are used are named one by one; they have no types beside them.

declare module "rate-limiter-flexible/lib/BurstyRateLimiter.js" {
  export { BurstyRateLimiter as default } from "rate-limiter-flexible"
}

declare module "rate-limiter-flexible/lib/RateLimiterMemory.js" {
  export { RateLimiterMemory as default } from "rate-limiter-flexible"
}

declare module "rate-limiter-flexible/lib/RateLimiterRes.js" {
  export { RateLimiterRes as default } from "rate-limiter-flexible"
}
