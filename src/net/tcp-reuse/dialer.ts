import type { Connection, Logger, Transport } from '@libp2p/interface'
import type { TCPDialEvents, TCPDialOptions } from '@libp2p/tcp'
import { getNetConfig, tryGetNetConfig } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { eagerUpgrader } from '../eager/index.ts'
import { bindShared } from './bound-socket.ts'
import type { BoundSocket, SocketApi } from './bound-socket.ts'
import { endsOf } from './ends.ts'
import type { ListeningPorts } from './listening-ports.ts'
import { AttemptSignal } from './signals.ts'
import { resolveTargets } from './targets.ts'
import type { Target } from './targets.ts'
import type { ConnectionFacts, DialRole } from './types.ts'
import { upgraderWith } from './upgrader.ts'

export type DialOptions = TCPDialOptions & DialRole

interface DialerParts {
  readonly stock: Transport<TCPDialEvents>
  readonly ports: ListeningPorts
  /** Where the facts of a connection are kept, by its timeline. */
  readonly facts: WeakMap<object, ConnectionFacts>
  readonly log: Logger
  /** Undefined while dials cannot leave from a listening port. */
  api(): SocketApi | undefined
}

/** One try to connect: as whom, where to, for how long. */
interface Attempt {
  readonly ma: Multiaddr
  readonly options: DialOptions
  /** Undefined for plain stock dials, which resolve names themselves. */
  readonly target?: Target
  readonly connectMs?: number
}

/** What stock TCP spreads into `net.connect` besides its own options. */
interface SocketOptions {
  readonly host?: string
  readonly handle?: BoundSocket
}

// While a name has further addresses to try, one that does not answer gets this long: a connection across
// the world takes 300 ms, and a lost SYN is repeated after one second.
const CONNECT_MS_WITH_ALTERNATIVES = 2_000

/** Dials through stock TCP, handing it sockets that are bound to the listening port already. */
export class Dialer {
  readonly #parts: DialerParts

  constructor(parts: DialerParts) {
    this.#parts = parts
  }

  async dial(ma: Multiaddr, options: DialOptions): Promise<Connection> {
    options.signal.throwIfAborted()
    const api = this.#parts.api()
    if (api === undefined || tryGetNetConfig(ma) === null) {
      if (mustKeepPort(options)) throw noPortToDialFrom(ma)
      return await this.#connect({ ma, options })
    }
    const targets = await resolveTargets(ma, options.signal)
    const last = targets.pop()
    if (last === undefined) {
      throw new WarrenError('ERR_ADDRESS_INVALID', `${ma.toString()} leads to no address`)
    }
    for (const target of targets) {
      try {
        const connectMs = CONNECT_MS_WITH_ALTERNATIVES
        return await this.#dialTarget(api, { ma, options, target, connectMs })
      } catch (err) {
        if (options.signal.aborted) throw err
        this.#parts.log('%s, one address of %a, failed - %e', target.host, ma, err)
      }
    }
    const { connectMs } = options
    return await this.#dialTarget(api, {
      ma,
      options,
      target: last,
      ...(connectMs !== undefined && { connectMs }),
    })
  }

  async #dialTarget(api: SocketApi, attempt: Attempt & { target: Target }): Promise<Connection> {
    const { ma, options, target } = attempt
    const mayShare = options.fromListenPort !== false
    const from = mayShare ? await this.#parts.ports.towards(target, options.signal) : undefined
    if (from !== undefined) {
      try {
        // Disposed here in case that stock TCP never comes to adopt it.
        using handle = bindShared(api, from)
        return await this.#connect(attempt, handle)
      } catch (err) {
        // TCP knows a connection by both its ends: from one port there can be but one to each remote
        // address and port, one that lingers in TIME_WAIT included.
        if (options.fallback === false || !(isPortTaken(err) || hasMetTheirs(err))) throw err
        options.signal.throwIfAborted()
        this.#parts.log('port %d cannot be used towards %a: %e; using another', from.port, ma, err)
      }
    }
    if (mustKeepPort(options)) throw noPortToDialFrom(ma)
    return await this.#connect(attempt)
  }

  async #connect(attempt: Attempt, handle?: BoundSocket): Promise<Connection> {
    const { ma, options, target } = attempt
    const socket: SocketOptions = {
      ...(target !== undefined && { host: target.host }),
      ...(handle !== undefined && { handle }),
    }
    using limit = new AttemptSignal(options.signal, {
      ...(attempt.connectMs !== undefined && { connectMs: attempt.connectMs }),
      ...(options.connecting !== undefined && { connecting: options.connecting }),
    })
    const upgrader = upgraderWith(options.upgrader, {
      upgradeOutbound: async (maConn) => {
        limit.connected()
        const fromListenPort = handle !== undefined
        this.#parts.facts.set(maConn.timeline, { dialled: true, fromListenPort, ...endsOf(maConn) })
        // A name says nothing of the network behind it, and is no address that others may be told.
        if (target !== undefined) maConn.remoteAddr = resolved(ma, target)
        // The upgrader turns the handshake round when told `initiator: false`; the muxer reads this instead.
        if (options.initiator === false) maConn.direction = 'inbound'
        return await eagerUpgrader(options.upgrader).upgradeOutbound(maConn, options)
      },
    })
    return await this.#parts.stock.dial(ma, {
      ...options,
      ...socket,
      signal: limit.signal,
      upgrader,
    })
  }
}

/** The address that was dialled in truth, where a name was asked for. */
function resolved(ma: Multiaddr, { host, port, family }: Target): Multiaddr {
  const { type } = getNetConfig(ma)
  if (type === 'ip4' || type === 'ip6') return ma
  const peer = ma.getComponents().findLast(({ name }) => name === 'p2p')?.value
  const address = multiaddr(`/ip${family}/${host}/tcp/${port}`)
  return peer === undefined ? address : address.encapsulate(`/p2p/${peer}`)
}

function mustKeepPort(options: DialRole): boolean {
  return options.fallback === false && options.fromListenPort !== false
}

/** The port that a dial was to leave from has a connection to that remote address and port already. */
export function isPortTaken(err: unknown): boolean {
  const { code } = err as NodeJS.ErrnoException
  return code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL'
}

/**
 * The other side dialled at the same moment, from the port we dialled to the one we dialled from: TCP makes one connection of both,
 * and both play the client. What comes first is then no answer to our handshake, but the beginning of theirs. Noise has no other name for it.
 */
function hasMetTheirs(err: unknown): boolean {
  return err instanceof Error && /handshake stage 1 .*not long enough/.test(err.message)
}

function noPortToDialFrom(ma: Multiaddr): WarrenError {
  const address = ma.toString()
  return new WarrenError('ERR_NO_DIRECT_PATH', `No listening port to dial ${address} from`, {
    remedy: 'Listen on a TCP port of the same IP version, on a wildcard address.',
    detail: { address },
  })
}
