import type { Instant } from '../kernel/machine.ts'
import { mix32 } from '../peer-exchange/ids.ts'
import type { NeighbourVerdict } from '../peer-exchange/messages.ts'
import type { PeerKey } from '../peer-exchange/record.ts'
import { limits } from './limits.ts'

/** A neighbour that chose us, or wants to. */
export interface Comer {
  peer: PeerKey
  group: number
  since: Instant
  /** Its place is the one that isolated peers have after each other. */
  rescued: boolean
}

export interface Door {
  /** Places there are. */
  places: number
  /** Members of a network with a key: no limits by address group. */
  trusted: boolean
  /** Which groups are luckier than others here; nobody else knows. */
  secret: number
  /** Whether somebody who is isolated, or of a luckier group, may take another's place now. */
  mayRescue: boolean
  mayReplace: boolean
}

export type Admission = {
  verdict: NeighbourVerdict
  /** Who has to go for it, and why there was a place. */
  instead?: PeerKey
  by?: 'rescue' | 'group' | 'luck'
}

/**
 * Whether somebody who wants to be our neighbour may. First come, first served, and who has come stays: giving places to
 * newcomers gives them to whoever knocks most. When all are taken a place is given only out of the largest address group,
 * or to one who is isolated, or from the younger half to one whose group this node's secret likes better.
 */
export function admit(
  newcomer: Comer & { isolated: boolean },
  accepted: readonly Comer[],
  door: Door,
): Admission {
  const { trusted, places } = door
  const ofGroup = accepted.filter(({ group }) => group === newcomer.group).length
  const crowded = !trusted && accepted.length >= limits.acceptedFreely
  if (crowded && ofGroup >= limits.acceptedOfGroup) return { verdict: 'group-full' }
  if (accepted.length < places) return { verdict: 'accepted' }
  const largest = trusted ? [] : largestGroup(accepted)
  if (largest.length > Math.max(ofGroup + 1, limits.acceptedOfGroup)) {
    return { verdict: 'accepted', instead: youngest(largest).peer, by: 'group' }
  }
  if (newcomer.isolated && door.mayRescue) {
    // Who was rescued before has had time to find others. More places than one would go to liars, who are always isolated.
    const last = accepted.find(({ rescued }) => rescued) ?? youngest(accepted)
    return { verdict: 'accepted', instead: last.peer, by: 'rescue' }
  }
  const luckless = trusted || !door.mayReplace ? undefined : worst(accepted, door.secret)
  if (luckless !== undefined && luck(newcomer, door.secret) < luck(luckless, door.secret)) {
    return { verdict: 'accepted', instead: luckless.peer, by: 'luck' }
  }
  return { verdict: 'full' }
}

function largestGroup(accepted: readonly Comer[]): Comer[] {
  const groups = Map.groupBy(accepted, ({ group }) => group)
  return [...groups.values()].reduce((most, one) => (one.length > most.length ? one : most), [])
}

function youngest(comers: readonly Comer[]): Comer {
  return comers.reduce((young, one) => (one.since > young.since ? one : young))
}

/** The least lucky of the younger half. */
function worst(accepted: readonly Comer[], secret: number): Comer | undefined {
  const young = [...accepted].sort((a, b) => b.since - a.since).slice(0, accepted.length >> 1)
  const [first, ...others] = young
  if (first === undefined) return undefined
  return others.reduce((bad, one) => (luck(one, secret) > luck(bad, secret) ? one : bad), first)
}

/** The less, the luckier. */
function luck({ group }: Comer, secret: number): number {
  return mix32(secret ^ mix32(group))
}
