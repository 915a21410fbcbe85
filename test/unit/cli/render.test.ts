import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeEvent, NodeStatus, PeerStatus } from '../../../src/types.ts'
import {
  clean,
  columns,
  formatAgo,
  formatMs,
  formatPath,
  renderEvent,
  renderPeers,
  renderServices,
  renderStatus,
} from '../../../src/cli/render.ts'
import { renderWelcome } from '../../../src/cli/commands/welcome.ts'

const ME = '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'
const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const at = '2026-11-20T12:34:56.000Z'

const status: NodeStatus = {
  peerId: ME,
  version: '0.1.0',
  network: 'main',
  phase: 'running',
  addresses: [`/ip4/192.168.1.4/tcp/4001/p2p/${ME}`],
  listening: [`/ip4/127.0.0.1/tcp/4001/p2p/${ME}`],
  reachability: {
    verdict: 'private',
    since: at,
    confirmations: 1,
    evidence: [{ kind: 'probe', says: 'private', networks: 2, at }],
  },
  nat: {
    mapping: 'endpoint-independent',
    filtering: 'address-dependent',
    ports: 'sequential',
    externalAddresses: ['203.0.113.7:4001'],
    portMapping: 'upnp',
  },
  relays: [{ peer: PEER, state: 'held', until: at, rttMs: 12.34 }],
  overlay: { chosen: 1, accepted: 0, reached: 1, heard: 0, lost: 0, healing: false, closed: true },
  serving: {
    relay: true,
    reservations: 2,
    circuits: 1,
    bytesRelayed: 5,
    budgets: {
      reservations: { used: 2, limit: 512 },
      circuits: { used: 1, limit: 512 },
      bytes: { left: 75, limit: 100, perSecond: 1 },
      perPeer: { reservations: 1, circuits: 16, bytes: 10 },
      perAddress: { reservations: 16, circuits: 64, bytes: 20 },
      perNetwork: { reservations: 64, circuits: 128, bytes: 80 },
      limitedBy: 'memory',
      busy: false,
      refused: {},
    },
  },
  links: { direct: 1, relayed: 2 },
  peersKnown: 3,
  services: ['web'],
  conditions: [
    { code: 'relay.none', severity: 'degraded', since: at, text: 'No relay.', remedy: 'Wait.' },
  ],
  transport: { portReuse: false, reason: 'Node is too old' },
}

test('columns are as wide as their widest cell and end without blanks', () => {
  assert.equal(
    columns([
      ['a', 'bb'],
      ['ccc', 'd'],
    ]),
    'a    bb\nccc  d',
  )
})

test('durations are short enough to compare at a glance', () => {
  assert.deepEqual([undefined, 1.234, 56.7, 12_345].map(formatMs), [
    '-',
    '1.2 ms',
    '57 ms',
    '12.3 s',
  ])
  const now = Date.parse(at)
  const ago = [5_000, 120_000, 7_200_000, 400_000_000].map((ms) =>
    formatAgo(new Date(now - ms).toISOString(), now),
  )
  assert.deepEqual(ago, ['5 s ago', '2 min ago', '2 h ago', '5 d ago'])
})

test('what peers say cannot move the cursor of a terminal', () => {
  assert.equal(clean('a\u001b[31m\nb\u202e\u0085'), 'a?[31m?b??')
  const hostile: NodeEvent = { type: 'peer:gone', at, peer: PEER, reason: '\u001b]0;owned\u0007' }
  assert.ok(!renderEvent(hostile).includes('\u001b'))
})

test('status names everything that decides whether others get through', () => {
  const text = renderStatus(status)
  for (const part of [
    ME,
    PEER,
    '203.0.113.7:4001',
    'endpoint-independent',
    'ports sequential',
    'private: peers dialled back, 2 networks, ',
    'upnp',
    '2 reservations of 512, as memory allow, 1 circuit, 75 % of the bytes left',
    'Node is too old',
    'relay.none',
    'Wait.',
  ])
    assert.ok(text.includes(part), part)
})

test('status tells announced addresses from those that are only listened on', () => {
  const text = renderStatus(status)
  assert.match(text, new RegExp(`Announced +/ip4/192\\.168\\.1\\.4/tcp/4001/p2p/${ME}\n`))
  assert.match(text, new RegExp(`Listening +/ip4/127\\.0\\.0\\.1/tcp/4001/p2p/${ME}\n`))
  assert.ok(!renderStatus({ ...status, listening: status.addresses }).includes('Listening'))
})

test('a direct path does not repeat the peer that it leads to', () => {
  const address = `/ip4/192.0.2.1/tcp/4001/p2p/${PEER}`
  assert.equal(
    formatPath({ kind: 'direct', address, method: 'punch' }),
    'direct via /ip4/192.0.2.1/tcp/4001 (punch)',
  )
})

