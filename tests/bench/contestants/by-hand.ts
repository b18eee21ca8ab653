/**
 * The least that the work takes, by hand: what a start, a callback and a token read must hash, seal, ask the provider
 * and store as durably as Mooring does. One app and one caller, whom it knows; no rules, limits or log, no errors that
 * anyone could understand, and indexes for these three calls alone. What Mooring costs beyond is what it does more.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto"
import { byHandPostgres } from "./by-hand-postgres.ts"
import { byHandSqlite } from "./by-hand-sqlite.ts"

export interface Flow {
  readonly id: string
  readonly returnUrl: string
  readonly verifier: string
  readonly createdAt: number
  readonly expiresAt: number
}

export interface Account {
  readonly id: string
  readonly platformId: string
  readonly handle: string
  readonly name: string
  readonly avatar: string
  readonly scopes: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly connectedAt: number
  readonly expiresAt: number
}

/** Each write resolves once it is on disk. */
export interface ByHandStore {
  add(flow: Flow): Promise<void>
  take(id: string): Promise<Flow | undefined>
  /** Resolves to the id it is kept under. */
  connect(flow: string, account: Account): Promise<string>
  find(id: string): Promise<Pick<Account, "accessToken" | "expiresAt"> | undefined>
}

const { PORT, PROVIDER_URL, DATABASE_URL, RETURN_URL, CALLER_KEY } = process.env
const store = DATABASE_URL ? await byHandPostgres(DATABASE_URL) : byHandSqlite()
const [sealKey, stateKey, callerKey] = [randomBytes(32), randomBytes(32), randomBytes(32)]
const callback = "https://connect.example.com/v1/oauth/x/callback"
const scope = "tweet.read tweet.write users.read media.write offline.access"
const hour = 3_600_000
const headers = new Headers({
  "content-type": "application/json",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
})

let pool = randomBytes(8192)
let drawn = 0
function random(count: number): Buffer {
  if (drawn + count > pool.length) {
    pool = randomBytes(8192)
    drawn = 0
  }
  drawn += count
  return pool.subarray(drawn - count, drawn)
}

/** In the order of time, so that indexes grow at their end. */
function newId(prefix: string): string {
  return `${prefix}_${Date.now().toString(16).padStart(12, "0")}${random(16).toString("hex")}`
}

function seal(secret: string, row: string): string {
  const nonce = random(12)
  const cipher = createCipheriv("aes-256-gcm", sealKey, nonce).setAAD(Buffer.from(row))
  const parts = [nonce, cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]
  return Buffer.concat(parts).toString("base64url")
}

function open(sealed: string, row: string): string {
  const bytes = Buffer.from(sealed, "base64url")
  const decipher = createDecipheriv("aes-256-gcm", sealKey, bytes.subarray(0, 12)).setAAD(Buffer.from(row))
  decipher.setAuthTag(bytes.subarray(-16))
  return decipher.update(bytes.subarray(12, -16), undefined, "utf8") + decipher.final("utf8")
}

function mac(key: Buffer, text: string): string {
  return createHmac("sha256", key).update(text).digest("base64url")
}

const caller = mac(callerKey, `Bearer ${CALLER_KEY}`)

/** As a key is that is stored by its digest. */
function isCaller(request: Request): boolean {
  return mac(callerKey, request.headers.get("authorization") ?? "") === caller
}

async function start(request: Request): Promise<Response> {
  if (!isCaller(request)) return new Response(null, { status: 401 })
  const { url } = request
  const returnUrl = decodeURIComponent(url.slice(url.indexOf("return_url=") + 11))
  if (returnUrl !== RETURN_URL) return new Response(null, { status: 400 })
  const [id, verifier, now] = [newId("flow"), random(32).toString("base64url"), Date.now()]
  const expiresAt = now + hour / 6
  await store.add({ id, returnUrl, verifier: seal(verifier, id), createdAt: now, expiresAt })
  const query = new URLSearchParams({
    response_type: "code",
    client_id: "bWFkZS11cC1jbGllbnQtaWQtb2YtYmVuY2g6MTpjaQ",
    redirect_uri: callback,
    scope,
    state: `${id}.${mac(stateKey, id)}`,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  })
  const answer = {
    authorize_url: `https://x.com/i/oauth2/authorize?${query}`,
    flow_id: id,
    expires_at: expiresAt,
  }
  return new Response(JSON.stringify(answer), { headers })
}

async function finish({ url }: Request): Promise<Response> {
  const query = new URLSearchParams(url.slice(url.indexOf("?")))
  const [id = "", given] = (query.get("state") ?? "").split(".")
  const flow = given === mac(stateKey, id) ? await store.take(id) : undefined
  if (!flow) return new Response(null, { status: 400 })
  const exchanged = await fetch(`${PROVIDER_URL}/2/oauth2/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", authorization: "Basic bWFkZTp1cA==" },
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: query.get("code") ?? "",
      redirect_uri: callback,
      code_verifier: open(flow.verifier, id),
    }).toString(),
  })
  const tokens = (await exchanged.json()) as Record<"access_token" | "refresh_token" | "scope", string>
  const asked = await fetch(`${PROVIDER_URL}/2/users/me?user.fields=profile_image_url`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  })
  const { data } = (await asked.json()) as {
    data: Record<"id" | "username" | "name" | "profile_image_url", string>
  }
  const account = newId("acc")
  const kept = await store.connect(id, {
    id: account,
    platformId: data.id,
    handle: data.username,
    name: data.name,
    avatar: data.profile_image_url,
    scopes: tokens.scope,
    accessToken: seal(tokens.access_token, account),
    refreshToken: seal(tokens.refresh_token, account),
    connectedAt: Date.now(),
    expiresAt: Date.now() + 2 * hour,
  })
  const location = `${flow.returnUrl}?status=connected&account_id=${kept}&flow_id=${id}`
  return new Response(null, { status: 302, headers: { location, "cache-control": "no-store" } })
}

async function token(request: Request): Promise<Response> {
  if (!isCaller(request)) return new Response(null, { status: 401 })
  const { url } = request
  const id = url.slice(url.indexOf("/accounts/") + 10, -6)
  const account = await store.find(id)
  if (!account) return new Response(null, { status: 404 })
  const answer = {
    access_token: open(account.accessToken, id),
    token_type: "bearer",
    expires_at: new Date(account.expiresAt).toISOString(),
    account_id: id,
  }
  return new Response(JSON.stringify(answer), { headers })
}

/** Makes accounts to read, and answers with their ids. */
async function fill(): Promise<Response> {
  const ids = Array.from({ length: 100 }, (_, i) => [newId("acc"), i] as const).map(async ([id, i]) => {
    const accessToken = seal(`made-up-access-token-of-the-benchmarks-0123456789-0123456789.${1e6 + i}`, id)
    const [connectedAt, expiresAt] = [Date.now(), Date.now() + 12 * hour]
    const names = { platformId: String(1e6 + i), handle: "ann", name: "Ann Dev", avatar: "", scopes: scope }
    return await store.connect("", {
      id,
      ...names,
      accessToken,
      refreshToken: accessToken,
      connectedAt,
      expiresAt,
    })
  })
  return Response.json(await Promise.all(ids))
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(PORT),
  fetch(request) {
    const { url } = request
    if (url.includes("/x/start?")) return start(request)
    if (url.includes("/x/callback?")) return finish(request)
    if (url.endsWith("/token")) return token(request)
    return url.endsWith("/fill") ? fill() : new Response("ready")
  },
})
