import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { NodeEvent, NodeStatus } from '../types.ts'
import type { EventHub } from './event-hub.ts'
import { countLinks } from './link-metrics.ts'
import type { LinkSource } from './link-metrics.ts'
import { countMappings } from './mapping-metrics.ts'
import type { MappingSource } from './mapping-metrics.ts'
import { countPunches } from './punch-metrics.ts'
import { countProbes } from './probe-metrics.ts'
import type { ProbeSource } from './probe-metrics.ts'
import type { PunchSource } from './punch-metrics.ts'

/** Time to a direct path: from one LAN round trip to the last try on a slow and lossy path. */
const SECONDS = [0.05, 0.1, 0.2, 0.4, 0.6, 1, 2, 3, 5, 10, 20]

/**
 * Numbers for Prometheus: counters follow the events, gauges read the status when asked. Labels are bounded words,
 * never peer ids.
 */
export class NodeMetrics {
  readonly #registry = new Registry()
  readonly #stop: (() => void)[]

  constructor(
    hub: EventHub,
    status: () => NodeStatus,
    {
      punching,
      links,
      probes,
      mapping,
    }: {
      punching: PunchSource
      links: LinkSource
      probes: ProbeSource
      mapping: MappingSource
    },
  ) {
    collectDefaultMetrics({ register: this.#registry })
    this.#gauges(status)
    countLinks(this.#registry, links)
    countProbes(this.#registry, probes)
    this.#stop = [
      hub.listen(this.#counters()),
      countPunches(this.#registry, punching),
      countMappings(this.#registry, mapping),
    ]
  }

  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  stop(): void {
    for (const stop of this.#stop) stop()
    this.#registry.clear()
  }

  #gauges(status: () => NodeStatus): void {
    const registers = [this.#registry]
    const gauge = (name: string, help: string, read: (status: NodeStatus) => number): void => {
      const made: Gauge = new Gauge({
        name,
        help,
        registers,
        collect: () => made.set(read(status())),
      })
    }
    gauge('warren_links_direct', 'Peers linked over a direct path', (s) => s.links.direct)
    gauge('warren_links_relayed', 'Peers linked over a relay only', (s) => s.links.relayed)
    gauge('warren_peers_known', 'Members of the overlay known', (s) => s.peersKnown)
    gauge('warren_neighbours_chosen', 'Neighbours of our choosing', (s) => s.overlay.chosen)
    gauge('warren_neighbours_accepted', 'Neighbours that chose us', (s) => s.overlay.accepted)
    gauge('warren_peers_reached', 'Members that answered our dials', (s) => s.overlay.reached)
    gauge('warren_peers_lost', 'Members given up, kept for healing', (s) => s.overlay.lost)
    gauge(
      'warren_overlay_size',
      'Estimated members of the overlay; 0 while unknown',
      (s) => s.overlay.estimatedSize ?? 0,
    )
    gauge('warren_overlay_healing', 'Whether a split of the overlay is being healed', (s) =>
      s.overlay.healing ? 1 : 0,
    )
    gauge(
      'warren_relays_held',
      'Reservations held at relays',
      (s) => s.relays.filter((relay) => relay.state === 'held').length,
    )
    gauge(
      'warren_serving_reservations',
      'Reservations others hold here',
      (s) => s.serving.reservations,
    )
    gauge('warren_serving_circuits', 'Circuits relayed now', (s) => s.serving.circuits)
    gauge('warren_serving_bytes', 'Bytes relayed for others', (s) => s.serving.bytesRelayed)
    gauge(
      'warren_serving_reservations_limit',
      'Reservations this host can give',
      (s) => s.serving.budgets.reservations.limit,
    )
    gauge(
      'warren_serving_circuits_limit',
      'Circuits this host can relay at a time',
      (s) => s.serving.budgets.circuits.limit,
    )
    gauge(
      'warren_serving_bytes_left',
      'Bytes that may be relayed before the budget of all circuits is used up',
      (s) => s.serving.budgets.bytes.left,
    )
    gauge('warren_serving_busy', 'Whether this host has no time for more', (s) =>
      s.serving.budgets.busy ? 1 : 0,
    )
    this.#refusals(status)
    gauge('warren_conditions_raised', 'Conditions raised now', (s) => s.conditions.length)
    gauge('warren_port_mapped', 'Whether the router holds a port open for this node', (s) =>
      s.nat.portMapping === 'none' ? 0 : 1,
    )
    gauge('warren_public', 'Whether this node is publicly reachable', (s) =>
      s.reachability.verdict === 'public' ? 1 : 0,
    )
  }

  #refusals(status: () => NodeStatus): void {
    const made: Counter<'reason'> = new Counter({
      name: 'warren_serving_refusals_total',
      help: 'Reservations and circuits refused, by reason',
      labelNames: ['reason'] as const,
      registers: [this.#registry],
      collect: () => {
        made.reset()
        for (const [reason, times] of Object.entries(status().serving.budgets.refused)) {
          made.inc({ reason }, times)
        }
      },
    })
  }

  #counters(): (event: NodeEvent) => void {
    const registers = [this.#registry]
    const toDirect = new Histogram({
      name: 'warren_time_to_direct_seconds',
      help: 'From the first connection to a direct path',
      buckets: SECONDS,
      registers,
    })
    const linked = new Counter({
      name: 'warren_links_total',
      help: 'Links made, by the kind of their first path',
      labelNames: ['kind'] as const,
      registers,
    })
    const gone = new Counter({ name: 'warren_links_gone_total', help: 'Links lost', registers })
    const relaysLost = new Counter({
      name: 'warren_relays_lost_total',
      help: 'Reservations lost',
      registers,
    })
    const refused = new Counter({
      name: 'warren_service_refusals_total',
      help: 'Streams to services refused',
      registers,
    })
    return (event) => {
      if (event.type === 'peer:linked') linked.inc({ kind: event.path.kind })
      else if (event.type === 'peer:gone') gone.inc()
      else if (event.type === 'relay:lost') relaysLost.inc()
      else if (event.type === 'service:refused') refused.inc()
      else if (event.type === 'peer:path-changed' && event.to.kind === 'direct') {
        toDirect.observe(event.ms / 1000)
      }
    }
  }
}
