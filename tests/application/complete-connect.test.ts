import { describe, expect, test } from "bun:test"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import type { CallbackAnswer } from "../../src/application/flow-answer.ts"
import { sweepFlows } from "../../src/application/sweep-flows.ts"
import { flowLifetimeMs } from "../../src/domain/connect-flow.ts"
import { oauthErrorReasons, remedy } from "../../src/domain/oauth-error.ts"
import type { ReturnUrl } from "../../src/domain/return-url-policy.ts"
import {
  acme,
  type ConnectWorld,
  connectWorld,
  countedStorage,
  query,
  refusal,
  upstreamAccount,
} from "../support/connect-world.ts"

function location(answer: CallbackAnswer): string {
  if (answer.kind !== "redirect") throw new Error(`expected a redirect, got ${answer.kind}`)
  return answer.location
}

const approved = (state: string) => query({ state, code: "fake-code" })

async function events(world: ConnectWorld) {
  const { items } = await world.storage.events.list(acme, {}, { limit: 1000 })
  return items.map(({ type, reason }) => ({ type, reason }))
}

describe("an approved callback", () => {
  test("stores the account and returns to the page with the query it had", async () => {
    const world = connectWorld()
    await world.addApp()
    const { flow, state } = await world.begin({ reference: "user-17" })

    const answer = await world.complete("x", approved(state))

    expect(location(answer)).toBe("https://app.acme.example/connect/done?tab=social&connected=x")
    const view = await world.viewFlow(acme, flow.id)
    expect(view.status).toBe("connected")
    const account = await world.storage.accounts.find(acme, view.flow.accountIds[0] ?? "")
    expect(account).toMatchObject({
      platformAccountId: "2244994945",
      handle: "anndev",
      reference: "user-17",
      health: "active",
      missingScopes: [],
      connectionType: "oauth",
    })
    expect(await events(world)).toEqual([
      { type: "oauth_app.created", reason: null },
      { type: "account.connected", reason: null },
    ])
  })

  test("gives the provider the app's credentials, the code and the verifier of this very flow", async () => {
    const world = connectWorld()
    await world.addApp()
    const { flow, state } = await world.begin()
    await world.complete("x", approved(state))

    const [exchange] = world.exchanges
    expect(exchange).toMatchObject({
      credentials: { clientId: "fake-client-id", clientSecret: "fake-client-secret" },
      code: "fake-code",
      redirectUri: "https://connect.example.com/v1/oauth/x/callback",
      scopes: flow.scopes,
    })
    expect(exchange?.codeVerifier).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(flow.codeVerifier).not.toContain(exchange?.codeVerifier ?? "")
  })

  test("tells which scopes the person unticked", async () => {
    const world = connectWorld()
    await world.addApp()
    world.provider.answer = async () => [upstreamAccount({ scopes: ["tweet.read", "users.read"] })]
    const { flow, state } = await world.begin()
    await world.complete("x", approved(state))
    const { flow: ended } = await world.viewFlow(acme, flow.id)
    const account = await world.storage.accounts.find(acme, ended.accountIds[0] ?? "")
    expect(account?.missingScopes).toEqual(["tweet.write", "media.write", "offline.access"])
  })

  test("connecting the same upstream account again keeps its id and says so", async () => {
    const world = connectWorld()
    await world.addApp()
    const first = await world.begin({ reference: "user-17" })
    await world.complete("x", approved(first.state))
    world.pass(60_000)
    const second = await world.begin()
    await world.complete("x", approved(second.state))

    const [a, b] = await Promise.all([
      world.viewFlow(acme, first.flow.id),
      world.viewFlow(acme, second.flow.id),
    ])
    expect(b.flow.accountIds).toEqual(a.flow.accountIds)
    expect((await world.storage.accounts.list(acme, {}, { limit: 10 })).items).toHaveLength(1)
    expect((await events(world)).map((event) => event.type)).toEqual([
      "oauth_app.created",
      "account.connected",
      "account.reconnected",
    ])
  })

  test("lands on our own page without a return_url, or on the dashboard where there is one", async () => {
    const bare = connectWorld()
    await bare.addApp()
    const here = await bare.begin({ returnUrl: undefined as unknown as string })
    expect((await bare.complete("x", approved(here.state))).kind).toBe("landing")

    const dashboard = connectWorld({ dashboardUrl: "https://dash.acme.example/" as ReturnUrl })
    await dashboard.addApp()
    const there = await dashboard.begin({ returnUrl: undefined as unknown as string })
    expect(location(await dashboard.complete("x", approved(there.state)))).toBe(
      "https://dash.acme.example/?connected=x",
    )
  })

  test("lands on our own page when the allow-list no longer covers the return_url", async () => {
    const world = connectWorld()
    const app = await world.addApp()
    const { state } = await world.begin()
    await world.apps.change(acme, app.id, { allowedReturnUrls: ["https://elsewhere.acme.example/"] })
    const answer = await world.complete("x", approved(state))
    expect(answer.kind).toBe("landing")
    expect(answer.kind === "landing" && answer.flow.status).toBe("connected")
  })
})

