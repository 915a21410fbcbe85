import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain, methodOf, withoutPunching } from '../../../protocols/hole-punching/explain.ts'
import type { DirectMethod, Situation } from '../../../protocols/hole-punching/explain.ts'
import type { Attempt } from '../../../protocols/hole-punching/outputs.ts'
import type { Prediction } from '../../../protocols/hole-punching/predict.ts'

const ADDRESS = '/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const RELAYED = { kind: 'relayed', via: '12D3KooWRelay' } as const

const punch: Prediction = {
  method: 'punch',
  chance: 'likely',
  text: 'both open their door',
}
const hopeless: Prediction = {
  method: 'relay',
  chance: 'none',
  text: 'nobody can know the ports',
  remedy: 'forward a port',
}

const failed: Attempt = {
  peer: 'them',
  at: 1_000,
  side: 'caller',
  round: 2,
  method: 'burst',
  carrier: 'signal',
  candidates: ['203.0.113.7:4001'],
  outcome: 'failed',
  ms: 3_120,
  reason: 'the connections of both sides did not meet',
  steps: [
    { name: 'asked', ms: 0 },
    { name: 'answered', ms: 52 },
    { name: 'dialled', ms: 60 },
  ],
}
const won: Attempt = { ...failed, round: 1, method: 'meet', outcome: 'success', ms: 412.4 }

function account(some: Partial<Situation>): ReturnType<typeof explain> {
  return explain({ prediction: punch, attempts: [], active: false, relays: 1, ...some })
}

test('a direct path says how it came about', () => {
  const methods: DirectMethod[] = ['dial', 'inbound', 'reverse', 'lan', 'punch', 'birthday']
  const texts = methods.map(
    (method) => account({ path: { kind: 'direct', address: ADDRESS, method } }).text,
  )
  assert.deepEqual(texts, [
    'direct: the peer let this node in, so it was dialled',
    'direct: this node let the peer in, which dialled it',
    'direct: this node lets strangers in, so the peer dialled back when it was asked through a relay',
    'direct: both are in one local network',
    'direct: both sides opened their door at the same moment',
    'direct: one router gives every destination another port, and the right one was found among many',
  ])
})

test('a direct path names the attempt that made it, and no other', () => {
  const path = { kind: 'direct', address: ADDRESS, method: 'punch' } as const
  const here: Attempt = { ...won, address: '/ip4/203.0.113.7/tcp/4001' }
  const elsewhere: Attempt = { ...won, round: 3, address: '/ip4/203.0.113.7/tcp/9999' }
  assert.match(
    account({ path, attempts: [failed, here, elsewhere] }).text,
    /moment; it took 412 ms, at try 1$/,
  )
  assert.match(account({ path, attempts: [elsewhere] }).text, /moment$/)
  assert.deepEqual(Object.keys(account({ path, attempts: [failed] })), ['text'])
})

test('a relayed path says why it is not direct, and when that is tried again', () => {
  const { text, next, remedy } = account({ path: RELAYED, attempts: [failed], againAt: 99_000 })
  assert.equal(
    text,
    'relayed, because the last attempt failed after 3.1 s: the connections of both sides did not meet',
  )
  assert.deepEqual(next, {
    at: 99_000,
    text: 'tried again then, or earlier when either network changes',
  })
  assert.match(remedy ?? '', /--announce/)
})

test('where the networks rule a direct path out, that is the reason and not the last failure', () => {
  const found = account({ path: RELAYED, prediction: hopeless, attempts: [failed] })
  assert.equal(found.text, 'relayed, because nobody can know the ports')
  assert.equal(found.remedy, 'forward a port')
})

const say = (some: Partial<Situation>): string => account({ path: RELAYED, ...some }).text

test('what is under way, not attempted or lost is told apart', () => {
  assert.match(say({ active: true }), /right now$/)
  assert.equal(say({}), 'relayed, and no direct connection has been attempted yet')
  assert.equal(say({ attempts: [won] }), 'relayed, because the direct path was lost')
  assert.equal(
    say({ attempts: [{ ...failed, outcome: 'cancelled', reason: 'the peer is gone' }] }),
    'relayed, because the last attempt was called off: the peer is gone',
  )
})

test('a node that cannot punch says so, but still dials what is open', () => {
  const off = 'Node.js is too old'
  const prediction = withoutPunching(punch, off)
  const { text, next, remedy } = account({ path: RELAYED, prediction, off, attempts: [failed] })
  assert.equal(text, 'relayed, because hole punching is off on this node: Node.js is too old')
  assert.equal(next, undefined)
  assert.match(remedy ?? '', /Node\.js 24\.21/)
  const dial: Prediction = { method: 'dial', chance: 'sure', text: 'the peer is public' }
  assert.equal(withoutPunching(dial, off), dial)
})

test('a peer that is not connected has an expectation, or lacks a relay', () => {
  assert.match(account({}).text, /nothing on this node has asked/)
  assert.match(account({}).next?.text ?? '', /warren connect/)
  assert.match(account({ relays: 0 }).text, /the peer names no relay/)
  assert.match(account({ relays: 0 }).remedy ?? '', /public member that relays/)
  const dial: Prediction = { method: 'dial', chance: 'sure', text: 'the peer is public' }
  assert.doesNotMatch(account({ relays: 0, prediction: dial }).text, /relay/)
  assert.match(
    account({ attempts: [failed] }).text,
    /^not connected; the last attempt failed after/,
  )
  assert.equal(account({ attempts: [won] }).text, 'not connected: the direct connection has ended')
  assert.match(account({ active: true }).text, /right now/)
})

const cure = (some: Partial<Attempt>): string =>
  account({ path: RELAYED, attempts: [{ ...failed, ...some }] }).remedy ?? ''

test('the remedy fits how far the last attempt came', () => {
  assert.match(cure({ steps: [] }), /public member that relays/)
  assert.match(cure({ steps: [{ name: 'asked', ms: 0 }] }), /peer runs/)
  assert.match(cure({ outcome: 'no_suitable_address' }), /where they are seen/)
  assert.match(cure({ side: 'callee', steps: [] }), /forward a TCP port/)
})

test('a round is named by how it tried, and by where it met', () => {
  assert.equal(methodOf(failed), 'burst')
  assert.equal(methodOf({ ...failed, method: 'search' }), 'birthday')
  assert.equal(methodOf({ ...won, address: '/ip4/8.8.8.8/tcp/4001' }), 'punch')
  assert.equal(methodOf({ ...won, address: '/ip4/192.168.1.9/tcp/4001' }), 'lan')
})
