import { describe, expect, spyOn, test } from "bun:test"
import { createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto"
import fc from "fast-check"
import { keyMint } from "../../src/adapters/crypto/key-mint.ts"
import { deriveKey, type Keyring, type MasterKey } from "../../src/adapters/crypto/keyring.ts"
import { randomPool } from "../../src/adapters/crypto/random-pool.ts"
import { aesSecretBox } from "../../src/adapters/crypto/secret-box.ts"
import { hmacSigner, sameText } from "../../src/adapters/crypto/signer.ts"
import { newId } from "../../src/domain/id.ts"
import { SealBroken, type SealedPlace } from "../../src/ports/crypto.ts"
import { secretBoxContract } from "../contract/secret-box.ts"

const random = (count: number) => new Uint8Array(randomBytes(count))
const aKey = (id: string): MasterKey => ({ id, bytes: random(32) })
const place: SealedPlace = { tenant: "acme", table: "oauth_apps", row: "oa_1", column: "client_secret" }

secretBoxContract("AES-256-GCM", () => aesSecretBox([aKey("k1")], randomPool()))

describe("the keys of a box", () => {
  const [old, young] = [aKey("k1"), aKey("k2")]

  test("are rotated: the first seals, all open, and one that is taken out no longer does", async () => {
    const before = await aesSecretBox([old], randomPool()).seal("fake-secret", place)
    const rotated = aesSecretBox([young, old], randomPool())
    const after = await rotated.seal("fake-secret", place)
    expect([before.split(".")[1], after.split(".")[1]]).toEqual(["k1", "k2"])
    expect([await rotated.open(before, place), await rotated.open(after, place)]).toEqual([
      "fake-secret",
      "fake-secret",
    ])
    expect(await aesSecretBox([young], randomPool()).open(after, place)).toBe("fake-secret")
    await expect(aesSecretBox([young], randomPool()).open(before, place)).rejects.toThrow(
      new SealBroken("no configured key has the id k1; add it to ENCRYPTION_KEYS"),
    )
  })

  test("are told apart by more than their ids", async () => {
    const sealed = await aesSecretBox([old], randomPool()).seal("fake-secret", place)
    const impostor = { id: old.id, bytes: young.bytes }
    await expect(aesSecretBox([impostor], randomPool()).open(sealed, place)).rejects.toThrow(SealBroken)
    const renamed: Keyring = [young, { id: "k3", bytes: old.bytes }]
    const relabelled = sealed.replace("v1.k1.", "v1.k3.") as typeof sealed
    await expect(aesSecretBox(renamed, randomPool()).open(relabelled, place)).rejects.toThrow(SealBroken)
  })

  test("are never used as they are, but in a form of each tenant's own", async () => {
    const [, , text = ""] = (await aesSecretBox([old], randomPool()).seal("fake-secret", place)).split(".")
    const bytes = Buffer.from(text, "base64url")
    const opened = (key: Uint8Array) => {
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12))
      return decipher.update(bytes.subarray(12, -16), undefined, "utf8")
    }
    expect(opened(deriveKey(old, ["seal", "acme"]))).toBe("fake-secret")
    for (const key of [
      old.bytes,
      deriveKey(old, ["seal", "globex"]),
      deriveKey(old, ["sign", "acme"]),
      deriveKey(old, []),
    ]) {
      expect(opened(key)).not.toBe("fake-secret")
    }
  })

  test("of more tenants than it remembers still open what they sealed", async () => {
    const box = aesSecretBox([old], randomPool())
    const sealed = await box.seal("fake-secret", place)
    for (let i = 0; i < 10_500; i++) await box.seal("", { ...place, tenant: `t${i}` })
    expect(await box.open(sealed, place)).toBe("fake-secret")
  })
})

test("a long place is told from one that differs at its end alone", async () => {
  const box = aesSecretBox([{ id: "k1", bytes: new Uint8Array(32) }], randomPool())
  for (const letter of ["a", "\u20ac", "\u{1F600}"])
    for (const length of [300, 1300, 1360, 2000, 5000]) {
      const place = {
        tenant: "t",
        table: "accounts",
        row: letter.repeat(length),
        column: "access_token",
      } as const
      const sealed = await box.seal("made-up", place)
      expect(await box.open(sealed, place)).toBe("made-up")
      await expect(box.open(sealed, { ...place, row: `${place.row}b` })).rejects.toThrow(SealBroken)
      await expect(box.open(sealed, { ...place, column: "refresh_token" })).rejects.toThrow(SealBroken)
    }
})

