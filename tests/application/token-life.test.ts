import { describe, expect, test } from "bun:test"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { ConnectError } from "../../src/domain/errors.ts"
import { ProviderFailure, type RefreshedTokens } from "../../src/ports/providers.ts"
import {
  acme,
  type ConnectWorld,
  connectWorld,
  query,
  refreshedTokens,
  refusal,
  upstreamAccount,
} from "../support/connect-world.ts"

const hour = 3_600_000
const day = 24 * hour

function failure(
  reason: ProviderFailure["reason"],
  extra: { fate?: ProviderFailure["fate"]; retryAfterSeconds?: number } = {},
) {
  const { evidence } = refusal(reason)
  return new ProviderFailure({ reason, evidence, ...extra })
}

async function rejection(promise: Promise<unknown>): Promise<ConnectError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ConnectError)) throw new Error(`expected a refusal, got ${String(error)}`)
  return error
}

/** An X account whose token lives two hours. */
async function connected(options: Parameters<typeof connectWorld>[0] = {}, lifeMs = 2 * hour) {
  const world = connectWorld(options)
  const app = await world.addApp()
  world.provider.answer = async () => [
    upstreamAccount({
      tokens: { ...upstreamAccount().tokens, expiresAt: new Date(world.now().getTime() + lifeMs) },
    }),
  ]
  world.provider.refresh = async () => renewed(world)
  const { flow, state } = await world.begin({ reference: "user-1" })
  await world.complete("x", query({ state, code: "c" }))
  const id = (await world.viewFlow(acme, flow.id)).flow.accountIds[0] ?? ""
  return { world, id, app }
}

function renewed(world: ConnectWorld, change: Partial<RefreshedTokens> = {}): RefreshedTokens {
  return refreshedTokens({ expiresAt: new Date(world.now().getTime() + 2 * hour), ...change })
}

const account = (world: ConnectWorld, id: string) => world.storage.accounts.find(acme, id)
const eventsOf = async (world: ConnectWorld) =>
  (await world.storage.events.list(acme, {}, { limit: 100 })).items
const eventTypes = async (world: ConnectWorld) => (await eventsOf(world)).map((event) => event.type)

