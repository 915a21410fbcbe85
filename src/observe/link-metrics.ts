import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

/** What is counted elsewhere and read here when somebody asks. */
export interface LinkSource {
  /** Resumable streams: open now; moved to another path, and bytes sent again for that, since the start. */
  streams(): { sessions: number; moves: number; resumedBytes: number }
  /** How long a hidden node lets a link be idle before it pings, in milliseconds. */
  keepAliveMs(): number
}

/** Numbers about what keeps links and their streams alive. */
export function countLinks(registry: Registry, source: LinkSource): void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number): void => {
    const made: Gauge = new Gauge({ name, help, registers, collect: () => made.set(read()) })
  }
  const counter = (name: string, help: string, read: () => number): void => {
    const made: Counter = new Counter({
      name,
      help,
      registers,
      collect: () => {
        made.reset()
        made.inc(read())
      },
    })
  }
  gauge('warren_resumable_streams', 'Resumable streams open now', () => source.streams().sessions)
  counter(
    'warren_resumable_moves_total',
    'How often a resumable stream went over to another path',
    () => source.streams().moves,
  )
  counter(
    'warren_resumed_bytes_total',
    'Bytes sent once more because a path was lost or left',
    () => source.streams().resumedBytes,
  )
  gauge(
    'warren_keep_alive_seconds',
    'How long an idle link is left alone before it is pinged, as learnt in this network',
    () => source.keepAliveMs() / 1000,
  )
}
