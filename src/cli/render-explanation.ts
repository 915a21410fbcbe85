import type { Explanation } from '../client/index.ts'
import { bare, clean, clock, columns, formatMs, formatPath } from './render.ts'

type Attempt = Explanation['attempts'][number]
type Candidate = Explanation['candidates'][number]
type Side = Explanation['own']

/** `warren explain`: the answer first, then what it rests on, then what comes next and what can be done. */
export function renderExplanation(explanation: Explanation): string {
  const { prediction, own, remote, candidates, attempts } = explanation
  const paragraphs = [
    headline(explanation),
    sides(own, remote),
    `Expected between these networks: ${prediction.method} (${CHANCES[prediction.chance]})\n${indent(sentence(prediction.text))}`,
    block('Addresses of the peer', 'none known', candidateLines(candidates)),
    block('Attempts to connect directly', 'none', attempts.flatMap(attemptLines)),
    outlook(explanation),
  ]
  return paragraphs.filter((text) => text !== '').join('\n\n')
}

function headline({ text, path }: Explanation): string {
  if (path === undefined) return sentence(text)
  const rtt = path.rttMs === undefined ? '' : `, ${formatMs(path.rttMs)} there and back`
  return `${sentence(text)}\nPath: ${clean(formatPath(path))}${rtt}`
}

const CHANCES: Record<Explanation['prediction']['chance'], string> = {
  sure: 'sure',
  likely: 'likely',
  possible: 'possible',
  none: 'no other way',
}

function sides(own: Side, remote: Side): string {
  const seen = (side: Side): string[] =>
    side.external.length === 0 ? ['nobody has said'] : side.external
  const [ours, theirs] = [seen(own), seen(remote)]
  const rows = Array.from({ length: Math.max(ours.length, theirs.length) }, (_, i) => [
    i === 0 ? 'Seen as' : '',
    ours[i] ?? '',
    theirs[i] ?? '',
  ])
  const table = [
    ['', 'THIS NODE', 'THE PEER'],
    ['Reachability', own.reachability, remote.reachability],
    ['NAT mapping', own.mapping, remote.mapping],
    ['NAT filtering', own.filtering, remote.filtering],
    ...rows,
  ]
  const words = [
    ['This node:', clean(own.text)],
    ['The peer:', clean(remote.text)],
  ]
  return `${columns(table.map((row) => row.map(clean)))}\n\n${columns(words)}`
}

function block(title: string, none: string, lines: readonly string[]): string {
  return lines.length === 0 ? `${title}: ${none}` : `${title}\n${lines.map(indent).join('\n')}`
}

const ORIGINS: Record<Candidate['origin'], string> = {
  record: 'from its record',
  told: 'told by the peer',
  lan: 'local network',
  relay: 'over a relay',
}
const STATES: Record<Candidate['state'], string> = {
  'in-use': 'in use',
  tried: 'tried',
  known: 'not tried',
}

function candidateLines(candidates: readonly Candidate[]): string[] {
  const rows = candidates.map(({ address, origin, state }) => [
    STATES[state],
    ORIGINS[origin],
    clean(bare(address)),
  ])
  return rows.length === 0 ? [] : columns(rows).split('\n')
}

/** One line for what came of it, one for where the time went. */
function attemptLines(attempt: Attempt): string[] {
  const { at, round, method, side, carrier, outcome, ms, reason, address, steps } = attempt
  const led = side === 'caller' ? 'this node asked' : 'the peer asked'
  const way = carrier === 'signal' ? 'by a signal' : 'over the relayed connection'
  const where = address === undefined ? '' : ` at ${bare(address)}`
  const ended =
    outcome === 'success'
      ? `met${where} after ${formatMs(ms)}`
      : `${outcome.replaceAll('_', ' ')} after ${formatMs(ms)}${reason === undefined ? '' : `: ${reason}`}`
  const head = `${clock(at)}  try ${round}  ${method.padEnd(LONGEST_METHOD)}  `
  const trace = [
    `${led} ${way}`,
    ...steps.map((step) => `${step.name} ${Math.round(step.ms)} ms`),
  ].join(' · ')
  return [clean(head + ended), `${' '.repeat(head.length)}${clean(trace)}`]
}

const LONGEST_METHOD = 'birthday'.length

function outlook({ next, remedy }: Explanation): string {
  const rows: string[][] = []
  if (next !== undefined) {
    rows.push(['Next', `${next.at === undefined ? '' : `${clock(next.at)}  `}${clean(next.text)}`])
  }
  if (remedy !== undefined) rows.push(['To do', clean(remedy)])
  return columns(rows)
}

function sentence(text: string): string {
  const tidy = clean(text)
  return `${tidy.charAt(0).toUpperCase()}${tidy.slice(1)}.`
}

function indent(text: string): string {
  return `  ${text}`
}
