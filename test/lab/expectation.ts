/** What must come of a pair of places, by the RFC 4787 behaviour of the two and nothing else. */
import type { PathMethod } from '../../src/types.ts'
import { traitsOf, type NatTraits } from './nat-kinds.ts'
import type { PlaceKind } from './world.ts'

/** What a cell must come to. */
export interface Expectation {
  expected: 'direct' | 'relayed'
  /** How a direct path may have come to be. */
  methods: readonly PathMethod[]
  /** Why it can be no better, where it is relayed. */
  reason?: string
}

/** Between different places; whose call it was in the end is a matter of timing. */
const ANY_BUT_LAN: readonly PathMethod[] = ['dial', 'reverse', 'punch', 'birthday', 'inbound']

const direct = (methods: readonly PathMethod[]): Expectation => ({ expected: 'direct', methods })
const relayed = (reason: string): Expectation => ({ expected: 'relayed', methods: [], reason })

/** What the rules of RFC 4787 allow between A and B. */
export function expectationOf(a: PlaceKind, b: PlaceKind): Expectation {
  if (b === 'same' || b === 'same-hairpin') return direct(['lan'])
  if (a === 'public' || b === 'public') return direct(ANY_BUT_LAN)
  if ((a === 'v6fw') !== (b === 'v6fw'))
    return relayed('one has IPv6 only, the other IPv4 only: no packet goes from one to the other')
  const [left, right] = [translationOf(a), translationOf(b)]
  if (left === null || right === null) return direct(ANY_BUT_LAN)
  return isSymmetric(left) && isSymmetric(right)
    ? relayed(whyNot(left, right))
    : // One side's address is known: it need only be knocked at from enough places.
      direct(ANY_BUT_LAN)
}

/** Whether a place gives every destination another mapping. */
export function isSymmetricPlace(kind: PlaceKind): boolean {
  const traits = translationOf(kind)
  return traits !== null && isSymmetric(traits)
}

const translationOf = (kind: PlaceKind): NatTraits | null =>
  kind === 'public' || kind === 'same' || kind === 'same-hairpin' ? null : traitsOf(kind)

const isSymmetric = ({ mapping }: NatTraits): boolean => mapping !== 'endpoint-independent'

function whyNot(left: NatTraits, right: NatTraits): string {
  const random = [left, right].filter(({ ports }) => ports === 'random').length
  if (random === 2)
    return 'both map every destination to another random port: neither can know where to knock'
  return random === 1
    ? "one side's next port can be foreseen, but the other lets in only the port it sent to, and sends from a random one"
    : 'both hand out ports in order, and every connection on either side moves the order on: both guesses must hold at once'
}
