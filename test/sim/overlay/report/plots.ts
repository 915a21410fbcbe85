/** Which charts are drawn of which runs. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Counts, Measured, Moment, Traffic } from '../results.ts'
import { chartSvg, type Chart, type Curve, type Point } from './chart.ts'
import { PLAYS, type AnyResult, type PlayName, type Run } from './plays.ts'

export interface Plot {
  /** Without a folder. */
  file: string
  svg: string
}

/** More curves than there are colours tell nobody anything. */
const MOST_CURVES = 8
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** Draws all into a folder, which is made; resolves to the names of the files. */
export async function drawAll(runs: readonly Run[], folder: string): Promise<string[]> {
  const plots = plotsOf(runs)
  if (plots.length > 0) await mkdir(folder, { recursive: true })
  await Promise.all(plots.map(({ file, svg }) => writeFile(join(folder, file), svg)))
  return plots.map(({ file }) => join(folder, file))
}

export function plotsOf(runs: readonly Run[]): Plot[] {
  const plays = Map.groupBy(runs, ({ play }) => play)
  const charts = [
    ...[...plays].flatMap(([play, same]) => chartsOfPlay(play, same)),
    ...healingAfterLoss(runs),
  ]
  return charts
    .filter(([, { curves }]) => curves.some(({ points }) => points.some(isKnown)))
    .map(([name, chart]) => ({ file: `${name}.svg`, svg: chartSvg(chart) }))
}

const isKnown = (point: Point): boolean => point.every(Number.isFinite)

type Named = [name: string, chart: Chart]

const chartsOfPlay = (play: PlayName, runs: readonly Run[]): Named[] => [
  ...degrees(play, runs),
  ...slots(play, runs),
  ...reachability(play, runs),
  ...healingAfterPartition(play, runs),
  ...trafficOverTime(play, runs),
  ...trafficOfNodes(play, runs),
  ...hostileShares(play, runs),
]

function titled(what: string, play: PlayName, runs: readonly Run[]): string {
  const nodes = (runs[0]?.options.n ?? 0).toLocaleString('en')
  const seeds = runs.length === 1 ? `seed ${runs[0]?.options.seed}` : `${runs.length} seeds`
  return `${what}: ${play}, n = ${nodes}, ${seeds}`
}

function endOf(result: AnyResult): Measured | undefined {
  if ('checks' in result) return result.checks.at(-1)
  return 'end' in result ? result.end : undefined
}

const seriesOf = (result: AnyResult): readonly Moment[] => ('series' in result ? result.series : [])

/** What happened, and when. */
function happenings(result: AnyResult): { atMs: number; text: string }[] {
  if ('failedMs' in result) return [{ atMs: result.failedMs, text: 'failure' }]
  if ('crashedMs' in result) return [{ atMs: result.crashedMs, text: 'relays stop' }]
  if ('attackedMs' in result)
    return result.attackedMs > 0 ? [{ atMs: result.attackedMs, text: 'attack' }] : []
  if ('splitMs' in result)
    return [
      { atMs: result.splitMs, text: 'split' },
      { atMs: result.healedMs, text: 'split ends' },
    ]
  return []
}

/** Hours when it lasts for hours, else minutes. */
function timeAxis(series: readonly Moment[]): { unitMs: number; label: string } {
  const long = (series.at(-1)?.atMs ?? 0) > 3 * HOUR_MS
  return long
    ? { unitMs: HOUR_MS, label: 'simulated hours' }
    : { unitMs: MINUTE_MS, label: 'simulated minutes' }
}

/** A chart over time of the first run's happenings, with curves of all. */
function overTime(
  title: string,
  y: Chart['y'],
  runs: readonly Run[],
  curves: readonly { name: string; run: Run; read: (moment: Moment, index: number) => number }[],
): Chart {
  const [first] = runs
  const longest = runs
    .map(({ result }) => seriesOf(result))
    .reduce((a, b) => (lastOf(a) > lastOf(b) ? a : b), [])
  const { unitMs, label } = timeAxis(longest)
  return {
    title,
    x: { label },
    y,
    curves: curves.map(({ name, run, read }) => ({
      name,
      points: seriesOf(run.result).map((moment, i) => [moment.atMs / unitMs, read(moment, i)]),
    })),
    marks:
      first === undefined
        ? []
        : happenings(first.result).map(({ atMs, text }) => ({ x: atMs / unitMs, text })),
  }
}

