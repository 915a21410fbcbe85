import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { refusal } from '../../../protocols/resumption/admission.ts'
import { MemoryBudget } from '../../../protocols/resumption/budget.ts'
import type { Frame } from '../../../protocols/resumption/codec.ts'
import { MEMORY, PACE, RESUMPTION_LIMITS } from '../../../protocols/resumption/limits.ts'
import { Session } from '../../../protocols/resumption/session.ts'
import type { SessionInput, SessionOutput } from '../../../protocols/resumption/session-io.ts'

const ID = new Uint8Array(16)

/** One end of a session, and what it has put out since it was last asked. */
class One {
  readonly machine: Session
  now = 0

  constructor(side: 'opener' | 'answerer') {
    const opens = { session: ID, protocol: '/test/1.0.0', rng: seededRng(1) }
    const options = { opens: side === 'opener' ? opens : undefined, budget: new MemoryBudget() }
    this.machine = new Session(options, 0)
  }

  feed(...inputs: SessionInput[]): SessionOutput[] {
    return inputs.flatMap((input) => [...this.machine.step(input, this.now)])
  }

  frame(carrier: number, frame: Frame): SessionOutput[] {
    return this.feed({ type: 'frame', carrier, frame })
  }

  /** Lets time pass, with ticks when they are due. */
  pass(ms: number): SessionOutput[] {
    const until = this.now + ms
    const out: SessionOutput[] = []
    for (let wake = this.machine.nextWake(); wake !== undefined && wake <= until;) {
      this.now = Math.max(wake, this.now)
      out.push(...this.feed({ type: 'tick' }))
      wake = this.machine.nextWake()
    }
    this.now = until
    return out
  }
}

const MUCH = 1_000_000

function established(): One {
  const one = new One('opener')
  one.feed(
    { type: 'start' },
    { type: 'trying', carrier: 1, path: 'A' },
    { type: 'opened', carrier: 1 },
  )
  one.frame(1, { type: 'accept', received: 0, limit: MUCH })
  return one
}

function answering(): One {
  const one = new One('answerer')
  one.frame(1, { type: 'open', session: ID, limit: MUCH, protocol: '/test/1.0.0' })
  one.feed({ type: 'writable', carrier: 1 })
  return one
}

function written(one: One, bytes: number): SessionOutput[] {
  assert.equal(one.machine.append([new Uint8Array(bytes)]), bytes)
  return one.feed({ type: 'written' })
}

const only = <T extends SessionOutput['type']>(
  outputs: SessionOutput[],
  type: T,
): Extract<SessionOutput, { type: T }>[] =>
  outputs.filter((one): one is Extract<SessionOutput, { type: T }> => one.type === type)

const sent = (outputs: SessionOutput[]): Frame[] =>
  only(outputs, 'send').flatMap(({ frames }) => frames)

function assertViolation(outputs: SessionOutput[], text: RegExp): void {
  const [over] = only(outputs, 'over')
  assert.ok(over?.outcome.type === 'violation', JSON.stringify(outputs))
  assert.match(over.outcome.text, text)
}

test('bytes beyond the window end the session', () => {
  const one = answering()
  const offset = 0
  const much = new Uint8Array(PACE.firstWindowBytes + 1)
  const outputs = one.frame(1, { type: 'data', offset, bytes: much, ask: false })
  assertViolation(outputs, /more than it was allowed/)
  assert.deepEqual(sent(outputs), [{ type: 'reset', code: 'violation' }])
})

test('a gap ends the session', () => {
  const data: Frame = { type: 'data', offset: 1, bytes: Uint8Array.of(1), ask: false }
  assertViolation(answering().frame(1, data), /left bytes out/)
  assertViolation(answering().frame(1, { type: 'fin', offset: 1 }), /had not got to/)
})

test('an acknowledgement of what was never sent ends the session', () => {
  const one = established()
  written(one, 10)
  const ack: Frame = { type: 'ack', received: 11, limit: MUCH }
  assertViolation(one.frame(1, ack), /never sent/)
  assertViolation(
    answering().frame(2, { type: 'resume', session: ID, carrier: 2, received: 1, limit: MUCH }),
    /never sent/,
  )
})

test('the end does not move, and nothing follows it', () => {
  const ended = (): One => {
    const one = answering()
    assert.equal(only(one.frame(1, { type: 'fin', offset: 0 }), 'ended').length, 1)
    return one
  }
  assert.equal(only(ended().frame(1, { type: 'fin', offset: 0 }), 'ended').length, 0)
  assertViolation(ended().frame(1, { type: 'fin', offset: 1 }), /moved the end/)
  const data: Frame = { type: 'data', offset: 0, bytes: Uint8Array.of(1), ask: false }
  assertViolation(ended().frame(1, data), /allowed|behind the end/)
})