describe("reading a token", () => {
  test("gives the stored one while it is fresh, and asks nobody", async () => {
    const { world, id } = await connected()
    expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-access-token-of-ann")
    expect(world.refreshes).toEqual([])
  })

  test("refreshes one that is about to end, with the app's credentials, and stores the new pair before it is seen", async () => {
    const { world, id } = await connected()
    world.pass(2 * hour)
    const token = await world.tokens.read(acme, id)
    expect(token.accessToken).toBe("fake-renewed-access-token")
    expect(world.refreshes[0]).toMatchObject({
      refreshToken: "fake-refresh-token-of-ann",
      credentials: { clientId: "fake-client-id", clientSecret: "fake-client-secret" },
    })
    world.pass(2 * hour)
    await world.tokens.read(acme, id)
    expect(world.refreshes[1]?.refreshToken).toBe("fake-renewed-refresh-token")
  })

  test("of fifty readers at once one refreshes, and all get the winner's token", async () => {
    const { world, id } = await connected()
    world.waiting.passesTime = false
    world.pass(2 * hour)
    const tokens = await Promise.all(Array.from({ length: 50 }, () => world.tokens.read(acme, id)))
    expect(new Set(tokens.map((token) => token.accessToken))).toEqual(new Set(["fake-renewed-access-token"]))
    expect(world.refreshes).toHaveLength(1)
  })

  test("an empty refresh token in an answer never replaces a good one", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => renewed(world, { refreshToken: null })
    for (let i = 0; i < 3; i++) {
      world.pass(2 * hour)
      await world.tokens.read(acme, id)
    }
    expect(world.refreshes.map((request) => request.refreshToken)).toEqual(
      Array(3).fill("fake-refresh-token-of-ann"),
    )
  })

  test("keeps serving a token that is still valid while the provider fails, and backs off", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure("provider_unavailable")
    }
    world.pass(2 * hour - 60_000)
    for (let i = 0; i < 5; i++)
      expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-access-token-of-ann")
    expect(world.refreshes).toHaveLength(1)
    expect((await account(world, id))?.health).toBe("active")
  })

  test.each([
    "provider_unavailable",
    "rate_limited",
    "provider_timeout",
    "invalid_response",
    "provider_error",
  ] as const)("%s without a valid token is 502 with Retry-After, and ends no account", async (reason) => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure(reason, { retryAfterSeconds: 120 })
    }
    world.pass(2 * hour)
    const error = await rejection(world.tokens.read(acme, id))
    expect(error.code).toBe("provider_unavailable")
    expect(error.retryAfterSeconds).toBeGreaterThanOrEqual(119)
    expect((await account(world, id))?.health).toBe("active")
    // Nobody asks the provider again before the time it named.
    await rejection(world.tokens.read(acme, id))
    expect(world.refreshes).toHaveLength(1)
    world.provider.refresh = async () => renewed(world)
    world.pass(121_000)
    expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-renewed-access-token")
  })

  test("the provider's own no ends the account once, with an event, and nobody asks again", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure("reauth_required")
    }
    world.pass(2 * hour)
    for (let i = 0; i < 3; i++) {
      const error = await rejection(world.tokens.read(acme, id))
      expect(error.code).toBe("reauthorization_required")
      expect(error.message).toContain(`account_id=${id}`)
    }
    expect(world.refreshes).toHaveLength(1)
    expect(
      (await eventTypes(world)).filter((type) => type === "account.reauthorization_required"),
    ).toHaveLength(1)
  })

  test("wrong app credentials leave the account's health alone and say what is wrong", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure("invalid_client")
    }
    world.pass(2 * hour)
    expect((await rejection(world.tokens.read(acme, id))).code).toBe("invalid_client")
    expect(await account(world, id)).toMatchObject({
      health: "active",
      healthDetail: expect.stringContaining("Client Secret"),
    })
  })

  test("a new client secret is tried at once, whatever the back-off", async () => {
    const { world, id, app } = await connected()
    world.provider.refresh = async () => {
      throw failure("invalid_client")
    }
    for (let i = 0; i < 8; i++) {
      world.pass(7 * hour)
      await rejection(world.tokens.read(acme, id))
    }
    world.pass(1)
    await world.apps.change(acme, app.id, { clientSecret: "fake-right-secret" })
    world.provider.refresh = async () => renewed(world)
    expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-renewed-access-token")
  })

  test("a store that cannot claim withholds no token that is still good", async () => {
    const storage = memoryStorage()
    const full = {
      ...storage,
      tokens: { ...storage.tokens, claim: async () => Promise.reject(new Error("the disk is full")) },
    }
    const { world, id } = await connected({ storage: full })
    world.pass(2 * hour - 60_000)
    expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-access-token-of-ann")
    expect(world.faults).not.toEqual([])
  })

  test("a lost answer of a rotating refresh is said to be one, tried once more, and then settled", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure("provider_timeout", { fate: "unknown" })
    }
    world.pass(2 * hour)
    expect((await rejection(world.tokens.read(acme, id))).code).toBe("refresh_unknown")
    expect((await account(world, id))?.health).toBe("refresh_unknown")
    world.provider.refresh = async () => {
      throw failure("reauth_required")
    }
    world.pass(60_000)
    expect((await rejection(world.tokens.read(acme, id))).code).toBe("reauthorization_required")
  })

  test("a doubt that a dead process left stays until the provider accepts or refuses", async () => {
    const { world, id } = await connected()
    const held = await world.storage.tokens.read(acme, id)
    await world.storage.tokens.claim(
      { accountId: id, fence: held?.refresh.fence ?? 0 },
      { now: world.now(), until: new Date(world.now().getTime() + 15_000), risky: true },
    )
    world.pass(2 * hour)
    world.provider.refresh = async () => {
      throw failure("provider_unavailable")
    }
    expect((await rejection(world.tokens.read(acme, id))).code).toBe("refresh_unknown")
    expect((await account(world, id))?.health).toBe("refresh_unknown")
  })

  test("a lost answer that was none after all is forgotten by the next good one", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure("provider_timeout", { fate: "unknown" })
    }
    world.pass(2 * hour)
    await rejection(world.tokens.read(acme, id))
    world.provider.refresh = async () => renewed(world)
    world.pass(60_000)
    expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-renewed-access-token")
    expect(await account(world, id)).toMatchObject({ health: "active", healthDetail: null })
  })

  test("a refresh that never left, or was answered, puts nothing in doubt", async () => {
    for (const fate of ["unsent", "refused"] as const) {
      const { world, id } = await connected()
      world.provider.refresh = async () => {
        throw failure("provider_timeout", { fate })
      }
      world.pass(2 * hour)
      expect((await rejection(world.tokens.read(acme, id))).code).toBe("provider_unavailable")
      expect((await account(world, id))?.health).toBe("active")
    }
  })

  test("a reconnect wins over a refresh in flight, and a removal too", async () => {
    const { world, id } = await connected()
    const { promise, resolve } = Promise.withResolvers<RefreshedTokens>()
    world.provider.refresh = () => promise
    world.waiting.passesTime = false
    world.pass(2 * hour)
    const reading = world.tokens.read(acme, id)
    await Bun.sleep(1)
    const again = await world.begin({ accountId: id })
    world.provider.answer = async () => [
      upstreamAccount({
        tokens: {
          ...upstreamAccount().tokens,
          accessToken: "fake-token-of-the-reconnect",
          expiresAt: new Date(world.now().getTime() + 2 * hour),
        },
      }),
    ]
    await world.complete("x", query({ state: again.state, code: "c" }))
    resolve(renewed(world, { accessToken: "fake-token-of-the-loser" }))
    expect((await reading).accessToken).toBe("fake-token-of-the-reconnect")
    expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-token-of-the-reconnect")
  })

  test("a store that fails after the provider answered is tried until it keeps the new token", async () => {
    const storage = memoryStorage()
    let failures = 3
    const flaky = {
      ...storage,
      tokens: {
        ...storage.tokens,
        renew: async (...args: Parameters<typeof storage.tokens.renew>) => {
          if (failures-- > 0) throw new Error("connection reset")
          return storage.tokens.renew(...args)
        },
      },
    }
    const { world, id } = await connected({ storage: flaky })
    world.pass(2 * hour)
    expect((await world.tokens.read(acme, id)).accessToken).toBe("fake-renewed-access-token")
    expect(world.refreshes).toHaveLength(1)
    expect(world.faults).toHaveLength(3)
  })

  test("another tenant's account is as absent as none", async () => {
    const { world, id } = await connected()
    for (const principal of [
      { ...acme, tenant: "other" },
      { ...acme, environment: "test" as const },
    ]) {
      expect((await rejection(world.tokens.read(principal, id))).message).toBe(
        (await rejection(world.tokens.read(principal, `${id.slice(0, -1)}0`))).message,
      )
    }
  })
})

