import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { Input, Output } from '../../../protocols/overlay/overlay.ts'
import type { Entry, Frame } from '../../../protocols/peer-exchange/messages.ts'
import { buildPayload } from '../../../protocols/peer-exchange/record.ts'
import { notation } from '../../../src/drivers/overlay-records.ts'
import { EPOCH, NETWORK, facts, persona } from '../peer-exchange/world.ts'
import { Subject } from './subject.ts'

/** `FUZZ_RUNS=20000 node --test test/unit/overlay/schedules.test.ts` is the long run. */
const numRuns = Math.ceil(Number(process.env.FUZZ_RUNS ?? 30))

const PEERS = 24
const name = (i: number) => `peer ${i}`
const peers = Array.from({ length: PEERS }, (_, i) => persona(name(i)).peer)
const ids = peers.map((peer) => notation.idOf(peer))
const peerOf = (i: number) => peers[i] as string

const made = new Map<string, Entry>()
/** A record of peer `i`; made once, since signing it is most of the work. */
function entry(i: number, seq: number, kind: number): Entry {
  const key = `${i} ${seq} ${kind}`
  const before = made.get(key)
  if (before !== undefined) return before
  const { peer, seal } = i === PEERS ? persona('subject') : persona(name(i))
  const said = facts(kind === 1 ? 7 : i + seq * 30, {
    reachability: i % 3 === 0 ? 'private' : 'public',
    services: i % 2 === 0 ? ['web'] : [],
    ...(i % 5 === 0 ? { relay: { slotsTotal: 8, slotsFree: 4, unlimited: false } } : {}),
  })
  const issuedAt = kind === 2 ? EPOCH - 8_000_000 : kind === 3 ? EPOCH + 90_000_000 : EPOCH
  const issue = {
    self: peer,
    networkId: kind === 4 ? 1n : NETWORK,
    seq,
    now: issuedAt,
    leaving: kind === 5,
  }
  let envelope = seal(buildPayload(said, issue, notation))
  const last = envelope.length - 1
  if (kind === 6) envelope = envelope.with(last, (envelope[last] as number) ^ 1)
  if (kind === 7) envelope = envelope.subarray(0, last)
  const one = { envelope, observedAgeS: kind * 1_000_000, firstHand: kind % 2 === 0 }
  made.set(key, one)
  return one
}

/** Plain facts of a step; what they become depends on what the machine wants at that time. */
type Deed =
  | { do: 'link'; i: number; limited: boolean; dialled: boolean; stranger: boolean }
  | { do: 'unlink' | 'dial-done' | 'dial-failed' | 'garbage' | 'resolve'; i: number }
  | { do: 'request'; i: number; frame: Frame }
  | { do: 'answer'; which: number; frame: Frame | undefined; fitting: boolean; entries: Entry[] }
  | { do: 'verified'; which: number; truly: boolean }
  | { do: 'sign' | 'dials' | 'asks' | 'checks' | 'settle' | 'leave' }
  | { do: 'self'; port: number }
  | { do: 'search'; search: number; relay: boolean }
  | { do: 'pass'; ms: number }
  | { do: 'clock'; ms: number }
  | { do: 'start'; bootstraps: number[] }
  | { do: 'restore'; entries: Entry[]; ownSeq: number }

const index = fc.nat(PEERS - 1)
const uint = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const anEntry = fc
  .tuple(
    fc.nat(PEERS),
    fc.integer({ min: 1, max: 6 }),
    fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(7) }),
  )
  .map(([i, seq, kind]) => entry(i, seq, kind))
const entries = (most: number) => fc.array(anEntry, { maxLength: most })
const id = fc.oneof(fc.constantFrom(...ids), fc.maxSafeNat())
const greeting = { nowS: fc.maxSafeNat(), seenAddr: fc.constantFrom(new Uint8Array(), seen()) }
const hello = fc
  .record({ one: anEntry, ...greeting, right: fc.boolean() })
  .map(({ one, nowS, seenAddr, right }): Frame => {
    const rest = { v: 1, caps: 0, nowS, seenAddr, envelope: one.envelope }
    return { type: 'hello', networkId: right ? NETWORK : 2n, ...rest }
  })
