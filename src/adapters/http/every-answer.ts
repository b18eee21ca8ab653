/** The headers that every answer of Mooring has. */
export interface EveryAnswer {
  /**
   * An answer of JSON that has them already: to make it with them costs a third of setting each on an answer that is
   * made.
   */
  json(value: unknown, requestId: string): Response
  /** Sets them on any other; pages bring a content policy of their own. */
  harden(response: Response, requestId: string): void
}

const contentPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

export function everyAnswer(https: boolean): EveryAnswer {
  const always = new Headers({
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    ...(https && { "strict-transport-security": "max-age=63072000" }),
  })
  const ofJson = new Headers([...always, ["content-security-policy", contentPolicy]])
  return {
    json(value, requestId) {
      // Copied by the answer, before anybody else can write to them.
      ofJson.set("x-request-id", requestId)
      return Response.json(value, { headers: ofJson })
    },
    harden({ headers }, requestId) {
      headers.set("x-request-id", requestId)
      for (const [name, value] of always) headers.set(name, value)
      if (!headers.has("content-security-policy")) headers.set("content-security-policy", contentPolicy)
    },
  }
}