describe("exactly once", () => {
  test("of fifty callbacks at the same instant one exchanges, and all see its outcome", async () => {
    const world = connectWorld()
    await world.addApp()
    world.waiting.passesTime = false
    const { state } = await world.begin()
    const answers = await Promise.all(Array.from({ length: 50 }, () => world.complete("x", approved(state))))
    expect(world.exchanges).toHaveLength(1)
    expect(new Set(answers.map(location))).toEqual(
      new Set(["https://app.acme.example/connect/done?tab=social&connected=x"]),
    )
    expect((await events(world)).filter((event) => event.type.startsWith("account."))).toHaveLength(1)
  })

  test("a repeated callback is sent to the recorded outcome, whatever it carries now", async () => {
    const world = connectWorld()
    await world.addApp()
    const { state } = await world.begin()
    const first = await world.complete("x", query({ state, error: "access_denied" }))
    const again = await world.complete("x", approved(state))
    expect(location(again)).toBe(location(first))
    expect(location(again)).toEndWith("&oauth_error=access_denied")
    expect(world.exchanges).toHaveLength(0)
  })

  test("a second callback waits for the first, and after ten seconds asks the browser to try again", async () => {
    const world = connectWorld()
    await world.addApp()
    const { state } = await world.begin()
    const { promise, resolve } = Promise.withResolvers<readonly ReturnType<typeof upstreamAccount>[]>()
    world.provider.answer = () => promise
    const first = world.complete("x", approved(state))
    const second = await world.complete("x", approved(state))
    expect(second.kind).toBe("waiting")
    resolve([upstreamAccount()])
    expect(location(await first)).toEndWith("connected=x")
    expect(world.exchanges).toHaveLength(1)
  })
})

describe("a callback without a trusted state", () => {
  test.each([
    ["no state", () => query({ code: "c" })],
    ["an empty state", () => query({ code: "c", state: "" })],
    [
      "two states",
      (state: string) =>
        new URLSearchParams([
          ["state", state],
          ["state", state],
          ["code", "c"],
        ]),
    ],
    ["a truncated state", (state: string) => approved(state.slice(0, -1))],
    ["a lengthened state", (state: string) => approved(`${state}A`)],
    ["a state in another letter case", (state: string) => approved(state.toUpperCase())],
    [
      "a state in the other base64 alphabet",
      (state: string) => approved(`${state.slice(0, -43)}${"+/".repeat(22).slice(0, 43)}`),
    ],
    ["a very long state", (state: string) => approved(state.repeat(50))],
    [
      "a state with a later expiry",
      (state: string) =>
        approved(state.replace(/\.(\w{8})\./, (_, t) => `.${(Number.parseInt(t, 36) + 1).toString(36)}.`)),
    ],
  ])("is refused with %s, touching neither storage nor provider", async (_, make) => {
    const calls: string[] = []
    const world = connectWorld({ storage: countedStorage(memoryStorage(), (name) => calls.push(name)) })
    await world.addApp()
    const { state } = await world.begin()
    calls.length = 0
    expect(await world.complete("x", make(state))).toEqual({ kind: "refused", reason: "state_invalid" })
    expect(calls).toEqual([])
    expect(world.exchanges).toEqual([])
  })

  test("is refused for every state that differs in one character", async () => {
    const calls: string[] = []
    const world = connectWorld({ storage: countedStorage(memoryStorage(), (name) => calls.push(name)) })
    await world.addApp()
    const { state } = await world.begin()
    calls.length = 0
    for (let i = 0; i < state.length; i++) {
      const forged = state.slice(0, i) + (state[i] === "a" ? "b" : "a") + state.slice(i + 1)
      expect((await world.complete("x", approved(forged))).kind).toBe("refused")
    }
    expect(calls).toEqual([])
  })

  test("is refused at another provider's path", async () => {
    const calls: string[] = []
    const world = connectWorld({ storage: countedStorage(memoryStorage(), (name) => calls.push(name)) })
    await world.addApp()
    const { state } = await world.begin()
    calls.length = 0
    expect((await world.complete("tiktok", approved(state))).kind).toBe("refused")
    expect(calls).toEqual([])
  })

  test("honours a state one millisecond before its end and refuses it at its end", async () => {
    const world = connectWorld()
    await world.addApp()
    const [early, late] = [await world.begin(), await world.begin()]
    world.pass(flowLifetimeMs - 1)
    expect((await world.complete("x", approved(early.state))).kind).toBe("redirect")
    world.pass(1)
    expect((await world.complete("x", approved(late.state))).kind).toBe("refused")
    expect((await world.viewFlow(acme, late.flow.id)).status).toBe("expired")
  })
})

