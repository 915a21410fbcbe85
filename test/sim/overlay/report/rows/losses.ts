/** Rows 9 to 16: nodes and links that go. */
import type { Churn } from '../../results.ts'
import { atLeast, atMost, decimals, exactly, nearOne, percent, seconds } from '../goals.ts'
import type { Goal } from '../goals.ts'
import { from, meanOf, reaches, type Figure, type Row } from './row.ts'

const floodAfter = (
  percentLost: 50 | 70 | 80 | 90,
  where: '' | '-public',
  given: Pick<Figure, 'goal' | 'anchor' | 'prototype'>,
): Figure => ({
  name: `${percentLost} %${where === '' ? '' : ', all public'}`,
  sources: [from(`massfail-${percentLost}${where}`, ({ firstFlood }) => firstFlood.reach)],
  format: decimals(4),
  ...given,
})

const churnFigures = (
  play: 'churn-1' | 'churn-3',
  component: Goal,
  flood: Goal,
  prototype: string,
): Figure[] => {
  const shared = { format: nearOne }
  return [
    {
      ...shared,
      name: 'largest component, mean',
      sources: [from(play, (churn: Churn) => churn.meanComponent)],
      goal: component,
      anchor: play === 'churn-1' ? 'Cyclon, SCAMP partition' : '',
      prototype,
    },
    {
      ...shared,
      name: 'largest component, worst minute',
      sources: [from(play, (churn: Churn) => churn.worstComponent)],
    },
    {
      ...shared,
      name: 'flood reach, mean',
      sources: [from(play, (churn: Churn) => meanOf(reaches(churn)))],
      goal: flood,
      prototype,
    },
  ]
}

export const LOSSES: readonly Row[] = [
  {
    number: 9,
    title: 'first flood after simultaneous loss',
    figures: [
      floodAfter(50, '', { goal: atLeast(0.995), anchor: 'HyParView .9994', prototype: '.995' }),
      floodAfter(70, '', { goal: atLeast(0.96), anchor: '.998', prototype: '.96' }),
      floodAfter(80, '', { goal: atLeast(0.87), anchor: '.99', prototype: '.87' }),
      floodAfter(90, '', { anchor: '.945', prototype: '–' }),
      floodAfter(50, '-public', { goal: atLeast(0.995), anchor: '.9994', prototype: '–' }),
      floodAfter(70, '-public', { goal: atLeast(0.98), anchor: '.998', prototype: '.98' }),
      floodAfter(80, '-public', { goal: atLeast(0.93), anchor: '.99', prototype: '.93' }),
      floodAfter(90, '-public', { goal: atLeast(0.7), anchor: '.945', prototype: '.71' }),
    ],
  },
  {
    number: 10,
    title: 'largest component after 80 % loss',
    figures: [
      {
        name: 'after 1 min',
        sources: [from('massfail-80', ({ component }) => component.after1min)],
        format: nearOne,
        goal: atLeast(0.999),
        anchor: 'HyParView 1 to 2 cycles',
        prototype: '1.0000',
      },
      {
        name: 'after 2 min',
        sources: [from('massfail-80', ({ component }) => component.after2min)],
        format: nearOne,
        goal: exactly(1),
        prototype: '1.0000',
      },
    ],
  },
  {
    number: 11,
    title: 'the same, 90 %',
    figures: [
      {
        name: 'after 1 min',
        sources: [from('massfail-90', ({ component }) => component.after1min)],
        format: nearOne,
        goal: atLeast(0.98),
        anchor: 'HyParView ~4 cycles, some stuck at .998',
        prototype: '.983 to .997',
      },
      {
        name: 'after 2 min',
        sources: [from('massfail-90', ({ component }) => component.after2min)],
        format: nearOne,
        goal: atLeast(0.995),
        anchor: 'Gozar > .92 at 80 % lost',
        prototype: '.999 to 1.0',
      },
      {
        name: 'after 5 min',
        sources: [from('massfail-90', ({ component }) => component.after5min)],
        format: nearOne,
        goal: exactly(1),
        prototype: '1.0',
      },
    ],
  },
  {
    number: 12,
    title: 'the same, 95 %, after 20 min',
    figures: [
      {
        name: '',
        sources: [from('massfail-95', ({ component }) => component.after20min)],
        format: nearOne,
        goal: atLeast(0.999),
        anchor: 'HyParView does not heal alone',
        prototype: '.996',
      },
    ],
  },
  {
    number: 13,
    title: 'churn of 1 % a minute, 2 h',
    figures: [
      ...churnFigures('churn-1', atLeast(0.9999), atLeast(0.9995), '1.0000'),
      {
        name: 'failed dials',
        sources: [from('churn-1', ({ dials, dialsFailed }) => dialsFailed / dials)],
        format: percent,
        goal: atMost(0.15),
        prototype: '14.4 %',
      },
      {
        name: 'stale slots',
        sources: [from('churn-1', ({ end }) => end.staleSlots)],
        format: percent,
        goal: atMost(0.16),
        prototype: '15.6 %',
      },
    ],
  },
  {
    number: 14,
    title: 'churn of 3 % a minute, 2 h',
    figures: churnFigures('churn-3', atLeast(0.999), atLeast(0.995), '.9999'),
  },
  {
    number: 15,
    title: 'two halves apart for 30 min',
    figures: [
      {
        name: 'merged after',
        sources: [from('partition-30m', ({ mergedAfterMs }) => mergedAfterMs)],
        format: seconds,
        goal: atMost(120_000),
        anchor: 'hashicorp: "joined by just a few nodes"',
        prototype: '1 cycle',
      },
      {
        name: 'links across, 60 min later',
        sources: [from('partition-30m', ({ crossSideAfter60min }) => crossSideAfter60min)],
        format: percent,
        goal: atLeast(0.4),
        prototype: '2.5 %; 41.8 % in heal mode',
      },
    ],
  },
  {
    number: 16,
    title: 'two halves apart for 12 h: merged after',
    figures: [
      {
        name: '',
        sources: [from('partition-12h', ({ mergedAfterMs }) => mergedAfterMs)],
        format: seconds,
        goal: atMost(300_000),
        prototype: '4 cycles with re-contact',
      },
    ],
  },
]
