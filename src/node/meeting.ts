import type { PrivateKey } from '@libp2p/interface'
import { endpointAddress, parseAddress, scopeOf } from '../../protocols/kernel/address.ts'
import { BoundedMap } from '../../protocols/kernel/bounded.ts'
import { NOTHING_KNOWN } from '../../protocols/hole-punching/facts.ts'
import type { Endpoint, SideFacts } from '../../protocols/hole-punching/facts.ts'
import type { Attempt } from '../../protocols/hole-punching/outputs.ts'
import { systemClock } from '../drivers/clock.ts'
import type { KnownPeer, OverlayDriver } from '../drivers/overlay.ts'
import { PunchingDriver } from '../drivers/punching.ts'
import type { PunchEvent, PunchingDeps } from '../drivers/punching.ts'
import type { ReachabilityDriver } from '../drivers/reachability.ts'
import type { RelayService } from '../drivers/relay-service.ts'
import type { RelayingDriver } from '../drivers/relaying.ts'
import { createSignalling } from '../drivers/signalling.ts'
import type { Signalling } from '../drivers/signalling.ts'
import type { DcutrRefusal, PunchReport } from '../drivers/puncher.ts'
import type { EventHub } from '../observe/event-hub.ts'
import type { PunchNews } from '../observe/punch-metrics.ts'
import { DcutrLog } from './dcutr-log.ts'
import { readTarget } from './connector.ts'
import type { Connector } from './connector.ts'
import type { Libp2pNode } from './libp2p.ts'
import type { Links } from './links.ts'
import type { PeerKey } from '../types.ts'

/** Peers whose last problem is remembered; a node punches to far fewer at a time. */
const MAX_PROBLEMS = 1_024

/** How this node meets others directly: signals through relays, campaigns, and why the last of them failed. */
export interface Meeting {
  signalling: Signalling
  punching: PunchingDriver
  /** What is told to others of our network. */
  ownFacts(): SideFacts
  /** Why the last campaign with the peer failed. */
  problem(peer: PeerKey): string | undefined
  /** What the peer's record says of its network. */
  factsOf(peer: PeerKey): SideFacts
  /** Relays by which the peer's record says it can be reached. */
  relaysOf(peer: PeerKey): PeerKey[]
  /** The last attempts with the peer, over our own protocol and over DCUtR, oldest first. */
  attempts(peer: PeerKey): Attempt[]
  /** Takes in what the DCUtR service reports. */
  dcutr(report: PunchReport): void
  /** A DCUtR conversation was refused. */
  dcutrRefused(reason: DcutrRefusal): void
  /** Messages that were rejected, by reason. */
  rejected(): ReadonlyMap<string, number>
  /** Calls back with how attempts and series of them end; the returned function ends that. */
  onPunch(listener: (news: PunchNews) => void): () => void
}

/** The parts of the node that meeting needs. */
export interface MeetingParts {
  self: PeerKey
  libp2p: Libp2pNode
  links: Links
  connector: Connector
  overlay: OverlayDriver
  reachability: ReachabilityDriver
  relaying: RelayingDriver
  relayService: RelayService
}

