/** Charts as SVG text: lines over a continuous axis, and histograms as steps. */
import { extent } from 'd3-array'
import { scaleLinear, type ScaleLinear } from 'd3-scale'
import { area, curveStepAfter, line } from 'd3-shape'

export type Point = readonly [x: number, y: number]

export interface Curve {
  name: string
  /** Ascending in x. */
  points: readonly Point[]
}

export interface Axis {
  label: string
  /** The axis goes at least from the first to the second of these. */
  include?: readonly [number, number]
  format?: (value: number) => string
}

export interface Chart {
  title: string
  x: Axis
  y: Axis
  curves: readonly Curve[]
  /** Each point begins a bar that ends where the next one is; drawn as steps, filled. */
  steps?: boolean
  /** Upright lines: what happened when. */
  marks?: readonly Mark[]
  /** A level line: what is asked for. */
  goal?: Goal
}

/** Ascending in x. */
export interface Mark {
  x: number
  text: string
}

export interface Goal {
  y: number
  text: string
}

const WIDTH = 900
const HEIGHT = 500
/** Right of the plot: half of the last tick's label. */
const RIGHT = 30
/** Below the plot: tick labels and the axis' name. */
const BOTTOM = 56
const FONT = 13
/** Mean width of a letter of a sans-serif font, of its size; only to leave room, so rather too much. */
const LETTER = 0.58
const LEGEND_LINE = 22
const SWATCH = 22
/** Above the plot, for what happened when. */
const MARK_LINE = 18
/** A goal at the very top would be taken for the frame. */
const ABOVE_GOAL = 1.1

/** Okabe and Ito's colours, which the colour-blind can tell apart. */
const COLOURS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#7a5195',
  '#333333',
]

const widthOf = (text: string, size = FONT): number => text.length * LETTER * size

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** A tenth of a pixel is finer than any screen, and keeps files small. */
const px = (value: number): string => String(Math.round(value * 10) / 10)

interface TextStyle {
  size?: number
  anchor?: 'start' | 'middle' | 'end'
  colour?: string
  weight?: 600
  turned?: true
}

/** The white rim keeps it readable across lines. */
function label(x: number, y: number, text: string, style: TextStyle = {}): string {
  const { size = FONT, anchor = 'start', colour = '#333', weight, turned } = style
  const bold = weight === undefined ? '' : ` font-weight="${weight}"`
  const turn = turned === undefined ? '' : ` transform="rotate(-90 ${px(x)} ${px(y)})"`
  return `<text x="${px(x)}" y="${px(y)}" font-size="${size}" text-anchor="${anchor}" fill="${colour}" stroke="#fff" stroke-width="3" paint-order="stroke"${bold}${turn}>${escaped(text)}</text>`
}

const stroke = (from: Point, to: Point, look: string): string =>
  `<line x1="${px(from[0])}" y1="${px(from[1])}" x2="${px(to[0])}" y2="${px(to[1])}" ${look}/>`

/** Where the plot is, and what is where in it. */
interface Frame {
  left: number
  top: number
  right: number
  bottom: number
  x: ScaleLinear<number, number>
  y: ScaleLinear<number, number>
  xFormat: (value: number) => string
  yFormat: (value: number) => string
}

export function chartSvg(chart: Chart): string {
  const legend = legendOf(chart.curves)
  const marks = chart.marks ?? []
  const frame = frameOf(chart, 48 + legend.height + (marks.length > 0 ? MARK_LINE : 0))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, 'DejaVu Sans', Arial, sans-serif">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    label(20, 30, chart.title, { size: 17, weight: 600, colour: '#111' }),
    ...legend.parts,
    ...xAxis(frame, chart.x.label),
    ...yAxis(frame, chart.y.label),
    ...chart.curves.map((curve, i) => drawn(curve, frame, colour(i), chart.steps === true)),
    ...goalLine(frame, chart.goal),
    ...markLines(frame, marks),
    '</svg>',
    '',
  ].join('\n')
}

const colour = (index: number): string => COLOURS[index % COLOURS.length] as string

/** Names side by side under the title, on as many lines as they need; a single curve needs none. */
function legendOf(curves: readonly Curve[]): { parts: string[]; height: number } {
  if (curves.length < 2) return { parts: [], height: 0 }
  const parts: string[] = []
  let x = 20
  let y = 52
  for (const [i, { name }] of curves.entries()) {
    const width = SWATCH + 6 + widthOf(name) + 18
    if (x > 20 && x + width > WIDTH - RIGHT) {
      x = 20
      y += LEGEND_LINE
    }
    parts.push(stroke([x, y - 4], [x + SWATCH, y - 4], `stroke="${colour(i)}" stroke-width="4"`))
    parts.push(label(x + SWATCH + 6, y, name))
    x += width
  }
  return { parts, height: y - 52 + LEGEND_LINE }
}

