import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import postgres from "postgres"
import type { ProviderAnswer, ProviderRequest, Transport } from "../../src/ports/transport.ts"
import { TransportFault } from "../../src/ports/transport.ts"
import { type LocalMooring, localMooring } from "../support/local-mooring.ts"
import { freshDatabase } from "../support/postgres.ts"
import { client, dropFolder, makeFolder, type Started } from "../support/service.ts"

/** None where the file has gone meanwhile, as the server's cache files of other tests' databases do. */
function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (fault) {
    if (fault instanceof Error && "code" in fault && fault.code === "ENOENT") return Buffer.alloc(0)
    throw fault
  }
}

/** Planted where secrets are; found nowhere afterwards. Each is unlike anything else in the world. */
const secrets = {
  clientSecret: "canary-client-secret-0a1b2c3d4e",
  newClientSecret: "canary-second-secret-0a1b2c3d4e",
  code: "canary-code-0a1b2c3d4e5f6a7b8c",
  accessToken: "canary-access-token-0a1b2c3d4e5f",
  refreshToken: "canary-refresh-token-0a1b2c3d4e",
  idToken: "canary-id-token-0a1b2c3d4e5f6a7b",
  bearer: "canary-bearer-0a1b2c3d4e5f6a7b8c",
  misplaced: "canary-misplaced-0a1b2c3d4e5f6a7b",
} as const

/** Planted where the public is: found in the database, or the scan itself is blind. */
const publicMark = "canary-public-handle-0a1b2c"

/** A provider that answers well, or echoes every secret it was given in its refusal, or breaks with them in its mouth. */
function echoingProvider(): { transport: Transport; mode: "well" | "echo" | "break"; verifiers: string[] } {
  const provider = {
    mode: "well" as "well" | "echo" | "break",
    verifiers: [] as string[],
    transport: async (request: ProviderRequest): Promise<ProviderAnswer> => {
      const verifier = new URLSearchParams(request.body ?? "").get("code_verifier")
      if (verifier) provider.verifiers.push(verifier)
      if (provider.mode === "break")
        throw new TransportFault("unreachable", { cause: new Error(`${request.url} ${request.body}`) })
      if (provider.mode === "echo")
        return json(400, {
          error: "invalid_request",
          error_description: `You sent ${request.body} ${JSON.stringify(request.headers)} ${Object.values(secrets).join(" ")}`,
        })
      if (request.url.includes("/oauth2/token")) {
        return json(200, {
          access_token: secrets.accessToken,
          refresh_token: secrets.refreshToken,
          id_token: secrets.idToken,
          token_type: "bearer",
          expires_in: 7200,
          scope: "tweet.read users.read",
        })
      }
      return json(200, { data: { id: "42", name: "Ann", username: publicMark } })
    },
  }
  return provider
}

const json = (status: number, body: unknown): ProviderAnswer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
})