describe("a callback that is no callback", () => {
  test.each([
    ["neither code nor error", (state: string) => query({ state })],
    ["both", (state: string) => query({ state, code: "c", error: "e" })],
    ["an empty code", (state: string) => query({ state, code: "" })],
    ["an empty error", (state: string) => query({ state, error: "" })],
    [
      "two codes",
      (state: string) =>
        new URLSearchParams([
          ["state", state],
          ["code", "a"],
          ["code", "b"],
        ]),
    ],
    [
      "two issuers",
      (state: string) =>
        new URLSearchParams([
          ["state", state],
          ["code", "a"],
          ["iss", "a"],
          ["iss", "b"],
        ]),
    ],
    ["a code beyond all measure", (state: string) => query({ state, code: "c".repeat(5000) })],
  ])("with %s is refused and leaves the flow as it was", async (_, make) => {
    const world = connectWorld()
    await world.addApp()
    const { flow, state } = await world.begin()
    expect(await world.complete("x", make(state))).toEqual({ kind: "refused", reason: "callback_invalid" })
    expect((await world.viewFlow(acme, flow.id)).status).toBe("pending")
    expect(location(await world.complete("x", approved(state)))).toEndWith("connected=x")
  })
})

describe("failures after a valid state", () => {
  test.each(oauthErrorReasons.map((reason) => [reason]))(
    "%s reaches the page and the record with its remedy",
    async (reason) => {
      const world = connectWorld()
      await world.addApp()
      world.provider.answer = async () => {
        throw refusal(reason)
      }
      const { flow, state } = await world.begin()
      expect(location(await world.complete("x", approved(state)))).toEndWith(`&oauth_error=${reason}`)
      const view = await world.viewFlow(acme, flow.id)
      expect(view.failure).toMatchObject({
        reason,
        detail: remedy(reason, "x"),
        evidence: { code: "seeded" },
      })
      expect(await events(world)).toContainEqual({ type: "connect.failed", reason })
      expect(world.exchanges).toHaveLength(1)
    },
  )

  test("an issuer that is not the provider's stops before the exchange", async () => {
    const world = connectWorld()
    await world.addApp()
    world.provider.issuer = "https://issuer.example"
    const { state } = await world.begin()
    const answer = await world.complete("x", query({ state, code: "c", iss: "https://issuer.example.evil" }))
    expect(location(answer)).toEndWith("oauth_error=provider_error")
    expect(world.exchanges).toHaveLength(0)
  })

  test("an app deleted in mid-flow is invalid_client, and nothing is exchanged with another", async () => {
    const world = connectWorld()
    const app = await world.addApp()
    await world.addApp({ name: "Another", clientId: "fake-other-client" })
    const { flow, state } = await world.begin()
    await world.apps.remove(acme, app.id)
    await world.complete("x", approved(state))
    expect((await world.viewFlow(acme, flow.id)).failure?.reason).toBe("invalid_client")
    expect(world.exchanges).toHaveLength(0)
  })

  test("a reconnect that comes back as somebody else stores nothing", async () => {
    const calls: string[] = []
    const world = connectWorld({ storage: countedStorage(memoryStorage(), (name) => calls.push(name)) })
    await world.addApp()
    const first = await world.begin()
    await world.complete("x", approved(first.state))
    const accountId = (await world.viewFlow(acme, first.flow.id)).flow.accountIds[0] ?? ""
    world.provider.answer = async () => [upstreamAccount({ platformAccountId: "99", handle: "mallory" })]
    const second = await world.begin({ accountId })
    expect(second.url.searchParams.get("again")).toBe("true")
    const before = await world.storage.tokens.read(acme, accountId)
    calls.length = 0
    expect(location(await world.complete("x", approved(second.state)))).toEndWith(
      "oauth_error=account_mismatch",
    )
    expect(calls).not.toContain("flows.connect")
    // Byte for byte, the sealed tokens too.
    expect(await world.storage.tokens.read(acme, accountId)).toEqual(before)
    expect((await world.storage.accounts.list(acme, {}, { limit: 10 })).items.map((a) => a.handle)).toEqual([
      "anndev",
    ])
  })

  test("a reconnect touches its own account alone, however many were granted", async () => {
    const world = connectWorld()
    await world.addApp()
    const first = await world.begin()
    await world.complete("x", approved(first.state))
    const accountId = (await world.viewFlow(acme, first.flow.id)).flow.accountIds[0] ?? ""
    world.provider.answer = async () => [upstreamAccount({ platformAccountId: "99" }), upstreamAccount()]
    const second = await world.begin({ accountId })
    await world.complete("x", approved(second.state))
    expect((await world.viewFlow(acme, second.flow.id)).flow.accountIds).toEqual([accountId])
  })
})

