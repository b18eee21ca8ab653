import type { ConnectFlow } from "../domain/connect-flow.ts"
import type { UpstreamAccount, UpstreamTokens } from "../ports/providers.ts"

/** Where a flow's candidates are sealed: with their tokens, so that nothing of an unchosen one is ever in clear. */
export function candidatesPlace(flow: Pick<ConnectFlow, "tenant" | "id">) {
  return { tenant: flow.tenant, table: "flows", row: flow.id, column: "candidates" } as const
}

/** All that one consent covered, kept or not. */
export interface Grant {
  readonly personId: string | null
  readonly platformAccountIds: readonly string[]
}

export function grantOf(granted: readonly UpstreamAccount[]): Grant {
  return {
    personId: granted[0]?.metadata.person_id ?? null,
    platformAccountIds: granted.map((account) => account.platformAccountId),
  }
}

/** Accounts that wait for the tenant's word. Of what else was granted only the ids are kept. */
export interface HeldAccounts {
  readonly accounts: readonly UpstreamAccount[]
  readonly grant: Grant
}

type Times = "expiresAt" | "refreshTokenExpiresAt" | "personTokenExpiresAt"
type Written = Omit<UpstreamAccount, "tokens"> & {
  readonly tokens: Omit<UpstreamTokens, Times> & { readonly [time in Times]: string | null }
}

/** What there is to choose among. */
export function writeCandidates(accounts: readonly UpstreamAccount[]): string {
  return JSON.stringify(accounts)
}

/** What {@link writeCandidates} wrote, which nobody else can have: it comes out of a seal. */
export function readCandidates(text: string): readonly UpstreamAccount[] {
  return (JSON.parse(text) as readonly Written[]).map(readAccount)
}

export function writeHeld(held: HeldAccounts): string {
  return JSON.stringify(held)
}

/** What {@link writeHeld} wrote. */
export function readHeld(text: string): HeldAccounts {
  const { accounts, grant } = JSON.parse(text) as {
    readonly accounts: readonly Written[]
    readonly grant: Grant
  }
  return { accounts: accounts.map(readAccount), grant }
}

function readAccount(account: Written): UpstreamAccount {
  const time = (written: string | null) => (written === null ? null : new Date(written))
  return {
    ...account,
    tokens: {
      ...account.tokens,
      expiresAt: time(account.tokens.expiresAt),
      refreshTokenExpiresAt: time(account.tokens.refreshTokenExpiresAt),
      personTokenExpiresAt: time(account.tokens.personTokenExpiresAt),
    },
  }
}
