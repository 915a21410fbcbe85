/** The words of the public API: what an application, the HTTP API and the command line all see. */

/** A peer id as text, `12D3KooW…`. */
export type PeerKey = string
/** A multiaddr as text, `/ip4/…/tcp/4001/p2p/…`. */
export type Address = string

/** RFC 4787 (and RFC 5780) behaviour of a NAT. */
export type NatBehaviour =
  | 'none'
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'unknown'

export type Verdict = 'public' | 'private' | 'unknown'

/** How a direct path came to be. */
export type PathMethod = 'dial' | 'reverse' | 'lan' | 'punch' | 'birthday' | 'inbound'

export type Path =
  | { kind: 'direct'; address: Address; method: PathMethod; rttMs?: number }
  | { kind: 'relayed'; via: PeerKey; rttMs?: number }

export interface NatFacts {
  mapping: NatBehaviour
  filtering: NatBehaviour
  /** How the router picks outside ports; `shifted`: each by the same number from the inner one. */
  ports: 'preserved' | 'shifted' | 'sequential' | 'random' | 'unknown'
  /** `ip:port` as distinct observers saw our listening port. */
  externalAddresses: string[]
  /** How the router was made to open our port; `none` when it was not, or nothing had to be opened. */
  portMapping: PortMappingProtocol | 'none'
}

export type PortMappingProtocol = 'upnp' | 'nat-pmp' | 'pcp'

export interface Reachability {
  verdict: Verdict
  /** ISO time of the last change of verdict. */
  since: string
  /** How many independent pieces of evidence support the verdict. */
  confirmations: number
  /** All evidence, for the verdict and against it, the strongest first. */
  evidence: ReachabilityEvidence[]
}

export interface ReachabilityEvidence {
  /**
   * `configuration`: the operator says so; `inbound`: strangers came in; `port-mapping`: a port that the router opened was
   * tried, or is closed again; `probe`: peers dialled back at our request; `autonat`: AutoNAT v2; `observers`: peers see this
   * node at an address that is not its own.
   */
  kind: 'configuration' | 'inbound' | 'port-mapping' | 'probe' | 'autonat' | 'observers'
  says: Verdict
  /** How many networks say so. */
  networks: number
  /** ISO time of the newest. */
  at: string
}

export interface Condition {
  /** Stable name, e.g. `bootstrap.unreachable`. */
  code: string
  severity: 'info' | 'degraded' | 'broken'
  since: string
  /** One sentence a person understands. */
  text: string
  remedy?: string
}

export interface RelayStatus {
  peer: PeerKey
  /** `warm`: connected, and asked as soon as one of the others is lost. */
  state: 'held' | 'reserving' | 'warm'
  /** ISO time when the reservation ends unless renewed. */
  until?: string
  rttMs?: number
  /** Whether a circuit of our own came through it, when that was last tried. */
  forwards?: boolean
}

/** What one party may have of a relay: reservations and circuits at a time, bytes when its budget is full. */
export interface RelayShare {
  reservations: number
  circuits: number
  bytes: number
}

/** What a relay has to give, and what is left of it. */
export interface RelayBudgets {
  reservations: { used: number; limit: number }
  circuits: { used: number; limit: number }
  /** Of all circuits together; used-up ones come back at so many a second. */
  bytes: { left: number; limit: number; perSecond: number }
  perPeer: RelayShare
  perAddress: RelayShare
  /** A public /24 or /48. */
  perNetwork: RelayShare
  /** What sets the limit of reservations. */
  limitedBy: 'configuration' | 'memory' | 'files' | 'connections'
  /** The host has no time left: nothing new is taken on. */
  busy: boolean
  /** Requests refused since the start, by reason. */
  refused: Record<string, number>
}

export interface ServiceInfo {
  name: string
  /** Whom it is offered to: every member, or these peers. */
  allow: 'all' | PeerKey[]
  /** `host:port` it leads to; only on the node that exposes it. */
  target: string
}