test('peers are listed with whole ids, linked ones first', () => {
  const known: PeerStatus = {
    peer: ME,
    state: 'known',
    reachability: 'unknown',
    nat: { mapping: 'unknown', filtering: 'unknown' },
    services: [],
    addresses: [],
    knownFrom: 'book',
    lastSeen: at,
  }
  const linked: PeerStatus = {
    ...known,
    peer: PEER,
    state: 'linked',
    path: { kind: 'relayed', via: ME },
  }
  const lines = renderPeers([known, linked]).split('\n')
  assert.match(lines[0] ?? '', /^PEER +STATE/)
  assert.match(lines[1] ?? '', new RegExp(`^${PEER} +linked .*relayed via ${ME}$`))
  assert.match(lines[2] ?? '', new RegExp(`^${ME} +known `))
})

test('services are told apart by who shares them', () => {
  const text = renderServices({
    shared: [{ name: 'web', target: '127.0.0.1:80', allow: [PEER] }],
    forwards: [],
    offered: [{ peer: PEER, services: ['db'] }],
  })
  assert.match(text, new RegExp(`web +127\\.0\\.0\\.1:80 +${PEER}`))
  assert.match(text, /Used by this node: none/)
  assert.match(text, new RegExp(`db +${PEER}`))
})

test('every event is one line', () => {
  const path = { kind: 'relayed', via: ME } as const
  const direct = { kind: 'direct', address: '/ip4/1.2.3.4/tcp/1', method: 'punch' } as const
  const events: NodeEvent[] = [
    { type: 'node:ready', at, peerId: ME, addresses: [], api: null },
    { type: 'node:stopping', at, reason: 'SIGTERM' },
    { type: 'addresses:changed', at, addresses: [] },
    { type: 'reachability:changed', at, verdict: 'public', nat: status.nat },
    { type: 'relay:held', at, peer: PEER, until: at },
    { type: 'relay:lost', at, peer: PEER, reason: 'gone' },
    { type: 'relay:serving', at, on: true, reason: 'public' },
    ...(['bootstrap', 'config', 'inbound', 'book', ME] as const).map((from): NodeEvent => ({
      type: 'peer:found',
      at,
      peer: PEER,
      from,
    })),
    { type: 'peer:linked', at, peer: PEER, path },
    { type: 'peer:path-changed', at, peer: PEER, from: path, to: direct, ms: 412 },
    { type: 'peer:gone', at, peer: PEER, reason: 'closed' },
    { type: 'punch:started', at, peer: PEER, method: 'punch' },
    {
      type: 'punch:succeeded',
      at,
      peer: PEER,
      method: 'punch',
      ms: 3,
      address: '/ip4/1.2.3.4/tcp/1',
    },
    { type: 'punch:failed', at, peer: PEER, method: 'birthday', ms: 3, reason: 'both symmetric' },
    {
      type: 'condition:raised',
      at,
      condition: { code: 'a.b', severity: 'info', since: at, text: 'Text.' },
    },
    { type: 'condition:cleared', at, code: 'a.b' },
    { type: 'service:refused', at, service: 'web', peer: PEER, reason: 'not allowed' },
  ]
  for (const event of events) {
    const line = renderEvent(event)
    assert.match(line, /^12:34:56  \S/, event.type)
    assert.ok(!line.includes('\n') && !line.includes('undefined'), event.type)
  }
})

test('the welcome gives a line to join by, and prefers addresses that others can use', () => {
  const about = { version: '0.1.0', api: '127.0.0.1:4080', dataDir: '/d', joins: [] }
  const text = renderWelcome(status, about)
  assert.ok(text.includes(`warren up --bootstrap /ip4/192.168.1.4/tcp/4001/p2p/${ME}`))
  assert.ok(!text.includes('--bootstrap /ip4/127.'))
  const listening = ['/ip4/127.0.0.1', '/ip4/10.1.2.3', '/ip4/203.0.113.7'].map(
    (host) => `${host}/tcp/4001/p2p/${ME}`,
  )
  assert.deepEqual(
    renderWelcome({ ...status, addresses: [], listening }, about)
      .split('\n')
      .filter((line) => line.includes('--bootstrap'))
      .map((line) => line.split('/')[2]),
    ['203.0.113.7', '10.1.2.3'],
    'public before private, and loopback not at all',
  )
  const local = renderWelcome({ ...status, addresses: [] }, about)
  assert.match(local, /On this machine others join[^]*--bootstrap \/ip4\/127\./)
  assert.match(
    renderWelcome({ ...status, addresses: [], listening: [] }, about),
    /No address is known yet/,
  )
})
