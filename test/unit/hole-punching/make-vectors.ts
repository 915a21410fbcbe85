/**
 * Writes protocols/hole-punching/vectors/*.json anew: `node test/unit/hole-punching/make-vectors.ts`. To be run only when the
 * wire format changes on purpose; the tests read the files and never this.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { encode } from '../../../protocols/hole-punching/codec.ts'
import type { PunchMessage } from '../../../protocols/hole-punching/codec.ts'
import { NOTHING_KNOWN } from '../../../protocols/hole-punching/facts.ts'
import type { SideFacts } from '../../../protocols/hole-punching/facts.ts'
import { Punch } from '../../../protocols/hole-punching/messages.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const id = '000102030405060708090a0b0c0d0e0f'
const campaign = new Uint8Array(Buffer.from(id, 'hex'))

const home: SideFacts = {
  external: [
    { ip: '9.9.9.9', port: 4001 },
    { ip: '2a01:4f8::1', port: 4001 },
  ],
  lan: [{ ip: '192.168.1.20', port: 4001 }],
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  reachability: 'private',
  ports: [4001, 4001],
  preservesPort: true,
}
const symmetric: SideFacts = {
  ...NOTHING_KNOWN,
  external: [{ ip: '8.8.4.4', port: 61_000 }],
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  reachability: 'private',
  ports: [50_123, 1025, 61_000],
}

const valid: { name: string; message: PunchMessage }[] = [
  {
    name: 'a first ask from behind a home router',
    message: {
      type: 'ask',
      campaign: id,
      round: 1,
      method: 'meet',
      callerOpens: false,
      blind: false,
      facts: home,
    },
  },
  {
    name: 'a blind ask of somebody who knows nothing',
    message: {
      type: 'ask',
      campaign: id,
      round: 1,
      method: 'meet',
      callerOpens: false,
      blind: true,
      facts: NOTHING_KNOWN,
    },
  },
  {
    name: 'a burst',
    message: {
      type: 'ask',
      campaign: id,
      round: 2,
      method: 'burst',
      callerOpens: false,
      blind: false,
      facts: home,
    },
  },
  {
    name: 'a search in which the caller opens the sockets',
    message: {
      type: 'ask',
      campaign: id,
      round: 2,
      method: 'search',
      callerOpens: true,
      blind: false,
      facts: symmetric,
    },
  },
  { name: 'an answer', message: { type: 'answer', campaign: id, round: 1, facts: symmetric } },
  {
    name: 'a refusal',
    message: { type: 'refuse', campaign: id, round: 3, code: 'unvouched', afterS: 20 },
  },
  {
    name: 'the last round there can be',
    message: { type: 'refuse', campaign: id, round: 16, code: 'busy', afterS: 0 },
  },
]

const at = (ip: number[], port: number): Uint8Array => Uint8Array.of(...ip, port >> 8, port & 255)
const head = { version: 1, campaign, round: 1 }
const facts = (more: Record<string, unknown>) => ({
  external: [at([9, 9, 9, 9], 4001)],
  lan: [],
  mapping: 'unknown' as const,
  filtering: 'unknown' as const,
  reachability: 'unknown' as const,
  ports: [],
  preservesPort: false,
  ...more,
})
const answer = (more: Record<string, unknown>): string =>
  hex(Punch.encode({ ...head, answer: { facts: facts(more) } }))
const good = Punch.encode({ ...head, refuse: { code: 1, afterS: 1 } })

const invalid: { name: string; hex: string; violation: string }[] = [
  { name: 'no bytes', hex: '', violation: 'version' },
  {
    name: 'a later version',
    hex: hex(Punch.encode({ ...head, version: 2, refuse: { code: 1, afterS: 1 } })),
    violation: 'version',
  },
  {
    name: 'a campaign of 15 bytes',
    hex: hex(
      Punch.encode({ ...head, campaign: campaign.subarray(1), refuse: { code: 1, afterS: 1 } }),
    ),
    violation: 'campaign',
  },
  {
    name: 'a campaign of 17 bytes',
    hex: hex(
      Punch.encode({ ...head, campaign: new Uint8Array(17), refuse: { code: 1, afterS: 1 } }),
    ),
    violation: 'malformed',
  },
  {
    name: 'round 0',
    hex: hex(Punch.encode({ ...head, round: 0, refuse: { code: 1, afterS: 1 } })),
    violation: 'round',
  },
  {
    name: 'round 17',
    hex: hex(Punch.encode({ ...head, round: 17, refuse: { code: 1, afterS: 1 } })),
    violation: 'round',
  },
  { name: 'nothing said', hex: hex(Punch.encode(head)), violation: 'body' },
  {
    name: 'an answer that also refuses',
    hex: hex(
      Punch.encode({ ...head, answer: { facts: facts({}) }, refuse: { code: 1, afterS: 1 } }),
    ),
    violation: 'body',
  },
  {
    name: 'an answer without facts',
    hex: hex(Punch.encode({ ...head, answer: { facts: undefined } })),
    violation: 'body',
  },
  {
    name: 'an ask without a method',
    hex: hex(
      Punch.encode({
        ...head,
        ask: { method: 'unspecified', facts: facts({}), callerOpens: false, blind: false },
      }),
    ),
    violation: 'body',
  },
  {
    name: 'an endpoint of five bytes',
    hex: answer({ external: [new Uint8Array(5)] }),
    violation: 'endpoint',
  },
  {
    name: 'an endpoint with port 0',
    hex: answer({ external: [at([9, 9, 9, 9], 0)] }),
    violation: 'endpoint',
  },
  {
    name: 'an endpoint of nineteen bytes',
    hex: answer({ lan: [new Uint8Array(19)] }),
    violation: 'malformed',
  },
  {
    name: 'five outside addresses',
    hex: answer({ external: Array.from({ length: 5 }, () => at([9, 9, 9, 9], 1)) }),
    violation: 'malformed',
  },
  {
    name: 'seventeen ports',
    hex: answer({ ports: Array.from({ length: 17 }, () => 1) }),
    violation: 'malformed',
  },
  { name: 'port 65,536', hex: answer({ ports: [65_536] }), violation: 'port' },
  { name: 'cut off', hex: hex(good.subarray(0, good.length - 1)), violation: 'malformed' },
  {
    name: 'more than 512 bytes',
    hex: hex(Uint8Array.of(...good, 0xfa, 1, 0xff, 3, ...new Uint8Array(511))),
    violation: 'too-long',
  },
]

const vectors = {
  valid: valid.map(({ name, message }) => ({ name, hex: hex(encode(message)), message })),
  invalid,
}
const folder = new URL('../../../protocols/hole-punching/vectors/', import.meta.url)
mkdirSync(folder, { recursive: true })
writeFileSync(new URL('messages.json', folder), `${JSON.stringify(vectors, null, 2)}\n`)
