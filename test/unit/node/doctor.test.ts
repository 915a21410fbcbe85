import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import type { SideFacts } from '../../../protocols/hole-punching/facts.ts'
import { examine } from '../../../src/node/doctor.ts'
import type { DoctorCheck, NodeStatus } from '../../../src/types.ts'

const NOTHING = { network: undefined, mapping: undefined, answers: {} }
const NO_ROUTER = { on: true, ip4: NOTHING, ip6: NOTHING, confirmed: false }

const at = '2026-11-20T12:34:56.000Z'

/** The check that tells how this network fares with others. */
function outlook(facts: Partial<SideFacts>, portReuse = true): DoctorCheck {
  const own: SideFacts = { ...NOTHING_KNOWN, reachability: 'private', ...facts }
  const status: NodeStatus = {
    peerId: 'me',
    version: '0.1.0',
    network: 'main',
    phase: 'running',
    addresses: [],
    listening: [],
    reachability: { verdict: own.reachability, since: at, confirmations: 1, evidence: [] },
    nat: {
      mapping: own.mapping,
      filtering: own.filtering,
      ports: 'unknown',
      externalAddresses: [],
      portMapping: 'none',
    },
    relays: [],
    overlay: {
      chosen: 1,
      accepted: 0,
      reached: 1,
      heard: 0,
      lost: 0,
      healing: false,
      closed: true,
    },
    serving: {
      relay: false,
      reservations: 0,
      circuits: 0,
      bytesRelayed: 0,
      budgets: {
        reservations: { used: 0, limit: 512 },
        circuits: { used: 0, limit: 512 },
        bytes: { left: 75, limit: 100, perSecond: 1 },
        perPeer: { reservations: 1, circuits: 16, bytes: 10 },
        perAddress: { reservations: 16, circuits: 64, bytes: 20 },
        perNetwork: { reservations: 64, circuits: 128, bytes: 80 },
        limitedBy: 'configuration',
        busy: false,
        refused: {},
      },
    },
    links: { direct: 1, relayed: 0 },
    peersKnown: 1,
    services: [],
    conditions: [],
    transport: { portReuse },
  }
  const check = examine(status, [], own, NO_ROUTER).find(({ code }) => code === 'nat.outlook')
  assert.ok(check)
  return check
}

test('the doctor tells how this network fares with the common ones', () => {
  const { result, text } = outlook({
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
  })
  assert.equal(result, 'ok')
  assert.equal(
    text,
    'public nodes: this node dials; full-cone NATs: this node dials; restricted NATs: hole punch; ' +
      'port-restricted NATs: hole punch; symmetric NATs: a search of seconds',
  )
})

test('behind a symmetric NAT the doctor names who is out of reach, and what helps', () => {
  const { result, meaning, remedy } = outlook({
    mapping: 'address-and-port-dependent',
    filtering: 'address-and-port-dependent',
  })
  assert.equal(result, 'warning')
  assert.equal(meaning, 'with peers behind symmetric NATs everything goes over a relay')
  assert.match(remedy ?? '', /--announce/)
})

test('a public node is dialled by everybody else', () => {
  const { result, text } = outlook({ reachability: 'public', mapping: 'none', filtering: 'none' })
  assert.equal(result, 'ok')
  assert.match(text, /symmetric NATs: they dial back$/)
})

test('the doctor promises nothing of a NAT that it does not know, nor of a node that cannot punch', () => {
  assert.equal(outlook({}).result, 'unknown')
  const off = outlook({ mapping: 'endpoint-independent' }, false)
  assert.equal(off.result, 'problem')
  assert.match(off.remedy ?? '', /Node\.js 24\.21/)
})
