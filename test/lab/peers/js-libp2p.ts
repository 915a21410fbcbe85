/**
 * js-libp2p as its documentation composes it: `js-libp2p.ts relay HOST`, `js-libp2p.ts serve RELAY` (reserves on the
 * relay), `js-libp2p.ts dial RELAY` (connects by way of the relay to the peer id it is given on stdin).
 */
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { autoNAT } from '@libp2p/autonat'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { identify } from '@libp2p/identify'
import type { Connection } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { say, whenAsked } from './speak.ts'

const PORT = 4001
const [role, place = ''] = process.argv.slice(2)

const common = { connectionEncrypters: [noise()], streamMuxers: [yamux()] }

async function relay(): Promise<void> {
  const node = await createLibp2p({
    ...common,
    addresses: { listen: [`/ip4/0.0.0.0/tcp/${PORT}`], announce: [`/ip4/${place}/tcp/${PORT}`] },
    transports: [tcp()],
    services: {
      identify: identify(),
      ping: ping(),
      autoNAT: autoNAT(),
      // Its own limits would end a comparison that lasts longer than they do.
      relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }),
    },
  })
  say({ ready: true, name: `/ip4/${place}/tcp/${PORT}/p2p/${node.peerId.toString()}` })
}

const hiddenNode = () =>
  createLibp2p({
    ...common,
    addresses: { listen: [`/ip4/0.0.0.0/tcp/${PORT}`, `${place}/p2p-circuit`] },
    transports: [tcp(), circuitRelayTransport()],
    services: { identify: identify(), ping: ping(), autoNAT: autoNAT(), dcutr: dcutr() },
  })

async function serve(): Promise<void> {
  const node = await hiddenNode()
  const reserved = () =>
    node.getMultiaddrs().some((address) => address.toString().includes('/p2p-circuit'))
  const { promise, resolve } = Promise.withResolvers<void>()
  node.addEventListener('self:peer:update', () => (reserved() ? resolve() : undefined))
  if (reserved()) resolve()
  await promise
  say({ ready: true, name: node.peerId.toString() })
}

const isDirect = ({ remoteAddr, limits }: Connection): boolean =>
  limits === undefined && !remoteAddr.toString().includes('/p2p-circuit')

async function dial(): Promise<void> {
  const node = await hiddenNode()
  whenAsked(async (name) => {
    const startedMs = performance.now()
    const { promise, resolve } = Promise.withResolvers<Connection>()
    node.addEventListener('connection:open', ({ detail }) => {
      if (detail.remotePeer.toString() === name && isDirect(detail)) resolve(detail)
    })
    await node.dial(multiaddr(`${place}/p2p-circuit/p2p/${name}`))
    const connection = await promise
    const ms = performance.now() - startedMs
    say({ direct: true, ms, remote: connection.remoteAddr.toString() })
  })
  say({ ready: true, name: 'dialer' })
}

const roles: Record<string, () => Promise<void>> = { relay, serve, dial }
const play = role === undefined ? undefined : roles[role]
if (play === undefined) throw new Error(`usage: js-libp2p.ts ${Object.keys(roles).join('|')} …`)
await play()
if (role !== 'dial') whenAsked(async () => {})
