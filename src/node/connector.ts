import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { parseAddress } from '../../protocols/kernel/address.ts'
import { rank } from '../../protocols/paths/rank.ts'
import type { Candidate, OwnNetwork, PeerNetwork, RaceEntry } from '../../protocols/paths/rank.ts'
import type { Attempt } from '../net/dial.ts'
import { race } from '../net/dial.ts'
import type { Links } from './links.ts'
import type { Address, ConnectOptions, PeerKey } from '../types.ts'

/** One address may take this long, handshake included: three lost SYNs, or a handshake at 1 s RTT. */
const ADDRESS_TIMEOUT_MS = 6_000

/** How long `connect` waits by default for any path, and for a direct one. */
const DEFAULT_TIMEOUT_MS = { any: 15_000, direct: 30_000 }

/** A direct path that is demanded and has not come is tried for again, and its addresses are read anew, after this long. */
const AGAIN_MS = 3_000

/** What a peer's record says about reaching it. */
interface Known extends PeerNetwork {
  addresses: Candidate[]
}

/**
 * A connection counts as open a moment before its dial has returned; ending the race in that moment would close it. What
 * else is about to open may be the one that the other side uses.
 */
const FINISH_MS = 500

/**
 * After a failure, news of the peer's addresses may be on their way: one that has just joined publishes its relays
 * within a second or two.
 */
const NEWS_MS = 2_500

export interface ConnectorDeps {
  self: PeerKey
  /** Addresses that we were started with. */
  bootstrap: Address[]
  links: Links
  ownNetwork(): OwnNetwork
  known(peer: PeerKey): Known | undefined
  /** Asks other members for what they know of the peer, unless we know it ourselves. */
  resolve(peer: PeerKey, signal: AbortSignal): Promise<Known | undefined>
  /** Resolves with true when the peer's record changes, with false when the signal fires first. */
  changed(peer: PeerKey, signal: AbortSignal): Promise<boolean>
  dial(address: Multiaddr, options: { signal: AbortSignal }): Promise<Connection>
  /** Begins to punch a hole towards the peer, unless that is under way. */
  punch(peer: PeerKey): void
  isPunching(peer: PeerKey): boolean
  /** Why the last attempts to reach the peer directly failed. */
  punchProblem(peer: PeerKey): string | undefined
}

/** Makes links: ranks what is known of a peer's addresses, races them, waits for the direct path. */
export class Connector {
  readonly #deps: ConnectorDeps
  /** One entry for each peer that somebody waits for; every race has a deadline. */
  readonly #races = new Map<PeerKey, Promise<void>>()
  readonly #visiting = new Set<PeerKey>()

  constructor(deps: ConnectorDeps) {
    this.#deps = deps
  }