describe("a forced refresh", () => {
  test("renews a fresh token and says until when it is good", async () => {
    const { world, id } = await connected()
    world.pass(1000)
    expect((await world.tokens.refresh(acme, id)).tokenExpiresAt).toEqual(
      new Date(world.now().getTime() + 2 * hour),
    )
    expect(world.refreshes).toHaveLength(1)
  })

  test("does not wait for the back-off of earlier failures", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure("provider_unavailable")
    }
    expect((await rejection(world.tokens.refresh(acme, id))).code).toBe("provider_unavailable")
    world.provider.refresh = async () => renewed(world)
    world.pass(1)
    expect((await world.tokens.refresh(acme, id)).health).toBe("active")
  })

  test("that fails does not call a living token ended", async () => {
    const { world, id } = await connected()
    world.provider.refresh = async () => {
      throw failure("provider_unavailable")
    }
    const { code, message } = await rejection(world.tokens.refresh(acme, id))
    expect(code).toBe("provider_unavailable")
    expect(message).toContain("can still be used")
  })

  test("is refused where nothing can renew the token, with the reason", async () => {
    const { world } = await connected()
    await world.addApp({ provider: "linkedin", name: "L" })
    world.provider.answer = async () => [
      upstreamAccount({
        tokens: {
          ...upstreamAccount().tokens,
          refreshToken: null,
          expiresAt: new Date(world.now().getTime() + 60 * day),
        },
      }),
    ]
    const { flow, state } = await world.begin({ provider: "linkedin" })
    await world.complete("linkedin", query({ state, code: "c" }))
    const id = (await world.viewFlow(acme, flow.id)).flow.accountIds[0] ?? ""
    const error = await rejection(world.tokens.refresh(acme, id))
    expect(error.code).toBe("not_renewable")
    expect(error.message).toContain("LinkedIn")
    world.pass(61 * day)
    expect((await rejection(world.tokens.refresh(acme, id))).code).toBe("reauthorization_required")
  })
})

