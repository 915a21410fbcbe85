import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ProbeAsker } from '../../../protocols/nat-probe/asker.ts'
import type { AskerInput, AskerOutput } from '../../../protocols/nat-probe/asker.ts'
import type { Helper } from '../../../protocols/nat-probe/examination.ts'
import type { Sampling } from '../../../protocols/nat-probe/findings.ts'
import { PROBE_LIMITS } from '../../../protocols/nat-probe/limits.ts'

const { startMs, refreshMs, retryMs, movedMs, enough, examinations } = PROBE_LIMITS

const OUTSIDE = '51.20.0.10'

const helper = (n: number, change: Partial<Helper> = {}): Helper => ({
  peer: `h${n}`,
  ip: `62.${n}.0.1`,
  trusted: false,
  bare: false,
  port: 0,
  ...change,
})

const sampling = (offset = 0): Sampling => ({
  seen: { ip: OUTSIDE, port: 4_001 },
  listening: { ip: OUTSIDE, port: 4_001 },
  fresh: [41_000, 42_000, 43_000].map((local) => ({
    local,
    seen: { ip: OUTSIDE, port: local + offset },
  })),
})

/** An asker that knows these helpers, at the moment when it begins. */
function begun(...helpers: Helper[]): { asker: ProbeAsker; out: AskerOutput[] } {
  const asker = new ProbeAsker(() => 0.5)
  for (const one of helpers) assert.deepEqual(asker.step({ type: 'helper', helper: one }, 0), [])
  assert.equal(asker.nextWake(), startMs)
  return { asker, out: [...asker.step({ type: 'tick' }, startMs)] }
}

type Ask = Extract<AskerOutput, { type: 'ask' }>

const asks = (out: readonly AskerOutput[]): Ask[] => out.filter((one) => one.type === 'ask')

const inWords = (out: readonly AskerOutput[]): string[] =>
  out.map((one) => {
    if (one.type === 'ask') return `${one.other ? 'other' : 'self'} ${one.door} ${one.port}`
    if (one.type !== 'finding') return one.type
    const { finding } = one
    if (finding.type === 'sampled') return 'found sampled'
    const who = finding.other ? 'other' : 'self'
    if (finding.type === 'failed') return `found ${who} ${finding.door} failed`
    return `found ${who} ${finding.door} ${finding.stranger ? 'stranger' : 'reached'}`
  })

/** Plays one examination: what each question comes to, by name. */
function play(
  results: Record<string, 'stranger' | 'contacted' | 'silent' | 'no-third' | 'nothing' | 'reached'>,
  { sample = sampling(), helpers = [helper(1)] as Helper[] } = {},
): string[] {
  const { asker, out } = begun(...helpers)
  const said: string[] = inWords(out)
  const pending = [...out]
  let now = startMs
  for (let one = pending.shift(); one !== undefined; one = pending.shift()) {
    now += 10
    const inputs: AskerInput[] = []
    if (one.type === 'sample') {
      inputs.push({ type: 'sampled', examination: one.examination, sampling: sample })
    } else if (one.type === 'open-silent') {
      inputs.push({ type: 'opened', examination: one.examination, port: 45_000 })
    } else if (one.type === 'ask') {
      const { question, door, other } = one
      const result = results[`${other ? 'other' : 'self'} ${door}`] ?? 'silent'
      if (result === 'stranger' || result === 'contacted') {
        const from = other ? '73.1.0.1' : '62.1.0.1'
        const contacted = result === 'contacted'
        inputs.push({ type: 'knocked', question, from, contacted, ours: false })
        inputs.push({ type: 'answered', question, result: 'reached' })
      } else inputs.push({ type: 'answered', question, result })
    }
    for (const input of inputs) {
      const more = asker.step(input, now)
      said.push(...inWords(more))
      pending.push(...more)
    }
  }
  return said
}

test('an examination begins with a sample and two dial-backs to the listening port', () => {
  const { out } = begun(helper(1))
  assert.deepEqual(inWords(out), ['sample', 'self listening 0', 'other listening 0'])
})

