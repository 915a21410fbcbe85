import assert from 'node:assert/strict'
import { stripVTControlCharacters } from 'node:util'
import { test } from 'node:test'
import { renderDoctor, wrap } from '../../../src/cli/render-doctor.ts'
import type { DoctorCheck } from '../../../src/client/index.ts'

const plain = { width: 100, colour: false }
const nat: DoctorCheck = {
  code: 'nat.mapping',
  title: 'NAT',
  result: 'warning',
  text: 'symmetric',
  meaning: 'fewer direct paths',
  remedy: 'map a port',
}
const clock: DoctorCheck = { code: 'host.clock', title: 'Clock', result: 'ok', text: 'right' }
const links: DoctorCheck = { code: 'overlay.links', title: 'Links', result: 'problem', text: '0' }

test('a finding of the doctor comes with its meaning and remedy', () => {
  assert.equal(
    renderDoctor([nat], plain),
    [
      'WARNING  NAT  symmetric',
      '              fewer direct paths',
      '              → map a port',
      '',
      '1 warning.',
    ].join('\n'),
  )
})

test('what matters most comes last, and is counted', () => {
  const lines = renderDoctor([links, nat, clock], plain).split('\n')
  assert.deepEqual(
    lines.filter((line) => /^\S/.test(line)).map((line) => line.split(' ')[0]),
    ['ok', 'WARNING', 'PROBLEM', '1'],
  )
  assert.equal(lines.at(-1), '1 problem, 1 warning, 1 ok.')
})

test('what is still being found out is said', () => {
  const text = renderDoctor([{ ...nat, pending: 'asking 2 peers' }], plain)
  assert.match(text, /\(still asking 2 peers\)/)
})

test('lines fit the terminal, and titles stand in one column', () => {
  const long = { ...nat, meaning: 'word '.repeat(80).trim(), title: 'A longer title' }
  const lines = renderDoctor([long, clock], { width: 60, colour: false }).split('\n')
  assert.ok(lines.every((line) => line.length <= 60))
  assert.ok(
    lines.some((line) => /^ok {7}Clock {11}right$/.test(line)),
    lines.join('\n'),
  )
})

test('colour changes nothing but the colour', () => {
  const coloured = renderDoctor([nat, clock, links], { width: 100, colour: true })
  assert.notEqual(coloured, renderDoctor([nat, clock, links], plain))
  assert.equal(stripVTControlCharacters(coloured), renderDoctor([nat, clock, links], plain))
})

test('a message from elsewhere cannot steer the terminal', () => {
  const evil = { ...nat, text: '\u001b[2Jgone\nok  all is well' }
  const text = renderDoctor([evil], plain)
  assert.ok(!text.includes('\u001b'))
  assert.ok(!text.includes('\nok'))
})

test('sentences are broken at spaces, and addresses are not', () => {
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three'])
  assert.deepEqual(wrap('at /ip4/203.0.113.7/tcp/4001 now', 10, '  '), [
    'at',
    '  /ip4/203.0.113.7/tcp/4001',
    '  now',
  ])
})
