import type { Picture } from '../picture.ts'
import type { Traffic } from '../results.ts'
import { countsOf, spread } from './spread.ts'

/** Width of a bar of the histogram, bytes a second: the goal of 200 is then ten bars wide. */
const STEP = 20

/**
 * Starts counting bytes at a picture; what it returns makes the figures at a later one, of the honest nodes that are alive at
 * both. The picture is not kept, so that its arrays may be used again.
 */
export function trafficFrom(start: Picture): (end: Picture) => Traffic {
  const { at, size } = start
  const alive = start.alive.slice()
  const sentBefore = start.sent.slice()
  const receivedBefore = start.received.slice()
  return (end) => {
    const seconds = (end.at - at) / 1_000
    const sent: number[] = []
    const received: number[] = []
    for (let v = 0; v < size; v++) {
      if (alive[v] === 0 || end.alive[v] === 0 || end.hostile[v] === 1) continue
      sent.push(((end.sent[v] as number) - (sentBefore[v] as number)) / seconds)
      received.push(((end.received[v] as number) - (receivedBefore[v] as number)) / seconds)
    }
    const larger = Float64Array.from(sent, (rate, i) => Math.max(rate, received[i] as number))
    return {
      fromMs: at,
      toMs: end.at,
      sent: spread(Float64Array.from(sent)),
      received: spread(Float64Array.from(received)),
      histogram: { step: STEP, counts: countsOf(larger, STEP) },
    }
  }
}
