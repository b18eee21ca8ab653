import type { Rotation, Ticket } from "./grant.ts"
import type { Desk } from "./wire.ts"

/**
 * X and TikTok replace a refresh token whenever it is used. Whoever shows a replaced one may be a thief, or the
 * owner whom a thief overtook, so the whole family ends: everything that came of that consent.
 *
 * Tokens carry their place in the family. So a process learns from every token it is shown how far the family
 * has come, whichever process brought it there. What it was never shown it cannot judge: of one refresh token
 * used at two instances at once, the second use comes to light when the tokens of both are shown to either.
 */

/** Whether this token proves that a refresh token was used twice. If so, its family ends here and now. */
export function provesReuse({ memory }: Desk, { kind, grant, rotation }: Ticket): boolean {
  const newest = memory.rotations.get(grant.consent)
  if (!newest || rotation.generation > newest.generation) {
    memory.rotations.put(grant.consent, rotation)
    return false
  }
  // An access token from before the last refresh is honest: it simply has not ended yet.
  const reused = rotation.generation === newest.generation ? rotation.id !== newest.id : kind === "refresh"
  if (reused) memory.spend(grant.consent)
  return reused
}

/** Replaces a refresh token: it is used up, and what is issued with this stands in its place. */
export function rotate({ memory, tickets }: Desk, { grant, rotation }: Ticket): Rotation {
  const next = { generation: rotation.generation + 1, id: tickets.newName() }
  memory.rotations.put(grant.consent, next)
  return next
}
