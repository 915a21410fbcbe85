/** Which addresses and ports the laboratory hands out. A seed chooses others, so that nothing works by a lucky number. */

/** An inner network: the router has the first address, hosts follow. */
export interface Lan {
  prefix: string
  bits: number
}

/** What an inner network is for: `carrier` and `office` are outer ones of two routers in a row. */
export type LanUse = 'home' | 'carrier' | 'office'

/** Addresses and ports of one laboratory. */
export interface Ranges {
  /** The IPv4 address of the n-th machine on the internet. */
  publicIPv4: (n: number) => string
  /** The IPv6 /48 of the n-th machine on the internet, without the trailing `::`. */
  publicIPv6Prefix: (n: number) => string
  /** The n-th inner network. */
  lan: (n: number, use: LanUse) => Lan
  /** The number of the first host of an inner network. */
  firstHost: number
  /** The port on which the n-th host's node listens. */
  listenPort: (n: number) => number
}

/** A laboratory hands out no more public addresses than fit its ranges: 14 networks of 220 rows. */
export const MAX_PUBLIC = 3080

/** Warren's default port. */
const DEFAULT_PORT = 4001
/** Seeded ports: registered ones below every system's ephemeral range, which `shift` translates too. */
const PORTS = { first: 1100, last: 30_000 }
/** Spread over several /8s, all outside what js-libp2p treats as private. */
const FIRST_OCTETS = [51, 62, 73, 84, 91, 109, 128, 145, 151, 163, 176, 185, 193, 212]
const IPV6_PREFIXES = ['2a01', '2a02', '2a03', '2a0a', '2a0d']
/** First octets of which some part is not the internet's: RFC 6890 and js-libp2p's list. */
const NOT_PUBLIC = new Set([10, 100, 127, 169, 172, 192, 198, 203])
const LAST_UNICAST = 223

/** The usual ranges for 0, and for every other seed different ones, always the same for the same seed. */
export function rangesOf(seed: number): Ranges {
  return seed === 0 ? usualRanges() : seededRanges(seed)
}

function usualRanges(): Ranges {
  return {
    publicIPv4: (n) => spread(FIRST_OCTETS, 20, n),
    publicIPv6Prefix: (n) => prefix48(IPV6_PREFIXES, n),
    lan: (n, use) => {
      if (use === 'carrier') return carrierLan(n)
      return use === 'office' ? lan(`10.${n % 256}.0`) : lan(`192.168.${1 + (n % 254)}`)
    },
    firstHost: 2,
    listenPort: () => DEFAULT_PORT,
  }
}

function seededRanges(seed: number): Ranges {
  const random = generator(seed)
  const octets = Array.from({ length: LAST_UNICAST }, (_, i) => i + 1).filter(
    (octet) => !NOT_PUBLIC.has(octet),
  )
  const chosen = FIRST_OCTETS.map(() => octets.splice(below(random, octets.length), 1)[0] ?? 51)
  const row = below(random, 36)
  const homes = homeRanges(random)
  const home = homes.splice(below(random, homes.length), 1)[0] ?? homes[0]
  const office = homes[0]
  // Every second seed gives all homes the same network, as routers leave the factory: then A and B have one address.
  const alike = seed % 2 === 1
  const ipv6 = IPV6_PREFIXES.map(() => (0x2400 + below(random, 0x700)).toString(16))
  const firstHost = 2 + below(random, 200)
  const ports = below(random, PORTS.last - PORTS.first)
  return {
    publicIPv4: (n) => spread(chosen, row, n),
    publicIPv6Prefix: (n) => prefix48(ipv6, n),
    lan: (n, use) => {
      if (use === 'carrier') return carrierLan(n)
      const prefixes = use === 'office' ? office : home
      return lan(prefixes?.(alike && use === 'home' ? 0 : n) ?? '')
    },
    firstHost,
    // A prime step: no two of the first hosts of a laboratory listen on the same port.
    listenPort: (n) => PORTS.first + ((ports + n * 1009) % (PORTS.last - PORTS.first)),
  }
}

/** One way of numbering inner networks for each private range of RFC 1918. */
function homeRanges(random: () => number): ((n: number) => string)[] {
  const [second, third] = [below(random, 256), below(random, 256)]
  return [
    (n) => `10.${(second + n) % 256}.${third}`,
    (n) => `172.${16 + (second % 16)}.${(third + n) % 256}`,
    (n) => `192.168.${(third + n) % 256}`,
  ]
}

const lan = (prefix: string): Lan => ({ prefix, bits: 24 })
const carrierLan = (n: number): Lan => lan(`100.${64 + (n % 64)}.0`)

function spread(octets: readonly number[], firstRow: number, n: number): string {
  const row = Math.floor(n / octets.length)
  return `${octets[n % octets.length]}.${firstRow + row}.${(n * 37) % 251}.${10 + (n % 200)}`
}

const prefix48 = (prefixes: readonly string[], n: number): string =>
  `${prefixes[n % prefixes.length]}:${(0x100 + n).toString(16)}:1`

/** The address with this number inside an inner network. */
export const lanAddress = (lan: Lan, number: number): string => `${lan.prefix}.${number}`

const below = (random: () => number, limit: number): number => Math.floor(random() * limit)

/** Numbers from 0 to 1 that depend on the seed only (mulberry32, public domain). */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
