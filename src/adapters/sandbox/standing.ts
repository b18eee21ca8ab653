import type { Grant } from "./grant.ts"
import type { Standing } from "./memory.ts"
import type { Desk } from "./wire.ts"

/**
 * What holds between a person and an app, over all the consents of that person. Facebook judges by the newest
 * consent: a Page that it leaves out is gone for the tokens of earlier ones too.
 */

/** Takes note of a consent, which may be newer than what was known. */
export function noteConsent({ memory }: Desk, grant: Grant): Standing {
  const known = memory.standings.get(keyOf(grant))
  if (known && known.order >= grant.order) return known
  const newest = { order: grant.order, pages: grant.pages, removedBelow: known?.removedBelow ?? 0 }
  memory.standings.put(keyOf(grant), newest)
  return newest
}

/** Whether the person's newest consent to the app covers the Page. */
export function coversPage(desk: Desk, grant: Grant, pageId: string): boolean {
  return noteConsent(desk, grant).pages?.includes(pageId) ?? true
}

/** Takes the app away from the person: whatever came of any consent so far ends. */
export function removeApp(desk: Desk, grant: Grant): void {
  const removedBelow = desk.memory.nextOrder(desk.now())
  desk.memory.standings.put(keyOf(grant), { ...noteConsent(desk, grant), removedBelow })
}

export function wasRemoved({ memory }: Desk, grant: Grant): boolean {
  return grant.order < (memory.standings.get(keyOf(grant))?.removedBelow ?? 0)
}

function keyOf({ provider, clientId, person }: Grant): string {
  return `${provider} ${person} ${clientId}`
}
