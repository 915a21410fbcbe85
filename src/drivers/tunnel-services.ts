/** The offering side of the tunnel: decides by name and peer, then joins the stream to the service. */
import { connect, type Socket } from 'node:net'
import type { Stream } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { refusal } from '../../protocols/tunnel/admission.ts'
import { decodeOpen, encodeAnswer, type OpenAnswer } from '../../protocols/tunnel/codec.ts'
import { isServiceName, TUNNEL_LIMITS } from '../../protocols/tunnel/limits.ts'
import { type FrameOptions, type Frames, frames } from '../net/frames.ts'
import { parseHostPort, type HostPort } from '../net/host-port.ts'
import { pipeSocket } from '../net/pipe-socket.ts'
import { closeWrite, linger, toError } from '../net/stream-flow.ts'
import { Running } from './running.ts'
import type { TunnelLog } from './tunnel-deps.ts'

/** A TCP service that is shared. */
export interface ServiceSpec {
  name: string
  /** `host:port` it leads to. */
  target: string
  allow: 'all' | string[]
}

type Refused = Extract<OpenAnswer, { opened: false }>

/** The service's socket, and the signal that takes it away again. */
interface Target {
  socket: Socket
  signal: AbortSignal
}

interface Service extends ServiceSpec {
  at: HostPort
  withdrawn: AbortController
}

/** Ed25519 peer ids have 52 characters; a list longer than this belongs into an overlay of its own. */
const MAX_ALLOWED_PEERS = 1024

/** Everything this node shares. */
export class Services {
  readonly #log: TunnelLog
  readonly #services = new Map<string, Service>()
  readonly #openByPeer = new Map<string, number>()
  readonly #running = new Running()

  constructor(log: TunnelLog) {
    this.#log = log
  }

  add({ name, target, allow }: ServiceSpec): void {
    this.#running.throwIfStopped()
    checkName(name)
    if (this.#services.has(name)) {
      throw new WarrenError('ERR_NAME_TAKEN', `service "${name}" is shared already`, {
        remedy: `Choose another name, or take it back first: warren expose --remove ${name}.`,
      })
    }
    if (this.#services.size >= TUNNEL_LIMITS.services) {
      throw new WarrenError(
        'ERR_LIMIT_REACHED',
        `a node shares at most ${TUNNEL_LIMITS.services} services`,
      )
    }
    if (allow !== 'all' && allow.length > MAX_ALLOWED_PEERS) {
      throw new WarrenError(
        'ERR_LIMIT_REACHED',
        `a service is shared with at most ${MAX_ALLOWED_PEERS} peers by name`,
      )
    }
    const at = parseHostPort(target)
    // The caller's list is copied: changing it later must not change who is let in.
    const service = { name, target, allow: allow === 'all' ? allow : [...allow], at }
    this.#services.set(name, { ...service, withdrawn: new AbortController() })
  }

  remove(name: string): boolean {
    const service = this.#services.get(name)
    if (service === undefined) return false
    this.#services.delete(name)
    service.withdrawn.abort(
      new WarrenError('ERR_SERVICE_UNKNOWN', `service "${name}" was withdrawn`),
    )
    return true
  }

  list(): ServiceSpec[] {
    return [...this.#services.values()].map(({ name, target, allow }) => ({
      name,
      target,
      allow: allow === 'all' ? allow : [...allow],
    }))
  }

  /** Answers one stream and carries it to its end. */
  async answer(stream: Stream, peer: string): Promise<void> {
    await this.#running.track(async (stopping) => {
      try {
        await this.#serve(stream, peer, stopping)
      } catch (error) {
        // Streams break for many reasons that are nobody's fault here; the other side learns by the reset.
        this.#log.debug({ peer, error }, 'a tunnel ended early')
        stream.abort(toError(error))
      }
    })
  }

  stop(deadline: AbortSignal): Promise<void> {
    return this.#running.stop(deadline)
  }

  async #serve(stream: Stream, peer: string, stopping: AbortSignal): Promise<void> {
    const openForPeer = this.#openByPeer.get(peer) ?? 0
    const openInAll = this.#running.size - 1
    this.#openByPeer.set(peer, openForPeer + 1)
    try {
      const framed = frames(stream, { maxBytes: TUNNEL_LIMITS.messageBytes })
      const deadline = { signal: stopping, timeoutMs: TUNNEL_LIMITS.openMs }
      const asked = decodeOpen(await framed.read(deadline))
      if (!asked.ok) throw new WarrenError('ERR_PROTOCOL_VIOLATION', asked.violation.text)

      const { service: name } = asked.value
      const service = this.#services.get(name)
      const no = refusal({ peer, service: name, allow: service?.allow, openForPeer, openInAll })
      const opened = no ?? (await this.#connect(service as Service, stopping))
      if ('code' in opened) {
        this.#log.info({ peer, service: name, code: opened.code }, 'a tunnel was refused')
        await framed.write(encodeAnswer(opened), deadline)
        await closeWrite(stream)
        linger(stream)
        return
      }
      await join(framed, opened, deadline)
    } finally {
      this.#release(peer)
    }
  }

  async #connect(service: Service, stopping: AbortSignal): Promise<Target | Refused> {
    const signal = AbortSignal.any([stopping, service.withdrawn.signal])
    try {
      return { socket: await connected(service.at, signal), signal }
    } catch (error) {
      signal.throwIfAborted()
      const { name, target } = service
      this.#log.warn({ service: name, target, error }, 'a shared service does not answer')
      const message = `service "${name}" does not answer on the host that shares it`
      return { opened: false, code: 'unavailable', message }
    }
  }

  #release(peer: string): void {
    const left = (this.#openByPeer.get(peer) ?? 1) - 1
    if (left === 0) this.#openByPeer.delete(peer)
    else this.#openByPeer.set(peer, left)
  }
}

async function join(
  framed: Frames,
  { socket, signal }: Target,
  deadline: FrameOptions,
): Promise<void> {
  try {
    await framed.write(encodeAnswer({ opened: true, flags: 0 }), deadline)
  } catch (error) {
    socket.destroy()
    throw error
  }
  await pipeSocket(framed.unwrap(), socket, { signal })
}

/** Throws for names that no service can have. */
export function checkName(name: string): void {
  if (isServiceName(name)) return
  throw new WarrenError('ERR_CONFIG_INVALID', `"${name}" cannot name a service`, {
    remedy: `Use up to ${TUNNEL_LIMITS.nameBytes} of a-z, 0-9, ".", "_" and "-", starting with a letter or digit.`,
  })
}

/** A socket to the target, not read from yet. */
function connected({ host, port }: HostPort, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true })
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(TUNNEL_LIMITS.targetMs)])
  const onAbort = (): void => {
    socket.destroy(deadline.reason as Error)
  }
  deadline.addEventListener('abort', onAbort)
  if (deadline.aborted) onAbort()
  socket.once('error', reject)
  socket.once('connect', () => {
    socket.off('error', reject)
    deadline.removeEventListener('abort', onAbort)
    resolve(socket)
  })
  return promise
}
