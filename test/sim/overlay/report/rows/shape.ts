/** Rows 1 to 8: an overlay that nothing happens to. */
import type { Measured, Steady } from '../../results.ts'
import { atLeast, atMost, between, decimals, exactly, nearOne, points, whole } from '../goals.ts'
import { from, reaches, worstOf, type Row, type Source } from './row.ts'

const HOUR_MS = 3_600_000

/** A check is taken within its hour's last or next minute. */
const checkAt =
  (hours: number, read: (check: Measured) => number) =>
  ({ checks }: Steady): number | undefined => {
    const check = checks.find(({ atMs }) => Math.abs(atMs - hours * HOUR_MS) <= 60_000)
    return check === undefined ? undefined : read(check)
  }

/** At the end of `steady`, or of `formation` where only that was run. */
const atEnd = (read: (end: Measured) => number): Source[] => [
  from('steady', ({ checks }) => {
    const end = checks.at(-1)
    return end === undefined ? undefined : read(end)
  }),
  from('formation', ({ end }) => read(end)),
]

/** There is no such figure where all nodes are public. */
function hiddenToPublic({ checks }: Steady): number | undefined {
  const ratio = checks.at(-1)?.hiddenToPublic
  return Number.isNaN(ratio) ? undefined : ratio
}

export const SHAPE: readonly Row[] = [
  {
    number: 1,
    title: 'largest component, every minute of a steady day',
    figures: [
      {
        name: '',
        sources: [
          from('steady', ({ worstComponent }) => worstComponent),
          from('formation', ({ end }) => end.component),
        ],
        format: nearOne,
        goal: exactly(1),
        anchor: 'HyParView 1.0',
        prototype: '1.0000',
        hours: 24,
        seeds: 5,
      },
    ],
  },
  {
    number: 2,
    title: 'flood reach, steady',
    figures: [
      {
        name: '',
        sources: [
          from('steady', (steady) => worstOf(reaches(steady))),
          from('formation', (formation) => worstOf(reaches(formation))),
        ],
        format: nearOne,
        goal: atLeast(0.99999),
        anchor: '1.00000',
        prototype: '1.00000',
      },
    ],
  },
  {
    number: 3,
    title: 'clustering (random graph .0010)',
    figures: [
      {
        name: 'after 2 h',
        sources: [
          from(
            'steady',
            checkAt(2, (check) => check.clustering),
          ),
        ],
        format: decimals(4),
        goal: atMost(0.004),
        anchor: 'HyParView .0009 to .0016; Cyclon .0068',
        prototype: '.0029',
        sized: true,
      },
      {
        name: 'after 8 h',
        sources: [
          from(
            'steady',
            checkAt(8, (check) => check.clustering),
          ),
        ],
        format: decimals(4),
        goal: atMost(0.0025),
        prototype: '.0017',
        hours: 8,
        sized: true,
      },
    ],
  },
  {
    number: 4,
    title: 'paths',
    figures: [
      {
        name: 'average',
        sources: atEnd((end) => end.averagePath),
        format: decimals(2),
        goal: atMost(4.5),
        anchor: 'HyParView 6.39; Cyclon 2.60',
        prototype: '4.27 to 4.30',
        sized: true,
      },
      {
        name: 'longest',
        sources: atEnd((end) => end.longestPath),
        format: whole,
        goal: atMost(7),
        anchor: 'HyParView 9.0',
        prototype: '6',
        sized: true,
      },
    ],
  },
  {
    number: 5,
    title: 'active neighbours (chosen, and up to 8 accepted)',
    figures: [
      {
        name: 'p1',
        sources: atEnd((end) => end.active.p1),
        format: whole,
        goal: atLeast(5),
        anchor: 'HyParView 5',
        prototype: '5',
      },
      {
        name: 'p50',
        sources: atEnd((end) => end.active.p50),
        format: whole,
        goal: between(8, 12),
        anchor: '5',
        prototype: '11',
      },
      {
        name: 'p99',
        sources: atEnd((end) => end.active.p99),
        format: whole,
        goal: atMost(13),
        anchor: '5',
        prototype: '13',
      },
      {
        name: 'most, parked ones too',
        sources: atEnd((end) => end.total.max),
        format: whole,
        goal: atMost(69),
      },
    ],
  },
  {
    number: 6,
    title: 'id-ranked slots: in-degree, deviation over mean',
    figures: [
      {
        name: 'after 8 h',
        sources: [
          from(
            'steady',
            checkAt(8, (check) => check.slotsSpread),
          ),
        ],
        format: decimals(3),
        goal: atMost(0.4),
        anchor: 'Cyclon .063 to .074; Poisson .125',
        prototype: '.46 at 4 h, .32 at 8.6 h',
        hours: 8,
      },
      {
        name: 'after 48 h',
        sources: [
          from(
            'steady',
            checkAt(48, (check) => check.slotsSpread),
          ),
        ],
        format: decimals(3),
        goal: atMost(0.2),
        prototype: 'not measured',
        hours: 48,
      },
    ],
  },
  {
    number: 7,
    title: 'public share in slots minus truth, after 6 h',
    figures: [
      {
        name: 'in group-ranked slots, which favour them by design',
        sources: [
          from(
            'steady',
            checkAt(6, (check) => check.publicBiasByGroup),
          ),
        ],
        format: points,
        hours: 6,
      },
      {
        name: 'in id-ranked slots',
        sources: [
          from(
            'steady',
            checkAt(6, (check) => check.publicBias),
          ),
        ],
        format: points,
        goal: between(-0.015, 0.015),
        anchor: 'Croupier: similar randomness',
        prototype: '+0.3 to +0.8 pp at 6.5 h',
        hours: 6,
      },
    ],
  },
  {
    number: 8,
    title: 'accepted neighbours, hidden over public node',
    figures: [
      {
        name: '70 % hidden, punching .7',
        sources: [from('steady', hiddenToPublic)],
        format: decimals(2),
        goal: atLeast(0.85),
        prototype: '.88 to .89',
      },
      {
        name: '80 % hidden, punching .5',
        sources: [from('steady-80', hiddenToPublic)],
        format: decimals(2),
        goal: atLeast(0.45),
        prototype: '.33 naive, .45 class held',
      },
    ],
  },
]
