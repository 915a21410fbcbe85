/** Rows 17 to 22: hostile nodes. */
import type { Byzantine } from '../../results.ts'
import { atMost, decimals, percent, whole } from '../goals.ts'
import { from, type Figure, type Row } from './row.ts'

/** The same three figures in every row about hostile nodes; goals and other people's figures in this order. */
const hostileFigures = (
  play: 'byz-10' | 'byz-20' | 'byz-30' | 'byz-growth' | 'slot-exhaust',
  most: readonly [slots: number, chosen: number, eclipsed: number],
  prototype: readonly [string, string, string],
  anchor: string,
): Figure[] => {
  const read = [
    ['hostile share of slots', ({ end }: Byzantine) => end.hostileSlots],
    ['of chosen neighbours', ({ end }: Byzantine) => end.hostileChosen],
    ['eclipsed', ({ end }: Byzantine) => end.eclipsed],
  ] as const
  return read.map(([name, value], i) => ({
    name,
    sources: [from(play, value)],
    format: percent,
    goal: atMost(most[i] as number),
    prototype: prototype[i] as string,
    ...(i === 0 ? { anchor } : {}),
  }))
}

export const ATTACKS: readonly Row[] = [
  {
    number: 17,
    title: '10 % hostile after 8 h of formation',
    figures: hostileFigures(
      'byz-10',
      [0.16, 0.15, 0],
      ['14.9 %', '12.3 %', '0'],
      'Basalt 13.3 %, Brahms 10.7 %',
    ),
  },
  {
    number: 18,
    title: '20 % hostile after 8 h of formation',
    figures: hostileFigures(
      'byz-20',
      [0.3, 0.18, 0],
      ['28.4 %', '14.7 %', '0'],
      'Basalt 26.0 %, Brahms 20.5 %',
    ),
  },
  {
    number: 19,
    title: '30 % hostile after 8 h of formation',
    figures: hostileFigures(
      'byz-30',
      [0.42, 0.2, 0.0002],
      ['40.0 %', '15.4 %', '0'],
      'Basalt 38.1 %, Brahms 31.2 %',
    ),
  },
  {
    number: 20,
    title: '10 % hostile from the start, in 3 % of the IP groups',
    figures: hostileFigures('byz-growth', [0.16, 0.2, 0.0005], ['13 %', '19 %', '.02 %'], '–'),
  },
  {
    number: 21,
    title: '10 % hostile from the start, in all IP groups',
    weakness: true,
    figures: hostileFigures(
      'slot-exhaust',
      [0.35, 0.35, 0.005],
      ['27 %', '29 %', '.38 %'],
      'arXiv 2601.16560: 45 → 95 % redirected',
    ),
  },
  {
    number: 22,
    title: "dials at a non-member's address that 10 % advertise",
    figures: [
      {
        name: 'a minute and 1,000 nodes',
        sources: [from('ddos-victim', ({ perMinuteAndThousand }) => perMinuteAndThousand)],
        format: decimals(2),
        goal: atMost(1),
      },
      {
        name: 'the same in the worst minute',
        sources: [from('ddos-victim', ({ worstMinutePerThousand }) => worstMinutePerThousand)],
        format: decimals(2),
      },
      {
        name: 'most by one node',
        sources: [from('ddos-victim', ({ mostByOne }) => mostByOne)],
        format: whole,
        goal: atMost(3),
      },
    ],
  },
]