describe.each(["sqlite", "postgres"])("secrets on %s", (store) => {
  const provider = echoingProvider()
  const answers: string[] = []
  let mooring: LocalMooring
  let key: string
  let folder: string
  let closeDatabase = async () => {}

  beforeAll(async () => {
    folder = makeFolder()
    const database = store === "postgres" ? await freshDatabase() : undefined
    if (database) {
      const sql = postgres(database.url, { max: 1 })
      const [row] = await sql<[{ data_directory: string }]>`show data_directory`
      folder = row.data_directory
      closeDatabase = async () => {
        await sql.end()
        await database.drop()
      }
      checkpoint = async () => void (await sql`checkpoint`)
    }
    mooring = await localMooring({
      env: { DATABASE_URL: database?.url ?? `sqlite:${join(folder, "mooring.sqlite")}`, LOG_LEVEL: "debug" },
      liveTransport: provider.transport,
    })
    key = await mooring.key("acme", "live")
  })
  let checkpoint = async () => {}
  afterAll(async () => {
    await mooring.stop()
    await closeDatabase()
    if (store === "sqlite") dropFolder(folder)
  })

  /** Sends a request and keeps all that came back. */
  async function send(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(`${mooring.url}${path}`, {
      redirect: "manual",
      ...init,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...init.headers },
    })
    answers.push(`${JSON.stringify([...response.headers])} ${await response.clone().text()}`)
    return response
  }

  async function connect(
    callback: Readonly<Record<string, string>>,
  ): Promise<{ location: string | null; state: string }> {
    const started = (await (
      await send("/v1/oauth/x/start?return_url=https://app.acme.example/a")
    ).json()) as Started
    const state = new URL(started.authorize_url).searchParams.get("state") ?? ""
    const response = await send(`/v1/oauth/x/callback?${new URLSearchParams({ state, ...callback })}`)
    await send(`/v1/oauth/flows/${started.flow_id}`)
    return { location: response.headers.get("location"), state }
  }

  test("planted in every input appear in no log, answer, URL or byte of the database", async () => {
    const app = {
      provider: "x",
      name: "Ours",
      client_id: "fake-client",
      client_secret: secrets.clientSecret,
      allowed_return_urls: ["https://app.acme.example/"],
    }
    const post = (path: string, body: unknown, headers = {}) =>
      send(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers })
    const { id } = (await (await post("/v1/oauth-apps", app)).json()) as { id: string }

    expect((await connect({ code: secrets.code })).location).toBe("https://app.acme.example/a?connected=x")
    for (const mode of ["echo", "break"] as const) {
      provider.mode = mode
      expect((await connect({ code: secrets.code })).location).toContain("oauth_error=")
    }
    provider.mode = "well"
    await connect({
      error: "access_denied",
      error_description: secrets.misplaced,
      error_uri: secrets.misplaced,
    })
    const { state } = await connect({ code: secrets.code })
    await send(`/v1/oauth/x/callback?state=${state}&code=${secrets.code}&code=${secrets.misplaced}`)
    await send(`/v1/oauth/x/callback?state=${secrets.misplaced}&code=${secrets.code}`)

    // Mistakes with a secret in hand.
    await post("/v1/oauth-apps", { ...app, client_secert: secrets.misplaced })
    await post("/v1/oauth-apps", { ...app, provider: secrets.misplaced, client_id: [secrets.misplaced] })
    await post("/v1/oauth-apps", {
      ...app,
      allowed_return_urls: [`https://u:${secrets.misplaced}@app.acme.example/`],
    })
    await post("/v1/oauth-apps", {
      ...app,
      scopes: [`${secrets.misplaced} `],
      options: { pkce: secrets.misplaced },
    })
    await post("/v1/oauth-apps", `{"client_secret": "${secrets.misplaced}", `)
    await post("/v1/oauth-apps", `client_secret=${secrets.misplaced}`, { "content-type": "text/plain" })
    await post(`/v1/nowhere/${secrets.misplaced}`, { secret: secrets.misplaced })
    await post("/v1/api-keys", {
      name: "n",
      environment: "live",
      scopes: [secrets.misplaced],
      expires_at: secrets.misplaced,
    })
    await send(`/v1/oauth-apps/${id}`, {
      method: "PATCH",
      body: JSON.stringify({ client_secret: secrets.newClientSecret }),
    })
    await send(`/v1/oauth-apps/${id}`, {
      method: "PATCH",
      body: JSON.stringify({ client_secret: `${secrets.misplaced}\u0007` }),
    })
    await send(`/v1/accounts?limit=${secrets.misplaced}&cursor=${secrets.misplaced}`)
    await send(`/v1/accounts?key=${secrets.misplaced}`)
    await send(`/v1/oauth/x/start?return_url=https://u:${secrets.misplaced}@app.acme.example/`)
    await send("/v1/accounts", { headers: { authorization: `Bearer ${secrets.bearer}` } })
    await send("/v1/accounts", {
      headers: { authorization: `Basic ${secrets.bearer}`, cookie: `key=${secrets.bearer}` },
    })
    await send(`/sandbox/x/authorize?client_id=a&scenario=${secrets.misplaced}`)
    await client(mooring.url, key).call("GET", "/v1/accounts")
    await mooring.sweep()
    await checkpoint()

    expect(provider.verifiers.length).toBeGreaterThan(0)
    const planted = [...Object.values(secrets), ...provider.verifiers, key, key.split("_")[3] ?? key]
    const encodings = planted.flatMap((secret) => [
      secret,
      btoa(secret).replace(/=+$/, ""),
      Buffer.from(secret).toString("hex"),
    ])
    const found = (text: string) => encodings.filter((secret) => text.includes(secret))

    for (const line of mooring.log) expect(found(line), line.slice(0, 300)).toEqual([])
    for (const answer of answers) expect(found(answer), answer.slice(0, 300)).toEqual([])

    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
    let seen = false
    for (const path of files) {
      const bytes = bytesOf(path)
      seen ||= bytes.includes(publicMark)
      expect(
        encodings.filter((secret) => bytes.includes(secret)),
        path,
      ).toEqual([])
    }
    expect(seen, "the scan reads the very files the rows are in").toBe(true)
    if (store === "sqlite") expect(files.some((path) => path.endsWith("-wal"))).toBe(true)
  })
})
