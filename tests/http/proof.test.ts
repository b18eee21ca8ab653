import { describe, expect, test } from "bun:test"
import { keyScopes } from "../../src/domain/api-key.ts"
import { confirmLifetimeMs, flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import { providerNames } from "../../src/domain/provider.ts"
import { refusal, upstreamAccount } from "../support/connect-world.ts"
import { expectProblem, httpWorld, returnUrl } from "../support/http-world.ts"
import { eventsOf } from "../support/storage-fixtures.ts"

interface FlowAnswer {
  readonly id: string
  readonly status: string
  readonly proof: string | null
  readonly oauth_error: string | null
  readonly detail: string | null
  readonly account_ids: readonly string[]
  readonly choices?: readonly { readonly platform_account_id: string }[]
  readonly steps: readonly { readonly step: string; readonly detail: string }[]
}

interface AccountAnswer {
  readonly id: string
  readonly health: string
  readonly health_detail: string | null
  readonly platform_account_id: string
}

const owner = { tenant: "acme", environment: "live" } as const

/** With an end, so that reading them renews nothing. */
const lasting = { ...upstreamAccount().tokens, expiresAt: new Date("2027-01-01T00:00:00Z") }

/** A tenant with one app, and what its backend and its person's browser do. */
async function proofWorld() {
  const world = httpWorld()
  world.provider.answer = async () => [upstreamAccount({ tokens: lasting })]
  const as = await world.key()
  const app = await world.storeApp(as)
  const callback = (state: string, rest = "code=fake-code") =>
    world.call("GET", `/v1/oauth/x/callback?state=${state}&${rest}`)
  const start = (more: Readonly<Record<string, string>> = {}) =>
    world.startFlow(as, { return_url: returnUrl, proof: "required", ...more })
  return {
    world,
    as,
    app,
    callback,
    start,
    /** A person comes back with a good code; resolves to the flow and the code they bring to the tenant. */
    async held(more?: Readonly<Record<string, string>>) {
      const { id, state } = await start(more)
      return { id, state, code: codeOf(await callback(state)) }
    },
    confirm: (id: string, code: string, key = as) =>
      world.call("POST", `/v1/oauth/flows/${id}/confirm`, { as: key, body: { connect_code: code } }),
    async flow(id: string) {
      return (await (await world.call("GET", `/v1/oauth/flows/${id}`, { as })).json()) as FlowAnswer
    },
    async accounts(query = "") {
      const listing = await world.call("GET", `/v1/accounts${query}`, { as })
      return ((await listing.json()) as { readonly items: readonly AccountAnswer[] }).items
    },
    /** What happened to accounts and flows, oldest first. */
    async events() {
      const all = await eventsOf(world.storage, owner)
      return all.filter(({ type }) => /^(account|connect)\./.test(type))
    },
  }
}

function codeOf(response: Response): string {
  const location = response.headers.get("location") ?? ""
  return new URL(location, "https://nowhere.example").searchParams.get("connect_code") ?? ""
}

async function expectUnproven(response: Response): Promise<void> {
  expect([response.status, response.headers.get("location")]).toEqual([200, null])
  const html = await response.text()
  expect(html).toContain("<h1>Finish in the browser you began in</h1>")
  expect(html).not.toMatch(/connect_code|ticket|<a\b|<form/)
}

describe("a connect that asks for proof", () => {
  test("brings the person back with a code, and connects nothing", async () => {
    const { start, callback, flow, accounts, events } = await proofWorld()
    const { id, state } = await start({ reference: "user-17" })
    expect(await flow(id)).toMatchObject({ status: "pending", proof: "required" })
    const response = await callback(state)
    expect(response.status).toBe(302)
    expect(response.headers.get("location")).toMatch(
      /^https:\/\/app\.acme\.example\/connect\/done\?tab=social&connected=x&connect_code=[\w-]{43}$/,
    )
    expect(await flow(id)).toMatchObject({
      status: "pending",
      proof: "awaited",
      oauth_error: null,
      account_ids: [],
    })
    const [account, ...others] = await accounts("?health=unconfirmed&reference=user-17")
    expect(others).toEqual([])
    expect(account?.health_detail).toContain(`POST /v1/oauth/flows/${id}/confirm`)
    expect(await events()).toEqual([])
  })

  test("gives nobody the token meanwhile, renews nothing, and says what is missing", async () => {
    const { world, as, held, accounts } = await proofWorld()
    const ending = { ...upstreamAccount().tokens, expiresAt: new Date(world.now().getTime() + 60_000) }
    world.provider.answer = async () => [upstreamAccount({ tokens: ending })]
    const { id } = await held()
    const [account] = await accounts()
    const words = new RegExp(`/v1/oauth/flows/${id}/confirm from your backend with the connect_code`)
    for (const [method, path] of [
      ["GET", "token"],
      ["POST", "refresh"],
    ] as const) {
      const response = await world.call(method, `/v1/accounts/${account?.id}/${path}`, { as })
      await expectProblem(response, 409, "unconfirmed", { words })
    }
    for (let minute = 0; minute < 9; minute++) {
      world.pass(60_000)
      expect(await world.keepAlive.tellTime()).toBe(0)
      for (const provider of providerNames) expect(await world.keepAlive.renewDue(provider)).toBe(0)
      await world.sweep()
    }
    expect(world.refreshes).toEqual([])
    expect(await accounts()).toEqual([account as AccountAnswer])
  })

  test("is connected once the tenant's backend confirms it: token, health and event as ever", async () => {
    const { world, as, held, confirm, accounts, events } = await proofWorld()
    const { id, code } = await held({ reference: "user-17" })
    const [before] = await accounts()
    world.pass(5000)
    const response = await confirm(id, code)
    expect(response.status).toBe(200)
    const flow = (await response.json()) as FlowAnswer
    expect(flow).toMatchObject({
      id,
      status: "connected",
      proof: "confirmed",
      account_ids: [before?.id],
      completed_at: "2026-11-22T10:00:05.000Z",
    })
    expect(flow.steps.map(({ step }) => step)).toEqual(["started", "returned", "held", "connected"])
    expect(await accounts()).toMatchObject([{ health: "active", health_detail: null }])
    const token = await world.call("GET", `/v1/accounts/${before?.id}/token`, { as })
    expect(await token.json()).toMatchObject({ access_token: "fake-access-token-of-ann" })
    expect(await events()).toMatchObject([
      { type: "account.connected", accountId: before?.id, flowId: id, actor: `key:key_${as.split("_")[2]}` },
    ])
  })

  test("touches an account that is there only when it is confirmed, and then in place", async () => {
    const { world, as, start, callback, confirm, events } = await proofWorld()
    const [accountId = ""] = await world.connect(as)
    const rowOf = () => world.storage.tokens.read(owner, accountId)
    const before = await rowOf()
    const renewed = { ...lasting, accessToken: "fake-newer-token" }
    world.provider.answer = async () => [upstreamAccount({ handle: "ann_renamed", tokens: renewed })]
    for (const more of [{}, { account_id: accountId }]) {
      world.pass(1000)
      const { id, state } = await start(more)
      const code = codeOf(await callback(state))
      expect(await rowOf()).toEqual(before)
      expect((await world.call("GET", `/v1/accounts/${accountId}/token`, { as })).status).toBe(200)
      world.pass(confirmLifetimeMs)
      await world.sweep()
      expect(await rowOf()).toEqual(before)
      await expectProblem(await confirm(id, code), 409, "not_confirmable", { words: /expired/ })
    }
    const { id, state } = await start({ account_id: accountId })
    const flow = await (await confirm(id, codeOf(await callback(state)))).json()
    expect(flow).toMatchObject({ status: "connected", account_ids: [accountId] })
    const token = await (await world.call("GET", `/v1/accounts/${accountId}/token`, { as })).json()
    expect(token).toMatchObject({ access_token: "fake-newer-token" })
    expect((await events()).map(({ type }) => type)).toEqual([
      "account.connected",
      "connect.failed",
      "connect.failed",
      "account.reconnected",
    ])
  })

  test("is still a mismatch where somebody else comes back, and then nothing is held", async () => {
    const { world, as, start, callback, flow, accounts } = await proofWorld()
    const [accountId = ""] = await world.connect(as)
    world.provider.answer = async () => [upstreamAccount({ platformAccountId: "99" })]
    const { id, state } = await start({ account_id: accountId })
    expect((await callback(state)).headers.get("location")).toEndWith("&oauth_error=account_mismatch")
    expect(await flow(id)).toMatchObject({ status: "failed", proof: "required" })
    expect(await accounts("?health=unconfirmed")).toEqual([])
  })

  test.each([
    ["the person declines", "error=access_denied", "access_denied"],
    ["the code is refused", "code=fake-code", "code_invalid"],
  ])("fails as ever where %s, and no code comes back", async (_, rest, reason) => {
    const { world, start, callback, accounts } = await proofWorld()
    world.provider.answer = async () => {
      throw refusal("code_invalid")
    }
    const { state } = await start()
    const location = `${returnUrl}&oauth_error=${reason}`
    expect((await callback(state, rest)).headers.get("location")).toBe(location)
    expect((await callback(state, "code=fake-other-code")).headers.get("location")).toBe(location)
    expect(await accounts()).toEqual([])
  })

  test("that nobody confirms in ten minutes is undone: the flow expired with the remedy, the account gone", async () => {
    const { world, held, flow, accounts, events } = await proofWorld()
    world.pass(60_000)
    const { id } = await held()
    world.pass(confirmLifetimeMs - 1)
    await world.sweep()
    expect(await flow(id)).toMatchObject({ status: "pending", proof: "awaited" })
    expect(await accounts()).toHaveLength(1)
    world.pass(1)
    const said = {
      status: "expired",
      proof: "awaited",
      oauth_error: "no_response",
      detail: expect.stringMatching(/^Nobody confirmed .* call POST .*\/confirm from your backend/),
    }
    const unswept = await flow(id)
    expect(unswept).toMatchObject(said)
    expect(await world.sweep()).toEqual({ expired: 1, lost: 0, unconfirmed: 1, forgotten: 0 })
    expect(await flow(id)).toMatchObject({ ...said, steps: unswept.steps as FlowAnswer["steps"] & [] })
    expect(unswept.steps.map(({ step }) => step)).toEqual(["started", "returned", "held", "expired"])
    expect(await accounts()).toEqual([])
    expect(await events()).toMatchObject([{ type: "connect.failed", reason: "no_response" }])
    expect(world.revocations).toEqual([])
  })

  test("held twice is forgotten only when nobody may confirm the later one any more", async () => {
    const { world, held, confirm, accounts } = await proofWorld()
    await held()
    world.pass(60_000)
    const later = await held()
    world.pass(confirmLifetimeMs - 1)
    await world.sweep()
    const [account] = await accounts()
    expect(account?.health).toBe("unconfirmed")
    expect(await (await confirm(later.id, later.code)).json()).toMatchObject({ account_ids: [account?.id] })
  })

  test("held twice says how to confirm the later one, and is listed under its reference", async () => {
    const { held, accounts } = await proofWorld()
    const first = await held({ reference: "user-1" })
    const later = await held({ reference: "user-2" })
    expect(await accounts("?reference=user-1")).toEqual([])
    const [account] = await accounts("?reference=user-2")
    expect(account?.health_detail).toContain(`/v1/oauth/flows/${later.id}/confirm`)
    expect(account?.health_detail).not.toContain(first.id)
  })

  test("that is deleted unconfirmed is forgotten here alone, with nothing revoked at the provider", async () => {
    const { world, as, held, confirm, accounts, events } = await proofWorld()
    const { id, code } = await held()
    const [account] = await accounts()
    const path = `/v1/accounts/${account?.id}`
    expect((await world.call("DELETE", path, { as })).status).toBe(204)
    expect((await world.call("GET", path, { as })).status).toBe(404)
    expect(world.revocations).toEqual([])
    expect(await events()).toMatchObject([
      { type: "account.disconnected", detail: expect.stringContaining("nothing was revoked at X") },
    ])
    // What was laid aside with the flow is still the tenant's to confirm.
    expect((await confirm(id, code)).status).toBe(200)
  })

  test("and whose return_url is allowed no more ends on our own page, without a code", async () => {
    const { world, as, app, start, callback } = await proofWorld()
    const { state } = await start()
    await world.call("PATCH", `/v1/oauth-apps/${app.id}`, { as, body: { allowed_return_urls: [] } })
    for (let i = 0; i < 2; i++) {
      const response = await callback(state)
      expect([response.status, response.headers.get("location")]).toEqual([200, null])
      const html = await response.text()
      expect(html).toContain("<h1>X was not connected</h1>")
      expect(html).toContain("no longer allows the address")
      expect(html).toContain("Tell whoever runs the site, then connect again.")
      expect(html).not.toMatch(/begun in|began in|connect_code|ticket|<a\b|<form/)
    }
    await expectUnproven(await callback(state, "code=made-up-code"))
  })
})

describe("whoever repeats the callback", () => {
  test("with what it carried is the same person, and gets the same way back", async () => {
    const { start, callback } = await proofWorld()
    const { state } = await start()
    const first = (await callback(state)).headers.get("location")
    for (let i = 0; i < 3; i++) expect((await callback(state)).headers.get("location")).toBe(first)
  })

  test("with anything else learns nothing, before, while and after it is held, until it is confirmed", async () => {
    const { world, start, callback, confirm } = await proofWorld()
    const { promise, resolve } = Promise.withResolvers<readonly ReturnType<typeof upstreamAccount>[]>()
    world.provider.answer = () => promise
    world.waiting.passesTime = false
    const { id, state } = await start()
    const honest = callback(state)
    const forgeries = [
      "code=made-up-code",
      "code=FAKE-CODE",
      "code=fake-code%20",
      "code=fake-cod",
      `code=${id}`,
      "error=access_denied",
      "error=fake-code",
    ].filter((rest) => rest !== "error=fake-code")
    const during = forgeries.map((rest) => callback(state, rest))
    resolve([upstreamAccount()])
    const code = codeOf(await honest)
    expect(code).toHaveLength(43)
    for (const response of await Promise.all(during)) await expectUnproven(response)
    for (const rest of forgeries) await expectUnproven(await callback(state, rest))
    expect((await confirm(id, code)).status).toBe(200)
    for (const rest of ["code=fake-code", ...forgeries]) {
      expect((await callback(state, rest)).headers.get("location")).toBe(`${returnUrl}&connected=x`)
    }
    expect(world.exchanges).toHaveLength(1)
  })

  test("of a flow that asks for no proof is sent on as ever", async () => {
    const { world, as, callback } = await proofWorld()
    const { id, state } = await world.startFlow(as)
    for (const rest of ["code=fake-code", "code=made-up-code"])
      expect((await callback(state, rest)).headers.get("location")).toBe(`${returnUrl}&connected=x`)
    expect(id).toStartWith("flow_")
  })
})

describe("confirming", () => {
  test("is refused for every code but the flow's own, which then still counts", async () => {
    const { world, held, confirm, accounts } = await proofWorld()
    const other = await held()
    const { id, code } = await held()
    const stored = await world.storage.flows.find(owner, id)
    const flipped = [...code].map((c, i) => code.slice(0, i) + (c === "A" ? "B" : "A") + code.slice(i + 1))
    const guesses = [
      ...flipped,
      "",
      " ",
      `${code} `,
      `${code}A`,
      code.slice(0, -1),
      code.toLowerCase(),
      other.code,
      id,
      stored?.callbackMac ?? "",
      world.signer.sign("proof", id),
      world.signer.sign("proof", `${id}.`),
      world.signer.sign("callback", `${id}.${stored?.callbackMac}`),
      world.signer.sign("state", `${id}.${stored?.callbackMac}`),
      "\u0000",
      "é".repeat(43),
      "x".repeat(10_000),
    ]
    for (const guess of guesses) {
      await expectProblem(await confirm(id, guess), 400, "invalid_input", {
        words: /^connect_code: is not the code of this flow/,
        fields: ["connect_code"],
      })
    }
    expect((await accounts("?health=active")).length).toBe(0)
    expect((await confirm(id, code)).status).toBe(200)
  })

  test("takes a body with the code as text and nothing else", async () => {
    const { world, as, held } = await proofWorld()
    const { id, code } = await held()
    const path = `/v1/oauth/flows/${id}/confirm`
    for (const [body, fields] of [
      [{}, ["connect_code"]],
      [{ connect_code: 7 }, ["connect_code"]],
      [{ connect_code: null }, ["connect_code"]],
      [{ connect_code: [code] }, ["connect_code"]],
      [{ connect_code: code, account_id: "acc_1" }, ["account_id"]],
    ] as const) {
      const response = await world.call("POST", path, { as, body })
      await expectProblem(response, 400, "invalid_input", { fields })
    }
    expect((await world.call("POST", `${path}?connect_code=${code}`, { as, body: {} })).status).toBe(400)
  })

  test("a second time is told that it was done; of two at once one does it", async () => {
    const { held, confirm, events } = await proofWorld()
    const { id, code } = await held()
    const answers = await Promise.all(Array.from({ length: 8 }, () => confirm(id, code)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(409)])
    await expectProblem(await confirm(id, code), 409, "already_confirmed", {
      words: new RegExp(`confirmed already; GET /v1/oauth/flows/${id} lists its accounts`),
    })
    await expectProblem(await confirm(id, "made-up-code"), 409, "already_confirmed")
    expect((await events()).map(({ type }) => type)).toEqual(["account.connected"])
  })

  test("says how a flow stands that awaits none", async () => {
    const { world, as, start, callback, held, confirm } = await proofWorld()
    const plain = await world.startFlow(as)
    await callback(plain.state)
    const refused = async (id: string, words: RegExp) =>
      void (await expectProblem(await confirm(id, "made-up-code"), 409, "not_confirmable", { words }))
    await refused(plain.id, /started without proof=required/)
    const away = await start()
    await refused(away.id, /has not come back yet/)
    const declined = await start()
    await callback(declined.state, "error=access_denied")
    await refused(declined.id, /connect failed/)
    const late = await held()
    world.pass(confirmLifetimeMs)
    await refused(late.id, /has expired/)
    await world.sweep()
    await refused(late.id, /has expired/)
    await expectProblem(await confirm(late.id, late.code), 409, "not_confirmable")
    await refused(away.id, /has expired/)
  })

  test("is nobody's but the tenant's own, in its own environment, with the scope connect", async () => {
    const { world, held, confirm, accounts } = await proofWorld()
    const { id, code } = await held()
    for (const change of [{ tenant: "globex" }, { environment: "test" as const }]) {
      const key = await world.key(change)
      await expectProblem(await confirm(id, code, key), 404, "not_found", { words: /No flow with this id/ })
      await expectProblem(await confirm(id, "made-up-code", key), 404, "not_found")
    }
    const narrow = await world.key({ scopes: keyScopes.filter((scope) => scope !== "connect") })
    await expectProblem(await confirm(id, code, narrow), 403, "insufficient_key_scope")
    await expectProblem(await confirm("flow_none", code), 404, "not_found")
    expect(await accounts()).toMatchObject([{ health: "unconfirmed" }])
  })

  test("that the store fails in changes nothing and can be tried again", async () => {
    const { world, held, confirm, accounts } = await proofWorld()
    const { id, code } = await held()
    const { connect } = world.storage.flows
    world.storage.flows.connect = () => Promise.reject(new Error("the disk is gone"))
    expect((await confirm(id, code)).status).toBe(500)
    expect(await accounts()).toMatchObject([{ health: "unconfirmed" }])
    world.storage.flows.connect = connect
    expect((await confirm(id, code)).status).toBe(200)
  })
})

describe("proof and a choice among several", () => {
  async function choosingWorld() {
    const base = await proofWorld()
    base.world.provider.answer = async () =>
      ["1", "2", "3"].map((platformAccountId) => upstreamAccount({ platformAccountId }))
    const { id, state } = await base.start({ select: "true" })
    const page = (await base.callback(state)).headers.get("location") ?? ""
    const url = new URL(page)
    return { ...base, id, state, choosing: url.pathname + url.search }
  }

  const form = (body: string) => ({
    body,
    headers: { "content-type": "application/x-www-form-urlencoded" },
  })

  test("the person chooses first, then comes back with the code; only what was chosen is held", async () => {
    const { world, id, state, choosing, callback, flow, accounts, confirm } = await choosingWorld()
    expect(choosing).toContain("/v1/oauth/x/choose?ticket=")
    expect(await flow(id)).toMatchObject({ proof: "required", choices: { length: 3 } })
    expect(await accounts()).toEqual([])
    await expectUnproven(await callback(state, "code=made-up-code"))
    const done = await world.call("POST", choosing, form("account=1&account=3"))
    const code = codeOf(done)
    expect(done.headers.get("location")).toBe(`${returnUrl}&connected=x&connect_code=${code}`)
    expect(await flow(id)).toMatchObject({ status: "pending", proof: "awaited", account_ids: [] })
    expect(await flow(id)).not.toHaveProperty("choices")
    expect((await accounts()).map((account) => account.platform_account_id).sort()).toEqual(["1", "3"])
    // The same window, by the page's address or the callback's, is sent the same way again; nobody else is.
    expect(codeOf(await world.call("GET", choosing))).toBe(code)
    expect(codeOf(await world.call("POST", choosing, form("account=2")))).toBe(code)
    expect(codeOf(await callback(state))).toBe(code)
    await expectUnproven(await callback(state, "code=made-up-code"))
    expect(await (await confirm(id, code)).json()).toMatchObject({ account_ids: { length: 2 } })
    expect((await accounts("?health=active")).length).toBe(2)
  })

  test("the tenant's own choice is held too, and its answer has no code", async () => {
    const { world, as, id, choosing, accounts, confirm } = await choosingWorld()
    const path = `/v1/oauth/flows/${id}/choose`
    const chosen = await world.call("POST", path, { as, body: { platform_account_ids: ["2"] } })
    const text = await chosen.text()
    expect(JSON.parse(text)).toMatchObject({ status: "pending", proof: "awaited", account_ids: [] })
    expect(text).not.toMatch(/"[\w-]{43}"/)
    expect(await accounts()).toMatchObject([{ platform_account_id: "2", health: "unconfirmed" }])
    await expectProblem(
      await world.call("POST", path, { as, body: { platform_account_ids: ["1"] } }),
      400,
      "invalid_input",
    )
    const code = codeOf(await world.call("GET", choosing))
    expect((await confirm(id, code)).status).toBe(200)
  })

  test("none chosen declines, and no code comes back", async () => {
    const { world, choosing, accounts } = await choosingWorld()
    const done = await world.call("POST", choosing, form("none=1"))
    expect(done.headers.get("location")).toBe(`${returnUrl}&oauth_error=access_denied`)
    expect(await accounts()).toEqual([])
  })

  test("nobody choosing in ten minutes is told as that", async () => {
    const { world, id, flow } = await choosingWorld()
    world.pass(flowLifetimeMs)
    await world.sweep()
    const ended = await flow(id)
    expect(ended).toMatchObject({
      status: "expired",
      proof: "required",
      oauth_error: "no_response",
      detail: expect.stringMatching(/^Nobody chose/),
    })
    expect(ended.steps.map(({ step }) => step)).toEqual(["started", "returned", "choosing", "expired"])
  })
})

test("what is confirmed of a Facebook consent says nothing wrong of the Pages beside it", async () => {
  const { world, as } = await proofWorld()
  await world.storeApp(as, { provider: "facebook" })
  const page = (platformAccountId: string) =>
    upstreamAccount({ platformAccountId, metadata: { person_id: "p1" } })
  const begin = async (more: Readonly<Record<string, string>>) => {
    const query = new URLSearchParams({ return_url: returnUrl, ...more })
    const started = await (await world.call("GET", `/v1/oauth/facebook/start?${query}`, { as })).json()
    const { authorize_url, flow_id } = started as { readonly authorize_url: string; readonly flow_id: string }
    const state = new URL(authorize_url).searchParams.get("state")
    const back = await world.call("GET", `/v1/oauth/facebook/callback?state=${state}&code=fake-code`)
    const body = { connect_code: codeOf(back) }
    if (more.proof) await world.call("POST", `/v1/oauth/flows/${flow_id}/confirm`, { as, body })
  }
  world.provider.answer = async () => [page("1"), page("2"), page("3")]
  await begin({})
  const listed = async () => {
    const { items } = await world.storage.accounts.list(owner, {}, { limit: 10 })
    return Object.fromEntries(items.map((account) => [account.platformAccountId, account]))
  }
  world.provider.answer = async () => [page("1"), page("2")]
  await begin({ proof: "required", account_id: (await listed())["1"]?.id ?? "" })
  const after = await listed()
  expect(after["2"]?.healthDetail).toBeNull()
  expect(after["3"]?.healthDetail).toContain("left this Page out")
})

test("a code is nowhere but in the redirect: not in the log, in events, or at rest", async () => {
  const { world, as, held, confirm, events } = await proofWorld()
  const { id, code } = await held()
  const kept = async () =>
    JSON.stringify([
      await world.storage.flows.find(owner, id),
      await world.storage.flows.findCandidates(id),
      await world.storage.accounts.list(owner, {}, { limit: 10 }),
      await events(),
      world.entries,
      world.faults,
      await (await world.call("GET", `/v1/oauth/flows/${id}`, { as })).json(),
    ])
  expect(code).toHaveLength(43)
  expect(await kept()).not.toContain(code)
  expect(await kept()).not.toContain("fake-access-token")
  await confirm(id, code)
  expect(await kept()).not.toContain(code)
})
