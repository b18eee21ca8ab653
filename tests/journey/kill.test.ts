import { describe, expect, test } from "bun:test"
import { exchangeLimitMs } from "../../src/domain/connect-flow.ts"
import { freshDatabase } from "../support/postgres.ts"
import { client, dropFolder, type Service, type Started, startService } from "../support/service.ts"

interface FlowAnswer {
  readonly status: string
  readonly oauth_error: string | null
  readonly account_ids: readonly string[]
}

const rounds = 20

/** The callback that the consent page would send the browser to. */
async function consentTo(started: Started, person: string): Promise<string> {
  const consent = await fetch(`${started.authorize_url}&scenario=approve&person=${person}`, {
    redirect: "manual",
  })
  return consent.headers.get("location") ?? ""
}

describe.each(["sqlite", "postgres"])("killed at any moment of a callback, on %s", (store) => {
  test("there is either a whole account or none, and no flow stays pending", async () => {
    const database = store === "postgres" ? await freshDatabase() : undefined
    let service: Service = await startService(database ? { databaseUrl: database.url } : {})
    const key = await service.makeKey("acme", "test")
    const flows: { id: string; answered: string | null }[] = []
    for (let round = 0; round < rounds; round++) {
      const api = client(service.url, key)
      const provider = round % 2 === 0 ? "x" : "facebook"
      const people = ["ann", "ben", "cleo"]
      const callbacks = await Promise.all(
        people.map(async (person) => {
          const started = await api.json<Started>(
            "GET",
            `/v1/oauth/${provider}/start?return_url=http://localhost:9/done`,
          )
          return { id: started.flow_id, url: await consentTo(started, person) }
        }),
      )
      const answers = callbacks.map(({ id, url }) =>
        fetch(url, { redirect: "manual" }).then(
          (response) => flows.push({ id, answered: response.headers.get("location") }),
          () => flows.push({ id, answered: null }),
        ),
      )
      await Bun.sleep(Math.random() * 12)
      await service.stop("SIGKILL")
      await Promise.all(answers)
      service = await service.restart()
    }

    const api = client(service.url, key)
    const cutOff: string[] = []
    const connected = new Set<string>()
    const look = (id: string) => api.json<FlowAnswer>("GET", `/v1/oauth/flows/${id}`)
    for (const { id, answered } of flows) {
      const flow = await look(id)
      // What was answered had been stored before.
      if (answered) expect(flow.status).toBe("connected")
      if (flow.status === "connected") {
        expect(flow.account_ids.length).toBeGreaterThan(0)
        for (const account of flow.account_ids) connected.add(account)
      } else cutOff.push(id)
    }
    // Every account belongs to a flow that says so, and can be read whole.
    const { items, total } = await api.json<{
      items: { id: string; platform_account_id: string }[]
      total: number
    }>("GET", "/v1/accounts?limit=100")
    expect(items.map((account) => account.id).sort()).toEqual([...connected].sort())
    expect(total).toBe(connected.size)

    // Taken but never finished: failed once the exchange must be over, never pending beyond that.
    if (cutOff.length > 0) await Bun.sleep(exchangeLimitMs + 1000)
    for (const id of cutOff) {
      const flow = await look(id)
      // A flow whose callback was cut off before it was taken still waits for its person, who may simply try again.
      expect(["failed server_error", "pending null"]).toContain(`${flow.status} ${flow.oauth_error}`)
      expect(flow.account_ids).toEqual([])
    }
    await service.stop()
    await database?.drop()
    dropFolder(service.folder)
  }, 180_000)
})
