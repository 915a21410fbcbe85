import { AsyncLocalStorage } from 'node:async_hooks'
import { dcutr } from '@libp2p/dcutr'
import type { DCUtRServiceComponents, DCUtRServiceInit } from '@libp2p/dcutr'
import type { Connection, Logger, Stream } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { Turns } from '../../protocols/hole-punching/turns.ts'
import { endpointOf, isDirect } from '../net/connection.ts'
import { speaks } from '../net/speaks.ts'
import { MAX_TARGETS, Puncher } from './puncher.ts'
import type { Conversation, HolePunchingDeps } from './puncher.ts'

/**
 * One attempt of the stock service, from CONNECT to a connection. A relayed round trip of 600 ms takes
 * 1.5 s to agree and 2 s to shake hands; a lost SYN is sent again after one second and then three more.
 */
const ATTEMPT_MS = 10_000

/**
 * Attempts of one peer that may overlap: it makes three, and one that it has given up lasts here until its deadline. Stock
 * allows one, and resets the stream of the next.
 */
const MAX_ATTEMPTS = 3

/** Conversations a peer may start with us in a minute; an honest one needs three per relayed connection. */
const PER_PEER_PER_MINUTE = 12

/** The public methods of the stock service, whose class is not exported. */
interface StockService {
  /** Asks, as B: up to three attempts. Never rejects once they are used up. */
  upgradeInbound(relayed: Connection): Promise<void>
  /** Which of the addresses in a CONNECT may be dialled. */
  getDialableMultiaddrs(offered: (Uint8Array | string | null | undefined)[]): Multiaddr[]
}

/**
 * The stock DCUtR service, given components that make it work over TCP: CONNECT carries the addresses that
 * observers saw, dials leave from the listening port in the role the protocol gives, refused dials are
 * repeated, there is one conversation with a peer at a time, and the relayed connection is left to the node to close
 * when nothing uses it any more. See docs/decisions/0008-dcutr-adapted.md.
 */
export function holePunching(
  deps: HolePunchingDeps,
  init: DCUtRServiceInit = {},
): (components: DCUtRServiceComponents) => unknown {
  return (components) => {
    const log = components.logger.forComponent('warren:hole-punching')
    const conversations = new Conversations(deps, components, log)
    const puncher = new Puncher(deps, () => conversations.current(), log)
    const service = dcutr({ timeout: ATTEMPT_MS, maxInboundStreams: MAX_ATTEMPTS, ...init })({
      addressManager: offering(components.addressManager, deps),
      connectionManager: {
        openConnection: puncher.openConnection,
      } as unknown as ConnectionManager,
      registrar: conversations.registrar(() => service as StockService),
      peerStore: components.peerStore,
      transportManager: components.transportManager,
      logger: components.logger,
    })
    if (deps.privateTargets === true)
      (service as StockService).getDialableMultiaddrs = (offered) => offered.flatMap(readTarget)
    return service
  }
}

/** A direct TCP address, public or not; the stock service takes only public ones. */
function readTarget(offered: Uint8Array | string | null | undefined): Multiaddr[] {
  try {
    const address = multiaddr(offered)
    return endpointOf(address) === undefined ? [] : [address]
  } catch {
    return []
  }
}

type AddressManager = DCUtRServiceComponents['addressManager']

/** CONNECT carries what observers saw and what we announce, never a relayed address. */
function offering(stock: AddressManager, deps: HolePunchingDeps): AddressManager {
  const shim: Pick<AddressManager, 'getAddresses'> = {
    getAddresses: () => {
      const direct = stock.getAddresses().filter((ma) => !ma.toString().includes('/p2p-circuit'))
      const seen = new Set<string>()
      return [...deps.externalAddresses(), ...direct].filter((ma) => {
        const key = JSON.stringify(endpointOf(ma))
        return seen.size < MAX_TARGETS * 2 && !seen.has(key) && seen.add(key)
      })
    },
  }
  return shim as AddressManager
}

/** A question of ours that is under way and can be dropped. */
interface Question {
  dropped: boolean
  stream?: Stream
}

/** Lets every conversation of the stock service know its peer, and decides which take place. */
class Conversations {
  readonly #deps: HolePunchingDeps
  readonly #stock: Registrar
  readonly #peerStore: DCUtRServiceComponents['peerStore']
  readonly #log: Logger
  readonly #conversation = new AsyncLocalStorage<Conversation>()
  readonly #admit = rateLimit(PER_PEER_PER_MINUTE)
  readonly #questions = new Map<string, Question>()
  readonly #answers = new Map<string, AbortController>()
  #turns: Turns | undefined

  constructor(
    deps: HolePunchingDeps,
    { registrar, peerStore }: Pick<DCUtRServiceComponents, 'registrar' | 'peerStore'>,
    log: Logger,
  ) {
    this.#deps = deps
    this.#stock = registrar
    this.#peerStore = peerStore
    this.#log = log
  }

  /** The conversation that the caller belongs to. */
  current(): Conversation | undefined {
    return this.#conversation.getStore()
  }

