import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mapping } from '../../../protocols/port-mapping/io.ts'
import { portMapping } from '../../../src/node/doctor-mapping.ts'
import type { MappingFacts } from '../../../src/node/mapping-keeper.ts'
import type { DoctorCheck, NodeStatus } from '../../../src/types.ts'

const network = { gateway: '192.168.1.1', ip: '192.168.1.2', port: 4001 }
const mapping: Mapping = { protocol: 'nat-pmp', network, externalPort: 33_333, until: 0 }
const NOTHING = { network: undefined, mapping: undefined, answers: {} }
const held = { network, mapping, answers: {} }

function check(facts: Partial<MappingFacts>, verdict = 'private'): DoctorCheck {
  const router = { on: true, ip4: NOTHING, ip6: NOTHING, confirmed: false, ...facts }
  return portMapping({ reachability: { verdict } } as NodeStatus, router)
}

test('a port that somebody got in by is fine', () => {
  const { result, text } = check({ ip4: held, confirmed: true })
  assert.equal(result, 'ok')
  assert.match(text, /192\.168\.1\.1 leads port 33333 to this node's 4001, by NAT-PMP/)
})

test('one that nobody has tried is not known yet', () => {
  assert.equal(check({ ip4: held }).result, 'unknown')
})

test('one that leads nowhere is said with its reason and what helps', () => {
  const doubt = { text: 'another router stands before it', remedy: 'let it only bridge' }
  const { result, text, remedy } = check({ ip4: held, doubt })
  assert.equal(result, 'warning')
  assert.match(text, /another router/)
  assert.equal(remedy, doubt.remedy)
})

test('a router that opens nothing: what it answered, protocol by protocol', () => {
  const answers = { pcp: 'silent', 'nat-pmp': 'not-authorized', upnp: 'garbage' } as const
  const { result, text } = check({ ip4: { network, mapping: undefined, answers } })
  assert.equal(result, 'warning')
  assert.match(text, /PCP no answer, NAT-PMP not allowed, UPnP answers that make no sense/)
})

test('a public node needs no router, nor does one that has none or was told not to ask', () => {
  const silent = { network, mapping: undefined, answers: {} }
  assert.equal(check({ ip4: silent }, 'public').result, 'ok')
  assert.equal(check({}).result, 'ok')
  assert.equal(check({ on: false }).result, 'ok')
})

test('in a container with a network of its own a router that opens nothing is as it should be', () => {
  const silent = { network, mapping: undefined, answers: {} }
  const status = { reachability: { verdict: 'private' } } as NodeStatus
  const router = { on: true, ip4: silent, ip6: NOTHING, confirmed: false }
  assert.equal(portMapping(status, router, { kind: 'Docker', network: 'own' }).result, 'ok')
  assert.equal(portMapping(status, router, { kind: 'Docker', network: 'host' }).result, 'warning')
})