  /** Resolves with the peer's key once it is linked the way `options.path` asks for. */
  async connect(target: PeerKey | Address, options: ConnectOptions = {}): Promise<PeerKey> {
    const { peer, address } = readTarget(target)
    if (peer === this.#deps.self) {
      throw new WarrenError('ERR_PEER_INVALID', 'that is this node itself', {
        remedy: 'give the id of another peer',
      })
    }
    const wanted = options.path ?? 'any'
    const deadline = AbortSignal.timeout(Math.ceil(options.timeoutMs ?? DEFAULT_TIMEOUT_MS[wanted]))
    const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline

    this.#visiting.delete(peer)
    if (!this.#deps.links.has(peer) || (address !== undefined && wanted === 'direct')) {
      await this.#link(peer, address, signal).catch((err: unknown) => {
        options.signal?.throwIfAborted()
        throw err
      })
    }
    if (wanted === 'direct') await this.#untilDirect(peer, signal, options.signal)
    return peer
  }

  /**
   * One try for a direct path, at the addresses known now and the one given, without waiting for news: for who has a
   * schedule of its own.
   */
  async reach(peer: PeerKey, address: Address | undefined, signal: AbortSignal): Promise<void> {
    if (this.#deps.links.has(peer)) return await this.#untilDirect(peer, signal)
    await this.#tryOnce(peer, address, signal)
  }

  /**
   * Dials a peer at known addresses only; for membership, which has asked for exactly these. Without `punch` a relayed
   * link is all that is wanted.
   */
  async dial(
    peer: PeerKey,
    addresses: Address[],
    { signal, punch }: { signal: AbortSignal; punch: boolean },
  ): Promise<void> {
    const known = this.#deps.known(peer)
    const kinds = new Map(known?.addresses.map(({ address, kind }) => [address, kind]))
    const candidates = addresses.map((address) => ({
      address,
      kind: kinds.get(address) ?? candidateOf(address).kind,
    }))
    const configured = addresses.filter((address) => this.#deps.bootstrap.includes(address))
    const plan = this.#plan(candidates, known, configured)
    if (punch) return await this.#race(peer, plan, signal)
    this.#visiting.add(peer)
    await this.#race(peer, plan, signal).finally(() => this.#visiting.delete(peer))
  }

  /** Whether the peer is dialled only to see whether it is there: then no hole need be punched. */
  isVisiting(peer: PeerKey): boolean {
    return this.#visiting.has(peer)
  }

  /** What the user named is tried even if the ranking would have left it out. */
  #plan(candidates: Candidate[], known: Known | undefined, named: Address[]): RaceEntry[] {
    const plan = rank(candidates, this.#deps.ownNetwork(), known)
    const missing = named.filter((address) => !plan.some((entry) => entry.address === address))
    return [...missing.map((address) => ({ address, startAfterMs: 0 })), ...plan]
  }

  /** Tries what is known; when that fails, what becomes known in the next moments is tried too. */
  async #link(peer: PeerKey, address: Address | undefined, signal: AbortSignal): Promise<void> {
    for (;;) {
      const news = new AbortController()
      const wait = AbortSignal.any([signal, news.signal])
      const changed = this.#deps.changed(peer, wait)
      try {
        return await this.#tryOnce(peer, address, signal)
      } catch (err) {
        const timer = setTimeout(() => news.abort(), NEWS_MS)
        const met = this.#deps.links.whenLinked(peer, { direct: false, signal: wait }).then(
          () => 'linked',
          () => undefined,
        )
        const outcome = await Promise.race([met, changed])
        clearTimeout(timer)
        if (outcome === 'linked') return
        if (outcome !== true || signal.aborted) throw err
      } finally {
        news.abort()
      }
    }
  }

  async #tryOnce(peer: PeerKey, address: Address | undefined, signal: AbortSignal): Promise<void> {
    const bootstrap = this.#deps.bootstrap.filter((each) => readTarget(each).peer === peer)
    const named = address === undefined ? bootstrap : [address, ...bootstrap]
    const known =
      named.length === 0 ? await this.#deps.resolve(peer, signal) : this.#deps.known(peer)
    const candidates = [...named.map(candidateOf), ...(known?.addresses ?? [])]
    if (candidates.length === 0) {
      throw new WarrenError('ERR_PEER_UNKNOWN', `nobody we asked knows an address of ${peer}`, {
        remedy:
          'check the id, and that the peer runs in the same network; `warren peers` lists who is known',
      })
    }
    const plan = this.#plan(candidates, known, named)
    await this.#race(peer, plan, signal)
  }

  /**
   * Races the direct addresses, and the relayed ones beside them: a relayed winner does not end the race for the direct
   * ones, since the better path may still come. The peer may also reach us first.
   */
  async #race(peer: PeerKey, plan: RaceEntry[], signal: AbortSignal): Promise<void> {
    // Whoever wants the peer joins the race that is on: a second one would only make a second connection. When that was
    // lost, by a shorter deadline or older news than ours, it is our turn.
    for (let on = this.#races.get(peer); on !== undefined; on = this.#races.get(peer)) {
      if (await won(on, signal)) return
    }
    const racing = this.#raceAlone(peer, plan, signal).finally(() => this.#races.delete(peer))
    this.#races.set(peer, racing)
    await racing
  }

  async #raceAlone(peer: PeerKey, plan: RaceEntry[], signal: AbortSignal): Promise<void> {
    const { links } = this.#deps
    const over = new AbortController()
    const options = {
      signal: AbortSignal.any([signal, over.signal]),
      addressTimeoutMs: ADDRESS_TIMEOUT_MS,
    }
    const tried: Attempt[] = []
    // Where nothing but relays is left to dial, the peer's own door is closed as far as anybody knows.
    if (plan.every(isRelayed) && !this.#visiting.has(peer)) this.#deps.punch(peer)
    const lane = async (entries: RaceEntry[]): Promise<void> => {
      const outcome = await race(entries, (to, one) => this.#dialOne(peer, to, one), options)
      if (outcome.ok) return
      tried.push(...outcome.tried)
      throw new Error('every address failed')
    }
    const lanes = Promise.any([
      lane(plan.filter((entry) => !isRelayed(entry))),
      lane(plan.filter(isRelayed)),
    ])
    const linked = links.whenLinked(peer, { direct: false, signal: options.signal })
    const direct = links.whenLinked(peer, { direct: true, signal: options.signal })
    direct.then(
      () => setTimeout(() => over.abort(), FINISH_MS),
      () => {},
    )
    linked.catch(() => {})
    try {
      // A lane that has failed leaves it to the other, both failing end it: `linked` alone would wait on.
      await Promise.race([lanes, linked])
    } catch {
      over.abort()
      throw unreachable(peer, tried, signal)
    }
  }

  async #dialOne(peer: PeerKey, address: Address, signal: AbortSignal): Promise<Connection> {
    const ma = multiaddr(address)
    const full = parseAddress(address)?.peer === undefined ? ma.encapsulate(`/p2p/${peer}`) : ma
    return await this.#deps.dial(full, { signal })
  }

  async #untilDirect(peer: PeerKey, signal: AbortSignal, caller?: AbortSignal): Promise<void> {
    // Once: what fails is tried again by itself, when routers have forgotten the failure.
    if (this.#deps.links.direct(peer) === undefined) this.#deps.punch(peer)
    while (this.#deps.links.direct(peer) === undefined) {
      const round = AbortSignal.any([signal, AbortSignal.timeout(AGAIN_MS)])
      const made = await this.#deps.links.whenLinked(peer, { direct: true, signal: round }).then(
        () => true,
        () => false,
      )
      if (made) return
      if (signal.aborted) {
        caller?.throwIfAborted()
        throw this.#noDirectPath(peer)
      }
      if (!this.#deps.isPunching(peer)) await this.#dialAgain(peer, signal)
    }
  }

  /** Addresses that are said to be open: nothing else may be dialled while both sides might punch. */
  async #dialAgain(peer: PeerKey, signal: AbortSignal): Promise<void> {
    const known = await this.#deps.resolve(peer, signal).catch(() => undefined)
    const plan = rank(known?.addresses ?? [], this.#deps.ownNetwork(), known)
    const direct = plan.filter((entry) => !isRelayed(entry))
    await race(direct, (address, one) => this.#dialOne(peer, address, one), {
      signal,
      addressTimeoutMs: ADDRESS_TIMEOUT_MS,
    })
  }

  #noDirectPath(peer: PeerKey): WarrenError {
    const why = this.#deps.punchProblem(peer) ?? 'no attempt has come to an end'
    return new WarrenError('ERR_NO_DIRECT_PATH', `no direct path to ${peer} in time: ${why}`, {
      remedy:
        'the relayed path works; `warren explain` tells why, and `warren doctor` what the networks on both sides allow',
    })
  }
}

