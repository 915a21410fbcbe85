import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doubtOf, judgeExternal } from '../../../protocols/port-mapping/external.ts'
import type { Mapping } from '../../../protocols/port-mapping/io.ts'
import { NETWORK } from './world.ts'

const SEEN = ['51.20.0.10']

const cases: [said: string | undefined, seen: string[], verdict: string][] = [
  ['51.20.0.10', SEEN, 'agrees'],
  ['51.20.0.10', ['62.20.0.1', '51.20.0.10'], 'agrees'],
  ['10.0.0.7', ['10.0.0.7'], 'agrees'], // an overlay between local networks
  [undefined, SEEN, 'unsaid'],
  ['51.20.0.10', [], 'unseen'],
  ['100.64.3.4', SEEN, 'shared'],
  ['100.127.255.254', [], 'shared'],
  ['192.168.178.2', SEEN, 'private'],
  ['169.254.1.1', SEEN, 'private'],
  ['8.8.8.8', SEEN, 'elsewhere'],
]

for (const [said, seen, verdict] of cases)
  test(`a router that says ${said ?? 'nothing'}, seen at ${seen.join(', ') || 'nowhere'}: ${verdict}`, () => {
    assert.equal(judgeExternal(said, seen), verdict)
  })

const held = (externalIp: string): { mapping: Mapping; answers: object } => ({
  mapping: { protocol: 'pcp', network: NETWORK, externalPort: 33_333, externalIp, until: 0 },
  answers: {},
})

test('a port that leads nowhere is said, with the address that shows it and what helps', () => {
  for (const said of ['100.64.3.4', '192.168.178.2', '8.8.8.8']) {
    const doubt = doubtOf(held(said), SEEN, false)
    assert.ok(doubt !== undefined && doubt.text.includes(said))
    assert.ok(doubt.remedy.length > 0)
  }
})

test('a port that looks right is doubted only when peers tried it in vain', () => {
  assert.equal(doubtOf(held('51.20.0.10'), SEEN, false), undefined)
  assert.match(doubtOf(held('51.20.0.10'), SEEN, true)?.text ?? '', /33333.*nobody gets in/)
})

test('a router without an address, though peers see us: another NAT stands between', () => {
  const refused = { mapping: undefined, answers: { 'nat-pmp': 'no-network' as const } }
  assert.match(doubtOf(refused, SEEN, false)?.text ?? '', /51\.20\.0\.10/)
  assert.equal(doubtOf(refused, [], false), undefined, 'or it is just offline')
})
