import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import type { Behaviour, SideFacts } from '../../../protocols/hole-punching/facts.ts'
import { COMMON_NETWORKS, describeSide, predict } from '../../../protocols/hole-punching/predict.ts'

const LETTERS: Record<string, Behaviour> = {
  EI: 'endpoint-independent',
  AD: 'address-dependent',
  APD: 'address-and-port-dependent',
  '-': 'none',
  '?': 'unknown',
}

/** `mapping/filtering` in letters, or `public`. */
function side(name: string, more: Partial<SideFacts> = {}): SideFacts {
  if (name === 'public') {
    return {
      ...NOTHING_KNOWN,
      mapping: 'none',
      filtering: 'none',
      reachability: 'public',
      ...more,
    }
  }
  const [mapping = '', filtering = ''] = name.split('/')
  const behaviour = {
    mapping: LETTERS[mapping] as Behaviour,
    filtering: LETTERS[filtering] as Behaviour,
  }
  return { ...NOTHING_KNOWN, reachability: 'private', ...behaviour, ...more }
}

const at = (...ips: string[]): Partial<SideFacts> => ({
  external: ips.map((ip) => ({ ip, port: 4001 })),
})

const CLASSES = [
  'public',
  'EI/EI',
  'EI/AD',
  'EI/APD',
  'AD/EI',
  'AD/AD',
  'AD/APD',
  'APD/EI',
  'APD/AD',
  'APD/APD',
  '-/APD',
  '?/?',
]

/** Row: our own side; column: the peer's, in the order of CLASSES. `!` sure, no mark likely, `?` possible. */
const TABLE = `
public   dial! dial! reverse! reverse! dial?    reverse!  reverse!  dial?    reverse!  reverse!  reverse! reverse!
EI/EI    dial! dial! reverse! reverse! dial?    reverse!  reverse!  dial?    reverse!  reverse!  reverse! reverse!
EI/AD    dial! dial! punch    punch    dial?    punch     punch     dial?    punch     punch     punch    punch?
EI/APD   dial! dial! punch    punch    dial?    birthday  birthday  dial?    birthday  birthday  punch    punch?
AD/EI    dial! dial! reverse? reverse? dial?    reverse?  reverse?  dial?    reverse?  reverse?  reverse? reverse?
AD/AD    dial! dial! punch    birthday dial?    relay     relay     dial?    relay     relay     birthday birthday?
AD/APD   dial! dial! punch    birthday dial?    relay     relay     dial?    relay     relay     birthday birthday?
APD/EI   dial! dial! reverse? reverse? dial?    reverse?  reverse?  dial?    reverse?  reverse?  reverse? reverse?
APD/AD   dial! dial! punch    birthday dial?    relay     relay     dial?    relay     relay     birthday birthday?
APD/APD  dial! dial! punch    birthday dial?    relay     relay     dial?    relay     relay     birthday birthday?
-/APD    dial! dial! punch    punch    dial?    birthday  birthday  dial?    birthday  birthday  punch    punch?
?/?      dial! dial! punch?   punch?   dial?    birthday? birthday? dial?    birthday? birthday? punch?   punch?
`
const MARKS = { sure: '!', likely: '', possible: '?', none: '' }

test('every pair of NAT behaviours has its expected method', () => {
  const lines = TABLE.trim().split('\n')
  assert.equal(lines.length, CLASSES.length)
  for (const line of lines) {
    const [own = '', ...expected] = line.split(/\s+/)
    const found = CLASSES.map((peer) => {
      const { method, chance } = predict(side(own), side(peer))
      return `${method}${MARKS[chance]}`
    })
    assert.deepEqual(found, expected, own)
  }
})

test('only a relayed path is without a chance, and it always says what would help', () => {
  for (const own of CLASSES) {
    for (const peer of CLASSES) {
      const { method, chance, text, remedy } = predict(side(own), side(peer))
      assert.equal(method === 'relay', chance === 'none')
      if (method === 'relay') assert.ok(remedy)
      assert.match(text, /^[a-z][^.\n]{30,230}$/)
    }
  }
})

