import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Attempts } from './attempts.ts'
import { paced } from './pace.ts'

export interface KnockOptions {
  /** External endpoint of the probing side. */
  readonly host: string
  readonly port: number
  /**
   * Sockets opened; each gets another external port from our NAT. A refused one is replaced: it was lost to a router,
   * not to chance. With those there are at most twice as many.
   */
  readonly sockets: number
  readonly perSecond: number
  /** How long to wait for an answer after the last socket was opened. */
  readonly patienceMs: number
  /**
   * How long to wait after the first refusal before the rest is opened. It comes from a router that answers strangers
   * with RST, on which only those ports work that were probed before; the probing side needs time to get round.
   */
  readonly refusedPauseMs: number
  /** Ends the search: aborting it is no error. */
  readonly signal: AbortSignal
}

export interface KnockResult {
  /** The first that connected; the caller's from now on. */
  readonly socket: net.Socket | undefined
  readonly opened: number
}

/** Opens sockets to one endpoint, from a new local port each, until one connects; all others are closed. */
export async function knock(options: KnockOptions): Promise<KnockResult> {
  const { host, port, perSecond, patienceMs } = options
  const won = new AbortController()
  const hopeless = new AbortController()
  let socket: net.Socket | undefined
  let allOpened = false
  let refused = 0
  let paused = false
  using attempts = new Attempts({
    limit: options.sockets,
    onConnect: (connected) => {
      if (socket === undefined) socket = connected
      else connected.destroy()
      won.abort()
    },
    onRefused: () => refused++,
    onEmpty: () => {
      if (allOpened) hopeless.abort()
    },
  })
  const searching = AbortSignal.any([options.signal, won.signal])
  let opened = 0
  const most = Array.from({ length: 2 * options.sockets })
  for await (const _ of paced(most, perSecond, searching)) {
    if (opened - refused >= options.sockets) break
    if (refused > 0 && !paused) {
      paused = true
      await wait(options.refusedPauseMs, searching)
      if (searching.aborted) break
    }
    attempts.add(net.connect({ host, port }))
    opened++
  }
  allOpened = true
  if (attempts.size > 0) {
    const waiting = AbortSignal.any([searching, hopeless.signal])
    await wait(patienceMs, waiting)
  }
  return { socket, opened }
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
