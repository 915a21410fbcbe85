import type { Connection, Logger, Stream } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import type { Frame, RefusalCode } from '../../protocols/signalling/codec.ts'
import { Switchboard } from '../../protocols/signalling/switchboard.ts'
import type { RelayFacts } from '../../protocols/signalling/switchboard.ts'
import { endpointOf, isDirect } from '../net/connection.ts'
import type { Endpoint } from '../net/connection.ts'
import { systemClock } from './clock.ts'
import { notation } from './overlay-records.ts'
import { FrameStream } from './signalling-stream.ts'

/** What the relay side did in this node's life, for metrics. */
export interface SignalStats {
  /** Streams that are open now. */
  clients: number
  passed: number
  refusedByCode: Record<RefusalCode, number>
  /** Streams ended because their clients went on after many refusals. */
  cutOff: number
}

interface Client {
  peer: string
  id: Uint8Array
  /** Where this node sees the client's connection come from. */
  seen: Endpoint
  stream: FrameStream
}

/** The relay's side: passes messages on between its clients as the switchboard allows. */
export class SignalRelay {
  readonly #facts: RelayFacts
  readonly #log: Logger
  readonly #board: Switchboard
  /** As many as the switchboard admits. */
  readonly #clients = new Map<string, Client>()
  readonly #refused = { 'unknown-target': 0, 'too-big': 0, 'too-fast': 0, 'not-served': 0 }
  #passed = 0
  #cutOff = 0

  constructor(facts: RelayFacts, log: Logger) {
    this.#facts = facts
    this.#log = log
    this.#board = new Switchboard(facts, systemClock.now())
  }

  stats(): SignalStats {
    return {
      clients: this.#clients.size,
      passed: this.#passed,
      refusedByCode: { ...this.#refused },
      cutOff: this.#cutOff,
    }
  }

  /** Answers a stream of the protocol. */
  readonly answer = (stream: Stream, connection: Connection): void => {
    const peer = connection.remotePeer.toString()
    const reason = this.#admit(stream, connection, peer)
    if (reason === undefined) return
    this.#log('no signalling for %s: %s', peer, reason)
    stream.abort(new WarrenError('ERR_PROTOCOL_UNSUPPORTED', `no signalling: ${reason}`))
  }

  /** Ends all streams. */
  stop(): void {
    const reason = new WarrenError('ERR_NODE_STOPPED', 'the node is stopping')
    for (const { stream } of this.#clients.values()) stream.abort(reason)
  }

  /** Takes the stream of a client, or says why not. */
  #admit(stream: Stream, connection: Connection, peer: string): string | undefined {
    if (!this.#facts.serving()) return 'this node does not relay for others now'
    const seen = endpointOf(connection.remoteAddr)
    const direct = isDirect(connection) && connection.limits === undefined
    if (!direct || seen === undefined) return 'only direct connections are served'
    if (connection.remotePeer.type !== 'Ed25519') return 'only Ed25519 identities are served'
    const admission = this.#board.join(peer)
    if (!admission.admitted) return 'too many streams are open'
    // A peer that comes again has lost its stream, even if we do not know yet.
    for (const gone of [admission.instead, peer]) {
      if (gone !== undefined) this.#clients.get(gone)?.stream.end()
      if (gone !== undefined) this.#clients.delete(gone)
    }
    this.#serve(stream, peer, connection.remotePeer.toMultihash().bytes, seen)
    return undefined
  }

  #serve(stream: Stream, peer: string, id: Uint8Array, seen: Endpoint): void {
    const client: Client = {
      peer,
      id,
      seen,
      stream: new FrameStream(stream, {
        frame: (frame) => this.#onFrame(client, frame),
        closed: () => {
          if (this.#clients.get(peer) !== client) return
          this.#clients.delete(peer)
          this.#board.leave(peer)
        },
      }),
    }
    this.#clients.set(peer, client)
  }

  #onFrame(client: Client, frame: Frame): void {
    if (frame.type === 'pass') return this.#pass(client, frame)
    if (frame.type === 'skip') return
    client.stream.abort(
      new WarrenError('ERR_PROTOCOL_VIOLATION', `a client sent "${frame.type}" to its relay`),
    )
  }

  #pass(client: Client, { to, sealed, id }: Extract<Frame, { type: 'pass' }>): void {
    const { peer, seen, stream } = client
    const target = notation.peerText(to) ?? ''
    const verdict = this.#board.judge(peer, target, sealed.length, systemClock.now())
    if (verdict === 'hang-up') return this.#cut(client)
    if (verdict !== 'pass') return this.#refuse(stream, id, verdict)
    const passed = this.#clients.get(target)?.stream.send({
      type: 'passed',
      from: client.id,
      ip: seen.host,
      port: seen.port,
      sealed,
    })
    if (passed === true) this.#passed++
    else this.#refuse(stream, id, 'too-fast') // the target reads more slowly than is written to it
  }

  #refuse(stream: FrameStream, id: number, code: RefusalCode): void {
    this.#refused[code]++
    stream.send({ type: 'refused', id, code })
    if (code === 'not-served') stream.end()
  }

  #cut({ peer, stream }: Client): void {
    this.#cutOff++
    this.#log('%s goes on although it is refused', peer)
    stream.abort(new WarrenError('ERR_LIMIT_REACHED', 'too many messages that are refused'))
  }
}
