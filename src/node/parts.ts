import { networkInterfaces } from 'node:os'
import type { Connection, PrivateKey } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import { scopeOf, tcpAddress } from '../../protocols/kernel/address.ts'
import type { OwnNetwork } from '../../protocols/paths/rank.ts'
import type { Scope } from '../../protocols/peer-exchange/hygiene.ts'
import { AutoNatPeers, autoNatV1, autoNatV2 } from '../drivers/autonat.ts'
import type { AutoNatDeps } from '../drivers/autonat.ts'
import { holePunching } from '../drivers/hole-punching.ts'
import { PUNCH_PROTOCOL } from '../drivers/punching.ts'
import { LivenessDriver } from '../drivers/liveness.ts'
import { NatProbeDriver } from '../drivers/nat-probe.ts'
import { OverlayDriver } from '../drivers/overlay.ts'
import type { OverlayReport } from '../drivers/overlay.ts'
import { ReachabilityDriver } from '../drivers/reachability.ts'
import { RelayService } from '../drivers/relay-service.ts'
import type { RelayServiceComponents } from '../drivers/relay-service.ts'
import { RelayingDriver } from '../drivers/relaying.ts'
import { createResumption } from '../drivers/resumption.ts'
import type { Resumption } from '../drivers/resumption.ts'
import { createTunnels } from '../drivers/tunnel.ts'
import type { Tunnels } from '../drivers/tunnel.ts'
import { endpointOf } from '../net/connection.ts'
import type { DialRole } from '../net/tcp-reuse/index.ts'
import type { Conditions } from '../observe/conditions.ts'
import type { EventHub } from '../observe/event-hub.ts'
import { Connector, readTarget } from './connector.ts'
import { makeLibp2p } from './libp2p.ts'
import type { Libp2pNode } from './libp2p.ts'
import { Links } from './links.ts'
import { MappingKeeper } from './mapping-keeper.ts'
import { openStream } from './peer-link.ts'
import { makeMeeting } from './meeting.ts'
import type { Meeting } from './meeting.ts'
import { Presence } from './presence.ts'
import { Releases } from './releases.ts'
import { relayRules } from './relay-rules.ts'
import { Snapshot } from './snapshot.ts'
import type { Logger, NodeOptions, PeerKey } from '../types.ts'

/** The settled options of one node. */
export interface Settings extends Omit<NodeOptions, 'signal'> {
  listen: string[]
  announce: string[]
  bootstrap: string[]
  network: string
  relay: 'auto' | 'on' | 'off'
  portMapping: 'on' | 'off'
  logger: Logger
}

/** What a node is made of. */
export interface Parts {
  self: PeerKey
  libp2p: Libp2pNode
  links: Links
  connector: Connector
  reachability: ReachabilityDriver
  mapping: MappingKeeper
  natProbe: NatProbeDriver
  relaying: RelayingDriver
  relayService: RelayService
  overlay: OverlayDriver
  releases: Releases
  liveness: LivenessDriver
  resumption: Resumption
  tunnels: Tunnels
  meeting: Meeting
  presence: Presence
  snapshot: Snapshot
  /** Ends every dial that is under way; a connection made after the end would never be closed. */
  stopDialling: AbortController
}

/**
 * Puts a node together, part by part; nothing runs yet. The parts know each other through the small functions they
 * are given here, and nowhere else.
 */
