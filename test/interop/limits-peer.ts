/**
 * A node of Warren's parts that dials a relayed address and tells on stdout, as JSON, what limits libp2p gave the relayed
 * connection. Arguments: the address.
 */
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { warren } from '../../src/services.ts'

const DIAL_MS = 20_000

const { transports, services } = warren()
const libp2p = await createLibp2p({
  addresses: { listen: ['/ip4/0.0.0.0/tcp/0'] },
  transports,
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ...services },
})
const address = multiaddr(process.argv[2] ?? '')
const { limits } = await libp2p.dial(address, { signal: AbortSignal.timeout(DIAL_MS) })
const found = { seconds: limits?.seconds ?? null, bytes: limits?.bytes?.toString() ?? null }
process.stdout.write(`${JSON.stringify(found)}\n`)
await libp2p.stop()
