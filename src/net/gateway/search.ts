import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { SSDP } from '../../../protocols/port-mapping/ssdp.ts'

/** A search goes to the gateway's own network and no further. */
const HOPS = 2

/** Nobody answers a search later than this. */
const OPEN_MS = 5_000

/**
 * Searches a UPnP gateway: asks the group, as UPnP 1.0 wants it, and the gateway itself, as 1.1 allows. Answers of any
 * other device never get through, however tempting.
 */
export class GatewaySearch {
  readonly #socket: Socket
  readonly #bound: Promise<boolean>
  #closing: NodeJS.Timeout | undefined
  readonly #gateway: string

  constructor(gateway: string, from: string, found: (text: string) => void, closed: () => void) {
    this.#gateway = gateway
    this.#socket = createSocket('udp4').unref()
    this.#socket.on('message', (bytes, { address }) => {
      if (address === gateway) found(bytes.toString('latin1'))
    })
    this.#socket.on('close', closed)
    this.#bound = this.#bind(from)
  }

  async send(texts: readonly string[]): Promise<void> {
    clearTimeout(this.#closing)
    this.#closing = setTimeout(() => this.close(), OPEN_MS).unref()
    if (!(await this.#bound)) return
    for (const host of [this.#gateway, SSDP.group]) {
      for (const text of texts) {
        try {
          this.#socket.send(text, SSDP.port, host, () => {})
        } catch {
          return // closed meanwhile
        }
      }
    }
  }

  close(): void {
    clearTimeout(this.#closing)
    try {
      this.#socket.close()
    } catch {
      // An error while it was bound has closed it.
    }
  }

  async #bind(from: string): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#socket.on('error', () => resolve(false))
    this.#socket.once('close', () => resolve(false))
    this.#socket.bind({ address: from, port: 0, exclusive: true }, () => {
      try {
        this.#socket.setMulticastInterface(from)
        this.#socket.setMulticastTTL(HOPS)
        resolve(true)
      } catch {
        resolve(false) // the interface went away in this moment
      }
    })
    return await promise
  }
}
