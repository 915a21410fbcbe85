import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  formatApi,
  formatHostPort,
  isLoopback,
  parseAllow,
  parseApi,
  parseExpose,
  parseForward,
  parseHostPort,
  parseListen,
  parseServiceName,
  parseTarget,
} from '../../../src/config/places.ts'

const PEER = '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'
const invalid = { code: 'ERR_CONFIG_INVALID' }
const noAddress = { code: 'ERR_ADDRESS_INVALID' }

test('HOST:PORT takes names, IPv4 and bracketed IPv6, and is written back as it was read', () => {
  for (const text of ['localhost:80', '10.0.0.1:65535', '[::1]:0', 'my_service.internal:8080'])
    assert.equal(formatHostPort(parseHostPort(text)), text)
})

test('HOST:PORT refuses what nobody could connect to', () => {
  for (const text of [
    '',
    'host',
    ':80',
    'host:',
    'host:65536',
    '::1:80',
    '[host]:80',
    'a b:1',
    'h:80/x',
    'h:-1',
  ])
    assert.throws(() => parseHostPort(text), noAddress, text)
})

test('a listening port alone means this machine only', () => {
  assert.equal(parseListen('8080'), '127.0.0.1:8080')
  assert.equal(parseListen('0.0.0.0:8080'), '0.0.0.0:8080')
})

test('a target has a port, because nobody can connect to port 0', () => {
  assert.throws(() => parseTarget('127.0.0.1:0'), invalid)
})

test('the API is HOST:PORT, unix:PATH or off, and is written back as it was read', () => {
  for (const text of ['127.0.0.1:4080', '[::]:1', 'unix:/run/w.sock', 'off'])
    assert.equal(formatApi(parseApi(text)), text)
  for (const text of ['unix:', 'on', '4080', `unix:/${'x'.repeat(103)}`])
    assert.throws(() => parseApi(text), invalid, text)
})

test('an exposed service says who may use it', () => {
  assert.deepEqual(parseExpose('web=127.0.0.1:80,allow=all'), {
    name: 'web',
    target: '127.0.0.1:80',
    allow: 'all',
  })
  assert.deepEqual(parseExpose(`web=[::1]:80,allow=${PEER}+${PEER}`).allow, [PEER])
  assert.throws(
    () => parseExpose('web=127.0.0.1:80'),
    (error: { code: string; remedy: string }) => {
      assert.equal(error.code, 'ERR_CONFIG_INVALID')
      assert.match(error.remedy, /allow=all/)
      assert.match(error.remedy, /allow=PEER\+PEER/)
      return true
    },
  )
})

test('nobody, or all among others, is no list of peers', () => {
  for (const words of [[], [''], ['all', PEER], ['bob']])
    assert.throws(() => parseAllow(words), invalid)
})

test('service names are at most 48 small letters, digits, dots, underscores and dashes', () => {
  for (const name of ['a', '0', 'a.b_c-d', 'x'.repeat(48)])
    assert.equal(parseServiceName(name), name)
  for (const name of ['', 'A', '-a', '.a', 'a b', 'x'.repeat(49), 'ä', 'a\n'])
    assert.throws(() => parseServiceName(name), invalid, name)
})

test('a forward names a local port, a peer and a service', () => {
  const read = { listen: '127.0.0.1:8080', peer: PEER, service: 'web' }
  assert.deepEqual(parseForward(`8080=${PEER}/web`), read)
  for (const text of ['8080', `8080=${PEER}`, `8080=${PEER}/`, '8080=bob/web'])
    assert.throws(() => parseForward(text), invalid, text)
  assert.throws(() => parseForward(`x=${PEER}/web`), noAddress)
})

test('loopback is 127.0.0.0/8, ::1 and localhost, and nothing that merely looks like it', () => {
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '[::1]',
    'localhost',
    'LocalHost',
    '::ffff:127.0.0.1',
  ])
    assert.ok(isLoopback(host), host)
  for (const host of [
    '127.evil.example',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    'localhost.evil.example',
    '127.1',
  ])
    assert.ok(!isLoopback(host), host)
})

test('whatever the text, a parser either reads it or refuses it with a code', () => {
  const parsers = [
    parseHostPort,
    parseListen,
    parseApi,
    parseExpose,
    parseForward,
    parseServiceName,
  ]
  fc.assert(
    fc.property(
      fc.constantFrom(...parsers),
      fc.string({ unit: 'binary', maxLength: 200 }),
      (parse, text) => {
        try {
          parse(text)
        } catch (error) {
          assert.match(String((error as { code?: string }).code), /^ERR_(CONFIG|ADDRESS)_INVALID$/)
        }
      },
    ),
  )
})
