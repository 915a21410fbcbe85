/** What a multiaddr's text says, read without libp2p so that machines can judge addresses. */

export type Family = 'ip4' | 'ip6'

/** How far an IP address can be seen. `unusable`: unspecified, multicast, broadcast. */
export type Scope = 'loopback' | 'link-local' | 'private' | 'public' | 'unusable'

export interface ParsedAddress {
  /** `dns` when the host is a name: its family and scope are only known after a lookup. */
  family: Family | 'dns'
  /** Canonical text of the IP address, or the name. */
  host: string
  port: number
  /** `tcp` for plain TCP; `other` when anything (ws, tls, quic …) is spoken on top or instead. */
  transport: 'tcp' | 'other'
  /** Of the host; names count as public, as they are of use to strangers only. */
  scope: Scope
  /** The peer at the end of the address. */
  peer: string | undefined
  /** The relay's peer id; undefined for a direct address. */
  relay: string | undefined
  relayed: boolean
}

/** Longer than any real address with two peer ids and a name; hostile text stops here. */
const MAX_TEXT = 512

/** Components whose name is followed by a value. */
const VALUED = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'tcp', 'udp', 'p2p', 'ipfs'])
const VALUED_EXTRAS = new Set(['sni', 'certhash', 'http-path'])
const PLAIN = new Set([
  'p2p-circuit',
  'ws',
  'wss',
  'tls',
  'quic',
  'quic-v1',
  'webtransport',
  'http',
])

const ZERO = '0'.charCodeAt(0)

type Component = [name: string, value: string]

/** Reads a multiaddr of the shape host/port/…; undefined for anything else. */
export function parseAddress(text: string): ParsedAddress | undefined {
  const components = split(text)
  const [first, second] = components ?? []
  if (components === undefined || first === undefined || second === undefined) return undefined
  const host = readHost(first)
  const port = readPort(second[1])
  if (host === undefined || port === undefined) return undefined
  if (second[0] !== 'tcp' && second[0] !== 'udp') return undefined

  const rest = components.slice(2)
  const circuit = rest.findIndex(([name]) => name === 'p2p-circuit')
  const before = circuit === -1 ? rest : rest.slice(0, circuit)
  const after = circuit === -1 ? [] : rest.slice(circuit + 1)
  const onlyPeer = before.every(([name]) => isPeer(name)) && before.length <= 1
  return {
    ...host,
    port,
    transport: second[0] === 'tcp' && onlyPeer ? 'tcp' : 'other',
    peer: lastPeer(circuit === -1 ? before : after),
    relay: circuit === -1 ? undefined : lastPeer(before),
    relayed: circuit !== -1,
  }
}

/** The multiaddr text of an IP endpoint over TCP. */
export function tcpAddress(ip: string, port: number): string {
  return `/${familyOf(ip) ?? 'dns'}/${ip}/tcp/${port}`
}

/** `ip:port`, with brackets around IPv6. */
export function endpoint(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

/** What `endpoint` wrote, as the text of a multiaddr. */
export function endpointAddress(text: string): string {
  const split = text.lastIndexOf(':')
  return tcpAddress(text.slice(0, split).replace(/^\[|\]$/g, ''), Number(text.slice(split + 1)))
}

/** The family of a textual IP address; undefined when it is none. */
export function familyOf(ip: string): Family | undefined {
  const bytes = ipBytes(ip)
  return bytes === undefined ? undefined : familyOfBytes(bytes)
}

/** The one way to write an IP address, so that equal addresses are equal strings. */
export function canonicalIp(ip: string): string | undefined {
  const bytes = ipBytes(ip)
  return bytes === undefined ? undefined : ipText(bytes)
}

/** The canonical text of an address of 4 or 16 bytes; undefined for any other number of them. */
export function ipFromBytes(bytes: Uint8Array): string | undefined {
  return bytes.length === 4 || bytes.length === 16 ? canonicalIp(ipText(bytes)) : undefined
}

/** 4 or 16 bytes of address and 2 of port, big-endian: how messages carry an endpoint. */
export function endpointBytes(ip: string, port: number): Uint8Array {
  return Uint8Array.of(...(ipBytes(ip) ?? new Uint8Array(4)), port >> 8, port & 0xff)
}

/** What `endpointBytes` wrote; undefined for port 0 and for bytes that are no endpoint. */
export function endpointFromBytes(bytes: Uint8Array): { ip: string; port: number } | undefined {
  const port = ((bytes.at(-2) ?? 0) << 8) | (bytes.at(-1) ?? 0)
  const ip = ipFromBytes(bytes.subarray(0, -2))
  return ip === undefined || port === 0 ? undefined : { ip, port }
}

/** How far an IP address can be seen; text that is no address is `unusable`. */
export function scopeOf(ip: string): Scope {
  const bytes = ipBytes(ip)
  return bytes === undefined ? 'unusable' : scopeOfBytes(bytes)
}

/**
 * The networks an address belongs to, as keys. One owner easily has many addresses of a `narrow`
 * network (/24, /48), and often a whole `wide` one (/16, /32): votes and caps count these.
 */
export function networksOf(ip: string): { narrow: string; wide: string } | undefined {
  const bytes = ipBytes(ip)
  if (bytes === undefined) return undefined
  const key = (length: number) => `${ipText(masked(bytes, length))}/${length}`
  return bytes.length === 4
    ? { narrow: key(24), wide: key(16) }
    : { narrow: key(48), wide: key(32) }
}

/** Whether both addresses lie in one network of `prefix` bits. */
export function sameNetwork(a: string, b: string, prefix: number): boolean {
  const [left, right] = [ipBytes(a), ipBytes(b)]
  if (left === undefined || right === undefined || left.length !== right.length) return false
  return ipText(masked(left, prefix)) === ipText(masked(right, prefix))
}

/** The bytes of a textual IP address; an IPv4-mapped IPv6 address gives its four IPv4 bytes. */
export function ipBytes(ip: string): Uint8Array | undefined {
  if (ip.length > 45) return undefined // the longest textual IPv6 address
  if (!ip.includes(':')) return ip4Bytes(ip)
  const bytes = ip6Bytes(ip)
  return bytes !== undefined && isMapped(bytes) ? bytes.subarray(12) : bytes
}

function split(text: string): Component[] | undefined {
  if (text.length > MAX_TEXT || !text.startsWith('/')) return undefined
  const words = text.slice(1).split('/')
  const components: Component[] = []
  for (let i = 0; i < words.length; i++) {
    const name = words[i] as string
    if (PLAIN.has(name)) {
      components.push([name, ''])
      continue
    }
    const value = words[++i]
    if (!VALUED.has(name) && !VALUED_EXTRAS.has(name)) return undefined
    if (value === undefined || value === '') return undefined
    components.push([name, value])
  }
  return components
}

function readHost([name, value]: Component):
  | Pick<ParsedAddress, 'family' | 'host' | 'scope'>
  | undefined {
  if (name === 'dns' || name === 'dns4' || name === 'dns6') {
    return { family: 'dns', host: value, scope: value === 'localhost' ? 'loopback' : 'public' }
  }
  if (name !== 'ip6' && (name !== 'ip4' || value.includes(':'))) return undefined
  const bytes = ipBytes(value)
  if (bytes === undefined) return undefined
  return { family: familyOfBytes(bytes), host: ipText(bytes), scope: scopeOfBytes(bytes) }
}

function readPort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined
  const port = Number(text)
  return port > 0 && port < 65536 ? port : undefined
}