describe("our own faults", () => {
  test("a store that fails at any single call never leaves a half, and the browser still gets home", async () => {
    for (const failing of ["flows.connect", "flows.fail", "accounts.find"]) {
      let broken = false
      const world = connectWorld({
        storage: countedStorage(memoryStorage(), (name) => {
          if (broken && name === failing) throw new Error("the disk is gone")
        }),
      })
      await world.addApp()
      const first = await world.begin()
      await world.complete("x", approved(first.state))
      const accountId = (await world.viewFlow(acme, first.flow.id)).flow.accountIds[0] ?? ""
      if (failing === "flows.fail") {
        world.provider.answer = async () => {
          throw refusal("provider_error")
        }
      }
      const second = await world.begin({ accountId })
      broken = true
      expect(location(await world.complete("x", approved(second.state))), failing).toContain("oauth_error=")
      broken = false
      world.pass(60_000)
      await world.sweep()
      expect((await world.viewFlow(acme, second.flow.id)).status, failing).toBe("failed")
      expect(world.faults, failing).not.toEqual([])
    }
  })

  test("a commit whose answer was lost is told as what it was: connected", async () => {
    const storage = memoryStorage()
    const forgetful = {
      ...storage,
      flows: {
        ...storage.flows,
        connect: async (...args: Parameters<typeof storage.flows.connect>) => {
          await storage.flows.connect(...args)
          throw new Error("connection reset")
        },
      },
    }
    const world = connectWorld({ storage: forgetful })
    await world.addApp()
    const { state } = await world.begin()
    expect(location(await world.complete("x", approved(state)))).toEndWith("connected=x")
  })

  test("a hold that fails ends the flow, and one whose answer was lost is told as what it was", async () => {
    for (const isStored of [false, true]) {
      const storage = memoryStorage()
      const { hold } = storage.flows
      storage.flows.hold = async (...args) => {
        if (isStored) await hold(...args)
        throw new Error("connection reset")
      }
      const world = connectWorld({ storage })
      await world.addApp()
      const { flow, state } = await world.begin({ proof: true })
      const end = location(await world.complete("x", approved(state)))
      const { proof } = await world.viewFlow(acme, flow.id)
      const { total } = await storage.accounts.list(acme, {}, { limit: 10 })
      if (isStored)
        expect([end, proof, total]).toEqual([expect.stringMatching(/connect_code=/), "awaited", 1])
      else
        expect([end, proof, total]).toEqual([
          expect.stringMatching(/oauth_error=server_error$/),
          "required",
          0,
        ])
    }
  })

  test("a fault that is no refusal is server_error, and says nothing of itself", async () => {
    const world = connectWorld()
    await world.addApp()
    world.provider.answer = async () => {
      throw new TypeError("fake-secret in a message")
    }
    const { flow, state } = await world.begin()
    expect(location(await world.complete("x", approved(state)))).toEndWith("oauth_error=server_error")
    expect(JSON.stringify(await world.viewFlow(acme, flow.id))).not.toContain("fake-secret")
  })

  test("an exchange whose process died is failed within a minute, and a late finisher stores nothing", async () => {
    const world = connectWorld()
    await world.addApp()
    const { flow, state } = await world.begin()
    const { promise, resolve } = Promise.withResolvers<readonly ReturnType<typeof upstreamAccount>[]>()
    world.provider.answer = () => promise
    const late = world.complete("x", approved(state))
    world.pass(31_000)
    expect((await world.viewFlow(acme, flow.id)).status).toBe("failed")
    expect(await world.sweep()).toMatchObject({ lost: 1 })
    resolve([upstreamAccount()])
    expect(location(await late)).toEndWith("oauth_error=server_error")
    expect((await world.storage.accounts.list(acme, {}, { limit: 10 })).total).toBe(0)
  })
})

