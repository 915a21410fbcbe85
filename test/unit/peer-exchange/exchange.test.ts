import assert from 'node:assert/strict'
import { test } from 'node:test'
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
  #exchanges = 0
  readonly machine = new PeerExchange({
    self: this.me.peer,
    networkId: NETWORK,
    scope: { loopback: false, subnets: [] },
    notation,
    rng: seededRng(1),
    nextExchange: () => ++this.#exchanges,
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

  meet(name: string, dialled = false): string {
    const { peer } = persona(name)
    this.feed({ type: 'linked', peer, limited: false, dialled })
    return peer
  }

  /** We dial it, and it answers the greeting. */
  dial(name: string): string {
    const peer = this.meet(name, true)
    const hello = this.out.findLast((one) => one.type === 'ask' && one.peer === peer)
    assert.ok(hello?.type === 'ask' && hello.frame.type === 'hello')
    const { envelope } = record(name)
    const rest = { nowS: 0, seenAddr: new Uint8Array(), entries: [] }
    const frame: Frame = { type: 'helloAck', envelope, ...rest }
    this.feed({ type: 'answer', exchange: hello.exchange, frame })
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

/** An answer that names peers, all in version 5. */
const sampleOf = (ids: number[], groups: number[] = []): Frame => ({
  type: 'sample',
  ids,
  seqLo: ids.map(() => 5),
  same: false,
  groups,
})

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
  ['expired', record('bob', { now: EPOCH - 16_000_000 }), undefined],
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
  assert.deepEqual([bench.verified, bench.knows('bob')], [0, false])
})

test('a peer with three faults is neither answered nor asked for an hour', () => {
  const bench = new Bench()
  const ann = bench.meet('ann')
  const question: Frame = { type: 'sampleReq', max: 8, setHash: 0 }
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

test('a peer that tells without end pushes out only what it told itself', () => {
  const bench = new Bench()
  bench.dial('reached once')
  const ann = bench.meet('ann')
  bench.ask(ann, push(record('told by ann')))
  const mallory = bench.hello('mallory') && persona('mallory').peer
  let fakes = 0
  const fetch = (output: Output) => {
    if (output.type !== 'ask' || output.peer !== mallory) return
    const { exchange, frame } = output
    if (frame.type === 'sampleReq') {
      const ids = Array.from({ length: 64 }, () => notation.idOf(persona(`fake ${fakes++}`).peer))
      bench.feed({ type: 'answer', exchange, frame: sampleOf(ids) }).forEach(fetch)
    } else if (frame.type === 'want') {
      const entries = Array.from({ length: 60 }, (_, i) => record(`fake ${fakes - 64 + i}`))
      const records: Frame = { type: 'records', entries, unknown: [] }
      bench.feed({ type: 'answer', exchange, frame: records }).forEach(fetch)
    }
  }
  for (let i = 0; i < 20; i++) {
    bench.feed({ type: 'pull', peer: mallory as string }).forEach(fetch)
    bench.pass(4_000)
  }
  assert.ok(fakes > limits.heard)
  assert.ok(bench.machine.book.count('heard') <= limits.heard)
  assert.ok(bench.knows('reached once') && bench.knows('told by ann') && bench.knows('mallory'))
})

test('a peer that pushes too fast is not listened to beyond its rate', () => {
  const bench = new Bench()
  const mallory = bench.meet('mallory')
  for (let i = 0; i < 1_000; i += 10) {
    bench.ask(mallory, push(...Array.from({ length: 10 }, (_, k) => record(`fake ${i + k}`))))
  }
  assert.ok(bench.verified <= limits.rates.push.burst, `${bench.verified} signatures checked`)
})

test('a peer that names ever new strangers is heeded as often as an honest one has any to name', () => {
  const bench = new Bench()
  const mallory = bench.hello('mallory') && persona('mallory').peer
  const wanted = new Set<number>()
  let named = 0
  const answer = (output: Output) => {
    if (output.type !== 'ask' || output.peer !== mallory) return
    const { exchange, frame } = output
    if (frame.type === 'want') {
      for (const id of frame.ids) wanted.add(id)
      const none: Frame = { type: 'records', entries: [], unknown: frame.ids }
      bench.feed({ type: 'answer', exchange, frame: none }).forEach(answer)
    } else if (frame.type === 'sampleReq') {
      const ids = Array.from({ length: limits.sampleIds }, () => ++named)
      bench.feed({ type: 'answer', exchange, frame: sampleOf(ids, ids) }).forEach(answer)
    }
  }
  for (let minute = 0; minute < 10; minute++) {
    bench.feed({ type: 'pull', peer: mallory as string }).forEach(answer)
    bench.pass(60_000)
  }
  const { burst, perSecond } = limits.named
  assert.ok(named >= 10 * limits.sampleIds)
  assert.ok(wanted.size <= burst + 600 * perSecond && wanted.size >= burst, `${wanted.size} wanted`)
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
      bench.feed({ type: 'answer', exchange, frame: sampleOf(ids) }).forEach(answer)
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
  const later = bench.pass(600_000).filter((one) => one.type === 'ask')
  assert.ok(later.length <= 14, `${later.length} in ten minutes: it is not new again`)
})

test('a peer that came to us counts as reached once it has answered a dial of ours', () => {
  const bench = new Bench()
  bench.hello('ann')
  const standing = () => bench.machine.book.get(persona('ann').peer)?.standing
  assert.equal(standing(), 'heard')
  bench.meet('ann', true)
  assert.equal(standing(), 'reached')
  bench.meet('ann')
  bench.feed({ type: 'missed', peer: persona('ann').peer })
  assert.equal(standing(), 'reached')
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

test('a book survives a restart, with peers we reached even when their records ran out', () => {
  const bench = new Bench()
  bench.dial('reached')
  bench.ask(persona('reached').peer, push(record('heard of')))
  const bytes = encodeSnapshot(bench.machine.book, bench.machine.ownSeq)
  const snapshot = decodeSnapshot(bytes)
  assert.ok(snapshot)

  const soon = new Bench()
  soon.feed({ type: 'restore', ...snapshot })
  assert.ok(soon.knows('reached') && soon.knows('heard of'))
  assert.equal(soon.machine.book.get(persona('reached').peer)?.source, 'book')

  const late = new Bench()
  late.pass(86_400_000)
  late.feed({ type: 'restore', ...snapshot })
  assert.ok(late.knows('reached') && !late.knows('heard of'))
  assert.deepEqual(late.machine.book.fresh(late.now), [])
  late.pass(7 * 86_400_000)
  assert.ok(!late.knows('reached'))
})

const sample = (out: Output[]) =>
  out.flatMap((one) => (one.type === 'ask' && one.frame.type === 'sampleReq' ? [one] : []))[0]

test('over a limited connection little is asked for, and nothing when there is a better one', () => {
  const bench = new Bench()
  const far = persona('far').peer
  bench.hello('far')
  bench.feed({ type: 'linked', peer: far, limited: true, dialled: false })
  const asked = sample(bench.pass(60_000))
  assert.ok(asked?.frame.type === 'sampleReq')
  assert.equal(asked.frame.max, limits.sampleIdsOverRelay)
  bench.hello('near')
  for (let i = 0; i < 20; i++) assert.notEqual(sample(bench.pass(40_000))?.peer, far)
})

// --- what was found wrong once ----------------------------------------------------------------------------

/** Answers the open questions of these kinds to a peer; returns what came of it. */
function answerAll(bench: Bench, out: Output[], reply: (frame: Frame) => Frame | undefined) {
  return out.flatMap((one) =>
    one.type === 'ask'
      ? bench.feed({ type: 'answer', exchange: one.exchange, frame: reply(one.frame) })
      : [],
  )
}

test('a forged copy of a record does not keep the real one from being fetched', () => {
  const bench = new Bench()
  const ann = bench.dial('ann')
  bench.ask(bench.meet('mallory'), push(forged(record('bob'))))
  assert.deepEqual(bench.faults(), ['signature-invalid'])
  const ids = [notation.idOf(persona('bob').peer)]
  const asked = bench.feed({ type: 'pull', peer: ann })
  const wants = answerAll(bench, asked, () => sampleOf(ids))
  assert.ok(wants.some((one) => one.type === 'ask' && one.frame.type === 'want'))
})

test('what does not fit into an answer is asked for again in the same pull', () => {
  const teller = new Bench()
  const names = Array.from({ length: 60 }, (_, i) => `long ${i}`)
  const services = Array.from({ length: 12 }, (_, i) => `a service of a long name ${i}`)
  const asker = persona('asker').peer
  teller.hello('asker')
  const carrier = teller.meet('carrier')
  for (const name of names) {
    teller.ask(carrier, push(record(name, { facts: facts(7, { services }) })))
  }
  const bench = new Bench()
  const ann = bench.dial('ann')
  const pulled = bench.feed({ type: 'pull', peer: ann })
  for (let open = pulled; open.length > 0;) {
    open = answerAll(bench, open, (frame) => teller.ask(asker, frame))
  }
  const known = names.filter((name) => bench.knows(name)).length
  const handed = names.length - limits.helloEntries
  assert.ok(known >= handed, `${known} of ${names.length}`)
  assert.equal(bench.out.filter(({ type }) => type === 'pulled').length, 1)
})

test('a peer that brings nothing of what was wanted is not asked for it without end', () => {
  const bench = new Bench()
  const ann = bench.dial('ann')
  const ids = Array.from({ length: 200 }, (_, i) => notation.idOf(persona(`no ${i}`).peer))
  let asks = 0
  for (let open = bench.feed({ type: 'pull', peer: ann }); open.length > 0;) {
    asks += open.filter(({ type }) => type === 'ask').length
    open = answerAll(bench, open, (frame) =>
      frame.type === 'sampleReq'
        ? sampleOf(ids)
        : { type: 'records', entries: [record('something else')], unknown: [] },
    )
  }
  assert.equal(asks, 2)
})

test('records that nobody asked for do not come in as an answer, once the overlay is large', () => {
  const bench = new Bench()
  const ann = bench.dial('ann')
  for (let i = 0; i < limits.wantEverybody + 40; i++) {
    bench.ask(bench.meet(`carrier ${i % 4}`), push(record(`known ${i}`)))
  }
  const { size } = bench.machine.book
  const wanted = record('new', { seq: 9 })
  const ids = [notation.idOf(persona('known 1').peer)]
  const entries = Array.from({ length: 50 }, (_, i) => record(`unasked ${i}`))
  let open = bench.feed({ type: 'pull', peer: ann })
  open = answerAll(bench, open, () => ({
    type: 'sample',
    ids,
    seqLo: [6],
    same: false,
    groups: [],
  }))
  answerAll(bench, open, () => ({ type: 'records', entries: [wanted, ...entries], unknown: [] }))
  assert.ok(bench.machine.book.size - size < 30, 'only those its sampler has a place for')
})

test('a search ends when what was found is verified, not before', () => {
  const bench = new Bench()
  bench.dial('ann')
  const { machine, now } = bench
  const [ask] = machine.step({ type: 'search', search: 1, service: 'rare' }, now)
  assert.ok(ask?.type === 'ask')
  const found = record('bob', { facts: facts(7, { services: ['rare'] }) })
  const frame: Frame = { type: 'records', entries: [found], unknown: [] }
  const out = machine.step({ type: 'answer', exchange: ask.exchange, frame }, now)
  const [check] = out
  assert.deepEqual([out.length, check?.type], [1, 'verify'])
  assert.ok(check?.type === 'verify')
  const ended = machine.step({ type: 'verified', job: check.job, valid: true }, now)
  assert.deepEqual(
    ended.filter(({ type }) => type === 'searched'),
    [{ type: 'searched', search: 1, peers: [persona('bob').peer] }],
  )
})

test('an identity that claims another address group every minute holds few group slots', () => {
  const bench = new Bench()
  const ann = bench.meet('ann')
  for (let i = 0; i < 60; i++) {
    bench.ask(ann, push(record(`honest ${i}`, { facts: facts(i + 1) })))
    bench.pass(1_000)
  }
  const mallory = persona('mallory').peer
  const held = () =>
    [...bench.machine.sampler.holders()].filter(({ holder }) => holder.peer === mallory).length
  let most = 0
  for (let i = 0; i < 600; i++) {
    bench.ask(ann, push(record('mallory', { seq: 10 + i, facts: facts(i % 199) })))
    bench.pass(1_000)
    if (i > 100) most = Math.max(most, held())
  }
  assert.ok(most <= 10, `${most} slots at once`)
})

test('a greeting that finds too many questions under way is made up for', () => {
  const bench = new Bench()
  for (let i = 0; i < limits.asks; i++) bench.meet(`p${i}`, true)
  const late = bench.meet('late', true)
  const greeted = () => bench.out.some((one) => one.type === 'ask' && one.peer === late)
  assert.equal(greeted(), false)
  bench.pass(limits.greetAgainMs + limits.answerMs * 2)
  assert.equal(greeted(), true)
})

/** A node of an overlay of which it knows a part, and a contact it dialled. */
function inLargeOverlay() {
  const bench = new Bench()
  const ann = bench.dial('ann')
  for (let i = 0; i < limits.wantEverybody + 40; i++) {
    bench.ask(bench.meet(`carrier ${i % 4}`), push(record(`known ${i}`, { facts: facts(i) })))
  }
  const holds = (name: string) =>
    [...bench.machine.sampler.holders()].flatMap(({ holder, rankedBy }) =>
      holder.peer === persona(name).peer ? [rankedBy] : [],
    )
  return { bench, ann, holds }
}

/** Has these named by a contact with their groups, or without, and hands over what is asked for. */
function name(bench: Bench, by: string, names: string[], groups: number[]): string[] {
  const entries = new Map(
    names.map((one, i) => [
      notation.idOf(persona(one).peer),
      record(one, { facts: facts(groups[i] ?? 0) }),
    ]),
  )
  const told = groups.map((group) => 5 * 256 + (group % 200))
  const fetched: string[] = []
  answerAll(
    bench,
    answerAll(bench, bench.feed({ type: 'pull', peer: by }), () =>
      sampleOf([...entries.keys()], told),
    ),
    (frame) => {
      const ids = frame.type === 'want' ? frame.ids : []
      fetched.push(...names.filter((one) => ids.includes(notation.idOf(persona(one).peer))))
      return { type: 'records', entries: ids.flatMap((id) => entries.get(id) ?? []), unknown: [] }
    },
  )
  return fetched
}

test('whom a peer names for their groups holds slots that rank groups, until somebody names them as some of all', () => {
  const { bench, holds } = inLargeOverlay()
  const fetched = [1, 2, 3, 4].flatMap((teller) => {
    const names = Array.from({ length: 60 }, (_, i) => `stranger ${teller} ${i}`)
    // Addresses of known peers are in 168 groups; these are in others.
    const groups = names.map((_, i) => 168 + ((i + teller) % 32))
    return name(bench, bench.dial(`teller ${teller}`), names, groups)
  })
  assert.ok(fetched.length > 0)
  assert.ok(fetched.every((one) => holds(one).every((rankedBy) => rankedBy === 'group')))
  const again = name(bench, bench.dial('bob'), fetched, [])
  assert.deepEqual(again, [], 'their records are known')
  assert.ok(fetched.some((one) => holds(one).includes('id')))
})

test('groups are told of those only that hold no slot that ranks ids', () => {
  const { bench, ann } = inLargeOverlay()
  const sample = bench.ask(ann, { type: 'sampleReq', max: 256, setHash: 0 })
  assert.ok(sample?.type === 'sample')
  const { sampler, book } = bench.machine
  const byId = new Set(
    [...sampler.holders()].flatMap(({ holder, rankedBy }) => (rankedBy === 'id' ? [holder] : [])),
  )
  const told = sample.ids.slice(1).map((id, i) => [book.byId(id), sample.groups[i + 1]] as const)
  assert.ok(told.some(([, group]) => group === 0) && told.some(([, group]) => group !== 0))
  for (const [entry, group] of told) {
    assert.ok(entry !== undefined)
    assert.equal(group, byId.has(entry) ? 0 : entry.group)
  }
})

test('one dial in vain costs a peer its places in the sample, and being met gives them back', () => {
  const { bench, holds } = inLargeOverlay()
  const [first] = [...bench.machine.sampler.distinct()]
  const known = Array.from({ length: 200 }, (_, i) => `known ${i}`)
  const who = known.find((one) => persona(one).peer === first?.holder.peer) ?? assert.fail()
  const before = holds(who)
  bench.feed({ type: 'missed', peer: persona(who).peer })
  assert.deepEqual(holds(who), [])
  assert.equal(bench.machine.book.get(persona(who).peer)?.standing, 'heard')
  bench.meet(who)
  assert.deepEqual(holds(who).sort(), before.sort())
})

test('with no contact at all a dial in vain says nothing about the peer', () => {
  const { bench, ann, holds } = inLargeOverlay()
  for (const peer of [ann, ...[0, 1, 2, 3].map((i) => persona(`carrier ${i}`).peer)]) {
    bench.feed({ type: 'unlinked', peer })
  }
  const held = Array.from({ length: 168 }, (_, i) => `known ${i}`).filter(
    (one) => holds(one).length > 0,
  )
  for (const one of held) bench.feed({ type: 'missed', peer: persona(one).peer })
  assert.ok(held.every((one) => holds(one).length > 0))
})

test('whom we have met keeps its places when its record runs out, hearsay does not', () => {
  const { bench, ann, holds } = inLargeOverlay()
  const held = Array.from({ length: 168 }, (_, i) => `known ${i}`).filter(
    (one) => holds(one).length > 0,
  )
  const [met = ''] = held
  bench.meet(met)
  bench.feed({ type: 'unlinked', peer: persona(met).peer })
  bench.pass(limits.ownTtlS * 1000 + limits.clockSkewMs + limits.sweepMs)
  assert.ok(holds(met).length > 0)
  assert.ok(held.slice(1).every((one) => holds(one).length === 0))
  const sample = bench.ask(ann, { type: 'sampleReq', max: 256, setHash: 0 })
  assert.ok(sample?.type === 'sample')
  assert.ok(
    !sample.ids.includes(notation.idOf(persona(met).peer)),
    'told to nobody until it is seen',
  )
})

test('whom the book has no room to remember as lost holds no place either', () => {
  const { bench, ann } = inLargeOverlay()
  const known = Array.from({ length: limits.wantEverybody + 40 }, (_, i) => `known ${i}`)
  for (const one of known) bench.feed({ type: 'unlinked', peer: bench.meet(one) })
  bench.pass(limits.ownTtlS * 1000 + limits.clockSkewMs + limits.sweepMs)
  const holders = () => [...bench.machine.sampler.holders()].map(({ holder }) => holder.peer)
  assert.ok(holders().length > 0)
  for (let i = 0; bench.machine.book.count('lost') < limits.lost || i < limits.lost; i++) {
    const more = record(`more ${i}`, { facts: facts(i), now: bench.now })
    bench.ask(ann, push(more))
    for (const _ of [1, 2]) bench.feed({ type: 'missed', peer: persona(`more ${i}`).peer })
    bench.pass(20_000)
  }
  assert.ok(known.some((one) => !bench.knows(one)))
  for (const peer of holders()) assert.ok(bench.machine.book.get(peer) !== undefined)
})
