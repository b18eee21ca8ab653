import { describe, expect, test } from "bun:test"
import { createHmac, generateKeyPairSync } from "node:crypto"
import { SignJWT } from "jose"
import { dashboardToken, expectProblem, httpWorld, jwtSecret, plainTokens } from "../support/http-world.ts"

const seconds = () => Math.floor(Date.now() / 1000)
const world = httpWorld()

const list = (as: string, of = world) => of.call("GET", "/v1/accounts", { as })
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token put together by hand, so that no library keeps us from writing nonsense. */
function handmade(header: object, claims: unknown, secret: string | Buffer = jwtSecret): string {
  const text = `${base64url(header)}.${typeof claims === "string" ? Buffer.from(claims).toString("base64url") : base64url(claims)}`
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`
}

const claims = () => ({ sub: "acme", iat: seconds(), exp: seconds() + 3600 })

async function expectRefused(token: string, of = world): Promise<void> {
  await expectProblem(await list(token, of), 401, "unauthenticated", {
    words: /made for another issuer, audience or secret/,
  })
}

describe("a dashboard token", () => {
  test("speaks for the tenant of its sub claim", async () => {
    const of = httpWorld()
    await of.storeApp(await dashboardToken({ sub: "acme" }))
    const names = async (sub: string) =>
      (await (
        await of.call("GET", "/v1/oauth-apps", { as: await dashboardToken({ sub }) })
      ).json()) as unknown[]
    expect(await names("acme")).toHaveLength(1)
    for (const sub of ["globex", "Acme", "acme ", " acme", "acme%"]) expect(await names(sub)).toEqual([])
  })

  test("is logged as the user it names", async () => {
    const of = httpWorld()
    await list(await dashboardToken({ sub: "ann" }), of)
    expect(of.entries).toEqual([
      expect.objectContaining({ tenant: "ann", actor: "user:ann", environment: "live" }),
    ])
  })

  test.each([undefined, "JWT", "jwt", "at+jwt", "application/at+jwt", "application/jwt"])(
    "may have the typ %s",
    async (typ) => {
      expect(
        (await list(await dashboardToken({}, { header: typ === undefined ? {} : { typ } }))).status,
      ).toBe(200)
    },
  )

  test.each([
    ["ended 59 s ago, since clocks differ", { exp: seconds() - 55 }],
    ["begins within a minute", { nbf: seconds() + 55 }],
    ["was issued a little ahead of our clock", { iat: seconds() + 55 }],
    ["has no iat", { iat: undefined }],
    ["ends in 29 days", { exp: seconds() + 29 * 86_400 }],
    ["has claims we do not know", { aud: "any", iss: "any", role: ["admin"], jti: "1" }],
  ])("counts where it %s", async (_, change) => {
    expect((await list(await dashboardToken(change))).status).toBe(200)
  })

  test.each([
    ["it has ended", { exp: seconds() - 61 }],
    ["it has no exp", { exp: undefined }],
    ["its exp is a text", { exp: String(seconds() + 3600) }],
    ["its exp is null", { exp: null }],
    ["its exp is a list", { exp: [seconds() + 3600] }],
    ["its exp is zero", { exp: 0 }],
    ["its exp is negative", { exp: -1 }],
    ["it ends in 31 days, too far to be forgotten", { exp: seconds() + 31 * 86_400 }],
    ["it ends in the year 33658", { exp: 1e12 }],
    ["it begins later", { nbf: seconds() + 120 }],
    ["its nbf is a text", { nbf: "0" }],
    ["it was issued in the future", { iat: seconds() + 120 }],
    ["it was issued 31 days ago", { iat: seconds() - 31 * 86_400 }],
    ["its iat is a text", { iat: String(seconds()) }],
    ["it has no sub", { sub: undefined }],
    ["its sub is empty", { sub: "" }],
    ["its sub is blank", { sub: "  " }],
    ["its sub is a number", { sub: 7 }],
    ["its sub is true", { sub: true }],
    ["its sub is null", { sub: null }],
    ["its sub is a list", { sub: ["acme"] }],
    ["its sub is an object", { sub: { toString: "acme" } }],
    ["its sub is endless", { sub: "a".repeat(201) }],
    ["its sub has a NUL", { sub: "acme\0" }],
    ["its sub has a line break", { sub: "acme\nglobex" }],
    ["its sub has half a character", { sub: "acme\ud800" }],
  ])("is refused where %s", async (_, change) => {
    await expectRefused(handmade({ alg: "HS256" }, { ...claims(), ...change }))
  })

  test("is refused under any other secret, also a part of ours", async () => {
    for (const secret of [
      "another-secret-of-32-bytes-or-more!",
      jwtSecret.slice(0, -1),
      `${jwtSecret}\n`,
      "x",
    ]) {
      await expectRefused(handmade({ alg: "HS256" }, claims(), secret))
    }
  })

  test("is refused with its signature altered, cut or empty", async () => {
    const [header, body, signature = ""] = (await dashboardToken()).split(".")
    const other = signature.startsWith("A") ? `B${signature.slice(1)}` : `A${signature.slice(1)}`
    for (const text of [other, "", signature.slice(0, -4), `${signature}AAAA`, "AAAA"])
      await expectRefused(`${header}.${body}.${text}`)
    await expectRefused(`${header}.${base64url({ ...claims(), sub: "globex" })}.${signature}`)
  })

  const algorithms: readonly unknown[] = [
    "none",
    "None",
    "nOnE",
    "NONE",
    "",
    "HS384",
    "HS512",
    "hs256",
    "RS256",
    "ES256",
    "EdDSA",
    "PS256",
    null,
    256,
    ["HS256"],
    undefined,
  ]
  test.each(algorithms.map((alg) => ({ alg })))(
    "is refused with another algorithm, signed or not: %o",
    async ({ alg }) => {
      const [header, body, signature] = handmade({ alg, typ: "JWT" }, claims()).split(".")
      await expectRefused(`${header}.${body}.${signature}`)
      await expectRefused(`${header}.${body}.`)
    },
  )

  test.each(["sha384", "sha512"])(
    "is refused where our secret signed it with another hash: %s",
    async (hash) => {
      const alg = hash.replace("sha", "HS")
      const [header, body] = handmade({ alg }, claims()).split(".")
      const mac = createHmac(hash, jwtSecret).update(`${header}.${body}`).digest("base64url")
      await expectRefused(`${header}.${body}.${mac}`)
    },
  )

  test.each([
    ["crit that names an unknown header", { crit: ["fake"], fake: true }],
    ["crit that is empty", { crit: [] }],
    ["crit b64", { crit: ["b64"], b64: false }],
    ["typ of a logout token", { typ: "logout+jwt" }],
    ["typ that is a number", { typ: 5 }],
    ["typ that is a list", { typ: ["JWT"] }],
    ["typ that is null", { typ: null }],
    ["typ with something behind it", { typ: "JWT\n" }],
  ])("is refused with %s", async (_, header) => {
    await expectRefused(handmade({ alg: "HS256", ...header }, claims()))
  })

  test("is not moved by a kid, jku, jwk, x5u or x5c: the secret alone decides", async () => {
    const headers = [
      { kid: "../../../../dev/null" },
      { kid: "' or 1=1 --" },
      { kid: "x".repeat(500) },
      { jku: "http://127.0.0.1:1/keys" },
      { x5u: "http://127.0.0.1:1/cert" },
      { x5c: ["MIIB"] },
      { jwk: { kty: "oct", k: Buffer.from("attacker-attacker-attacker-attack").toString("base64url") } },
    ]
    for (const header of headers) {
      expect((await list(handmade({ alg: "HS256", ...header }, claims()))).status).toBe(200)
      await expectRefused(
        handmade({ alg: "HS256", ...header }, claims(), "attacker-attacker-attacker-attack"),
      )
      await expectRefused(handmade({ alg: "HS256", ...header }, claims(), ""))
    }
  })

  test("is refused where it is no token at all", async () => {
    const token = await dashboardToken()
    const [header = "", body = "", signature = ""] = token.split(".")
    const nonsense = [
      "x",
      "a.b",
      "a.b.c",
      "..",
      ".",
      `${header}.${body}`,
      `${token}.x`,
      `${token}.x.y`,
      `.${body}.${signature}`,
      `${header}..${signature}`,
      handmade({ alg: "HS256" }, "[]"),
      handmade({ alg: "HS256" }, "null"),
      handmade({ alg: "HS256" }, '"acme"'),
      handmade({ alg: "HS256" }, "{"),
      Buffer.from(token).toString("base64url"),
    ]
    for (const text of nonsense) await expectRefused(text)
  })

  test("counts its last sub where there are two, as every JSON reader here does", async () => {
    const of = httpWorld()
    const text = JSON.stringify(claims()).replace("{", '{"sub":"globex",')
    await list(handmade({ alg: "HS256" }, text), of)
    expect(of.entries[0]?.tenant).toBe("acme")
  })

  test("of ten megabytes is refused before it is read", async () => {
    const token = handmade({ alg: "HS256" }, { ...claims(), padding: "p".repeat(10_000_000) })
    const started = performance.now()
    await expectRefused(token)
    expect(performance.now() - started).toBeLessThan(500)
    await expectRefused(handmade({ alg: "HS256" }, { ...claims(), padding: "p".repeat(8192) }))
  })
})

describe("an issuer and an audience that are configured", () => {
  const strict = httpWorld({
    dashboardTokens: { ...plainTokens, issuer: "https://dash.acme.example", audience: "mooring" },
  })
  const right = { iss: "https://dash.acme.example", aud: "mooring" }

  test("must be the token's own, and a list of audiences must have ours", async () => {
    for (const aud of ["mooring", ["mooring"], ["other", "mooring"]]) {
      expect((await list(await dashboardToken({ ...right, aud }), strict)).status).toBe(200)
    }
  })

  test.each([
    ["no iss", { iss: undefined }],
    ["another iss", { iss: "https://evil.example" }],
    ["an iss with a slash more", { iss: "https://dash.acme.example/" }],
    ["an iss in capitals", { iss: "HTTPS://DASH.ACME.EXAMPLE" }],
    ["a list of iss", { iss: ["https://dash.acme.example"] }],
    ["no aud", { aud: undefined }],
    ["another aud", { aud: "other" }],
    ["an empty list of aud", { aud: [] }],
    ["a list without ours", { aud: ["other", "mooring2"] }],
    ["an aud that holds ours", { aud: "mooring other" }],
    ["an aud that is an object", { aud: { mooring: true } }],
    ["an empty aud", { aud: "" }],
  ])("refuse %s", async (_, change) => {
    await expectRefused(handmade({ alg: "HS256" }, { ...claims(), ...right, ...change }), strict)
  })
})

describe("a tenant claim other than sub", () => {
  const of = httpWorld({ dashboardTokens: { ...plainTokens, tenantClaim: "https://acme.example/org" } })
  const org = "https://acme.example/org"

  test("names the tenant, and sub names the user within it", async () => {
    await list(await dashboardToken({ sub: "ann", [org]: "acme" }), of)
    expect(of.entries.at(-1)).toMatchObject({ tenant: "acme", actor: "user:ann" })
    await expectRefused(await dashboardToken({ sub: undefined, [org]: "acme" }), of)
  })

  test.each([
    ["is absent", {}],
    ["is empty", { [org]: "" }],
    ["is a number", { [org]: 1 }],
    ["is a list", { [org]: ["acme"] }],
    ["is an object", { [org]: { id: "acme" } }],
    ["is fine but the sub is a list", { [org]: "acme", sub: ["ann"] }],
    ["is fine but the sub is empty", { [org]: "acme", sub: "" }],
  ])("refuses a token where it %s", async (_, change) => {
    await expectRefused(handmade({ alg: "HS256" }, { ...claims(), ...change }), of)
  })

  test.each(["constructor", "__proto__", "toString"])(
    "is read from the token's own claims: %s",
    async (tenantClaim) => {
      await expectRefused(
        await dashboardToken(),
        httpWorld({ dashboardTokens: { ...plainTokens, tenantClaim } }),
      )
    },
  )
})

test("a token for a public key is refused where a secret is configured, and the other way round", async () => {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
  const signed = await new SignJWT({ sub: "acme" })
    .setProtectedHeader({ alg: "RS256" })
    .setExpirationTime("1h")
    .sign(pair.privateKey)
  await expectRefused(signed)
  const pem = pair.publicKey.export({ type: "spki", format: "pem" }).toString()
  await expectRefused(handmade({ alg: "HS256" }, claims(), pem))
  await expectRefused(handmade({ alg: "RS256" }, claims(), pem))
})