/** Puts together what meets; `parts` is filled by the time anything here is called. */
export function makeMeeting(
  parts: MeetingParts,
  settings: { bootstrap: string[]; network: string },
  privateKey: PrivateKey,
  hub: EventHub,
  dial: PunchingDeps['dial'],
): Meeting {
  const { seam, transport } = parts.libp2p
  const { peerId, registrar, connectionManager, events, logger } = seam
  const problems = new BoundedMap<PeerKey, string>(MAX_PROBLEMS)
  const bootstraps = new Set(settings.bootstrap.map((address) => readTarget(address).peer))
  const dcutrLog = new DcutrLog()
  const dcutrRefusals = new Map<DcutrRefusal, number>()
  const listeners = new Set<(news: PunchNews) => void>()
  const tell = (news: PunchNews): void => listeners.forEach((listener) => listener(news))
  const isChosen = (relay: PeerKey): boolean =>
    bootstraps.has(relay) || parts.relaying.held().some(({ peer }) => peer === relay)

  const signalling = createSignalling({
    peerId,
    privateKey,
    registrar,
    connectionManager,
    events,
    logger,
    network: settings.network,
    serving: () => parts.relayService.serving,
    hasReservation: (peer) => parts.relayService.hasReservation(peer),
    received: (from, payload, seen) => punching.signalled(from, payload, seen),
    refused: (relay, to) => punching.undelivered(to, { kind: 'signal', relay }),
  })
  const punching = new PunchingDriver({
    self: parts.self,
    logger,
    events,
    registrar,
    transport,
    signalling,
    dial,
    expectPunch: (from) => transport.expectPunch({ ...from, role: 'client' }),
    expectMethod: (peer, method) => parts.links.expect(peer, method),
    connections: (peer) => parts.links.held(peer).map(({ connection }) => connection),
    roundTrip: (connection) => parts.links.roundTrip(connection),
    facts: (peer) => factsOf(parts.overlay.get(peer)),
    relaysOf: (peer) => relaysIn(parts.overlay.get(peer)),
    ownRelays: () => parts.relaying.held().map(({ peer }) => peer),
    isChosen,
    isVisiting: (peer) => parts.connector.isVisiting(peer),
    report: (event) => {
      if (event.type === 'gave-up') problems.set(event.peer, event.reason)
      else publish(hub, event)
      for (const news of newsOf(event, punching)) tell(news)
    },
  })
  return {
    signalling,
    punching,
    ownFacts: () => ownFacts(parts.reachability),
    problem: (peer) => problems.get(peer),
    factsOf: (peer) => factsOf(parts.overlay.get(peer)) ?? NOTHING_KNOWN,
    relaysOf: (peer) => relaysIn(parts.overlay.get(peer)),
    attempts: (peer) =>
      [...punching.history(peer).attempts, ...dcutrLog.of(peer)].sort((a, b) => a.at - b.at),
    dcutr: (report) => {
      hub.publish(report)
      const relayed = parts.links.held(report.peer).find(({ direct }) => !direct)
      // In DCUtR whoever was dialled through the relay asks.
      const side = relayed?.connection.direction === 'inbound' ? 'caller' : 'callee'
      for (const news of dcutrLog.note(report, side, systemClock.now())) tell(news)
    },
    dcutrRefused: (reason) => {
      dcutrRefusals.set(reason, (dcutrRefusals.get(reason) ?? 0) + 1)
    },
    rejected: () => new Map<string, number>([...punching.violations(), ...dcutrRefusals]),
    onPunch: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** A series ends with a success, or when it is given up; its last attempt stands for it. */
function newsOf(event: PunchEvent, punching: PunchingDriver): PunchNews[] {
  if (event.type === 'started') return []
  if (event.type === 'gave-up') {
    const attempt = punching.history(event.peer).attempts.at(-1)
    return attempt === undefined ? [] : [{ type: 'series', attempt }]
  }
  const { attempt, method } = event
  const carrier = attempt.carrier === 'circuit' ? 'relayed' : 'signal'
  const ended: PunchNews = { type: 'attempt', attempt, method, carrier }
  return attempt.outcome === 'success' ? [ended, { type: 'series', attempt }] : [ended]
}

function publish(hub: EventHub, event: Exclude<PunchEvent, { type: 'gave-up' }>): void {
  if (event.type === 'started') {
    hub.publish({ type: 'punch:started', peer: event.peer, method: event.method })
    return
  }
  const { peer, outcome, ms, reason, address } = event.attempt
  const common = { peer, method: event.method, ms }
  if (outcome === 'success') {
    hub.publish({ type: 'punch:succeeded', ...common, address: address ?? '' })
  } else hub.publish({ type: 'punch:failed', ...common, reason: reason ?? outcome })
}

function ownFacts(reachability: ReachabilityDriver): SideFacts {
  const { externalAddresses, mapping, filtering, verdict } = reachability.state
  const own = reachability.ownEndpoints()
  const ports = reachability.externalPorts()
  return {
    external: externalAddresses.flatMap(readEndpoint),
    lan: own.filter(({ ip }) => scopeOf(ip) === 'private'),
    mapping,
    filtering,
    reachability: verdict,
    ports,
    preservesPort: own.some(({ port }) => ports.includes(port)),
  }
}

/** What the peer's record says, which is enough to send the first SYN before it has answered. */
function factsOf(known: KnownPeer | undefined): SideFacts | undefined {
  if (known === undefined) return undefined
  const { mapping, filtering, reachability } = known
  const external = known.addresses.flatMap(({ address, kind }) => {
    const parsed = parseAddress(address)
    const outside = kind === 'external' || (kind === 'direct' && parsed?.scope === 'public')
    if (parsed === undefined || !outside || parsed.family === 'dns') return []
    return [{ ip: parsed.host, port: parsed.port }]
  })
  return { external, lan: [], mapping, filtering, reachability, ports: [], preservesPort: false }
}

function relaysIn(known: KnownPeer | undefined): PeerKey[] {
  const relays = known?.addresses.map(({ address }) => parseAddress(address)?.relay) ?? []
  return [...new Set(relays.filter((relay) => relay !== undefined))]
}

/** What `endpoint` of the kernel wrote. */
function readEndpoint(text: string): Endpoint[] {
  const parsed = parseAddress(endpointAddress(text))
  return parsed === undefined ? [] : [{ ip: parsed.host, port: parsed.port }]
}
