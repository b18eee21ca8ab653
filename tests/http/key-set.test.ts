import { afterAll, afterEach, describe, expect, setSystemTime, test } from "bun:test"
import { createHmac } from "node:crypto"
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from "jose"
import { expectProblem, type HttpWorld, httpWorld } from "../support/http-world.ts"

interface Pair {
  readonly algorithm: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly jwk: JWK
}

async function pair(algorithm: string, kid?: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
  return { algorithm, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), ...(kid && { kid }) } }
}

const [es, rs, ed] = await Promise.all([pair("ES256", "es"), pair("RS256", "rs"), pair("EdDSA", "ed")])

/** The issuer's key set on 127.0.0.1: what it answers, and how often it was asked. */
const source = { answer: (): Response | Promise<Response> => Response.json({ keys: [] }), asked: 0 }
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: () => {
    source.asked++
    return source.answer()
  },
})
afterAll(() => server.stop(true))
afterEach(() => void setSystemTime())

const rules = { issuer: "https://dash.acme.example", audience: "mooring", tenantClaim: "sub" } as const
const url = `http://127.0.0.1:${server.port}/keys`

function worldTrusting(...keys: readonly JWK[]): HttpWorld {
  serveKeys(...keys)
  return httpWorld({ dashboardTokens: { key: { kind: "jwks", url }, ...rules } })
}

function serveKeys(...keys: readonly JWK[]): void {
  source.asked = 0
  source.answer = () => Response.json({ keys })
}

function token(pair: Pair, header: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return new SignJWT({ sub: "acme" })
    .setProtectedHeader({ alg: pair.algorithm, ...(pair.jwk.kid && { kid: pair.jwk.kid }), ...header })
    .setIssuer(rules.issuer)
    .setAudience(rules.audience)
    .setIssuedAt()
    .setExpirationTime("12h")
    .sign(pair.privateKey)
}

const status = async (world: HttpWorld, as: string) =>
  (await world.call("GET", "/v1/accounts", { as })).status
const inMinutes = (minutes: number) => setSystemTime(new Date(Date.now() + minutes * 60_000))

describe("a dashboard that signs with a key pair", () => {
  test.each([es, rs, ed])("is trusted by its key set, fetched once: $algorithm", async (signer) => {
    const world = worldTrusting(es.jwk, rs.jwk, ed.jwk)
    const signed = await token(signer)
    expect([await status(world, signed), await status(world, signed)]).toEqual([200, 200])
    expect(source.asked).toBe(1)
  })

  test("is not believed with a key outside the set, though the kid is the same", async () => {
    const world = worldTrusting(es.jwk)
    const forger = await pair("ES256", "es")
    await expectProblem(
      await world.call("GET", "/v1/accounts", { as: await token(forger) }),
      401,
      "unauthenticated",
    )
  })

  test("is not believed with a key that the token brings along", async () => {
    const world = worldTrusting(es.jwk)
    const forger = await pair("ES256", "forged")
    for (const header of [
      { jwk: forger.jwk },
      { jku: url },
      { x5u: url },
      { x5c: ["MIIB"] },
      { kid: "es", jwk: forger.jwk },
    ]) {
      expect(await status(world, await token(forger, header))).toBe(401)
    }
  })

  test("is not believed with the public key used as a shared secret", async () => {
    const world = worldTrusting(rs.jwk)
    const secrets = [await exportSPKI(rs.publicKey), JSON.stringify(rs.jwk), rs.jwk.n ?? ""]
    const now = Math.floor(Date.now() / 1000)
    const text = [
      { alg: "HS256", kid: "rs" },
      { sub: "acme", iss: rules.issuer, aud: rules.audience, iat: now, exp: now + 600 },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".")
    for (const secret of secrets) {
      const mac = createHmac("sha256", secret).update(text).digest("base64url")
      expect(await status(world, `${text}.${mac}`)).toBe(401)
    }
  })

  test("is not believed with a shared secret that stands in its key set", async () => {
    const k = Buffer.from("fake-shared-secret-of-32-bytes!!").toString("base64url")
    const world = worldTrusting({ kty: "oct", k, kid: "oct", alg: "HS256" })
    const signed = await new SignJWT({ sub: "acme" })
      .setProtectedHeader({ alg: "HS256", kid: "oct" })
      .setIssuer(rules.issuer)
      .setAudience(rules.audience)
      .setExpirationTime("1h")
      .sign(Buffer.from(k, "base64url"))
    expect(await status(world, signed)).toBe(401)
  })

  test("is not believed with an algorithm that is not ours, though the key fits", async () => {
    for (const algorithm of ["PS256", "ES384"]) {
      const other = await pair(algorithm, "other")
      expect(await status(worldTrusting(other.jwk, rs.jwk), await token(other))).toBe(401)
    }
  })

  test("is not believed with a key that is for encryption", async () => {
    expect(await status(worldTrusting({ ...rs.jwk, use: "enc" }), await token(rs))).toBe(401)
  })
})

