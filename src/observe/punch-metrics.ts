import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import { parseAddress } from '../../protocols/kernel/address.ts'
import type { Attempt, Outcome } from '../../protocols/hole-punching/outputs.ts'
import type { PathMethod } from '../types.ts'

/** How hole punching goes, as it goes. */
export type PunchNews =
  | { type: 'attempt'; attempt: Attempt; method: PathMethod; carrier: Carrier }
  /** A series of attempts is over; the last one stands for it. */
  | { type: 'series'; attempt: Attempt }
  /** Before a DCUtR conversation the peer's public addresses were dialled. */
  | { type: 'direct-dial'; success: boolean }

/** `dcutr`: with a peer that knows only libp2p's own protocol. */
type Carrier = 'signal' | 'relayed' | 'dcutr'

/** Where the numbers come from. */
export interface PunchSource {
  onPunch(listener: (news: PunchNews) => void): () => void
  /** Messages that were rejected, by reason. */
  rejected(): ReadonlyMap<string, number>
  signalling: {
    stats(): {
      clients: number
      passed: number
      refusedByCode: Readonly<Record<string, number>>
      cutOff: number
    }
  }
}

/** A round of the ladder ends within ten seconds. */
const SECONDS = [0.05, 0.1, 0.2, 0.4, 0.6, 1, 1.5, 2, 3, 5, 10]

/**
 * Counts hole punching. Names and labels under `libp2p_holepunch_` are go-libp2p's, so that one dashboard serves both; what they
 * have no words for is under `warren_`. Returns how to stop.
 */
export function countPunches(registry: Registry, source: PunchSource): () => void {
  const registers = [registry]
  const count = ourCounters(registers)
  const countSeries = libp2pCounters(registers)
  countMessages(registers, source)
  return source.onPunch((news) => {
    if (news.type === 'attempt') count(news)
    else countSeries(news)
  })
}

type Registers = Registry[]

function ourCounters(
  registers: Registers,
): (news: Extract<PunchNews, { type: 'attempt' }>) => void {
  const attempts = new Counter({
    name: 'warren_punch_attempts_total',
    help: 'Attempts to meet a peer directly',
    labelNames: ['method', 'outcome', 'carrier'] as const,
    registers,
  })
  const seconds = new Histogram({
    name: 'warren_punch_seconds',
    help: 'How long successful attempts took, from the first message to a secured connection',
    labelNames: ['method'] as const,
    buckets: SECONDS,
    registers,
  })
  return ({ attempt: { outcome, ms }, method, carrier }) => {
    attempts.inc({ method, outcome, carrier })
    if (outcome === 'success') seconds.observe({ method }, ms / 1000)
  }
}

function libp2pCounters(
  registers: Registers,
): (news: Exclude<PunchNews, { type: 'attempt' }>) => void {
  const outcomes = new Counter({
    name: 'libp2p_holepunch_outcomes_total',
    help: 'Hole punches by outcome',
    labelNames: ['side', 'num_attempts', 'outcome'] as const,
    registers,
  })
  const addresses = new Counter({
    name: 'libp2p_holepunch_address_outcomes_total',
    help: 'Hole punches by outcome and kind of address',
    labelNames: ['side', 'num_attempts', 'ipv', 'transport', 'outcome'] as const,
    registers,
  })
  const directDials = new Counter({
    name: 'libp2p_holepunch_direct_dials_total',
    help: 'Dials of public addresses before a hole punch, by outcome',
    labelNames: ['outcome'] as const,
    registers,
  })
  return (news) => {
    if (news.type === 'direct-dial') {
      return directDials.inc({ outcome: news.success ? 'success' : 'failed' })
    }
    const { attempt } = news
    // go-libp2p has no such outcome for a punch as a whole: it is not counted there.
    if (attempt.outcome === 'cancelled') return
    const side = attempt.side === 'caller' ? 'initiator' : 'receiver'
    const common = { side, num_attempts: attempt.round > 5 ? '> 5' : `${attempt.round}` }
    outcomes.inc({ ...common, outcome: attempt.outcome })
    for (const [ipv, outcome] of addressOutcomes(attempt)) {
      addresses.inc({ ...common, ipv, transport: 'tcp', outcome })
    }
  }
}

/** The family that was met over has won; others that were dialled beside it were called off. */
function addressOutcomes({ candidates, address, outcome }: Attempt): Map<string, Outcome> {
  const dialled = new Set(candidates.map((one) => (one.startsWith('[') ? 'ip6' : 'ip4')))
  const won = outcome === 'success' ? parseAddress(address ?? '')?.family : undefined
  const rest = won === undefined ? outcome : 'cancelled'
  const outcomes = new Map<string, Outcome>([...dialled].map((family) => [family, rest]))
  return won === undefined ? outcomes : outcomes.set(won, 'success')
}

/** These are counted elsewhere; here they are read when somebody asks. */
function countMessages(registers: Registers, source: PunchSource): void {
  const { signalling } = source
  const rejections: Counter<'reason'> = new Counter({
    name: 'warren_punch_messages_rejected_total',
    help: 'Messages about hole punching that were malformed, too many or out of place',
    labelNames: ['reason'] as const,
    registers,
    collect: () => {
      rejections.reset()
      for (const [reason, times] of source.rejected()) rejections.inc({ reason }, times)
    },
  })
  const passed: Counter = new Counter({
    name: 'warren_signals_passed_total',
    help: 'Signals passed on between clients of this relay',
    registers,
    collect: () => {
      passed.reset()
      passed.inc(signalling.stats().passed)
    },
  })
  const refused: Counter<'code'> = new Counter({
    name: 'warren_signals_refused_total',
    help: 'Signals that this relay did not pass on, by what the sender was told',
    labelNames: ['code'] as const,
    registers,
    collect: () => {
      refused.reset()
      for (const [code, times] of Object.entries(signalling.stats().refusedByCode)) {
        refused.inc({ code }, times)
      }
    },
  })
  const cutOff: Counter = new Counter({
    name: 'warren_signals_cut_off_total',
    help: 'Clients cut off because they went on after many refusals',
    registers,
    collect: () => {
      cutOff.reset()
      cutOff.inc(signalling.stats().cutOff)
    },
  })
  const clients: Gauge = new Gauge({
    name: 'warren_signal_clients',
    help: 'Clients of this relay that can be signalled now',
    registers,
    collect: () => clients.set(signalling.stats().clients),
  })
}
