import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { ReachabilityDriver } from '../../src/drivers/reachability.ts'
import { startNode } from './tcp-reuse/nodes.ts'
import type { TestNode } from './tcp-reuse/nodes.ts'

const HOUR_MS = 3_600_000

function driverOf(node: TestNode): ReachabilityDriver {
  const driver = new ReachabilityDriver({
    events: node.libp2p,
    transport: node.transport,
    announce: [],
    isTrusted: () => false,
    changed: () => {},
    interfacesChanged: () => {},
    reachedInbound: () => {},
  })
  driver.start()
  return driver
}

test('whom we dialled is no stranger while the connection lasts, however long, and for a while after', async (t) => {
  await using near = await startNode(['/ip4/127.0.0.1/tcp/0'])
  await using far = await startNode(['/ip4/127.0.0.2/tcp/0'])
  const driver = driverOf(near)
  t.after(() => driver.stop())
  const connection = await near.dial(far.libp2p.getMultiaddrs()[0] ?? '')
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + HOUR_MS })
  assert.ok(driver.hasContacted('127.0.0.2'), 'an hour later, still connected')
  const closed = once(near.libp2p, 'connection:close')
  await connection.close()
  await closed
  assert.ok(driver.hasContacted('127.0.0.2'), 'a moment after the end')
  t.mock.timers.setTime(Date.now() + HOUR_MS)
  assert.ok(!driver.hasContacted('127.0.0.2'), 'another hour later')
})

test('who came to us was not contacted for that', async (t) => {
  await using near = await startNode(['/ip4/127.0.0.1/tcp/0'])
  await using far = await startNode(['/ip4/127.0.0.2/tcp/0'])
  const driver = driverOf(near)
  t.after(() => driver.stop())
  const came = once(near.libp2p, 'connection:open')
  await far.dial(near.libp2p.getMultiaddrs()[0] ?? '')
  await came
  assert.ok(!driver.hasContacted('127.0.0.2'))
})
