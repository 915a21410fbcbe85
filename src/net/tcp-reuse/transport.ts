import type { Socket } from 'node:net'
import { serviceCapabilities, transportSymbol } from '@libp2p/interface'
import type {
  Connection,
  CreateListenerOptions,
  Listener,
  Transport,
  Upgrader,
} from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import type { TCPComponents, TCPDialEvents } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { Acceptor } from './acceptor.ts'
import { adoptSocket } from './adopt.ts'
import { nativeSocketApi } from './bound-socket.ts'
import type { LocalEndpoint, SocketApi } from './bound-socket.ts'
import { Dialer } from './dialer.ts'
import type { DialOptions } from './dialer.ts'
import { ListeningPorts } from './listening-ports.ts'
import { ExpectedPunches } from './punches.ts'
import type { ExpectedPunch } from './punches.ts'
import { canSharePorts, selfTest } from './self-test.ts'
import type { PortReuse } from './self-test.ts'
import type { AdoptOptions, ConnectionFacts, TcpReuseOptions, TcpReuseTransport } from './types.ts'

// Stock TCP cuts a link that was silent for two minutes, but whether an idle link lives is for our own pings to
// decide. Zero means "never" to `socket.setTimeout`.
const NO_INACTIVITY_TIMEOUT = 0

// Node.js leaves the first keep-alive probe at the kernel's two hours. After a minute of silence our own pings
// must have stopped, and the kernel may ask whether the other host is still there.
const KEEP_ALIVE_MS = 60_000
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }

/** Wraps the transport that `@libp2p/tcp` makes; nothing of it is copied or patched. */
export class TcpReuse implements TcpReuseTransport {
  readonly [transportSymbol] = true
  readonly [serviceCapabilities]: string[] = ['@libp2p/transport']
  // Stock TCP's own name, so that a node which is given both fails at once.
  readonly [Symbol.toStringTag] = '@libp2p/tcp'
  readonly #stock: Transport<TCPDialEvents>
  readonly #api: SocketApi | undefined
  readonly #ports = new ListeningPorts()
  readonly #punches = new ExpectedPunches()
  // A connection and the raw one beneath it share their timeline object, the only public link between them.
  readonly #facts = new WeakMap<object, ConnectionFacts>()
  readonly #dialer: Dialer
  readonly #acceptor: Acceptor
  // The node's own, which libp2p hands over with every dial and every listener.
  #upgrader: Upgrader | undefined
  #portReuse: PortReuse
  #tested: Promise<void> | undefined

  constructor(components: TCPComponents, options: TcpReuseOptions = {}) {
    const { socketApi, ...stockOptions } = options
    this.#api = 'socketApi' in options ? socketApi : nativeSocketApi()
    this.#portReuse = canSharePorts(this.#api)
    this.#stock = tcp({
      ...stockOptions,
      inboundSocketInactivityTimeout: NO_INACTIVITY_TIMEOUT,
      outboundSocketInactivityTimeout: NO_INACTIVITY_TIMEOUT,
      listenOpts: { ...KEEP_ALIVE, noDelay: true, ...options.listenOpts },
      dialOpts: { ...KEEP_ALIVE, noDelay: true, ...options.dialOpts },
    })(components)
    const parts = {
      stock: this.#stock,
      ports: this.#ports,
      punches: this.#punches,
      facts: this.#facts,
      log: components.logger.forComponent('warren:tcp-reuse'),
      api: () => (this.#portReuse.ok ? this.#api : undefined),
      ready: () => this.start(),
    }
    this.#dialer = new Dialer(parts)
    this.#acceptor = new Acceptor(parts)
  }

  async start(): Promise<void> {
    this.#tested ??= selfTest(this.#api).then((result) => {
      this.#portReuse = result
    })
    await this.#tested
  }

  stop(): void {
    this.#punches.clear()
  }

  get portReuse(): PortReuse {
    return this.#portReuse
  }

  facts(connection: Pick<Connection, 'timeline'>): ConnectionFacts | undefined {
    return this.#facts.get(connection.timeline)
  }

  expectPunch(punch: ExpectedPunch): Disposable {
    return this.#punches.expect(punch)
  }

  listening(): LocalEndpoint[] {
    return this.#ports.all()
  }

  listenErrors(): WarrenError[] {
    return this.#acceptor.errors()
  }

  async adopt(socket: Socket, peer: Multiaddr, options: AdoptOptions): Promise<Connection> {
    if (this.#upgrader === undefined) {
      socket.destroy()
      throw new WarrenError('ERR_NODE_STOPPED', 'The node has neither listened nor dialled yet')
    }
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    const parts = {
      stock: this.#stock,
      upgrader: this.#upgrader,
      facts: this.#facts,
      isListening: (port: number | undefined) => this.listening().some((at) => at.port === port),
    }
    return await adoptSocket(parts, socket, peer, options)
  }

  async dial(ma: Multiaddr, options: DialOptions): Promise<Connection> {
    this.#upgrader = options.upgrader
    return await this.#dialer.dial(ma, options)
  }

  createListener(options: CreateListenerOptions): Listener {
    this.#upgrader = options.upgrader
    return this.#acceptor.createListener(options)
  }

  listenFilter(multiaddrs: Multiaddr[]): Multiaddr[] {
    return this.#stock.listenFilter(multiaddrs)
  }

  dialFilter(multiaddrs: Multiaddr[]): Multiaddr[] {
    return this.#stock.dialFilter(multiaddrs)
  }
}