const questions: fc.Arbitrary<Frame>[] = [
  hello,
  fc.record({ max: uint, setHash: uint }).map((one): Frame => ({ type: 'sampleReq', ...one })),
  fc.array(id, { maxLength: 64 }).map((ids): Frame => ({ type: 'want', ids })),
  fc.tuple(entries(16), fc.nat(4)).map(([list, hops]): Frame => {
    return { type: 'push', entries: list, hops }
  }),
  fc
    .record({ peers: fc.array(index, { maxLength: 8 }), relay: fc.boolean(), hops: fc.nat(9) })
    .map(({ peers, relay, hops }): Frame => {
      const bytes = peers.map((i) => notation.peerBytes(peerOf(i)) ?? new Uint8Array())
      return { type: 'find', peers: bytes, service: relay ? '' : 'web', relay, hops }
    }),
  fc.boolean().map((isolated): Frame => ({ type: 'neighbourReq', isolated })),
  fc.tuple(entries(4), fc.boolean()).map(([list, evicted]): Frame => {
    return { type: 'neighbourEnd', entries: list, evicted }
  }),
]
const answers: fc.Arbitrary<Frame>[] = [
  fc.tuple(anEntry, entries(8)).map(([one, list]): Frame => {
    const rest = { nowS: 0, seenAddr: seen(), entries: list }
    return { type: 'helloAck', envelope: one.envelope, ...rest }
  }),
  fc.array(fc.tuple(id, fc.nat(9)), { maxLength: 64 }).map((list): Frame => ({
    type: 'sample',
    ids: list.map(([one]) => one),
    seqLo: list.map(([, lo]) => lo),
    same: false,
    groups: list.map(([one]) => one % 3),
  })),
  fc.tuple(entries(24), fc.array(id, { maxLength: 4 })).map(([list, unknown]): Frame => {
    return { type: 'records', entries: list, unknown }
  }),
  fc
    .tuple(
      fc.constantFrom('refused', 'accepted', 'full', 'group-full', 'too-often'),
      uint,
      entries(4),
    )
    .map(([verdict, retryS, list]): Frame => {
      return { type: 'neighbourAck', verdict, retryS, entries: list }
    }),
  fc.constantFrom<Frame>(
    { type: 'err', code: 1, retryS: 3_600 },
    { type: 'err', code: 2, retryS: 2 ** 32 - 1 },
  ),
]
const frame = fc.oneof(...questions, ...answers)
const weigh = (weight: number, arbitrary: fc.Arbitrary<Deed>) => ({ weight, arbitrary })
const deed: fc.Arbitrary<Deed> = fc.oneof(
  weigh(
    5,
    fc
      .record({ i: index, limited: fc.boolean(), dialled: fc.boolean(), stranger: fc.boolean() })
      .map((one) => ({ do: 'link', ...one }) as const),
  ),
  weigh(
    5,
    fc
      .tuple(fc.constantFrom('unlink', 'dial-done', 'dial-failed', 'garbage', 'resolve'), index)
      .map(([what, i]) => ({ do: what, i }) as const),
  ),
  weigh(
    8,
    fc.tuple(index, frame).map(([i, one]) => ({ do: 'request', i, frame: one }) as const),
  ),
  weigh(
    8,
    fc
      .record({
        which: fc.nat(),
        frame: fc.option(frame, { nil: undefined }),
        fitting: fc.boolean(),
        entries: entries(8),
      })
      .map((one) => ({ do: 'answer', ...one }) as const),
  ),
  weigh(
    4,
    fc
      .record({ which: fc.nat(), truly: fc.boolean() })
      .map((one) => ({ do: 'verified', ...one }) as const),
  ),
  weigh(
    8,
    fc
      .constantFrom(...(['sign', 'dials', 'asks', 'checks', 'settle', 'settle'] as const))
      .map((what) => ({ do: what })),
  ),
  weigh(
    1,
    fc.nat(200).map((port) => ({ do: 'self', port }) as const),
  ),
  weigh(
    1,
    fc
      .record({ search: fc.nat(9), relay: fc.boolean() })
      .map((one) => ({ do: 'search', ...one }) as const),
  ),
  weigh(
    6,
    fc
      .oneof(fc.nat(500), fc.nat(10_000), fc.nat(60_000), fc.nat(900_000))
      .map((ms) => ({ do: 'pass', ms }) as const),
  ),
  weigh(
    1,
    fc.nat(100_000_000).map((ms) => ({ do: 'clock', ms }) as const),
  ),
  weigh(
    1,
    fc.array(index, { maxLength: 6 }).map((bootstraps) => ({ do: 'start', bootstraps }) as const),
  ),
  weigh(
    1,
    fc
      .tuple(entries(8), fc.maxSafeNat())
      .map(([list, n]) => ({ do: 'restore', entries: list, ownSeq: n % EPOCH }) as const),
  ),
)

