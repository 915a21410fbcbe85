import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { seededRng } from '../../../protocols/kernel/rng.ts'
import { PeerExchange } from '../../../protocols/peer-exchange/exchange.ts'
import type { Input, Output } from '../../../protocols/peer-exchange/exchange.ts'
import { limits } from '../../../protocols/peer-exchange/limits.ts'
import type { Entry, Frame } from '../../../protocols/peer-exchange/messages.ts'
import { buildPayload } from '../../../protocols/peer-exchange/record.ts'
import type { SelfFacts } from '../../../protocols/peer-exchange/record.ts'
import { decodeSnapshot, encodeSnapshot } from '../../../protocols/peer-exchange/snapshot.ts'
import { notation } from '../../../src/drivers/overlay-records.ts'
import { EPOCH, NETWORK, facts, isGenuine, persona } from './world.ts'

/** One machine with its signatures done for it; everything else it puts out is collected. */
class Bench {
  readonly me = persona('me')
  readonly out: Output[] = []
  verified = 0
  now = EPOCH
  readonly machine = new PeerExchange({
    self: this.me.peer,
    networkId: NETWORK,
    scope: { loopback: false, subnets: [] },
    notation,
    rng: seededRng(1),
  })

  constructor() {
    this.feed({ type: 'self', facts: facts(1) })
    this.pass(1)
  }

  /** Returns what this input led to. */
  feed(input: Input): Output[] {
    const before = this.out.length
    for (const output of this.machine.step(input, this.now)) {
      if (output.type === 'sign') {
        const { seq, payload } = output
        this.feed({ type: 'signed', seq, envelope: this.me.seal(payload) })
      } else if (output.type === 'verify') {
        this.verified++
        this.feed({ type: 'verified', job: output.job, valid: isGenuine(output.signed) })
      } else this.out.push(output)
    }
    return this.out.slice(before)
  }

  pass(ms: number): Output[] {
    const end = this.now + ms
    const before = this.out.length
    for (let at = this.machine.nextWake(); at !== undefined && at <= end;) {
      this.now = Math.max(this.now, at)
      this.feed({ type: 'tick' })
      at = this.machine.nextWake()
    }
    this.now = end
    return this.out.slice(before)
  }

  meet(name: string): string {
    const { peer } = persona(name)
    this.feed({ type: 'connected', peer, limited: false, dialled: false })
    return peer
  }

  /** A request of a peer; returns the answer. */
  ask(peer: string, frame: Frame): Frame | undefined {
    const reply = this.feed({ type: 'request', exchange: 1, peer, frame })
    return reply.flatMap((output) => (output.type === 'reply' ? [output.frame] : []))[0]
  }

  hello(name: string, envelope = record(name).envelope): Frame | undefined {
    const peer = this.meet(name)
    const rest = { v: 1, networkId: NETWORK, nowS: 0, caps: 0, seenAddr: new Uint8Array() }
    return this.ask(peer, { type: 'hello', envelope, ...rest })
  }

  knows(name: string): boolean {
    return this.machine.book.get(persona(name).peer) !== undefined
  }

  faults(): string[] {
    return this.out.flatMap((output) => (output.type === 'fault' ? [output.fault] : []))
  }
}

interface Issue {
  seq?: number
  now?: number
  leaving?: boolean
  networkId?: bigint
  facts?: SelfFacts
}

/** What `name` says of itself, signed. */
function record(name: string, issue: Issue = {}): Entry {
  const { peer, seal } = persona(name)
  const { facts: said = facts(7), ...rest } = issue
  const payload = buildPayload(
    said,
    { self: peer, networkId: NETWORK, seq: 5, now: EPOCH, leaving: false, ...rest },
    notation,
  )
  return { envelope: seal(payload), observedAgeS: 0, firstHand: false }
}

const push = (...entries: Entry[]): Frame => ({ type: 'push', entries, hops: 1 })

test('a peer that greets is answered with our record and becomes known', () => {
  const bench = new Bench()
  const answer = bench.hello('ann')
  assert.equal(answer?.type, 'helloAck')
  assert.ok(answer.envelope.length > 100)
  assert.ok(bench.knows('ann'))
  assert.deepEqual(bench.faults(), [])
})

