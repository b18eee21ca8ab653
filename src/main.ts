import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { backgroundWork } from "./adapters/cli/background.ts"
import type { Actions, Terminal } from "./adapters/cli/commands.ts"
import type { Installation, OpenStore } from "./adapters/cli/doctor.ts"
import { exitCodeOf } from "./adapters/cli/exit-code.ts"
import { showFirstSteps } from "./adapters/cli/first-steps.ts"
import { keepLocalSecrets, makeSecrets } from "./adapters/cli/local-secrets.ts"
import { faultFacts, type Log, openLog } from "./adapters/cli/log.ts"
import { operator } from "./adapters/cli/operator.ts"
import { keyMint } from "./adapters/crypto/key-mint.ts"
import type { Keyring } from "./adapters/crypto/keyring.ts"
import { randomPool } from "./adapters/crypto/random-pool.ts"
import { aesSecretBox } from "./adapters/crypto/secret-box.ts"
import { hmacSigner } from "./adapters/crypto/signer.ts"
import { authentication } from "./adapters/http/authentication.ts"
import { type Edge, edge } from "./adapters/http/edge.ts"
import { type RateLimits, unlimited } from "./adapters/http/limits.ts"
import { serve } from "./adapters/http/serve.ts"
import { consentPageUrl } from "./adapters/sandbox/consent-page-url.ts"
import type { Sandbox, SandboxDeps } from "./adapters/sandbox/sandbox.ts"
import { type ApiKeysDeps, authenticateKey, manageApiKeys } from "./application/api-keys.ts"
import type { CheckApp } from "./application/check-app.ts"
import { chooseAccounts } from "./application/choose-accounts.ts"
import { completeConnect } from "./application/complete-connect.ts"
import { confirmConnect } from "./application/confirm-connect.ts"
import { type DeliverWebhooks, deliverWebhooks } from "./application/deliver-webhooks.ts"
import { ids } from "./application/ids.ts"
import { type KeepAlive, keepAlive } from "./application/keep-alive.ts"
import { once } from "./application/once.ts"
import { pruneEvents } from "./application/read-events.ts"
import { readTokens } from "./application/read-token.ts"
import { refresher } from "./application/refresh-tokens.ts"
import { startConnect } from "./application/start-connect.ts"
import { sweepFlows } from "./application/sweep-flows.ts"
import { viewFlows } from "./application/view-flow.ts"
import { type Config, ConfigError, readConfig, type StorageChoice } from "./config.ts"
import type { OAuthErrorReason } from "./domain/oauth-error.ts"
import type { ProviderName } from "./domain/provider.ts"
import type { Clock } from "./ports/crypto.ts"
import type { Providers } from "./ports/providers.ts"
import type { Storage } from "./ports/storage.ts"
import type { Transport } from "./ports/transport.ts"
import type { WebhookSender } from "./ports/webhooks.ts"

/** What tests replace: the outside that cannot be had, and time. */
export interface Outside {
  readonly log: Log
  readonly liveTransport?: Transport
  readonly now?: Clock
}

export interface Mooring {
  readonly edge: Edge
  readonly apiKeys: ReturnType<typeof manageApiKeys>
  readonly checkApp: CheckApp
  readonly sweep: ReturnType<typeof sweepFlows>
  readonly keepAlive: KeepAlive
  readonly delivering: DeliverWebhooks
  readonly prune: ReturnType<typeof pruneEvents>
  /** Resolves when no refresh is under way any more; the storage must not be closed before. */
  readonly settled: () => Promise<void>
}

