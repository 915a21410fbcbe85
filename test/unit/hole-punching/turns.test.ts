import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_CONVERSATIONS, Turns } from '../../../protocols/hole-punching/turns.ts'

test('two sides that ask at once end with one conversation, and agree which', () => {
  const [a, b] = [new Turns('a'), new Turns('b')]
  assert.ok(a.ask('b') && b.ask('a'))
  assert.equal(a.asked('b'), 'refuse')
  assert.equal(b.asked('a'), 'yield')
})

test('a second question during a conversation is refused, on either side', () => {
  const turns = new Turns('b')
  assert.equal(turns.asked('c'), 'answer')
  assert.equal(turns.asked('c'), 'refuse')
  assert.equal(turns.ask('c'), false)
})

test('what was yielded ends without ending the conversation it made room for', () => {
  const turns = new Turns('b')
  turns.ask('a')
  assert.equal(turns.asked('a'), 'yield')
  turns.over('a', 'asking')
  assert.equal(turns.ask('a'), false)
  turns.over('a', 'answering')
  assert.equal(turns.ask('a'), true)
})

test('conversations are bounded over all peers', () => {
  const turns = new Turns('self')
  for (let i = 0; i < MAX_CONVERSATIONS; i++) assert.ok(turns.ask(`peer ${i}`))
  assert.equal(turns.ask('one more'), false)
  assert.equal(turns.asked('another'), 'refuse')
})