const lastOf = (series: readonly Moment[]): number => series.at(-1)?.atMs ?? 0

const withSeries = (runs: readonly Run[]): Run[] =>
  runs.filter(({ result }) => seriesOf(result).length > 1).slice(0, MOST_CURVES)

/** Counts of all seeds together. */
function pooled(all: readonly Counts[]): Counts {
  const length = Math.max(0, ...all.map((counts) => counts.length))
  return Array.from({ length }, (_, i) => all.reduce((sum, counts) => sum + (counts[i] ?? 0), 0))
}

/** A bar of width 1 around each whole number. */
const bars = (name: string, counts: Counts): Curve => ({
  name,
  points: [...counts, 0].map((count, i) => [i - 0.5, count]),
})

function degrees(play: PlayName, runs: readonly Run[]): Named[] {
  const ends = runs.flatMap(({ result }) => endOf(result) ?? [])
  if (ends.length === 0) return []
  const kinds = ['chosen', 'accepted', 'total'] as const
  return [
    [
      `${play}-degrees`,
      {
        title: titled('Neighbours', play, runs),
        x: { label: 'neighbours' },
        y: { label: 'nodes' },
        steps: true,
        curves: kinds.map((kind) =>
          bars(kind, pooled(ends.map(({ histograms }) => histograms[kind]))),
        ),
      },
    ],
  ]
}

function slots(play: PlayName, runs: readonly Run[]): Named[] {
  const counts = pooled(runs.map(({ result }) => endOf(result)?.histograms.slotsInDegree ?? []))
  if (counts.length === 0) return []
  return [
    [
      `${play}-slots`,
      {
        title: titled('Id-ranked slots', play, runs),
        x: { label: 'slots that hold a node' },
        y: { label: 'nodes' },
        steps: true,
        curves: [bars('nodes', counts)],
      },
    ],
  ]
}

function reachability(play: PlayName, runs: readonly Run[]): Named[] {
  const drawn = withSeries(runs)
  if (drawn.length === 0) return []
  const curves = drawn.map((run) => ({
    name: `seed ${run.options.seed}`,
    run,
    read: ({ component }: Moment) => component,
  }))
  const y = { label: 'share in the largest component', include: [0.99, 1] as const }
  return [[`${play}-reachability`, overTime(titled('Reachability', play, runs), y, drawn, curves)]]
}

const isPublic = ({ options }: Run): boolean => options.privateShare === 0

/** All losses in one picture, those of overlays without hidden nodes in another. */
function healingAfterLoss(runs: readonly Run[]): Named[] {
  const firsts = [...Map.groupBy(runs, ({ play }) => play).values()].flatMap((same) =>
    same.slice(0, 1),
  )
  return [
    ...healing(
      'massfail-healing',
      firsts.filter((run) => !isPublic(run)),
    ),
    ...healing('massfail-healing-public', firsts.filter(isPublic)),
  ]
}

/** From half a minute before the losses until all have healed. */
function healing(file: string, runs: readonly Run[]): Named[] {
  const losses = runs.flatMap(lossOf)
  const [first] = losses
  if (first === undefined) return []
  const end = Math.min(MOST_HEALING, Math.max(...losses.map(healedAt)) + 1)
  return [
    [
      file,
      {
        title: `Healing after simultaneous loss, n = ${first.nodes.toLocaleString('en')}`,
        x: { label: 'minutes after the loss' },
        y: { label: 'survivors in the largest component', include: [0.9, 1] },
        curves: losses.map(({ name, points }) => ({
          name,
          points: points.filter(([minute]) => minute >= -0.5 && minute <= end),
        })),
        marks: [{ x: 0, text: 'failure' }],
      },
    ],
  ]
}

/** Minutes after which the rest of a healing is too slow to be looked at beside the others. */
const MOST_HEALING = 20
const HEALED = 0.999

