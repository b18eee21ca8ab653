const longestSeconds = 24 * 60 * 60

/** When the provider asks to be left alone until, in whole seconds from now: Retry-After (RFC 9110 section 10.2.3), or X's reset time. */
export function retryAfterSeconds(headers: Readonly<Record<string, string>>, now: Date): number | undefined {
  const seconds =
    secondsUntil(headers["retry-after"], now) ?? secondsUntil(epochDate(headers["x-rate-limit-reset"]), now)
  return seconds === undefined ? undefined : Math.min(Math.max(Math.ceil(seconds), 1), longestSeconds)
}

function secondsUntil(value: string | undefined, now: Date): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value)
  const time = Date.parse(value)
  return Number.isNaN(time) ? undefined : (time - now.getTime()) / 1000
}

function epochDate(value: string | undefined): string | undefined {
  return value !== undefined && /^\d{1,11}$/.test(value)
    ? new Date(Number(value) * 1000).toISOString()
    : undefined
}
