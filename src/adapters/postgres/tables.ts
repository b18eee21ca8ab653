import type { JSONValue } from "postgres"
import type { Account, RefreshState, RenewalPlan, SealedCredentials } from "../../domain/account.ts"
import { exactText, storable, storableText } from "../../domain/account-search.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { ConnectFlow } from "../../domain/connect-flow.ts"
import type { DomainEvent } from "../../domain/event.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { ProviderCall } from "../../domain/oauth-error.ts"
import type { Delivery, Webhook } from "../../domain/webhook.ts"
import type { StoredToken } from "../../ports/storage.ts"

/** A row as the server answers it. */
export type Row = Readonly<Record<string, unknown>>

/** A row on its way in: one JSON parameter, which the server takes apart by the table's own types. */
export type JsonRow = Readonly<Record<string, JSONValue>>

/**
 * `id` identifies and is kept exactly; `text` is free; a `date` is parsed; `calls` is JSON with dates; the rest is
 * JSON in both directions, of which a `flag` is a boolean and a `count` an integer to the server.
 */
type Kind = "id" | "text" | "date" | "flag" | "count" | "calls" | "json"

/** A kind, and the column's name where it is not the field's. */
type Column<Kinds extends Kind = Kind> = Kinds | { readonly kind: Kinds; readonly column: string }

/** The kinds that fit a field's type, so that a field without a column, or with a wrong one, does not compile. */
type KindOf<Value> = [Value] extends [Date | null]
  ? "date"
  : [Value] extends [string | null]
    ? "id" | "text"
    : [Value] extends [boolean]
      ? "flag"
      : [Value] extends [number | null]
        ? "count"
        : [Value] extends [readonly ProviderCall[]]
          ? "calls"
          : "json"

type Columns<Fields> = { readonly [Field in keyof Fields]-?: Column<KindOf<Fields[Field]>> }

/** How one kind of record is written to and read from columns, mostly of the same names in snake case. */
export interface Table<Fields> {
  readonly name: string
  readonly columns: readonly string[]
  toRow<Some extends Partial<Fields>>(record: Some): JsonRow
  fromRow(row: Row): Fields
  /**
   * The busiest statements take and answer rows as JSON arrays in the order of the columns: without names an account
   * takes the server 13 µs to write instead of 20, and us 2.4 to read instead of 4.
   */
  toValues(record: Fields): readonly JSONValue[]
  /** From an answer of {@link answered}, whose own values begin at a place. */
  fromValues(values: readonly unknown[], at: number): Fields
  /** SQL: what `toValues` made, taken out of a jsonb array. */
  taken(array: string, at: number): readonly string[]
  /** SQL: what `fromValues` reads, of a row that has the columns. */
  answered(source: string): readonly string[]
}

function table<Fields extends object>(name: string, given: Columns<Fields>): Table<Fields> {
  const all = Object.entries<Column>(given).map(([field, column]) =>
    typeof column === "string"
      ? { field, column: snakeCase(field), kind: column }
      : { field, column: column.column, kind: column.kind },
  )
  return {
    name,
    columns: all.map(({ column }) => column),
    toRow(record) {
      const given = record as Readonly<Record<string, unknown>>
      const row: Record<string, JSONValue> = {}
      for (const { field, column, kind } of all)
        if (Object.hasOwn(given, field)) row[column] = write(kind, given[field])
      return row
    },
    fromRow(row) {
      const fields: Record<string, unknown> = {}
      for (const { field, column, kind } of all) fields[field] = read(kind, row[column])
      return fields as Fields
    },
    toValues(record) {
      const given = record as Readonly<Record<string, unknown>>
      return all.map(({ field, kind }) => write(kind, given[field]))
    },
    fromValues(values, at) {
      const fields: Record<string, unknown> = {}
      for (const { field, kind } of all) fields[field] = read(kind, values[at++])
      return fields as Fields
    },
    taken: (array, at) => all.map(({ kind }, i) => taken(kind, array, at + i)),
    answered: (source) => all.map(({ column, kind }) => answered(kind, `${source}.${column}`)),
  }
}

function snakeCase(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** {@link Columns} has checked that the kind fits the value's type. */
function write(kind: Kind, value: unknown): JSONValue {
  if (value === null || value === undefined) return null
  switch (kind) {
    case "id":
      return exactText(value as string)
    case "text":
      return storableText(value as string)
    case "date":
      return (value as Date).toISOString()
    case "flag":
    case "count":
    case "calls":
    case "json":
      return storable(value as JSONValue)
  }
}

/** A date comes parsed in a column of its own, as text in a row as JSON, and as milliseconds among values. */
function read(kind: Kind, value: unknown): unknown {
  if (value === null) return null
  if (kind === "date") return new Date(value as Date | string | number)
  return kind === "calls" ? callsFrom(value as readonly ProviderCall[]) : value
}

function taken(kind: Kind, array: string, at: number): string {
  switch (kind) {
    case "id":
    case "text":
      return `${array} ->> ${at}`
    case "date":
      return `(${array} ->> ${at})::timestamptz`
    case "flag":
      return `(${array} ->> ${at})::boolean`
    case "count":
      return `(${array} ->> ${at})::integer`
    case "calls":
    case "json":
      return `nullif(${array} -> ${at}, 'null')`
  }
}

/** A date as milliseconds is read in a sixth of the time of its text: 0.08 µs instead of 0.48. */
function answered(kind: Kind, column: string): string {
  return kind === "date" ? `round(date_part('epoch', ${column}) * 1000)` : column
}

/** Each with its date, which JSON has as text. */
function callsFrom(calls: readonly ProviderCall[]): readonly ProviderCall[] {
  return calls.map((call) => ({ ...call, at: new Date(call.at) }))
}

export const appTable = table<OAuthApp>("oauth_apps", {
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

export const flowTable = table<ConnectFlow>("flows", {
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
  select: { kind: "flag", column: "select_accounts" }, // a reserved word of SQL
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

export const accountTable = table<Account>("accounts", {
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

/** Of an account what handing out its token takes. */
export const tokenAccountTable = table<StoredToken["account"]>("accounts", {
  id: "id",
  tenant: "id",
  environment: "text",
  provider: "text",
  platformAccountId: "id",
  health: "text",
  scopes: "json",
  tokenExpiresAt: "date",
})

export const credentialTable = table<SealedCredentials>("accounts", {
  accessToken: "text",
  refreshToken: "text",
  personToken: "text",
  tokenType: "text",
  obtainedAt: "date",
  refreshTokenExpiresAt: "date",
  personTokenExpiresAt: "date",
})

export const refreshTable = table<RefreshState>("accounts", {
  fence: "count",
  leaseUntil: "date",
  sentAt: "date",
  failures: "count",
  retryAt: "date",
  lastFailure: "text",
})

export const planTable = table<RenewalPlan>("accounts", {
  keepAliveAt: "date",
  personNeededAt: "date",
})

export const keyTable = table<ApiKey>("api_keys", {
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

export const eventTable = table<DomainEvent>("events", {
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

export const webhookTable = table<Webhook>("webhooks", {
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

export const deliveryTable = table<Delivery>("deliveries", {
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
