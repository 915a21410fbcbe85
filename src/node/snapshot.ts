import { tcpAddress } from '../../protocols/kernel/address.ts'
import { isoOf } from '../drivers/clock.ts'
import type { KnownPeer, OverlayDriver } from '../drivers/overlay.ts'
import type { ReachabilityDriver } from '../drivers/reachability.ts'
import type { RelayService } from '../drivers/relay-service.ts'
import type { RelayingDriver } from '../drivers/relaying.ts'
import type { TcpReuseTransport } from '../net/tcp-reuse/index.ts'
import type { Conditions } from '../observe/conditions.ts'
import { version } from '../version.ts'
import type { Links } from './links.ts'
import type { Presence } from './presence.ts'
import type {
  NodeStatus,
  OverlayStatus,
  PeerKey,
  PeerStatus,
  ReachabilityEvidence,
  RelayStatus,
  Topology,
} from '../types.ts'

export interface SnapshotParts {
  self: PeerKey
  network: string
  links: Links
  overlay: OverlayDriver
  reachability: ReachabilityDriver
  relaying: RelayingDriver
  relayService: RelayService
  presence: Presence
  conditions: Conditions
  transport: TcpReuseTransport
  /** The network has a key. */
  closed: boolean
  services(): string[]
}

function overlayStatus(overlay: OverlayDriver, closed: boolean): OverlayStatus {
  const { heard, reached, lost, estimate, healing } = overlay.view()
  const roles = overlay.neighbours().map(({ role }) => role)
  const chosen = roles.filter((role) => role === 'chosen').length
  return {
    chosen,
    accepted: roles.length - chosen,
    reached,
    heard,
    lost,
    ...(estimate === undefined ? {} : { estimatedSize: Math.round(estimate) }),
    healing,
    closed,
  }
}

/** The node's state in the words of the public API: one builder for API, command line, page and library. */
export class Snapshot {
  readonly #parts: SnapshotParts

  constructor(parts: SnapshotParts) {
    this.#parts = parts
  }

  status(phase: NodeStatus['phase']): NodeStatus {
    const { self, network, links, overlay, reachability, presence, relayService } = this.#parts
    const { verdict, confirmations } = reachability.state
    const { ok, reason } = this.#parts.transport.portReuse
    return {
      peerId: self,
      version,
      network,
      phase,
      addresses: presence.joinable(),
      listening: reachability
        .ownEndpoints()
        .map(({ ip, port }) => `${tcpAddress(ip, port)}/p2p/${self}`),
      reachability: { verdict, since: presence.since, confirmations, evidence: this.#evidence() },
      nat: presence.nat(),
      relays: this.#relays(),
      serving: {
        relay: relayService.serving,
        ...relayService.stats(),
        budgets: relayService.budgets(),
      },
      links: links.counts(),
      peersKnown: overlay.known().length,
      overlay: overlayStatus(overlay, this.#parts.closed),
      services: this.#parts.services(),
      conditions: this.#parts.conditions.list(),
      transport: { portReuse: ok, ...(reason === undefined ? {} : { reason }) },
    }
  }

  peers(): PeerStatus[] {
    const { overlay, links } = this.#parts
    const known = overlay.known()
    const names = new Set(known.map(({ peer }) => peer))
    const strangers = [...links.peers()].filter((peer) => !names.has(peer))
    return [
      ...known.map((peer) => this.#known(peer)),
      ...strangers.map((peer) => this.#stranger(peer)),
    ]
  }

  peer(id: PeerKey): PeerStatus | undefined {
    const known = this.#parts.overlay.get(id)
    if (known !== undefined) return this.#known(known)
    return this.#parts.links.has(id) ? this.#stranger(id) : undefined
  }

  topology(): Topology {
    const { self, links, overlay, reachability, relaying, relayService } = this.#parts
    const serving = relayService.serving
    const own = {
      peer: self,
      self: true as const,
      reachability: reachability.state.verdict,
      relay: serving,
    }
    const others = overlay.known().map((known) => ({
      peer: known.peer,
      reachability: known.reachability,
      relay: known.relay !== undefined,
    }))
    const linked = [...links.peers()].flatMap((to) => {
      const path = links.path(to)
      if (path === undefined) return []
      const via = path.kind === 'relayed' ? { via: path.via } : {}
      return [{ from: self, to, kind: path.kind, ...via }]
    })
    const reserved = relaying
      .held()
      .map(({ peer }) => ({ from: self, to: peer, kind: 'reservation' as const }))
    return { nodes: [own, ...others], edges: [...linked, ...reserved] }
  }

  #evidence(): ReachabilityEvidence[] {
    return this.#parts.reachability
      .reasons()
      .map(({ at, ...reason }) => ({ ...reason, at: isoOf(at) }))
  }

  #relays(): RelayStatus[] {
    return this.#parts.relaying.relays().map(({ peer, state, until, forwards }) => {
      const path = this.#parts.links.path(peer)
      return {
        peer,
        state,
        ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
        ...(path?.rttMs === undefined ? {} : { rttMs: path.rttMs }),
        ...(forwards === undefined ? {} : { forwards }),
      }
    })
  }

  #known(known: KnownPeer): PeerStatus {
    const path = this.#parts.links.path(known.peer)
    return {
      peer: known.peer,
      state: path === undefined ? 'known' : 'linked',
      ...(path === undefined ? {} : { path }),
      reachability: known.reachability,
      nat: { mapping: known.mapping, filtering: known.filtering },
      services: known.services,
      addresses: known.addresses.map(({ address }) => address),
      knownFrom: known.knownFrom,
      lastSeen: new Date(path === undefined ? known.lastSeenAt : Date.now()).toISOString(),
    }
  }

  /** Linked, but no record of it: a peer of another kind, or one that has not said hello yet. */
  #stranger(peer: PeerKey): PeerStatus {
    const path = this.#parts.links.path(peer)
    return {
      peer,
      state: 'linked',
      ...(path === undefined ? {} : { path }),
      reachability: 'unknown',
      nat: { mapping: 'unknown', filtering: 'unknown' },
      services: [],
      addresses: path?.kind === 'direct' ? [path.address] : [],
      knownFrom: 'inbound',
      lastSeen: new Date().toISOString(),
    }
  }
}