test('a record is taken once; an older one or a copy changes nothing and costs no check', () => {
  const bench = new Bench()
  const ann = bench.meet('ann')
  bench.ask(ann, push(record('bob', { seq: 9 })))
  const { verified } = bench
  bench.ask(ann, push(record('bob', { seq: 9 })))
  bench.ask(ann, push(record('bob', { seq: 8, facts: facts(8) })))
  assert.equal(bench.verified, verified)
  assert.equal(bench.machine.book.get(persona('bob').peer)?.record.seq, 9)
})

const lies: [what: string, entry: Entry, fault: string | undefined][] = [
  ['of another network', record('bob', { networkId: 1n }), 'network-different'],
  ['issued in the future', record('bob', { now: EPOCH + 700_000 }), 'issued-in-future'],
  ['expired', record('bob', { now: EPOCH - 8_000_000 }), undefined],
  ['with a forged signature', forged(record('bob')), 'signature-invalid'],
  [
    'in bytes that are none',
    { ...record('bob'), envelope: Uint8Array.of(1, 2, 3) },
    'envelope-malformed',
  ],
]
for (const [what, entry, fault] of lies) {
  test(`a record ${what} is not taken into the book`, () => {
    const bench = new Bench()
    bench.ask(bench.meet('ann'), push(entry))
    assert.ok(!bench.knows('bob'))
    assert.deepEqual(bench.faults(), fault === undefined ? [] : [fault])
  })
}

function forged(entry: Entry): Entry {
  const last = entry.envelope.length - 1
  return { ...entry, envelope: entry.envelope.with(last, (entry.envelope[last] as number) ^ 1) }
}

test('a greeting that carries a record about somebody else is a fault', () => {
  const bench = new Bench()
  bench.hello('ann', record('bob').envelope)
  assert.deepEqual(bench.faults(), ['signer-wrong'])
})

test('a peer with three faults is neither answered nor asked for an hour', () => {
  const bench = new Bench()
  const ann = bench.meet('ann')
  const question: Frame = { type: 'sampleReq', max: 8, setHash: 0n }
  for (let i = 0; i < 3; i++) {
    assert.notEqual(bench.ask(ann, question), undefined)
    bench.feed({ type: 'garbage', peer: ann, fault: 'frame-malformed' })
  }
  assert.equal(bench.ask(ann, question), undefined)
  const asked = bench.pass(3_500_000).filter(({ type }) => type === 'ask' || type === 'tell')
  assert.deepEqual(asked, [])
  bench.pass(200_000)
  assert.notEqual(bench.ask(ann, question), undefined)
})

test('a peer that pushes without end pushes out only what it pushed itself', () => {
  const bench = new Bench()
  bench.hello('linked once')
  const ann = bench.meet('ann')
  bench.ask(ann, push(record('told by ann')))
  const mallory = bench.meet('mallory')
  for (let i = 0; i < 2_000; i += 8) {
    const many = Array.from({ length: 8 }, (_, k) => record(`fake ${i + k}`))
    bench.ask(mallory, push(...many))
    bench.pass(1_000)
  }
  assert.equal(bench.machine.book.size, limits.known)
  assert.ok(bench.knows('linked once'))
  assert.ok(bench.knows('told by ann'))
  assert.ok(!bench.knows('fake 0'))
})

test('a peer that pushes too fast is not listened to beyond its rate', () => {
  const bench = new Bench()
  const mallory = bench.meet('mallory')
  for (let i = 0; i < 1_000; i += 10) {
    bench.ask(mallory, push(...Array.from({ length: 10 }, (_, k) => record(`fake ${i + k}`))))
  }
  assert.ok(bench.verified <= limits.rates.push.burst, `${bench.verified} signatures checked`)
})

