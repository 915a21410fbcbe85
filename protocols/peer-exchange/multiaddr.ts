/**
 * Which bytes are an address. Readers leave out of a record what is none, and should agree on it: so the components are written down
 * here and in SPEC.md, and no library decides.
 */

/** Bytes of the value, by the component's code: ip4, tcp, ip6, udp, and those that have none. */
const FIXED = new Map([
  [4, 4],
  [6, 2],
  [41, 16],
  [273, 2],
  ...[280, 281, 290, 448, 454, 460, 461, 465, 477, 478, 480].map((code) => [code, 0] as const),
])

/** dns, dns4, dns6, dnsaddr, sni: a name, after its length. */
const NAMES = new Set([53, 54, 55, 56, 449])
const CERTHASH = 466
const P2P = 421

/** Multihashes of peer ids: the key itself, or its SHA-256. */
const IDENTITY = 0
const SHA256 = 18
const SHA256_BYTES = 32

/** Whether these are the bytes of a multiaddr, whole and written the one way there is. */
export function isMultiaddr(bytes: Uint8Array): boolean {
  let at: number | undefined = 0
  while (at !== undefined && at < bytes.length) at = endOfComponent(bytes, at)
  return at !== undefined && bytes.length > 0
}

/** Where the component that begins at `from` ends; undefined when there is none. */
function endOfComponent(bytes: Uint8Array, from: number): number | undefined {
  const code = uvarint(bytes, from)
  if (code === undefined) return undefined
  const fixed = FIXED.get(code.value)
  if (fixed !== undefined) return code.end + fixed <= bytes.length ? code.end + fixed : undefined
  const length = uvarint(bytes, code.end)
  if (length === undefined || length.value === 0) return undefined
  const end = length.end + length.value
  const fits = end <= bytes.length && isValue(code.value, bytes.subarray(length.end, end))
  return fits ? end : undefined
}

function isValue(code: number, value: Uint8Array): boolean {
  if (code === P2P) return isPeerId(value)
  if (NAMES.has(code)) return value.every((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x2f)
  return code === CERTHASH
}

function isPeerId(value: Uint8Array): boolean {
  const length = value.length - 2
  if (value[0] === IDENTITY) return length > 0 && value[1] === length
  return value[0] === SHA256 && value[1] === SHA256_BYTES && length === SHA256_BYTES
}

/** Codes and lengths are below 2^14; the last byte of a longer one is never 0, so that there is one way to write it. */
function uvarint(bytes: Uint8Array, at: number): { value: number; end: number } | undefined {
  const [low, high] = [bytes[at], bytes[at + 1]]
  if (low === undefined) return undefined
  if (low < 0x80) return { value: low, end: at + 1 }
  if (high === undefined || high === 0 || high >= 0x80) return undefined
  return { value: (low & 0x7f) + high * 0x80, end: at + 2 }
}