export interface ForwardInfo {
  /** `host:port` this node listens on. */
  listen: string
  peer: PeerKey
  service: string
  /** Streams open now. */
  open: number
  bytesIn: number
  bytesOut: number
}

export interface NodeStatus {
  peerId: PeerKey
  version: string
  network: string
  phase: 'starting' | 'running' | 'stopping' | 'stopped'
  /**
   * Addresses this node announces to others, and those it was told to announce while nobody has tried them yet; with `/p2p/…` at
   * the end.
   */
  addresses: Address[]
  /** Every address of this host that is listened on, useful to others or not, with `/p2p/…` at the end. */
  listening: Address[]
  reachability: Reachability
  nat: NatFacts
  /** Relays whose reservations this node holds. */
  relays: RelayStatus[]
  /** What this node does as a relay for others. */
  serving: {
    relay: boolean
    reservations: number
    circuits: number
    bytesRelayed: number
    budgets: RelayBudgets
  }
  links: { direct: number; relayed: number }
  peersKnown: number
  overlay: OverlayStatus
  /** Names of services that this node exposes. */
  services: string[]
  conditions: Condition[]
  /** Whether dials leave from the listening port; without it hole punching is off. */
  transport: { portReuse: boolean; reason?: string }
}

/** How the overlay looks from this node. */
export interface OverlayStatus {
  /** Links that both sides keep: to neighbours this node chose, and to those that chose it. */
  chosen: number
  accepted: number
  /** Members that answered our dials; those known from others' words; those given up, kept for healing. */
  reached: number
  heard: number
  lost: number
  /** How many members there seem to be, within a fifth; absent while too few have been heard of. */
  estimatedSize?: number
  /** The overlay was split and has met again; links are mixed faster for a while. */
  healing: boolean
  /** A network key keeps strangers out. */
  closed: boolean
}

export interface PeerStatus {
  peer: PeerKey
  state: 'linked' | 'known'
  path?: Path
  reachability: Verdict
  nat: { mapping: NatBehaviour; filtering: NatBehaviour }
  services: string[]
  addresses: Address[]
  /** Who told us, or how else we know. */
  knownFrom: PeerKey | 'bootstrap' | 'inbound' | 'book' | 'config'
  /** ISO time of the last sign of life seen by anybody on the way to us. */
  lastSeen: string
}

type At<T> = T & { at: string }

export type NodeEvent = At<
  | { type: 'node:ready'; peerId: PeerKey; addresses: Address[]; api: string | null }
  | { type: 'node:stopping'; reason: string }
  | { type: 'addresses:changed'; addresses: Address[] }
  | { type: 'reachability:changed'; verdict: Verdict; nat: NatFacts }
  /** The router opened a port for us, or does not hold it open any more. */
  | {
      type: 'port-mapping:changed'
      portMapping: PortMappingProtocol | 'none'
      externalPort: number | null
      reason: string
    }
  | { type: 'relay:held'; peer: PeerKey; until: string }
  | { type: 'relay:lost'; peer: PeerKey; reason: string }
  | { type: 'relay:serving'; on: boolean; reason: string }
  | {
      type: 'peer:found'
      peer: PeerKey
      from: PeerKey | 'bootstrap' | 'inbound' | 'book' | 'config'
    }
  | { type: 'peer:linked'; peer: PeerKey; path: Path }
  | { type: 'peer:path-changed'; peer: PeerKey; from: Path; to: Path; ms: number }
  | { type: 'peer:gone'; peer: PeerKey; reason: string }
  | { type: 'punch:started'; peer: PeerKey; method: PathMethod }
  | { type: 'punch:succeeded'; peer: PeerKey; method: PathMethod; ms: number; address: Address }
  | { type: 'punch:failed'; peer: PeerKey; method: PathMethod; ms: number; reason: string }
  | { type: 'condition:raised'; condition: Condition }
  | { type: 'condition:cleared'; code: string }
  | { type: 'service:refused'; service: string; peer: PeerKey; reason: string }