test('a peer that always names the same ten friends is fetched from once', () => {
  const bench = new Bench()
  const friends = Array.from({ length: 10 }, (_, i) => `friend ${i}`)
  const ids = friends.map((name) => notation.idOf(persona(name).peer))
  bench.hello('ann')
  let wants = 0
  const answer = (output: Output) => {
    if (output.type !== 'ask') return
    const { exchange, frame } = output
    if (frame.type === 'sampleReq') {
      const sample: Frame = { type: 'sample', ids, seqLo: ids.map(() => 5), same: false }
      bench.feed({ type: 'answer', exchange, frame: sample }).forEach(answer)
    } else if (frame.type === 'want') {
      wants++
      const entries = friends.map((name) => record(name))
      bench.feed({ type: 'answer', exchange, frame: { type: 'records', entries, unknown: [] } })
    }
  }
  for (let i = 0; i < 60; i++) bench.pass(5_000).forEach(answer)
  assert.equal(wants, 1)
  assert.ok(friends.every((name) => bench.knows(name)))
})

test('news is passed on to the others, not to its teller, never twice, and not beyond two hops', () => {
  const bench = new Bench()
  for (const name of ['ann', 'bob', 'cid']) bench.hello(name)
  bench.pass(1_000)
  const told = () => bench.out.flatMap((output) => (output.type === 'tell' ? [output] : []))
  const before = told().length
  bench.ask(persona('ann').peer, push(record('new')))
  bench.pass(1_000)
  const news = told().slice(before)
  assert.deepEqual(
    news.map(({ peer }) => peer).sort(),
    [persona('bob').peer, persona('cid').peer].sort(),
  )
  assert.ok(news.every(({ frame }) => frame.type === 'push' && frame.hops === 2))
  bench.ask(persona('bob').peer, push(record('new')))
  bench.ask(persona('cid').peer, { ...push(record('newer')), hops: 2 } as Frame)
  bench.pass(1_000)
  assert.equal(told().length, before + 2)
})

test('several changes of our own at once go out as one record', () => {
  const bench = new Bench()
  bench.hello('ann')
  bench.pass(1_000)
  const before = bench.out.length
  for (let port = 2; port < 12; port++) bench.feed({ type: 'self', facts: facts(port) })
  bench.pass(1_000)
  const told = bench.out.slice(before).filter(({ type }) => type === 'tell')
  assert.equal(told.length, 1)
})

test('the sequence number grows even when the clock was ahead in an earlier run', () => {
  const bench = new Bench()
  bench.feed({ type: 'restore', ownSeq: EPOCH + 9_999_999, entries: [] })
  bench.feed({ type: 'self', facts: facts(2) })
  bench.pass(1_000)
  assert.ok(bench.machine.ownSeq > EPOCH + 9_999_999)
})

test('a copy of our own newer record makes us issue a newer one still', () => {
  const bench = new Bench()
  bench.ask(bench.meet('ann'), push(record('me', { seq: EPOCH + 5_000_000 })))
  bench.pass(1_000)
  assert.ok(bench.machine.ownSeq > EPOCH + 5_000_000)
})

test('a clock that is set back a day does not stop the pulls', () => {
  const bench = new Bench()
  bench.hello('ann')
  bench.pass(120_000)
  bench.now -= 86_400_000
  bench.feed({ type: 'tick' })
  const pulls = bench.pass(120_000).filter((one) => one.type === 'ask')
  assert.ok(pulls.length >= 3)
})

test('a resolve asks the contacts, ends with the answer, and ends without one too', () => {
  const bench = new Bench()
  for (const name of ['ann', 'bob']) bench.hello(name)
  const wanted = persona('wanted').peer
  const asks = bench.feed({ type: 'resolve', peer: wanted })
  assert.deepEqual(
    asks.map(({ type }) => type),
    ['ask', 'ask'],
  )
  const [first] = asks
  assert.ok(first?.type === 'ask')
  const frame: Frame = { type: 'records', entries: [record('wanted')], unknown: [] }
  const ended = bench.feed({ type: 'answer', exchange: first.exchange, frame })
  assert.ok(ended.some((output) => output.type === 'resolved' && output.peer === wanted))
  assert.ok(bench.knows('wanted'))

  bench.feed({ type: 'resolve', peer: persona('nobody').peer })
  assert.ok(bench.pass(limits.answerMs).some(({ type }) => type === 'resolved'))
})

