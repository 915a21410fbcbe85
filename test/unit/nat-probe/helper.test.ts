import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ProbeHelper } from '../../../protocols/nat-probe/helper.ts'
import type { HelperInput, HelperOutput, SeenPeer } from '../../../protocols/nat-probe/helper.ts'
import { PROBE_LIMITS } from '../../../protocols/nat-probe/limits.ts'
import { scopeOf } from '../../../protocols/kernel/address.ts'

type BackInput = Extract<HelperInput, { type: 'back' }>
type ErrandInput = Extract<HelperInput, { type: 'errand' }>

const NOW = 1_795_000_000_000
const ASKER: SeenPeer = { peer: 'asker', ip: '51.20.0.10' }
const THIRDS: SeenPeer[] = [
  { peer: 'v1', ip: '73.1.0.1' },
  { peer: 'v2', ip: '84.1.0.1' },
]

const helper = (): ProbeHelper =>
  new ProbeHelper({ self: 'me', rng: () => 0.4, dialable: (ip) => scopeOf(ip) === 'public' }, NOW)

const back = (change: Partial<BackInput> = {}): BackInput => ({
  type: 'back',
  job: 1,
  asker: ASKER,
  seenPort: 4_001,
  port: 0,
  nonce: 'aa',
  byOther: false,
  thirds: THIRDS,
  ...change,
})

const voucher = {
  helper: 'h',
  third: 'me',
  asker: 'asker',
  target: { ip: ASKER.ip, port: 4_001 },
  nonce: 'aa',
  issuedAt: NOW,
}

const errand = (
  change: Partial<typeof voucher> = {},
  rest: Partial<ErrandInput> = {},
): ErrandInput => ({
  type: 'errand',
  job: 1,
  from: 'h',
  voucher: { ...voucher, ...change },
  ...rest,
})

const answers = (outputs: readonly HelperOutput[]): unknown[] =>
  outputs.map((one) => (one.type === 'answer' ? one.result : one.type))

test('a helper dials the asker where it sees it, or at another port of the same address', () => {
  const machine = helper()
  assert.deepEqual(machine.step(back(), NOW), [
    { type: 'dial', job: 1, peer: 'asker', target: { ip: ASKER.ip, port: 4_001 }, nonce: 'aa' },
  ])
  const [other] = machine.step(back({ job: 2, port: 14_001 }), NOW)
  assert.ok(other?.type === 'dial')
  assert.deepEqual(other.target, { ip: ASKER.ip, port: 14_001 })
  assert.deepEqual(machine.step({ type: 'ended', job: 2, result: 'silent' }, NOW), [
    { type: 'answer', job: 2, result: 'silent' },
  ])
  assert.equal(machine.jobs, 1)
})

test('one request is one dial: a third peer’s outcome is final, only its refusal lets another be sent', () => {
  const machine = helper()
  const [first] = machine.step(back({ byOther: true }), NOW)
  assert.ok(first?.type === 'send')
  const [second] = machine.step({ type: 'ended', job: 1, result: 'too-many' }, NOW)
  assert.ok(second?.type === 'send')
  assert.deepEqual(new Set([first.third, second.third]), new Set(['v1', 'v2']))
  assert.deepEqual(answers(machine.step({ type: 'ended', job: 1, result: 'silent' }, NOW)), [
    'silent',
  ])
  machine.step(back({ job: 2, byOther: true }), NOW)
  assert.deepEqual(answers(machine.step({ type: 'ended', job: 2, result: 'failed' }, NOW)), [
    'failed',
  ])
})

test('no more third peers are asked than stated, however many refuse', () => {
  const machine = helper()
  const many = Array.from({ length: 20 }, (_, i) => ({ peer: `v${i}`, ip: `73.${i}.0.1` }))
  let outputs = machine.step(back({ byOther: true, thirds: many }), NOW)
  let sent = 0
  while (outputs[0]?.type === 'send') {
    sent++
    outputs = machine.step({ type: 'ended', job: 1, result: 'voucher' }, NOW)
  }
  assert.equal(sent, PROBE_LIMITS.thirdsTried)
  assert.deepEqual(answers(outputs), ['voucher'])
})

test('neither the asker, nor its neighbours, nor peers of the other family are sent', () => {
  const machine = helper()
  const thirds = [
    { peer: 'asker', ip: '73.1.0.1' },
    { peer: 'v1', ip: ASKER.ip },
    { peer: 'v2', ip: '51.20.0.99' },
    { peer: 'v3', ip: '2a01:100:1::1' },
  ]
  assert.deepEqual(answers(machine.step(back({ byOther: true, thirds }), NOW)), ['no-third'])
  assert.equal(machine.jobs, 0)
})

