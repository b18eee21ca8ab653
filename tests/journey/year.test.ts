import { afterAll, beforeAll, expect, test } from "bun:test"
import { randomBytes } from "node:crypto"
import { hmacSigner } from "../../src/adapters/crypto/signer.ts"
import { sandbox } from "../../src/adapters/sandbox/sandbox.ts"
import { type ProviderName, providerNames } from "../../src/domain/provider.ts"
import { type Transport, TransportFault } from "../../src/ports/transport.ts"
import { type LocalMooring, localMooring } from "../support/local-mooring.ts"
import { client, type Started } from "../support/service.ts"

const hour = 3_600_000
const day = 24 * hour
const stepMs = 6 * hour

/** One outage a provider: a spell in which every call of its fails before it has any effect. */
interface Outage {
  readonly kind: "down" | "limited" | "unreachable"
  readonly untilMs: number
}

/** A small generator with a seed, so that a year that fails can be lived again. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const hostOwner: Readonly<Record<string, ProviderName>> = {
  "api.x.com": "x",
  "www.linkedin.com": "linkedin",
  "api.linkedin.com": "linkedin",
  "open.tiktokapis.com": "tiktok",
  "graph.facebook.com": "facebook",
  "api.instagram.com": "instagram",
  "graph.instagram.com": "instagram",
}

let mooring: LocalMooring
let pretended: ReturnType<typeof sandbox>
const clock = { offsetMs: 0 }
const now = () => new Date(Date.now() + clock.offsetMs)
const outages = new Map<ProviderName, Outage>()
const calls = new Map<ProviderName, number>()

const transport: Transport = async (request, limits) => {
  const provider = hostOwner[new URL(request.url).host]
  if (!provider) throw new TransportFault("unreachable")
  calls.set(provider, (calls.get(provider) ?? 0) + 1)
  const outage = outages.get(provider)
  if (outage && now().getTime() < outage.untilMs) {
    // A broken connection may have done its work; here it never had, which nobody on our side can know.
    if (outage.kind === "unreachable") throw new TransportFault("unreachable")
    const status = outage.kind === "down" ? 503 : 429
    return { status, headers: { "retry-after": "3600" }, body: "{}" }
  }
  return pretended.transport(request, limits)
}

beforeAll(async () => {
  mooring = await localMooring({ liveTransport: transport, clock })
  pretended = sandbox({
    publicUrl: mooring.url,
    signer: hmacSigner([{ id: "s", bytes: new Uint8Array(32).fill(3) }]),
    now,
    randomBytes: (count) => new Uint8Array(randomBytes(count)),
  })
})
afterAll(() => mooring.stop())

test("a year over all five providers with random outages: nothing is lost that the rules allow to keep, within a bound of calls", async () => {
  const random = seeded(20261122)
  const key = await mooring.key("acme", "live")
  const api = client(mooring.url, key)
  const connect = async (
    provider: ProviderName,
    scenario: string,
    person: string,
  ): Promise<readonly string[]> => {
    const started = await api.json<Started>(
      "GET",
      `/v1/oauth/${provider}/start?reference=${person}-${scenario}`,
    )
    const consent = pretended.authorizeUrl(provider, new URL(started.authorize_url))
    consent.searchParams.set("scenario", scenario)
    consent.searchParams.set("person", person)
    const back = await pretended.handle(new Request(consent))
    await fetch(back?.headers.get("location") ?? "", { redirect: "manual" })
    const flow = await api.json<{ status: string; account_ids: string[] }>(
      "GET",
      `/v1/oauth/flows/${started.flow_id}`,
    )
    expect(flow.status, `${provider} ${scenario}`).toBe("connected")
    return flow.account_ids
  }
  for (const provider of providerNames) {
    await api.json("POST", "/v1/oauth-apps", {
      provider,
      name: `Ours at ${provider}`,
      client_id: `fake-${provider}`,
      client_secret: "fake-secret",
    })
  }
  // One that is read every day, and one that nobody ever reads, of each kind.
  const read = { x: "", tiktok: "", instagram: "", partner: "" }
  const unread = { x: "", tiktok: "", instagram: "", partner: "" }
  for (const [kinds, person] of [
    [read, "ann"],
    [unread, "ben"],
  ] as const) {
    kinds.x = (await connect("x", "approve", person))[0] ?? ""
    kinds.tiktok = (await connect("tiktok", "approve", person))[0] ?? ""
    kinds.instagram = (await connect("instagram", "approve", person))[0] ?? ""
    kinds.partner = (await connect("linkedin", "partner_refresh", person))[0] ?? ""
  }
  const [member = ""] = await connect("linkedin", "approve", "cleo")
  const [page = ""] = await connect("facebook", "approve", "ann")
  const started = new Map(calls)
  const begun = now().getTime()

  const healthOf = async (id: string) =>
    (await api.json<{ health: string }>("GET", `/v1/accounts/${id}`)).health
  const seen = { member: new Set<string>(), page: new Set<string>() }
  let refusedReads = 0
  let outageSpells = 0
  for (let step = 1; step * stepMs <= 364 * day; step++) {
    clock.offsetMs += stepMs
    for (const provider of providerNames) {
      const over = (outages.get(provider)?.untilMs ?? 0) <= now().getTime()
      if (!over || random() > 0.06) continue
      const kind = (["down", "limited", "unreachable"] as const)[Math.floor(random() * 3)] ?? "down"
      outages.set(provider, { kind, untilMs: now().getTime() + random() * 30 * hour })
      outageSpells++
    }
    await mooring.keepAlive.tellTime()
    for (const provider of providerNames) while ((await mooring.keepAlive.renewDue(provider)) > 0) {}
    if (step % 4 === 0) {
      for (const id of Object.values(read)) {
        const response = await api.call("GET", `/v1/accounts/${id}/token`)
        if (!response.ok) refusedReads++
      }
      seen.member.add(await healthOf(member))
      seen.page.add(await healthOf(page))
    }
  }
  expect(outageSpells).toBeGreaterThan(100)

  // After the last outage every account that can be kept is alive and gives a token that works upstream.
  outages.clear()
  clock.offsetMs += 7 * hour
  for (const provider of providerNames) while ((await mooring.keepAlive.renewDue(provider)) > 0) {}
  for (const [name, id] of [...Object.entries(read), ...Object.entries(unread)]) {
    const token = await api.json<{ access_token: string }>("GET", `/v1/accounts/${id}/token`)
    expect(token.access_token.length, name).toBeGreaterThan(10)
    // The partner's own refresh token ends after a year, and that is announced in its last week.
    expect(["active", ...(name === "partner" ? ["expiring"] : [])], name).toContain(await healthOf(id))
  }
  // What nobody can renew was announced, and then said to have ended; the Page's token goes on.
  expect([...seen.member]).toEqual(["active", "expiring", "reauthorization_required"])
  expect([...seen.page]).toEqual(["active", "expiring"])
  expect((await api.call("GET", `/v1/accounts/${page}/token`)).status).toBe(200)
  expect((await api.call("GET", `/v1/accounts/${member}/token`)).status).toBe(409)

  const acme = { tenant: "acme", environment: "live" } as const
  const { items: events } = await mooring.storage.events.list(acme, {}, { limit: 1000 })
  const told = (type: string, id: string) =>
    events.filter((event) => event.type === type && event.accountId === id).length
  expect(told("account.expiring", member)).toBe(1)
  expect(told("account.reauthorization_required", member)).toBe(1)
  expect(told("account.expiring", page)).toBe(1)

  // The stated bound, in calls a year: a read account is refreshed at most once a read, and a failed attempt is
  // repeated at most four times a day while an outage lasts (the back-off's longest step is six hours).
  const days = (now().getTime() - begun) / day
  const attemptsInOutages = 4 * days
  const bound = {
    x: 2 * days + attemptsInOutages,
    tiktok: 2 * days + attemptsInOutages,
    instagram: 2 * 12 + attemptsInOutages,
    linkedin: 2 * 9 + attemptsInOutages,
    facebook: 0,
  }
  for (const provider of providerNames) {
    const made = (calls.get(provider) ?? 0) - (started.get(provider) ?? 0)
    expect(made, `${provider}: ${made} calls`).toBeLessThanOrEqual(bound[provider])
  }
  expect(refusedReads).toBeLessThan(365)
}, 120_000)
