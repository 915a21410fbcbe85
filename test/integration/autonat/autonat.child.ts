/**
 * Runs in a network of its own, see autonat.test.ts: AutoNAT looks at public addresses only, so both nodes have one on
 * the loopback device. Prints what became of a stock node that asked ours.
 */
import { execFileSync } from 'node:child_process'
import { autoNAT } from '@libp2p/autonat'
import { autoNATv2 } from '@libp2p/autonat-v2'
import { identify } from '@libp2p/identify'
import type { AddressManager } from '@libp2p/interface-internal'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { createNode } from '../../../src/index.ts'

const OURS = '51.1.0.1'
const THEIRS = '62.1.0.1'

/** An answer takes milliseconds; a machine under load gets this long. */
const PATIENCE_MS = 5_000

execFileSync('ip', ['link', 'set', 'lo', 'up'])
for (const ip of [OURS, THEIRS]) execFileSync('ip', ['addr', 'add', `${ip}/32`, 'dev', 'lo'])

type Service = (components: never) => unknown

async function ask(service: Service): Promise<{ verified: boolean; connected: boolean }> {
  const ours = await createNode({ listen: [`/ip4/${OURS}/tcp/4001`] })
  let addresses: AddressManager | undefined
  const stock = await createLibp2p({
    addresses: { listen: [`/ip4/${THEIRS}/tcp/4001`] },
    transports: [
      tcp({
        // The server only dials back to where it sees us; both share one host, so say which address is ours.
        dialOpts: { localAddress: THEIRS } as object,
      }),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: {
      identify: identify(),
      autonat: service,
      seam: (components: { addressManager: AddressManager }) => {
        addresses = components.addressManager
        return {}
      },
    } as object as Record<string, (components: unknown) => unknown>,
  })
  const connection = await stock.dial(multiaddr(ours.status().listening[0] ?? ''))
  const verified = (): boolean =>
    addresses?.getAddressesWithMetadata().some((address) => address.verified) ?? false
  for (const until = Date.now() + PATIENCE_MS; !verified() && Date.now() < until;) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  // What a stock server does to the connection it does right after its answer.
  await new Promise((resolve) => setTimeout(resolve, 200))
  const found = { verified: verified(), connected: connection.status === 'open' }
  await stock.stop()
  await ours.stop()
  return found
}

console.log(JSON.stringify({ v1: await ask(autoNAT()), v2: await ask(autoNATv2()) }))
