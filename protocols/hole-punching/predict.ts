import { familyOf } from '../kernel/address.ts'
import type { Family } from '../kernel/address.ts'
import { isOpen, isStable, isSymmetric, NOTHING_KNOWN, sharedAddress } from './facts.ts'
import type { SideFacts } from './facts.ts'

/** How two sides are expected to meet; `relay`: not at all. */
export type ExpectedMethod = 'lan' | 'dial' | 'reverse' | 'punch' | 'birthday' | 'relay'

/** How much the NATs leave to chance; `possible` also stands for what is not known yet. */
export type Chance = 'sure' | 'likely' | 'possible' | 'none'

/** What will happen between two NATs, and why. */
export interface Prediction {
  method: ExpectedMethod
  chance: Chance
  /** Why, in one sentence a person understands. */
  text: string
  /** What would make it better. */
  remedy?: string
}

/** What makes any pair of NATs pass, since one open side is enough. */
export const OPEN_ONE_SIDE =
  'forward a TCP port to one of the two nodes and name it with --announce, set one router to "full cone" NAT, or use IPv6 on both sides'

/**
 * What the facts of both sides let expect, seen from our own side. It names what the ladder will come to, never what is
 * left out: a classification may be wrong, and every method is tried all the same.
 */
export function predict(own: SideFacts, peer: SideFacts): Prediction {
  return (
    throughOpenDoor(own, peer) ??
    withoutCommonFamily(own, peer) ??
    overIp6(own, peer) ??
    throughNats(own, peer)
  )
}

/** Somebody needs no hole: neighbours, or a side that lets strangers in. */
function throughOpenDoor(own: SideFacts, peer: SideFacts): Prediction | undefined {
  const shared = sharedAddress(own, peer)
  if (shared !== undefined && own.mapping !== 'none' && peer.mapping !== 'none') {
    const text = `both are seen behind ${shared}, so they share a router and meet at their local addresses`
    return { method: 'lan', chance: 'likely', text }
  }
  if (isOpen(peer)) {
    const text = `${doorOf('the peer', peer)}, so this node dials it`
    return { method: 'dial', chance: chanceAt(peer), text }
  }
  if (isOpen(own)) {
    const text = `${doorOf('this node', own)}, so the peer dials back when it is asked through a relay`
    return { method: 'reverse', chance: chanceAt(own), text }
  }
  return undefined
}

function doorOf(who: 'this node' | 'the peer', { reachability }: SideFacts): string {
  return reachability === 'public'
    ? `${who} can be reached by strangers`
    : `${possessive(who)} router lets in whoever knows its outside port`
}

/** An open router that gives every destination another port is open at a port that its owner cannot name. */
function chanceAt(side: SideFacts): Chance {
  if (side.reachability === 'public') return 'sure'
  return isStable(side) ? 'sure' : isSymmetric(side) ? 'possible' : 'likely'
}

function withoutCommonFamily(own: SideFacts, peer: SideFacts): Prediction | undefined {
  const [ours, theirs] = [familiesOf(own), familiesOf(peer)]
  if (ours.size === 0 || theirs.size === 0 || [...ours].some((family) => theirs.has(family)))
    return undefined
  return {
    method: 'relay',
    chance: 'none',
    text: 'one side is seen over IPv4 only and the other over IPv6 only, so neither can dial the other',
    remedy: 'give one of the two nodes an address of the other’s family',
  }
}

/** With IPv6 on both sides it does not matter what a router does to the ports of IPv4. */
function overIp6(own: SideFacts, peer: SideFacts): Prediction | undefined {
  if (!familiesOf(own).has('ip6') || !familiesOf(peer).has('ip6')) return undefined
  return {
    method: 'punch',
    chance: 'likely',
    text: 'both have IPv6, where nothing changes ports on the way, so both sides open their firewalls at the same moment',
  }
}

function familiesOf({ external }: SideFacts): Set<Family> {
  return new Set(external.map(({ ip }) => familyOf(ip)).filter((family) => family !== undefined))
}

