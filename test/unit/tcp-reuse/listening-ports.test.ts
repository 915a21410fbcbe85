import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LocalEndpoint } from '../../../src/net/tcp-reuse/bound-socket.ts'
import { choosePort, ListeningPorts } from '../../../src/net/tcp-reuse/listening-ports.ts'
import type { Target } from '../../../src/net/tcp-reuse/targets.ts'

const loopback: LocalEndpoint = { family: 4, host: '127.0.0.1', port: 4001 }
const wildcard: LocalEndpoint = { family: 4, host: '0.0.0.0', port: 4002 }
const later: LocalEndpoint = { family: 4, host: '0.0.0.0', port: 4003 }
const wildcard6: LocalEndpoint = { family: 6, host: '::', port: 4004 }
const elsewhere: LocalEndpoint = { family: 4, host: '203.0.113.77', port: 4005 }

const near: Target = { family: 4, host: '127.0.0.1', port: 9 }
const far: Target = { family: 4, host: '198.51.100.1', port: 9 }
const far6: Target = { family: 6, host: '2001:db8::1', port: 9 }

describe('the port to dial from', () => {
  it('is the first wildcard listener of the family', async () => {
    const ports = [elsewhere, loopback, wildcard6, wildcard, later]
    assert.equal(await choosePort(ports, far), wildcard)
    assert.equal(await choosePort(ports, near), wildcard)
    assert.equal(await choosePort(ports, far6), wildcard6)
  })

  it('is one bound to loopback for loopback only', async () => {
    assert.equal(await choosePort([elsewhere, loopback], near), loopback)
    assert.equal(await choosePort([loopback], far), undefined)
  })

  it('is none bound to an address that the system would not send from', async () => {
    assert.equal(await choosePort([elsewhere], far), undefined)
    assert.equal(await choosePort([elsewhere], near), undefined)
  })

  it('is none of the other family', async () => {
    assert.equal(await choosePort([wildcard, loopback], far6), undefined)
    assert.equal(await choosePort([], far), undefined)
  })
})

describe('the listening ports', () => {
  it('are known from when a listener opens until it closes', () => {
    const ports = new ListeningPorts()
    const listener = {}
    ports.opened(listener, wildcard)
    assert.deepEqual(ports.all(), [wildcard])
    ports.closed(listener)
    assert.deepEqual(ports.all(), [])
  })

  it('make a dial wait for a listener that starts, even for one that then fails', async () => {
    const ports = new ListeningPorts()
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const starting = [ports.starting(first.promise), ports.starting(second.promise)]
    const chosen = ports.towards(far, new AbortController().signal)
    second.reject(new Error('port in use'))
    await assert.rejects(starting[1] as Promise<void>, /port in use/)
    ports.opened({}, wildcard)
    first.resolve()
    assert.equal(await chosen, wildcard)
  })

  it('do not hold a dial whose signal aborts', async () => {
    const ports = new ListeningPorts()
    void ports.starting(new Promise(() => {}))
    const controller = new AbortController()
    const chosen = ports.towards(far, controller.signal)
    controller.abort()
    await assert.rejects(chosen, { name: 'AbortError' })
  })
})
