import type { TestContext } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Finding } from '../../protocols/nat-probe/findings.ts'
import { NatProbeDriver } from '../../src/drivers/nat-probe.ts'
import type { Seam } from '../../src/node/libp2p.ts'
import { eagerMuxer } from '../../src/net/eager/index.ts'
import { tcpReuse } from '../../src/net/tcp-reuse/index.ts'
import type { DialRole, TcpReuseTransport } from '../../src/net/tcp-reuse/index.ts'

/** A libp2p node on one address of loopback, which stands for the internet here, with the NAT probe. */
export interface ProbeNode {
  id: string
  ip: string
  address: string
  libp2p: Libp2p
  seam: Seam
  transport: TcpReuseTransport
  probe: NatProbeDriver
  findings: Finding[]
  /** Resolves with the first finding that fits, past or future. */
  finding(fits: (finding: Finding) => boolean): Promise<Finding>
  dial(to: ProbeNode): Promise<Connection>
}

export interface ProbeNodeOptions {
  /** Its address is 127.N.0.1: each node in a network of its own. */
  n: number
  /** Takes its own address for a private one, so that it looks for what a router does to its ports. */
  hidden?: boolean
  hasContacted?(ip: string): boolean
  isTrusted?(peer: string): boolean
}

// Loopback takes milliseconds, silence at a port three seconds and a half.
const PATIENCE_MS = 15_000

export async function probeNode(t: TestContext, options: ProbeNodeOptions): Promise<ProbeNode> {
  const ip = `127.${options.n}.0.1`
  let transport: TcpReuseTransport | undefined
  let seam: Seam | undefined
  const tcp = tcpReuse()
  const libp2p = await createLibp2p({
    start: false,
    privateKey: await generateKeyPair('Ed25519'),
    addresses: { listen: [`/ip4/${ip}/tcp/0`] },
    transports: [(components) => (transport = tcp(components))],
    connectionEncrypters: [noise()],
    streamMuxers: [eagerMuxer(yamux())],
    connectionGater: { denyDialMultiaddr: () => false },
    services: { identify: identify(), tap: (components) => void (seam = components as never) },
  })
  if (transport === undefined || seam === undefined) throw new Error('libp2p made no transport')
  const { transportManager } = seam
  const findings: Finding[] = []
  const waiting = new Set<() => void>()
  const probe = new NatProbeDriver({
    ...pick(seam),
    transport,
    dial: (address: Multiaddr, role: DialRole & { signal: AbortSignal }) =>
      transportManager.dial(address, role),
    isOutside: (host) => !(options.hidden === true && host === ip),
    isTrusted: (peer) => options.isTrusted?.(peer) ?? false,
    isPublic: () => true,
    hasContacted: (host) => options.hasContacted?.(host) ?? false,
    isOurs: () => false,
    found: (finding) => {
      findings.push(finding)
      for (const look of waiting) look()
    },
  })
  await probe.start()
  await libp2p.start()
  t.after(async () => {
    await probe.stop()
    await libp2p.stop()
  })
  const address = libp2p.getMultiaddrs()[0]?.toString() ?? ''
  const node: ProbeNode = {
    id: libp2p.peerId.toString(),
    ip,
    address,
    libp2p,
    seam,
    transport,
    probe,
    findings,
    async finding(fits) {
      const { promise, resolve, reject } = Promise.withResolvers<Finding>()
      const look = (): void => {
        const found = findings.find(fits)
        if (found !== undefined) resolve(found)
      }
      const late = setTimeout(
        () => reject(new Error(`no such finding among ${JSON.stringify(findings)}`)),
        PATIENCE_MS,
      )
      waiting.add(look)
      look()
      return await promise.finally(() => {
        waiting.delete(look)
        clearTimeout(late)
      })
    },
    dial: (to) =>
      transportManager.dial(multiaddr(to.address), { signal: AbortSignal.timeout(PATIENCE_MS) }),
  }
  return node
}

/** libp2p's components are a proxy that throws for what is absent, so it cannot be spread. */
function pick({ peerId, privateKey, registrar, connectionManager, events, logger }: Seam) {
  return { peerId, privateKey, registrar, connectionManager, events, logger }
}
