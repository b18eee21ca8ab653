import type { Choice } from "../../application/choose-accounts.ts"
import type { FlowStep } from "../../application/flow-steps.ts"
import type { FlowView } from "../../application/view-flow.ts"
import type { Account } from "../../domain/account.ts"
import type { ApiKey } from "../../domain/api-key.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import type { OAuthErrorReason, ProviderEvidence } from "../../domain/oauth-error.ts"

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

/** `docsUrl` is the page about a reason. */
export function flowView(
  { flow, status, failure, proof, steps }: FlowView,
  docsUrl: (reason: OAuthErrorReason) => string,
  choices?: readonly Choice[],
) {
  return {
    id: flow.id,
    provider: flow.provider,
    status,
    oauth_error: failure?.reason ?? null,
    detail: failure?.detail ?? null,
    docs_url: failure && docsUrl(failure.reason),
    provider_error: failure?.evidence ? evidenceView(failure.evidence) : null,
    proof,
    account_ids: flow.accountIds,
    ...(choices && { choices: choices.map(choiceView) }),
    reference: flow.reference,
    steps: steps.map(stepView),
    created_at: flow.createdAt.toISOString(),
    expires_at: flow.expiresAt.toISOString(),
    completed_at: flow.completedAt?.toISOString() ?? null,
  }
}

function stepView({ step, at, detail, call }: FlowStep) {
  return {
    step,
    at: at.toISOString(),
    detail,
    call: call?.call ?? null,
    status: call?.status ?? null,
    fault: call?.fault ?? null,
    duration_ms: call?.durationMs ?? null,
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

/** What a provider said, field by field. */
export function evidenceView(evidence: ProviderEvidence) {
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