/** Whether the race was won; rejects when the signal fires before it is over. */
async function won(racing: Promise<void>, signal: AbortSignal): Promise<boolean> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  const outcome = racing.then(
    () => true,
    () => false,
  )
  return await Promise.race([outcome, promise]).finally(() =>
    signal.removeEventListener('abort', onAbort),
  )
}

const isRelayed = ({ address }: RaceEntry): boolean => address.includes('/p2p-circuit')

function candidateOf(address: Address): Candidate {
  return { address, kind: parseAddress(address)?.relayed === true ? 'relayed' : 'direct' }
}

/** A peer id, or a multiaddr that ends in one. */
export function readTarget(target: string): { peer: PeerKey; address?: Address } {
  if (!target.startsWith('/')) {
    if (/^(12D3KooW|Qm|16Uiu2)[1-9A-HJ-NP-Za-km-z]{30,60}$/.test(target)) return { peer: target }
    throw new WarrenError('ERR_PEER_INVALID', `"${target}" is not a peer id`, {
      remedy: 'a peer id looks like 12D3KooW…; `warren id` prints a node’s own',
    })
  }
  let peer: PeerKey | undefined
  try {
    multiaddr(target)
    peer = parseAddress(target)?.peer
  } catch (cause) {
    throw new WarrenError('ERR_ADDRESS_INVALID', `"${target}" is not a multiaddr`, {
      remedy: 'write it like /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…',
      cause,
    })
  }
  if (peer === undefined) {
    throw new WarrenError('ERR_ADDRESS_INVALID', `"${target}" does not name a peer`, {
      remedy: 'add /p2p/ and the peer id at the end',
    })
  }
  return { peer, address: target }
}

function unreachable(peer: PeerKey, tried: Attempt[], signal: AbortSignal): WarrenError {
  const list = tried.map(({ address, problem }) => `${address}: ${problem}`).join('; ')
  const text =
    list === ''
      ? signal.aborted
        ? 'no answer in time'
        : 'no address can be dialled from here'
      : list
  return new WarrenError('ERR_PEER_UNREACHABLE', `${peer} cannot be reached: ${text}`, {
    remedy: 'is the peer running? `warren doctor` tells what this network lets a node do',
    detail: { tried },
  })
}
