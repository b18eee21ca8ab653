import type { Account, RefreshState, RenewalPlan, SealedCredentials } from "../../domain/account.ts"
import { exactText, storable, storableText } from "../../domain/account-search.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { ConnectFlow } from "../../domain/connect-flow.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { ProviderCall } from "../../domain/oauth-error.ts"
import type { Delivery, Webhook } from "../../domain/webhook.ts"

export type SqlValue = string | number | null
export type Row = Readonly<Record<string, SqlValue>>

/**
 * `id` identifies and is kept exactly; `text` is free; `calls` is JSON with dates; the rest says how a field becomes
 * a column's value.
 */
type Kind = "id" | "text" | "date" | "flag" | "count" | "calls" | "json"

/** The kinds that fit a field's type, so that a field without a column, or with a wrong one, does not compile. */
type KindOf<Value> = [Value] extends [Date | null]
  ? "date"
  : [Value] extends [boolean]
    ? "flag"
    : [Value] extends [number | null]
      ? "count"
      : [Value] extends [string | null]
        ? "id" | "text"
        : [Value] extends [readonly ProviderCall[]]
          ? "calls"
          : "json"

type Columns<Fields> = { readonly [Field in keyof Fields]-?: KindOf<Fields[Field]> }

/** How one kind of record is written to and read from columns of the same names in snake case. */
export interface Table<Fields> {
  /** `[id], [tenant], …`, in brackets since some are words of SQL */
  readonly columns: string
  /** `$id, $tenant, …` */
  readonly parameters: string
  /** `?, ?, …`, for {@link values} */
  readonly places: string
  /** A whole record's values in the order of the columns: bound faster than by name. */
  values(record: Fields): SqlValue[]
  toRow<Some extends Partial<Fields>>(record: Some): Row
  fromRow(row: Row): Fields
  /** What {@link values} made, as it will be read from its row. */
  fromValues(values: readonly SqlValue[]): Fields
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
  // Loops, since every call of every path makes several records.
  const reader = (prefix: string) => {
    const columns = all.map(({ field, column, kind }) => ({ field, column: prefix + column, kind }))
    return (row: Row): Fields => {
      const fields: Record<string, unknown> = {}
      for (const { field, column, kind } of columns) fields[field] = read(kind, row[column] ?? null)
      return fields as Fields
    }
  }
  return {
    columns: all.map(({ column }) => `[${column}]`).join(", "),
    parameters: all.map(({ column }) => `$${column}`).join(", "),
    places: all.map(() => "?").join(", "),
    values(record) {
      const given = record as Readonly<Record<string, unknown>>
      return all.map(({ field, kind }) => write(kind, given[field]))
    },
    toRow(record) {
      const given = record as Readonly<Record<string, unknown>>
      const row: Record<string, SqlValue> = {}
      for (const { field, column, kind } of all)
        if (Object.hasOwn(given, field)) row[column] = write(kind, given[field])
      return row
    },
    fromRow: reader(""),
    fromValues(values) {
      const fields: Record<string, unknown> = {}
      for (const [i, { field, kind }] of all.entries()) fields[field] = read(kind, values[i] ?? null)
      return fields as Fields
    },
    joined: (alias, prefix = "") => ({
      columns: all.map(({ column }) => `${alias}.[${column}] as ${prefix}${column}`).join(", "),
      fromRow: reader(prefix),
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
      return timeOf(value as Date)
    case "flag":
      return value === true ? 1 : 0
    case "count":
      return value as number
    case "calls":
    case "json":
      return jsonText(value)
  }
}

/** Throws `RangeError` for one that is invalid, which SQLite would keep as none. */
function timeOf(date: Date): number {
  const time = date.getTime()
  if (Number.isNaN(time)) throw new RangeError("an invalid date cannot be stored")
  return time
}

/** What no store can keep JSON writes as an escape; only where there is one is the value mended, as a copy. */
function jsonText(value: unknown): string {
  // As most lists of a flow are.
  if (Array.isArray(value) && value.length === 0) return "[]"
  const text = JSON.stringify(value)
  return text.includes("\\u") ? JSON.stringify(storable(value)) : text
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
    case "calls":
      return callsFrom(fromJsonText(value as string) as readonly ProviderCall[])
    case "json":
      return fromJsonText(value as string)
  }
}

function fromJsonText(text: string): unknown {
  return text === "[]" ? [] : JSON.parse(text)
}

/** Each with its date, which JSON has as text. */
function callsFrom(calls: readonly ProviderCall[]): readonly ProviderCall[] {
  return calls.map((call) => ({ ...call, at: new Date(call.at) }))
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
  proof: "flag",
  startedBy: "text",
  status: "text",
  failure: "json",
  accountIds: "json",
  calls: "calls",
  callbackMac: "text",
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
  webhookId: "text",
  reference: "text",
  reason: "text",
  detail: "text",
})

export const webhookTable = table<Webhook>({
  id: "id",
  tenant: "id",
  environment: "text",
  url: "text",
  events: "json",
  description: "text",
  enabled: "flag",
  disabledReason: "text",
  secret: "text",
  previousSecret: "text",
  previousSecretUntil: "date",
  failingSince: "date",
  holdUntil: "date",
  failures: "count",
  createdAt: "date",
  updatedAt: "date",
})

export const deliveryTable = table<Delivery>({
  webhookId: "id",
  eventId: "id",
  orderKey: "text",
  status: "text",
  attempts: "count",
  createdAt: "date",
  firstAttemptAt: "date",
  dueAt: "date",
  completedAt: "date",
  lastStatus: "count",
  lastDetail: "text",
})