function isPeer(name: string): boolean {
  return name === 'p2p' || name === 'ipfs'
}

function lastPeer(components: Component[]): string | undefined {
  return components.findLast(([name]) => isPeer(name))?.[1]
}

/** Four numbers of one to three digits; character by character, since addresses are read all the time. */
function ip4Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4)
  let [part, value, digits] = [0, 0, 0]
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO
    if (digit >= 0 && digit <= 9 && digits < 3) {
      value = value * 10 + digit
      digits++
    } else if (text[i] === '.' && digits > 0 && value < 256 && part < 3) {
      bytes[part++] = value
      value = digits = 0
    } else return undefined
  }
  if (part !== 3 || digits === 0 || value > 255) return undefined
  bytes[3] = value
  return bytes
}

function ip6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = groups(halves[0] as string)
  const tail = halves.length === 2 ? groups(halves[1] as string) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const all = [...head, ...Array.from({ length: missing }, () => 0), ...tail]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

function groups(text: string): number[] | undefined {
  if (text === '') return []
  const result: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    const embedded = i === parts.length - 1 && part.includes('.') ? ip4Bytes(part) : undefined
    if (embedded !== undefined) {
      const [a, b, c, d] = embedded as unknown as [number, number, number, number]
      result.push((a << 8) | b, (c << 8) | d)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      result.push(Number.parseInt(part, 16))
    } else {
      return undefined
    }
  }
  return result
}

function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`
  const words = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number)).toString(16),
  )
  const run = longestZeroRun(words)
  if (run.length < 2) return words.join(':')
  return `${words.slice(0, run.start).join(':')}::${words.slice(run.start + run.length).join(':')}`
}

function longestZeroRun(words: string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (let i = 0; i <= words.length; i++) {
    if (words[i] === '0') continue
    if (i - start > best.length) best = { start, length: i - start }
    start = i + 1
  }
  return best
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
}

function masked(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, i) => byte & ~(0xff >> Math.min(8, Math.max(0, prefix - 8 * i))))
}

function familyOfBytes(bytes: Uint8Array): Family {
  return bytes.length === 4 ? 'ip4' : 'ip6'
}

function scopeOfBytes(bytes: Uint8Array): Scope {
  return bytes.length === 4 ? scope4(bytes) : scope6(bytes)
}

function scope4(bytes: Uint8Array): Scope {
  const [a, b, c] = bytes as unknown as [number, number, number]
  if (a === 0 || a >= 224) return 'unusable'
  if (a === 127) return 'loopback'
  if (a === 169 && b === 254) return 'link-local'
  return isPrivate4(a, b, c) ? 'private' : 'public'
}

/**
 * RFC 1918 and the carrier-grade range, and the ranges for documentation and benchmarks: libp2p calls
 * all of them private, and two notions of "public" in one node would contradict each other.
 */
function isPrivate4(a: number, b: number, c: number): boolean {
  if (a === 10) return true
  if (a === 172) return b >= 16 && b < 32
  if (a === 192) return b === 168 || (b === 0 && (c === 0 || c === 2))
  if (a === 100) return b >= 64 && b < 128
  if (a === 198) return b === 18 || b === 19 || (b === 51 && c === 100)
  return a === 203 && b === 0 && c === 113
}

function scope6(bytes: Uint8Array): Scope {
  const [a, b] = bytes as unknown as [number, number]
  if (bytes.subarray(0, 15).every((byte) => byte === 0)) {
    return bytes[15] === 1 ? 'loopback' : 'unusable'
  }
  if (a === 0xff) return 'unusable'
  if (a === 0xfe && b >= 0x80 && b < 0xc0) return 'link-local'
  if ((a & 0xfe) === 0xfc) return 'private'
  const documentation = a === 0x20 && b === 0x01 && bytes[2] === 0x0d && bytes[3] === 0xb8
  // Only 2000::/3 is given out for use on the internet.
  return documentation || (a & 0xe0) !== 0x20 ? 'private' : 'public'
}
