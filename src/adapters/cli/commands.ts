import { Command, CommanderError, InvalidArgumentError, Option } from "commander"
import type { ManageApiKeys } from "../../application/api-keys.ts"
import { type ApiKey, keyScopes } from "../../domain/api-key.ts"
import { type Environment, environments, isTenantName } from "../../domain/owner.ts"
import { parseRfc3339, rfc3339Example } from "../../domain/rfc3339.ts"
import { addDoctor, type Installation } from "./doctor.ts"
import { exitCodeOf } from "./exit-code.ts"
import { operator } from "./operator.ts"

/** What the commands do to the rest of Mooring; `main` fills it in. */
export interface Actions {
  /** Serves until a signal asks it to stop. */
  serve(): Promise<void>
  /** Brings the database up to date; resolves to the migrations applied now. */
  migrate(): Promise<readonly string[]>
  /** Opens the store beside a running server, and closes it afterwards. */
  withApiKeys<Result>(use: (keys: ManageApiKeys) => Promise<Result>): Promise<Result>
  signDashboardToken(tenant: string, lifetimeSeconds: number): Promise<string>
  /** What the doctor looks at. */
  readonly installation: Installation
}

export interface Terminal {
  print(text: string): void
  complain(text: string): void
}

/** Runs one command line; resolves to the exit code. */
export function runCommand(args: readonly string[], actions: Actions, terminal: Terminal): Promise<number> {
  return exitCodeOf(() => parse(commands(actions, terminal), args), terminal.complain)
}

async function parse(program: Command, args: readonly string[]): Promise<number> {
  try {
    await program.parseAsync([...args], { from: "user" })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode
    throw error
  }
}

function commands(actions: Actions, terminal: Terminal): Command {
  const program = new Command("mooring")
    .description("Connects your users' social accounts with your own OAuth apps.")
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      writeErr: (text) => terminal.complain(text.trimEnd()),
    })
    .exitOverride()
    .showHelpAfterError("(run with --help to see what this command takes)")

  program
    .command("serve")
    .description("migrate the database, then serve until SIGTERM")
    .action(() => actions.serve())

  program
    .command("migrate")
    .description("bring the database up to date")
    .action(async () => {
      const applied = await actions.migrate()
      terminal.print(applied.length === 0 ? "The database is up to date." : `Applied ${applied.join(", ")}.`)
    })

  program
    .command("jwt")
    .description("sign a dashboard token for a tenant with JWT_SECRET")
    .requiredOption("--tenant <tenant>", "whose token it is", readTenant)
    .option("--expires-in <time>", "such as 30m, 12h or 7d, at most 30d", readLifetime, 12 * 3600)
    .addOption(json())
    .action(async (options: { tenant: string; expiresIn: number; json?: true }) => {
      const token = await actions.signDashboardToken(options.tenant, options.expiresIn)
      terminal.print(options.json ? JSON.stringify({ token, expires_in: options.expiresIn }) : token)
    })

  const doctor = program
    .command("doctor")
    .option("--tenant <tenant>", "check this tenant's apps too", readTenant)
    .addOption(environment())
    .addOption(json())
  addDoctor(doctor, actions.installation, terminal.print)

  addApiKeyCommands(
    program.command("api-keys").description("make, list and revoke API keys"),
    actions,
    terminal,
  )
  return program
}

function addApiKeyCommands(group: Command, actions: Actions, terminal: Terminal): void {
  group
    .command("create")
    .description("make a key; it is shown once")
    .requiredOption("--tenant <tenant>", "whose key it is", readTenant)
    .addOption(environment().makeOptionMandatory())
    .requiredOption("--name <name>", "what it is for, 1 to 80 characters")
    .option(
      "--scopes <scopes>",
      `comma-separated, of ${keyScopes.join(", ")}; all but keys unless given`,
      readList,
    )
    .option("--expires-at <time>", "an RFC 3339 time; without it the key does not expire", readTime)
    .addOption(json())
    .action(async (options: CreateKeyOptions) => {
      const { key, text } = await actions.withApiKeys((keys) =>
        keys.create(operator(options.tenant, options.environment), options),
      )
      terminal.print(options.json ? JSON.stringify({ ...describeKey(key), key: text }) : text)
    })

  group
    .command("list")
    .description("a tenant's keys, newest first")
    .requiredOption("--tenant <tenant>", "whose keys", readTenant)
    .addOption(json())
    .action(async (options: { tenant: string; json?: true }) => {
      const keys = await actions.withApiKeys((keys) => keys.list(operator(options.tenant, "live")))
      const lines = keys.map((key) => `${key.id}  ${key.environment}  ${key.name}`)
      if (options.json) terminal.print(JSON.stringify(keys.map(describeKey)))
      else terminal.print(lines.length === 0 ? `The tenant ${options.tenant} has no keys.` : lines.join("\n"))
    })

  group
    .command("revoke <id>")
    .description("revoke a key, at once on every instance")
    .requiredOption("--tenant <tenant>", "whose key it is", readTenant)
    .action(async (id: string, options: { tenant: string }) => {
      await actions.withApiKeys((keys) => keys.revoke(operator(options.tenant, "live"), id))
      terminal.print(`Revoked ${id}.`)
    })
}

interface CreateKeyOptions {
  readonly tenant: string
  readonly environment: Environment
  readonly name: string
  readonly scopes?: readonly string[]
  readonly expiresAt?: Date
  readonly json?: true
}

function describeKey(key: ApiKey) {
  return {
    id: key.id,
    name: key.name,
    environment: key.environment,
    scopes: key.scopes,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
  }
}

const json = () => new Option("--json", "print JSON, for scripts")
const environment = () =>
  new Option("--environment <environment>", "live reaches the providers, test the sandbox").choices(
    environments,
  )

function readTenant(text: string): string {
  const tenant = text.trim()
  if (isTenantName(tenant)) return tenant
  throw new InvalidArgumentError("A tenant is a name of 1 to 200 characters.")
}

function readList(text: string): readonly string[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
}

function readTime(text: string): Date {
  const time = parseRfc3339(text)
  if (time) return time
  throw new InvalidArgumentError(`It must be an RFC 3339 time such as ${rfc3339Example}.`)
}

const secondsOf = { s: 1, m: 60, h: 3600, d: 86_400 } as const

function readLifetime(text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const seconds = Number(count) * secondsOf[(unit ?? "s") as keyof typeof secondsOf]
  if (count !== undefined && seconds >= 1 && seconds <= 30 * secondsOf.d) return seconds
  throw new InvalidArgumentError("It must be a time such as 30m, 12h or 7d, at most 30d.")
}