function seen(): Uint8Array {
  return notation.addressBytes('/ip4/9.9.9.9/tcp/50123') ?? new Uint8Array()
}

/** Plays deeds to a subject. Dials, questions and checks end as the schedule says, or never. */
class Play {
  readonly subject = new Subject(1)
  #requests = 0

  constructor() {
    this.subject.step({ type: 'self', facts: facts(1) })
  }

  act(one: Deed): void {
    const { subject } = this
    switch (one.do) {
      case 'link':
        return this.#link(one.i, one)
      case 'unlink':
        return this.#feed({ type: 'unlinked', peer: peerOf(one.i) })
      case 'dial-done':
      case 'dial-failed':
        return this.#feed({ type: one.do, peer: peerOf(one.i) })
      case 'garbage':
        return this.#feed({ type: 'garbage', peer: peerOf(one.i), fault: 'frame-malformed' })
      case 'resolve':
        return this.#feed({ type: 'resolve', peer: peerOf(one.i) })
      case 'request': {
        const exchange = --this.#requests
        return this.#feed({ type: 'request', exchange, peer: peerOf(one.i), frame: one.frame })
      }
      case 'answer':
        return this.#answer(one)
      case 'verified': {
        const jobs = [...subject.jobs]
        const [job, valid] = jobs[one.which % Math.max(1, jobs.length)] ?? [one.which, true]
        subject.jobs.delete(job)
        return this.#feed({ type: 'verified', job, valid: one.truly ? valid : !valid })
      }
      case 'sign': {
        const signed = subject.signed()
        return signed && this.#feed({ type: 'signed', ...signed })
      }
      case 'dials':
        for (const peer of subject.dialling.keys()) {
          this.#link(Math.max(0, peers.indexOf(peer)), {
            limited: false,
            dialled: true,
            stranger: false,
          })
          this.#feed({ type: 'dial-done', peer })
        }
        return undefined
      case 'asks':
        for (const exchange of subject.asks.keys()) this.#answerTruly(exchange)
        return undefined
      case 'settle':
        for (const what of ['sign', 'dials', 'asks', 'checks', 'asks'] as const) {
          this.act({ do: what })
        }
        return undefined
      case 'checks':
        for (const [job, valid] of subject.jobs) {
          subject.jobs.delete(job)
          this.#feed({ type: 'verified', job, valid })
        }
        return undefined
      case 'self':
        return this.#feed({ type: 'self', facts: facts(one.port) })
      case 'search':
        if (subject.searching.has(one.search)) return undefined
        return this.#feed({
          type: 'search',
          search: one.search,
          ...(one.relay ? { relay: true } : { service: 'web' }),
        })
      case 'pass':
        return subject.sleep(one.ms, () => this.act({ do: 'sign' }))
      case 'clock':
        subject.now -= one.ms
        subject.setBack += one.ms
        return this.#feed({ type: 'tick' })
      case 'start': {
        const bootstraps = one.bootstraps.map((i) => {
          return { peer: peerOf(i), addresses: [`/ip4/9.${i}.1.1/tcp/4001`] }
        })
        return this.#feed({ type: 'start', bootstraps })
      }
      case 'restore': {
        const restored = one.entries.map(({ envelope }, i) => {
          return { envelope, lastSeenAt: EPOCH, reachedSince: i % 2 === 0 ? EPOCH - i : 0 }
        })
        return this.#feed({ type: 'restore', ownSeq: one.ownSeq, entries: restored })
      }
      case 'leave':
        return this.#feed({ type: 'leave' })
    }
  }

  #feed(input: Input): void {
    this.subject.step(input)
  }

  #link(i: number, how: { limited: boolean; dialled: boolean; stranger: boolean }): void {
    const { limited, dialled, stranger } = how
    const address = `/ip4/9.${i}.1.1/tcp/4001`
    this.#feed({
      type: 'linked',
      peer: peerOf(i),
      path: limited ? 'relayed' : 'direct',
      limited,
      dialled,
      stranger,
      ...(limited ? {} : { address }),
    })
  }

  #answer({ which, frame: wrong, fitting, entries: list }: Extract<Deed, { do: 'answer' }>): void {
    const open = [...this.subject.asks.keys()]
    const exchange = open[which % Math.max(1, open.length)] ?? which
    if (fitting && this.subject.asks.has(exchange)) this.#answerTruly(exchange, list)
    else {
      this.subject.asks.delete(exchange)
      this.#feed({ type: 'answer', exchange, frame: wrong })
    }
  }

  #answerTruly(exchange: number, list: Entry[] = []): void {
    const asked = this.subject.asks.get(exchange)?.frame
    this.subject.asks.delete(exchange)
    if (asked?.type === 'ask') {
      this.#feed({ type: 'answer', exchange, frame: fittingAnswer(asked, list) })
    }
  }
}

