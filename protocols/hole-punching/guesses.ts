import { shuffle } from '../kernel/rng.ts'
import type { Rng } from '../kernel/rng.ts'

/** An external port that an observer saw of the opening side. */
export interface ObservedPort {
  readonly port: number
  /** When, on any one clock: only the order counts. */
  readonly atMs: number
}

interface PortRange {
  readonly first: number
  readonly last: number
}

/**
 * Where NATs draw from, the narrowest first: IANA's dynamic ports, Linux's ephemeral ports (kept by a NAT that
 * preserves ports when it can), everything unprivileged.
 */
const RANGES: readonly PortRange[] = [
  { first: 49_152, last: 65_535 },
  { first: 32_768, last: 60_999 },
  { first: 1024, last: 65_535 },
]
const EVERYTHING: PortRange = { first: 1024, last: 65_535 }

/** Older observations tell nothing more; a hostile list ends here. */
const MAX_OBSERVED = 32

/** A NAT that counts moves by no more between two samples, other users' connections included. */
const MAX_STEP = 64

/** Ports guessed before and after the newest sample of a NAT that counts. */
const WINDOW = 64

/** Of these ports in the window one lies behind: samples may have arrived in another order than they were made. */
const ONE_BEHIND_IN = 4

/**
 * Distinct ports that the opening side's NAT may give it next, the likeliest first: those beyond the newest sample
 * if it seems to count, then random ones. Drawing from the narrowest range that fits costs nothing when it is the
 * wrong one: of a wider range, too, any port is as good as another.
 */
export function guessPorts(observed: readonly ObservedPort[], count: number, rng: Rng): number[] {
  const samples = inOrder(observed)
  const guesses = new Set<number>()
  const take = (ports: Iterable<number>): void => {
    for (const port of ports) {
      if (guesses.size >= count) return
      guesses.add(port)
    }
  }
  take(nextInSequence(samples))
  if (guesses.size < count) take(shuffle(portsOf(narrowest(samples)), rng))
  if (guesses.size < count) take(shuffle(portsOf(EVERYTHING), rng))
  return [...guesses]
}

/** The chance that at least one of the opened sockets gets an external port that was probed. */
export function successChance(search: { sockets: number; probes: number; range: number }): number {
  const { sockets, probes, range } = search
  return 1 - (1 - Math.min(probes, range) / range) ** sockets
}

function inOrder(observed: readonly ObservedPort[]): number[] {
  return observed
    .slice(-MAX_OBSERVED)
    .filter(({ port }) => Number.isInteger(port) && port > 0 && port < 65_536)
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ port }) => port)
}

function narrowest(samples: readonly number[]): PortRange {
  const holds = ({ first, last }: PortRange): boolean =>
    samples.every((port) => port >= first && port <= last)
  return RANGES.find(holds) ?? EVERYTHING
}

/** The window around the newest sample, nearest first; empty unless the NAT seems to count. */
function nextInSequence(samples: readonly number[]): number[] {
  const direction = directionOf(samples)
  const newest = samples.at(-1)
  if (direction === 0 || newest === undefined) return []
  const ahead = steps(newest, direction)
  const behind = steps(newest, -direction)
  const ports: number[] = []
  while (ahead.length > 0) ports.push(...ahead.splice(0, ONE_BEHIND_IN - 1), ...behind.splice(0, 1))
  return [...ports, ...behind]
}

/** 1 when the ports count up, -1 when they count down, 0 when they do neither. */
function directionOf(samples: readonly number[]): number {
  const deltas = samples.slice(1).map((port, i) => port - (samples[i] as number))
  const moves = deltas.filter((delta) => delta !== 0)
  const up = moves.filter((delta) => delta > 0 && delta <= MAX_STEP).length
  const down = moves.filter((delta) => delta < 0 && delta >= -MAX_STEP).length
  if (Math.min(up, down) > 0) return 0
  const small = Math.max(up, down)
  // One great leap among several small steps is a counter that began anew at the other end of its range.
  const leaps = moves.length - small
  if (small === 0 || leaps > 1 || (leaps === 1 && small < 2)) return 0
  return up > 0 ? 1 : -1
}

/** The ports that follow, round the end of the unprivileged ports. */
function steps(from: number, direction: number): number[] {
  const { first, last } = EVERYTHING
  const size = last - first + 1
  const start = Math.max(from, first) - first
  return Array.from(
    { length: WINDOW },
    (_, i) => first + ((start + direction * (i + 1) + size) % size),
  )
}

function portsOf({ first, last }: PortRange): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}