export async function makeParts(
  settings: Settings,
  privateKey: PrivateKey,
  hub: EventHub,
  conditions: Conditions,
): Promise<Parts> {
  // Services are made inside createLibp2p, before the parts they call back to: by the time they do, it is filled.
  const parts = {} as Parts
  const { logger } = settings

  parts.stopDialling = new AbortController()
  const dial = async (
    address: Multiaddr,
    { signal, ...role }: DialRole & { signal: AbortSignal },
  ): Promise<Connection> => {
    const endpoint = endpointOf(address)
    if (endpoint !== undefined) parts.reachability.dialled(endpoint.host)
    const stop = parts.stopDialling.signal
    return await parts.libp2p.seam.transportManager.dial(address, {
      ...role,
      signal: AbortSignal.any([signal, stop]),
    })
  }
  const autoNat: AutoNatDeps = {
    dialFresh: (address, options) =>
      dial(address, {
        signal: AbortSignal.any([
          options.signal ?? AbortSignal.timeout(10_000),
          AbortSignal.timeout(10_000),
        ]),
        fromListenPort: false,
      }),
    unverified: () =>
      [
        ...parts.reachability.ownEndpoints().map(({ ip, port }) => tcpAddress(ip, port)),
        ...settings.announce,
        ...parts.mapping.candidates(),
      ]
        .map((address) => multiaddr(address))
        .filter((ma) => scopeOf(endpointOf(ma)?.host ?? '') === 'public'),
    judged: (address, reachable, by) => {
      parts.reachability.dialBack(address.toString(), reachable, by)
      parts.mapping.judged(address.toString(), reachable)
    },
  }
  const autoNatPeers = new AutoNatPeers()

  parts.libp2p = await makeLibp2p({
    privateKey,
    listen: settings.listen,
    ...(settings.networkKey === undefined ? {} : { networkKey: settings.networkKey }),
    gater: {},
    announced: () => parts.presence?.announced().map((address) => multiaddr(address)) ?? [],
    services: {
      relayService: (components: RelayServiceComponents) =>
        (parts.relayService = new RelayService(
          components,
          relayRules(settings, {
            isMember: (peer) => parts.overlay.get(peer) !== undefined,
            changed: () => parts.presence?.update(),
          }),
        )),
      autonat: autoNatV1(autoNat),
      autonatV2: autoNatV2(autoNat, autoNatPeers),
      dcutr: holePunching({
        self: () => parts.self,
        insteadOf: PUNCH_PROTOCOL,
        claims: (peer) => parts.overlay.get(peer),
        externalAddresses: () => parts.presence.external(),
        dial: (address, { signal, initiator }) =>
          dial(address, { signal, initiator, fallback: false }),
        expectPunch: (from) => parts.libp2p.transport.expectPunch({ ...from, role: 'client' }),
        expectMethod: (peer, method) => parts.links.expect(peer, method),
        direct: (peer) => parts.links.direct(peer),
        whenDirect: (peer, signal) => parts.links.whenLinked(peer, { direct: true, signal }),
        report: (report) => parts.meeting.dcutr(report),
        refused: (reason) => parts.meeting.dcutrRefused(reason),
      }),
    },
  })
  const { seam, transport } = parts.libp2p
  const self = (parts.self = seam.peerId.toString())
  parts.links = new Links(self, seam.events, hub)

  const bootstraps = new Set(settings.bootstrap.map((address) => readTarget(address).peer))
  const isTrusted = (peer: PeerKey): boolean => bootstraps.has(peer)
  parts.reachability = new ReachabilityDriver({
    events: seam.events,
    transport,
    announce: settings.announce,
    isTrusted,
    changed: (state, before) => {
      parts.natProbe.mapped([...parts.mapping.ports(), ...portsOf(state.claimed)])
      parts.natProbe.wanted(!state.settled)
      if (isElsewhere(state.externalAddresses, before.externalAddresses)) parts.natProbe.moved()
      parts.mapping.reachabilityChanged(state)
      parts.presence.reachabilityChanged(state, before)
      parts.meeting.punching.own(parts.meeting.ownFacts())
      const [external] = parts.meeting.ownFacts().external
      if (external !== undefined) parts.liveness.network(external.ip)
    },
    interfacesChanged: () => {
      parts.overlay.setScope(scope())
      parts.mapping.look()
      parts.meeting.punching.own(parts.meeting.ownFacts())
      parts.meeting.punching.moved()
      parts.natProbe.moved()
      dropStranded(parts.libp2p)
    },
    reachedInbound: () => parts.presence.reachedInbound(),
  })

  parts.mapping = new MappingKeeper({
    // Whoever says what to announce has opened the port himself.
    on: settings.portMapping === 'on' && settings.announce.length === 0,
    privateKey: privateKey.raw,
    reachability: parts.reachability,
    hub,
    conditions,
    askNow: () => autoNatPeers.askNow(),
    firewallChanged: () => parts.natProbe.moved(),
  })

  const { peerId, registrar, connectionManager, events, logger: libp2pLogger } = seam
  const scope = (): Scope => ({ loopback: usesLoopback(settings), subnets: privateSubnets() })
  parts.overlay = new OverlayDriver({
    peerId,
    privateKey,
    registrar,
    connectionManager,
    events,
    logger: libp2pLogger,
    network: settings.network,
    trusted: settings.networkKey !== undefined,
    scope: scope(),
    bootstraps: settings.bootstrap,
    dial: (peer, addresses, purpose, signal) => {
      parts.releases.keep(peer)
      return parts.connector.dial(peer, addresses, { signal, punch: purpose === 'neighbour' })
    },
    wantDirect: (peer) => parts.meeting.punching.call(peer),
    release: (peer) => parts.releases.release(peer),
    report: (report) => reportOverlay(report, parts.releases, conditions),
    found: (peer, from) => hub.publish({ type: 'peer:found', peer, from }),
  })

  parts.natProbe = new NatProbeDriver({
    peerId,
    privateKey,
    registrar,
    connectionManager,
    events,
    logger: libp2pLogger,
    transport,
    dial,
    isOutside: (ip) => scopeOf(ip) === 'public',
    isTrusted,
    isPublic: (peer) => parts.overlay.get(peer)?.reachability === 'public',
    hasContacted: (ip) => parts.reachability.hasContacted(ip),
    isOurs: (ip) => parts.reachability.isOurs(ip),
    found: (finding) => {
      parts.reachability.probed(finding)
      parts.mapping.probed(finding)
    },
  })

  parts.connector = new Connector({
    self,
    bootstrap: settings.bootstrap,
    links: parts.links,
    ownNetwork: () => ownNetwork(parts),
    known: (peer) => parts.overlay.get(peer),
    resolve: (peer, signal) => parts.overlay.resolve(peer, { signal }),
    changed: (peer, signal) => recordChanged(parts.overlay, peer, signal),
    dial,
    punch: (peer) => parts.meeting.punching.call(peer),
    isPunching: (peer) => parts.meeting.punching.isActive(peer),
    punchProblem: (peer) => parts.meeting.problem(peer),
  })
  parts.meeting = makeMeeting(parts, settings, privateKey, hub, dial)

  parts.relaying = new RelayingDriver({
    peerId,
    transportManager: seam.transportManager,
    connectionManager,
    peerStore: seam.peerStore,
    events,
    dial: (peer, signal, address) => parts.connector.reach(peer, address, signal),
    test: (relay, signal, rttMs) => parts.libp2p.circuitTest.run(relay, signal, rttMs),
    publish: (event) => {
      // A relay that reaches us also passes on what others signal to us.
      parts.meeting.signalling.keep(event.peer, event.type === 'relay:held')
      hub.publish(event)
    },
    changed: () => parts.presence.update(),
  })

  parts.releases = new Releases(parts)

  parts.liveness = new LivenessDriver({
    events: seam.events,
    nature: () => (parts.reachability.state.verdict === 'public' ? 'public' : 'hidden'),
    measured: (connection, rttMs) => {
      parts.links.measured(connection, rttMs)
      parts.relaying.measured(connection, rttMs)
    },
    // Learning may cost a link: never one to a relay, by which others reach us, nor the last one.
    isSpare: ({ remotePeer }) =>
      parts.links.counts().direct > 1 &&
      !parts.relaying.held().some(({ peer }) => peer === remotePeer.toString()),
    ownFault: (silentLinks, all) =>
      logger.warn({ silentLinks, all }, 'most links fell silent at once'),
  })

  parts.resumption = createResumption({
    handle: (protocol, handler, options) => seam.registrar.handle(protocol, handler, options),
    unhandle: (protocol) => seam.registrar.unhandle(protocol),
    best: (peer, avoid) => parts.links.best(peer, avoid)?.connection,
    connect: (peer, options) => parts.connector.connect(peer, options),
    suspect: (peer) => parts.liveness.suspect(peer),
    openStream,
    onConnection: (listener) => {
      const onOpen = ({ detail }: CustomEvent<Connection>): void =>
        listener(detail.remotePeer.toString())
      seam.events.addEventListener('connection:open', onOpen)
      return () => seam.events.removeEventListener('connection:open', onOpen)
    },
    logger,
  })

  parts.tunnels = createTunnels({
    handle: (protocol, handler, options) => {
      parts.resumption.answer(protocol, handler)
      return seam.registrar.handle(protocol, handler, options)
    },
    unhandle: (protocol) => {
      parts.resumption.unanswer(protocol)
      return seam.registrar.unhandle(protocol)
    },
    open: (peer, protocol, options) => parts.resumption.open(peer, protocol, options),
    publish: (event) => hub.publish(event),
    logger,
  })

  const openServices = (): string[] =>
    parts.tunnels
      .services()
      .filter(({ allow }) => allow === 'all')
      .map(({ name }) => name)
  parts.presence = new Presence({
    ...parts,
    seam,
    hub,
    relayMode: settings.relay,
    conditions,
    unlimited: settings.networkKey !== undefined,
    services: openServices,
  })
  parts.snapshot = new Snapshot({
    ...parts,
    network: settings.network,
    closed: settings.networkKey !== undefined,
    conditions,
    transport,
    services: () => parts.tunnels.services().map(({ name }) => name),
  })
  return parts
}

