import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { KEEP_ALIVE, KeepAlive } from '../../../protocols/paths/keep-alive.ts'
import { Liveness } from '../../../protocols/paths/liveness.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

describe('the interval of keep-alives', () => {
  test('starts at 24 s and grows by small steps that were tried', () => {
    const learner = new KeepAlive()
    assert.equal(learner.intervalMs(), 24_000)
    let steps = 0
    for (let trial = learner.trialMs(0); trial !== undefined; trial = learner.trialMs(0)) {
      assert.ok(trial <= learner.intervalMs() * 1.5)
      learner.trialSurvived(trial)
      steps++
    }
    assert.ok(Math.abs(learner.intervalMs() - KEEP_ALIVE.mostMs) < 1)
    assert.equal(steps, 9)
  })

  test('does not grow because a link happened to be idle for long', () => {
    const learner = new KeepAlive()
    learner.survived(HOUR)
    assert.equal(learner.intervalMs(), 24_000)
    assert.equal(learner.learnt().longestAliveMs, HOUR)
  })

  test('falls below half of the shortest death at once, and is not raised above it', () => {
    const learner = new KeepAlive()
    for (let n = 0; n < 4; n++) learner.trialSurvived(learner.trialMs(0) as number)
    assert.ok(learner.died(60_000, 0))
    assert.ok(learner.intervalMs() < 30_000)
    assert.equal(learner.trialMs(1), undefined)
    assert.equal(learner.died(90_000, 0), false)
    assert.equal(learner.learnt().shortestDeadMs, 60_000)
  })

  test('never falls below ten seconds', () => {
    const learner = new KeepAlive()
    learner.died(5_000, 0)
    assert.equal(learner.intervalMs(), 10_000)
  })

  test('creeps up again once a death is a day old', () => {
    const learner = new KeepAlive()
    learner.died(30_000, 0)
    assert.equal(learner.trialMs(24 * HOUR - 1), undefined)
    assert.equal(learner.trialMs(24 * HOUR), learner.intervalMs() * 1.5)
  })

  test('belongs to one network, and is remembered for a few', () => {
    const learner = new KeepAlive()
    learner.moved('home')
    learner.died(30_000, 0)
    learner.moved('work')
    assert.equal(learner.intervalMs(), 24_000)
    learner.moved('home')
    assert.equal(learner.intervalMs(), 13_500)
    for (let n = 0; n < KEEP_ALIVE.networks; n++) learner.moved(`on the way ${n}`)
    learner.moved('home')
    assert.equal(learner.intervalMs(), 24_000)
  })
})

interface Outcome {
  pings: number
  deaths: number
  mostPingsInASecond: number
  learnt: ReturnType<Liveness['learnt']>
  trialsAtOnce: number
}

/** Idle links behind a NAT that forgets connections after `lifetimeMs`; lost ones are made again after a second. */
function simulate(lifetimeMs: number, links: number, hours: number, spare = true): Outcome {
  const machine = new Liveness(seededRng(3), () => spare)
  const usedAt = new Map<string, number>()
  const perSecond = new Map<number, number>()
  const outcome: Outcome = {
    pings: 0,
    deaths: 0,
    mostPingsInASecond: 0,
    learnt: machine.learnt(),
    trialsAtOnce: 0,
  }
  const up = (link: string, at: number) => {
    usedAt.set(link, at)
    machine.step({ type: 'link-up', link, nature: 'hidden', peer: link, from: `ip of ${link}` }, at)
  }
  for (let n = 0; n < links; n++) up(`${n}`, 0)
  const again: { link: string; at: number }[] = []
  for (;;) {
    const wake = Math.min(machine.nextWake() ?? Infinity, again[0]?.at ?? Infinity)
    if (wake > hours * HOUR) break
    while (again[0] !== undefined && again[0].at <= wake) {
      const { link, at } = again.shift() as { link: string; at: number }
      up(link, at)
    }
    const interval = machine.learnt().intervalMs
    // Counting is slow, and twenty links show as much as a thousand.
    const counted = links <= 20 ? [...usedAt] : []
    const idle = counted.filter(([, at]) => wake - at > interval * 1.2 + 2 * SECOND)
    outcome.trialsAtOnce = Math.max(outcome.trialsAtOnce, idle.length)
    for (const output of machine.step({ type: 'tick' }, wake)) {
      if (output.type === 'ping') {
        outcome.pings++
        const second = Math.floor(wake / SECOND)
        perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
        const known = wake - (usedAt.get(output.link) ?? 0) < lifetimeMs
        if (known) {
          usedAt.set(output.link, wake)
          machine.step({ type: 'heard', link: output.link }, wake + 50)
        }
      } else if (output.type === 'declare-dead') {
        outcome.deaths++
        usedAt.delete(output.link)
        again.push({ link: output.link, at: wake + SECOND })
      }
    }
  }
  outcome.mostPingsInASecond = Math.max(...perSecond.values())
  outcome.learnt = machine.learnt()
  return outcome
}

