const pattern = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i

export const rfc3339Example = "2030-01-31T00:00:00Z"

/** The moment a text names (RFC 3339 section 5.6); undefined for every other text, and for days that do not exist. */
export function parseRfc3339(text: string): Date | undefined {
  const [, day] = pattern.exec(text) ?? []
  const time = new Date(text)
  return day !== undefined && isDay(day) && !Number.isNaN(time.getTime()) ? time : undefined
}

/** `Date` alone would take the 30th of February for the 2nd of March. */
function isDay(day: string): boolean {
  const midnight = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day)
}