describe("in the background", () => {
  test("X is renewed before its refresh token may end, although nobody reads it", async () => {
    const { world, id } = await connected()
    world.pass(120 * day)
    await world.keepAlive.renewDue("x")
    expect(world.refreshes).toHaveLength(0)
    world.pass(35 * day)
    expect(await world.keepAlive.renewDue("x")).toBe(1)
    expect(world.refreshes).toHaveLength(1)
    expect((await account(world, id))?.health).toBe("active")
    expect(await world.keepAlive.renewDue("x")).toBe(0)
  })

  test("a provider that hangs holds up none of the others", async () => {
    const { world } = await connected()
    await world.addApp({ provider: "tiktok", name: "T" })
    const { state } = await world.begin({ provider: "tiktok" })
    await world.complete("tiktok", query({ state, code: "c" }))
    const { promise: never } = Promise.withResolvers<RefreshedTokens>()
    world.provider.refresh = async (request) => (request.provider === "x" ? never : renewed(world))
    world.pass(179 * day)
    void world.keepAlive.renewDue("x")
    expect(await world.keepAlive.renewDue("tiktok")).toBe(1)
    expect(world.refreshes.map((request) => request.provider).sort()).toEqual(["tiktok", "x"])
  })

  test("an app whose credentials are refused is left alone for a while", async () => {
    const { world } = await connected()
    for (let i = 0; i < 30; i++) {
      world.provider.answer = async () => [upstreamAccount({ platformAccountId: `many-${i}` })]
      const { state } = await world.begin()
      await world.complete("x", query({ state, code: "c" }))
    }
    world.provider.refresh = async () => {
      throw failure("invalid_client")
    }
    world.pass(179 * day)
    for (let i = 0; i < 10; i++) await world.keepAlive.renewDue("x")
    expect(world.refreshes.length).toBeLessThanOrEqual(5)
  })

  test("a refresher that died is told of, and its account tried once more", async () => {
    const { world, id } = await connected()
    const held = await world.storage.tokens.read(acme, id)
    const until = new Date(world.now().getTime() + 15_000)
    await world.storage.tokens.claim(
      { accountId: id, fence: held?.refresh.fence ?? 0 },
      { now: world.now(), until, risky: true },
    )
    expect(await world.keepAlive.tellTime()).toBe(0)
    world.pass(15_000)
    expect(await world.keepAlive.tellTime()).toBe(1)
    expect((await account(world, id))?.health).toBe("refresh_unknown")
    expect(await world.keepAlive.tellTime()).toBe(0)
    expect(await world.keepAlive.renewDue("x")).toBe(1)
    expect((await account(world, id))?.health).toBe("active")
  })
})

