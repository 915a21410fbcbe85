import type { Connection } from '@libp2p/interface'

/** One address of a race, and how long after its start the address may be tried. */
export interface RaceEntry {
  address: string
  startAfterMs: number
}

export interface Attempt {
  address: string
  problem: string
}

export type RaceOutcome = { ok: true; connection: Connection } | { ok: false; tried: Attempt[] }

export interface RaceOptions {
  signal: AbortSignal
  /** How long one address may take, handshake included. */
  addressTimeoutMs: number
}

/**
 * Dials several addresses of one peer, each from its own start time; the first connection wins and the
 * others are given up. One that is made all the same stays open: the other side may have chosen it. When every address under way has failed, the next one starts at once: waiting for its
 * turn would only add time.
 */
export async function race(
  entries: readonly RaceEntry[],
  dialOne: (address: string, signal: AbortSignal) => Promise<Connection>,
  options: RaceOptions,
): Promise<RaceOutcome> {
  const waiting = [...entries].sort((a, b) => a.startAfterMs - b.startAfterMs)
  const tried: Attempt[] = []
  const over = new AbortController()
  const began = Date.now()

  return await new Promise<RaceOutcome>((resolve) => {
    let underWay = 0
    let alarm: NodeJS.Timeout | undefined

    const finish = (outcome: RaceOutcome): void => {
      clearTimeout(alarm)
      options.signal.removeEventListener('abort', onAbort)
      over.abort()
      resolve(outcome)
    }
    const onAbort = (): void => finish({ ok: false, tried })
    const nothingUnderWay = (): boolean => underWay === 0

    const start = ({ address }: RaceEntry): void => {
      underWay++
      const signal = AbortSignal.any([over.signal, AbortSignal.timeout(options.addressTimeoutMs)])
      dialOne(address, signal).then(
        (connection) => finish({ ok: true, connection }),
        (err: unknown) => {
          underWay--
          tried.push({ address, problem: problemOf(err, signal) })
          if (!over.signal.aborted) proceed()
        },
      )
    }

    const proceed = (): void => {
      clearTimeout(alarm)
      const elapsed = Date.now() - began
      let next = waiting[0]
      while (next !== undefined && (next.startAfterMs <= elapsed || nothingUnderWay())) {
        start(next)
        waiting.shift()
        next = waiting[0]
      }
      if (next !== undefined) alarm = setTimeout(proceed, next.startAfterMs - elapsed)
      else if (nothingUnderWay()) finish({ ok: false, tried })
    }

    options.signal.addEventListener('abort', onAbort, { once: true })
    if (options.signal.aborted) onAbort()
    else proceed()
  })
}

function problemOf(err: unknown, signal: AbortSignal): string {
  if (signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError')
    return 'timed out'
  return err instanceof Error ? err.message : String(err)
}
