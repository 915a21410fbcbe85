import { parseAddress } from '../../../../protocols/kernel/address.ts'
import type { Notation, PeerKey } from '../../../../protocols/peer-exchange/record.ts'
import { PORT } from './constants.ts'
import { ipText } from './population.ts'
import type { Population } from './population.ts'
import { mixed } from './random.ts'

/** An Ed25519 peer id: identity multihash, its length, and the key as libp2p writes it. */
const PEER_PREFIX = [0, 36, 8, 1, 18, 32]
const PEER_BYTES = PEER_PREFIX.length + 32
/** Codes of multiaddr: ip4 and tcp before the values; p2p with its length, and p2p-circuit after the peer. */
const [IP4, TCP] = [4, 6]
const P2P = [0xa5, 0x03, PEER_BYTES]
const CIRCUIT = [0xa2, 0x02]
const DIRECT_BYTES = 8
const RELAYED_BYTES = DIRECT_BYTES + P2P.length + PEER_BYTES + CIRCUIT.length
/** Address texts that are no node's own: NATs' other ports and victims. Far more than any scenario makes. */
const OTHER_TEXTS = 100_000

/**
 * Peers and addresses of one population, as long on the wire as real ones. The texts and ids that come out are always the same
 * objects: thousands of nodes know the same peers, and would hold a copy each.
 */
export class SimNotation implements Notation {
  readonly #people: Population
  readonly #ids: number[] = []
  readonly #peerBytes: Uint8Array[] = []
  readonly #addressBytes = new Map<string, Uint8Array>()
  readonly #relayedTexts: string[] = []
  readonly #otherTexts = new Map<number, string>()

  constructor(people: Population) {
    this.#people = people
  }

  idOf(peer: PeerKey): number {
    const node = this.#people.indexOf(peer)
    if (node === -1) throw new Error(`no peer of this world: ${peer}`)
    return (this.#ids[node] ??= (mixed(1, node, 7) >>> 11) * 2 ** 32 + mixed(2, node, 7))
  }

  peerBytes(peer: PeerKey): Uint8Array | undefined {
    const node = this.#people.indexOf(peer)
    if (node === -1) return undefined
    return (this.#peerBytes[node] ??= Uint8Array.of(...PEER_PREFIX, ...keyOf(node)))
  }

  peerText(bytes: Uint8Array): PeerKey | undefined {
    if (bytes.length !== PEER_BYTES || bytes[1] !== PEER_PREFIX[1]) return undefined
    return this.#people.keys[nodeAt(bytes, PEER_PREFIX.length)]
  }

  addressBytes(text: string): Uint8Array | undefined {
    const known = this.#addressBytes.get(text)
    if (known !== undefined) return known
    const bytes = this.#encode(text)
    if (bytes !== undefined && this.#addressBytes.size < OTHER_TEXTS) {
      this.#addressBytes.set(text, bytes)
    }
    return bytes
  }

  addressText(bytes: Uint8Array): string | undefined {
    if (bytes[0] !== IP4 || bytes[5] !== TCP) return undefined
    const ip = (bytes[1]! * 2 ** 24 + (bytes[2]! << 16) + (bytes[3]! << 8) + bytes[4]!) >>> 0
    const port = bytes[6]! * 256 + bytes[7]!
    if (bytes.length === DIRECT_BYTES) return this.#directText(ip, port)
    if (bytes.length !== RELAYED_BYTES) return undefined
    const relay = nodeAt(bytes, DIRECT_BYTES + P2P.length + PEER_PREFIX.length)
    return this.#people.ip[relay] === ip ? this.relayedText(relay) : undefined
  }

  /** Where somebody with a reservation at this relay can be met. */
  relayedText(relay: number): string {
    const { addresses, keys } = this.#people
    return (this.#relayedTexts[relay] ??= `${addresses[relay]}/p2p/${keys[relay]}/p2p-circuit`)
  }

  #directText(ip: number, port: number): string {
    const node = port === PORT ? this.#people.byIp.get(ip) : undefined
    if (node !== undefined) return this.#people.addresses[node] as string
    const key = ip * 65536 + port
    const known = this.#otherTexts.get(key)
    if (known !== undefined) return known
    const text = `/ip4/${ipText(ip)}/tcp/${port}`
    if (this.#otherTexts.size < OTHER_TEXTS) this.#otherTexts.set(key, text)
    return text
  }

  #encode(text: string): Uint8Array | undefined {
    const parsed = parseAddress(text)
    if (parsed?.family !== 'ip4' || parsed.transport !== 'tcp') return undefined
    const direct = [
      IP4,
      ...parsed.host.split('.').map(Number),
      TCP,
      parsed.port >> 8,
      parsed.port & 255,
    ]
    if (!parsed.relayed) return Uint8Array.from(direct)
    const relay = parsed.relay === undefined ? undefined : this.peerBytes(parsed.relay)
    return relay && Uint8Array.of(...direct, ...P2P, ...relay, ...CIRCUIT)
  }
}

/** The 32 bytes of a node's public key: its index, then what follows from it. */
export function keyOf(node: number): Uint8Array {
  const key = new Uint8Array(32)
  const view = new DataView(key.buffer)
  view.setUint32(0, node, true)
  for (let at = 4; at < 32; at += 4) view.setUint32(at, mixed(3, node, at), true)
  return key
}

function nodeAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}
