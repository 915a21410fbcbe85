/** What can be asked for by name: each scenario, with the figures its rows fix. */
import { nearest } from '../../../../src/config/nearest.ts'
import type { Determinism, Results, ScenarioName, ScenarioOptions } from '../results.ts'

export interface Play {
  scenario: ScenarioName | 'determinism'
  /** What its rows say, whatever the command line says. */
  fixed?: Partial<ScenarioOptions>
  /** It is about small worlds: no more nodes than this. */
  atMostNodes?: number
  /** It lasts as long as it lasts, whatever --hours says. */
  untimed?: true
  title: string
}

const HOUR_MS = 3_600_000
const allPublic = { privateShare: 0 }
/** How often hostile nodes dial in rows 17 to 19, and how long the overlay formed before they came. */
const afterFormation = { hostileDialsPerMinute: 5, formationHours: 8 }

const plays = {
  formation: { scenario: 'formation', untimed: true, title: 'grows to n nodes in minutes' },
  steady: { scenario: 'steady', title: 'grows, then runs undisturbed for --hours' },
  'steady-80': {
    scenario: 'steady',
    fixed: { privateShare: 0.8, punchShare: 0.5 },
    title: 'steady, 80 % behind NATs, half of the punches fail',
  },
  'massfail-50': massfail(0.5),
  'massfail-70': massfail(0.7),
  'massfail-80': massfail(0.8),
  'massfail-90': massfail(0.9),
  'massfail-95': massfail(0.95),
  'massfail-50-public': massfail(0.5, allPublic),
  'massfail-70-public': massfail(0.7, allPublic),
  'massfail-80-public': massfail(0.8, allPublic),
  'massfail-90-public': massfail(0.9, allPublic),
  'churn-1': {
    scenario: 'churn',
    fixed: { churnPerMinute: 0.01 },
    title: '1 % leave and as many come, every minute',
  },
  'churn-3': {
    scenario: 'churn',
    fixed: { churnPerMinute: 0.03 },
    title: '3 % leave and as many come, every minute',
  },
  'partition-30m': {
    scenario: 'partition',
    fixed: { partitionMs: HOUR_MS / 2 },
    title: 'two halves apart for 30 minutes',
  },
  'partition-12h': {
    scenario: 'partition',
    fixed: { partitionMs: 12 * HOUR_MS },
    title: 'two halves apart for 12 hours',
  },
  'byz-10': byz(0.1),
  'byz-20': byz(0.2),
  'byz-30': byz(0.3),
  'byz-growth': {
    scenario: 'byz-growth',
    fixed: { hostileShare: 0.1, hostileDialsPerMinute: 5, hostileGroups: 0.03 },
    title: '10 % hostile from the start, in 3 % of the IP groups',
  },
  'slot-exhaust': {
    scenario: 'slot-exhaust',
    fixed: { hostileShare: 0.1, hostileDialsPerMinute: 5, hostileGroups: 1 },
    title: '10 % hostile from the start, in all IP groups',
  },
  // With a few hundred nodes 10 % are fewer than the places, which run out only with more.
  'slot-exhaust-20': {
    scenario: 'slot-exhaust',
    fixed: { hostileShare: 0.2, hostileDialsPerMinute: 5, hostileGroups: 1 },
    title: '20 % hostile from the start, in all IP groups',
  },
  'ddos-victim': {
    scenario: 'ddos-victim',
    fixed: { hostileShare: 0.1 },
    title: "10 % hostile advertise a non-member's address",
  },
  join: { scenario: 'join', title: 'nodes join an overlay that is there' },
  flashcrowd: { scenario: 'flashcrowd', untimed: true, title: 'ten times as many in 10 minutes' },
  relaycrash: {
    scenario: 'relaycrash',
    fixed: { failShare: 0.5 },
    title: 'half of the relays stop at one instant',
  },
  clockskew: { scenario: 'clockskew', title: 'some clocks are wrong by hours' },
  detect: {
    scenario: 'detect',
    fixed: { loss: 0.02 },
    atMostNodes: 200,
    title: 'the real failure detector on every link, 2 % loss',
  },
  smalln: { scenario: 'smalln', untimed: true, atMostNodes: 50, title: '2, 3, 10 and 50 nodes' },
  determinism: {
    scenario: 'determinism',
    untimed: true,
    atMostNodes: 200,
    title: 'one small world three times: the same to the last bit?',
  },
} as const satisfies Record<string, Play>

function massfail(failShare: number, fixed?: Partial<ScenarioOptions>) {
  const where = fixed === undefined ? '' : ', all public'
  return {
    scenario: 'massfail',
    fixed: { failShare, ...fixed },
    title: `${failShare * 100} % stop at one instant${where}`,
  } as const
}

function byz(hostileShare: number) {
  return {
    scenario: 'byz',
    fixed: { hostileShare, ...afterFormation },
    title: `${hostileShare * 100} % hostile arrive after ${afterFormation.formationHours} h`,
  } as const
}

export type PlayName = keyof typeof plays

export type ResultOf<Name extends PlayName> = (typeof plays)[Name]['scenario'] extends infer S
  ? S extends ScenarioName
    ? Results[S]
    : Determinism
  : never

export type AnyResult = Results[ScenarioName] | Determinism

export const PLAYS: Readonly<Record<PlayName, Play>> = plays
export const PLAY_NAMES = Object.keys(plays) as PlayName[]

/** What fits two minutes on two cores: two large worlds side by side, the longer first, and small ones after them. */
export const CI_PLAYS: readonly PlayName[] = ['massfail-80', 'steady', 'determinism']

/** The plays that a word names: one, all of a scenario, or `all`. Throws, naming the nearest word, when it names none. */
export function playsOf(word: string): PlayName[] {
  if (word === 'all') return PLAY_NAMES
  const exact = PLAY_NAMES.find((name) => name === word)
  if (exact !== undefined) return [exact]
  const some = PLAY_NAMES.filter((name) => PLAYS[name].scenario === word)
  if (some.length > 0) return some
  const words = [...PLAY_NAMES, ...PLAY_NAMES.map((name) => PLAYS[name].scenario), 'all']
  throw new Error(`there is no scenario ${word}; did you mean ${nearest(word, words)}?`)
}

/** What the command line says for every play. */
export interface Asked {
  n: number
  hours: number
  privateShare: number
  punchShare: number
  loss: number
  healingMs?: number
}

/** The conditions of section 5 of the research, where a row says nothing else. */
export const USUAL: Asked = {
  n: 10_000,
  hours: 2,
  privateShare: 0.7,
  punchShare: 0.7,
  loss: 0.01,
}

export function optionsOf(name: PlayName, asked: Asked, seed: number): ScenarioOptions {
  const { fixed, atMostNodes = Infinity } = PLAYS[name]
  return { ...asked, seed, n: Math.min(asked.n, atMostNodes), ...fixed }
}

/** One play with one seed, finished. */
export interface Run {
  play: PlayName
  options: ScenarioOptions
  node: string
  tookMs: number
  result: AnyResult
}