/** Whether others see us at none of the addresses at which they saw us before. */
function isElsewhere(now: string[], before: string[]): boolean {
  const hosts = new Set(now.map(hostOf))
  return before.length > 0 && now.length > 0 && !before.some((one) => hosts.has(hostOf(one)))
}

/** The outside IPv4 ports of what `endpoint` of the kernel wrote: routers and container hosts translate no others. */
function portsOf(endpoints: string[]): number[] {
  return endpoints.filter((one) => !one.startsWith('[')).map((one) => Number(one.split(':').at(-1)))
}

/** Of what `endpoint` of the kernel wrote. */
function hostOf(endpoint: string): string {
  return endpoint.slice(0, endpoint.lastIndexOf(':'))
}

/** Connections from an address that this host has no more: no packet of theirs arrives, and the kernel says nothing for minutes. */
function dropStranded({ seam, transport }: Libp2pNode): void {
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []),
  )
  for (const connection of seam.connectionManager.getConnections()) {
    const from = transport.facts(connection)?.localHost
    if (from === undefined || own.has(from)) continue
    connection.abort(new Error(`this host is not at ${from} any more`))
  }
}

async function recordChanged(
  overlay: OverlayDriver,
  peer: PeerKey,
  signal: AbortSignal,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const stop = overlay.onChange((change) => {
    if (change.peer === peer && change.type === 'known') resolve(true)
  })
  signal.addEventListener('abort', () => resolve(false), { once: true })
  if (signal.aborted) resolve(false)
  return await promise.finally(stop)
}

