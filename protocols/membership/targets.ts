import { parseAddress } from '../kernel/address.ts'
import { BoundedMap } from '../kernel/bounded.ts'
import type { Instant } from '../kernel/machine.ts'
import { limits } from './limits.ts'

/**
 * How much depends on a dial. `urgent`: next to no neighbours, so the block of a day does not hold. `little`: there are many
 * others to choose from.
 */
export type Need = 'urgent' | 'some' | 'little'

interface Dial {
  port: number
  at: Instant
}

/**
 * How often addresses known by hearsay only may be dialled. Anybody can sign records that name somebody else's
 * address, under any number of identities: without a bound per target, an overlay could be aimed at one.
 */
export class Targets {
  readonly #recent = new BoundedMap<string, Dial[]>(limits.target.table)
  readonly #proven = new BoundedMap<string, true>(limits.target.table)

  /** A peer has answered there: from now on its own back-off is bound enough. */
  prove(address: string): void {
    const target = targetOf(address)
    if (target === undefined) return
    const { host, port } = target
    this.#proven.set(keyOf(target), true)
    const dials = this.#recent.get(host)?.filter((dial) => dial.port !== port) ?? []
    if (dials.length > 0) this.#recent.set(host, dials)
    else this.#recent.delete(host)
  }

  /** Those of the addresses that may be dialled now; they count as dialled. */
  take(addresses: readonly string[], now: Instant, need: Need = 'some'): string[] {
    const taken = new Set<string>() // several relayed addresses lead to one relay, which is dialled once
    return addresses.filter((address) => {
      const target = targetOf(address)
      // What cannot be read will not be dialled either.
      if (target === undefined || taken.has(keyOf(target))) return true
      if (this.#freeAt(target, now, need) > now) return false
      taken.add(keyOf(target))
      if (!this.#proven.has(keyOf(target))) this.#count(target, now)
      return true
    })
  }

  /** When the first of these addresses may be dialled. */
  freeAt(addresses: readonly string[], now: Instant, need: Need = 'some'): Instant {
    const targets = addresses.map(targetOf)
    return Math.min(
      ...targets.map((one) => (one === undefined ? now : this.#freeAt(one, now, need))),
    )
  }

  #freeAt(target: Target, now: Instant, need: Need): Instant {
    if (this.#proven.has(keyOf(target))) return now
    const { windowMs, perHost, perPort, perPortLarge, blockedMs } = limits.target
    const dials = this.#recent.get(target.host) ?? []
    const ofPort = dials.filter(({ port }) => port === target.port)
    // A relay that many peers are dialled through is no victim for failing to bring one of them.
    const rest = need === 'urgent' || target.relayed ? windowMs : blockedMs
    const most = need === 'little' && !target.relayed ? perPortLarge : perPort
    return Math.max(now, freeAfter(dials, perHost, windowMs), freeAfter(ofPort, most, rest))
  }

  #count({ host, port }: Target, now: Instant): void {
    // One more than count for the host, so that those at one port are remembered for the day they block.
    const before = this.#recent.get(host)?.slice(-limits.target.perHost) ?? []
    this.#recent.set(host, [...before, { port, at: now }])
  }
}

type Target = Pick<Dial, 'port'> & { host: string; relayed: boolean }

/** Where a dial goes first: to the peer itself, or to its relay. */
function targetOf(address: string): Target | undefined {
  return parseAddress(address)
}

function keyOf({ host, port }: Target): string {
  return `${host} ${port}`
}

/** When fewer than `most` of the dials, oldest first, are in the window. */
function freeAfter(dials: Dial[], most: number, windowMs: number): Instant {
  const blocking = dials.at(-most)
  return blocking === undefined ? -Infinity : blocking.at + windowMs
}
