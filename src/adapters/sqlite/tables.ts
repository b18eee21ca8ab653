import type { Account, RefreshState, RenewalPlan, SealedCredentials } from "../../domain/account.ts"
import { exactText, storable, storableText } from "../../domain/account-search.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { ConnectFlow } from "../../domain/connect-flow.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>

/** `id` identifies and is kept exactly; `text` is free; the rest says how a field becomes a column's value. */
type Kind = "id" | "text" | "date" | "flag" | "count" | "json"

/** The kinds that fit a field's type, so that a field without a column, or with a wrong one, does not compile. */
type KindOf<Value> = [Value] extends [Date | null]
  ? "date"
  : [Value] extends [boolean]
    ? "flag"
    : [Value] extends [number]
      ? "count"
      : [Value] extends [string | null]
        ? "id" | "text"
        : "json"

type Columns<Fields> = { readonly [Field in keyof Fields]-?: KindOf<Fields[Field]> }

/** How one kind of record is written to and read from columns of the same names in snake case. */
export interface Table<Fields> {
  /** `[id], [tenant], …`, in brackets since some are words of SQL */
  readonly columns: string
  /** `$id, $tenant, …` */
  readonly parameters: string
  toRow<Some extends Partial<Fields>>(record: Some): Row
  fromRow(row: Row): Fields
  /** For rows that have columns of other tables too: `apps.[id] as app_id, …` */
  joined(alias: string, prefix?: string): Joined<Fields>
}

export interface Joined<Fields> {
  readonly columns: string
  fromRow(row: Row): Fields
}

function table<Fields extends object>(columns: Columns<Fields>): Table<Fields> {
  const all = Object.entries<Kind>(columns).map(([field, kind]) => ({
    field,
    column: snakeCase(field),
    kind,
  }))
  const fromColumns = (row: Row, prefix: string) =>
    Object.fromEntries(
      all.map(({ field, column, kind }) => [field, read(kind, row[prefix + column] ?? null)]),
    ) as Fields
  return {
    columns: all.map(({ column }) => `[${column}]`).join(", "),
    parameters: all.map(({ column }) => `$${column}`).join(", "),
    toRow(record) {
      const given: Readonly<Record<string, unknown>> = { ...record }
      const present = all.filter(({ field }) => Object.hasOwn(given, field))
      return Object.fromEntries(present.map(({ field, column, kind }) => [column, write(kind, given[field])]))
    },
    fromRow: (row) => fromColumns(row, ""),
    joined: (alias, prefix = "") => ({
      columns: all.map(({ column }) => `${alias}.[${column}] as ${prefix}${column}`).join(", "),
      fromRow: (row) => fromColumns(row, prefix),
    }),
  }
}

function snakeCase(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** {@link Columns} has checked that the kind fits the value's type. */
function write(kind: Kind, value: unknown): SqlValue {
  if (value === null || value === undefined) return null
  switch (kind) {
    case "id":
      return exactText(value as string)
    case "text":
      return storableText(value as string)
    case "date":
      return (value as Date).getTime()
    case "flag":
      return value === true ? 1 : 0
    case "count":
      return value as number
    case "json":
      return JSON.stringify(storable(value))
  }
}

function read(kind: Kind, value: SqlValue): unknown {
  if (value === null) return null
  switch (kind) {
    case "id":
    case "text":
    case "count":
      return value
    case "date":
      return new Date(value)
    case "flag":
      return value === 1
    case "json":
      return JSON.parse(value as string)
  }
}

export const appTable = table<OAuthApp>({
  id: "id",
  tenant: "id",
  environment: "text",
  provider: "text",
  name: "text",
  clientId: "text",
  clientSecret: "text",
  scopes: "json",
  allowedReturnUrls: "json",
  isDefault: "flag",
  options: "json",
  createdAt: "date",
  updatedAt: "date",
})

export const flowTable = table<ConnectFlow>({
  id: "id",
  tenant: "id",
  environment: "text",
  provider: "text",
  oauthAppId: "text",
  redirectUri: "text",
  scopes: "json",
  options: "json",
  returnUrl: "text",
  reference: "text",
  reconnectAccountId: "text",
  codeVerifier: "text",
  select: "flag",
  startedBy: "text",
  status: "text",
  failure: "json",
  accountIds: "json",
  createdAt: "date",
  expiresAt: "date",
  takenAt: "date",
  completedAt: "date",
})

export const accountTable = table<Account>({
  id: "id",
  tenant: "id",
  environment: "text",
  provider: "text",
  platformAccountId: "id",
  handle: "text",
  displayName: "text",
  avatarUrl: "text",
  health: "text",
  healthDetail: "text",
  connectionType: "text",
  oauthAppId: "text",
  scopes: "json",
  missingScopes: "json",
  reference: "text",
  metadata: "json",
  tokenExpiresAt: "date",
  connectedAt: "date",
  updatedAt: "date",
})

export const credentialTable = table<SealedCredentials>({
  accessToken: "text",
  refreshToken: "text",
  personToken: "text",
  tokenType: "text",
  obtainedAt: "date",
  refreshTokenExpiresAt: "date",
  personTokenExpiresAt: "date",
})

export const planTable = table<RenewalPlan>({
  keepAliveAt: "date",
  personNeededAt: "date",
})

export const refreshTable = table<RefreshState>({
  fence: "count",
  leaseUntil: "date",
  sentAt: "date",
  failures: "count",
  retryAt: "date",
  lastFailure: "text",
})

export const keyTable = table<ApiKey>({
  id: "id",
  tenant: "id",
  environment: "text",
  name: "text",
  scopes: "json",
  digest: "text",
  createdAt: "date",
  expiresAt: "date",
  lastUsedAt: "date",
  revokedAt: "date",
})

export const eventTable = table<DomainEvent>({
  id: "id",
  tenant: "id",
  environment: "text",
  type: "text",
  at: "date",
  actor: "text",
  provider: "text",
  accountId: "text",
  flowId: "text",
  oauthAppId: "text",
  apiKeyId: "text",
  reference: "text",
  reason: "text",
  detail: "text",
})