function ownNetwork(parts: Parts): OwnNetwork {
  const endpoints = parts.reachability.ownEndpoints()
  const routed = (six: boolean): boolean =>
    endpoints.some(
      ({ ip }) => ip.includes(':') === six && !['loopback', 'link-local'].includes(scopeOf(ip)),
    )
  return {
    self: parts.self,
    endpoints,
    external: parts.reachability.state.externalAddresses,
    families: { ip4: routed(false), ip6: routed(true) },
  }
}

/** A node that listens on loopback, or joins through it, lives in an overlay on one host. */
function usesLoopback({ listen, bootstrap }: Settings): boolean {
  return [...listen, ...bootstrap].some((address) => {
    const endpoint = endpointOf(multiaddr(address))
    return endpoint !== undefined && scopeOf(endpoint.host) === 'loopback'
  })
}

/** Private networks this host is part of: addresses in them may be dialled when a peer announces them. */
function privateSubnets(): string[] {
  return Object.values(networkInterfaces())
    .flat()
    .flatMap((one) => (one?.cidr != null && scopeOf(one.address) === 'private' ? [one.cidr] : []))
}

function reportOverlay(report: OverlayReport, releases: Releases, conditions: Conditions): void {
  if (report.type === 'neighbour') return releases.keep(report.peer)
  if (report.type === 'neighbour-lost') return
  if (report.type === 'healing') {
    if (!report.healing) return conditions.clear('overlay.healing')
    return conditions.raise({
      code: 'overlay.healing',
      severity: 'info',
      text: 'the overlay was split and has met again; links are mixed faster for an hour',
      remedy: 'nothing to do; if it happens again, see whether your network was cut off',
    })
  }
  if (report.type === 'alone') {
    if (!report.alone) return conditions.clear('overlay.alone')
    return conditions.raise({
      code: 'overlay.alone',
      severity: 'degraded',
      text: 'this node has no link to any other',
      remedy:
        'give it a member to join through with --bootstrap, or wait for others to join through it',
    })
  }
  if (report.peers.length === 0) return conditions.clear('bootstrap.unreachable')
  conditions.raise({
    code: 'bootstrap.unreachable',
    severity: 'degraded',
    text: `no answer from ${report.peers.length === 1 ? 'the bootstrap' : 'the bootstraps'} ${report.peers.join(', ')}; still trying`,
    remedy: 'check that the address is right, that the node there runs, and that its port is open',
  })
}
