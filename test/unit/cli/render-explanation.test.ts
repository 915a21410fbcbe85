import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Explanation } from '../../../src/types.ts'
import { renderExplanation } from '../../../src/cli/render-explanation.ts'

const PEER = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust'
const RELAY = '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'

const relayed: Explanation = {
  peer: PEER,
  text: 'relayed, because the last attempt failed after 3.1 s: none of the guessed ports was the right one',
  path: { kind: 'relayed', via: RELAY },
  prediction: {
    method: 'birthday',
    chance: 'likely',
    text: 'the peer’s router gives every destination another port',
    remedy: 'forward a port',
  },
  own: {
    reachability: 'private',
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    external: ['203.0.113.7:4001', '[2001:db8::7]:4001'],
    text: 'one outside port for everybody; lets in only ports that it has sent to',
  },
  remote: {
    reachability: 'private',
    mapping: 'address-and-port-dependent',
    filtering: 'unknown',
    external: ['198.51.100.9:61234'],
    text: 'another outside port for every destination (symmetric)',
  },
  candidates: [
    { address: `/ip4/198.51.100.9/tcp/61234/p2p/${PEER}`, origin: 'record', state: 'tried' },
    {
      address: `/ip4/192.0.2.1/tcp/4001/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`,
      origin: 'relay',
      state: 'in-use',
    },
  ],
  attempts: [
    {
      at: '2026-11-20T12:34:56.000Z',
      side: 'caller',
      round: 1,
      method: 'punch',
      carrier: 'signal',
      outcome: 'no_suitable_address',
      ms: 400,
      candidates: [],
      steps: [],
    },
    {
      at: '2026-11-20T12:34:57.000Z',
      side: 'callee',
      round: 2,
      method: 'birthday',
      carrier: 'relayed',
      outcome: 'failed',
      ms: 3120,
      reason: 'none of the guessed ports was the right one',
      candidates: ['198.51.100.9:61234'],
      steps: [
        { name: 'answered', ms: 0 },
        { name: 'dialled', ms: 26.4 },
      ],
    },
  ],
  next: { at: '2026-11-20T12:35:30.000Z', text: 'tried again then' },
  remedy: 'forward a port',
}

const RELAYED_TEXT = `
Relayed, because the last attempt failed after 3.1 s: none of the guessed ports was the right one.
Path: relayed via ${RELAY}

               THIS NODE                   THE PEER
Reachability   private                     private
NAT mapping    endpoint-independent        address-and-port-dependent
NAT filtering  address-and-port-dependent  unknown
Seen as        203.0.113.7:4001            198.51.100.9:61234
               [2001:db8::7]:4001

This node:  one outside port for everybody; lets in only ports that it has sent to
The peer:   another outside port for every destination (symmetric)

Expected between these networks: birthday (likely)
  The peer’s router gives every destination another port.

Addresses of the peer
  tried   from its record  /ip4/198.51.100.9/tcp/61234
  in use  over a relay     /ip4/192.0.2.1/tcp/4001/p2p/${RELAY}/p2p-circuit

Attempts to connect directly
  12:34:56  try 1  punch     no suitable address after 400 ms
                             this node asked by a signal
  12:34:57  try 2  birthday  failed after 3120 ms: none of the guessed ports was the right one
                             the peer asked over the relayed connection · answered 0 ms · dialled 26 ms

Next   12:35:30  tried again then
To do  forward a port
`

test('an explanation begins with the answer and ends with what can be done', () => {
  assert.equal(renderExplanation(relayed), RELAYED_TEXT.trim())
})

test('a direct path is told with the attempt that made it, and nothing is left to do', () => {
  const address = `/ip4/198.51.100.9/tcp/4001/p2p/${PEER}`
  const { next: _next, remedy: _remedy, ...rest } = relayed
  const text = renderExplanation({
    ...rest,
    text: 'direct: both sides opened their door at the same moment; it took 412 ms, at try 1',
    path: { kind: 'direct', address, method: 'punch', rttMs: 21 },
    candidates: [],
    attempts: [
      {
        ...(relayed.attempts[1] as Explanation['attempts'][number]),
        outcome: 'success',
        ms: 412,
        address,
      },
    ],
  })
  assert.match(
    text,
    /^Direct: both sides .* 412 ms, at try 1\.\nPath: direct .*, 21 ms there and back\n/,
  )
  assert.match(text, /met at \/ip4\/198\.51\.100\.9\/tcp\/4001 after 412 ms\n/)
  assert.match(text, /Addresses of the peer: none known/)
  assert.doesNotMatch(text, /To do|Next/)
})

test('no word of a peer reaches the terminal as an escape sequence', () => {
  const bad = '\u001b]0;owned\u0007\n'
  const [first, second] = relayed.attempts as [
    Explanation['attempts'][number],
    Explanation['attempts'][number],
  ]
  const text = renderExplanation({
    ...relayed,
    text: bad,
    prediction: { ...relayed.prediction, text: bad },
    own: { ...relayed.own, external: [bad], text: bad },
    remote: { ...relayed.remote, external: [bad], text: bad },
    candidates: [{ address: bad, origin: 'told', state: 'known' }],
    attempts: [
      { ...first, reason: bad },
      { ...second, steps: [{ name: bad, ms: 1 }] },
    ],
    next: { text: bad },
    remedy: bad,
  })
  assert.ok(!text.includes('\u001b') && !text.includes('\u0007'))
})
