import type { Owner } from "../../../src/domain/owner.ts"
import type { ProviderName } from "../../../src/domain/provider.ts"
import type {
  AccountFilter,
  AccountPosition,
  DueQuery,
  HeldAccount,
  Storage,
} from "../../../src/ports/storage.ts"
import { aConnection, aKey, anEvent } from "../../support/storage-fixtures.ts"
import { evenTenant, greedyApp, largeTenant, moment, searched, steadyTenant } from "./scale-fill.ts"

/** A filled database, with what the operations need to know of it. */
export interface Filled {
  readonly storage: Storage
  readonly keyId: string
  /** Of the steady tenant, newest first. */
  readonly positions: readonly AccountPosition[]
  readonly turn: { next: number }
}

export interface Operation {
  readonly name: string
  /** Of how many a round takes the median. */
  readonly times: number
  /** Whether other people's accounts may cost it nothing: a million within 1.5 times of a thousand. */
  readonly holds: boolean
  run(filled: Filled): Promise<unknown>
  /** Puts right what it changed, outside the measured time. */
  after?(filled: Filled, result: unknown): Promise<void>
}

const pageSize = 50
const soon = new Date(moment.getTime() + 7 * 86_400_000)
const owner = (tenant: string): Owner => ({ tenant, environment: "live" })
const steady = owner(steadyTenant)

/** Finds out what the operations need. */
export async function inspect(storage: Storage): Promise<Filled> {
  const key = aKey(steady)
  await storage.keys.add(key, anEvent(steady))
  const positions: AccountPosition[] = []
  for (let more = true; more; ) {
    const after = positions.at(-1)
    const page = await storage.accounts.list(steady, {}, { limit: 100, ...(after && { after }) })
    positions.push(...page.items.map(({ connectedAt, id }) => ({ connectedAt, id })))
    more = page.more
  }
  return { storage, keyId: key.id, positions, turn: { next: 0 } }
}

/** Behind nine in ten accounts, whoever has them. */
const far: AccountPosition = { connectedAt: new Date(moment.getTime() - 400 * 86_400_000 + 3000), id: "acc_" }

export const operations: readonly Operation[] = [
  { name: "token read: key and account", times: 60, holds: true, run: readToken },
  listing("list, first page", steadyTenant, {}),
  { ...listing("list, last page", steadyTenant, {}), run: listDeep },
  listing("list, of a provider", steadyTenant, { provider: "tiktok" }),
  listing("list, of a reference", steadyTenant, { reference: "user-000000003" }),
  listing("list, of a rare health", steadyTenant, { health: "refresh_unknown" }),
  listing("list, of the usual health", steadyTenant, { health: "active" }),
  counting("total alone", steadyTenant, {}),
  counting("total of a health", steadyTenant, { health: "reauthorization_required" }),
  { ...listing("search in 500 accounts", steadyTenant, { query: searched }), times: 10 },
  claiming("claim, 40 are due", "instagram"),
  claiming("claim, all are due", "x"),
  claiming("claim, ten in eleven of one app", "tiktok"),
  claiming("claim, ten in eleven of an excepted app", "tiktok", { exceptApps: [greedyApp] }),
  claiming("claim, all but 20 leased or waiting", "linkedin", { limit: 7 }),
  {
    name: "whom the clock has changed",
    times: 10,
    holds: true,
    run: ({ storage }) => storage.tokens.findChangedByClock(moment, soon, 10),
  },
  {
    name: "forget unconfirmed, none is",
    times: 20,
    holds: true,
    run: ({ storage }) => storage.flows.forgetUnconfirmed(moment, 500),
  },
  ...[evenTenant, largeTenant].flatMap((tenant) => {
    const whose = tenant === largeTenant ? "who has a tenth" : "who has a thousandth"
    return [
      listing(`list, first page, ${whose}`, tenant, {}),
      listing(`list, far page, ${whose}`, tenant, {}, far),
      listing(`list, of a provider, ${whose}`, tenant, { provider: "facebook" }),
      counting(`total of a health, ${whose}`, tenant, { health: "reauthorization_required" }),
      listing(`search, ${whose}`, tenant, { query: searched }),
      listing(`search in vain, ${whose}`, tenant, { query: "nobody has this" }),
    ].map((operation) => ({ ...operation, times: 3, holds: false }))
  }),
  {
    name: "keep a new account, with its event",
    times: 20,
    holds: false,
    run: ({ storage }) => storage.tokens.register(aConnection(steady)),
  },
]

async function readToken({ storage, keyId, positions, turn }: Filled): Promise<void> {
  const id = positions[(turn.next++ * 37) % positions.length]?.id ?? ""
  const found = await storage.keys.findWith(keyId, { kind: "account", id })
  if (!found?.account) throw new Error("a token read found no account")
}

async function listDeep({ storage, positions }: Filled): Promise<void> {
  const after = positions[positions.length - pageSize - 1]
  const page = await storage.accounts.list(steady, {}, { limit: pageSize, ...(after && { after }) })
  if (page.items.length !== pageSize || page.more) throw new Error("that was not the last page")
}

function listing(name: string, tenant: string, filter: AccountFilter, after?: AccountPosition): Operation {
  return {
    name,
    times: 20,
    holds: true,
    run: ({ storage }) =>
      storage.accounts.list(owner(tenant), filter, { limit: pageSize, ...(after && { after }) }),
  }
}

function counting(name: string, tenant: string, filter: AccountFilter): Operation {
  return {
    name,
    times: 20,
    holds: true,
    run: ({ storage }) => storage.accounts.list(owner(tenant), filter, { limit: 1 }),
  }
}

/** As the background claims, moments apart; no more than a thousand accounts have too, so that each size does the same. */
function claiming(name: string, provider: ProviderName, change: Partial<DueQuery> = {}): Operation {
  const query: DueQuery = { provider, limit: 20, perApp: 5, exceptApps: [], ...change }
  const at = ({ turn }: Filled) => new Date(moment.getTime() + turn.next * 100)
  return {
    name,
    times: 5,
    holds: true,
    run(filled) {
      filled.turn.next++
      const now = at(filled)
      return filled.storage.tokens.claimDue(query, {
        now,
        until: new Date(now.getTime() + 15_000),
        risky: true,
      })
    },
    async after(filled, result) {
      const claimed = result as readonly HeldAccount[]
      if (claimed.length === 0) throw new Error(`${name}: nothing was claimed`)
      await Promise.all(claimed.map((held) => putBack(filled.storage, held, at(filled))))
    },
  }
}

/** Due again at once, as one that waits behind all others. */
async function putBack(
  storage: Storage,
  { account, refresh, credentials }: HeldAccount,
  at: Date,
): Promise<void> {
  const claim = { accountId: account.id, fence: refresh.fence }
  const { health, healthDetail, tokenExpiresAt } = account
  const plan = { keepAliveAt: at, personNeededAt: null }
  const kept = { scopes: null, missingScopes: null, health, healthDetail, tokenExpiresAt }
  if (!(await storage.tokens.renew(claim, { ...kept, credentials, plan, at }, null)))
    throw new Error("a claim was lost")
}