/** Wires every adapter to the use cases. Opens nothing: whoever opened the storage closes it. */
export function mooring(
  config: Config,
  storage: Storage,
  outside: Outside,
  isStopping = () => false,
): Mooring {
  const { log, now = () => new Date() } = outside
  const keyring = keyringOf(config)
  const box = aesSecretBox(keyring, random)
  const signer = hmacSigner(keyring)
  const newId = ids({ now, randomBytes: random })
  const redirectUri = (provider: ProviderName) => `${config.publicUrl}/v1/oauth/${provider}/callback`
  const onFault = (fault: unknown, id: string) => log.error({ id, ...faultFacts(fault) }, "fault")

  const endpoints = { graphVersion: config.graphVersion, xHosts: config.xHosts }
  const pretended = config.sandbox
    ? laterSandbox({ publicUrl: config.publicUrl, signer, now, randomBytes: random })
    : undefined
  const arctic = async (transport: Transport) =>
    (await import("./adapters/arctic/providers.ts")).arcticProviders({ transport, now, ...endpoints })
  const providers = {
    live: once(async () => arctic(outside.liveTransport ?? (await laterLiveTransport()))),
    test: pretended && once(async () => pretendedProviders(await arctic(pretended.transport), pretended)),
  }

  const apiKeyDeps = apiKeysDeps(storage, now)
  const apiKeys = manageApiKeys(apiKeyDeps)
  const connecting = {
    storage,
    box,
    signer,
    providers,
    dashboardUrl: config.dashboardUrl,
    newId,
    now,
    wait: Bun.sleep,
    onFault,
  }
  const refreshDeps = {
    tokens: storage.tokens,
    box,
    providers,
    newId,
    now,
    random: Math.random,
    wait: Bun.sleep,
    onFault,
  }
  const refreshing = { ...refreshDeps, refresher: refresher(refreshDeps) }
  const sender = laterSender(config.webhookAddresses)
  const tokens = readTokens(refreshing)
  const managing = once(async () =>
    (await import("./application/management.ts")).management({
      storage,
      box,
      signer,
      providers,
      sender,
      addresses: config.webhookAddresses,
      redirectUri,
      randomBytes: random,
      newId,
      now,
      refreshing,
      tokens,
      apiKeys,
    }),
  )
  const application = {
    start: startConnect({ storage, box, signer, providers, redirectUri, newId, now, randomBytes: random }),
    complete: completeConnect(connecting),
    choose: chooseAccounts(connecting),
    confirm: confirmConnect(connecting),
    flows: viewFlows({ flows: storage.flows, signer, now }),
    tokens,
    docsUrl: (reason: OAuthErrorReason) => `${config.publicUrl}/docs/oauth-errors/${reason}`,
    ready: async () => {
      if (isStopping()) throw new Error("stopping")
      await storage.ping()
    },
  }
  return {
    apiKeys,
    checkApp: async (principal, appId) => (await managing()).checkApp(principal, appId),
    keepAlive: keepAlive(refreshing),
    settled: refreshing.refresher.settled,
    sweep: sweepFlows({ flows: storage.flows, newId, now, retentionDays: config.flowRetentionDays }),
    delivering: deliverWebhooks({
      deliveries: storage.deliveries,
      box,
      sender,
      newId,
      now,
      random: Math.random,
      wait: waitIdly,
      onFault,
    }),
    prune: pruneEvents({ events: storage.events, retentionDays: config.eventRetentionDays, now }),
    edge: edge({
      application,
      management: managing,
      authenticate: authentication({
        authenticateKey: authenticateKey(apiKeyDeps),
        dashboardTokens: config.dashboardTokens,
      }),
      limits: config.rateLimit ? laterLimits() : unlimited,
      sandboxPages: pretended?.handle,
      https: config.publicUrl.startsWith("https:"),
      newRequestId: () => newId("req"),
      onAccess: (entry) => log.info(entry, "request"),
      onFault,
    }),
  }
}

const random = randomPool()

/** For a look at what is new, which nobody needs any more once the process has ended its work. */
const waitIdly = (ms: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, ms).unref()
  })

function apiKeysDeps(storage: Storage, now: Clock): ApiKeysDeps {
  return { keys: storage.keys, mint: keyMint(random), newId: ids({ now, randomBytes: random }), now }
}

