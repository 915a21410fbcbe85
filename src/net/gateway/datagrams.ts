import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import type { Gateway } from './routes.ts'

/** NAT-PMP and PCP servers listen here. */
const SERVER_PORT = 5351

export interface DatagramEvents {
  datagram(bytes: Uint8Array): void
  /** ICMP says that nobody listens there. */
  unreachable(): void
}

/**
 * A UDP conversation with the gateway. The socket is connected, so the kernel lets nothing through but datagrams from
 * the gateway's own address and port; and it has a port of its own, which somebody who cannot listen has to guess.
 */
export class GatewayDatagrams {
  readonly #socket: Socket
  readonly #connected: Promise<boolean>

  constructor(gateway: Gateway, from: string, events: DatagramEvents) {
    const six = from.includes(':')
    this.#socket = createSocket(six ? 'udp6' : 'udp4').unref()
    this.#socket.on('message', (bytes) => events.datagram(bytes))
    // Whatever else goes wrong looks like silence, which the machine knows how to deal with.
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') events.unreachable()
    })
    this.#connected = this.#connect(from, hostOf(gateway))
  }

  async send(bytes: Uint8Array): Promise<void> {
    if (!(await this.#connected)) return
    try {
      // Errors come as events too; without a callback they would come as exceptions.
      this.#socket.send(bytes, () => {})
    } catch {
      // It was closed meanwhile: nobody waits for the answer any more.
    }
  }

  close(): void {
    try {
      this.#socket.close()
    } catch {
      // An error while it was bound has closed it.
    }
  }

  async #connect(from: string, to: string): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#socket.once('close', () => resolve(false))
    this.#socket.once('error', () => resolve(false))
    this.#socket.bind({ address: from, port: 0, exclusive: true }, () => {
      this.#socket.connect(SERVER_PORT, to, (error?: Error) => resolve(error === undefined))
    })
    return await promise
  }
}

/** A link-local address needs the device that it is on. */
function hostOf({ ip, device }: Gateway): string {
  return /^fe[89ab]/i.test(ip) ? `${ip}%${device}` : ip
}
