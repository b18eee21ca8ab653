import type { AppCheck } from "../../application/check-app.ts"
import { type AppFinding, isSound } from "../../domain/app-check.ts"
import { evidenceView } from "./views.ts"

/** What leaves the service of a check, field by field. */
export function appCheckView({ app, findings, checkedAt }: AppCheck) {
  return {
    id: app.id,
    provider: app.provider,
    ok: isSound(findings),
    checked_at: checkedAt.toISOString(),
    findings: findings.map(findingView),
  }
}

function findingView({ check, verdict, detail, console, evidence }: AppFinding) {
  return {
    check,
    verdict,
    detail,
    console: console && { page: console.page, field: console.field, url: console.url },
    provider_error: evidence && evidenceView(evidence),
  }
}
