import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { Liveness } from '../../../protocols/paths/liveness.ts'
import type { LivenessOutput } from '../../../protocols/paths/liveness.ts'

/** A source of jitter that is always in the middle: no jitter. */
const steady = () => 0.5

/** Runs the machine until `end`; links in `alive` answer their pings after 50 ms. */
function run(machine: Liveness, end: number, alive: Set<string>): [number, LivenessOutput][] {
  const log: [number, LivenessOutput][] = []
  for (let now = machine.nextWake(); now !== undefined && now <= end; now = machine.nextWake()) {
    for (const output of machine.step({ type: 'tick' }, now)) {
      log.push([now, output])
      if (output.type === 'ping' && alive.has(output.link)) {
        machine.step({ type: 'heard', link: output.link }, now + 50)
      }
    }
  }
  return log
}

function linked(nature: 'hidden' | 'public', ...links: string[]): Liveness {
  const machine = new Liveness(steady)
  for (const link of links) machine.step({ type: 'link-up', link, nature }, 0)
  return machine
}

const only = (log: [number, LivenessOutput][], type: string) =>
  log.filter(([, output]) => output.type === type)

test('an idle link is pinged every 24 s, behind a NAT and without', () => {
  const alive = new Set(['a'])
  assert.equal(only(run(linked('hidden', 'a'), 120_000, alive), 'ping').length, 4)
  assert.equal(only(run(linked('public', 'a'), 120_000, alive), 'ping').length, 4)
})

test('a busy link is never pinged', () => {
  const machine = linked('hidden', 'a')
  for (let now = 0; now < 100_000; now += 1_000) {
    machine.step({ type: 'heard', link: 'a' }, now)
    const due = (machine.nextWake() as number) <= now
    if (due) assert.deepEqual(machine.step({ type: 'tick' }, now), [])
  }
})

test('two misses in a row declare a link dead, with a second between', () => {
  const machine = linked('hidden', 'dead', 'b', 'c')
  const log = run(machine, 60_000, new Set(['b', 'c']))
  const pings = log.filter(([, one]) => one.type === 'ping' && one.link === 'dead')
  assert.deepEqual(
    pings.map(([at]) => at),
    [24_000, 28_000],
  )
  const [dead] = only(log, 'declare-dead')
  assert.equal(dead?.[0], 31_000)
  assert.ok(dead?.[1].type === 'declare-dead' && dead[1].link === 'dead')
  assert.equal(machine.heardAt('dead'), undefined)
})

test('one missed ping is forgiven', () => {
  const machine = linked('hidden', 'a')
  machine.step({ type: 'tick' }, 24_000)
  machine.step({ type: 'missed', link: 'a' }, 25_100)
  machine.step({ type: 'tick' }, 26_100)
  machine.step({ type: 'heard', link: 'a' }, 26_200)
  const log = run(machine, 120_000, new Set(['a']))
  assert.deepEqual(only(log, 'declare-dead'), [])
})

test('when all links fall silent together they get ten seconds more', () => {
  const machine = linked('hidden', 'a', 'b', 'c')
  const log = run(machine, 120_000, new Set())
  assert.equal(only(log, 'own-fault').length, 3)
  const deaths = only(log, 'declare-dead').map(([at]) => at)
  assert.deepEqual(deaths, [44_000, 44_000, 44_000])
})

test('links that come back after everything was silent live on', () => {
  const machine = linked('hidden', 'a', 'b')
  run(machine, 32_000, new Set())
  const log = run(machine, 200_000, new Set(['a', 'b']))
  assert.deepEqual(only(log, 'declare-dead'), [])
})

test('bytes that came at a time count from that time', () => {
  const machine = linked('public', 'a')
  machine.step({ type: 'heard', link: 'a', at: 15_000 }, 24_000)
  assert.equal(machine.heardAt('a'), 15_000)
  assert.deepEqual(machine.step({ type: 'tick' }, 24_000), [])
  assert.equal(machine.nextWake(), 39_000)
})

test('a closed link is forgotten, and a stray report about it ignored', () => {
  const machine = linked('hidden', 'a')
  machine.step({ type: 'link-down', link: 'a' }, 10)
  assert.equal(machine.nextWake(), undefined)
  assert.deepEqual(machine.step({ type: 'missed', link: 'a' }, 20), [])
  assert.deepEqual(machine.step({ type: 'heard', link: 'a' }, 20), [])
})

test('pings of links made at one moment drift apart', () => {
  const machine = new Liveness(seededRng(7))
  for (let i = 0; i < 50; i++) machine.step({ type: 'link-up', link: `${i}`, nature: 'hidden' }, 0)
  const alive = new Set(Array.from({ length: 50 }, (_, i) => `${i}`))
  const times = only(run(machine, 40_000, alive), 'ping').map(([at]) => at)
  assert.ok(Math.max(...times) - Math.min(...times) > 2_000)
})
