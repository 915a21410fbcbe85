import type { Connection, PrivateKey, Stream } from '@libp2p/interface'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { detectContainer } from '../net/container.ts'
import { ping } from '../net/ping.ts'
import { speaks } from '../net/speaks.ts'
import { toPeerStream } from '../net/web-stream.ts'
import { Conditions } from '../observe/conditions.ts'
import { EventHub } from '../observe/event-hub.ts'
import { NodeMetrics } from '../observe/metrics.ts'
import { BookKeeper } from './book-keeper.ts'
import { readTarget } from './connector.ts'
import { examine } from './doctor.ts'
import { untilKnown } from './doctor-wait.ts'
import { explanationOf } from './explanation.ts'
import { pathOf } from './links.ts'
import { makeParts } from './parts.ts'
import type { Parts, Settings } from './parts.ts'
import { makeLink } from './peer-link.ts'
import { relayOffered } from './relay-rules.ts'
import type * as api from '../types.ts'

/** Streams of one protocol and direction on one connection; memory bounds them long before yamux does. */
const STREAMS_PER_CONNECTION = 1_024

/** Stopping must be over within 5 s: streams drain for most of it, closing connections takes the rest. */
const DRAIN_MS = 3_000
const CLOSE_MS = 1_500

const PING_MS = 10_000
/** Links that end under a ping, one after the other, before it is given up. */
const PING_TRIES = 3

/** A Warren node, as `createNode` returns it: here the parts meet the public API. */
export class OverlayNode implements api.WarrenNode {
  readonly #settings: Settings
  readonly #hub: EventHub
  readonly #conditions: Conditions
  readonly #metrics: NodeMetrics
  readonly #parts: Parts
  readonly #book: BookKeeper | undefined
  readonly #release: () => Promise<void>
  readonly #startedAt = performance.now()
  #phase: api.NodeStatus['phase'] = 'starting'
  #stopping: Promise<void> | undefined

  /** Makes the node and starts it; `release` is called when it has stopped, or could not start. */
  static async start(
    settings: Settings,
    privateKey: PrivateKey,
    release: () => Promise<void>,
  ): Promise<OverlayNode> {
    const hub = new EventHub()
    const conditions = new Conditions(hub)
    const parts = await makeParts(settings, privateKey, hub, conditions)
    const node = new OverlayNode(settings, parts, hub, conditions, release)
    try {
      await node.#start()
    } catch (err) {
      await parts.libp2p.stop().catch(() => {})
      throw parts.libp2p.transport.listenErrors()[0] ?? err
    }
    return node
  }

