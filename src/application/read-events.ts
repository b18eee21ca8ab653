import type { Principal } from "../domain/api-key.ts"
import { type DomainEvent, typesNamedBy } from "../domain/event.ts"
import type { Clock, Signer } from "../ports/crypto.ts"
import type { Storage } from "../ports/storage.ts"
import { signedCursors } from "./cursors.ts"

export interface EventQuery {
  /** One of `eventPatterns`. */
  readonly type?: string | undefined
  readonly accountId?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface EventListing {
  readonly items: readonly DomainEvent[]
  /** Where to go on, also when nothing is new; null while there never was an event. */
  readonly nextCursor: string | null
  readonly hasMore: boolean
}

/** Oldest first. Rejects with `invalid_input` for a cursor that is not of this owner and filter. */
export type ReadEvents = (principal: Principal, query: EventQuery) => Promise<EventListing>

const defaultPageSize = 50

export function readEvents(deps: {
  readonly events: Storage["events"]
  readonly signer: Signer
}): ReadEvents {
  return async (principal, query) => {
    const types = query.type === undefined ? undefined : typesNamedBy([query.type])
    const filter = {
      ...(types && { types }),
      ...(query.accountId !== undefined && { accountId: query.accountId }),
    }
    const cursors = signedCursors(deps.signer, JSON.stringify(["events", query.type, query.accountId]))
    const after = query.cursor === undefined ? undefined : cursors.read(principal, query.cursor)
    const page = await deps.events.list(principal, filter, {
      limit: query.limit ?? defaultPageSize,
      ...(after !== undefined && { after }),
    })
    return {
      items: page.items,
      nextCursor: page.position === null ? null : cursors.write(principal, page.position),
      hasMore: page.more,
    }
  }
}

const pruneBatch = 500

/** Forgets one batch of events that are older than their retention; resolves to whether there may be more. */
export function pruneEvents(deps: {
  readonly events: Storage["events"]
  readonly retentionDays: number
  readonly now: Clock
}): () => Promise<boolean> {
  return async () => {
    const before = new Date(deps.now().getTime() - deps.retentionDays * 24 * 60 * 60_000)
    return (await deps.events.prune(before, pruneBatch)) >= pruneBatch
  }
}
