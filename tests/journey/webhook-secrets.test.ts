import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import postgres from "postgres"
import { freshDatabase } from "../support/postgres.ts"
import { receiver } from "../support/receiver.ts"
import { client, dropFolder, followConsent, type Started, startService } from "../support/service.ts"

/** Planted where the public is: found in the database, or the scan itself is blind. */
const publicMark = "canary-public-reference-0a1b2c"
/** What a receiver answers, which is nobody's business: it may well echo what it was sent. */
const echoMark = "canary-answer-of-the-receiver-0a1b2c"

describe.each(["sqlite", "postgres"])("webhook secrets on %s", (store) => {
  test("and all tokens appear in no message, event, delivery, log or byte of the database", async () => {
    const database = store === "postgres" ? await freshDatabase() : undefined
    const service = await startService({
      databaseUrl: database?.url ?? "sqlite:mooring.sqlite",
      env: { WEBHOOK_PRIVATE_ADDRESSES: "allow", LOG_LEVEL: "debug" },
    })
    const there = receiver()
    const key = await service.makeKey("acme", "test", "apps,connect,accounts,tokens,events,webhooks")
    const api = client(service.url, key)
    const answers: string[] = []
    const call = async (method: string, path: string, body?: unknown) => {
      const response = await api.call(method, path, body)
      answers.push(`${JSON.stringify([...response.headers])} ${await response.text()}`)
      return response.status
    }

    const hook = await api.json<{ id: string; secret: string }>("POST", "/v1/webhooks", { url: there.url })
    const path = `/v1/webhooks/${hook.id}`
    const rotated = await api.json<{ secret: string }>("POST", `${path}/rotate-secret`, undefined, 200)
    const accounts: { id: string; token: string }[] = []
    const connect = async (provider: string) => {
      const started = await api.json<Started>("GET", `/v1/oauth/${provider}/start?reference=${publicMark}`)
      await followConsent(started.authorize_url, { scenario: "approve" })
      const { account_ids } = await api.json<{ account_ids: readonly string[] }>(
        "GET",
        `/v1/oauth/flows/${started.flow_id}`,
      )
      for (const id of account_ids) {
        const { access_token } = await api.json<{ access_token: string }>("GET", `/v1/accounts/${id}/token`)
        accounts.push({ id, token: access_token })
      }
    }

    there.scripted.answer = async ({ headers, body }) =>
      new Response(`${echoMark} ${JSON.stringify(headers)} ${body}`, {
        status: there.received.length % 2 === 0 ? 500 : 302,
        headers: { location: `http://127.0.0.1/${echoMark}`, "x-echo": echoMark },
      })
    await connect("x")
    await connect("linkedin")
    await Bun.sleep(1500)
    await call("POST", `${path}/test`)
    there.scripted.answer = async () => new Response(echoMark, { headers: { "x-echo": echoMark } })
    await connect("tiktok")
    await call("POST", `${path}/test`)
    for (let tries = 0; tries < 400 && !there.received.some(({ body }) => body.includes("tiktok")); tries++)
      await Bun.sleep(25)
    // Mistakes with a secret in hand, and every call that could show one.
    await call("POST", "/v1/webhooks", { url: there.url, secret: hook.secret })
    await call("POST", "/v1/webhooks", { url: `https://u:${hook.secret}@acme.example/` })
    await call("PATCH", path, { events: [hook.secret] })
    await call("PATCH", path, { secret: hook.secret })
    await call("PATCH", path, { description: "Ours" })
    await call("GET", path)
    await call("GET", "/v1/webhooks")
    await call("GET", `${path}/deliveries`)
    await call("GET", `/v1/events?type=${encodeURIComponent(hook.secret)}`)
    expect(await call("GET", "/v1/events?limit=100")).toBe(200)

    let folder = service.folder
    let checkpoint = async () => {}
    if (database) {
      const sql = postgres(database.url, { max: 1 })
      const [row] = await sql<[{ data_directory: string }]>`show data_directory`
      folder = row.data_directory
      checkpoint = async () => {
        await sql`checkpoint`
        await sql.end()
      }
    }
    await checkpoint()

    expect(accounts).toHaveLength(3)
    const webhookSecrets = [hook.secret, rotated.secret].map((secret) => secret.slice("whsec_".length))
    const planted = [...webhookSecrets, ...accounts.map(({ token }) => token), key]
    const encodings = planted.flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      btoa(secret).replace(/=+$/, ""),
      Buffer.from(secret).toString("hex"),
    ])
    for (const secret of webhookSecrets) encodings.push(Buffer.from(secret, "base64").toString("hex"))
    const found = (text: string, also: readonly string[] = []) =>
      [...encodings, ...also].filter((secret) => text.includes(secret))

    expect(there.received.length).toBeGreaterThan(5)
    for (const { headers, body } of there.received)
      expect(found(`${JSON.stringify(headers)} ${body}`), body.slice(0, 300)).toEqual([])
    // The receiver's answer is read and dropped: nobody is shown it.
    for (const answer of answers) expect(found(answer, [echoMark]), answer.slice(0, 300)).toEqual([])
    // What a log line may say of a webhook is its id.
    const output = service.output()
    expect(found(output, [echoMark, there.url]), output.slice(-2000)).toEqual([])

    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())
    let seen = false
    const raw = [...encodings, echoMark].map((secret) => Buffer.from(secret))
    for (const secret of webhookSecrets) raw.push(Buffer.from(secret, "base64"))
    for (const file of files) {
      const bytes = readFileSync(file)
      seen ||= bytes.includes(publicMark)
      expect(raw.filter((secret) => bytes.includes(secret)).map(String), file).toEqual([])
    }
    expect(seen, "the scan reads the very files the rows are in").toBe(true)

    await service.stop()
    there.stop()
    await database?.drop()
    dropFolder(service.folder)
  }, 60_000)
})