describe('behind a simulated NAT', () => {
  test('that forgets after 30 s one link is lost, and never another', () => {
    const { learnt, deaths } = simulate(30 * SECOND, 8, 12)
    assert.ok(learnt.intervalMs <= 17_500, `${learnt.intervalMs}`)
    assert.equal(deaths, 1)
  })

  test('that forgets after 60 s the interval ends below 60 s, at the price of two links at most', () => {
    const { learnt, deaths } = simulate(60 * SECOND, 8, 12)
    assert.ok(learnt.intervalMs >= 24_000 && learnt.intervalMs < 60_000 / 1.1)
    assert.ok(deaths >= 1 && deaths <= 2)
  })

  test('that forgets after five minutes it ends between two and five', () => {
    const { learnt, deaths } = simulate(300 * SECOND, 8, 12)
    assert.ok(learnt.intervalMs > 120 * SECOND && learnt.intervalMs < 300 * SECOND)
    assert.ok(deaths <= 1)
  })

  test('that forgets after two hours it reaches five minutes within one, and no link is lost', () => {
    const { learnt, deaths } = simulate(2 * HOUR, 8, 1)
    assert.ok(Math.abs(learnt.intervalMs - KEEP_ALIVE.mostMs) < 1)
    assert.equal(deaths, 0)
  })

  test('one link at a time is left idle for longer than the others', () => {
    assert.equal(simulate(2 * HOUR, 20, 1).trialsAtOnce, 1)
  })

  test('no link is tried that others need', () => {
    const { learnt, deaths } = simulate(60 * SECOND, 8, 12, false)
    assert.equal(deaths, 0)
    assert.equal(learnt.intervalMs, 24_000)
  })

  test('hundreds of links are pinged in turn', () => {
    const { mostPingsInASecond, deaths } = simulate(2 * HOUR, 1_000, 1 / 60, false)
    assert.ok(mostPingsInASecond <= 120)
    assert.equal(deaths, 0)
  })
})

const died = (machine: Liveness) => {
  for (let now = 0; now < 70_000; now = machine.nextWake() ?? Infinity) {
    for (const output of machine.step({ type: 'tick' }, now)) {
      if (output.type === 'ping' && output.link !== 'a')
        machine.step({ type: 'heard', link: output.link }, now)
      if (output.type === 'declare-dead') return now
    }
  }
  return assert.fail('nothing died')
}
const linked = () => {
  const machine = new Liveness(() => 0.5)
  machine.step({ type: 'link-up', link: 'a', nature: 'hidden', peer: 'p', from: '1.1.1.1' }, 0)
  machine.step({ type: 'link-up', link: 'x', nature: 'hidden', peer: 'x' }, 0)
  machine.step({ type: 'link-up', link: 'y', nature: 'hidden', peer: 'y' }, 0)
  return machine
}

describe('a link that died', () => {
  test('tells of the NAT when its peer is back at the same address', () => {
    const machine = linked()
    const now = died(machine)
    machine.step({ type: 'link-up', link: 'b', nature: 'hidden', peer: 'p', from: '1.1.1.1' }, now)
    assert.equal(machine.learnt().shortestDeadMs, 24_000)
    assert.ok(machine.learnt().intervalMs <= 12_500)
    // Links whose alarm was set for the longer interval are looked at earlier.
    assert.ok((machine.nextWake() as number) <= now + 24_000)
  })

  test('tells of it when another link to the peer was alive all the while', () => {
    const machine = linked()
    machine.step({ type: 'link-up', link: 'relayed', nature: 'hidden', peer: 'p' }, 0)
    const now = died(machine)
    machine.step({ type: 'heard', link: 'relayed' }, now)
    assert.equal(machine.learnt().shortestDeadMs, 24_000)
  })

  test('tells nothing when its peer is gone, comes back late or from elsewhere', () => {
    const machine = linked()
    const now = died(machine)
    machine.step({ type: 'link-up', link: 'b', nature: 'hidden', peer: 'p', from: '2.2.2.2' }, now)
    const late = now + 61_000
    machine.step({ type: 'link-up', link: 'c', nature: 'hidden', peer: 'p', from: '1.1.1.1' }, late)
    assert.equal(machine.learnt().shortestDeadMs, undefined)
  })

  test('is forgotten when the node moves to another network', () => {
    const machine = linked()
    const now = died(machine)
    machine.step({ type: 'network', address: '9.9.9.9' }, now)
    machine.step({ type: 'link-up', link: 'b', nature: 'hidden', peer: 'p', from: '1.1.1.1' }, now)
    assert.equal(machine.learnt().shortestDeadMs, undefined)
  })
})