>

export interface Cancellable {
  signal?: AbortSignal
}

export interface ConnectOptions extends Cancellable {
  /** `direct` fails with ERR_NO_DIRECT_PATH rather than settle for a relay. Default `any`. */
  path?: 'any' | 'direct'
  /** Give up after this long. Default 15,000 for `any`, 30,000 for `direct`. */
  timeoutMs?: number
}

export interface PingOptions extends Cancellable {
  timeoutMs?: number
}

export interface PingResult {
  peer: PeerKey
  rttMs: number
  path: Path
}

export interface OpenOptions extends Cancellable {
  /**
   * The stream carries on over another path when its connection is lost or a better one appears, without losing or
   * repeating a byte. A peer that cannot do that gets a plain stream.
   */
  resumable?: boolean
}

/** One stream of an application: web streams, so that nothing of libp2p shows. */
export interface PeerStream extends AsyncDisposable {
  readonly protocol: string
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
  /** Closes both directions; what was written is delivered first. */
  close(): Promise<void>
  /** Resets the stream at once; both sides see an error. */
  abort(reason: Error): void
}

/** What we hold to a peer. It may move from a relayed to a direct path while it is held. */
export interface Link extends AsyncDisposable {
  readonly peer: PeerKey
  /** The best path at this moment. */
  readonly path: Path
  open(protocol: string, options?: OpenOptions): Promise<PeerStream>
  /** Resolves when the link is on a direct path; rejects with ERR_NO_DIRECT_PATH at the deadline. */
  direct(options?: Cancellable & { timeoutMs?: number }): Promise<Path>
  close(): Promise<void>
}

export type StreamHandler = (stream: PeerStream, from: Link) => void | Promise<void>

export interface DoctorCheck {
  code: string
  title: string
  result: 'ok' | 'warning' | 'problem' | 'unknown'
  /** What was found, in one sentence. */
  text: string
  /** What it means for reaching others. */
  meaning?: string
  remedy?: string
  /** What is being found out at this moment that may change the result; absent when nothing is. */
  pending?: string
}

/** How long to wait for what is still being found out. */
export interface DoctorOptions extends Cancellable {
  /** Wait at most this long while anything is `pending`. Default 0: what is known now. */
  waitMs?: number
  /** Told what is being found out, and what came of it. */
  progress?: (text: string) => void
}

/** What is known of one side's network. */
export interface SideNetwork {
  reachability: Verdict
  mapping: NatBehaviour
  filtering: NatBehaviour
  /** `ip:port` where others see its listening port, best first. */
  external: string[]
  /** The same in a few words. */
  text: string
}

/** What the networks of both sides let expect. */
export interface PunchPrediction {
  method: Exclude<PathMethod, 'inbound'> | 'relay'
  chance: 'sure' | 'likely' | 'possible' | 'none'
  /** Why, in one sentence. */
  text: string
  remedy?: string
}

/** One try to meet a peer directly. */
export interface PunchAttempt {
  /** ISO time. */
  at: string
  /** Who led: the caller asks, the callee answers. */
  side: 'caller' | 'callee'
  /** Its place in a series; every round differs from the one before. */
  round: number
  /** `burst`: a punch whose dials are spread over a wider window. */
  method: 'lan' | 'punch' | 'burst' | 'birthday'
  /** What brought both together: a message that a relay passed on, or the relayed connection. */
  carrier: 'signal' | 'relayed'
  /** In the words of go-libp2p's metrics. */
  outcome: 'success' | 'failed' | 'cancelled' | 'no_suitable_address'
  ms: number
  reason?: string
  /** Where the connection led that came about. */
  address?: Address
  /** `ip:port` of what was dialled. */
  candidates: string[]
  /** What was waited for, and when it was over, counted from the beginning. */
  steps: { name: string; ms: number }[]
}