test('a bare host is asked about its own port, and nothing is sampled', () => {
  const { out } = begun(helper(1, { bare: true, port: 4_001 }))
  assert.deepEqual(inWords(out), ['self listening 4001', 'other listening 4001'])
})

test('when nobody gets in at the listening port nothing else is asked', () => {
  assert.deepEqual(play({}).slice(3), [
    'found sampled',
    'found self listening failed',
    'found other listening failed',
    'close',
  ])
})

test('when a stranger gets in, or the helper does and a third peer does not, that is the answer', () => {
  const open = play({ 'self listening': 'contacted', 'other listening': 'stranger' })
  assert.deepEqual(open.slice(3), [
    'found sampled',
    'found self listening reached',
    'found other listening stranger',
    'close',
  ])
  const restricted = play({ 'self listening': 'contacted' })
  assert.ok(restricted.includes('found other listening failed'))
  assert.ok(!restricted.some((one) => one.includes('fresh')))
})

test('a third peer that we talk to anyway leads to a fresh port, which it has never heard of', () => {
  const got = { 'self listening': 'contacted', 'other listening': 'contacted' } as const
  const open = play({ ...got, 'self fresh': 'contacted', 'other fresh': 'stranger' })
  assert.ok(open.includes('self fresh 41000') && open.includes('other fresh 41000'))
  assert.ok(open.includes('found other fresh stranger'))
  const restricted = play({ ...got, 'self fresh': 'contacted' })
  assert.ok(restricted.includes('found other fresh failed'))
})

test('that nobody gets in at a fresh port tells nothing when the helper does not either', () => {
  const got = { 'self listening': 'contacted', 'other listening': 'contacted' } as const
  const said = play(got)
  assert.ok(said.includes('other fresh 41000'))
  assert.ok(!said.some((one) => one.startsWith('found') && one.includes('fresh')))
})

test('a helper that knows nobody to send dials a silent port, at the outside that the others show', () => {
  const alone = { 'self listening': 'contacted', 'other listening': 'no-third' } as const
  const open = play(
    { ...alone, 'self fresh': 'contacted', 'self silent': 'stranger' },
    { sample: sampling(10_000) },
  )
  assert.ok(open.includes('self fresh 51000') && open.includes('self silent 55000'))
  assert.ok(open.includes('found self silent stranger'))
  const restricted = play({ ...alone, 'self fresh': 'contacted' })
  assert.ok(restricted.includes('found self silent failed'))
})

test('a silent port is not opened when its outside cannot be told', () => {
  const sample = sampling()
  for (const [i, one] of sample.fresh.entries()) one.seen = { ip: OUTSIDE, port: 30_000 + i * 77 }
  const said = play(
    { 'self listening': 'contacted', 'other listening': 'no-third', 'self fresh': 'contacted' },
    { sample },
  )
  assert.ok(!said.includes('open-silent'))
  assert.equal(said.at(-1), 'close')
})

test('who says "reached" without a knock has told nothing', () => {
  const said = play({ 'self listening': 'reached', 'other listening': 'reached' })
  assert.deepEqual(said.slice(3), ['found sampled', 'close'])
})

test('a knock from our own outside is no stranger’s', () => {
  const { asker, out } = begun(helper(1))
  const [, other] = asks(out)
  assert.ok(other)
  const knock = { type: 'knocked', question: other.question, from: OUTSIDE } as const
  const found = asker.step({ ...knock, contacted: false, ours: true }, 400)
  assert.deepEqual(inWords(found), ['found other listening reached'])
})

test('a second knock, an answer to nothing and a late one change nothing', () => {
  const { asker, out } = begun(helper(1))
  const [self] = asks(out)
  assert.ok(self)
  const { question } = self
  const knock = {
    type: 'knocked',
    question,
    from: '62.1.0.1',
    contacted: true,
    ours: false,
  } as const
  assert.equal(asker.step(knock, 400).length, 1)
  assert.deepEqual(asker.step({ ...knock, from: '73.1.0.1', contacted: false }, 401), [])
  asker.step({ type: 'answered', question, result: 'reached' }, 402)
  assert.deepEqual(asker.step(knock, 403), [])
  assert.deepEqual(asker.step({ type: 'answered', question: 999, result: 'silent' }, 404), [])
  assert.deepEqual(asker.step({ type: 'sampled', examination: 999, sampling: sampling() }, 405), [])
})