describe("when the dashboard changes its keys", () => {
  test("an unknown kid has the set fetched again, at most once a minute", async () => {
    const fresh = await pair("ES256", "fresh")
    const world = worldTrusting(es.jwk)
    const [old, young] = [await token(es), await token(fresh)]
    expect(await status(world, old)).toBe(200)
    serveKeys(es.jwk, fresh.jwk)
    for (let i = 0; i < 20; i++) expect(await status(world, young)).toBe(401)
    expect(source.asked).toBe(0)
    inMinutes(1.01)
    expect(await status(world, young)).toBe(200)
    expect(await status(world, old)).toBe(200)
    expect(source.asked).toBe(1)
  })

  test("a key that is taken out of the set ends within ten minutes", async () => {
    const world = worldTrusting(es.jwk, rs.jwk)
    expect(await status(world, await token(es))).toBe(200)
    serveKeys(rs.jwk)
    inMinutes(10.1)
    expect(await status(world, await token(es))).toBe(401)
    expect(await status(world, await token(rs))).toBe(200)
  })
})

describe("while the key set cannot be had", () => {
  const outages: readonly (readonly [string, () => Response])[] = [
    ["it fails with a key set in its hand", () => Response.json({ keys: [es.jwk] }, { status: 500 })],
    ["it fails", () => new Response("down", { status: 503 })],
    ["it is an error page with status 200", () => new Response("<html>sorry</html>")],
    ["it is JSON but no key set", () => Response.json({ error: "down" })],
    ["it is too large", () => Response.json({ keys: [], padding: "p".repeat(70_000) })],
    ["it redirects", () => new Response(null, { status: 302, headers: { location: url } })],
  ]

  test.each(outages)("the last good one serves for an hour: %s", async (_, answer) => {
    const world = worldTrusting(es.jwk)
    const signed = await token(es)
    expect(await status(world, signed)).toBe(200)
    source.answer = answer
    for (const minutes of [11, 11, 11, 11, 11]) {
      inMinutes(minutes)
      expect(await status(world, signed)).toBe(200)
    }
    inMinutes(20)
    expect(await status(world, signed)).toBe(401)
    serveKeys(es.jwk)
    expect(await status(world, signed)).toBe(200)
  })

  test.each(outages)("nobody is let in where there never was a good one: %s", async (_, answer) => {
    const world = worldTrusting()
    source.answer = answer
    expect(await status(world, await token(es))).toBe(401)
    expect(world.faultsSeen).toEqual([])
  })

  test("API keys still work", async () => {
    const world = worldTrusting()
    source.answer = () => new Response(null, { status: 500 })
    expect(await status(world, await world.key())).toBe(200)
    expect(source.asked).toBe(0)
  })
})

test("a key set is read no further than 64 KiB, and one just below is taken", async () => {
  const world = worldTrusting()
  let sent = 0
  source.answer = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          sent += 16_384
          if (sent > 50_000_000) controller.close()
          else controller.enqueue(new Uint8Array(16_384).fill(32))
          await Bun.sleep(0)
        },
      }),
    )
  expect(await status(world, await token(es))).toBe(401)
  expect(sent).toBeLessThan(5_000_000)
  const another = worldTrusting()
  source.answer = () => new Response(JSON.stringify({ keys: [es.jwk] }).padEnd(64 * 1024))
  expect(await status(another, await token(es))).toBe(200)
})

test("while there is no good key set, bad tokens do not make it be asked for again and again", async () => {
  const world = worldTrusting()
  source.answer = () => new Response("down", { status: 500 })
  for (let i = 0; i < 20; i++) await status(world, await token(es))
  expect(source.asked).toBe(1)
})

test("a redirect is never followed, not even to a good key set", async () => {
  const world = worldTrusting()
  let followed = 0
  source.answer = () => {
    if (source.asked === 1) return new Response(null, { status: 307, headers: { location: `${url}?there` } })
    followed++
    return Response.json({ keys: [es.jwk] })
  }
  expect(await status(world, await token(es))).toBe(401)
  expect(followed).toBe(0)
})
