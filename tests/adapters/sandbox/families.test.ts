import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  accessTokenIn,
  ask,
  type Body,
  connected,
  exchanged,
  type OpenSandbox,
  openSandbox,
  profileCall,
  refreshCall,
} from "./harness.ts"

const rotating = ["x", "tiktok"] as const
type Rotating = (typeof rotating)[number]

const dead = {
  x: {
    status: 400,
    body: { error: "invalid_request", error_description: "Value passed for the token was invalid." },
  },
  tiktok: {
    status: 200,
    body: {
      error: "invalid_grant",
      error_description: "Refresh token is invalid or expired.",
      log_id: expect.any(String),
    },
  },
}

async function renewed(box: OpenSandbox, provider: Rotating, token: unknown): Promise<Body> {
  const { status, body } = await ask(box, refreshCall(provider, token))
  expect([status, body.access_token]).toEqual([200, expect.stringContaining("sandbox_access")])
  return body
}

async function refused(box: OpenSandbox, provider: Rotating, token: unknown): Promise<void> {
  expect(await ask(box, refreshCall(provider, token))).toEqual(dead[provider])
}

async function profileStatus(box: OpenSandbox, provider: Rotating, { access_token }: Body): Promise<number> {
  return (await ask(box, profileCall(provider, String(access_token)))).status
}

describe.each(rotating)("a refresh token of %s", (provider) => {
  test("brings a new pair, again and again", async () => {
    const box = openSandbox()
    const first = await exchanged(box, provider)
    const seen = new Set<unknown>([first.refresh_token])
    let newest = first
    for (let turn = 0; turn < 20; turn++) {
      newest = await renewed(box, provider, newest.refresh_token)
      seen.add(newest.refresh_token)
      expect(newest).toEqual({
        ...first,
        access_token: newest.access_token,
        refresh_token: newest.refresh_token,
      })
    }
    expect(seen.size).toBe(21)
    expect(await profileStatus(box, provider, newest)).toBe(200)
  })

  test("used again ends the newest refresh token and every access token of the consent", async () => {
    const box = openSandbox()
    const first = await exchanged(box, provider)
    const second = await renewed(box, provider, first.refresh_token)
    expect(await profileStatus(box, provider, first)).toBe(200)
    await refused(box, provider, first.refresh_token)
    await refused(box, provider, second.refresh_token)
    for (const pair of [first, second]) expect(await profileStatus(box, provider, pair)).toBe(401)
  })

  test("however old, ends the family when it is used again", async () => {
    const box = openSandbox()
    const first = await exchanged(box, provider)
    let newest = first
    for (let turn = 0; turn < 5; turn++) newest = await renewed(box, provider, newest.refresh_token)
    await refused(box, provider, first.refresh_token)
    await refused(box, provider, newest.refresh_token)
  })

  test("used again leaves other consents alone, of the same person too", async () => {
    const box = openSandbox()
    const [one, other] = [await exchanged(box, provider), await exchanged(box, provider)]
    await renewed(box, provider, one.refresh_token)
    await refused(box, provider, one.refresh_token)
    await renewed(box, provider, other.refresh_token)
    expect(await profileStatus(box, provider, other)).toBe(200)
  })

  test("shown by another client is refused, and no family ends of it", async () => {
    const box = openSandbox()
    const first = await exchanged(box, provider)
    const second = await renewed(box, provider, first.refresh_token)
    const stranger = { ...refreshCall(provider, first.refresh_token, { client_key: "another-client" }) }
    const call = provider === "x" ? { ...stranger, basic: "another-client:made-up" } : stranger
    expect(await ask(box, call)).toEqual(dead[provider])
    await renewed(box, provider, second.refresh_token)
  })

  test("of twenty uses at once one is good, and that one's pair is dead too", async () => {
    const box = openSandbox()
    const { refresh_token } = await exchanged(box, provider)
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => ask(box, refreshCall(provider, refresh_token))),
    )
    const good = answers.filter(({ body }) => "access_token" in body)
    expect(good).toHaveLength(1)
    expect(await profileStatus(box, provider, good[0]?.body ?? {})).toBe(401)
  })
})