  /** What the stock service gets for a registrar. */
  registrar(service: () => StockService): Registrar {
    const shim: Pick<Registrar, 'register' | 'unregister' | 'handle' | 'unhandle'> = {
      register: (protocol, topology) =>
        this.#stock.register(protocol, {
          ...topology,
          // In place of the stock callback, which does the same without telling when it is over.
          onConnect: (_peer, connection) => {
            if (isDirect(connection) || connection.direction !== 'inbound') return
            void this.#ask(service(), connection)
          },
        }),
      unregister: (id) => this.#stock.unregister(id),
      handle: (protocol, handler, options) =>
        this.#stock.handle(
          protocol,
          (stream, connection) =>
            this.#answer(stream, connection, async (view) => handler(stream, view)),
          options,
        ),
      unhandle: (protocol) => this.#stock.unhandle(protocol),
    }
    return shim as Registrar
  }

  async #ask(service: StockService, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    if (await this.#knowsBetter(connection)) return
    if (this.#deps.direct(peer) !== undefined || !this.#allTurns().ask(peer)) return
    const question: Question = { dropped: false }
    this.#questions.set(peer, question)
    try {
      const replaced = new AbortController().signal
      await this.#conversation.run({ peer, replaced }, () =>
        service.upgradeInbound(viewOf(connection, question)),
      )
    } catch (err) {
      this.#log('asking %s ended - %e', peer, err)
    } finally {
      this.#questions.delete(peer)
      this.#allTurns().over(peer, 'asking')
    }
  }

  /** With a peer that speaks our own protocol, which does more, DCUtR would only be in its way. */
  async #knowsBetter({ remotePeer }: Connection): Promise<boolean> {
    const { insteadOf } = this.#deps
    return (
      insteadOf !== undefined &&
      (await speaks(this.#peerStore, remotePeer, insteadOf).catch(() => false))
    )
  }

  async #answer(
    stream: Stream,
    connection: Connection,
    answer: (view: Connection) => Promise<void>,
  ): Promise<void> {
    const peer = connection.remotePeer.toString()
    // Only a peer that we dialled through a relay may make us dial: see DCUtR, "The protocol".
    const proper = !isDirect(connection) && connection.direction === 'outbound'
    const mayAsk = proper && this.#admit(peer)
    if (mayAsk) this.#endAnswer(peer)
    const turn = mayAsk ? this.#allTurns().asked(peer) : 'refuse'
    if (turn === 'refuse') {
      this.#log('refused a DCUtR conversation with %s', peer)
      this.#deps.refused?.(mayAsk ? 'dcutr-turn' : proper ? 'dcutr-rate' : 'dcutr-path')
      stream.abort(new Error('no hole punching on this connection now'))
      return
    }
    if (turn === 'yield') this.#drop(peer)
    const answering = new AbortController()
    this.#answers.set(peer, answering)
    try {
      const conversation = { peer, replaced: answering.signal }
      await this.#conversation.run(conversation, () => answer(viewOf(connection)))
    } finally {
      if (this.#answers.get(peer) === answering) this.#endAnswer(peer)
    }
  }

  /**
   * Whoever asks again has given up its last attempt, perhaps at the first RST, and refusing it would be the end: go-libp2p
   * tries no further then. So that attempt ends here too, but for a dial under way, which may just have met the other side.
   */
  #endAnswer(peer: string): void {
    const answering = this.#answers.get(peer)
    if (answering === undefined) return
    this.#answers.delete(peer)
    answering.abort()
    this.#allTurns().over(peer, 'answering')
  }

  #drop(peer: string): void {
    const question = this.#questions.get(peer)
    if (question === undefined) return
    question.dropped = true
    question.stream?.abort(new Error('the peer asks instead'))
  }

  #allTurns(): Turns {
    this.#turns ??= new Turns(this.#deps.self())
    return this.#turns
  }
}

/** The relayed connection as the stock service sees it: it may use it, but not close it. */
function viewOf(connection: Connection, question?: Question): Connection {
  const view = {
    id: connection.id,
    remotePeer: connection.remotePeer,
    remoteAddr: connection.remoteAddr,
    direction: connection.direction,
    log: connection.log,
    newStream: async (...args: Parameters<Connection['newStream']>) => {
      if (question?.dropped === true) throw new Error('the peer asks instead')
      const stream = await connection.newStream(...args)
      if (question !== undefined) question.stream = stream
      return stream
    },
    close: async () => {},
  }
  return view as unknown as Connection
}

/** Admits `most` calls a minute for each key; forgets keys after that minute. */
function rateLimit(most: number): (key: string) => boolean {
  const windowMs = 60_000
  const used = new Map<string, { count: number; until: number }>()
  return (key) => {
    const now = Date.now()
    for (const [k, { until }] of used) if (until <= now) used.delete(k)
    const entry = used.get(key) ?? { count: 0, until: now + windowMs }
    entry.count++
    used.set(key, entry)
    return entry.count <= most
  }
}