/** Why the path to a peer is what it is. */
export interface Explanation {
  peer: PeerKey
  /** The answer in one sentence. */
  text: string
  /** Absent: not connected. */
  path?: Path
  prediction: PunchPrediction
  own: SideNetwork
  remote: SideNetwork
  /** Where the peer may be reached, as its record says (`record`, `lan`, `relay`) or as it `told` when both tried to meet. */
  candidates: {
    address: Address
    origin: 'record' | 'told' | 'lan' | 'relay'
    state: 'in-use' | 'tried' | 'known'
  }[]
  /** The last ones, oldest first. */
  attempts: PunchAttempt[]
  /** What this node does next; `at` is an ISO time. */
  next?: { at?: string; text: string }
  /** What a person can do. */
  remedy?: string
}

export interface Topology {
  nodes: { peer: PeerKey; self?: true; reachability: Verdict; relay: boolean }[]
  edges: { from: PeerKey; to: PeerKey; kind: 'direct' | 'relayed' | 'reservation'; via?: PeerKey }[]
}

export interface NodeOptions extends Cancellable {
  /** Where identity and peer book live. Without it both stay in memory. */
  dataDir?: string
  /** Raw Ed25519 private key in libp2p protobuf encoding; wins over the one in `dataDir`. */
  identity?: Uint8Array
  /** Multiaddrs to listen on. Default: TCP port 4001 on all IPv4 and IPv6 addresses. */
  listen?: Address[]
  /** Announce exactly these instead of what is found out. */
  announce?: Address[]
  /** Members to join through, each ending in `/p2p/…`. */
  bootstrap?: Address[]
  /** Only members of the same network exchange peers. Default `main`. */
  network?: string
  /** libp2p pre-shared key in swarm.key format. */
  networkKey?: Uint8Array
  /** Relay for others: when public, always, never. Default `auto`. */
  relay?: 'auto' | 'on' | 'off'
  /** Ask the router to open the listening port (PCP, NAT-PMP, UPnP). Default `on`. */
  portMapping?: 'on' | 'off'
  /** Shown by status and in `node:ready`. */
  api?: string | null
  logger?: Logger
}

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** A running Warren node. */
export interface WarrenNode extends AsyncDisposable {
  readonly peerId: PeerKey
  status(): NodeStatus
  peers(): PeerStatus[]
  peer(id: PeerKey): PeerStatus | undefined
  topology(): Topology
  /** Links to a peer by id, or by a multiaddr that ends in `/p2p/…`, over the best path available. */
  connect(peer: PeerKey | Address, options?: ConnectOptions): Promise<Link>
  ping(peer: PeerKey | Address, options?: PingOptions): Promise<PingResult>
  /** Why the path to a peer is what it is, and what to expect. Rejects with ERR_PEER_UNKNOWN for strangers. */
  explain(peer: PeerKey | Address): Promise<Explanation>
  /** Answers streams of a protocol; the returned function stops answering. */
  handle(protocol: string, handler: StreamHandler): () => void
  events(options?: Cancellable): AsyncIterable<NodeEvent>
  /** Shares a TCP service with `allow`ed peers under `name`. */
  expose(service: { name: string; target: string; allow: 'all' | PeerKey[] }): void
  unexpose(name: string): boolean
  services(): ServiceInfo[]
  /** Listens on `listen` (`host:port`, port 0 picks one) and carries connections to a peer's service. */
  forward(forward: { listen: string; peer: PeerKey; service: string }): Promise<ForwardInfo>
  unforward(listen: string): Promise<boolean>
  forwards(): ForwardInfo[]
  /** What this network lets the node do, with remedies. */
  doctor(options?: DoctorOptions): Promise<DoctorCheck[]>
  /** Prometheus text of this node's metrics. */
  metrics(): Promise<string>
  /** Whether the node is usable now, and if not, why. */
  ready(): { ready: boolean; reasons: string[] }
  stop(options?: { reason?: string }): Promise<void>
}
