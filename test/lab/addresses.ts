/** Which addresses the laboratory hands out. */

/** Spread over several /8s, all outside what js-libp2p treats as private. */
const FIRST_OCTETS = [51, 62, 73, 84, 91, 109, 128, 145, 151, 163, 176, 185, 193, 212]
const IPV6_PREFIXES = ['2a01', '2a02', '2a03', '2a0a', '2a0d']

/** One switch has no more ports than this. */
export const MAX_PUBLIC = 256

/** The IPv4 address of the n-th machine on the internet. */
export function publicIPv4(n: number): string {
  const row = Math.floor(n / FIRST_OCTETS.length)
  return `${FIRST_OCTETS[n % FIRST_OCTETS.length]}.${20 + row}.${(n * 37) % 251}.${10 + (n % 200)}`
}

/** The IPv6 /48 of the n-th machine on the internet, without the trailing `::`. */
export function publicIPv6Prefix(n: number): string {
  return `${IPV6_PREFIXES[n % IPV6_PREFIXES.length]}:${(0x100 + n).toString(16)}:1`
}

/** An inner network: the router has the first address, hosts follow. */
export interface Lan {
  prefix: string
  bits: number
}

/** The n-th inner network of a kind; `carrier` is what a provider uses between itself and its customers. */
export function lanOf(n: number, use: 'home' | 'carrier' | 'office'): Lan {
  if (use === 'carrier') return { prefix: `100.${64 + (n % 64)}.0`, bits: 24 }
  if (use === 'office') return { prefix: `10.${n % 256}.0`, bits: 24 }
  return { prefix: `192.168.${1 + (n % 254)}`, bits: 24 }
}

/** The address with this number inside an inner network. */
export const lanAddress = (lan: Lan, number: number): string => `${lan.prefix}.${number}`
