import { isIP } from "node:net"
import ipaddr from "ipaddr.js"

/** Public by its number, but a platform's own: Azure answers its machines' metadata there. */
const platformAddresses: readonly string[] = ["168.63.129.16"]

/** What carries an IPv4 address at its end and reaches that: mapped ones, and NAT64's (RFC 6052 section 2.1). */
const carriers = [ipaddr.parseCIDR("::ffff:0:0/96"), ipaddr.parseCIDR("64:ff9b::/96")]

/** What is given out for the public internet (RFC 4291); a deprecated `::a.b.c.d` lies outside. */
const globalUnicast = ipaddr.parseCIDR("2000::/3")

/**
 * Whether an IP address is one of the public internet: no loopback, private, link-local, shared, multicast,
 * reserved, documentation or tunnel address, in whatever family it is written. False for what is no address.
 */
export function isPublicAddress(text: string): boolean {
  // Shorter spellings of IPv4 are no address here, and `::1.2.3.4`, which the library takes for a mapped one, is none.
  if (isIP(text) === 0 || /^::\d+\./.test(text)) return false
  const address = unwrapped(ipaddr.parse(text))
  if (address.range() !== "unicast") return false
  return address.kind() === "ipv6"
    ? address.match(globalUnicast)
    : !platformAddresses.includes(address.toString())
}

type Address = ReturnType<typeof ipaddr.parse>

function unwrapped(address: Address): Address {
  const carries = address.kind() === "ipv6" && carriers.some((range) => address.match(range))
  return carries ? ipaddr.fromByteArray(address.toByteArray().slice(-4)) : address
}
