import type { Account, RefreshState, RenewalPlan, SealedCredentials } from "../../domain/account.ts"
import { exactText, storable } from "../../domain/account-search.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { ConnectFlow } from "../../domain/connect-flow.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Owner } from "../../domain/owner.ts"
import type { Sealed } from "../../domain/sealed.ts"
import type { Delivery, Webhook } from "../../domain/webhook.ts"

export interface KeptAccount {
  readonly account: Account
  readonly credentials: SealedCredentials
  readonly plan: RenewalPlan
  readonly refresh: RefreshState
  readonly search: string
}

export interface KeptDelivery {
  readonly delivery: Delivery
  /** Of its event. */
  readonly place: number
  /** Null while no attempt is under way. */
  readonly leaseUntil: Date | null
}

/** Everything is kept by id. */
export interface Tables {
  readonly apps: ReadonlyMap<string, OAuthApp>
  readonly flows: ReadonlyMap<string, ConnectFlow>
  /** What is laid aside for the flows that are choosing. */
  readonly candidates: ReadonlyMap<string, Sealed>
  readonly accounts: ReadonlyMap<string, KeptAccount>
  /** The id of the account that is kept for an upstream one. */
  readonly accountIds: ReadonlyMap<string, string>
  readonly keys: ReadonlyMap<string, ApiKey>
  /** In the order of storing. */
  readonly events: ReadonlyMap<string, DomainEvent>
  readonly webhooks: ReadonlyMap<string, Webhook>
  /** By the ids of event and webhook together. */
  readonly deliveries: ReadonlyMap<string, KeptDelivery>
  /** Up to which place deliveries have been made. */
  readonly fanOut: ReadonlyMap<"place", number>
}

/** What a write does to the tables. */
export interface Changes {
  put<Value>(table: ReadonlyMap<string, Value>, id: string, value: Value): void
  /** Throws where the id is already kept. */
  insert<Value extends object>(table: ReadonlyMap<string, Value>, id: string, value: Value): void
  remove<Value>(table: ReadonlyMap<string, Value>, id: string): void
}

export interface Memory {
  readonly tables: Tables
  /** What was inserted later has the higher one. */
  placeOf(row: object): number
  read<Result>(look: () => Result): Promise<Result>
  /** All or nothing: where the work throws, what it changed is undone. */
  write<Result>(work: (changes: Changes) => Result): Promise<Result>
  close(): void
}

export function openMemory(): Memory {
  const tables: Tables = {
    apps: new Map(),
    flows: new Map(),
    candidates: new Map(),
    accounts: new Map(),
    accountIds: new Map(),
    keys: new Map(),
    events: new Map(),
    webhooks: new Map(),
    deliveries: new Map(),
    fanOut: new Map(),
  }
  const places = new WeakMap<object, number>()
  let lastPlace = 0
  const place = (row: object) => places.set(row, ++lastPlace)
  let closed = false
  const refuseClosed = () => {
    if (closed) throw new Error("The storage is closed.")
  }
  return {
    tables,
    placeOf: (row) => places.get(row) ?? 0,
    async read(look) {
      refuseClosed()
      return look()
    },
    async write(work) {
      refuseClosed()
      return allOrNothing(work, place)
    },
    close() {
      closed = true
    },
  }
}

function allOrNothing<Result>(work: (changes: Changes) => Result, place: (row: object) => void): Result {
  const undo: (() => void)[] = []
  try {
    return work(undoable(undo, place))
  } catch (fault) {
    for (const step of undo.reverse()) step()
    throw fault
  }
}

function undoable(undo: (() => void)[], place: (row: object) => void): Changes {
  /** Only writes hold the tables as they are made: changeable. */
  function keep<Value>(table: ReadonlyMap<string, Value>, id: string, value: Value | undefined): void {
    const rows = table as Map<string, Value>
    const before = rows.get(id)
    undo.push(() => set(rows, id, before))
    set(rows, id, value)
  }
  return {
    put: keep,
    insert(table, id, value) {
      if (table.has(id)) throw new Error(`${id} is already kept.`)
      place(value)
      keep(table, id, value)
    },
    remove: (table, id) => keep(table, id, undefined),
  }
}

function set<Value>(rows: Map<string, Value>, id: string, value: Value | undefined): void {
  if (value === undefined) rows.delete(id)
  else rows.set(id, value)
}

/** A copy as every store keeps it, of a record that its id and its tenant identify. */
export function kept<Fields extends { readonly id: string; readonly tenant: string }>(
  record: Fields,
): Fields {
  exactText(record.id)
  exactText(record.tenant)
  return storable(record)
}

/** The row, where it is the owner's. */
export function own<Fields extends Owner>(owner: Owner, row: Fields | undefined): Fields | undefined {
  const isOwn = ownedBy(owner)
  return row && isOwn(row) ? row : undefined
}

export function ownedBy(owner: Owner): (row: Owner) => boolean {
  const tenant = exactText(owner.tenant)
  return (row) => row.tenant === tenant && row.environment === owner.environment
}

/** For sorting by a moment and, within it, by id. */
export function earlierFirst<Fields extends { readonly id: string }>(
  moment: (row: Fields) => Date,
): (a: Fields, b: Fields) => number {
  return (a, b) => moment(a).getTime() - moment(b).getTime() || (a.id < b.id ? -1 : 1)
}