describe("what only the person can renew", () => {
  const linkedin = async (world: ConnectWorld, end: Date): Promise<string> => {
    await world.addApp({ provider: "linkedin", name: "L" })
    world.provider.answer = async () => [
      upstreamAccount({
        tokens: { ...upstreamAccount().tokens, expiresAt: end, refreshTokenExpiresAt: end },
      }),
    ]
    const { flow, state } = await world.begin({ provider: "linkedin" })
    await world.complete("linkedin", query({ state, code: "c" }))
    return (await world.viewFlow(acme, flow.id)).flow.accountIds[0] ?? ""
  }

  test("is announced once, with its time, and stays announced over renewals that do not move it", async () => {
    const { world } = await connected()
    const end = new Date(world.now().getTime() + 20 * day)
    const id = await linkedin(world, end)
    expect((await account(world, id))?.health).toBe("active")
    world.pass(14 * day)
    world.provider.refresh = async () => refreshedTokens({ expiresAt: end, refreshTokenExpiresAt: end })
    for (let i = 0; i < 3; i++) {
      await world.keepAlive.tellTime()
      await world.tokens.refresh(acme, id)
    }
    const told = await account(world, id)
    expect(told?.health).toBe("expiring")
    expect(told?.healthDetail).toContain(end.toISOString())
    expect((await eventTypes(world)).filter((type) => type === "account.expiring")).toHaveLength(1)
  })

  test("is announced where a connect brings it near its end, but not where a token we hold renews it", async () => {
    const { world, id } = await connected()
    const inTwoHours = () => new Date(world.now().getTime() + 2 * hour)
    const withoutRefreshToken = (platformAccountId: string) => async () => [
      upstreamAccount({
        platformAccountId,
        tokens: { ...upstreamAccount().tokens, refreshToken: null, expiresAt: inTwoHours() },
      }),
    ]
    // X answers a reconnect without a refresh token; the one we hold goes on renewing.
    const again = await world.begin({ accountId: id })
    world.provider.answer = withoutRefreshToken("2244994945")
    await world.complete("x", query({ state: again.state, code: "c" }))
    await world.keepAlive.tellTime()
    expect((await account(world, id))?.health).toBe("active")

    world.provider.answer = withoutRefreshToken("7")
    const { flow, state } = await world.begin()
    await world.complete("x", query({ state, code: "c" }))
    const short = (await world.viewFlow(acme, flow.id)).flow.accountIds[0] ?? ""
    await world.keepAlive.tellTime()
    expect((await account(world, short))?.health).toBe("expiring")
  })
})

describe("disconnecting", () => {
  test("revokes both of X's tokens, forgets the account, and says what X did", async () => {
    const { world, id, app } = await connected()
    await world.disconnect(acme, id)
    expect(world.revocations[0]).toMatchObject({
      accessToken: "fake-access-token-of-ann",
      refreshToken: "fake-refresh-token-of-ann",
    })
    expect(await account(world, id)).toBeUndefined()
    const last = (await eventsOf(world)).at(-1)
    expect(last).toMatchObject({
      type: "account.disconnected",
      accountId: id,
      reference: "user-1",
      actor: "user:ann",
      detail: "X revoked the access.",
    })
    // Nothing uses the app any more, so it can go.
    await world.apps.remove(acme, app.id)
  })

  test("forgets the tokens whatever the provider says", async () => {
    const { world, id } = await connected()
    world.provider.revoke = async () => {
      throw failure("provider_unavailable")
    }
    await world.disconnect(acme, id)
    expect(await account(world, id)).toBeUndefined()
    expect((await eventsOf(world)).at(-1)?.detail).toContain("did not confirm")
  })

  test("of several Pages of one person only the last ends the grant", async () => {
    const world = connectWorld()
    await world.addApp({ provider: "facebook", name: "F" })
    const page = (platformAccountId: string) =>
      upstreamAccount({
        platformAccountId,
        metadata: { person_id: "7", page_id: platformAccountId },
        tokens: { ...upstreamAccount().tokens, refreshToken: null, personToken: "fake-person-token" },
      })
    world.provider.answer = async () => [page("1"), page("2")]
    const { flow, state } = await world.begin({ provider: "facebook" })
    await world.complete("facebook", query({ state, code: "c" }))
    const [first = "", second = ""] = (await world.viewFlow(acme, flow.id)).flow.accountIds
    await world.disconnect(acme, first)
    expect(world.revocations).toHaveLength(0)
    await world.disconnect(acme, second)
    expect(world.revocations[0]?.personToken).toBe("fake-person-token")
  })

  test("a Page that was updated by hand is removed without ending the grant of the others", async () => {
    const world = connectWorld()
    await world.addApp({ provider: "facebook", name: "F" })
    world.provider.answer = async () =>
      ["1", "2"].map((platformAccountId) =>
        upstreamAccount({
          platformAccountId,
          metadata: { person_id: "7" },
          tokens: { ...upstreamAccount().tokens, refreshToken: null, personToken: "fake-person-token" },
        }),
      )
    const { state } = await world.begin({ provider: "facebook" })
    await world.complete("facebook", query({ state, code: "c" }))
    const { account: byHand } = await world.register(acme, {
      provider: "facebook",
      platformAccountId: "1",
      accessToken: "fake-typed-token",
    })
    await world.disconnect(acme, byHand.id)
    expect(world.revocations.map((asked) => asked.personToken)).toEqual([null])
  })

  test("a later consent without a Page says so on that Page, once", async () => {
    const world = connectWorld()
    await world.addApp({ provider: "facebook", name: "F" })
    const page = (platformAccountId: string) =>
      upstreamAccount({
        platformAccountId,
        metadata: { person_id: "7" },
        tokens: { ...upstreamAccount().tokens, refreshToken: null, personToken: "fake-person-token" },
      })
    const consent = async (...pages: string[]) => {
      world.provider.answer = async () => pages.map(page)
      const { flow, state } = await world.begin({ provider: "facebook" })
      await world.complete("facebook", query({ state, code: "c" }))
      return (await world.viewFlow(acme, flow.id)).flow.accountIds
    }
    const [kept = "", dropped = ""] = await consent("1", "2")
    await consent("1")
    await consent("1")
    expect((await account(world, kept))?.healthDetail).toBeNull()
    expect((await account(world, dropped))?.healthDetail).toContain("newest consent")
    const told = (await eventsOf(world)).filter((event) => event.type === "account.updated")
    expect(told.map((event) => event.accountId)).toEqual([dropped])
    await consent("1", "2")
    expect((await account(world, dropped))?.healthDetail).toBeNull()
  })
})

