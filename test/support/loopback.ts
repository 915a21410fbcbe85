import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { noise } from '@libp2p/noise'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Libp2p, Stream } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2pOptions } from 'libp2p'

/** What a peer has beyond TCP, noise, yamux and identify. */
interface Extras {
  listen?: string[]
  transports?: NonNullable<Libp2pOptions['transports']>
  services?: NonNullable<Libp2pOptions['services']>
}

/** A plain libp2p node on loopback, stopped when it goes out of scope. */
export async function loopbackPeer(extras: Extras = {}): Promise<Libp2p & AsyncDisposable> {
  const { listen = [], transports = [], services = {} } = extras
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0', ...listen] },
    transports: [tcp(), ...transports],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ...services },
  })
  return Object.assign(node, { [Symbol.asyncDispose]: async () => node.stop() })
}

/** Both ends of one stream between two peers; `at` is another address under which `to` is found. */
export async function streamBetween(
  from: Libp2p,
  to: Libp2p,
  at: Multiaddr[] = to.getMultiaddrs(),
): Promise<[Stream, Stream]> {
  const arrived = Promise.withResolvers<Stream>()
  const protocol = '/test/1.0.0'
  await to.handle(protocol, (stream) => arrived.resolve(stream), {
    force: true,
    maxInboundStreams: 100,
  })
  const stream = await from.dialProtocol(at, protocol)
  return [stream, await arrived.promise]
}

/** A cable to a peer: an address that leads to it until it is cut. */
export interface Cable extends AsyncDisposable {
  address: Multiaddr
  cut(): void
}

/** Lays a cable to a peer. */
export async function cableTo(peer: Pick<Libp2p, 'peerId' | 'getMultiaddrs'>): Promise<Cable> {
  const port = Number(
    peer
      .getMultiaddrs()[0]
      ?.getComponents()
      .find((c) => c.name === 'tcp')?.value,
  )
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined))
    near.pipe(far).pipe(near)
    // A pipe passes an end on, but not that a socket is gone.
    near.on('close', () => far.destroySoon())
    far.on('close', () => near.destroySoon())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const cut = (): void => sockets.forEach((socket) => socket.destroy())
  return {
    address: multiaddr(
      `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}/p2p/${peer.peerId.toString()}`,
    ),
    cut,
    async [Symbol.asyncDispose]() {
      server.close()
      cut()
    },
  }
}
