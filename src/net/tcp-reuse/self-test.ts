import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { bindShared } from './bound-socket.ts'
import type { LocalEndpoint, SocketApi } from './bound-socket.ts'

/** Whether dials can leave from the listening port on this machine, and if not, why and what helps. */
export interface PortReuse {
  readonly ok: boolean
  readonly reason?: string
}

// Loopback answers within a millisecond; a machine that needs this long for it is not usable anyhow.
const SELF_TEST_MS = 2_000

const LOOPBACK_PORT: LocalEndpoint = { family: 4, host: '127.0.0.1', port: 0 }

/** Whether two sockets can hold one port here; answers at once. */
export function canSharePorts(api: SocketApi | undefined): PortReuse {
  if (api === undefined) {
    return off(
      `Node.js ${process.version} has no net.BoundSocket; use Node.js 24.21 or newer in the 24 line, or 26.4 or newer`,
    )
  }
  try {
    using first = bindShared(api, LOOPBACK_PORT)
    using second = bindShared(api, { ...LOOPBACK_PORT, port: first.address().port })
    return { ok: second.address().port === first.address().port }
  } catch (err) {
    return off(
      `two sockets cannot share a port here (${why(err)}); run the node on Linux or FreeBSD`,
    )
  }
}

/** Listens on loopback, dials a helper from that very port, and checks which port the helper sees. */
export async function selfTest(api: SocketApi | undefined): Promise<PortReuse> {
  const sharing = canSharePorts(api)
  if (api === undefined || !sharing.ok) return sharing
  try {
    const [held, seen] = await dialFromListeningPort(api)
    if (held === seen) return { ok: true }
    return off(
      `a dial from port ${held} arrived from port ${seen}; look for software that rewrites loopback traffic`,
    )
  } catch (err) {
    return off(
      `a dial from a listening port failed on loopback (${why(err)}); allow traffic on the loopback interface`,
    )
  }
}

async function dialFromListeningPort(
  api: SocketApi,
): Promise<[held: number, seen: number | undefined]> {
  const signal = AbortSignal.timeout(SELF_TEST_MS)
  const bound = bindShared(api, LOOPBACK_PORT)
  const { port } = bound.address()
  const listener = net.createServer()
  const helper = net.createServer()
  let dialled: net.Socket | undefined
  try {
    listener.listen(bound)
    helper.listen({ host: LOOPBACK_PORT.host, port: 0 })
    await Promise.all([
      once(listener, 'listening', { signal }),
      once(helper, 'listening', { signal }),
    ])
    const accepted = once(helper, 'connection', { signal }) as Promise<[net.Socket]>
    dialled = new net.Socket({ handle: bindShared(api, { ...LOOPBACK_PORT, port }) })
    dialled.connect({ host: LOOPBACK_PORT.host, port: (helper.address() as AddressInfo).port })
    const [[socket]] = await Promise.all([accepted, once(dialled, 'connect', { signal })])
    const seen = socket.remotePort
    socket.destroy()
    return [port, seen]
  } finally {
    dialled?.destroy()
    listener.close()
    helper.close()
  }
}

function off(reason: string): PortReuse {
  return { ok: false, reason: `Hole punching is off: ${reason}.` }
}

function why(err: unknown): string {
  return (err as NodeJS.ErrnoException).code ?? (err as Error).message
}
