import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { bindShared, nativeSocketApi } from '../tcp-reuse/bound-socket.ts'
import type { LocalEndpoint, SocketApi } from '../tcp-reuse/bound-socket.ts'
import { Attempts } from './attempts.ts'
import { paced } from './pace.ts'

export interface ProbeOptions {
  /** IP address of the opening side; one that somebody we chose ourselves has vouched for. */
  readonly host: string
  /** Its guessed ports, best first; each gets one SYN. */
  readonly ports: Iterable<number>
  /** The listening port, whose mapping the opening side knows. */
  readonly from: LocalEndpoint
  readonly perSecond: number
  /** Sockets kept open at once; should be as many as there are ports, see SEARCH.inFlight: a port whose socket was closed is lost. */
  readonly inFlight: number
  /** How long the sockets stay open after the last SYN, unless the signal aborts before. */
  readonly lingerMs?: number
  /** Ends the search: aborting it is no error. */
  readonly signal: AbortSignal
  /** Gets the sockets that connected, which are the caller's from then on. */
  onConnect(socket: net.Socket): void
}

// The other side may open its sockets after our last SYN, and a lost SYN is repeated after one second.
const LINGER_MS = 3_000

// A search that meets the limit of open files gives this many back: the rest of the node needs some, too.
const FILES_GIVEN_BACK = 64

/**
 * Sends SYNs from the listening port to these ports of the host, so that our NAT lets SYNs from there in: they meet
 * the socket that is still connecting, which is TCP's simultaneous open.
 */
export async function probe(options: ProbeOptions): Promise<{ sent: number }> {
  const { host, from, perSecond, signal } = options
  const api = nativeSocketApi()
  if (api === undefined || net.isIP(host) !== (from.family === 4 ? 4 : 6)) throw cannotProbe(host)
  const nothingLeft = new AbortController()
  let allSent = false
  using attempts = new Attempts({
    limit: options.inFlight,
    onConnect: (socket) => options.onConnect(socket),
    onEmpty: () => {
      if (allSent) nothingLeft.abort()
    },
  })
  let sent = 0
  for await (const port of paced(options.ports, perSecond, signal)) {
    const socket = connectFrom(api, from, host, port)
    if (socket === undefined) {
      for (let n = 0; n < FILES_GIVEN_BACK; n++) attempts.closeOldest()
      break
    }
    attempts.add(socket)
    sent++
  }
  allSent = true
  if (attempts.size > 0) {
    const waiting = AbortSignal.any([signal, nothingLeft.signal])
    await sleep(options.lingerMs ?? LINGER_MS, undefined, { signal: waiting }).catch(() => {})
  }
  return { sent }
}

/** Undefined when the process may open no more sockets, or the port is not ours to share any more. */
function connectFrom(
  api: SocketApi,
  from: LocalEndpoint,
  host: string,
  port: number,
): net.Socket | undefined {
  try {
    const socket = new net.Socket({ handle: bindShared(api, from) })
    return socket.connect({ host, port })
  } catch {
    return undefined
  }
}

function cannotProbe(host: string): WarrenError {
  return new WarrenError('ERR_NO_DIRECT_PATH', `Cannot search for ports of ${host} from here`, {
    remedy: 'Listen on a TCP port of the same IP version, on Node.js 26.4 or newer.',
    detail: { host },
  })
}
