import { expect, test } from "bun:test"
import { array, assert, asyncProperty, boolean, constantFrom, integer, record } from "fast-check"
import type { Account } from "../../src/domain/account.ts"
import type { HeldAccount, RefreshClaim, Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  after,
  aKey,
  aLease,
  anApp,
  anEvent,
  anId,
  claimOf,
  heldOf,
  keep,
  noon,
  renewedTokens,
  sealed,
  settledRefresh,
  takenFlow,
  unconfirmed,
} from "../support/storage-fixtures.ts"

const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

/** All that writes to an account, or to the app that is read with it. */
const writes = {
  connect: async ({ storage, app }, { account }, event) => {
    const flow = await takenFlow(storage, { oauthAppId: app })
    const { platformAccountId } = account
    const again = aConnection({ platformAccountId, oauthAppId: app }, { accessToken: sealed(anId("acc")) })
    await storage.flows.connect(flow.id, [{ ...again, event: { ...again.event, id: event } }], after(2000))
  },
  register: async ({ storage, app }, { account }, event) => {
    const again = aConnection({
      platformAccountId: account.platformAccountId,
      oauthAppId: app,
      handle: event,
    })
    await storage.tokens.register({ ...again, event: { ...again.event, id: event } })
  },
  hold: ({ storage }, { account }) => hold(storage, { ...account, updatedAt: after(9) }),
  forget: ({ storage }) => storage.flows.forgetUnconfirmed(after(10), 10),
  claim: ({ storage }, held) => storage.tokens.claim(claimOf(held), aLease({ risky: true })),
  prolong: async ({ storage, server }, held) =>
    storage.tokens.prolong(await holderOf(server, held), after(20_000)),
  renew: async ({ storage, server }, held, event) =>
    storage.tokens.renew(await holderOf(server, held), renewedTokens(), anEvent({ id: event })),
  settle: async ({ storage, server }, held, event) =>
    storage.tokens.settle(await holderOf(server, held), settledRefresh(), anEvent({ id: event })),
  claimDue: ({ storage }) =>
    storage.tokens.claimDue(
      { provider: "x", limit: 2, perApp: 2, exceptApps: [] },
      aLease({ now: after(90 * 86_400_000), until: after(90 * 86_400_000 + 1) }),
    ),
  changeHealth: ({ storage }, held, event) =>
    storage.tokens.changeHealth(
      { ...claimOf(held), health: held.account.health },
      "expiring",
      "ends soon",
      anEvent({ id: event }),
      noon,
    ),
  noteLost: ({ storage, app }, _, event) =>
    storage.tokens.noteLostGrants(
      { owner: acme, provider: "x", oauthAppId: app, personId: "person-1", kept: [] },
      `lost ${event}`,
      anEvent(),
      () => (event === taken ? taken : anId("evt")),
    ),
  remove: ({ storage }, { account }, event) =>
    storage.tokens.remove(acme, account.id, anEvent({ id: event })),
  changeApp: ({ storage, app }, _, event) =>
    storage.apps.change(acme, app, { name: event, updatedAt: noon }, anEvent({ id: event })),
  moveDefault: async ({ storage }, _, event) => {
    const [apps, current] = [await storage.apps.list(acme, "x"), await storage.apps.findDefault(acme, "x")]
    const other = apps.find(({ id }) => id !== current?.id)
    if (other)
      await storage.apps.change(acme, other.id, { isDefault: true, updatedAt: noon }, anEvent({ id: event }))
  },
  touchKey: ({ storage, key }) => storage.keys.touch(key, after(++touches)),
} satisfies Record<string, Write>

type Write = (
  place: { readonly storage: Storage; readonly server: Storage; readonly app: string; readonly key: string },
  held: HeldAccount,
  /** The id of its event; one that is taken makes the write fail, and be undone. */
  event: string,
) => Promise<unknown>

let touches = 0

/** Of an event that is stored already. */
const taken = anId("evt")

/** The claim of whoever holds an account, which the server has read as it is under it. */
async function holderOf(server: Storage, held: HeldAccount): Promise<RefreshClaim> {
  await server.tokens.claim(claimOf(held), aLease())
  return claimOf(await heldOf(server, held.account))
}

async function hold(storage: Storage, account: Partial<Account>): Promise<Account> {
  const flow = await takenFlow(storage, { proof: true })
  const held = unconfirmed({ ...account, healthDetail: flow.id })
  await storage.flows.hold(flow.id, [held], sealed("candidates"), after(600_000))
  return held.account
}

const step = record({
  write: constantFrom(...(Object.keys(writes) as (keyof typeof writes)[])),
  account: integer({ min: 0, max: 3 }),
  fails: boolean(),
  byCommand: boolean(),
  /** Whether the next one is asked for within the same turn. */
  withNext: boolean(),
})

/** What comes by chance is not counted on. */
const eachWriteOnce = (Object.keys(writes) as (keyof typeof writes)[]).map((write) => ({
  write,
  account: 0,
  fails: false,
  byCommand: true,
  withNext: false,
}))

/**
 * What a store remembers of accounts, of the keys that ask for them and of their apps is what is stored. Opens another
 * connection to the same database each time.
 */
export function rememberedContract(open: () => Promise<Storage>, numRuns = 100): void {
  test("what is remembered is what is stored, whoever writes what in whatever order, failed writes included", async () => {
    const server = await open()
    const command = await open()
    const { id: app } = await server.apps.add(anApp(), anEvent({ id: taken }))
    await server.apps.add(anApp(), anEvent())
    const key = aKey()
    await server.keys.add(key, anEvent())
    const done = new Set<string>()
    await assert(
      asyncProperty(array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const account = { oauthAppId: app, metadata: { person_id: "person-1" } }
        const kept = [
          keep(server, account),
          keep(server, account),
          hold(server, account),
          hold(server, account),
        ]
        const ids = (await Promise.all(kept)).map(({ id }) => id)
        const held = (storage: Storage) => Promise.all(ids.map((id) => storage.tokens.read(acme, id)))
        const handedOut = ({ keys }: Storage) => [
          ...ids.map((id) => keys.findWith(key.id, { kind: "account", id })),
          keys.findWith(key.id, { kind: "app", provider: "x", id: null }),
          keys.findWith(key.id, { kind: "app", provider: "x", id: app }),
        ]
        const seen = async (storage: Storage) => [await held(storage), await Promise.all(handedOut(storage))]
        let under: Promise<unknown>[] = []
        for (const { write, account, fails, byCommand, withNext } of steps) {
          const found = (await held(server))[account]
          if (!found) continue
          const place = { storage: byCommand ? command : server, server, app, key: key.id }
          const written = writes[write](place, found, fails ? taken : anId("evt"))
          under.push(
            written.then(
              () => done.add(write),
              () => {},
            ),
          )
          await seen(server)
          if (withNext) continue
          await Promise.all(under)
          under = []
          await nextTurn()
          const remembered = await seen(server)
          const fresh = await open()
          expect(remembered).toStrictEqual(await seen(fresh))
          await nextTurn() // ends the reads, for which closing would wait
          await fresh.close()
        }
        await Promise.all(under)
      }),
      { numRuns, examples: eachWriteOnce.map((step) => [[step]]) },
    )
    expect(done.size).toBe(Object.keys(writes).length)
    await command.close()
    await server.close()
  }, 60_000)
}