describe("registering by hand", () => {
  const request = {
    provider: "x",
    platformAccountId: "42",
    accessToken: "fake-typed-token",
    refreshToken: "fake-typed-refresh",
  } as const

  test("keeps the account when the provider says the token is its own, and updates it in place the second time", async () => {
    const world = connectWorld()
    const app = await world.addApp()
    world.provider.identify = async () => ({
      platformAccountId: "42",
      handle: "ann",
      displayName: "Ann",
      avatarUrl: null,
      metadata: {},
    })
    const first = await world.register(acme, { ...request, reference: "r" })
    expect(first).toMatchObject({
      created: true,
      account: { handle: "ann", connectionType: "manual", oauthAppId: app.id, reference: "r" },
    })
    const second = await world.register(acme, { ...request, handle: "renamed" })
    expect(second).toMatchObject({
      created: false,
      account: { id: first.account.id, handle: "renamed", reference: "r" },
    })
    world.provider.refresh = async () => renewed(world)
    expect((await world.tokens.read(acme, first.account.id)).accessToken).toBe("fake-renewed-access-token")
  })

  test.each([
    [
      "another account's token",
      async () => ({
        platformAccountId: "43",
        handle: null,
        displayName: null,
        avatarUrl: null,
        metadata: {},
      }),
      "credentials_refused",
    ],
    [
      "a dead token",
      async () => {
        throw failure("reauth_required")
      },
      "credentials_refused",
    ],
    [
      "a provider that is down",
      async () => {
        throw failure("provider_unavailable")
      },
      "provider_unavailable",
    ],
  ] as const)("refuses %s at once and stores nothing", async (_, identify, code) => {
    const world = connectWorld()
    world.provider.identify = identify
    expect((await rejection(world.register(acme, request))).code).toBe(code)
    expect((await world.storage.accounts.list(acme, {}, { limit: 1 })).total).toBe(0)
  })

  test("names every fault of the input at once", async () => {
    const world = connectWorld()
    const error = await rejection(
      world.register(acme, {
        ...request,
        platformAccountId: " ",
        handle: "a\u0007",
        expiresAt: new Date(0),
        pageId: "9",
      }),
    )
    expect(error.faults.map((fault) => fault.field)).toEqual([
      "platform_account_id",
      "handle",
      "credentials.expires_at",
      "credentials.page_id",
    ])
  })
})
