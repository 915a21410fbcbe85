/** The using side of the tunnel: local listeners whose connections go to a peer's service. */
import { createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Stream } from '@libp2p/interface'
import { type ErrorCode, WarrenError } from '../../protocols/kernel/errors.ts'
import { decodeAnswer, encodeOpen, type RefusalCode } from '../../protocols/tunnel/codec.ts'
import { TUNNEL_LIMITS, TUNNEL_PROTOCOL } from '../../protocols/tunnel/limits.ts'
import { frames } from '../net/frames.ts'
import { formatHostPort, parseHostPort } from '../net/host-port.ts'
import { pipeSocket } from '../net/pipe-socket.ts'
import { Running } from './running.ts'
import { checkName } from './tunnel-services.ts'
import type { TunnelDeps } from './tunnel-deps.ts'

/** A peer's service and the local address that leads to it. */
export interface ForwardSpec {
  /** `host:port`, or a port on 127.0.0.1; port 0 picks one. */
  listen: string
  peer: string
  service: string
}

/** A forward as it stands. */
export interface ForwardState extends ForwardSpec {
  /** Streams open now. */
  open: number
  bytesIn: number
  bytesOut: number
}

interface Forward extends ForwardState {
  server: Server
  removed: AbortController
}

/** Other addresses let other hosts in, so they must be asked for by name. */
const DEFAULT_HOST = '127.0.0.1'

/** Half of the usual 1,024 open files of a process, so that one forward cannot starve the node. */
const MAX_SOCKETS = 512

/** Far more than a person keeps apart; stops a script that adds and never removes. */
const MAX_FORWARDS = 64

const ERRORS: Record<RefusalCode, ErrorCode> = {
  unknown: 'ERR_SERVICE_UNKNOWN',
  denied: 'ERR_SERVICE_REFUSED',
  unavailable: 'ERR_SERVICE_UNAVAILABLE',
  busy: 'ERR_LIMIT_REACHED',
}

/** Everything this node brings to local ports. */
export class Forwards {
  readonly #deps: TunnelDeps
  readonly #forwards = new Map<string, Forward>()
  readonly #running = new Running()
  /** Listeners being opened count too, or two calls at once would share a name. */
  readonly #starting = new Set<string>()

  constructor(deps: TunnelDeps) {
    this.#deps = deps
  }

