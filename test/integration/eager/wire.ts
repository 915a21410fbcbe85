import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import type { AddressInfo } from 'node:net'

/** What happens to the bytes of a wire on their way. */
export interface WireOptions {
  /** To a connection from its caller, and back; no delay by default. */
  oneWayMs?: number
  /** Sends every byte by itself. */
  chopped?: boolean
  /** Collects what comes within this time and sends it in one piece. */
  burstMs?: number
  /** What the other side seems to say: its first bytes are replaced by these as soon as somebody connects. */
  startsWith?: Uint8Array
}

/** A TCP port that leads to another one. */
export interface Wire extends AsyncDisposable {
  port: number
}

// So long that everything else takes a fraction of it on a busy machine too: then whole round trips can be counted.
export const ONE_WAY_MS = 150

// Timers may fire a millisecond early, once for every way.
const EARLY_MS = 10

const TRIES = 4

/** How many round trips over wires of `ONE_WAY_MS` pass until `work` is done. */
export async function roundTrips(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return Math.floor((performance.now() - began + EARLY_MS) / (2 * ONE_WAY_MS))
}

/**
 * Asserts that it is so many round trips. What else the machine does, compiling at the first time above all, adds some and never
 * takes any away: the least of a few counts is the true one.
 */
export async function assertRoundTrips(
  expected: number,
  count: () => Promise<number>,
): Promise<void> {
  let least = Infinity
  for (let i = 0; i < TRIES && least > expected; i++) least = Math.min(least, await count())
  assert.equal(least, expected)
}

/** Lays a wire to a port on loopback. */
export async function wireTo(port: number, options: WireOptions = {}): Promise<Wire> {
  const { startsWith = new Uint8Array() } = options
  const sockets = new Set<Socket>()
  const later = delayed(options)
  const server = createServer({ noDelay: true }, (near) => {
    const far = new Socket()
    for (const socket of [near, far]) sockets.add(socket.on('error', () => near.destroy()))
    // As with TCP itself: who accepts knows of a connection half a round trip after who connects.
    later(() => far.setNoDelay().connect(port, '127.0.0.1'))
    if (startsWith.byteLength > 0) near.write(startsWith)
    carry(near, far, options, 0)
    carry(far, near, options, startsWith.byteLength)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Runs each act after the delay; timers of one delay fire in the order in which they were set. */
function delayed({ oneWayMs = 0 }: WireOptions): (act: () => void) => void {
  return (act) => {
    if (oneWayMs === 0) act()
    else setTimeout(act, oneWayMs)
  }
}

function carry(from: Socket, to: Socket, options: WireOptions, withhold: number): void {
  const { chopped = false, burstMs } = options
  const later = delayed(options)
  const send = (bytes: Uint8Array): void => later(() => to.destroyed || to.write(bytes))
  const burst: Uint8Array[] = []
  from.on('data', (data: Buffer) => {
    const bytes = data.subarray(Math.min(withhold, data.byteLength))
    withhold -= data.byteLength - bytes.byteLength
    if (chopped) for (const byte of bytes) send(Uint8Array.of(byte))
    else if (burstMs === undefined) send(bytes)
    else if (burst.push(bytes) === 1) {
      setTimeout(() => send(Buffer.concat(burst.splice(0))), burstMs)
    }
  })
  from.on('close', () => later(() => to.destroy()))
}