function throughNats(own: SideFacts, peer: SideFacts): Prediction {
  if (isSymmetric(own) && isSymmetric(peer)) {
    return {
      method: 'relay',
      chance: 'none',
      text: 'both routers give every destination another port that nobody can know, so the path stays relayed',
      remedy: OPEN_ONE_SIDE,
    }
  }
  if (isSymmetric(own)) return towardsSymmetric('this node', 'the peer', peer)
  if (isSymmetric(peer)) return towardsSymmetric('the peer', 'this node', own)
  if (isStable(own) && isStable(peer)) {
    const bare = own.mapping === 'none' && peer.mapping === 'none'
    const why = bare
      ? 'no router changes ports between the two, only firewalls stand in the way'
      : 'both routers give one outside port to everybody'
    const text = `${why}, so both sides open their door at the same moment`
    return { method: 'punch', chance: 'likely', text }
  }
  const text = `too little is known of ${unknownOf(own, peer)} yet, so one method after the other is tried`
  return { method: 'punch', chance: 'possible', text }
}

type Who = 'this node' | 'the peer'

/** One side's port is unknown; what the other side's router lets in decides whether that matters. */
function towardsSymmetric(symmetric: Who, other: Who, facts: SideFacts): Prediction {
  const moving = `${possessive(symmetric)} router gives every destination another port`
  if (facts.filtering === 'address-dependent') {
    const text = `${moving}, but ${possessive(other)} lets in any port of an address that it has sent to, so both sides open their door at the same moment`
    return { method: 'punch', chance: isStable(facts) ? 'likely' : 'possible', text }
  }
  const sure = isStable(facts) && facts.filtering === 'address-and-port-dependent'
  const text = `${moving} and ${possessive(other)} ${sure ? 'lets' : 'may let'} in only ports that it has sent to, so one side opens many ports while the other tries many, until two fit`
  return { method: 'birthday', chance: sure ? 'likely' : 'possible', text, remedy: OPEN_ONE_SIDE }
}

function unknownOf(own: SideFacts, peer: SideFacts): string {
  if (isStable(own)) return 'the peer’s router'
  return isStable(peer) ? 'this node’s router' : 'both routers'
}

function possessive(who: Who): string {
  return `${who}’s`
}

/** One side's network in a few words. */
export function describeSide(side: SideFacts): string {
  if (side.reachability === 'public') return 'strangers can reach it'
  if (isSymmetric(side)) return 'another outside port for every destination (symmetric)'
  if (side.mapping === 'none') return 'no NAT, a firewall'
  if (side.mapping === 'unknown') return 'not known yet'
  return `one outside port for everybody${LETS_IN[side.filtering] ?? ''}`
}

const LETS_IN: Partial<Record<SideFacts['filtering'], string>> = {
  none: '; lets everybody in',
  'endpoint-independent': '; lets everybody in',
  'address-dependent': '; lets in hosts that it has sent to',
  'address-and-port-dependent': '; lets in only ports that it has sent to',
}

/** The networks that a peer most likely is in, from the easiest to the hardest. */
export const COMMON_NETWORKS: readonly { name: string; facts: SideFacts }[] = [
  { name: 'public nodes', facts: network('none', 'none', 'public') },
  { name: 'full-cone NATs', facts: network('endpoint-independent', 'endpoint-independent') },
  { name: 'restricted NATs', facts: network('endpoint-independent', 'address-dependent') },
  {
    name: 'port-restricted NATs',
    facts: network('endpoint-independent', 'address-and-port-dependent'),
  },
  {
    name: 'symmetric NATs',
    facts: network('address-and-port-dependent', 'address-and-port-dependent'),
  },
]

function network(
  mapping: SideFacts['mapping'],
  filtering: SideFacts['filtering'],
  reachability: SideFacts['reachability'] = 'private',
): SideFacts {
  return { ...NOTHING_KNOWN, mapping, filtering, reachability }
}
