import { parseAddress, scopeOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Attempt } from './outputs.ts'
import { OPEN_ONE_SIDE } from './predict.ts'
import type { Prediction } from './predict.ts'

/** How a direct path came about, in the words of the public API. */
export type DirectMethod = 'dial' | 'reverse' | 'lan' | 'punch' | 'birthday' | 'inbound'

/** What this node holds to a peer. */
export type PathNow =
  | { kind: 'direct'; address: string; method: DirectMethod }
  | { kind: 'relayed'; via: string }

/** All that decides why the path to a peer is what it is. */
export interface Situation {
  /** Absent: not connected. */
  path?: PathNow | undefined
  prediction: Prediction
  /** Oldest first. */
  attempts: readonly Attempt[]
  /** Whether a campaign is under way. */
  active: boolean
  /** When the next campaign begins. */
  againAt?: Instant | undefined
  /** Why this node cannot punch at all. */
  off?: string | undefined
  /** Relays at which the peer can be asked, as far as known. */
  relays: number
}

/** Why the path is what it is, what comes next, and what a person can do. */
export interface Account {
  text: string
  next?: { at?: Instant; text: string }
  remedy?: string
}

/** What is to be expected of a node that cannot punch. */
export function withoutPunching(prediction: Prediction, off: string): Prediction {
  if (prediction.method === 'dial' || prediction.method === 'lan') return prediction
  return {
    method: 'relay',
    chance: 'none',
    text: `hole punching is off on this node: ${off}`,
    remedy: 'run Node.js 24.21 or newer on Linux, so that dials leave from the listening port',
  }
}

/** Says why the path is what it is. */
export function explain(situation: Situation): Account {
  const { path } = situation
  if (path?.kind === 'direct') {
    return { text: `direct: ${WHY_DIRECT[path.method]}${wonBy(path.address, situation.attempts)}` }
  }
  return path === undefined ? unconnected(situation) : relayed(situation)
}

const WHY_DIRECT: Record<DirectMethod, string> = {
  dial: 'the peer let this node in, so it was dialled',
  inbound: 'this node let the peer in, which dialled it',
  reverse:
    'this node lets strangers in, so the peer dialled back when it was asked through a relay',
  lan: 'both are in one local network',
  punch: 'both sides opened their door at the same moment',
  birthday:
    'one router gives every destination another port, and the right one was found among many',
}

/** Which attempt made the connection in use, if one of those remembered did. */
function wonBy(address: string, attempts: readonly Attempt[]): string {
  const won = attempts.findLast((one) => one.outcome === 'success' && isSame(one.address, address))
  return won === undefined ? '' : `; it took ${seconds(won.ms)}, at try ${won.round}`
}

function isSame(a: string | undefined, b: string): boolean {
  const [left, right] = [parseAddress(a ?? ''), parseAddress(b)]
  return left !== undefined && left.host === right?.host && left.port === right.port
}

function unconnected(situation: Situation): Account {
  const { active, attempts, prediction, relays } = situation
  if (active) return { text: 'not connected yet: both sides are being brought together right now' }
  if (relays === 0 && needsRelay(prediction)) {
    return {
      text: 'not connected: the peer names no relay at which it could be asked to open its door',
      remedy: NO_RELAY,
    }
  }
  const next = { text: '`warren connect` tries to reach it' }
  const last = attempts.at(-1)
  if (last === undefined)
    return { text: 'not connected: nothing on this node has asked for the peer', next }
  if (last.outcome === 'success')
    return { text: 'not connected: the direct connection has ended', next }
  return {
    text: `not connected; the last attempt ${howFailed(last)}`,
    next,
    ...remedyOf(situation),
  }
}

const needsRelay = ({ method }: Prediction): boolean =>
  method === 'reverse' || method === 'punch' || method === 'birthday' || method === 'relay'

function relayed(situation: Situation): Account {
  const { active, againAt, off } = situation
  if (active) {
    return { text: 'relayed for the moment: both sides are trying to connect directly right now' }
  }
  const text = `relayed, ${whyRelayed(situation)}`
  if (off !== undefined) return { text, ...remedyOf(situation) }
  const next =
    againAt === undefined
      ? { text: 'tried again when either network changes, or by `warren connect --direct`' }
      : { at: againAt, text: 'tried again then, or earlier when either network changes' }
  return { text, next, ...remedyOf(situation) }
}

function whyRelayed({ prediction, attempts }: Situation): string {
  if (prediction.chance === 'none') return `because ${prediction.text}`
  const last = attempts.at(-1)
  if (last === undefined) return 'and no direct connection has been attempted yet'
  if (last.outcome === 'success') return 'because the direct path was lost'
  return `because the last attempt ${howFailed(last)}`
}

function howFailed({ outcome, reason, ms }: Attempt): string {
  const what = outcome === 'cancelled' ? 'was called off' : `failed after ${seconds(ms)}`
  return reason === undefined ? what : `${what}: ${reason}`
}

/** The cure for what went wrong last, else for what the networks are. */
function remedyOf({ prediction, attempts, off }: Situation): { remedy?: string } {
  const last = attempts.at(-1)
  const known =
    prediction.chance === 'none' || off !== undefined || last === undefined
      ? undefined
      : cureFor(last)
  const remedy = known ?? prediction.remedy
  return remedy === undefined ? {} : { remedy }
}

const NO_RELAY =
  'the overlay needs a public member that relays for both: run one, and give it to both nodes with --bootstrap'

function cureFor(last: Attempt): string | undefined {
  if (last.outcome === 'success' || last.outcome === 'cancelled') return undefined
  if (last.outcome === 'no_suitable_address') {
    return 'let both nodes link to a public member, which tells them where they are seen'
  }
  const reached = (name: string): boolean => last.steps.some((step) => step.name === name)
  if (last.side === 'caller' && !reached('asked')) return NO_RELAY
  if (last.side === 'caller' && !reached('answered')) {
    return 'check that the peer runs and is a Warren node: it was asked through a relay and was silent'
  }
  return OPEN_ONE_SIDE
}

/** How one round tried, or met: neighbours meet at local addresses whatever the round was for. */
export function methodOf({ method, address }: Attempt): 'lan' | 'punch' | 'burst' | 'birthday' {
  const host = parseAddress(address ?? '')?.host
  if (host !== undefined && scopeOf(host) === 'private') return 'lan'
  return method === 'search' ? 'birthday' : method === 'burst' ? 'burst' : 'punch'
}

function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}
