import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Campaign } from '../../../protocols/hole-punching/campaign.ts'
import type { Incoming, Surroundings } from '../../../protocols/hole-punching/campaign.ts'
import type { PunchMessage, RefuseCode } from '../../../protocols/hole-punching/codec.ts'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import type { SideFacts } from '../../../protocols/hole-punching/facts.ts'
import { LIMITS } from '../../../protocols/hole-punching/limits.ts'
import type { Carrier, PunchOutput, Role } from '../../../protocols/hole-punching/outputs.ts'
import { seededRng } from '../../../protocols/kernel/rng.ts'

const ID = 'ab'.repeat(16)
const HOME: SideFacts = {
  ...NOTHING_KNOWN,
  external: [{ ip: '51.0.0.1', port: 4001 }],
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
}
const PEER: SideFacts = { ...HOME, external: [{ ip: '51.0.1.1', port: 4001 }] }
const SYMMETRIC: SideFacts = { ...PEER, mapping: 'address-and-port-dependent' }
const SIGNAL: Carrier = { kind: 'signal', relay: 'R', rttMs: 50 }
const SEEN = { ip: '51.0.1.1', port: 4001 }

interface Stage {
  campaign: Campaign
  carriers: Carrier[]
  refusal: RefuseCode | undefined
  /** Searches that were admitted and are not over. */
  searches: number
}

function stage(side: 'caller' | 'callee', role: Role, facts = PEER): Stage {
  const world: Surroundings = {
    own: () => HOME,
    rng: seededRng(1),
    carriers: () => it.carriers,
    admitDials: () => LIMITS.dialsUnvouched,
    admitSearch: () => {
      if (it.refusal === undefined) it.searches++
      return it.refusal
    },
    searchOver: () => void it.searches--,
  }
  const campaign = new Campaign({ peer: 'P', id: ID, side, role, facts }, world)
  const it: Stage = { campaign, carriers: [SIGNAL], refusal: undefined, searches: 0 }
  return it
}

const ask = (round: number, method: 'meet' | 'burst' | 'search', facts = PEER): PunchMessage => ({
  type: 'ask',
  campaign: ID,
  round,
  method,
  callerOpens: true,
  blind: false,
  facts,
})
const answer = (round: number, facts = PEER): PunchMessage => ({
  type: 'answer',
  campaign: ID,
  round,
  facts,
})
const by = (message: PunchMessage, more: Partial<Incoming> = {}): Incoming => ({
  message,
  carrier: SIGNAL,
  seen: SEEN,
  ...more,
})
const types = (outputs: readonly PunchOutput[]): string[] =>
  outputs.map((one) => (one.type === 'send' ? one.message.type : one.type))
const dialOf = (outputs: readonly PunchOutput[]) => outputs.find((one) => one.type === 'dial')

test('a caller asks at once and dials when the ask arrives: after half a relayed round trip', () => {
  for (const role of ['client', 'server'] as const) {
    const outputs = stage('caller', role).campaign.begin(1_000)
    assert.deepEqual(types(outputs), ['started', 'ask', 'dial'])
    // As far away again as our side of the relay: twice 50 ms there and back, of which half.
    assert.equal(dialOf(outputs)?.startAt, 1_050)
  }
})

test('a callee answers and dials at once', () => {
  const outputs = stage('callee', 'client').campaign.asked(by(ask(1, 'meet')), 500)
  assert.deepEqual(types(outputs), ['started', 'answer', 'dial'])
  assert.equal(dialOf(outputs)?.startAt, 500)
})

test('a server that cannot tell when its ask arrives waits for the answer, and so does one whose peer is open', () => {
  const blind = stage('caller', 'server')
  blind.carriers = [{ kind: 'signal', relay: 'R' }]
  assert.deepEqual(types(blind.campaign.begin(0)), ['started', 'ask'])
  assert.deepEqual(types(blind.campaign.heard(by(answer(1)), 120)), ['dial'])
  const open = stage('caller', 'server', { ...PEER, filtering: 'endpoint-independent' })
  assert.deepEqual(types(open.campaign.begin(0)), ['started', 'ask'])
})

test('an ask waits for something that carries it, and the wait does not count', () => {
  const it = stage('caller', 'client')
  it.carriers = []
  assert.deepEqual(types(it.campaign.begin(0)), [])
  it.carriers = [SIGNAL]
  assert.deepEqual(types(it.campaign.carriersChanged(5_000)), ['started', 'ask', 'dial'])
  assert.ok((it.campaign.nextWake() ?? 0) > 5_000)
})

test('an overdue ask goes by the next carrier, and sleeps when there is none', () => {
  const it = stage('caller', 'client')
  it.carriers = [SIGNAL, { kind: 'circuit', relay: 'R', rttMs: 100 }]
  it.campaign.begin(0)
  const overdue = it.campaign.nextWake() ?? 0
  const [again] = it.campaign.tick(overdue)
  assert.ok(again?.type === 'send' && again.carrier.kind === 'circuit')
  it.carriers = []
  const next = it.campaign.nextWake() ?? 0
  assert.deepEqual(it.campaign.tick(next), [])
  assert.ok((it.campaign.nextWake() ?? 0) > next)
})