test('an asker that is no stranger of the internet is not served', () => {
  for (const ip of ['192.168.1.5', '127.0.0.1', '10.0.0.1', '169.254.1.1', 'rubbish']) {
    const machine = helper()
    const asker = { peer: 'asker', ip }
    assert.deepEqual(answers(machine.step(back({ asker }), NOW)), ['unsupported'], ip)
    const sample = { type: 'sample', job: 2, asker, connections: 4, able: true } as const
    assert.deepEqual(answers(machine.step(sample, NOW)), ['unsupported'], ip)
  }
})

test('a helper whose ports nobody reaches opens none', () => {
  const sample = { type: 'sample', job: 1, asker: ASKER, connections: 4 } as const
  assert.deepEqual(answers(helper().step({ ...sample, able: false }, NOW)), ['unsupported'])
  assert.deepEqual(helper().step({ ...sample, able: true }, NOW), [
    { type: 'listen', job: 1, ip: ASKER.ip, connections: 4 },
  ])
})

/** How many of `count` requests are dialled, each over at once. */
function served(machine: ProbeHelper, inputs: HelperInput[], now: number): number {
  let dialled = 0
  for (const input of inputs) {
    for (const output of machine.step(input, now)) {
      if (output.type === 'dial') dialled++
      if (output.type === 'verify') {
        const after = machine.step({ type: 'verified', job: output.job, genuine: true }, now)
        dialled += after.filter(({ type }) => type === 'dial').length
      }
      machine.step({ type: 'ended', job: output.job, result: 'silent' }, now)
    }
  }
  return dialled
}

test('an asker, its network, and all of them together have a budget', () => {
  const { asker, askerNetwork, helperAll } = PROBE_LIMITS
  const one = Array.from({ length: 100 }, (_, job) => back({ job }))
  assert.equal(served(helper(), one, NOW), asker.burst)
  const network = Array.from({ length: 200 }, (_, job) =>
    back({ job, asker: { peer: `a${job}`, ip: `51.20.0.${1 + (job % 200)}` } }),
  )
  assert.equal(served(helper(), network, NOW), askerNetwork.burst)
  const all = Array.from({ length: 200 }, (_, job) =>
    back({ job, asker: { peer: `a${job}`, ip: `51.${job}.0.1` } }),
  )
  const machine = helper()
  assert.equal(served(machine, all, NOW), helperAll.burst)
  const later = all.map((input) => ({ ...input, job: input.job + 1_000 }))
  assert.equal(served(machine, later, NOW + 1_000), helperAll.perSecond)
})

test('jobs under way are bounded, and one whose end is never told is forgotten', () => {
  const machine = helper()
  const all = Array.from({ length: 60 }, (_, job) =>
    back({ job, asker: { peer: `a${job}`, ip: `51.${job}.0.1` } }),
  )
  for (const input of all) machine.step(input, NOW)
  assert.equal(machine.jobs, PROBE_LIMITS.jobs)
  const wake = machine.nextWake() ?? assert.fail('no wake')
  machine.step({ type: 'tick' }, wake)
  assert.equal(machine.jobs, 0)
  assert.equal(machine.nextWake(), undefined)
})

// --- as a third peer --------------------------------------------------------------------------------------

test('a third peer dials for a genuine voucher, once', () => {
  const machine = helper()
  assert.deepEqual(machine.step(errand(), NOW), [{ type: 'verify', job: 1, by: 'h' }])
  assert.deepEqual(machine.step({ type: 'verified', job: 1, genuine: true }, NOW), [
    { type: 'dial', job: 1, peer: 'asker', target: voucher.target, nonce: 'aa' },
  ])
  machine.step({ type: 'ended', job: 1, result: 'reached' }, NOW)
  for (const later of [0, 1_000, PROBE_LIMITS.voucherMs]) {
    const now = NOW + later
    machine.step(errand({}, { job: 2 }), now)
    const again = machine.step({ type: 'verified', job: 2, genuine: true }, now)
    assert.deepEqual(answers(again), ['voucher'], `replayed after ${later} ms`)
  }
})

test('a forged voucher leaves no trace: the genuine one is good afterwards', () => {
  const machine = helper()
  machine.step(errand(), NOW)
  const forged = machine.step({ type: 'verified', job: 1, genuine: false }, NOW)
  assert.deepEqual(answers(forged), ['voucher'])
  machine.step(errand({}, { job: 2 }), NOW)
  const genuine = machine.step({ type: 'verified', job: 2, genuine: true }, NOW)
  assert.deepEqual(answers(genuine), ['dial'])
})

