import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { isPublicAddress } from "../../../src/adapters/webhooks/public-address.ts"

describe("a public address", () => {
  test.each([
    "8.8.8.8",
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "169.253.255.255",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
  ])("is %s", (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
})

describe("no public address", () => {
  test.each([
    ["this network", ["0.0.0.0", "0.1.2.3", "::", "0:0:0:0:0:0:0:0"]],
    ["loopback", ["127.0.0.1", "127.0.0.0", "127.255.255.255", "::1"]],
    [
      "private",
      ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
    ],
    ["unique local", ["fc00::1", "fd00::1", "fdff:ffff::1"]],
    ["link-local", ["169.254.0.1", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf::1"]],
    ["site-local of old", ["fec0::1"]],
    ["carrier-grade NAT", ["100.64.0.0", "100.127.255.255"]],
    [
      "metadata of a cloud",
      [
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
      ],
    ],
    ["multicast and broadcast", ["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1"]],
    [
      "reserved",
      [
        "192.0.0.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "240.0.0.1",
        "100::1",
        "5f00::1",
        "4000::1",
      ],
    ],
    ["documentation", ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"]],
    [
      "IPv4 within IPv6, however it is written",
      [
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0:0:0:0:0:ffff:a00:1",
        "::ffff:169.254.169.254",
        "::ffff:168.63.129.16",
        "::127.0.0.1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:0:127.0.0.1",
        "::ffff:0:8.8.8.8",
      ],
    ],
    [
      "tunnels and translation",
      [
        "64:ff9b::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::",
        "2001:0:1::1",
        "2002:808:808::1",
      ],
    ],
    ["no address", ["", "localhost", "8.8.8", "8.8.8.8.8", "0x7f000001x", "[::1]", "::1/128", "8.8.8.8 "]],
  ])("%s", (_, addresses) => {
    expect(addresses.filter(isPublicAddress)).toEqual([])
  })

  test("is made public by no way of writing IPv4 into IPv6", () => {
    const octet = fc.integer({ min: 0, max: 255 })
    fc.assert(
      fc.property(fc.tuple(octet, octet, octet, octet), (octets) => {
        const dotted = octets.join(".")
        expect(isPublicAddress(`::ffff:${dotted}`)).toBe(isPublicAddress(dotted))
        expect(isPublicAddress(`64:ff9b::${dotted}`)).toBe(isPublicAddress(dotted))
        expect(isPublicAddress(`::${dotted}`)).toBe(false)
      }),
    )
  })
})