test('the round trip is measured from the first of several asks', () => {
  const it = stage('caller', 'client')
  it.carriers = [{ kind: 'signal', relay: 'R' }]
  it.campaign.begin(0)
  it.campaign.tick(300)
  it.campaign.heard(by(answer(1)), 302)
  const ended = it.campaign.tick(it.campaign.nextWake() ?? 0)
  const burst = dialOf(ended)
  // A burst is spread over a round trip.
  assert.equal(burst?.spreadMs, 302)
})

test('a repeated ask is answered again and dials nothing again', () => {
  const { campaign } = stage('callee', 'client')
  campaign.asked(by(ask(1, 'meet')), 0)
  assert.deepEqual(types(campaign.asked(by(ask(1, 'meet')), 200)), ['answer'])
})

test('an ask of an earlier round has been overtaken and means nothing', () => {
  const { campaign } = stage('callee', 'client')
  campaign.asked(by(ask(2, 'burst')), 0)
  assert.deepEqual(campaign.asked(by(ask(1, 'meet')), 10), [])
})

test('between rounds the callee waits for the caller, and not for ever', () => {
  const { campaign } = stage('callee', 'client')
  campaign.asked(by(ask(1, 'meet')), 0)
  const over = campaign.nextWake() ?? 0
  assert.deepEqual(types(campaign.tick(over)), ['ended', 'stop'])
  assert.ok(types(campaign.asked(by(ask(2, 'burst')), over + 100)).includes('dial'))
  campaign.tick(campaign.nextWake() ?? 0)
  campaign.tick(campaign.nextWake() ?? 0)
  assert.equal(campaign.end?.met, false)
})

test('a search that cannot be admitted is refused once, and the campaign still ends', () => {
  const it = stage('callee', 'client')
  const outputs = it.campaign.asked({ message: ask(1, 'search'), carrier: SIGNAL }, 0)
  assert.deepEqual(types(outputs), ['refuse', 'stop'])
  it.campaign.tick(it.campaign.nextWake() ?? Infinity)
  assert.equal(it.campaign.end?.met, false)
})

test('a search is given back when its round ends, however it ends', () => {
  const ends: ((it: Stage) => void)[] = [
    ({ campaign }) => void campaign.tick(campaign.nextWake() ?? 0),
    ({ campaign }) => void campaign.met({ address: '51.0.1.1:4001' }, 100),
    ({ campaign }) => void campaign.cancel('gone', 100),
    ({ campaign }) => void campaign.asked(by(ask(2, 'burst')), 100),
  ]
  for (const end of ends) {
    const it = stage('callee', 'client')
    assert.ok(types(it.campaign.asked(by(ask(1, 'search')), 0)).includes('probe'))
    assert.equal(it.searches, 1)
    end(it)
    assert.equal(it.searches, 0)
  }
})

test('sockets are opened only to the address that was vouched for, whatever the answer says', () => {
  const it = stage('caller', 'client', SYMMETRIC)
  it.campaign.begin(0)
  it.campaign.heard(by(answer(1, SYMMETRIC)), 100)
  it.carriers = []
  it.campaign.tick(it.campaign.nextWake() ?? 0)
  const elsewhere = { ...SYMMETRIC, external: [{ ip: '73.9.9.9', port: 80 }] }
  const outputs = it.campaign.heard({ message: answer(2, elsewhere), carrier: SIGNAL }, 3_000)
  for (const one of outputs) {
    if (one.type === 'knock' || one.type === 'probe') assert.equal(one.ip, SEEN.ip)
  }
})

test('a refused meeting ends the campaign; a refused search only the search', () => {
  const it = stage('caller', 'client')
  it.campaign.begin(0)
  const refuse: PunchMessage = { type: 'refuse', campaign: ID, round: 1, code: 'busy', afterS: 20 }
  assert.deepEqual(types(it.campaign.heard(by(refuse), 100)), ['ended', 'stop'])
  assert.equal(it.campaign.end?.met, false)
})

test('to meet ends everything', () => {
  const { campaign } = stage('caller', 'client')
  campaign.begin(0)
  const outputs = campaign.met({ address: '51.0.1.1:4001', connectedAt: 150 }, 200)
  assert.deepEqual(types(outputs), ['ended', 'stop'])
  const [ended] = outputs
  assert.deepEqual(ended?.type === 'ended' && ended.attempt.steps, [
    { name: 'asked', ms: 0 },
    { name: 'dialled', ms: 50 },
    { name: 'connected', ms: 150 },
    { name: 'secured', ms: 200 },
  ])
  assert.equal(campaign.nextWake(), undefined)
  assert.deepEqual(campaign.tick(1e9), [])
})

test('a carrier that appears when all asks are spent gets one of its own, and the time to answer it', () => {
  const it = stage('caller', 'client')
  it.campaign.begin(0)
  let now = 0
  for (
    let wake = it.campaign.nextWake() ?? Infinity;
    wake < 600;
    wake = it.campaign.nextWake() ?? Infinity
  ) {
    now = wake
    it.campaign.tick(now)
  }
  it.carriers.push({ kind: 'circuit', relay: 'R', rttMs: 100 })
  const [sent, ...others] = it.campaign.carriersChanged(700)
  assert.equal(sent?.type === 'send' && sent.carrier.kind, 'circuit')
  assert.deepEqual(others, [])
  assert.deepEqual(it.campaign.carriersChanged(701), [], 'and no second one')
  assert.ok((it.campaign.nextWake() ?? 0) >= 700 + LIMITS.overdueLeastMs)
})