// What the first answer does not need is loaded when it is first used, or once the start is over: no start waits for it.

/** Every call waits for them, so none goes uncounted. */
function laterLimits(): RateLimits {
  const limits = once(async () => (await import("./adapters/http/rate-limit.ts")).memoryRateLimits())
  return {
    spendCall: async (actor) => (await limits()).spendCall(actor),
    spendFailure: async (address) => (await limits()).spendFailure(address),
    spendBrowser: async (address) => (await limits()).spendBrowser(address),
  }
}

async function laterLiveTransport(): Promise<Transport> {
  return (await import("./adapters/arctic/live-transport.ts")).liveTransport()
}

function laterSender(addresses: Config["webhookAddresses"]): WebhookSender {
  const sender = once(async () =>
    (await import("./adapters/webhooks/sender.ts")).webhookSender({ addresses }),
  )
  return {
    send: async (message) => (await sender()).send(message),
    mayReach: async (url) => (await sender()).mayReach(url),
  }
}

function laterSandbox(deps: SandboxDeps): Sandbox {
  const pretended = once(async () => (await import("./adapters/sandbox/sandbox.ts")).sandbox(deps))
  return {
    authorizeUrl: (provider, url) => consentPageUrl(deps.publicUrl, provider, url),
    transport: async (request, limits) => (await pretended()).transport(request, limits),
    handle: async (request) => (await pretended()).handle(request),
  }
}

/** The very same adapters, with the consent page in place of the provider's. */
function pretendedProviders(providers: Providers, pretended: Sandbox): Providers {
  return {
    ...providers,
    authorizeUrl: (request) =>
      pretended.authorizeUrl(request.provider, new URL(providers.authorizeUrl(request))).href,
  }
}

// A store is loaded where it is chosen, since the others' drivers would take time of every start, and memory.

/** Opens the store the configuration names. `serve` claims it for a serving process, where the store allows one alone. */
export function openStorage(choice: StorageChoice, use: { readonly serve: boolean }): Promise<Storage> {
  return naming(databaseOf(choice), async () => {
    switch (choice.kind) {
      case "memory":
        return (await import("./adapters/memory/storage.ts")).memoryStorage()
      case "sqlite":
        return (await import("./adapters/sqlite/storage.ts")).openSqliteStorage(choice.path, use)
      case "postgres":
        return (await import("./adapters/postgres/storage.ts")).openPostgresStorage(choice.url)
    }
  })
}

/** Brings the store up to date; resolves to the migrations applied now. */
export function migrate(choice: StorageChoice): Promise<readonly string[]> {
  return naming(databaseOf(choice), async () => {
    switch (choice.kind) {
      case "memory":
        return []
      case "sqlite":
        return (await import("./adapters/sqlite/migrations.ts")).migrateSqlite(choice.path)
      case "postgres":
        return (await import("./adapters/postgres/migrations.ts")).migratePostgres(choice.url)
    }
  })
}

/** What the operating system or a driver refuses, with what it is about; a sentence of our own stays as it is. */
async function naming<Result>(what: string, work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (fault) {
    if (!(fault instanceof Error) || !("code" in fault)) throw fault
    throw new Error(`${what}: ${fault.message}`, { cause: fault })
  }
}

/** Without user and password. */
function databaseOf(choice: StorageChoice): string {
  if (choice.kind === "memory") return "The database memory: cannot be used (DATABASE_URL)"
  if (choice.kind === "sqlite")
    return `The database file ${choice.path} cannot be used; check DATABASE_URL, and that this user may write the file and its directory`
  const { host, pathname } = new URL(choice.url)
  return `The PostgreSQL database ${pathname.slice(1)} at ${host} cannot be used; check DATABASE_URL, and that the server runs`
}

