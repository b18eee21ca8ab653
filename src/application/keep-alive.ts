import { expiringWindowMs, type Health } from "../domain/account.ts"
import { type ProviderName, providerTitle } from "../domain/provider.ts"
import { healthByClock, refreshLeaseMs, renewalOf } from "../domain/token-life.ts"
import type { HeldAccount } from "../ports/storage.ts"
import { accountEvent, type TokenDeps, unknownDetail } from "./refresh-tokens.ts"

export interface KeepAlive {
  /**
   * Renews one batch of what is due of a provider and resolves to its size; the caller goes on until it is 0.
   * Safe on any number of instances at once.
   */
  renewDue(provider: ProviderName): Promise<number>
  /** Writes down what the clock alone has changed, and announces it. */
  tellTime(): Promise<number>
}

/** A batch of one provider, and how much of it one app's quota is burdened with; the next comes when it is done. */
const batch = { limit: 20, perApp: 5 } as const
/** How long an app whose credentials are refused, or that is asked to slow down, is left alone. */
const pauseMs = 10 * 60_000

/**
 * Keeps alive what would die unread. Each provider has a loop of its own (see `main`), so that one that hangs
 * holds up none of the others.
 */
export function keepAlive(deps: TokenDeps): KeepAlive {
  const paused = new Map<string, number>()

  const exceptApps = (): readonly string[] => {
    const now = deps.now().getTime()
    for (const [app, until] of paused) if (until <= now) paused.delete(app)
    return [...paused.keys()]
  }

  async function renewOne(claimed: HeldAccount): Promise<void> {
    const outcome = await deps.refresher.refresh(claimed)
    const appId = claimed.account.oauthAppId
    if (outcome !== "failed" || appId === null) return
    const after = await deps.tokens.read(claimed.account, claimed.account.id)
    const reason = after?.refresh.lastFailure
    if (reason === "invalid_client" || reason === "rate_limited")
      paused.set(appId, deps.now().getTime() + pauseMs)
  }

  return {
    async renewDue(provider) {
      const now = deps.now()
      const due = await deps.tokens.claimDue(
        { provider, ...batch, exceptApps: exceptApps() },
        {
          now,
          until: new Date(now.getTime() + refreshLeaseMs),
          risky: renewalOf({ provider, hasRefreshToken: true }) === "rotating",
        },
      )
      // One that cannot be judged afterwards is no reason to leave the others unawaited.
      await Promise.allSettled(due.map(renewOne))
      return due.length
    },

    async tellTime() {
      const now = deps.now()
      const soon = new Date(now.getTime() + expiringWindowMs)
      let told = 0
      for (const held of await deps.tokens.findChangedByClock(now, soon, 500)) {
        const change = changeOf(held, now)
        if (!change) continue
        const { account, refresh: state } = held
        const event = accountEvent(deps, account, change.type, change.detail)
        const seen = { accountId: account.id, fence: state.fence, health: account.health }
        if (await deps.tokens.changeHealth(seen, change.health, change.detail, event, now)) told++
      }
      return told
    },
  }
}

interface HealthChange {
  readonly health: Health
  readonly type: "account.expiring" | "account.reauthorization_required" | "account.updated"
  readonly detail: string
}

function changeOf(held: HeldAccount, now: Date): HealthChange | undefined {
  const { account, plan, refresh } = held
  const health = healthByClock({ ...account, personNeededAt: plan.personNeededAt }, now)
  const title = providerTitle[account.provider]
  const again = `ask the person to connect again with start?account_id=${account.id}`
  if (health === "reauthorization_required") {
    return {
      health,
      type: "account.reauthorization_required",
      detail: `The token has ended and ${title} gave nothing to renew it with; ${again}.`,
    }
  }
  if (health === "expiring") {
    const end = plan.personNeededAt?.toISOString() ?? "soon"
    return {
      health,
      type: "account.expiring",
      detail: `${title}'s grant ends on ${end} and only the person can renew it; ${again} before that.`,
    }
  }
  const died = refresh.sentAt !== null && refresh.leaseUntil !== null && refresh.leaseUntil <= now
  return died ? { health: "refresh_unknown", type: "account.updated", detail: unknownDetail } : undefined
}
