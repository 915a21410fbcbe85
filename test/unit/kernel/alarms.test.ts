import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Alarms } from '../../../protocols/kernel/alarms.ts'
import { Timers } from '../../../protocols/kernel/timers.ts'

const step = fc.record({
  what: fc.constantFrom('set', 'clear', 'take'),
  kind: fc.constantFrom('greet', 'ask', 'pull'),
  subject: fc.constantFrom('', 'a', 'b', 7),
  at: fc.integer({ min: 0, max: 20 }),
})

test('whatever is set, moved, cleared and taken, the earliest deadline is known', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const [alarms, timers] = [new Alarms<string>(), new Timers<string>()]
      const model = new Map<string, number>()
      for (const { what, kind, subject, at } of steps) {
        const name = `${kind} ${subject}`
        if (what === 'set') {
          alarms.set(kind, at, subject)
          timers.set(name, at)
          model.set(name, at)
        } else if (what === 'clear') {
          alarms.clear(kind, subject)
          timers.clear(name)
          model.delete(name)
        } else {
          const due = [...model].filter(([, deadline]) => deadline <= at)
          const names = due.map(([one]) => one).toSorted()
          const taken = alarms.takeDue(at)
          assert.deepEqual(taken.map((one) => `${one.kind} ${one.subject}`).toSorted(), names)
          assert.deepEqual(timers.takeDue(at).toSorted(), names)
          for (const [one] of due) model.delete(one)
        }
        const next = model.size === 0 ? undefined : Math.min(...model.values())
        assert.equal(alarms.next(), next)
        assert.equal(timers.next(), next)
        assert.equal(alarms.has(kind, subject), model.has(name))
      }
    }),
  )
})

test('what is due comes earliest first, and once', () => {
  const alarms = new Alarms<string>()
  alarms.set('ask', 30, 2)
  alarms.set('greet', 10, 'a')
  alarms.set('pull', 20)
  alarms.set('greet', 40, 'b')
  const order = alarms.takeDue(30).map(({ kind, subject }) => [kind, subject])
  assert.deepEqual(order, [
    ['greet', 'a'],
    ['pull', ''],
    ['ask', 2],
  ])
  assert.deepEqual(alarms.takeDue(30), [])
  assert.equal(alarms.next(), 40)
})