describe("the sweep", () => {
  test("writes down who never came back, once, with an event", async () => {
    const world = connectWorld()
    await world.addApp()
    const { flow } = await world.begin()
    world.pass(flowLifetimeMs)
    expect((await world.viewFlow(acme, flow.id)).failure?.reason).toBe("no_response")
    expect(await world.sweep()).toEqual({ expired: 1, lost: 0, unconfirmed: 0, forgotten: 0 })
    expect(await world.sweep()).toEqual({ expired: 0, lost: 0, unconfirmed: 0, forgotten: 0 })
    expect((await events(world)).filter((event) => event.reason === "no_response")).toHaveLength(1)
  })

  test("ends several hundred in one go, side by side, each once however many sweep at once", async () => {
    let [running, most] = [0, 0]
    const storage = memoryStorage()
    const { abandon } = storage.flows
    storage.flows.abandon = async (...args) => {
      most = Math.max(most, ++running)
      await Bun.sleep(1)
      running--
      return abandon(...args)
    }
    const world = connectWorld({ storage })
    await world.addApp()
    for (let i = 0; i < 300; i++) await world.begin()
    world.pass(flowLifetimeMs)
    const swept = await Promise.all([world.sweep(), world.sweep()])
    expect(swept.reduce((sum, { expired }) => sum + expired, 0)).toBe(300)
    expect((await events(world)).filter((event) => event.reason === "no_response")).toHaveLength(300)
    expect(most).toBeGreaterThan(20)
    expect(most).toBeLessThanOrEqual(256)
  })

  test("that a store fails in tells of it when all is done, and leaves the rest to the next one", async () => {
    const storage = memoryStorage()
    const { abandon } = storage.flows
    let [calls, done] = [0, 0]
    storage.flows.abandon = async (...args) => {
      if (++calls === 1) throw new Error("the disk is gone")
      await Bun.sleep(1)
      done++
      return abandon(...args)
    }
    const world = connectWorld({ storage })
    await world.addApp()
    for (let i = 0; i < 3; i++) await world.begin()
    world.pass(flowLifetimeMs)
    const fault = await world.sweep().catch((error: unknown) => error)
    expect([fault, done]).toEqual([new Error("the disk is gone"), 2])
    expect(await world.sweep()).toMatchObject({ expired: 1 })
  })

  test("keeps ended flows for as many days as it is told", async () => {
    const world = connectWorld()
    await world.addApp()
    await world.begin()
    const sweep = sweepFlows({ ...world, flows: world.storage.flows, retentionDays: 2 })
    world.pass(flowLifetimeMs)
    await sweep()
    world.pass(2 * 24 * 3_600_000)
    expect((await sweep()).forgotten).toBe(0)
    world.pass(1)
    expect((await sweep()).forgotten).toBe(1)
  })

  test("forgets ended flows after thirty days", async () => {
    const world = connectWorld()
    await world.addApp()
    const { flow } = await world.begin()
    world.pass(flowLifetimeMs)
    await world.sweep()
    world.pass(30 * 24 * 3_600_000)
    expect((await world.sweep()).forgotten).toBe(0)
    world.pass(1)
    expect((await world.sweep()).forgotten).toBe(1)
    expect(world.viewFlow(acme, flow.id)).rejects.toThrow("No flow with this id")
  })
})
