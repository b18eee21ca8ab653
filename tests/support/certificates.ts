import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"

export interface Identity {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface Authority {
  /** PEM. */
  readonly ca: string
  identity(host: string, validUntil?: Date): Identity
}

const tags = {
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  text: 0x0c,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  dnsName: 0x82,
  version: 0xa0,
  extensions: 0xa3,
} as const

/** One element of DER: tag, length, content (X.690 section 8.1). */
function der(tag: keyof typeof tags, ...parts: readonly (Buffer | string)[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)))
  const { length } = content
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tags[tag], ...(length < 128 ? [length] : long)]), content])
}

const hex = (text: string) => Buffer.from(text, "hex")
const ecdsaWithSha256 = der("sequence", der("oid", hex("2a8648ce3d040302")))
const nameOf = (text: string) =>
  der("sequence", der("set", der("sequence", der("oid", hex("550403")), der("text", text))))
const timeOf = (time: Date) => der("time", time.toISOString().replace(/[-:T]|\.\d+/g, ""))
const isAuthority = der("sequence", der("oid", hex("551d13")), der("octets", der("sequence", hex("0101ff"))))
const isHost = (host: string) =>
  der("sequence", der("oid", hex("551d11")), der("octets", der("sequence", der("dnsName", host))))

/** An X.509 certificate (RFC 5280 section 4.1), signed by the issuer's key. */
function certificate(of: {
  readonly subject: string
  readonly publicKey: KeyObject
  readonly issuer: string
  readonly issuerKey: KeyObject
  readonly extension: Buffer
  readonly until: Date
}): string {
  const signed = der(
    "sequence",
    der("version", der("integer", hex("02"))),
    der("integer", Buffer.concat([hex("01"), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(of.issuer),
    der("sequence", timeOf(new Date("2020-01-01")), timeOf(of.until)),
    nameOf(of.subject),
    of.publicKey.export({ type: "spki", format: "der" }),
    der("extensions", der("sequence", of.extension)),
  )
  const signature = Buffer.concat([hex("00"), sign("sha256", signed, of.issuerKey)])
  const whole = der("sequence", signed, ecdsaWithSha256, der("bits", signature))
  return `-----BEGIN CERTIFICATE-----\n${whole.toString("base64")}\n-----END CERTIFICATE-----\n`
}

const newKeys = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" })

/** A certification authority made for one test, so that no key lies about and none runs out. */
export function makeAuthority(): Authority {
  const own = newKeys()
  const issuer = `Made-up authority ${randomBytes(4).toString("hex")}`
  const farAhead = new Date("2120-01-01")
  return {
    ca: certificate({
      subject: issuer,
      publicKey: own.publicKey,
      issuer,
      issuerKey: own.privateKey,
      extension: isAuthority,
      until: farAhead,
    }),
    identity(host, until = farAhead) {
      const { publicKey, privateKey } = newKeys()
      const extension = isHost(host)
      const cert = certificate({
        subject: host,
        publicKey,
        issuer,
        issuerKey: own.privateKey,
        extension,
        until,
      })
      return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }).toString() }
    },
  }
}
