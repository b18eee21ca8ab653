import type { ConnectFlow } from "../domain/connect-flow.ts"
import type { UpstreamAccount, UpstreamTokens } from "../ports/providers.ts"

/** Where a flow's candidates are sealed: with their tokens, so that nothing of an unchosen one is ever in clear. */
export function candidatesPlace(flow: Pick<ConnectFlow, "tenant" | "id">) {
  return { tenant: flow.tenant, table: "flows", row: flow.id, column: "candidates" } as const
}

type Times = "expiresAt" | "refreshTokenExpiresAt" | "personTokenExpiresAt"
type Written = Omit<UpstreamAccount, "tokens"> & {
  readonly tokens: Omit<UpstreamTokens, Times> & { readonly [time in Times]: string | null }
}

export function writeCandidates(accounts: readonly UpstreamAccount[]): string {
  return JSON.stringify(accounts)
}

/** What {@link writeCandidates} wrote, which nobody else can have: it comes out of a seal. */
export function readCandidates(text: string): readonly UpstreamAccount[] {
  const time = (written: string | null) => (written === null ? null : new Date(written))
  return (JSON.parse(text) as readonly Written[]).map((account) => ({
    ...account,
    tokens: {
      ...account.tokens,
      expiresAt: time(account.tokens.expiresAt),
      refreshTokenExpiresAt: time(account.tokens.refreshTokenExpiresAt),
      personTokenExpiresAt: time(account.tokens.personTokenExpiresAt),
    },
  }))
}
