import type { Byzantine, DdosVictim, Report, ScenarioOptions } from '../results.ts'
import { Gang } from '../world/hostile.ts'
import type { Plot } from '../world/hostile.ts'
import { form, grow } from './growth.ts'
import { HOUR, MINUTE, Session } from './session.ts'

/** Hostile nodes come to an overlay that has formed, all within this time. */
const ARRIVAL_MS = MINUTE

/** Hostile nodes arrive after hours of undisturbed formation. */
export function byz(options: ScenarioOptions, report: Report): Byzantine {
  const session = new Session(options, report)
  const gang = new Gang(session.world, plotOf(options))
  const attackedMs = formAndAttack(session, gang)
  session.untilMs = attackedMs + options.hours * HOUR
  session.watchUntil(session.untilMs)
  return { ...session.common(), attackedMs, end: session.measure() }
}

/** Hostile nodes are there while the overlay grows, as many of every wave as they are in the end, in few address groups. */
export function byzGrowth(options: ScenarioOptions, report: Report): Byzantine {
  const { n, hours, hostileShare = 0.1, hostileGroups = 0.03 } = options
  const session = new Session(options, report)
  const { world } = session
  const gang = new Gang(world, plotOf(options))
  session.found()
  const next = () =>
    session.rng() < hostileShare
      ? { hidden: false, hostile: true, groups: hostileGroups }
      : session.honest()
  const start = (node: number): void => {
    if (world.people.hostile[node] === 1) gang.start(node)
    else world.start(node)
  }
  const formedMs = grow(session, { n, next, start })
  session.untilMs = formedMs + hours * HOUR
  session.runUntil(formedMs)
  session.phase = 'attacked'
  session.watchUntil(session.untilMs)
  return { ...session.common(), attackedMs: 0, end: session.measure() }
}

/** The same from all address groups: the known weakness. */
export function slotExhaust(options: ScenarioOptions, report: Report): Byzantine {
  return byzGrowth({ hostileGroups: 1, ...options }, report)
}

/** Hostile nodes' records name an address where nobody of the overlay is: how often is it dialled? */
export function ddosVictim(options: ScenarioOptions, report: Report): DdosVictim {
  const session = new Session({ formationHours: 0, ...options }, report)
  const { world } = session
  const victim = world.people.vacantAddress()
  const watched = { dials: 0, atMs: [] as number[], byNode: new Map<number, number>() }
  world.dialling.watched.set(victim, watched)
  const gang = new Gang(world, { ...plotOf(options), victim })
  const attackedMs = formAndAttack(session, gang)
  session.untilMs = attackedMs + options.hours * HOUR
  session.watchUntil(session.untilMs)
  const minutes = (world.now - attackedMs) / MINUTE
  const thousands = honestCount(session.options) / 1_000
  const perMinute = new Float64Array(Math.ceil(minutes) + 1)
  for (const at of watched.atMs) perMinute[Math.floor((at - attackedMs) / MINUTE)]!++
  return {
    ...session.common(),
    attackedMs,
    dials: watched.dials,
    perMinuteAndThousand: watched.dials / minutes / thousands,
    worstMinutePerThousand: Math.max(...perMinute) / thousands,
    mostByOne: Math.max(0, ...watched.byNode.values()),
  }
}

/** Honest nodes only form the overlay, then all hostile ones come. Returns when. */
function formAndAttack(session: Session, gang: Gang): number {
  const { world, options } = session
  const { n, formationHours = 8, hostileGroups = 1 } = options
  const honest = honestCount(options)
  session.phase = 'forming'
  const attackedMs = form(session, honest) + formationHours * HOUR
  session.untilMs = attackedMs + options.hours * HOUR
  session.watchUntil(attackedMs)
  const begin = world.now
  for (let i = honest; i < n; i++) {
    world.plan(begin + (ARRIVAL_MS * (i - honest)) / (n - honest), () =>
      gang.start(world.add({ hidden: false, hostile: true, groups: hostileGroups })),
    )
  }
  session.phase = 'attacked'
  return begin
}

function honestCount({ n, hostileShare = 0.1 }: ScenarioOptions): number {
  return Math.round(n * (1 - hostileShare))
}

function plotOf({ hostileDialsPerMinute = 5 }: ScenarioOptions): Plot {
  return { dialsPerMinute: hostileDialsPerMinute }
}