test('helpers of a few networks are asked at once, those of the operator’s choosing first', () => {
  const many = Array.from({ length: 9 }, (_, i) => helper(i + 1))
  const { out } = begun(...many, helper(20, { trusted: true }))
  const peers = new Set(asks(out).map(({ peer }) => peer))
  assert.equal(peers.size, Math.min(enough, examinations))
  assert.ok(peers.has('h20'))
})

test('two helpers in one network are one witness', () => {
  const { out } = begun(helper(1), helper(2, { ip: '62.1.0.2' }))
  assert.deepEqual(new Set(asks(out).map(({ peer }) => peer)), new Set(['h1']))
})

/** Ends every question that is open with the same result. */
function endAll(
  asker: ProbeAsker,
  out: readonly AskerOutput[],
  now: number,
  silent: boolean,
): void {
  for (const one of out) {
    if (one.type === 'sample')
      asker.step({ type: 'sampled', examination: one.examination, sampling: undefined }, now)
    if (one.type === 'ask') {
      const result = silent ? 'silent' : 'nothing'
      asker.step({ type: 'answered', question: one.question, result }, now)
    }
  }
}

test('a helper that told something is asked again before that grows old, a mute one sooner', () => {
  const told = begun(helper(1))
  endAll(told.asker, told.out, 5_000, true)
  assert.equal(told.asker.nextWake(), 5_000 + refreshMs)
  const mute = begun(helper(1))
  endAll(mute.asker, mute.out, 5_000, false)
  assert.equal(mute.asker.nextWake(), 5_000 + retryMs)
})

test('a helper that goes and comes back is not asked the same again', () => {
  const { asker, out } = begun(helper(1))
  endAll(asker, out, 5_000, true)
  for (let now = 6_000; now < 60_000; now += 1_000) {
    assert.deepEqual(asker.step({ type: 'helper-gone', peer: 'h1' }, now), [])
    assert.deepEqual(asker.step({ type: 'helper', helper: helper(1) }, now), [])
  }
})

test('an examination ends with its helper, and with the network', () => {
  const gone = begun(helper(1))
  assert.deepEqual(inWords(gone.asker.step({ type: 'helper-gone', peer: 'h1' }, 400)), ['close'])
  const { asker } = begun(helper(1))
  assert.deepEqual(inWords(asker.step({ type: 'moved' }, 400)), ['close'])
  assert.equal(asker.nextWake(), 400 + movedMs)
  assert.equal(asks(asker.step({ type: 'tick' }, 400 + movedMs)).length, 2)
})

test('a port that the router opens is asked about anew, also when an examination is under way', () => {
  const { asker, out } = begun(helper(1))
  asker.step({ type: 'mapped', ports: [5_000] }, startMs + 10)
  const [sample] = out.filter((one) => one.type === 'sample')
  const examination = sample?.examination ?? 0
  asker.step({ type: 'sampled', examination, sampling: sampling() }, startMs + 20)
  const after = asks(out).flatMap(({ question }) => [
    ...asker.step({ type: 'answered', question, result: 'silent' }, startMs + 4_000),
  ])
  assert.deepEqual(inWords(after).slice(2), [
    'close',
    'sample',
    'self listening 0',
    'other listening 0',
    'self mapped 5000',
    'other mapped 5000',
  ])
})

test('a port that the router maps is one of IPv4, and asked about there alone', () => {
  const asker = new ProbeAsker(() => 0.5)
  asker.step({ type: 'mapped', ports: [5_000] }, 0)
  asker.step({ type: 'helper', helper: helper(1) }, 0)
  const six = helper(2, { ip: '2a02:1::1', bare: true, port: 4_001 })
  asker.step({ type: 'helper', helper: six }, 0)
  const later = Math.max(startMs, movedMs)
  const asked = asks(asker.step({ type: 'tick' }, later)).map(({ peer, door }) => `${peer} ${door}`)
  assert.deepEqual(asked, [
    'h1 listening',
    'h1 listening',
    'h1 mapped',
    'h1 mapped',
    'h2 listening',
    'h2 listening',
  ])
})

