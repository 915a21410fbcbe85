/**
 * Runs in namespaces of its own, see search.test.ts. The host's own connection tracking plays a port-restricted NAT for
 * both sides: a SYN gets in only from where one was sent to before. Plays the search in both orders, and
 * upgrades what it finds to libp2p connections. Prints what came of it as JSON.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { knock, probe } from '../../../src/net/port-search/index.ts'
import type { KnockResult } from '../../../src/net/port-search/index.ts'
import { echo, startNode } from '../tcp-reuse/nodes.ts'
import type { TestNode } from '../tcp-reuse/nodes.ts'

const HOST = '127.0.0.1'
// All ports that the opening side's sockets can get, so that each of them is found.
const [FIRST, LAST] = [41_000, 41_031]
const PROBED = Array.from({ length: LAST - FIRST + 1 }, (_, i) => FIRST + i)
const SOCKETS = 8
const PATIENCE_MS = 10_000

execFileSync('ip', ['link', 'set', 'lo', 'up'])
writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', `${FIRST} ${LAST}`)
interface Side {
  node: TestNode
  port: number
}

/** Both sides search; the one that is named second starts when the first has sent all its SYNs. */
async function search(prober: Side, first: 'prober' | 'opener') {
  const over = new AbortController()
  const signal = AbortSignal.any([over.signal, AbortSignal.timeout(PATIENCE_MS)])
  const met: Socket[] = []
  const sent = Promise.withResolvers<void>()
  const probing = () =>
    probe({
      host: HOST,
      ports: thenTell(PROBED, sent.resolve),
      from: { family: 4, host: HOST, port: prober.port },
      perSecond: 10_000,
      inFlight: PROBED.length,
      lingerMs: PATIENCE_MS,
      signal,
      onConnect: (socket) => met.push(socket),
    })
  const knocking = (): Promise<KnockResult> =>
    knock({
      host: HOST,
      port: prober.port,
      sockets: SOCKETS,
      perSecond: 10_000,
      patienceMs: PATIENCE_MS,
      refusedPauseMs: 0,
      signal,
    }).finally(() => over.abort())
  if (first === 'opener') {
    const knocked = knocking()
    const probed = probing()
    return { ...(await knocked), ...(await probed), met }
  }
  const probed = probing()
  await sent.promise
  const knocked = await knocking()
  return { ...knocked, ...(await probed), met }
}

function* thenTell<T>(items: T[], tell: () => void): Generator<T> {
  yield* items
  tell()
}

async function play(opener: Side, prober: Side, first: 'prober' | 'opener') {
  const { sent, opened, socket, met } = await search(prober, first)
  const twin = met.find(({ remotePort }) => remotePort === socket?.localPort)
  if (socket === undefined || twin === undefined) return { first, sent, opened, met: met.length }
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const [ofOpener, ofProber] = await Promise.all([
    opener.node.transport.adopt(socket, addressOf(prober), { signal, initiator: true }),
    prober.node.transport.adopt(twin, addressOf(opener, socket.localPort), {
      signal,
      initiator: false,
    }),
  ])
  return {
    first,
    directions: [ofOpener.direction, ofProber.direction],
    fromListenPort: [
      opener.node.transport.facts(ofOpener)?.fromListenPort,
      prober.node.transport.facts(ofProber)?.fromListenPort,
    ],
    echoes: [await echo(ofOpener), await echo(ofProber)],
  }
}

function addressOf({ node, port }: Side, seenPort = port) {
  return multiaddr(`/ip4/${HOST}/tcp/${seenPort}/p2p/${node.libp2p.peerId.toString()}`)
}

await using a = await startNode([`/ip4/${HOST}/tcp/4003`])
await using b = await startNode([`/ip4/${HOST}/tcp/4001`])
await using c = await startNode([`/ip4/${HOST}/tcp/4002`])
const opener = { node: a, port: 4003 }
// Not before: the transport tries at its start whether it can dial over loopback.
execFileSync('nft', ['-f', '-'], {
  input: `table ip nat {
    chain in {
      type filter hook input priority 0;
      tcp dport { 4001, 4002, ${FIRST}-${LAST} } ct state new drop
    }
  }`,
})

const results = [
  await play(opener, { node: b, port: 4001 }, 'prober'),
  await play(opener, { node: c, port: 4002 }, 'opener'),
]
console.log(JSON.stringify(results))