describe.each(rotating)("over two instances, tokens of %s", (provider) => {
  test("are renewed at either", async () => {
    const [one, other] = [openSandbox("one"), openSandbox("other")]
    const first = await exchanged(one, provider)
    const second = await renewed(other, provider, first.refresh_token)
    const third = await renewed(one, provider, second.refresh_token)
    expect(await profileStatus(other, provider, third)).toBe(200)
  })

  test("betray a replaced refresh token where a younger access token was shown", async () => {
    const [one, other] = [openSandbox("one"), openSandbox("other")]
    const first = await exchanged(one, provider)
    const second = await renewed(one, provider, first.refresh_token)
    expect(await profileStatus(other, provider, second)).toBe(200)
    await refused(other, provider, first.refresh_token)
    expect(await profileStatus(other, provider, second)).toBe(401)
  })

  test("betray a replaced refresh token where a younger refresh token was shown", async () => {
    const [one, other] = [openSandbox("one"), openSandbox("other")]
    const first = await exchanged(one, provider)
    const second = await renewed(one, provider, first.refresh_token)
    const third = await renewed(other, provider, second.refresh_token)
    await refused(other, provider, first.refresh_token)
    await refused(other, provider, third.refresh_token)
  })

  test("that came of one refresh token used at both end when both are shown to either", async () => {
    const [one, other] = [openSandbox("one"), openSandbox("other")]
    const first = await exchanged(one, provider)
    const here = await renewed(one, provider, first.refresh_token)
    const there = await renewed(other, provider, first.refresh_token)
    await refused(one, provider, there.refresh_token)
    await refused(one, provider, here.refresh_token)
    expect(await profileStatus(other, provider, here)).toBe(401)
    expect(await profileStatus(other, provider, there)).toBe(401)
  })
})

test.each(rotating)(
  "%s: in whatever order tokens are shown, a family lives as long as none is reused",
  async (provider) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 25 }), async (choices) => {
        const box = openSandbox()
        const pairs = [await exchanged(box, provider)]
        let alive = true
        for (const choice of choices) {
          // Every third choice reads a profile, which changes nothing.
          const pair = pairs[choice % pairs.length] ?? {}
          if (choice % 3 === 0) {
            expect(await profileStatus(box, provider, pair)).toBe(alive ? 200 : 401)
            continue
          }
          alive &&= pair === pairs.at(-1)
          const { body } = await ask(box, refreshCall(provider, pair.refresh_token))
          expect("access_token" in body).toBe(alive)
          if (alive) pairs.push(body)
        }
      }),
      { numRuns: 150 },
    )
  },
)

test("LinkedIn's refresh token may be used as often as one likes", async () => {
  const box = openSandbox()
  const { refresh_token } = await exchanged(box, "linkedin", { scenario: "partner_refresh" })
  for (let turn = 0; turn < 5; turn++) {
    const { body } = await ask(box, refreshCall("linkedin", refresh_token))
    expect(body.refresh_token).toBe(refresh_token)
    expect((await ask(box, profileCall("linkedin", String(body.access_token)))).status).toBe(200)
  }
})

test("Instagram's renewed token is another text, and the old one goes on until its end", async () => {
  const box = openSandbox()
  const old = await connected(box, "instagram")
  box.pass(86_400)
  const fresh = accessTokenIn((await ask(box, refreshCall("instagram", old))).body)
  expect(fresh).not.toBe(old)
  for (const token of [old, fresh]) expect((await ask(box, profileCall("instagram", token))).status).toBe(200)
  box.pass(59 * 86_400)
  expect((await ask(box, profileCall("instagram", old))).body.error).toMatchObject({ code: 190 })
  expect((await ask(box, profileCall("instagram", fresh))).status).toBe(200)
})