interface Loss extends Curve {
  nodes: number
}

/** A run's largest component, in minutes after its loss; nothing for a run without one. */
function lossOf({ play, options, result }: Run): Loss[] {
  if (!('failedMs' in result)) return []
  const points = result.series.map(
    ({ atMs, component }) => [(atMs - result.failedMs) / MINUTE_MS, component] as const,
  )
  const name = PLAYS[play].title.replace(' stop at one instant', '')
  return [{ name, nodes: options.n, points }]
}

/** The last minute in which it was not whole. */
const healedAt = ({ points }: Loss): number =>
  Math.max(1, ...points.flatMap(([minute, component]) => (component < HEALED ? minute : [])))

function healingAfterPartition(play: PlayName, runs: readonly Run[]): Named[] {
  const [first] = withSeries(runs)
  if (first === undefined || !('splitMs' in first.result)) return []
  const { splitMs } = first.result
  // Which link is across is only known from the split on.
  const across = ({ atMs, crossSide }: Moment) => (atMs > splitMs ? crossSide : Number.NaN)
  const curves = [
    { name: 'largest component', run: first, read: ({ component }: Moment) => component },
    { name: 'links across', run: first, read: across },
  ]
  const y = { label: 'share', include: [0, 1] as const }
  const title = titled('Healing', play, [first])
  const chart = overTime(title, y, [first], curves)
  return [
    [`${play}-healing`, { ...chart, goal: { y: 0.4, text: 'links across: 40 % after an hour' } }],
  ]
}

/** Nothing is known of the time before the first moment; NaN is not drawn. */
const rate =
  (direction: 'sentPerSecond' | 'receivedPerSecond') =>
  (moment: Moment, index: number): number =>
    index === 0 ? Number.NaN : moment[direction]

function trafficOverTime(play: PlayName, runs: readonly Run[]): Named[] {
  const [first] = withSeries(runs)
  if (first === undefined) return []
  const curves = [
    { name: 'sent', run: first, read: rate('sentPerSecond') },
    { name: 'received', run: first, read: rate('receivedPerSecond') },
  ]
  const y = { label: 'bytes a second, mean of nodes', include: [0, 0] as const }
  const chart = overTime(titled('Traffic', play, [first]), y, [first], curves)
  // Only an overlay that nothing happens to is asked for little.
  const calm = PLAYS[play].scenario === 'steady' ? { goal: { y: 200, text: 'goal 200' } } : {}
  return [[`${play}-traffic`, { ...chart, ...calm }]]
}

function trafficOfNodes(play: PlayName, runs: readonly Run[]): Named[] {
  const all = runs.flatMap(({ result }): Traffic[] => ('traffic' in result ? [result.traffic] : []))
  const step = all[0]?.histogram.step
  if (step === undefined) return []
  const counts = pooled(all.map(({ histogram }) => histogram.counts))
  return [
    [
      `${play}-traffic-nodes`,
      {
        title: titled('Traffic of each node', play, runs),
        x: { label: 'bytes a second, the larger direction' },
        y: { label: 'nodes' },
        steps: true,
        curves: [{ name: 'nodes', points: [...counts, 0].map((count, i) => [i * step, count]) }],
      },
    ],
  ]
}

function hostileShares(play: PlayName, runs: readonly Run[]): Named[] {
  const [first] = withSeries(runs)
  if (first === undefined || !('attackedMs' in first.result)) return []
  const curves = [
    { name: 'in slots', run: first, read: ({ hostileSlots }: Moment) => hostileSlots },
    { name: 'among chosen', run: first, read: ({ hostileChosen }: Moment) => hostileChosen },
    { name: 'among accepted', run: first, read: ({ hostileAccepted }: Moment) => hostileAccepted },
    { name: 'eclipsed nodes', run: first, read: ({ eclipsed }: Moment) => eclipsed },
  ]
  const y = { label: 'share', include: [0, 0.1] as const }
  return [[`${play}-hostile`, overTime(titled('Hostile share', play, [first]), y, [first], curves)]]
}
