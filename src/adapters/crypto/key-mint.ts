import { isId } from "../../domain/id.ts"
import type { KeyMint, RandomBytes } from "../../ports/crypto.ts"
import { sameText } from "./signer.ts"

const secretBytes = 20
const form = /^(moor_(live|test)_([0-9a-z]{36})_[0-9a-f]{40})_([0-9a-f]{8})$/

/**
 * `moor_<environment>_<id>_<secret>_<checksum>`: a prefix that secret scanners know, a public id to look it up
 * by, 160 random bits, and a CRC-32 that drops typos without a query (the form GitHub uses since 2021).
 */
export function keyMint(randomBytes: RandomBytes): KeyMint {
  return {
    mint(environment, id) {
      const secret = Buffer.from(randomBytes(secretBytes)).toString("hex")
      const body = `moor_${environment}_${id.slice("key_".length)}_${secret}`
      const text = `${body}_${Bun.hash.crc32(body).toString(16).padStart(8, "0")}`
      return { text, digest: digest(text) }
    },

    read(text) {
      const [, body, environment, rest, sum = ""] = form.exec(text) ?? []
      if (!body || Bun.hash.crc32(body) !== Number.parseInt(sum, 16)) return undefined
      const id = `key_${rest}`
      return isId("key", id) ? { id, environment: environment === "live" ? "live" : "test" } : undefined
    },

    fits: (text, key) => sameText(digest(text), key.digest),
  }
}

function digest(text: string): string {
  return Bun.CryptoHasher.hash("sha256", text, "base64url")
}