/** How much the axis must hold: the data, what the axis is told to include, and more than a point. */
function domainOf(values: Iterable<number>, { include = [] }: { include?: readonly number[] }) {
  const [low = 0, high = 1] = extent([...values, ...include].filter(Number.isFinite))
  return low === high ? [low, low + 1] : [low, high]
}

function frameOf({ x, y, curves, goal, steps }: Chart, top: number): Frame {
  const points = curves.flatMap((curve) => curve.points)
  const asked = [...(y.include ?? []), ...(goal === undefined ? [] : [goal.y * ABOVE_GOAL])]
  const base = steps === true ? [...asked, 0] : asked
  const yScale = scaleLinear(
    domainOf(
      points.map((point) => point[1]),
      { include: base },
    ),
    [HEIGHT - BOTTOM, top],
  ).nice()
  const yFormat = y.format ?? yScale.tickFormat(6)
  const widest = Math.max(...yScale.ticks(6).map((tick) => widthOf(yFormat(tick))))
  const left = 20 + FONT + 10 + widest + 8
  const xDomain = domainOf(
    points.map((point) => point[0]),
    x,
  )
  const xScale = scaleLinear(xDomain, [left, WIDTH - RIGHT])
  const xFormat = x.format ?? xScale.tickFormat(10)
  return {
    left,
    top,
    right: WIDTH - RIGHT,
    bottom: HEIGHT - BOTTOM,
    x: xScale,
    y: yScale,
    xFormat,
    yFormat,
  }
}

function xAxis({ x, xFormat, left, right, top, bottom }: Frame, name: string): string[] {
  return [
    ...x
      .ticks(10)
      .flatMap((tick) => [
        stroke([x(tick), top], [x(tick), bottom], 'stroke="#eee"'),
        stroke([x(tick), bottom], [x(tick), bottom + 5], 'stroke="#666"'),
        label(x(tick), bottom + 20, xFormat(tick), { anchor: 'middle' }),
      ]),
    stroke([left, bottom], [right, bottom], 'stroke="#666"'),
    label((left + right) / 2, HEIGHT - 14, name, { anchor: 'middle' }),
  ]
}

function yAxis({ y, yFormat, left, right, top, bottom }: Frame, name: string): string[] {
  return [
    ...y
      .ticks(6)
      .flatMap((tick) => [
        stroke([left, y(tick)], [right, y(tick)], 'stroke="#e6e6e6"'),
        label(left - 8, y(tick) + 4, yFormat(tick), { anchor: 'end' }),
      ]),
    stroke([left, top], [left, bottom], 'stroke="#666"'),
    label(20 + FONT / 2, (top + bottom) / 2, name, { anchor: 'middle', turned: true }),
  ]
}

function drawn({ points }: Curve, { x, y }: Frame, colour: string, steps: boolean): string {
  const known = points.filter((point) => point.every(Number.isFinite))
  const path = line<Point>(
    (point) => x(point[0]),
    (point) => y(point[1]),
  ).digits(1)
  if (!steps)
    return `<path d="${path(known) ?? ''}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>`
  const filled = area<Point>(
    (point) => x(point[0]),
    y(0),
    (point) => y(point[1]),
  )
    .curve(curveStepAfter)
    .digits(1)
  path.curve(curveStepAfter)
  return [
    `<path d="${filled(known) ?? ''}" fill="${colour}" fill-opacity="0.18"/>`,
    `<path d="${path(known) ?? ''}" fill="none" stroke="${colour}" stroke-width="2"/>`,
  ].join('\n')
}

function goalLine({ y, right, left }: Frame, goal: Goal | undefined): string[] {
  if (goal === undefined) return []
  return [
    stroke([left, y(goal.y)], [right, y(goal.y)], 'stroke="#b00020" stroke-dasharray="6 4"'),
    label(right - 4, y(goal.y) - 5, goal.text, { anchor: 'end', colour: '#b00020' }),
  ]
}

/** Upright lines with their texts above the plot: right of the line, or left where the next one or the edge is too near. */
function markLines({ x, top, bottom, right }: Frame, marks: readonly Mark[]): string[] {
  return marks.flatMap(({ x: at, text }, i) => {
    const place = x(at)
    const next = marks[i + 1]
    const fits = place + widthOf(text) <= (next === undefined ? right : x(next.x) - 10)
    return [
      stroke([place, top - 4], [place, bottom], 'stroke="#666" stroke-dasharray="3 3"'),
      label(place, top - 7, text, { anchor: fits ? 'start' : 'end', colour: '#555' }),
    ]
  })
}
