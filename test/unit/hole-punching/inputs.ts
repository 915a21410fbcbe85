/** Arbitrary facts, messages and inputs, for the fuzz tests of this folder. */
import * as fc from 'fast-check'
import type { PunchMessage } from '../../../protocols/hole-punching/codec.ts'
import type { Endpoint, SideFacts } from '../../../protocols/hole-punching/facts.ts'
import type { PunchInput } from '../../../protocols/hole-punching/hole-punching.ts'
import { LIMITS } from '../../../protocols/hole-punching/limits.ts'
import type { Carrier } from '../../../protocols/hole-punching/outputs.ts'

const behaviour = fc.constantFrom(
  'unknown' as const,
  'endpoint-independent' as const,
  'address-dependent' as const,
  'address-and-port-dependent' as const,
  'none' as const,
)
const port = fc.oneof(fc.constantFrom(4001, 4002), fc.integer({ min: 1, max: 65_535 }))

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true })

/** Few, so that they meet again; some are traps: nobody's outside is loopback, multicast, or our own network. */
const ip = fc.constantFrom(
  '51.0.0.1',
  '51.0.1.1',
  '73.0.0.9',
  '2a01:4f8::1',
  '2a01:4f8::2',
  '10.0.0.1',
  '192.168.1.1',
  '127.0.0.1',
  '224.0.0.1',
  '0.0.0.0',
  'fd00::1',
)
export const endpoints: fc.Arbitrary<Endpoint> = record({ ip, port })

export const facts: fc.Arbitrary<SideFacts> = record({
  external: fc.array(endpoints, { maxLength: LIMITS.external }),
  lan: fc.array(endpoints, { maxLength: LIMITS.lan }),
  mapping: behaviour,
  filtering: behaviour,
  reachability: fc.constantFrom('unknown', 'public', 'private'),
  ports: fc.array(port, { maxLength: LIMITS.ports }),
  preservesPort: fc.boolean(),
})

/** Few as well: an answer should meet its ask now and then. */
const campaign = fc.integer({ min: 0, max: 5 }).map((n) => n.toString(16).padStart(32, '0'))
const head = {
  campaign,
  round: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 16 })),
}

export const messages: fc.Arbitrary<PunchMessage> = fc.oneof(
  record({
    ...head,
    type: fc.constant('ask' as const),
    method: fc.constantFrom('meet' as const, 'burst' as const, 'search' as const),
    callerOpens: fc.boolean(),
    blind: fc.boolean(),
    facts,
  }),
  record({ ...head, type: fc.constant('answer' as const), facts }),
  record({
    ...head,
    type: fc.constant('refuse' as const),
    code: fc.constantFrom(
      'busy' as const,
      'too-many' as const,
      'unvouched' as const,
      'too-soon' as const,
      'unsupported' as const,
    ),
    afterS: fc.integer({ min: 0, max: 4_294_967_295 }),
  }),
)

const carrier: fc.Arbitrary<Carrier> = fc.oneof(
  record({
    kind: fc.constantFrom('signal' as const, 'circuit' as const),
    relay: fc.constantFrom('R1', 'R2'),
  }),
  record({
    kind: fc.constantFrom('signal' as const, 'circuit' as const),
    relay: fc.constantFrom('R1', 'R2'),
    rttMs: fc.integer({ min: 0, max: 60_000 }),
  }),
)

/** What may come in next; `peer` says from or about whom. */
export const inputs = (peer: fc.Arbitrary<string>): fc.Arbitrary<PunchInput> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<PunchInput>({ type: 'tick' }) },
    { weight: 1, arbitrary: record({ type: fc.constant('own' as const), facts }) },
    { weight: 1, arbitrary: fc.constant<PunchInput>({ type: 'moved' }) },
    {
      weight: 4,
      arbitrary: record({ type: fc.constant('call' as const), peer, facts, campaign }),
    },
    {
      weight: 2,
      arbitrary: record({
        type: fc.constant('carriers' as const),
        peer,
        carriers: fc.array(carrier, { maxLength: 4 }),
      }),
    },
    {
      weight: 12,
      arbitrary: fc.oneof(
        record({ type: fc.constant('message' as const), peer, message: messages, carrier }),
        record({
          type: fc.constant('message' as const),
          peer,
          message: messages,
          carrier,
          seen: endpoints,
        }),
      ),
    },
    {
      weight: 1,
      arbitrary: record({
        type: fc.constant('met' as const),
        peer,
        address: fc.constant('/ip4/51.0.0.1/tcp/4001'),
      }),
    },
    {
      weight: 2,
      arbitrary: record({ type: fc.constant('undelivered' as const), peer, carrier }),
    },
    { weight: 1, arbitrary: record({ type: fc.constant('lost' as const), peer }) },
    { weight: 1, arbitrary: record({ type: fc.constant('gone' as const), peer }) },
  )
