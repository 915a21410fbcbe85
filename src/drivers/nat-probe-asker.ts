import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Connection, Logger } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { tcpAddress } from '../../protocols/kernel/address.ts'
import { ProbeAsker } from '../../protocols/nat-probe/asker.ts'
import type { AskerInput, AskerOutput } from '../../protocols/nat-probe/asker.ts'
import type { ProbeMessage } from '../../protocols/nat-probe/codec.ts'
import type { Helper } from '../../protocols/nat-probe/examination.ts'
import type { Finding, Sampling } from '../../protocols/nat-probe/findings.ts'
import { PROBE_LIMITS } from '../../protocols/nat-probe/limits.ts'
import { endpointOf, isDirect } from '../net/connection.ts'
import { connectFrom, FreshPort } from '../net/nat-probe/index.ts'
import { plainHost } from '../net/tcp-reuse/index.ts'
import type { LocalEndpoint, SocketApi, TcpReuseTransport } from '../net/tcp-reuse/index.ts'
import { systemClock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { Talk } from './nat-probe-talk.ts'

export interface ProbeAskerDeps {
  transport: TcpReuseTransport
  /** Undefined where ports cannot be shared. */
  socketApi: SocketApi | undefined
  /** Open connections to the peer. */
  connections(peer: string): Connection[]
  /** Which addresses are of the internet. */
  isOutside(ip: string): boolean
  /** Whether the operator chose the peer. */
  isTrusted(peer: string): boolean
  /** Whether the listening port has sent to that address lately, or still does. */
  hasContacted(ip: string): boolean
  /** Whether others see this node at that address. */
  isOurs(ip: string): boolean
  found(finding: Finding): void
}

/** A question that is under way, and what a knock for it must be like. */
interface Asked {
  nonce: string
  /** The local port that was to be dialled; undefined: the one that is listened on. */
  port: number | undefined
  since: number
}

type Sampled = Extract<AskerOutput, { type: 'sample' }>

/** One examination while it is under way: its ports are closed with it. */
interface Examined {
  peer: string
  ports: DisposableStack
}

/**
 * Where a silent port sends to: addresses for documentation (RFC 5737, RFC 3849), which no host has. The router notes the SYN
 * on its way out; no network beyond carries it.
 */
const NOBODY = { ip4: '192.0.2.1', ip6: '2001:db8::1' }
const NOBODYS_PORT = 9

/** Asks helpers as the asker machine decides, and knows who knocks. */
export class ProbeAskerDriver {
  readonly #deps: ProbeAskerDeps
  readonly #log: Logger
  readonly #stopping = new AbortController()
  readonly #machine = new ProbeAsker(Math.random)
  readonly #driven: Driven<AskerInput>
  // Both as many as the machine has under way.
  readonly #asked = new Map<number, Asked>()
  readonly #examined = new Map<number, Examined>()

  constructor(deps: ProbeAskerDeps, log: Logger) {
    this.#deps = deps
    this.#log = log
    this.#driven = drive<AskerInput, AskerOutput>(
      this.#machine,
      (output) => this.#perform(output),
      systemClock,
    )
  }

  stop(): void {
    this.#stopping.abort(new Error('the node is stopping'))
    this.#driven[Symbol.dispose]()
    for (const examination of this.#examined.keys()) this.#close(examination)
  }

  wanted(wanted: boolean): void {
    this.#driven.feed({ type: 'wanted', wanted })
  }

  /** How many could be asked, and whether any is being asked or is about to be. */
  progress(): { helpers: number; busy: boolean } {
    return this.#machine.progress(systemClock.now())
  }

  moved(): void {
    this.#driven.feed({ type: 'moved' })
  }

  mapped(ports: number[]): void {
    this.#driven.feed({ type: 'mapped', ports })
  }

  /** There is news about connections to a peer that speaks the protocol. */
  look(peer: string): void {
    const found = this.#helperOf(peer)
    if (found === undefined) this.#driven.feed({ type: 'helper-gone', peer })
    else this.#driven.feed({ type: 'helper', helper: found.helper })
  }

  /** Answers a peer that knocks. */
  async answer(talk: Talk, nonce: Uint8Array): Promise<void> {
    const { connection } = talk
    const signal = this.#deadline(PROBE_LIMITS.answerMs)
    const question = this.#questionOf(Buffer.from(nonce).toString('hex'), connection)
    const from = endpointOf(connection.remoteAddr)?.host
    const known = question !== undefined && from !== undefined
    if (known) {
      const contacted = this.#deps.hasContacted(from)
      const ours = this.#deps.isOurs(from)
      this.#driven.feed({ type: 'knocked', question, from, contacted, ours })
    }
    const answer: Exclude<ProbeMessage, { type: 'skip' }> = known
      ? { type: 'outcome', outcome: 'reached' }
      : { type: 'refused', code: 'unknown' }
    await talk.write(answer, signal)
    await talk.close(signal)
  }

  /**
   * The question that a nonce belongs to, if whoever knows it has dialled the very port that was asked about, after it was asked. A
   * helper could give the nonce to a peer that is connected already, or that another port lets in.
   */
  #questionOf(nonce: string, connection: Connection): number | undefined {
    const { transport } = this.#deps
    const facts = transport.facts(connection)
    if (facts === undefined || !isDirect(connection)) return undefined
    for (const [question, asked] of this.#asked) {
      if (asked.nonce !== nonce) continue
      const listening = transport.listening().some(({ port }) => port === facts.localPort)
      const rightDoor = asked.port === undefined ? listening : facts.localPort === asked.port
      // A fresh port's connections are adopted, and count as dialled.
      const came = !facts.dialled || asked.port !== undefined
      return rightDoor && came && connection.timeline.open >= asked.since ? question : undefined
    }
    return undefined
  }

  /** Over which connection a peer can be asked, and what about. */
  #helperOf(peer: string): { helper: Helper; connection: Connection } | undefined {
    const { transport } = this.#deps
    for (const connection of this.#deps.connections(peer)) {
      const seen = endpointOf(connection.remoteAddr)
      const facts = transport.facts(connection)
      if (!isDirect(connection) || seen === undefined || facts?.localHost === undefined) continue
      if (!this.#deps.isOutside(seen.host) || this.#deps.isOurs(seen.host)) continue
      const trusted = this.#deps.isTrusted(peer)
      const bare = this.#deps.isOutside(facts.localHost)
      const listener = this.#listenerFor(facts.localHost)
      const useful = bare ? listener !== undefined : facts.dialled && facts.fromListenPort
      if (!useful) continue
      const port = bare ? (listener?.port ?? 0) : 0
      return { helper: { peer, ip: seen.host, trusted, bare, port }, connection }
    }
    return undefined
  }

  #listenerFor(host: string): LocalEndpoint | undefined {
    const family = host.includes(':') ? 6 : 4
    return this.#deps.transport.listening().find((one) => one.family === family)
  }

  #perform(output: AskerOutput): void {
    switch (output.type) {
      case 'sample':
        void this.#sample(output, this.#examinedOf(output))
        return
      case 'ask':
        this.#examinedOf(output)
        void this.#ask(output)
        return
      case 'open-silent':
        return this.#openSilent(output.examination)
      case 'close':
        return this.#close(output.examination)
      default:
        return this.#deps.found(output.finding)
    }
  }

  async #sample({ examination, fresh }: Sampled, examined: Examined): Promise<void> {
    let sampling: Sampling | undefined
    try {
      sampling = await this.#sampled(examined, fresh)
    } catch (err) {
      this.#log('%s gave no sample - %e', examined.peer, err)
    }
    this.#driven.feed({ type: 'sampled', examination, sampling })
  }

  async #sampled({ peer, ports }: Examined, fresh: number): Promise<Sampling | undefined> {
    const { socketApi, transport } = this.#deps
    const connection = this.#helperOf(peer)?.connection
    const to = connection === undefined ? undefined : endpointOf(connection.remoteAddr)
    if (socketApi === undefined || connection === undefined || to === undefined) return undefined
    const { localHost: host, localPort: port } = transport.facts(connection) ?? {}
    if (host === undefined || port === undefined) return undefined

    const signal = this.#deadline(PROBE_LIMITS.answerMs)
    const talk = await Talk.open(connection, signal)
    await talk.write({ type: 'sample', connections: fresh + 1 }, signal)
    const opened = await talk.read(signal)
    if (opened.type !== 'opened' || ports.disposed) {
      await talk.close(signal)
      return undefined
    }
    const target = { host: to.host, port: opened.port }
    const tags = Array.from({ length: fresh + 1 }, () => randomBytes(PROBE_LIMITS.nonceBytes))
    const socket = connectFrom(socketApi, { host, port }, target, tags[0])
    ports.defer(() => socket.destroy())
    // One after the other, as a router that counts up shows by their order.
    const made = tags.slice(1).map((tag) => {
      const one = ports.use(this.#freshPort(socketApi, host))
      one.connect(target.host, target.port, tag)
      return one
    })
    const seen = await this.#collect(talk, tags, signal)
    await talk.close(signal)
    return {
      seen: opened.seen,
      listening: seen[0],
      fresh: made.flatMap((one, i) => {
        const at = seen[i + 1]
        return at === undefined ? [] : [{ local: one.port, seen: at }]
      }),
    }
  }

  /** What the helper saw of each connection, until it has told of all or its time is over. */
  async #collect(
    talk: Talk,
    tags: readonly Buffer[],
    signal: AbortSignal,
  ): Promise<(Sampling['seen'] | undefined)[]> {
    const seen: (Sampling['seen'] | undefined)[] = tags.map(() => undefined)
    const until = performance.now() + PROBE_LIMITS.sampleMs
    try {
      while (seen.includes(undefined)) {
        const left = Math.max(1, Math.ceil(until - performance.now()))
        const message = await talk.read(signal, left)
        if (message.type !== 'seen') break
        const which = tags.findIndex((tag) => tag.equals(message.tag))
        if (which === -1 || seen[which] !== undefined) break // it makes things up
        seen[which] = message.endpoint
      }
    } catch (err) {
      this.#log('a sample is incomplete - %e', err)
    }
    return seen
  }

  async #ask(asked: Extract<AskerOutput, { type: 'ask' }>): Promise<void> {
    const { question, peer, port, local, other } = asked
    const nonce = randomBytes(PROBE_LIMITS.nonceBytes)
    this.#asked.set(question, { nonce: nonce.toString('hex'), port: local, since: Date.now() })
    let result: Extract<AskerInput, { type: 'answered' }>['result'] = 'nothing'
    let talk: Talk | undefined
    try {
      const connection = this.#helperOf(peer)?.connection
      if (connection === undefined) throw new Error('it is not linked any more')
      const signal = this.#deadline(PROBE_LIMITS.answerMs)
      talk = await Talk.open(connection, signal)
      await talk.write({ type: 'back', nonce: new Uint8Array(nonce), port, byOther: other }, signal)
      const answer = await talk.read(signal)
      if (answer.type === 'outcome') result = answer.outcome
      if (answer.type === 'refused') result = answer.code
      await talk.close(signal)
    } catch (err) {
      this.#log('%s did not answer - %e', peer, err)
      talk?.abort(err as Error)
    }
    this.#asked.delete(question)
    this.#driven.feed({ type: 'answered', question, result })
  }

  #openSilent(examination: number): void {
    const { socketApi, transport } = this.#deps
    const { peer = '', ports } = this.#examined.get(examination) ?? {}
    const connection = this.#helperOf(peer)?.connection
    const host = connection === undefined ? undefined : transport.facts(connection)?.localHost
    let port: FreshPort | undefined
    try {
      if (socketApi !== undefined && host !== undefined && ports !== undefined) {
        port = ports.use(this.#freshPort(socketApi, host))
        port.connect(host.includes(':') ? NOBODY.ip6 : NOBODY.ip4, NOBODYS_PORT)
      }
    } catch (err) {
      this.#log('no silent port - %e', err)
    }
    this.#driven.feed({ type: 'opened', examination, port: port?.port })
  }

  #freshPort(api: SocketApi, host: string): FreshPort {
    return new FreshPort(api, host, (socket) => void this.#adopt(socket))
  }

  /** Whoever comes in by a fresh port speaks first, as with any listener. */
  async #adopt(socket: Socket): Promise<void> {
    const { remoteAddress = '', remotePort = 0 } = socket
    const signal = this.#deadline(PROBE_LIMITS.connectMs + PROBE_LIMITS.handshakeMs)
    try {
      const from = multiaddr(tcpAddress(plainHost(remoteAddress), remotePort))
      await this.#deps.transport.adopt(socket, from, { signal, initiator: false })
    } catch (err) {
      socket.destroy()
      this.#log('somebody at a fresh port was no peer - %e', err)
    }
  }

  #examinedOf({ examination, peer }: { examination: number; peer: string }): Examined {
    const examined = this.#examined.get(examination) ?? { peer, ports: new DisposableStack() }
    this.#examined.set(examination, examined)
    return examined
  }

  #close(examination: number): void {
    this.#examined.get(examination)?.ports.dispose()
    this.#examined.delete(examination)
  }

  #deadline(ms: number): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ms)])
  }
}
