import type { SelfFacts } from '../../../../protocols/peer-exchange/record.ts'
import { BYTES, RELAYS, ROUND_TRIPS, TIMES } from './constants.ts'
import { EVENT } from './ground.ts'
import type { Ground } from './ground.ts'
import type { Link } from './link.ts'
import type { Links, LinkWatcher } from './links.ts'
import { refusesWhenDead } from './dialling.ts'

/** Refusals remembered, so that the same full relay is not asked again at once. */
const REFUSALS = 16

/** A hidden node's search for relays. */
interface Seeker {
  held: number[]
  /** Who was asked last and has not answered yet; -1 when nobody is. */
  asked: number
  refused: number[]
  /** What its overlay node named as relays. */
  found: readonly string[]
  /** A look at the candidates is planned for this time. */
  seekAt: number
}

/** Which hidden node can be met at which public one, and how that comes about. */
export class Relays implements LinkWatcher {
  readonly #ground: Ground
  readonly #links: () => Links
  readonly #seekers: (Seeker | undefined)[] = []
  /** Reservations at each public node. */
  readonly #serving: number[] = []
  #searches = 0

  constructor(ground: Ground, links: () => Links) {
    this.#ground = ground
    this.#links = links
  }

  /** Whether a hidden node has a reservation there, in the relay's eyes. */
  serves(relay: number, node: number): boolean {
    if (this.#seekers[node]?.held.includes(relay) !== true) return false
    const link = this.#links().of(relay).get(node)
    return link?.reservedBy === node && link.isOpenAt(relay)
  }

  held(node: number): readonly number[] {
    return this.#seekers[node]?.held ?? []
  }

  /** What a node says about itself: a public one where it is, a hidden one where it can be met. */
  factsOf(node: number): SelfFacts {
    const { people, notation } = this.#ground
    const address = people.addresses[node] as string
    const services: string[] = []
    if (people.hidden[node] === 0) {
      return {
        addresses: [{ address, kind: 'direct' }],
        reachability: 'public',
        mapping: 'none',
        filtering: 'none',
        services,
        relay: { slotsTotal: RELAYS.capacity, slotsFree: RELAYS.capacity, unlimited: false },
      }
    }
    const behaviour = 'address-and-port-dependent'
    const relayed = this.held(node).map((relay) => notation.relayedText(relay))
    return {
      addresses: [
        ...relayed.map((text) => ({ address: text, kind: 'relayed' as const })),
        { address, kind: 'external' },
      ],
      reachability: 'private',
      mapping: people.symmetric[node] === 1 ? behaviour : 'endpoint-independent',
      filtering: behaviour,
      services,
    }
  }

  /** Its first contacts are there, or new ones: a hidden node without a relay looks among them. */
  linked(node: number): void {
    if (this.#ground.people.hidden[node] === 0) return
    const seeker = this.#seekerOf(node)
    if (seeker.held.length < RELAYS.wanted) this.#seekAt(node, seeker, RELAYS.firstMs)
  }

  /** Takes what the overlay node named. */
  searched(node: number, peers: readonly string[]): void {
    this.#seekerOf(node).found = peers
  }

  seek(node: number): void {
    const { people, queue, now } = this.#ground
    const seeker = this.#seekerOf(node)
    seeker.seekAt = Infinity
    const isDone = seeker.asked !== -1 || seeker.held.length >= RELAYS.most
    if (people.alive[node] === 0 || isDone) return
    this.#ground.feed(node, { type: 'search', search: ++this.#searches, relay: true })
    const relay = this.#choose(node, seeker)
    if (relay === undefined) {
      seeker.refused = []
      this.#seekAt(
        node,
        seeker,
        seeker.held.length < RELAYS.wanted ? RELAYS.againMs : RELAYS.thirdMs,
      )
      return
    }
    seeker.asked = relay
    queue.push(now + this.#answerMs(node, relay), EVENT.reserved, node, relay, undefined)
  }

  reserved(node: number, relay: number): void {
    const { people, wire } = this.#ground
    const seeker = this.#seekerOf(node)
    seeker.asked = -1
    if (people.alive[node] === 0) return
    const isUp = people.alive[relay] === 1 && wire.carries(node, relay)
    if (isUp && (this.#serving[relay] ?? 0) < RELAYS.capacity) this.#hold(node, relay, seeker)
    else this.#refuse(seeker, relay)
    const isShort = seeker.held.length < RELAYS.wanted
    this.#seekAt(node, seeker, isShort ? 1 : RELAYS.thirdMs)
  }

  reservationLost(link: Link, node: number): void {
    const other = link.other(node)
    if (link.reservedBy !== node) {
      this.#serving[node] = (this.#serving[node] ?? 1) - 1
      return
    }
    const seeker = this.#seekerOf(node)
    seeker.held = seeker.held.filter((relay) => relay !== other)
    this.#refuse(seeker, other)
    this.#ground.feed(node, { type: 'self', facts: this.factsOf(node) })
    this.#seekAt(node, seeker, 4 * this.#ground.wire.oneWay(node, other))
  }

  #hold(node: number, relay: number, seeker: Seeker): void {
    const links = this.#links()
    const known = links.get(node, relay)
    if (known !== undefined && known.via !== -1) links.upgrade(known)
    const link = known ?? links.open(node, relay, -1)
    link.reservedBy = node
    this.#serving[relay] = (this.#serving[relay] ?? 0) + 1
    this.#ground.wire.countBoth(node, relay, -1, BYTES.reservation, 'reservation')
    seeker.held.push(relay)
    this.#ground.feed(node, { type: 'self', facts: this.factsOf(node) })
  }

  #refuse(seeker: Seeker, relay: number): void {
    seeker.refused.push(relay)
    if (seeker.refused.length > REFUSALS) seeker.refused.shift()
  }

  /** Anybody public it knows of who did not refuse, in another network than the relays it has where possible. */
  #choose(node: number, seeker: Seeker): number | undefined {
    const { people, rng } = this.#ground
    const known = seeker.found.map((peer) => people.indexOf(peer))
    const candidates = (known.length > 0 ? known : this.#linkedPublic(node)).filter(
      (one) =>
        one >= 0 && one !== node && !seeker.held.includes(one) && !seeker.refused.includes(one),
    )
    seeker.found = []
    const groups = seeker.held.map((relay) => people.group[relay])
    const elsewhere = candidates.filter((one) => !groups.includes(people.group[one]))
    const pool = elsewhere.length > 0 ? elsewhere : candidates
    return pool[Math.floor(rng() * pool.length)]
  }

  #linkedPublic(node: number): number[] {
    const { hidden, hostile } = this.#ground.people
    const links = this.#links()
    const open = [...links.of(node)].filter(([, link]) => link.via === -1 && link.isOpenAt(node))
    return open.map(([other]) => other).filter((one) => hidden[one] === 0 && hostile[one] === 0)
  }

  #answerMs(node: number, relay: number): number {
    const { people, wire } = this.#ground
    const { direct, reserve } = ROUND_TRIPS
    if (this.#links().get(node, relay) !== undefined)
      return wire.handshake(node, relay, -1, reserve)
    const isSilent = people.alive[relay] === 0 && !refusesWhenDead(this.#ground, relay)
    if (isSilent || !wire.carries(node, relay)) return TIMES.dialMs
    return wire.handshake(node, relay, -1, direct + reserve)
  }

  #seekAt(node: number, seeker: Seeker, afterMs: number): void {
    const { queue, now } = this.#ground
    const at = now + afterMs
    if (at >= seeker.seekAt || seeker.asked !== -1) return
    seeker.seekAt = at
    queue.push(at, EVENT.seek, node, 0, undefined)
  }

  #seekerOf(node: number): Seeker {
    const fresh = { held: [], asked: -1, refused: [], found: [], seekAt: Infinity }
    return (this.#seekers[node] ??= fresh)
  }
}
