import { networksOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Endpoint } from './types.ts'
import { Remembered } from './remembered.ts'

/** How a router picks outside ports; `shifted`: each by the same number from the inner one. */
export type PortChoice = 'preserved' | 'shifted' | 'sequential' | 'random' | 'unknown'

/** How one helper saw connections from the listening port to two of its ports, and from new ports in their order. */
export interface Sample {
  seen: Endpoint
  listening: Endpoint | undefined
  fresh: { local: number; port: number }[]
  listeningPort: number
  trusted: boolean
  at: Instant
}

/** What helpers with two ports saw, one word a network. */
export class Samples extends Remembered<Sample> {
  add(helperIp: string, sample: Sample): void {
    const network = networksOf(helperIp)?.narrow
    if (network === undefined) return
    this.put(network, sample)
  }

  /**
   * Whether a second port of one host sees the same outside port, by most who looked; undefined when nobody did. The address may
   * be another: a router with two of them may take them in turns.
   */
  sameForOtherPort({ trustedOnly }: { trustedOnly: boolean }): boolean | undefined {
    const looked = this.all().filter(
      ({ listening, trusted }) => listening !== undefined && (trusted || !trustedOnly),
    )
    if (looked.length === 0) return undefined
    return majority(
      looked.map(({ seen, listening, trusted }) => [seen.port === listening?.port, trusted]),
    )
  }

  /** By most who looked; a tie goes to the operator's choice, and then to who looked last. */
  portChoice(): PortChoice {
    const votes = this.all().flatMap((sample): [PortChoice, boolean][] => {
      const choice = choiceIn(sample)
      return choice === 'unknown' ? [] : [[choice, sample.trusted]]
    })
    return votes.length === 0 ? 'unknown' : majority(votes)
  }

  /** Outside ports in the order in which the router handed them out, as far as known. */
  ports(): number[] {
    return this.all().flatMap(({ listening, fresh }) => [
      ...(listening === undefined ? [] : [listening.port]),
      ...fresh.map(({ port }) => port),
    ])
  }
}

/** Fewer would show a rule where there is none. */
const FEWEST = 3

/** Other connections of the network take ports in between. */
const LONGEST_STEP = 16

function choiceIn({ fresh, listening, listeningPort }: Sample): PortChoice {
  if (fresh.length < FEWEST) return 'unknown'
  const offsets = fresh.map(({ local, port }) => port - local)
  const [first = 0] = offsets
  // A port that happens to be taken is the exception, also with routers that keep ports.
  if (offsets.filter((offset) => offset === 0).length * 2 > offsets.length) return 'preserved'
  if (offsets.every((offset) => offset === first)) return 'shifted'
  const ports = [
    ...(listening === undefined || listening.port === listeningPort ? [] : [listening.port]),
    ...fresh.map(({ port }) => port),
  ]
  return isSequence(ports) || isSequence(fresh.map(({ port }) => port)) ? 'sequential' : 'random'
}

function isSequence(ports: number[]): boolean {
  const steps = ports.slice(1).map((port, i) => port - (ports[i] as number))
  const up = steps.every((step) => step > 0 && step <= LONGEST_STEP)
  return up || steps.every((step) => step < 0 && step >= -LONGEST_STEP)
}

/** The answer of most; among equally many, the one that somebody trusted gave, then the latest. */
function majority<T>(votes: [answer: T, trusted: boolean][]): T {
  const tally = new Map<T, { votes: number; trusted: number; last: number }>()
  for (const [i, [answer, trusted]] of votes.entries()) {
    const entry = tally.get(answer) ?? { votes: 0, trusted: 0, last: 0 }
    tally.set(answer, {
      votes: entry.votes + 1,
      trusted: entry.trusted + Number(trusted),
      last: i,
    })
  }
  const [winner] = [...tally].sort(
    ([, a], [, b]) => b.votes - a.votes || b.trusted - a.trusted || b.last - a.last,
  )
  return (winner as [T, unknown])[0]
}