test('bytes that are known already are not delivered again', () => {
  const one = answering()
  const data = (offset: number, ...bytes: number[]): SessionOutput[] =>
    one.frame(1, { type: 'data', offset, bytes: Uint8Array.from(bytes), ask: false })
  assert.deepEqual(only(data(0, 1, 2, 3), 'deliver')[0]?.bytes, Uint8Array.of(1, 2, 3))
  assert.deepEqual(only(data(0, 1, 2, 3), 'deliver'), [])
  assert.deepEqual(only(data(2, 3, 4), 'deliver')[0]?.bytes, Uint8Array.of(4))
})

test('a greeting that is played again is refused and disturbs nothing', () => {
  const one = answering()
  const resume: Frame = { type: 'resume', session: ID, carrier: 2, received: 0, limit: MUCH }
  const moved = one.frame(7, resume)
  assert.deepEqual(only(moved, 'drop'), [{ type: 'drop', carrier: 1 }])
  assert.equal(sent(moved)[0]?.type, 'accept')
  const again = one.frame(8, resume)
  assert.deepEqual(sent(again), [{ type: 'refuse', code: 'stale' }])
  assert.deepEqual([...only(again, 'drop'), ...only(again, 'over')], [])
  const open: Frame = { type: 'open', session: ID, limit: MUCH, protocol: '/test/1.0.0' }
  assert.deepEqual(sent(one.frame(9, open)), [{ type: 'refuse', code: 'unknown-session' }])
})

test('frames of the wrong kind end the session', () => {
  assertViolation(established().frame(1, { type: 'accept', received: 0, limit: 1 }), /in use/)
  const one = new One('opener')
  one.feed({ type: 'start' }, { type: 'opened', carrier: 1 })
  assertViolation(one.frame(1, { type: 'ack', received: 0, limit: 1 }), /greeting with ack/)
  assertViolation(answering().feed({ type: 'garbage', carrier: 1, text: 'no frame' }), /no frame/)
})

test('a huge window of the other side does not make us keep more than our own bound', () => {
  const one = new One('opener')
  one.feed({ type: 'start' }, { type: 'opened', carrier: 1 })
  one.frame(1, { type: 'accept', received: 0, limit: Number.MAX_SAFE_INTEGER })
  assert.equal(one.machine.append([new Uint8Array(3 * MEMORY.ceilingBytes)]), MEMORY.ceilingBytes)
})

test('a writer that was turned away is called again when there is room', () => {
  const one = established()
  one.machine.append([new Uint8Array(MUCH + 1)])
  assert.deepEqual(only(one.feed({ type: 'written' }), 'room'), [])
  assert.equal(one.machine.room, 0)
  assert.deepEqual(
    only(one.frame(1, { type: 'ack', received: 0, limit: 2 * MUCH }), 'room').length,
    1,
  )
})

test('one batch is on its way at a time', () => {
  const one = established()
  assert.equal(sent(written(one, 200_000)).length, 1)
  assert.equal(sent(one.feed({ type: 'written' })).length, 0)
  assert.equal(sent(one.feed({ type: 'writable', carrier: 1 })).length, 1)
})

test('the opener goes over to a better connection at once, and sends from where the other side is', () => {
  const one = established()
  written(one, 100)
  const [open] = only(one.feed({ type: 'path', best: 'B' }), 'open')
  assert.deepEqual(open, { type: 'open', carrier: 2, connect: false, avoid: undefined })
  one.feed({ type: 'trying', carrier: 2, path: 'B' })
  const [resume] = sent(one.feed({ type: 'opened', carrier: 2 }))
  assert.equal(resume?.type, 'resume')
  const taken = one.frame(2, { type: 'accept', received: 40, limit: MUCH })
  assert.deepEqual(only(taken, 'drop'), [{ type: 'drop', carrier: 1 }])
  const [data] = sent(taken)
  assert.ok(data?.type === 'data' && data.offset === 40 && data.bytes.length === 60)
  assert.deepEqual([one.machine.moves, one.machine.resent], [1, 60])
  assert.deepEqual(only(one.feed({ type: 'path', best: 'B' }), 'open'), [])
})

test('a carrier that carries nothing is left for another connection, and not gone back to at once', () => {
  const one = established()
  written(one, 100)
  const [open] = only(one.pass(PACE.stallMs), 'open')
  assert.deepEqual(open, { type: 'open', carrier: 2, connect: false, avoid: 'A' })
  one.feed({ type: 'trying', carrier: 2, path: 'B' }, { type: 'opened', carrier: 2 })
  one.frame(2, { type: 'accept', received: 100, limit: MUCH })
  assert.deepEqual(only(one.feed({ type: 'path', best: 'A' }), 'open'), [])
  one.pass(PACE.shunMs)
  assert.equal(only(one.feed({ type: 'path', best: 'A' }), 'open').length, 1)
})