  private constructor(
    settings: Settings,
    parts: Parts,
    hub: EventHub,
    conditions: Conditions,
    release: () => Promise<void>,
  ) {
    this.#settings = settings
    this.#parts = parts
    this.#hub = hub
    this.#conditions = conditions
    this.#release = release
    this.#metrics = new NodeMetrics(hub, () => this.status(), {
      punching: parts.meeting,
      probes: parts.natProbe,
      links: {
        streams: () => parts.resumption.stats(),
        keepAliveMs: () => parts.liveness.learnt().intervalMs,
      },
      mapping: parts.mapping,
    })
    this.#book =
      settings.dataDir === undefined
        ? undefined
        : new BookKeeper(settings.dataDir, parts.overlay, settings.logger)
  }

  async #start(): Promise<void> {
    const { links, libp2p, reachability, relaying, overlay, liveness, meeting } = this.#parts
    // Listeners of libp2p's events first, so that no connection opens unseen.
    links.start()
    this.#parts.releases.start()
    liveness.start()
    await overlay.start()
    await this.#parts.natProbe.start()
    await this.#book?.restore()
    await libp2p.start()
    reachability.start()
    this.#parts.mapping.start()
    relaying.start()
    await meeting.signalling.start()
    await meeting.punching.start()
    meeting.punching.own(meeting.ownFacts())
    this.#watchTransport()
    this.#watchRelays()
    this.#phase = 'running'
    this.#parts.presence.start()
    overlay.join()
    this.#book?.start()
    const { peerId } = this
    const addresses = this.#parts.presence.joinable()
    this.#hub.publish({ type: 'node:ready', peerId, addresses, api: this.#settings.api ?? null })
  }

  get peerId(): api.PeerKey {
    return this.#parts.self
  }

  status(): api.NodeStatus {
    return this.#parts.snapshot.status(this.#phase)
  }

  peers(): api.PeerStatus[] {
    return this.#parts.snapshot.peers()
  }

  peer(id: api.PeerKey): api.PeerStatus | undefined {
    return this.#parts.snapshot.peer(id)
  }

  topology(): api.Topology {
    return this.#parts.snapshot.topology()
  }

  async connect(
    target: api.PeerKey | api.Address,
    options: api.ConnectOptions = {},
  ): Promise<api.Link> {
    this.#assertRunning()
    const peer = await this.#parts.connector.connect(target, options)
    this.#parts.releases.use(peer)
    return this.#link(peer)
  }

  async ping(
    target: api.PeerKey | api.Address,
    options: api.PingOptions = {},
  ): Promise<api.PingResult> {
    this.#assertRunning()
    const { links, connector } = this.#parts
    const deadline = AbortSignal.timeout(Math.ceil(options.timeoutMs ?? PING_MS))
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
    const { peer } = readTarget(target)
    for (let tries = 1; ; tries++) {
      if (links.best(peer) === undefined) await connector.connect(target, { signal })
      const held = links.best(peer)
      if (held === undefined) throw new WarrenError('ERR_PEER_UNREACHABLE', `${peer} is gone`)
      try {
        const rttMs = await ping(held.connection, signal)
        links.measured(held.connection, rttMs)
        return { peer, rttMs, path: pathOf({ ...held, rttMs }) }
      } catch (cause) {
        options.signal?.throwIfAborted()
        if (deadline.aborted) {
          throw new WarrenError('ERR_TIMEOUT', `${peer} did not answer in time`, { cause })
        }
        // A link that ends, with its relay for example, says nothing of the peer: another may lead there.
        if (held.connection.status === 'open' || tries === PING_TRIES) throw cause
      }
    }
  }

  async explain(target: api.PeerKey | api.Address): Promise<api.Explanation> {
    this.#assertRunning()
    return explanationOf(target, this.#parts)
  }

  handle(protocol: string, handler: api.StreamHandler): () => void {
    this.#assertRunning()
    const { registrar } = this.#parts.libp2p.seam
    const answer = async (stream: Stream, connection: Connection): Promise<void> => {
      await handler(toPeerStream(stream, protocol), this.#link(connection.remotePeer.toString()))
    }
    const options = {
      maxInboundStreams: STREAMS_PER_CONNECTION,
      maxOutboundStreams: STREAMS_PER_CONNECTION,
      runOnLimitedConnection: true,
    }
    this.#parts.resumption.answer(protocol, answer)
    registrar.handle(protocol, answer, options).catch((err: Error) => {
      this.#settings.logger.error({ err, protocol }, 'the protocol cannot be answered')
    })
    return () => {
      this.#parts.resumption.unanswer(protocol)
      registrar.unhandle(protocol).catch(() => {})
    }
  }

  events(options: api.Cancellable = {}): AsyncIterable<api.NodeEvent> {
    return this.#hub.subscribe(options)
  }

  expose(service: api.ServiceInfo): void {
    this.#assertRunning()
    this.#parts.tunnels.expose(service)
    this.#parts.presence.update()
  }

  unexpose(name: string): boolean {
    const was = this.#parts.tunnels.unexpose(name)
    this.#parts.presence.update()
    return was
  }

  services(): api.ServiceInfo[] {
    return this.#parts.tunnels.services()
  }

  async forward(forward: {
    listen: string
    peer: api.PeerKey
    service: string
  }): Promise<api.ForwardInfo> {
    this.#assertRunning()
    return await this.#parts.tunnels.forward(forward)
  }

  async unforward(listen: string): Promise<boolean> {
    return await this.#parts.tunnels.unforward(listen)
  }

  forwards(): api.ForwardInfo[] {
    return this.#parts.tunnels.forwards()
  }

  async doctor(options: api.DoctorOptions = {}): Promise<api.DoctorCheck[]> {
    return await untilKnown(() => this.#examine(), { waitMs: 0, ...options })
  }

  async metrics(): Promise<string> {
    return await this.#metrics.text()
  }

  ready(): { ready: boolean; reasons: string[] } {
    const { verdict } = this.#parts.reachability.state
    const reasons: string[] = []
    const { direct, relayed } = this.#parts.links.counts()
    if (this.#phase !== 'running') reasons.push(`the node is ${this.#phase}`)
    if (this.#settings.bootstrap.length > 0 && direct + relayed === 0)
      reasons.push('no peer is linked')
    if (verdict === 'private' && this.#parts.relaying.held().length === 0) {
      reasons.push('hidden behind a NAT, and no relay is held yet')
    }
    return { ready: reasons.length === 0, reasons }
  }

  async stop(options: { reason?: string } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.reason ?? 'asked to')
    await this.#stopping
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Nothing new, then what is under way, then the farewell, then the connections: see docs/operating.md. */
  async #stop(reason: string): Promise<void> {
    const { tunnels, overlay, releases, relaying, reachability, liveness, links, libp2p } =
      this.#parts
    const { meeting } = this.#parts
    this.#phase = 'stopping'
    this.#hub.publish({ type: 'node:stopping', reason })
    overlay.stopDialling()
    releases.stop()
    this.#parts.presence.stop()
    await tunnels.stop({ drainMs: DRAIN_MS })
    await this.#parts.resumption.stop()
    await this.#book?.stop()
    await overlay.stop()
    liveness.stop()
    await bounded(meeting.punching.stop(), CLOSE_MS)
    await bounded(meeting.signalling.stop(), CLOSE_MS)
    await bounded(this.#parts.natProbe.stop(), CLOSE_MS)
    relaying.stop()
    reachability.stop()
    this.#parts.stopDialling.abort(new WarrenError('ERR_NODE_STOPPED', 'the node is stopping'))
    await Promise.all([
      bounded(libp2p.stop(), CLOSE_MS),
      bounded(this.#parts.mapping.stop(), CLOSE_MS),
    ])
    links.stop()
    this.#phase = 'stopped'
    this.#metrics.stop()
    this.#hub.close()
    await this.#release()
  }

  async #examine(): Promise<api.DoctorCheck[]> {
    const { meeting, mapping, overlay, natProbe, reachability } = this.#parts
    return examine({
      status: this.status(),
      peers: this.peers(),
      own: meeting.ownFacts(),
      router: mapping.facts(),
      underway: {
        ageMs: performance.now() - this.#startedAt,
        bootstraps: this.#settings.bootstrap.length,
        probes: natProbe.progress(),
        wavers: reachability.wavers,
      },
      container: await detectContainer(),
      clocks: overlay.clocks(),
      now: Date.now(),
    })
  }

  #link(peer: api.PeerKey): api.Link {
    const { links, connector, libp2p } = this.#parts
    return makeLink(
      {
        links,
        connect: (key, options) => connector.connect(key, options),
        speaks: (id, protocol) => speaks(libp2p.seam.peerStore, id, protocol),
        resumption: this.#parts.resumption,
        closed: (key) => this.#parts.releases.leave(key),
      },
      peer,
    )
  }

  #assertRunning(): void {
    if (this.#phase === 'running') return
    throw new WarrenError('ERR_NODE_STOPPED', `the node is ${this.#phase}`)
  }

  #watchTransport(): void {
    const { portReuse } = this.#parts.libp2p.transport
    if (portReuse.ok) return
    this.#conditions.raise({
      code: 'transport.no-port-reuse',
      severity: 'degraded',
      text: `hole punching is off: ${portReuse.reason ?? 'dials cannot leave from the listening port'}`,
      remedy: 'run Node.js 24.21 or newer on an operating system that lets sockets share a port',
    })
  }

  /** Peers whose records offer a relay are candidates, however and whenever we learnt of them. */
  #watchRelays(): void {
    const { overlay, relaying, meeting } = this.#parts
    const offer = (peer: api.PeerKey): void => {
      const candidate = relayOffered(overlay.get(peer))
      if (candidate === undefined) relaying.candidateGone(peer)
      else relaying.candidate(candidate)
    }
    for (const { peer } of overlay.known()) offer(peer)
    overlay.onChange(({ peer }) => {
      meeting.punching.recordChanged(peer)
      offer(peer)
    })
  }
}

/** Waits for the promise, but not longer. */
async function bounded(work: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([work.catch(() => {}), late])
  clearTimeout(timer)
}
