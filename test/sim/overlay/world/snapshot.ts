import type { OverlayView } from '../../../../protocols/overlay/overlay.ts'
import type { Picture } from '../picture.ts'
import type { Population } from './population.ts'

/** What everybody's machine says at one moment. */
export function pictureOf(
  at: number,
  people: Population,
  views: readonly (OverlayView | undefined)[],
): Picture {
  const { size } = people
  const [chosen, accepted, slotsById, slotsByGroup] = [
    lists(size),
    lists(size),
    lists(size),
    lists(size),
  ]
  for (let node = 0; node < size; node++) {
    const view = views[node]
    if (view === undefined) continue
    for (const { peer, role } of view.neighbours()) {
      const into = role === 'chosen' ? chosen : accepted
      into[node]?.push(people.indexOf(peer))
    }
    for (const { peer, rankedBy } of view.sample()) {
      const into = rankedBy === 'id' ? slotsById : slotsByGroup
      into[node]?.push(people.indexOf(peer))
    }
  }
  return {
    at,
    size,
    alive: people.alive.slice(0, size),
    hidden: people.hidden.slice(0, size),
    hostile: people.hostile.slice(0, size),
    side: people.side.slice(0, size),
    chosen,
    accepted,
    slotsById,
    slotsByGroup,
    sent: people.sent.slice(0, size),
    received: people.received.slice(0, size),
    startedAt: people.startedAt.slice(0, size),
    joinedAt: people.joinedAt.slice(0, size),
  }
}

/** Two lanes of FNV-1a over everything in a picture, as hexadecimal text. */
export function hashOf(picture: Picture, counters: readonly number[]): string {
  let [low, high] = [0x811c9dc5, 0x1b873593]
  const mix = (value: number): void => {
    low = Math.imul(low ^ value, 0x01000193)
    high = Math.imul(high ^ value ^ (low >>> 15), 0x85ebca6b)
  }
  const { chosen, accepted, slotsById, slotsByGroup } = picture
  for (const column of [chosen, accepted, slotsById, slotsByGroup]) {
    for (const list of column) {
      mix(list.length)
      for (const node of list) mix(node)
    }
  }
  for (const node of picture.alive) mix(node)
  for (const column of [picture.sent, picture.received, picture.joinedAt, counters]) {
    for (const value of column) {
      // To the thousandth of a byte or millisecond; a sum of fractions has no more to say.
      const thousandths = Number.isNaN(value) ? -1 : Math.round(value * 1000)
      mix(thousandths | 0)
      mix(Math.floor(thousandths / 4294967296))
    }
  }
  return [low, high].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('')
}

function lists(size: number): number[][] {
  return Array.from({ length: size }, () => [])
}