test('a farewell removes the peer, and an older record does not bring it back', () => {
  const bench = new Bench()
  bench.hello('ann')
  const bob = bench.meet('bob')
  bench.ask(bob, push(record('ann', { seq: 6, leaving: true })))
  assert.ok(!bench.knows('ann'))
  bench.ask(bob, push(record('ann', { seq: 5 })))
  assert.ok(!bench.knows('ann'))
  bench.ask(bob, push(record('ann', { seq: 7 })))
  assert.ok(bench.knows('ann'))
})

test('our farewell goes to every contact at once and ends everything', () => {
  const bench = new Bench()
  for (const name of ['ann', 'bob']) bench.hello(name)
  bench.pass(1_000)
  const out = bench.feed({ type: 'leave' })
  assert.deepEqual(
    out.map(({ type }) => type),
    ['tell', 'tell', 'left'],
  )
  assert.equal(bench.machine.nextWake(), undefined)
  assert.deepEqual(bench.feed({ type: 'self', facts: facts(3) }), [])
})

test('a book survives a restart, with peers we were linked to even when their records ran out', () => {
  const bench = new Bench()
  bench.hello('linked')
  bench.ask(persona('linked').peer, push(record('heard of')))
  const bytes = encodeSnapshot(bench.machine.book, bench.machine.ownSeq)
  const snapshot = decodeSnapshot(bytes)
  assert.ok(snapshot)

  const soon = new Bench()
  soon.feed({ type: 'restore', ...snapshot })
  assert.ok(soon.knows('linked') && soon.knows('heard of'))
  assert.equal(soon.machine.book.get(persona('linked').peer)?.source, 'book')

  const late = new Bench()
  late.pass(86_400_000)
  late.feed({ type: 'restore', ...snapshot })
  assert.ok(late.knows('linked') && !late.knows('heard of'))
  assert.deepEqual(late.machine.book.fresh(late.now), [])
  late.pass(7 * 86_400_000)
  assert.ok(!late.knows('linked'))
})

const sample = (out: Output[]) =>
  out.flatMap((one) => (one.type === 'ask' && one.frame.type === 'sampleReq' ? [one] : []))[0]

test('over a limited connection little is asked for, and nothing when there is a better one', () => {
  const bench = new Bench()
  const far = persona('far').peer
  bench.hello('far')
  bench.feed({ type: 'connected', peer: far, limited: true, dialled: false })
  const asked = sample(bench.pass(60_000))
  assert.ok(asked?.frame.type === 'sampleReq')
  assert.equal(asked.frame.max, limits.sampleIdsOverRelay)
  bench.hello('near')
  for (let i = 0; i < 20; i++) assert.notEqual(sample(bench.pass(40_000))?.peer, far)
})

test('whatever frames a peer sends, nothing grows beyond its bound', () => {
  const names = fc.constantFrom('a', 'b', 'c', 'me')
  const entries = fc
    .array(fc.record({ name: names, seq: fc.integer({ min: 0, max: 50 }), leaving: fc.boolean() }))
    .map((list) => list.slice(0, 8).map(({ name, ...issue }) => record(name, issue)))
  const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  const frame: fc.Arbitrary<Frame> = fc.oneof(
    fc
      .tuple(entries, fc.nat(5))
      .map(([list, hops]): Frame => ({ ...push(...list), hops }) as Frame),
    entries.map((list): Frame => ({ type: 'records', entries: list, unknown: [] })),
    fc.array(id, { maxLength: 64 }).map((ids): Frame => ({ type: 'want', ids })),
    fc.tuple(fc.nat(300), id).map(([max, setHash]): Frame => ({ type: 'sampleReq', max, setHash })),
    fc
      .array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 })
      .map((peers): Frame => ({ type: 'resolve', peers })),
  )
  const steps = fc.array(fc.tuple(names, frame, fc.nat(100)), { maxLength: 40 })
  fc.assert(
    fc.property(steps, (list) => {
      const bench = new Bench()
      for (const [name, one, ms] of list) {
        const peer = bench.meet(`sender ${name}`)
        const out = bench.feed({ type: 'request', exchange: 1, peer, frame: one })
        assert.equal(out.filter(({ type }) => type === 'reply').length, 1)
        assert.ok(out.length <= 64)
        bench.pass(ms)
      }
      assert.ok(bench.machine.book.size <= 4)
    }),
    { numRuns: 100 },
  )
})
