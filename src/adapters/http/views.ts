import type { Choice } from "../../application/choose-accounts.ts"
import type { Account } from "../../domain/account.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { ConnectFlow, FlowFailure, FlowStatus } from "../../domain/connect-flow.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { ProviderEvidence } from "../../domain/oauth-error.ts"

/** What leaves the service, field by field: nothing else of a record ever does. */

export function appView(app: OAuthApp, redirectUri: string) {
  return {
    id: app.id,
    provider: app.provider,
    name: app.name,
    client_id: app.clientId,
    redirect_uri: redirectUri,
    scopes: app.scopes,
    allowed_return_urls: app.allowedReturnUrls,
    is_default: app.isDefault,
    options: app.options,
    created_at: app.createdAt.toISOString(),
    updated_at: app.updatedAt.toISOString(),
  }
}

export function flowView(
  view: { readonly flow: ConnectFlow; readonly status: FlowStatus; readonly failure: FlowFailure | null },
  choices?: readonly Choice[],
) {
  const { flow, status, failure } = view
  return {
    id: flow.id,
    provider: flow.provider,
    status,
    oauth_error: failure?.reason ?? null,
    detail: failure?.detail ?? null,
    provider_error: failure?.evidence ? evidenceView(failure.evidence) : null,
    account_ids: flow.accountIds,
    ...(choices && { choices: choices.map(choiceView) }),
    reference: flow.reference,
    created_at: flow.createdAt.toISOString(),
    expires_at: flow.expiresAt.toISOString(),
    completed_at: flow.completedAt?.toISOString() ?? null,
  }
}

function choiceView(choice: Choice) {
  return {
    platform_account_id: choice.platformAccountId,
    handle: choice.handle,
    display_name: choice.displayName,
    avatar_url: choice.avatarUrl,
  }
}

function evidenceView(evidence: ProviderEvidence) {
  return {
    call: evidence.call,
    status: evidence.status,
    code: evidence.code,
    message: evidence.message,
    trace_id: evidence.traceId,
  }
}

export function accountView(account: Account) {
  return {
    id: account.id,
    provider: account.provider,
    platform_account_id: account.platformAccountId,
    handle: account.handle,
    display_name: account.displayName,
    avatar_url: account.avatarUrl,
    health: account.health,
    health_detail: account.healthDetail,
    connection_type: account.connectionType,
    oauth_app_id: account.oauthAppId,
    scopes: account.scopes,
    missing_scopes: account.missingScopes,
    reference: account.reference,
    metadata: account.metadata,
    token_expires_at: account.tokenExpiresAt?.toISOString() ?? null,
    connected_at: account.connectedAt.toISOString(),
    updated_at: account.updatedAt.toISOString(),
  }
}

export function keyView(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    environment: key.environment,
    scopes: key.scopes,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  }
}
