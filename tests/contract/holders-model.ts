import { expect } from "bun:test"
import { type Arbitrary, boolean, constant, constantFrom, integer, oneof, record } from "fast-check"
import type { RefreshClaim, Storage } from "../../src/ports/storage.ts"
import {
  aConnection,
  acme,
  after,
  aLease,
  anEvent,
  claimOf,
  renewedTokens,
  sealed,
  settledRefresh,
  takenFlow,
} from "../support/storage-fixtures.ts"

type Write = "prolong" | "renew" | "settle"

/** What one of three holders, the person, or time may do next to one account. */
export type Step =
  | { readonly do: "look"; readonly by: number }
  | { readonly do: "claim"; readonly by: number; readonly risky: boolean }
  | { readonly do: Write; readonly by: number }
  | { readonly do: "connect" | "register" | "remove" }
  | { readonly do: "wait"; readonly ms: number }

const by = integer({ min: 0, max: 2 })

export const someStep: Arbitrary<Step> = oneof(
  { arbitrary: record({ do: constant("look" as const), by }), weight: 3 },
  { arbitrary: record({ do: constant("claim" as const), by, risky: boolean() }), weight: 4 },
  { arbitrary: record({ do: constantFrom<Write>("prolong", "renew", "settle"), by }), weight: 6 },
  { arbitrary: record({ do: constantFrom("connect" as const, "register", "remove") }), weight: 1 },
  { arbitrary: record({ do: constant("wait" as const), ms: integer({ min: 1, max: 20 }) }), weight: 3 },
)

const leaseMs = 10

/** What one holder knows: a fence, and of which generation of the account it was. */
interface Known {
  readonly claim: RefreshClaim
  readonly generation: number
}

/** What must be stored of the account; it knows no fences, only who came last. */
interface Model {
  accountId: string | undefined
  /** Grows whenever somebody else gets the say over the account. */
  generation: number
  holder: number | undefined
  leaseEnd: number
  sentAt: number | undefined
  token: string
}

/** One account of a storage and beside it what must become of it. */
export function holdersModel(storage: Storage): { take(step: Step): Promise<void> } {
  const platformAccountId = crypto.randomUUID()
  const seen = new Map<number, Known>()
  const held = new Map<number, Known>()
  const model: Model = {
    accountId: undefined,
    generation: 0,
    holder: undefined,
    leaseEnd: 0,
    sentAt: undefined,
    token: "",
  }
  let now = 0
  let tokens = 0
  const newToken = () => `token ${tokens++}`

  const findHeld = async () =>
    model.accountId === undefined ? undefined : await storage.tokens.read(acme, model.accountId)

  async function look(holder: number): Promise<void> {
    const account = await findHeld()
    if (account) seen.set(holder, { claim: claimOf(account), generation: model.generation })
  }

  async function claim(holder: number, risky: boolean): Promise<void> {
    const known = seen.get(holder)
    if (!known) return
    const lease = aLease({ now: after(now), until: after(now + leaseMs), risky })
    const got = await storage.tokens.claim(known.claim, lease)
    const isFree = model.holder === undefined || now >= model.leaseEnd
    expect(got !== undefined).toBe(known.generation === model.generation && isFree)
    if (!got) return
    Object.assign(model, { holder, leaseEnd: now + leaseMs, generation: model.generation + 1 })
    if (risky) model.sentAt = now
    held.set(holder, { claim: claimOf(got), generation: model.generation })
  }

  async function write(holder: number, what: Write): Promise<void> {
    const known = held.get(holder)
    if (!known) return
    const isNewest = model.holder === holder && known.generation === model.generation
    const token = newToken()
    expect(await tell(what, known.claim, token)).toBe(isNewest)
    if (!isNewest) return
    if (what === "prolong") model.leaseEnd = now + leaseMs
    else Object.assign(model, { holder: undefined, sentAt: undefined })
    if (what === "renew") model.token = token
  }

  async function tell(what: Write, told: RefreshClaim, token: string): Promise<boolean> {
    if (what === "prolong") return await storage.tokens.prolong(told, after(now + leaseMs))
    if (what === "settle") return await storage.tokens.settle(told, settledRefresh(), null)
    const renewed = renewedTokens()
    const credentials = { ...renewed.credentials, accessToken: sealed(token) }
    return (await storage.tokens.renew(told, { ...renewed, credentials }, null)) !== undefined
  }

  async function takeOver(how: "connect" | "register" | "remove"): Promise<void> {
    const token = newToken()
    const connection = aConnection({ platformAccountId }, { accessToken: sealed(token) })
    if (how === "connect") {
      const flow = await takenFlow(storage)
      const accounts = await storage.flows.connect(flow.id, [connection], after(now))
      model.accountId = accounts?.[0]?.id
    } else if (how === "register") {
      model.accountId = (await storage.tokens.register(connection)).account.id
    } else if (model.accountId !== undefined) {
      expect(await storage.tokens.remove(acme, model.accountId, anEvent())).toBe(true)
      model.accountId = undefined
    }
    const generation = model.generation + 1
    Object.assign(model, { holder: undefined, sentAt: undefined, token, generation })
  }

  async function expectAsModelled(): Promise<void> {
    const account = await findHeld()
    expect(account !== undefined).toBe(model.accountId !== undefined)
    if (!account) return
    expect(account.credentials.accessToken).toBe(sealed(model.token))
    expect(account.refresh.leaseUntil).toEqual(model.holder === undefined ? null : after(model.leaseEnd))
    expect(account.refresh.sentAt).toEqual(model.sentAt === undefined ? null : after(model.sentAt))
  }

  async function act(step: Step): Promise<void> {
    switch (step.do) {
      case "look":
        return await look(step.by)
      case "claim":
        return await claim(step.by, step.risky)
      case "prolong":
      case "renew":
      case "settle":
        return await write(step.by, step.do)
      case "connect":
      case "register":
      case "remove":
        return await takeOver(step.do)
      case "wait":
        now += step.ms
    }
  }

  return {
    async take(step) {
      if (model.accountId === undefined) await takeOver("connect")
      await act(step)
      await expectAsModelled()
    },
  }
}
