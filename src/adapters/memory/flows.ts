import { exactText, refuseTwins, storable } from "../../domain/account-search.ts"
import { abandonedAs, type ConnectFlow, hasExpired } from "../../domain/connect-flow.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { ConnectFlows } from "../../ports/storage.ts"
import { keepAccount } from "./accounts.ts"
import { type Changes, earlierFirst, kept, type Memory, own } from "./tables.ts"

export function memoryFlows(memory: Memory): ConnectFlows {
  const { tables, read, write } = memory
  const findById = (id: string) => tables.flows.get(exactText(id))

  function findApp(flow: ConnectFlow): OAuthApp | null {
    return own(flow, tables.apps.get(flow.oauthAppId ?? "")) ?? null
  }

  function findTaken(id: string): ConnectFlow | undefined {
    const flow = findById(id)
    return flow?.status === "exchanging" || flow?.status === "choosing" ? flow : undefined
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

    consume: (id, now) =>
      write((changes) => {
        const flow = findById(id)
        if (!flow) return undefined
        const app = findApp(flow)
        if (flow.status !== "pending" || hasExpired(flow, now)) return { taken: false, flow, app }
        const taken = kept<ConnectFlow>({ ...flow, status: "exchanging", takenAt: now })
        changes.put(tables.flows, id, taken)
        return { taken: true, flow: taken, app }
      }),

    connect: (id, given, now) =>
      write((changes) => {
        const flow = findTaken(id)
        if (!flow) return undefined
        refuseTwins(given.map(({ account }) => account))
        const accounts = given.map((one) => keepAccount(memory, changes, one, "account.reconnected").account)
        const accountIds = accounts.map((account) => account.id)
        end(changes, flow, { status: "connected", accountIds, completedAt: now })
        return accounts
      }),

    offer: (id, candidates, expiresAt) =>
      write((changes) => {
        const flow = findById(id)
        if (flow?.status !== "exchanging") return false
        changes.put(tables.flows, id, kept<ConnectFlow>({ ...flow, status: "choosing", expiresAt }))
        changes.put(tables.candidates, id, storable(candidates))
        return true
      }),

    findCandidates: (id) =>
      read(() => {
        const flow = findById(id)
        const candidates = tables.candidates.get(id)
        return flow && candidates !== undefined ? { flow, app: findApp(flow), candidates } : undefined
      }),

    fail: (id, failure, event, now) =>
      write((changes) => {
        const flow = findTaken(id)
        if (!flow) return false
        end(changes, flow, { status: "failed", failure, completedAt: now })
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
  }
}

function isAbandoned(flow: ConnectFlow, now: Date, takenBefore: Date): boolean {
  if (flow.status === "pending" || flow.status === "choosing") return hasExpired(flow, now)
  return flow.status === "exchanging" && flow.takenAt !== null && flow.takenAt <= takenBefore
}
