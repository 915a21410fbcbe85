import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PortMappingState } from '../../../protocols/port-mapping/io.ts'
import { stillOpen } from '../../../src/node/doctor-pending.ts'
import type { Underway, Waiting } from '../../../src/node/doctor-pending.ts'
import type { NodeStatus } from '../../../src/types.ts'

const OLD: Underway = {
  ageMs: 600_000,
  bootstraps: 0,
  probes: { helpers: 0, busy: false },
  wavers: false,
}
const NOTHING: PortMappingState = { network: undefined, mapping: undefined, answers: {} }
const ROUTER: Waiting['router'] = { on: true, ip4: NOTHING, ip6: NOTHING, confirmed: false }
const network = { gateway: '192.168.1.1', ip: '192.168.1.2', port: 4001 }

function open(
  status: object = {},
  underway: Partial<Underway> = {},
  router: Partial<Waiting['router']> = {},
): Map<string, string> {
  const unknown = {
    links: { direct: 1, relayed: 0 },
    peersKnown: 1,
    conditions: [],
    relays: [],
    reachability: { verdict: 'unknown', since: new Date(0).toISOString(), evidence: [] },
    nat: { mapping: 'unknown', filtering: 'unknown' },
  }
  return stillOpen({
    status: { ...unknown, ...status } as unknown as NodeStatus,
    underway: { ...OLD, ...underway },
    router: { ...ROUTER, ...router },
  })
}

const ALONE = { links: { direct: 0, relayed: 0 }, peersKnown: 0 }
const KNOWN = { nat: { mapping: 'none', filtering: 'none' } }

test('an old node that knows as little as it ever will is not waited for', () => {
  assert.deepEqual([...open().keys()], [])
})

test('links are waited for until the bootstraps have failed, or there are none to wait for', () => {
  assert.match(open(ALONE, { bootstraps: 2 }).get('overlay.links') ?? '', /2 bootstraps/)
  const failed = { ...ALONE, conditions: [{ code: 'bootstrap.unreachable' }] }
  assert.ok(!open(failed, { bootstraps: 2 }).has('overlay.links'))
  assert.ok(!open(ALONE, { ageMs: 0 }).has('overlay.links'))
  const restarted = { ...ALONE, peersKnown: 3 }
  assert.match(open(restarted, { ageMs: 0 }).get('overlay.links') ?? '', /3 members/)
  assert.ok(!open(restarted).has('overlay.links'))
})

test('the NAT is waited for while peers are asked, and a moment longer after the first are met', () => {
  const busy = { probes: { helpers: 1, busy: true } }
  assert.match(open({}, busy).get('nat.mapping') ?? '', /asking 1 peer /)
  assert.ok(open({}, { ageMs: 500 }).has('nat.mapping'))
  assert.ok(!open({ ...ALONE }, { ageMs: 500 }).has('nat.mapping'))
  assert.ok(!open(KNOWN, busy).has('nat.mapping'), 'known already')
})

test('a verdict is waited for until somebody has tried, and while it wavers', () => {
  const busy = { probes: { helpers: 1, busy: true } }
  const since = new Date(0).toISOString()
  const seen = { reachability: { verdict: 'private', since, evidence: [{ kind: 'observers' }] } }
  assert.ok(open(seen, busy).has('reachability.verdict'))
  const tried = { reachability: { verdict: 'private', since, evidence: [{ kind: 'probe' }] } }
  assert.ok(!open(tried, busy).has('reachability.verdict'))
  assert.ok(open(tried, { wavers: true }).has('reachability.verdict'))
})

const saying = (answers: PortMappingState['answers']) => ({ ...NOTHING, network, answers })

const routerOf = (answers: PortMappingState['answers'], on = true) =>
  open({}, {}, { on, ip4: saying(answers) }).get('nat.port-mapping')

test('a router is waited for while it is asked the first time', () => {
  assert.match(routerOf({ pcp: 'silent', upnp: 'asking' }) ?? '', /192\.168\.1\.1/)
  assert.ok(routerOf({ pcp: 'present' }), 'it is being asked for the port')
  assert.equal(routerOf({ pcp: 'silent', upnp: 'silent' }), undefined)
  assert.equal(routerOf({ pcp: 'asking' }, false), undefined)
})

test('a port that the router opened is waited for while peers can try it', () => {
  const mapping = { protocol: 'pcp', network, externalPort: 1, until: 0 } as const
  const router = { ip4: { ...NOTHING, network, mapping } }
  const busy = { probes: { helpers: 1, busy: true } }
  assert.ok(open({}, busy, router).has('nat.port-mapping'))
  assert.ok(!open({}, {}, router).has('nat.port-mapping'))
  assert.ok(!open({}, busy, { ...router, confirmed: true }).has('nat.port-mapping'))
})

const hidden = (since: number, ...states: string[]) => ({
  reachability: { verdict: 'private', since: new Date(since).toISOString(), evidence: [] },
  relays: states.map((state) => ({ state })),
})

test('a hidden node looks for two relays, and is not waited for when there are no more', () => {
  const now = Date.now()
  assert.ok(open(hidden(now)).has('relay.held'))
  assert.ok(open(hidden(0, 'held', 'reserving')).has('relay.held'))
  assert.ok(!open(hidden(0, 'held')).has('relay.held'))
  assert.ok(!open(hidden(now, 'held', 'held')).has('relay.held'))
})
