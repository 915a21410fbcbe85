import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import type { SideFacts } from '../../../protocols/hole-punching/facts.ts'
import { examine } from '../../../src/node/doctor.ts'
import type { Findings } from '../../../src/node/doctor.ts'
import { elsewhere } from '../../../src/node/doctor-host.ts'
import type { DoctorCheck, NodeStatus } from '../../../src/types.ts'

const NOTHING = { network: undefined, mapping: undefined, answers: {} }
const NO_ROUTER = { on: true, ip4: NOTHING, ip6: NOTHING, confirmed: false }

const at = '2026-11-20T12:34:56.000Z'

const QUIET = { ageMs: 60_000, bootstraps: 0, probes: { helpers: 0, busy: false }, wavers: false }

function statusOf(own: SideFacts, portReuse = true): NodeStatus {
  return {
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
}

function checksOf(found: Partial<Findings>, facts: Partial<SideFacts> = {}): DoctorCheck[] {
  const own: SideFacts = { ...NOTHING_KNOWN, reachability: 'private', ...facts }
  return examine({
    status: statusOf(own),
    peers: [],
    own,
    router: NO_ROUTER,
    underway: QUIET,
    container: undefined,
    clocks: [],
    now: Date.parse(at),
    ...found,
  })
}

function pick(checks: DoctorCheck[], wanted: string): DoctorCheck {
  const check = checks.find(({ code }) => code === wanted)
  assert.ok(check, wanted)
  return check
}

/** The check that tells how this network fares with others. */
function outlook(facts: Partial<SideFacts>, portReuse = true): DoctorCheck {
  const own: SideFacts = { ...NOTHING_KNOWN, reachability: 'private', ...facts }
  return pick(checksOf({ own, status: statusOf(own, portReuse) }), 'nat.outlook')
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

const alone = (own: SideFacts): NodeStatus => ({
  ...statusOf(own),
  links: { direct: 0, relayed: 0 },
  peersKnown: 0,
})
const STRANGER: SideFacts = { ...NOTHING_KNOWN, reachability: 'unknown' }

test('a node that nobody was named to is alone without fault; one whose bootstraps do not answer has a problem', () => {
  const status = alone(STRANGER)
  const lonely = pick(checksOf({ status, own: STRANGER }), 'overlay.links')
  assert.equal(lonely.result, 'warning')
  assert.match(lonely.remedy ?? '', /--bootstrap/)
  const underway = { ...QUIET, bootstraps: 1 }
  assert.equal(pick(checksOf({ status, underway }), 'overlay.links').result, 'problem')
})

test('without anybody to ask, the NAT is not known, and whom to ask is said', () => {
  const checks = checksOf({ status: alone(STRANGER), own: STRANGER })
  const { result, text, remedy } = pick(checks, 'nat.mapping')
  assert.deepEqual([result, text], ['unknown', 'not known yet'])
  assert.match(remedy ?? '', /--bootstrap/)
  assert.equal(pick(checks, 'relay.held').result, 'unknown')
})

test('what is being found out is said with the check that it is about', () => {
  const underway = { ...QUIET, probes: { helpers: 2, busy: true } }
  const checks = checksOf({ underway })
  assert.match(pick(checks, 'nat.mapping').pending ?? '', /asking 2 peers/)
  assert.equal(pick(checksOf({}), 'nat.mapping').pending, undefined)
})

const condition = (code: string) => ({
  code,
  severity: 'degraded' as const,
  since: at,
  text: code,
})

test('conditions that a check tells are not told twice', () => {
  const status = {
    ...alone(STRANGER),
    conditions: [condition('overlay.alone'), condition('bootstrap.unreachable')],
  }
  const codes = checksOf({ status }).map(({ code }) => code)
  assert.ok(!codes.includes('overlay.alone'))
  assert.ok(codes.includes('bootstrap.unreachable'))
})

test('addresses of use are listed with the port, a few of them', () => {
  const own = ['127.0.0.1', '192.168.1.7', '10.0.0.1', '10.0.0.2', '10.0.0.3']
  const status = {
    ...statusOf(STRANGER),
    listening: own.map(
      (ip) => `/ip4/${ip}/tcp/4001/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf`,
    ),
  }
  const check = pick(checksOf({ status }), 'host.addresses')
  assert.equal(check.text, 'port 4001 at 192.168.1.7, 10.0.0.1, 10.0.0.2 and 1 more')
  assert.equal(check.result, 'ok')
  const moved = elsewhere(check, '4002')
  assert.equal(moved.result, 'warning')
  assert.match(moved.text, /4002 is in use/)
})

test('a node that listens on loopback only is told who cannot connect', () => {
  const status = { ...statusOf(STRANGER), listening: ['/ip4/127.0.0.1/tcp/4001'] }
  assert.equal(pick(checksOf({ status }), 'host.addresses').result, 'warning')
  const nowhere = { ...status, listening: [] }
  assert.equal(pick(checksOf({ status: nowhere }), 'host.addresses').result, 'problem')
})

test('a container matters when its network is its own and strangers do not get in', () => {
  const found = (network: 'own' | 'host', reachability: SideFacts['reachability']) => {
    const own = { ...NOTHING_KNOWN, reachability }
    return checksOf({ status: statusOf(own), own, container: { kind: 'Docker', network } })
  }
  const { result, remedy } = pick(found('own', 'private'), 'host.container')
  assert.equal(result, 'warning')
  assert.match(remedy ?? '', /-p 4001:4001.*--announce.*--network host/)
  assert.equal(pick(found('own', 'public'), 'host.container').result, 'ok')
  assert.equal(pick(found('host', 'private'), 'host.container').result, 'ok')
  assert.ok(!checksOf({}).some(({ code }) => code === 'host.container'))
})
