import { type Command, CommanderError } from "commander"
import { type AppFinding, isSound, type Verdict } from "../../domain/app-check.ts"
import { ConnectError, invalidField, notFound } from "../../domain/errors.ts"
import type { OAuthApp } from "../../domain/oauth-app.ts"
import { type Environment, environments } from "../../domain/owner.ts"
import { SealBroken } from "../../ports/crypto.ts"
import type { Storage } from "../../ports/storage.ts"

/** What the doctor looks at. Nothing is made, migrated or changed, and a server may run beside. `main` fills it in. */
export interface Installation {
  settings(): Settings | { readonly faults: readonly string[] }
  /** Opens the store while the work lasts. Rejects with a sentence where it is out of reach or not migrated. */
  withStore<Result>(work: (store: OpenStore) => Promise<Result>): Promise<Result>
}

export interface Settings {
  readonly publicUrl: string
  /** False for a store that is gone with its process. */
  readonly durable: boolean
  readonly hasKeys: boolean
}

export interface OpenStore {
  readonly apps: Pick<Storage["apps"], "list">
  readonly ping: Storage["ping"]
  /** Null without keys, since a check needs the app's secret. Rejects with `SealBroken` where no key opens it. */
  readonly check: ((app: OAuthApp) => Promise<readonly AppFinding[]>) | null
}

interface DoctorOptions {
  readonly tenant?: string
  readonly app?: string
  readonly environment?: Environment
  readonly json?: true
}

/** One thing that was looked at: of an app, or of the installation where there is none. */
interface Diagnosis {
  readonly app: OAuthApp | null
  readonly check: string
  readonly verdict: Verdict
  readonly detail: string
  readonly finding?: AppFinding
}

type Tell = (diagnosis: Diagnosis) => void

/** Makes of the command what finds out, before a person does, why connects would fail. Exit code 1 with problems. */
export function addDoctor(
  command: Command,
  installation: Installation,
  print: (text: string) => void,
): Command {
  return command
    .description("find what would keep people from connecting; changes nothing")
    .option("--app <id>", "one app of the tenant, in place of all")
    .action(async (options: DoctorOptions) => {
      const told: Diagnosis[] = []
      await examine(installation, options, (diagnosis) => {
        told.push(diagnosis)
        if (!options.json) print(line(diagnosis))
      })
      if (options.json) print(JSON.stringify({ ok: isSound(told), findings: told.map(describe) }))
      // What was found is said already; this is the exit code.
      if (!isSound(told)) throw new CommanderError(1, "mooring.doctor", "problems were found")
    })
}

async function examine(installation: Installation, options: DoctorOptions, tell: Tell): Promise<void> {
  if (options.app !== undefined && options.tenant === undefined) {
    throw invalidField("--app", "needs --tenant with the tenant whose app it is")
  }
  const ours = (check: string, verdict: Verdict, detail: string) =>
    tell({ app: null, check, verdict, detail })
  const settings = installation.settings()
  if ("faults" in settings) {
    for (const fault of settings.faults) ours("settings", "problem", fault)
    return
  }
  ours("settings", "ok", "Every setting can be read.")
  const { verdict, detail } = publicUrlVerdict(settings.publicUrl)
  ours("public_url", verdict, detail)
  if (!settings.durable) {
    ours("database", "unknown", "memory: is gone with the server's process, so nothing can look into it.")
    return
  }
  if (!settings.hasKeys) {
    const next = "set ENCRYPTION_KEYS, or start Mooring here once"
    ours("keys", "problem", `No ENCRYPTION_KEYS are set, and none were made here yet; ${next}.`)
  }
  let reached = false
  try {
    await installation.withStore(async (store) => {
      await store.ping()
      reached = true
      ours("database", "ok", "The database answers, and its tables are up to date.")
      await examineApps(store, options, tell)
    })
  } catch (fault) {
    if (reached) throw fault
    ours("database", "problem", fault instanceof Error ? fault.message : String(fault))
  }
}

function publicUrlVerdict(publicUrl: string): Pick<Diagnosis, "verdict" | "detail"> {
  if (publicUrl.startsWith("https:")) {
    return { verdict: "ok", detail: `PUBLIC_URL is ${publicUrl}, with which every redirect_uri begins.` }
  }
  return {
    verdict: "unknown",
    detail: `PUBLIC_URL is ${publicUrl}, which only this machine reaches: good for the sandbox, but providers register https addresses, X alone http://127.0.0.1 too.`,
  }
}

async function examineApps(store: OpenStore, options: DoctorOptions, tell: Tell): Promise<void> {
  const { check } = store
  if (check === null) return
  const ours = (about: string, verdict: Verdict, detail: string) =>
    tell({ app: null, check: about, verdict, detail })
  const { tenant } = options
  if (tenant === undefined) {
    ours(
      "keys",
      "unknown",
      "Name a tenant with --tenant to try ENCRYPTION_KEYS on its apps and to check them.",
    )
    return
  }
  const chosen = options.environment ? [options.environment] : environments
  const listed = await Promise.all(chosen.map((environment) => store.apps.list({ tenant, environment })))
  const apps = listed.flat().filter(({ id }) => options.app === undefined || id === options.app)
  if (apps.length === 0 && options.app !== undefined) throw notFound("OAuth app")
  if (apps.length === 0) ours("apps", "unknown", `The tenant ${tenant} has no OAuth apps.`)
  // One after the other: the providers count how often they are asked.
  for (const app of apps) await examineApp(app, check, tell)
}

async function examineApp(app: OAuthApp, check: NonNullable<OpenStore["check"]>, tell: Tell): Promise<void> {
  try {
    const findings = await check(app)
    tell({ app, check: "keys", verdict: "ok", detail: "ENCRYPTION_KEYS open the client secret." })
    for (const finding of findings) tell({ app, ...finding, finding })
  } catch (fault) {
    if (fault instanceof SealBroken) {
      tell({
        app,
        check: "keys",
        verdict: "problem",
        detail: `The client secret cannot be read: ${fault.message}.`,
      })
    } else if (fault instanceof ConnectError) {
      tell({ app, check: "provider", verdict: "unknown", detail: fault.message })
    } else {
      throw fault
    }
  }
}

function line({ app, check, verdict, detail }: Diagnosis): string {
  const whose = app === null ? "" : `${app.id} ${app.environment} ${app.provider} `
  return `${verdict.padEnd(7)}  ${whose}${check}: ${detail}`
}

function describe({ app, check, verdict, detail, finding }: Diagnosis) {
  return {
    oauth_app_id: app?.id ?? null,
    environment: app?.environment ?? null,
    provider: app?.provider ?? null,
    check,
    verdict,
    detail,
    console: finding?.console ?? null,
    provider_error: finding?.evidence
      ? {
          call: finding.evidence.call,
          status: finding.evidence.status,
          code: finding.evidence.code,
          message: finding.evidence.message,
          trace_id: finding.evidence.traceId,
        }
      : null,
  }
}
