import type { Machine, Tick } from '../../protocols/kernel/machine.ts'
import { systemClock } from './clock.ts'
import type { Clock } from './clock.ts'

/** A machine at work. Disposing it cancels its alarm; inputs are ignored from then on. */
export interface Driven<Input> extends Disposable {
  feed(input: Input): void
}

/**
 * Puts a machine to work: what is fed is stepped in order, what comes out is performed in order, and one alarm
 * follows `nextWake`. `perform` may feed again; such input waits until the outputs before it are through.
 */
export function drive<Input, Output>(
  machine: Machine<Input, Output>,
  perform: (output: Output) => void,
  clock: Clock = systemClock,
): Driven<Exclude<Input, Tick>> {
  // Only grows while `perform` feeds, so it is bounded by what one step can put out.
  const waiting: Input[] = []
  let working = false
  let over = false
  let callOff: (() => void) | undefined

  function feed(input: Input): void {
    if (over) return
    waiting.push(input)
    if (working) return
    working = true
    try {
      work()
    } finally {
      working = false
      setAlarm()
    }
  }

  function work(): void {
    for (let input = waiting.shift(); input !== undefined; input = waiting.shift()) {
      for (const output of machine.step(input, clock.now())) perform(output)
    }
  }

  function setAlarm(): void {
    callOff?.()
    const wake = machine.nextWake()
    callOff = wake === undefined || over ? undefined : clock.alarm(wake, tick)
  }

  const tick = (): void => feed({ type: 'tick' } satisfies Tick as Input)

  setAlarm() // a machine may have plans before anything is fed
  return {
    feed,
    [Symbol.dispose]() {
      over = true
      waiting.length = 0
      callOff?.()
    },
  }
}
