import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { ExpectedPunches } from '../../../src/net/tcp-reuse/punches.ts'

const HOST = '198.51.100.7'

const hasCode = (code: string) => (err: unknown) => err instanceof WarrenError && err.code === code

describe('an expected punch', () => {
  it('claims connections from its host and port until it is disposed', () => {
    const punches = new ExpectedPunches()
    const held = punches.expect({ host: HOST, port: 4001, role: 'client' })
    assert.ok(punches.claim(HOST, 4001))
    assert.ok(!punches.claim(HOST, 4002))
    assert.ok(!punches.claim('198.51.100.8', 4001))
    held[Symbol.dispose]()
    assert.ok(!punches.claim(HOST, 4001))
  })

  it('without a port claims any port of its host, however that is spelt', () => {
    const punches = new ExpectedPunches()
    punches.expect({ host: `::ffff:${HOST}`, role: 'client' })
    assert.ok(punches.claim(HOST, 1))
    assert.ok(punches.claim('::ffff:c633:6407', 65535))
  })

  it('claims a few connections and no more, so that a stranger behind the address gets no free pass', () => {
    const punches = new ExpectedPunches()
    punches.expect({ host: HOST, role: 'client' })
    const claims = Array.from({ length: 20 }, (_, port) => punches.claim(HOST, port))
    assert.equal(claims.filter(Boolean).length, 8)
    punches.expect({ host: HOST, role: 'client' })
    assert.ok(punches.claim(HOST, 21))
  })

  it('is independent of another one for the same place', () => {
    const punches = new ExpectedPunches()
    const first = punches.expect({ host: HOST, role: 'client' })
    punches.expect({ host: HOST, role: 'client' })
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    assert.ok(punches.claim(HOST, 1))
  })

  it('needs an address, and room among the others', () => {
    const punches = new ExpectedPunches()
    assert.throws(
      () => punches.expect({ host: 'example.org', role: 'client' }),
      hasCode('ERR_ADDRESS_INVALID'),
    )
    for (let n = 0; n < 64; n++) punches.expect({ host: HOST, role: 'client' })
    assert.throws(
      () => punches.expect({ host: HOST, role: 'client' }),
      hasCode('ERR_LIMIT_REACHED'),
    )
    punches.clear()
    punches.expect({ host: HOST, role: 'client' })
  })
})