test('nothing is asked while nothing is wanted', () => {
  const asker = new ProbeAsker(() => 0.5)
  asker.step({ type: 'wanted', wanted: false }, 0)
  asker.step({ type: 'helper', helper: helper(1) }, 0)
  assert.equal(asker.nextWake(), undefined)
  assert.deepEqual(asker.step({ type: 'tick' }, 60_000), [])
  assert.equal(asks(asker.step({ type: 'wanted', wanted: true }, 60_000)).length, 2)
})

test('whatever happens, examinations, questions and wakes stay within their bounds', () => {
  const n = fc.nat(90)
  const number = fc.nat(40)
  const input = fc.oneof<fc.Arbitrary<AskerInput>[]>(
    fc.constant({ type: 'tick' as const }),
    n.map((i) => ({
      type: 'helper' as const,
      helper: helper(i, { bare: i % 3 === 0, port: i % 3 }),
    })),
    n.map((i) => ({ type: 'helper-gone' as const, peer: `h${i}` })),
    fc.record({ type: fc.constant('wanted' as const), wanted: fc.boolean() }),
    fc.constant({ type: 'moved' as const }),
    fc.record({ type: fc.constant('mapped' as const), ports: fc.array(fc.nat(65_535)) }),
    fc.record({
      type: fc.constant('sampled' as const),
      examination: number,
      sampling: fc.constantFrom(undefined, sampling(), sampling(9)),
    }),
    fc.record({ type: fc.constant('opened' as const), examination: number, port: fc.nat(65_535) }),
    fc.record({
      type: fc.constant('knocked' as const),
      question: number,
      from: fc.constantFrom('62.1.0.1', '73.1.0.1'),
      contacted: fc.boolean(),
      ours: fc.boolean(),
    }),
    fc.record({
      type: fc.constant('answered' as const),
      question: number,
      result: fc.constantFrom('reached', 'silent', 'failed', 'nothing', 'no-third', 'too-many'),
    }) as fc.Arbitrary<AskerInput>,
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(input, fc.nat(20_000)), { maxLength: 120 }), (steps) => {
      const asker = new ProbeAsker(() => 0.5)
      const open = new Set<number>()
      let now = 0
      for (const [one, later] of steps) {
        now += later
        for (const output of asker.step(one, now)) {
          if (output.type === 'close') assert.ok(open.delete(output.examination))
          else if (output.type === 'sample' || output.type === 'ask') open.add(output.examination)
          if (output.type === 'ask') assert.ok(output.port >= 0 && output.port <= 65_535)
        }
        assert.ok(open.size <= examinations)
        const wake = asker.nextWake()
        // A wake that has passed would be set again and again.
        assert.ok(wake === undefined || wake > now, `${wake} at ${now}`)
      }
    }),
  )
})

test('it tells whether anybody is being asked, or is about to be', () => {
  assert.deepEqual(new ProbeAsker(() => 0.5).progress(0), { helpers: 0, busy: false })
  const { asker, out } = begun(helper(1))
  assert.deepEqual(asker.progress(startMs), { helpers: 1, busy: true })
  for (const one of out)
    if (one.type === 'sample')
      asker.step({ type: 'sampled', examination: one.examination, sampling: undefined }, startMs)
  for (const { question } of asks(out))
    asker.step({ type: 'answered', question, result: 'refused' }, startMs)
  assert.deepEqual(asker.progress(startMs), { helpers: 1, busy: false })
  assert.equal(asker.progress(startMs + 2 * refreshMs).busy, true)
  asker.step({ type: 'wanted', wanted: false }, startMs)
  assert.equal(asker.progress(startMs + 2 * refreshMs).busy, false)
})
