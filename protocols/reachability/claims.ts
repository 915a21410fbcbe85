import { endpoint, familyOf, parseAddress } from '../kernel/address.ts'
import type { Family } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import { LIMITS } from './limits.ts'
import type { Endpoint } from './types.ts'
import { areEnough, LISTENING } from './words.ts'
import type { Word, Words } from './words.ts'

/** What became of an address that the operator claims to lead here. */
export interface Claim {
  /** As it was configured. */
  address: string
  /** `untested`: nobody on the internet can tell, as of a name or a private address. */
  state: 'untested' | 'open' | 'confirmed' | 'refuted'
}

/** What is known of one family when claims are judged. */
export interface ClaimEvidence {
  words: Words
  own: Endpoint[]
  /** Where peers on the internet see this node. */
  seen: Endpoint[]
}

type Evidence = Record<Family, ClaimEvidence>

interface Configured {
  address: string
  /** Of an address that peers on the internet can try. */
  place: Endpoint | undefined
}

/**
 * Addresses that the operator says lead here: a port that a container runtime publishes, or one forwarded by hand. One that
 * somebody can try is believed when somebody got in; when nobody was able to tell, the operator's word is all there is.
 */
export class Claims {
  #configured: Configured[] = []
  #since: Instant = 0

  get any(): boolean {
    return this.#configured.length > 0
  }

  get since(): Instant {
    return this.#since
  }

  set(addresses: string[], now: Instant): void {
    this.#since = now
    this.#configured = addresses.slice(0, LIMITS.maxAnnounced).map((address) => ({
      address,
      place: placeOf(address),
    }))
  }

  judge(evidence: Evidence): Claim[] {
    return this.#configured.map(({ address, place }) => ({
      address,
      state: place === undefined ? 'untested' : stateOf(place, evidence[family(place)]),
    }))
  }

  /** Those worth telling others. */
  announced(evidence: Evidence, now: Instant): string[] {
    const hopeful = now < this.#since + LIMITS.claimMs
    return this.judge(evidence)
      .filter(({ state }) => state !== 'refuted' && !(hopeful && state === 'open'))
      .map(({ address }) => address)
  }

  /** Where helpers of the NAT probe may try: they dial the address at which they see us, and no other. */
  toTry(evidence: Evidence): Endpoint[] {
    return this.#places().filter((place) => {
      const { seen, own } = evidence[family(place)]
      return has(seen, place.ip) && !has(own, place.ip)
    })
  }

  /** Until when all that can be tried have been lately; undefined while one is in doubt. */
  provenUntil(evidence: Evidence): Instant | undefined {
    const times = this.#places().map((place) => {
      const { good } = about(place, evidence[family(place)])
      return Math.max(...good.map(({ at }) => at)) + LIMITS.settledMs
    })
    const until = Math.min(...times)
    return until === -Infinity ? undefined : until
  }

  /** When claims that nobody could test are believed. */
  nextChange(now: Instant): Instant | undefined {
    const until = this.#since + LIMITS.claimMs
    return this.#places().length > 0 && now < until ? until : undefined
  }

  #places(): Endpoint[] {
    return this.#configured.flatMap(({ place }) => place ?? [])
  }
}

function placeOf(address: string): Endpoint | undefined {
  const parsed = parseAddress(address)
  if (parsed === undefined || parsed.relayed || parsed.transport !== 'tcp') return undefined
  const { family: kind, host: ip, port, scope } = parsed
  return kind !== 'dns' && scope === 'public' ? { ip, port } : undefined
}

function stateOf(place: Endpoint, evidence: ClaimEvidence): Claim['state'] {
  const { good, bad } = about(place, evidence)
  if (good.length > 0) return 'confirmed'
  return areEnough(bad) ? 'refuted' : 'open'
}

/** Whoever got in, or did not, by this place. Who got in need not be a stranger: the operator says that it is open to all. */
function about(
  place: Endpoint,
  { words, own, seen }: ClaimEvidence,
): { good: Word[]; bad: Word[] } {
  const name = endpoint(place.ip, place.port)
  const listening = [...own, ...seen].some(({ ip, port }) => endpoint(ip, port) === name)
  const by = ({ door, via }: Word): boolean =>
    door === name ||
    (listening && door === LISTENING) ||
    (via !== undefined && endpoint(via.ip, via.port) === name)
  return { good: words.good().filter(by), bad: words.bad().filter(by) }
}

function has(endpoints: Endpoint[], wanted: string): boolean {
  return endpoints.some(({ ip }) => ip === wanted)
}

function family({ ip }: Endpoint): Family {
  return familyOf(ip) ?? 'ip4'
}
