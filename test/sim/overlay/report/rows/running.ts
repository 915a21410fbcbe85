/** Rows 23 to 28: how quick, how dear, how repeatable. */
import { atMost, exactly, mebibytes, scientific, seconds, whole } from '../goals.ts'
import { from, type Row } from './row.ts'

export const RUNNING: readonly Row[] = [
  {
    number: 23,
    title: 'failure detection, 2 % loss',
    figures: [
      {
        name: 'silent death, p50',
        sources: [from('detect', ({ detectedP50Ms }) => detectedP50Ms)],
        format: seconds,
        goal: atMost(20_000),
        anchor: 'memberlist WAN 120 to 720 s',
      },
      {
        name: 'silent death, p99',
        sources: [from('detect', ({ detectedP99Ms }) => detectedP99Ms)],
        format: seconds,
        goal: atMost(40_000),
      },
      {
        name: 'false alarms a link and hour',
        sources: [from('detect', ({ falseDown, linkHours }) => falseDown / linkHours)],
        format: scientific,
        goal: atMost(1e-3),
      },
    ],
  },
  {
    number: 24,
    title: 'three chosen neighbours, p95',
    figures: [
      {
        name: 'public node joins',
        sources: [from('join', (join) => join.public.p95Ms)],
        format: seconds,
        goal: atMost(10_000),
      },
      {
        name: 'hidden node joins',
        sources: [from('join', (join) => join.hidden.p95Ms)],
        format: seconds,
        goal: atMost(25_000),
      },
      {
        name: 'in a flash crowd',
        sources: [from('flashcrowd', ({ crowd }) => crowd.p95Ms)],
        format: seconds,
        goal: atMost(60_000),
      },
    ],
  },
  {
    number: 25,
    title: 'bytes a second, the larger direction',
    figures: [
      {
        name: 'mean',
        sources: [
          from('steady', ({ traffic }) => Math.max(traffic.sent.mean, traffic.received.mean)),
        ],
        format: whole,
        goal: atMost(200),
        prototype: '~160 (arithmetic)',
      },
      {
        name: 'p99 node',
        sources: [
          from('steady', ({ traffic }) => Math.max(traffic.sent.p99, traffic.received.p99)),
        ],
        format: whole,
        goal: atMost(800),
      },
    ],
  },
  {
    number: 26,
    title: "a node's state in memory",
    figures: [
      {
        name: '',
        sources: [
          from('steady', ({ heapPerNode }) =>
            Number.isNaN(heapPerNode) ? undefined : heapPerNode,
          ),
        ],
        format: mebibytes,
        goal: atMost(1.5 * 2 ** 20),
      },
    ],
  },
  {
    number: 27,
    title: 'different end states of three runs of one seed',
    figures: [
      {
        name: '',
        sources: [from('determinism', ({ hashes }) => new Set(hashes).size)],
        format: whole,
        goal: exactly(1),
      },
    ],
  },
  {
    number: 28,
    title: 'real containers: 50 nodes, 70 % behind NATs, relays killed',
    figures: [],
    elsewhere: 'npm run lab -- --scenario crowd',
  },
]
