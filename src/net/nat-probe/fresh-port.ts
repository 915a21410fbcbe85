import net from 'node:net'
import { bindShared } from '../tcp-reuse/bound-socket.ts'
import type { SocketApi } from '../tcp-reuse/bound-socket.ts'
import { familyOf } from '../tcp-reuse/host.ts'

/** Connections that one port takes; two dial-backs are asked for, and a stranger may find it. */
const MAX_ACCEPTED = 4

/** A port that nobody knows yet, open to the outside, and the connections made from it. */
export class FreshPort implements Disposable {
  readonly port: number
  readonly #api: SocketApi
  readonly #host: string
  readonly #server: net.Server
  // One for each connection we make, which are few.
  readonly #made = new Set<net.Socket>()
  #accepted = 0

  /** Throws when no port can be had. What is accepted belongs to `accept` from then on. */
  constructor(api: SocketApi, host: string, accept: (socket: net.Socket) => void) {
    this.#api = api
    this.#host = host
    const bound = bindShared(api, { family: familyOf(host) ?? 4, host, port: 0 })
    this.port = bound.address().port
    this.#server = net.createServer((socket) => {
      socket.on('error', () => {})
      if (++this.#accepted > MAX_ACCEPTED) socket.destroy()
      else accept(socket)
    })
    this.#server.on('error', () => {})
    this.#server.listen(bound)
  }

  /** Connects from this port; what comes of it shows at the other end. The connection stays until the port is closed. */
  connect(host: string, port: number, tag?: Uint8Array): void {
    this.#made.add(
      connectFrom(this.#api, { host: this.#host, port: this.port }, { host, port }, tag),
    )
  }

  [Symbol.dispose](): void {
    this.#server.close()
    for (const socket of this.#made) socket.destroy()
  }
}

/** Connects from a port that others listen on, says what it is by the tag, and keeps quiet about failures. */
export function connectFrom(
  api: SocketApi,
  from: { host: string; port: number },
  to: { host: string; port: number },
  tag?: Uint8Array,
): net.Socket {
  const socket = new net.Socket({
    handle: bindShared(api, { family: familyOf(from.host) ?? 4, ...from }),
  })
  socket.on('error', () => {})
  if (tag !== undefined) socket.once('connect', () => socket.write(tag))
  return socket.connect(to)
}