/** The configuration with the secrets that an installation outside production makes for itself. */
function settle(env: Environment): { readonly config: Config; readonly secretsMade: string | null } {
  const config = readConfig(env)
  if (config.encryptionKeys && config.dashboardTokens) return { config, secretsMade: null }
  const path = localSecretsPath(config.storage)
  if (!config.encryptionKeys) refuseLostKeys(config.storage, path)
  const kept = path === null ? { secrets: makeSecrets(), made: false } : keepLocalSecrets(path)
  const settled = readConfig({
    ...env,
    ...(!config.encryptionKeys && { ENCRYPTION_KEYS: kept.secrets.ENCRYPTION_KEYS }),
    ...(!config.dashboardTokens && { JWT_SECRET: kept.secrets.JWT_SECRET }),
  })
  return { config: settled, secretsMade: kept.made ? path : null }
}

/** New keys beside an old database would make every token in it unreadable, and that would show only later. */
function refuseLostKeys(choice: StorageChoice, path: string | null): void {
  if (choice.kind !== "sqlite" || path === null || existsSync(path) || !existsSync(choice.path)) return
  throw new Error(
    `${path} is missing, and without its ENCRYPTION_KEYS the tokens in ${choice.path} cannot be read. Put the file back, or set ENCRYPTION_KEYS; to begin anew, remove the database as well.`,
  )
}

function localSecretsPath(choice: StorageChoice): string | null {
  if (choice.kind === "memory") return null
  return choice.kind === "sqlite" ? join(dirname(choice.path), "secrets.env") : join("data", "secrets.env")
}

function keyringOf(config: Config): Keyring {
  const [first, ...others] = config.encryptionKeys ?? []
  if (!first) throw new Error("the configuration has no encryption key")
  return [first, ...others]
}

/** Serves until SIGTERM or SIGINT; then takes nothing new, finishes what is in flight, and closes the store. */
async function serveUntilStopped(env: Environment, terminal: Terminal): Promise<void> {
  const { config, secretsMade } = settle(env)
  const log = openLog(config.logLevel)
  for (const name of await migrate(config.storage)) log.info({ migration: name }, "migrated")
  const storage = await openStorage(config.storage, { serve: true })
  const stopped = stopSignal()
  let stopping = false
  const { edge, apiKeys, settled, ...uses } = mooring(config, storage, { log }, () => stopping)
  const { host, port, trustedProxies } = config
  const serving = await naming(`Cannot listen on ${host}, port ${port}; check HOST and PORT`, () =>
    serve(edge, { host, port, trustedProxies }),
  )
  log.info(
    { host: config.host, port: serving.port, public_url: config.publicUrl, storage: config.storage.kind },
    "listening",
  )
  if (!config.production) {
    await showFirstSteps({
      apiKeys,
      print: terminal.print,
      publicUrl: config.publicUrl,
      sandbox: config.sandbox,
      secretsMade,
    })
  }

  const background = backgroundWork(uses, log)
  const starting = setTimeout(() => endStart(config, log), startEndsAfterMs)
  const signal = await stopped
  stopping = true
  clearTimeout(starting)
  log.info({ signal }, "stopping: finishing what is in flight")
  // Together: no renewal may begin while a slow caller holds up the end, since the kill after it could lose a token.
  await Promise.all([serving.stop(), background.stop()])
  await settled()
  await storage.close()
  log.info({}, "stopped")
}

const startEndsAfterMs = 1000

/** What was put off so that the first answer comes early, and is done before it is missed. */
function endStart(config: Config, log: Log): void {
  // The single file is built to compile nothing that runs but a few times, as most of a start does: 8 of 38 ms.
  Bun.unsafe.setJITPolicy(1)
  loadTheRest(config, log)
}

/**
 * What a running service may need and no start waits for. Soon, and not when it is first needed: what could not be
 * loaded for want of file handles, the runtime does not try again.
 */
