import { exactText, refuseTwins, storable, storableText } from "../../domain/account-search.ts"
import { abandonedAs, type ConnectFlow, flowStatus, hasExpired } from "../../domain/connect-flow.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { Sealed } from "../../domain/sealed.ts"
import type { ConnectFlows, FlowFilter } from "../../ports/storage.ts"
import { forgetAccount, holdAccount, keepAccount } from "./accounts.ts"
import { type Changes, earlierFirst, kept, type Memory, own, ownedBy } from "./tables.ts"

export function memoryFlows(memory: Memory): ConnectFlows {
  const { tables, read, write } = memory
  const findById = (id: string) => tables.flows.get(exactText(id))

  function findApp(flow: ConnectFlow): OAuthApp | null {
    return own(flow, tables.apps.get(flow.oauthAppId ?? "")) ?? null
  }

  function findIn(id: string, ...statuses: readonly ConnectFlow["status"][]): ConnectFlow | undefined {
    const flow = findById(id)
    return flow && statuses.includes(flow.status) ? flow : undefined
  }

  function layAside(
    changes: Changes,
    flow: ConnectFlow,
    candidates: Sealed,
    change: Partial<ConnectFlow> & Pick<ConnectFlow, "status" | "expiresAt">,
  ): void {
    changes.put(tables.flows, flow.id, kept({ ...flow, ...change }))
    changes.put(tables.candidates, flow.id, storable(candidates))
  }

  function end(
    changes: Changes,
    flow: ConnectFlow,
    outcome: Partial<ConnectFlow> & Pick<ConnectFlow, "status" | "completedAt">,
  ): void {
    changes.put(tables.flows, flow.id, kept({ ...flow, ...outcome }))
    changes.remove(tables.candidates, flow.id)
  }

  return {
    add: (flow) => write((changes) => changes.insert(tables.flows, flow.id, kept(flow))),

    find: (owner, id) => read(() => own(owner, findById(id))),

    list: (owner, filter, { limit, after }) =>
      read(() => {
        const isOwn = ownedBy(owner)
        const last = after && exactText(after)
        const found = [...tables.flows.values()]
          .filter((flow) => isOwn(flow) && matches(flow, filter) && (last === undefined || flow.id < last))
          .sort((a, b) => (a.id < b.id ? 1 : -1))
        return { items: found.slice(0, limit), more: found.length > limit }
      }),

    consume: (id, now, callbackMac) =>
      write((changes) => {
        const flow = findById(id)
        if (!flow) return undefined
        const app = findApp(flow)
        if (flow.status !== "pending" || hasExpired(flow, now)) return { taken: false, flow, app }
        const taken = kept<ConnectFlow>({
          ...flow,
          status: "exchanging",
          takenAt: now,
          callbackMac: callbackMac ?? null,
        })
        changes.put(tables.flows, id, taken)
        return { taken: true, flow: taken, app }
      }),

    connect: (id, given, now, calls) =>
      write((changes) => {
        const flow = findIn(id, "exchanging", "choosing", "confirming")
        if (!flow) return undefined
        refuseTwins(given.map(({ account }) => account))
        const accounts = given.map((one) => keepAccount(memory, changes, one, "account.reconnected").account)
        const accountIds = accounts.map((account) => account.id)
        end(changes, flow, { status: "connected", accountIds, completedAt: now, ...(calls && { calls }) })
        return accounts
      }),

    offer: (id, candidates, expiresAt, calls) =>
      write((changes) => {
        const flow = findIn(id, "exchanging")
        if (!flow) return false
        layAside(changes, flow, candidates, { status: "choosing", expiresAt, ...(calls && { calls }) })
        return true
      }),

    hold: (id, given, candidates, expiresAt, calls) =>
      write((changes) => {
        const flow = findIn(id, "exchanging", "choosing")
        if (!flow) return false
        refuseTwins(given.map(({ account }) => account))
        for (const one of given) holdAccount(memory, changes, one)
        layAside(changes, flow, candidates, { status: "confirming", expiresAt, ...(calls && { calls }) })
        return true
      }),

    findCandidates: (id) =>
      read(() => {
        const flow = findById(id)
        const candidates = tables.candidates.get(id)
        return flow && candidates !== undefined ? { flow, app: findApp(flow), candidates } : undefined
      }),

    fail: (id, failure, event, now, calls) =>
      write((changes) => {
        const flow = findIn(id, "exchanging", "choosing")
        if (!flow) return false
        end(changes, flow, { status: "failed", failure, completedAt: now, ...(calls && { calls }) })
        changes.insert(tables.events, event.id, kept(event))
        return true
      }),

    findAbandoned: (now, takenBefore, limit) =>
      read(() =>
        [...tables.flows.values()]
          .filter((flow) => isAbandoned(flow, now, takenBefore))
          .sort(earlierFirst((flow) => flow.createdAt))
          .slice(0, limit),
      ),

    abandon: (seen, failure, event, now) =>
      write((changes) => {
        const flow = own(seen, findById(seen.id))
        if (!flow || flow.status !== seen.status) return false
        const status = abandonedAs[seen.status]
        if (!status) return false
        end(changes, flow, { status, failure, completedAt: now })
        changes.insert(tables.events, event.id, kept(event))
        return true
      }),

    prune: (completedBefore, limit) =>
      write((changes) => {
        const ended = [...tables.flows.values()]
          .filter((flow) => flow.completedAt !== null && flow.completedAt < completedBefore)
          .slice(0, limit)
        for (const flow of ended) changes.remove(tables.flows, flow.id)
        return ended.length
      }),

    forgetUnconfirmed: (updatedUntil, limit) =>
      write((changes) => {
        const forgotten = [...tables.accounts.values()]
          .map(({ account }) => account)
          .filter(({ health, updatedAt }) => health === "unconfirmed" && updatedAt <= updatedUntil)
          .sort(earlierFirst((account) => account.updatedAt))
          .slice(0, limit)
        for (const account of forgotten) forgetAccount(memory, changes, account)
        return forgotten.length
      }),
  }
}

function matches(flow: ConnectFlow, filter: FlowFilter): boolean {
  const { provider, status, reason, oauthAppId, reference, now } = filter
  if (provider !== undefined && flow.provider !== provider) return false
  if (status !== undefined && flowStatus(flow, now) !== status) return false
  if (reason !== undefined && flow.failure?.reason !== reason) return false
  if (oauthAppId !== undefined && flow.oauthAppId !== storableText(oauthAppId)) return false
  return reference === undefined || flow.reference === storableText(reference)
}

function isAbandoned(flow: ConnectFlow, now: Date, takenBefore: Date): boolean {
  if (flow.status === "exchanging") return flow.takenAt !== null && flow.takenAt <= takenBefore
  return abandonedAs[flow.status] === "expired" && hasExpired(flow, now)
}
