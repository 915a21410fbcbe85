/** The whole of one picture, and the little of it that a time series needs. */
import { seededRng } from '../../../../protocols/kernel/rng.ts'
import type { Picture } from '../picture.ts'
import type { Measured, Moment } from '../results.ts'
import { clustering, degreeOf, edgeCount, largestComponent, paths } from './graph.ts'
import { crossSide, degrees, hiddenToPublic, hostileShares } from './neighbours.ts'
import { linksOf, settledNodes } from './links.ts'
import { hostileInSlots, slotFigures } from './slots.ts'
import { countsOf, share, spread } from './spread.ts'

/** Draws the sources of paths; fixed, so that equal pictures give equal figures. */
const PATHS_SEED = 1

/** Everything; about a tenth of a second for 10,000 nodes. */
export function measure(picture: Picture): Measured {
  const nodes = settledNodes(picture)
  const { graph, oneSided } = linksOf(picture, nodes)
  const path = paths(graph, seededRng(PATHS_SEED))
  const degree = degrees(picture, nodes)
  const slots = slotFigures(picture, nodes)
  const bad = hostileShares(picture, nodes)
  return {
    atMs: picture.at,
    alive: nodes.length,
    hostile: hostileCount(picture),
    links: edgeCount(graph),
    oneSided: share(oneSided, graph.targets.length + oneSided),
    component: largestComponent(graph),
    isolated: share(nodes.filter((v) => degreeOf(graph, v) === 0).length, nodes.length),
    clustering: clustering(graph),
    averagePath: path.average,
    longestPath: path.longest,
    chosen: spread(degree.chosen),
    accepted: spread(degree.accepted),
    active: spread(degree.active),
    total: spread(degree.total),
    slotsFilled: slots.filled,
    slotsSpread: slots.spread,
    publicBias: slots.publicBias,
    publicBiasByGroup: slots.publicBiasByGroup,
    staleSlots: slots.stale,
    hiddenToPublic: hiddenToPublic(picture, nodes, degree.accepted),
    hostileSlots: slots.hostile,
    hostileChosen: bad.chosen,
    hostileAccepted: bad.accepted,
    eclipsed: bad.eclipsed,
    crossSide: crossSide(picture, graph),
    histograms: {
      chosen: countsOf(degree.chosen),
      accepted: countsOf(degree.accepted),
      total: countsOf(degree.total),
      slotsInDegree: slots.inDegree,
    },
  }
}

/** Share of the nodes that is in the largest component. */
export function componentOf(picture: Picture): number {
  return largestComponent(linksOf(picture, settledNodes(picture)).graph)
}

function hostileCount({ size, alive, hostile }: Picture): number {
  let count = 0
  for (let v = 0; v < size; v++) count += (alive[v] as number) & (hostile[v] as number)
  return count
}

/** Makes the points of one time series; remembers only how many bytes there had been at the last one. */
export class Series {
  readonly moments: Moment[] = []
  #sent = 0
  #received = 0

  /** Adds a picture, later than the last. */
  add(picture: Picture): Moment {
    const nodes = settledNodes(picture)
    const { graph } = linksOf(picture, nodes)
    const bad = hostileShares(picture, nodes)
    const moment: Moment = {
      atMs: picture.at,
      alive: nodes.length,
      links: edgeCount(graph),
      component: largestComponent(graph),
      crossSide: crossSide(picture, graph),
      hostileSlots: hostileCount(picture) === 0 ? 0 : hostileInSlots(picture, nodes),
      hostileChosen: bad.chosen,
      hostileAccepted: bad.accepted,
      eclipsed: bad.eclipsed,
      ...this.#rates(picture, nodes.length),
    }
    this.moments.push(moment)
    return moment
  }

  #rates(picture: Picture, alive: number): Pick<Moment, 'sentPerSecond' | 'receivedPerSecond'> {
    const before = this.moments.at(-1)
    const sent = sumOfHonest(picture, picture.sent)
    const received = sumOfHonest(picture, picture.received)
    const nodeSeconds =
      before === undefined ? Infinity : ((picture.at - before.atMs) / 1_000) * alive
    const rates = {
      sentPerSecond: (sent - this.#sent) / nodeSeconds,
      receivedPerSecond: (received - this.#received) / nodeSeconds,
    }
    this.#sent = sent
    this.#received = received
    return rates
  }
}

/** Of dead ones too, so that a death does not look like bytes unsent. */
function sumOfHonest({ size, hostile }: Picture, bytes: Float64Array): number {
  let sum = 0
  for (let v = 0; v < size; v++) {
    if (hostile[v] === 0) sum += bytes[v] as number
  }
  return sum
}
