/** Relays that grant reservations gladly and keep none of their promises, each in another way. */
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { peerIdFromMultihash } from '@libp2p/peer-id'
import * as Digest from 'multiformats/hashes/digest'
import {
  bytes,
  message,
  nested,
  manyBytes,
  uint32,
  uint64,
} from '../../protocols/kernel/protobuf.ts'
import * as wire from '../../protocols/relaying/wire.ts'
import { frames } from '../../src/net/frames.ts'
import type { Frames } from '../../src/net/frames.ts'
import { loopbackPeer } from './loopback.ts'

/** What becomes of a circuit. */
export type Badness =
  | 'mute' // the request is never answered
  | 'accepts' // it is accepted, and nobody is told
  | 'swallows' // both ends are told that it stands, and nothing passes
  | 'one-way' // nothing comes back
  | 'forgets' // there is no such reservation, it says
  | 'denies' // not allowed, it says, of this and any other

const RESERVE = 0
const CONNECT = 1
const STATUS = 2
const PATIENCE = { timeoutMs: 20_000 }

const Peer = message({ id: bytes(1, 128) })
const Request = message({ type: uint32(1), peer: nested(2, Peer, 1_024) })
const Reservation = message({ expire: uint64(1), addrs: manyBytes(2, 4, 128) })
const Answer = message({
  type: uint32(1),
  reservation: nested(3, Reservation, 1_024),
  status: uint32(5),
})

export interface BadRelay extends AsyncDisposable {
  libp2p: Libp2p
  id: string
  /** Its address on loopback, with the peer id. */
  address(): string
  badness: Badness
  /** Reservations granted, and circuits asked for. */
  granted: number
  asked: number
  /** How long what it grants is good for, and whether it grants anything. */
  grantsSeconds: number
  grants: boolean
}

/** A relay that is as bad as it is told to be; that can be changed while it runs. */
export async function makeBadRelay(badness: Badness, listen: string[] = []): Promise<BadRelay> {
  const libp2p = await loopbackPeer({ listen })
  const relay: BadRelay = {
    libp2p,
    id: libp2p.peerId.toString(),
    address: () => String(libp2p.getMultiaddrs()[0]),
    badness,
    granted: 0,
    asked: 0,
    grantsSeconds: 1_800,
    grants: true,
    [Symbol.asyncDispose]: async () => libp2p.stop(),
  }
  await libp2p.handle(RELAY_V2_HOP_CODEC, async (stream, connection) => {
    const hop = frames(stream, { maxBytes: wire.MAX_FRAME })
    const { type, peer } = Request.decode(await hop.read(PATIENCE))
    if (type === RESERVE) await grant(relay, stream, hop)
    else if (type === CONNECT) await betray(relay, stream, hop, connection, peer?.id)
  })
  return relay
}

async function grant(relay: BadRelay, stream: Stream, hop: Frames): Promise<void> {
  if (!relay.grants) {
    await hop.write(wire.hopRefusal(wire.STATUS_RESERVATION_REFUSED), PATIENCE)
    return await stream.close()
  }
  relay.granted++
  const expire = Math.round(Date.now() / 1_000) + relay.grantsSeconds
  const reservation = { expire, addrs: [] }
  await hop.write(Answer.encode({ type: STATUS, reservation, status: wire.STATUS_OK }), PATIENCE)
  await stream.close()
}

async function betray(
  relay: BadRelay,
  stream: Stream,
  hop: Frames,
  from: Connection,
  target: Uint8Array | undefined,
): Promise<void> {
  relay.asked++
  const say = (status: number) => hop.write(Answer.encode({ type: STATUS, status }), PATIENCE)
  if (relay.badness === 'mute') return
  if (relay.badness === 'accepts') return await say(wire.STATUS_OK)
  if (relay.badness === 'forgets' || relay.badness === 'denies') {
    const { STATUS_NO_RESERVATION, STATUS_PERMISSION_DENIED } = wire
    await say(relay.badness === 'forgets' ? STATUS_NO_RESERVATION : STATUS_PERMISSION_DENIED)
    return await stream.close()
  }
  const id = peerIdFromMultihash(Digest.decode(target as Uint8Array))
  const [connection] = relay.libp2p.getConnections(id)
  if (connection === undefined) throw new Error('the target is gone')
  const stop = await connection.newStream(RELAY_V2_STOP_CODEC)
  const other = frames(stop, { maxBytes: wire.MAX_FRAME })
  await other.write(stopRequest(from.remotePeer.toMultihash().bytes), PATIENCE)
  await other.read(PATIENCE)
  await say(wire.STATUS_OK)
  if (relay.badness === 'one-way') await other.write(await hop.read(PATIENCE), PATIENCE)
}

/** CONNECT is 0, and its field must be there all the same. */
function stopRequest(id: Uint8Array): Uint8Array {
  return Uint8Array.from([0x08, 0x00, ...Request.encode({ peer: { id } })])
}