test('a voucher of somebody else, for somebody else, about ourselves, or of another time is none', () => {
  const wrong: Record<string, ErrandInput> = {
    'no voucher at all': { type: 'errand', job: 1, from: 'h', voucher: undefined },
    'passed on by another peer': errand({}, { from: 'x' }),
    'signed by another helper': errand({ helper: 'x' }),
    'for another third peer': errand({ third: 'x' }),
    'to dial ourselves': errand({ asker: 'me' }),
    'for the helper itself': errand({ asker: 'h' }),
    stale: errand({ issuedAt: NOW - PROBE_LIMITS.voucherMs - 1 }),
    'of the future': errand({ issuedAt: NOW + PROBE_LIMITS.voucherMs + 1 }),
    'into a private network': errand({ target: { ip: '192.168.1.1', port: 80 } }),
    'to loopback': errand({ target: { ip: '127.0.0.1', port: 4_001 } }),
  }
  for (const [name, input] of Object.entries(wrong)) {
    assert.deepEqual(answers(helper().step(input, NOW)), ['voucher'], name)
  }
})

test('what one helper, and all of them about one network, can make a third peer dial is bounded', () => {
  const { helper: perHelper, targetNetwork, thirdAll } = PROBE_LIMITS
  const elsewhere = Array.from({ length: 100 }, (_, job) =>
    errand({ nonce: `${job}`, target: { ip: `51.${job}.0.1`, port: 1 } }, { job }),
  )
  assert.equal(served(helper(), elsewhere, NOW), perHelper.burst)
  const victim = Array.from({ length: 100 }, (_, job) =>
    errand(
      { helper: `h${job}`, nonce: `${job}`, target: { ip: `51.20.0.${job}`, port: 1 } },
      { job, from: `h${job}` },
    ),
  )
  assert.equal(served(helper(), victim, NOW), targetNetwork.burst)
  const all = Array.from({ length: 100 }, (_, job) =>
    errand(
      { helper: `h${job}`, nonce: `${job}`, target: { ip: `51.${job}.0.1`, port: 1 } },
      { job, from: `h${job}` },
    ),
  )
  assert.equal(served(helper(), all, NOW), thirdAll.burst)
})

test('whatever is asked, every dial goes to the asker’s own address or to one with a genuine voucher', () => {
  const peer = fc.constantFrom('a', 'b', 'c', 'me', 'h')
  const ip = fc.constantFrom('51.20.0.10', '62.1.1.1', '192.168.1.1', '2a01:1::1', 'rubbish')
  const job = fc.nat(6)
  const seen = fc.record({ peer, ip })
  const port = fc.nat(65_535)
  const result = fc.constantFrom(
    'reached',
    'silent',
    'failed',
    'too-many',
    'voucher',
  ) as fc.Arbitrary<Extract<HelperInput, { type: 'ended' }>['result']>
  const input = fc.oneof<fc.Arbitrary<HelperInput>[]>(
    fc.constant({ type: 'tick' as const }),
    fc.record({
      type: fc.constant('back' as const),
      job,
      asker: seen,
      seenPort: port,
      port,
      nonce: fc.constantFrom('1', '2'),
      byOther: fc.boolean(),
      thirds: fc.array(seen, { maxLength: 4 }),
    }),
    fc.record({
      type: fc.constant('errand' as const),
      job,
      from: peer,
      voucher: fc.record({
        helper: peer,
        third: peer,
        asker: peer,
        target: fc.record({ ip, port }),
        nonce: fc.constantFrom('1', '2'),
        issuedAt: fc.constantFrom(NOW, NOW - 1e9),
      }),
    }),
    fc.record({ type: fc.constant('verified' as const), job, genuine: fc.boolean() }),
    fc.record({ type: fc.constant('ended' as const), job, result }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.nat(5_000)), { maxLength: 80 }), (steps) => {
      const machine = helper()
      let now = NOW
      for (const [one, later] of steps) {
        now += later
        for (const output of machine.step(one, now)) {
          if (output.type !== 'dial') continue
          assert.equal(scopeOf(output.target.ip), 'public')
          if (one.type === 'back') assert.equal(output.target.ip, one.asker.ip)
          else assert.ok(one.type === 'verified' && one.genuine)
        }
        assert.ok(machine.jobs <= PROBE_LIMITS.jobs)
      }
    }),
  )
})
