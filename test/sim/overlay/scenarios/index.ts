import type { Scenarios } from '../results.ts'
import { clockskew, flashcrowd, join, smalln } from './arrivals.ts'
import { byz, byzGrowth, ddosVictim, slotExhaust } from './attacks.ts'
import { churn, massfail, partition, relaycrash } from './blows.ts'
import { formation, steady } from './calm.ts'
import { detect } from './detect.ts'

/** What can be played, by name. */
export const scenarios: Scenarios = {
  formation,
  steady,
  massfail,
  churn,
  partition,
  byz,
  'byz-growth': byzGrowth,
  'slot-exhaust': slotExhaust,
  'ddos-victim': ddosVictim,
  flashcrowd,
  join,
  relaycrash,
  clockskew,
  detect,
  smalln,
}