function loadTheRest({ dashboardTokens, sandbox }: Config, log: Log): void {
  const wanted = [
    import("./adapters/arctic/providers.ts"),
    import("./adapters/arctic/live-transport.ts"),
    import("./adapters/http/management-app.ts"),
    import("./adapters/http/rate-limit.ts"),
    import("./application/management.ts"),
    import("./adapters/webhooks/sender.ts"),
    ...(dashboardTokens ? [import("./adapters/http/dashboard-tokens.ts")] : []),
    ...(sandbox ? [import("./adapters/sandbox/sandbox.ts")] : []),
  ]
  for (const module of wanted)
    module.catch((fault: unknown) => log.error(faultFacts(fault), "a part could not be loaded; restart"))
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal))
  })
}

type Environment = Readonly<Record<string, string | undefined>>

/** Runs one command of the command line; resolves to its exit code. */
export async function run(args: readonly string[], env: Environment, terminal: Terminal): Promise<number> {
  // The reader of command lines is not loaded for the one that says but this: it took 25 ms of the start.
  if (args.length === 1 && args[0] === "serve") {
    const serving = () => serveUntilStopped(env, terminal).then(() => 0)
    return exitCodeOf(serving, terminal.complain)
  }
  const { runCommand } = await import("./adapters/cli/commands.ts")
  return runCommand(args, actions(env, terminal), terminal)
}

function installation(env: Environment): Installation {
  return {
    settings() {
      try {
        const { publicUrl, storage, encryptionKeys } = keptSettings(env)
        return { publicUrl, durable: storage.kind !== "memory", hasKeys: encryptionKeys !== undefined }
      } catch (fault) {
        if (fault instanceof ConfigError) return { faults: fault.faults }
        throw fault
      }
    },
    async withStore(work) {
      const config = keptSettings(env)
      const storage = await openStorage(config.storage, { serve: false })
      try {
        const { checkApp } = config.encryptionKeys
          ? mooring(config, storage, { log: openLog("silent") })
          : { checkApp: null }
        const check: OpenStore["check"] =
          checkApp &&
          (async (app) => (await checkApp(operator(app.tenant, app.environment), app.id)).findings)
        return await work({ apps: storage.apps, ping: () => storage.ping(), check })
      } finally {
        await storage.close()
      }
    },
  }
}

/** The settings with the secrets that this installation made for itself, if it did; makes none. */
function keptSettings(env: Environment): Config {
  const config = readConfig(env)
  const path = localSecretsPath(config.storage)
  return path !== null && existsSync(path) ? settle(env).config : config
}

function actions(env: Environment, terminal: Terminal): Actions {
  return {
    serve: () => serveUntilStopped(env, terminal),
    migrate: () => migrate(settle(env).config.storage),
    installation: installation(env),

    async withApiKeys(use) {
      const { storage: choice } = settle(env).config
      if (choice.kind === "memory")
        throw new Error(
          "memory: is gone with the server's process, so no command can work beside it; set DATABASE_URL.",
        )
      await migrate(choice)
      const storage = await openStorage(choice, { serve: false })
      try {
        return await use(manageApiKeys(apiKeysDeps(storage, () => new Date())))
      } finally {
        await storage.close()
      }
    },

    async signDashboardToken(tenant, lifetimeSeconds) {
      const { storage, dashboardTokens: configured } = readConfig(env)
      if (storage.kind === "memory" && !configured) {
        throw new Error(
          "With memory: the server keeps its JWT secret to itself, so no command can sign for it; set JWT_SECRET for both.",
        )
      }
      const { dashboardTokens } = settle(env).config
      if (dashboardTokens?.key.kind !== "secret") {
        throw new Error(
          "Dashboard tokens are signed elsewhere (JWT_JWKS_URL is set), so this command cannot make one.",
        )
      }
      const { key, ...rules } = dashboardTokens
      const { signDashboardToken } = await import("./adapters/cli/dashboard-token.ts")
      return signDashboardToken({ ...rules, secret: key.secret, tenant, lifetimeSeconds })
    },
  }
}