test('what one side dials, the other is dialled for', () => {
  const mirrored: Record<string, string> = { dial: 'reverse', reverse: 'dial' }
  for (const own of CLASSES) {
    for (const peer of CLASSES) {
      const here = predict(side(own), side(peer)).method
      const there = predict(side(peer), side(own)).method
      // Of two open sides each dials the other.
      if (here === 'dial' && there === 'dial') continue
      assert.equal(there, mirrored[here] ?? here, `${own} and ${peer}`)
    }
  }
})

const says = (own: string, peer: string): string => predict(side(own), side(peer)).text

test('the sentences say why, from where this node stands', () => {
  assert.equal(
    says('EI/APD', 'EI/AD'),
    'both routers give one outside port to everybody, so both sides open their door at the same moment',
  )
  assert.equal(
    says('APD/APD', 'APD/AD'),
    'both routers give every destination another port that nobody can know, so the path stays relayed',
  )
  assert.equal(
    says('APD/APD', 'EI/APD'),
    'this node’s router gives every destination another port and the peer’s lets in only ports that it has sent to, so one side opens many ports while the other tries many, until two fit',
  )
  assert.equal(
    says('EI/AD', 'APD/APD'),
    'the peer’s router gives every destination another port, but this node’s lets in any port of an address that it has sent to, so both sides open their door at the same moment',
  )
  assert.equal(
    says('EI/AD', 'public'),
    'the peer can be reached by strangers, so this node dials it',
  )
  assert.equal(
    says('EI/EI', 'EI/APD'),
    'this node’s router lets in whoever knows its outside port, so the peer dials back when it is asked through a relay',
  )
  assert.equal(
    says('-/APD', '-/APD'),
    'no router changes ports between the two, only firewalls stand in the way, so both sides open their door at the same moment',
  )
  assert.equal(
    says('EI/APD', '?/?'),
    'too little is known of the peer’s router yet, so one method after the other is tried',
  )
})

test('two nodes behind one outside address meet at their local ones, whatever the router does', () => {
  const here = at('8.8.4.4')
  const { method, text } = predict(side('APD/APD', here), side('APD/APD', here))
  assert.equal(method, 'lan')
  assert.match(text, /behind 8\.8\.4\.4/)
  const host = predict(side('-/APD', here), side('-/APD', here))
  assert.equal(host.method, 'punch', 'without a NAT the same address is the same host')
})

test('IPv6 on both sides outweighs symmetric NATs of IPv4', () => {
  const six = predict(
    side('APD/APD', at('2001:470::1', '8.8.4.4')),
    side('APD/APD', at('9.9.9.9', '2001:470::2')),
  )
  assert.deepEqual([six.method, six.chance], ['punch', 'likely'])
  const apart = predict(side('EI/APD', at('8.8.4.4')), side('EI/APD', at('2001:470::2')))
  assert.deepEqual([apart.method, apart.chance], ['relay', 'none'])
})

test('a side is described in a few words', () => {
  assert.deepEqual(
    ['public', 'EI/EI', 'EI/AD', 'EI/APD', 'EI/?', 'AD/APD', '-/APD', '?/?'].map((name) =>
      describeSide(side(name)),
    ),
    [
      'strangers can reach it',
      'one outside port for everybody; lets everybody in',
      'one outside port for everybody; lets in hosts that it has sent to',
      'one outside port for everybody; lets in only ports that it has sent to',
      'one outside port for everybody',
      'another outside port for every destination (symmetric)',
      'no NAT, a firewall',
      'not known yet',
    ],
  )
})

test('the common networks get harder from one to the next', () => {
  const chances = COMMON_NETWORKS.map(({ facts }) => predict(side('EI/APD'), facts).method)
  assert.deepEqual(chances, ['dial', 'dial', 'punch', 'punch', 'birthday'])
})