test('acknowledgements that come in time keep a carrier, however slow it is', () => {
  const one = established()
  written(one, 1_000)
  for (let received = 1; received < 100; received++) {
    assert.deepEqual(only(one.pass(PACE.stallMs - 1), 'open'), [])
    one.frame(1, { type: 'ack', received, limit: MUCH })
  }
})

test('the opener looks for a way back for 30 s, in growing pauses, and then gives up', () => {
  const one = established()
  let tries = only(one.feed({ type: 'broken', carrier: 1 }), 'open').length
  let over: SessionOutput[] = []
  for (let carrier = 2; one.now < 60_000 && over.length === 0; carrier++) {
    const outputs = [...one.feed({ type: 'unopened', carrier }), ...one.pass(2_500)]
    tries += only(outputs, 'open').length
    over = only(outputs, 'over')
  }
  assert.ok(tries >= 10 && tries < 40, `${tries} tries`)
  assert.ok(Math.abs(one.now - RESUMPTION_LIMITS.seekMs) <= 2_500, `${one.now} ms`)
  assert.deepEqual((over[0] as { outcome: { type: string } }).outcome.type, 'lost')
})

test('a connection that opens meanwhile is tried without waiting', () => {
  const one = established()
  one.feed({ type: 'path', best: 'A' }, { type: 'broken', carrier: 1 })
  one.feed({ type: 'unopened', carrier: 2 })
  assert.equal(only(one.feed({ type: 'path', best: 'B' }), 'open').length, 1)
})

test('the answerer keeps a session for 45 s', () => {
  const one = answering()
  one.feed({ type: 'broken', carrier: 1 })
  assert.deepEqual(one.pass(RESUMPTION_LIMITS.keepMs - 1), [])
  assert.equal(only(one.pass(1), 'over').length, 1)
})

const data = (ask: boolean): Frame => ({ type: 'data', offset: 0, bytes: Uint8Array.of(1), ask })

test('what arrives is acknowledged with the next data, or after a moment, or at once if asked', () => {
  const withData = answering()
  withData.frame(1, data(false))
  assert.deepEqual(sent(withData.feed({ type: 'consumed', offset: 1 })), [])
  assert.deepEqual(
    sent(written(withData, 1)).map(({ type }) => type),
    ['ack', 'data'],
  )
  const later = answering()
  later.frame(1, data(false))
  assert.deepEqual(
    sent(later.pass(PACE.ackDelayMs)).map(({ type }) => type),
    ['ack'],
  )
  assert.equal(sent(answering().frame(1, data(true)))[0]?.type, 'ack')
})

test('a first carrier that cannot be had ends the attempt, as does a refusal', () => {
  const one = new One('opener')
  one.feed({ type: 'start' })
  const [over] = only(one.feed({ type: 'unopened', carrier: 1 }), 'over')
  assert.deepEqual(over?.outcome, { type: 'unopened' })
  const other = new One('opener')
  other.feed({ type: 'start' }, { type: 'opened', carrier: 1 })
  const [refused] = only(other.frame(1, { type: 'refuse', code: 'busy' }), 'over')
  assert.deepEqual(refused?.outcome, { type: 'refused', code: 'busy' })
})

test('admission: somebody must answer, and there must be room', () => {
  const asked = { handled: true, ofPeer: 0, inAll: 0 }
  assert.equal(refusal(asked), undefined)
  assert.equal(refusal({ ...asked, handled: false }), 'unknown-protocol')
  assert.equal(refusal({ ...asked, ofPeer: RESUMPTION_LIMITS.sessionsPerPeer }), 'busy')
  assert.equal(refusal({ ...asked, inAll: RESUMPTION_LIMITS.sessions }), 'busy')
})

test('all sessions together stay within the budget, and every one has its floor', () => {
  const budget = new MemoryBudget()
  const accounts = Array.from({ length: 2 * RESUMPTION_LIMITS.sessions }, () => budget.account())
  assert.equal(accounts[0]?.allowance, MEMORY.ceilingBytes)
  for (const account of accounts) {
    assert.ok(account.allowance >= MEMORY.floorBytes)
    account.hold(account.allowance)
  }
  assert.ok(budget.used <= 256 * 1024 * 1024, `${budget.used} bytes`)
  for (const account of accounts) account.hold(0)
  assert.equal(budget.used, 0)
  assert.equal(accounts[9]?.allowance, MEMORY.ceilingBytes)
})