  async add({ listen, peer, service }: ForwardSpec): Promise<ForwardState> {
    this.#running.throwIfStopped()
    checkName(service)
    checkPeer(peer)
    const at = parseHostPort(listen, DEFAULT_HOST)
    const wanted = formatHostPort(at)
    this.#checkRoom(wanted, at.port)

    this.#starting.add(wanted)
    const server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
    })
    server.maxConnections = MAX_SOCKETS
    try {
      await listening(server, at)
    } finally {
      this.#starting.delete(wanted)
    }
    const bound = server.address() as { port: number }
    const forward: Forward = {
      listen: formatHostPort({ host: at.host, port: bound.port }),
      peer,
      service,
      open: 0,
      bytesIn: 0,
      bytesOut: 0,
      server,
      removed: new AbortController(),
    }
    server.on('connection', (socket) => void this.#carry(forward, socket))
    this.#forwards.set(forward.listen, forward)
    return state(forward)
  }

  async remove(listen: string): Promise<boolean> {
    const key = formatHostPort(parseHostPort(listen, DEFAULT_HOST))
    const forward = this.#forwards.get(key)
    if (forward === undefined) return false
    this.#forwards.delete(key)
    const closed = once(forward.server, 'close')
    forward.server.close()
    forward.removed.abort(
      new WarrenError('ERR_SERVICE_UNKNOWN', `the forward on ${key} was removed`),
    )
    await closed
    return true
  }

  list(): ForwardState[] {
    return [...this.#forwards.values()].map(state)
  }

  async stop(deadline: AbortSignal): Promise<void> {
    for (const { server } of this.#forwards.values()) server.close()
    await this.#running.stop(deadline)
  }

  #checkRoom(wanted: string, port: number): void {
    if (this.#forwards.size + this.#starting.size >= MAX_FORWARDS) {
      throw new WarrenError('ERR_LIMIT_REACHED', `a node keeps at most ${MAX_FORWARDS} forwards`)
    }
    if (port === 0 || !(this.#forwards.has(wanted) || this.#starting.has(wanted))) return
    throw new WarrenError('ERR_NAME_TAKEN', `${wanted} is forwarded already`, {
      remedy: `Choose another port, or take it back first: warren forward --remove ${wanted}.`,
    })
  }

  async #carry(forward: Forward, socket: Socket): Promise<void> {
    const { peer, service } = forward
    forward.open += 1
    // Until it is piped, an error only means that the client has left.
    socket.on('error', ignore)
    try {
      await this.#running.track(async (stopping) => {
        const signal = AbortSignal.any([stopping, forward.removed.signal])
        const stream = await this.#open(peer, service, signal)
        await pipeSocket(stream, socket, {
          signal,
          count: (direction, bytes) => {
            if (direction === 'in') forward.bytesIn += bytes
            else forward.bytesOut += bytes
          },
        })
      })
    } catch (error) {
      this.#deps.logger.debug({ peer, service, error }, 'a forwarded connection ended early')
      // A reset, not an end: the client must not take silence for an empty answer.
      socket.resetAndDestroy()
    } finally {
      forward.open -= 1
    }
  }

  /** A stream that the peer has joined to its service, paused. */
  async #open(peer: string, service: string, signal: AbortSignal): Promise<Stream> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(TUNNEL_LIMITS.connectMs)])
    try {
      const stream = await this.#deps.open(peer, TUNNEL_PROTOCOL, { signal: deadline })
      try {
        return await ask(stream, service, deadline)
      } catch (error) {
        stream.abort(error as Error)
        throw error
      }
    } catch (error) {
      signal.throwIfAborted()
      const cause = deadline.aborted ? tooLate(peer, error) : (error as Error)
      this.#deps.publish({ type: 'service:refused', service, peer, reason: cause.message })
      throw cause
    }
  }
}

async function ask(stream: Stream, service: string, signal: AbortSignal): Promise<Stream> {
  const framed = frames(stream, { maxBytes: TUNNEL_LIMITS.messageBytes })
  const deadline = { signal, timeoutMs: TUNNEL_LIMITS.connectMs }
  await framed.write(encodeOpen({ service, flags: 0 }), deadline)
  const answer = decodeAnswer(await framed.read(deadline))
  if (!answer.ok) throw new WarrenError('ERR_PROTOCOL_VIOLATION', answer.violation.text)
  if (answer.value.opened) return framed.unwrap()
  const { code, message } = answer.value
  throw new WarrenError(ERRORS[code], message === '' ? code : `${code}: ${message}`)
}

async function listening(server: Server, at: { host: string; port: number }): Promise<void> {
  const where = formatHostPort(at)
  try {
    server.listen(at.port, at.host)
    await once(server, 'listening')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new WarrenError('ERR_PORT_IN_USE', `${where} is used by another program`, {
        cause,
        remedy: `Choose another port (0 picks a free one), or see who has it: ss -ltnp 'sport = :${at.port}'.`,
      })
    }
    throw new WarrenError(
      'ERR_LISTEN_FAILED',
      `cannot listen on ${where}: ${(cause as Error).message}`,
      {
        cause,
        remedy: 'Choose an address of this host, and a port above 1023 unless you are root.',
      },
    )
  }
}

function checkPeer(peer: string): void {
  try {
    peerIdFromString(peer)
  } catch (cause) {
    throw new WarrenError('ERR_PEER_INVALID', `"${peer}" is not a peer id`, {
      cause,
      remedy: 'Use what `warren id` prints on the other host; it begins with 12D3KooW.',
    })
  }
}

function tooLate(peer: string, cause: unknown): WarrenError {
  return new WarrenError(
    'ERR_TIMEOUT',
    `${peer} was not reached within ${TUNNEL_LIMITS.connectMs} ms`,
    { cause },
  )
}

function state({ listen, peer, service, open, bytesIn, bytesOut }: Forward): ForwardState {
  return { listen, peer, service, open, bytesIn, bytesOut }
}

function ignore(): void {}