function fittingAnswer(asked: Extract<Output, { type: 'ask' }>, list: Entry[]): Frame {
  const i = Math.max(0, peers.indexOf(asked.peer))
  switch (asked.frame.type) {
    case 'hello': {
      const rest = { nowS: 0, seenAddr: seen(), entries: list.slice(0, 8) }
      return { type: 'helloAck', envelope: entry(i, 2, 0).envelope, ...rest }
    }
    case 'sampleReq': {
      return { type: 'sample', ids, seqLo: ids.map(() => 3), same: false, groups: [] }
    }
    case 'neighbourReq':
      return { type: 'neighbourAck', verdict: 'accepted', retryS: 0, entries: list.slice(0, 4) }
    default: {
      const all = Array.from({ length: PEERS }, (_, k) => entry(k, 3, 0))
      return { type: 'records', entries: [...all, ...list], unknown: [] }
    }
  }
}

test('whatever happens in whatever order, what must hold holds after every step', (t) => {
  let [most, steps] = [0, 0]
  const counts: Record<string, number> = {}
  fc.assert(
    fc.property(fc.array(deed, { minLength: 20, maxLength: 150, size: 'max' }), (deeds) => {
      const play = new Play()
      play.act({ do: 'start', bootstraps: [0, 1] })
      play.act({ do: 'settle' })
      for (const one of deeds) play.act(one)
      const { subject } = play
      subject.sleep(60_000, () => play.act({ do: 'sign' }))
      assert.equal(subject.searching.size, 0, 'every search ends')
      play.act({ do: 'leave' })
      play.act({ do: 'sign' })
      assert.equal(subject.left, true)
      for (const one of deeds.slice(0, 20)) play.act(one)
      assert.equal(subject.overlay.nextWake(), undefined)
      most = Math.max(most, subject.most)
      steps += deeds.length
      for (const [type, count] of Object.entries(subject.counts)) {
        counts[type] = (counts[type] ?? 0) + count
      }
    }),
    { numRuns, endOnFailure: true },
  )
  t.diagnostic(`${steps} deeds; at most ${most} outputs of one; ${JSON.stringify(counts)}`)
  for (const type of ['dial', 'ask', 'neighbour', 'neighbour-lost', 'release', 'found', 'gone']) {
    assert.ok((counts[type] ?? 0) > 0, `no ${type} at all: the schedules prove little`)
  }
})

test('stepped ten thousand times whenever it wants to be woken, time goes on', () => {
  for (const isAnswered of [true, false]) {
    const play = new Play()
    const { subject } = play
    play.act({ do: 'start', bootstraps: [0, 1, 2] })
    play.act({ do: 'sign' })
    const restored = Array.from({ length: PEERS }, (_, i) => entry(i, 1, 0))
    play.act({ do: 'restore', entries: restored, ownSeq: 1 })
    const began = subject.now
    for (let i = 0; i < 10_000; i++) {
      const at = subject.overlay.nextWake()
      assert.ok(at !== undefined)
      subject.now = Math.max(subject.now, at)
      subject.step({ type: 'tick' })
      play.act({ do: 'checks' })
      play.act({ do: 'sign' })
      if (!isAnswered) continue
      play.act({ do: 'dials' })
      play.act({ do: 'asks' })
    }
    assert.ok(subject.now - began > 3_600_000, `${subject.now - began} ms in 10,000 steps`)
  }
})