test("no nonce comes twice in a hundred thousand seals", async () => {
  const box = aesSecretBox([aKey("k1")], randomPool())
  const nonces = new Set<string>()
  for (let i = 0; i < 100_000; i++) nonces.add((await box.seal("x", place)).split(".")[2]?.slice(0, 16) ?? "")
  expect(nonces.size).toBe(100_000)
})

describe("texts are the same", () => {
  const text = fc.string({ unit: "binary", maxLength: 70 }).map((given) => given.toWellFormed())

  test("only where each character is", () => {
    fc.assert(fc.property(text, text, (a, b) => sameText(a, b) === (a === b)))
    fc.assert(fc.property(text, (a) => sameText(a, a)))
  })

  test("whatever was compared before", () => {
    fc.assert(
      fc.property(
        text,
        fc.nat(69),
        fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
        (a, i, letter) => {
          const b = (a.slice(0, i) + letter + a.slice(i + 1)).toWellFormed()
          sameText("x".repeat(64), "\u{1F600}".repeat(32))
          return sameText(a, b) === (a === b) && sameText(b, a) === (a === b)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test.each([
    ["", "\0"],
    ["a", "a\0"],
    ["\u00e9", "e\u0301"],
    ["a".repeat(64), `${"a".repeat(63)}b`],
    [`${"\u20ac".repeat(60)}a`, `${"\u20ac".repeat(60)}b`],
    ["a".repeat(65), `${"a".repeat(64)}b`],
    ["\u{1F600}".repeat(40), "ab".repeat(40)],
  ])("and not %p and %p", (a, b) => {
    expect([sameText(a, b), sameText(b, a), sameText(a, a), sameText(b, b)]).toEqual([
      false,
      false,
      true,
      true,
    ])
  })
})

describe("the signer", () => {
  const [old, young] = [aKey("k1"), aKey("k2")]
  const signer = hmacSigner([old])
  const purposes = ["state", "cursor", "sandbox"] as const

  test("makes MACs of 43 characters, the same for the same message", () => {
    expect(signer.sign("state", "message")).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(signer.sign("state", "message")).toBe(hmacSigner([old]).sign("state", "message"))
    expect(signer.verify("state", "message", signer.sign("state", "message"))).toBe(true)
    expect(signer.verify("state", "", signer.sign("state", ""))).toBe(true)
  })

  test("keeps its purposes apart", () => {
    for (const made of purposes) {
      for (const asked of purposes) {
        expect([made, asked, signer.verify(asked, "message", signer.sign(made, "message"))]).toEqual([
          made,
          asked,
          made === asked,
        ])
      }
    }
  })

  test("keeps keys apart, and messages too", () => {
    const mac = signer.sign("state", "message")
    expect(hmacSigner([young]).verify("state", "message", mac)).toBe(false)
    for (const other of ["", "messag", "message ", "Message", "message\0"])
      expect(signer.verify("state", other, mac)).toBe(false)
  })

  test("signs with the first key and knows those before it, until they are taken out", () => {
    const mac = signer.sign("state", "message")
    const rotated = hmacSigner([young, old])
    expect(rotated.verify("state", "message", mac)).toBe(true)
    expect(rotated.sign("state", "message")).toBe(hmacSigner([young]).sign("state", "message"))
    expect(signer.verify("state", "message", rotated.sign("state", "message"))).toBe(false)
  })

  test("knows no other spelling of a MAC, not even one of the same bytes", () => {
    const mac = signer.sign("state", "message")
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for (let i = 0; i < mac.length; i++) {
      for (const letter of alphabet) {
        if (letter !== mac[i])
          expect(signer.verify("state", "message", mac.slice(0, i) + letter + mac.slice(i + 1))).toBe(false)
      }
    }
    for (const other of [
      "",
      mac.slice(0, -1),
      `${mac}A`,
      `${mac}=`,
      ` ${mac}`,
      `${mac.replaceAll("-", "+").replaceAll("_", "/")}=`,
    ]) {
      expect(signer.verify("state", "message", other)).toBe(false)
    }
    expect(signer.verify("state", "message", "😀".repeat(20))).toBe(false)
  })

  test("never signs with the configured key itself", () => {
    const mac = signer.sign("state", "message")
    expect(mac).not.toBe(createHmac("sha256", old.bytes).update("message").digest("base64url"))
    expect(mac).toBe(
      createHmac("sha256", deriveKey(old, ["sign", "state"]))
        .update("message")
        .digest("base64url"),
    )
  })
})

describe("the key mint", () => {
  test("every key that is minted reads back, whatever its checksum", () => {
    const mint = keyMint(randomPool())
    for (let i = 0; i < 500; i++) {
      const id = newId("key", new Date(), randomPool()(16))
      expect(mint.read(mint.mint("live", id).text)).toEqual({ id, environment: "live" })
    }
  })

  const mint = keyMint(random)
  const id = newId("key", new Date("2026-11-22T10:00:00Z"), random(16))

  test("writes keys of the documented form, of 160 random bits, that it reads again", () => {
    for (const environment of ["live", "test"] as const) {
      const { text } = mint.mint(environment, id)
      expect(text).toMatch(new RegExp(`^moor_${environment}_${id.slice(4)}_[0-9a-f]{40}_[0-9a-f]{8}$`))
      expect(mint.read(text)).toEqual({ id, environment })
    }
    expect(new Set(Array.from({ length: 1000 }, () => mint.mint("live", id).text)).size).toBe(1000)
  })

  test("puts every random bit into the key", () => {
    const bytes = Uint8Array.from({ length: 20 }, (_, i) => i * 13)
    expect(keyMint(() => bytes).mint("live", id).text).toContain(`_${bytes.toHex()}_`)
  })

  test("drops every key with one character changed, left out, doubled or swapped with its neighbour", () => {
    const { text } = mint.mint("live", id)
    for (let i = 0; i < text.length; i++) {
      for (const letter of "0123456789abcdefghijklmnopqrstuvwxyzABF_-. ") {
        if (letter !== text[i])
          expect(mint.read(text.slice(0, i) + letter + text.slice(i + 1))).toBeUndefined()
      }
      expect(mint.read(text.slice(0, i) + text.slice(i + 1))).toBeUndefined()
      expect(mint.read(text.slice(0, i) + text[i] + text.slice(i))).toBeUndefined()
      const swapped = text.slice(0, i) + (text[i + 1] ?? "") + text[i] + text.slice(i + 2)
      if (swapped !== text) expect(mint.read(swapped)).toBeUndefined()
    }
  })

  test("reads nothing that is no key", () => {
    const { text } = mint.mint("live", id)
    for (const other of [
      "",
      "moor_live_",
      `${text}\n`,
      ` ${text}`,
      text.toUpperCase(),
      `${text}_${text}`,
      id,
      "x".repeat(100_000),
    ]) {
      expect(mint.read(other)).toBeUndefined()
    }
  })

  test("keeps a digest, from which the key cannot be told, and which fits this key alone", () => {
    const { text, digest } = mint.mint("live", id)
    expect(digest).toBe(createHash("sha256").update(text).digest("base64url"))
    expect(mint.fits(text, { digest })).toBe(true)
    for (const other of [mint.mint("live", id).text, `${text} `, text.slice(0, -1), ""])
      expect(mint.fits(other, { digest })).toBe(false)
    for (const wrong of ["", digest.slice(0, -1), `${digest}=`, digest.toLowerCase()])
      expect(mint.fits(text, { digest: wrong })).toBe(false)
  })
})

describe("a pool of random bytes", () => {
  test("gives as many as are asked for, over its end and beyond its size", () => {
    const random = randomPool()
    for (const count of [0, 1, 16, 4000, 97, 4096, 5000]) {
      const bytes = random(count)
      expect(bytes.length).toBe(count)
      if (count > 8) expect(bytes.every((byte) => byte === 0)).toBe(false)
    }
  })

  test("gives none twice, and what was given is the taker's own", () => {
    const random = randomPool()
    const first = random(16)
    const copy = first.slice()
    const seen = new Set(Array.from({ length: 20_000 }, () => random(16).toHex()))
    expect(seen.size).toBe(20_000)
    expect(seen.has(copy.toHex())).toBe(false)
    expect(first).toEqual(copy)
  })

  test("hands out none of two, and keeps none", () => {
    let pool = new Uint8Array()
    const drawn = spyOn(crypto, "getRandomValues").mockImplementation(<Bytes>(array: Bytes): Bytes => {
      pool = array as typeof pool
      for (let i = 0; i < pool.length; i += 2) pool.set([(i >> 9) + 1, (i >> 1) & 255], i)
      return array
    })
    try {
      const random = randomPool()
      const taken = Array.from({ length: 128 }, () => random(32).toHex()).join("")
      expect(new Set(taken.match(/.{4}/g)).size).toBe(2048)
      expect(pool.every((byte) => byte === 0)).toBe(true)
    } finally {
      drawn.mockRestore()
    }
  })
})
