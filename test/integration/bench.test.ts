import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { SKIP } from '../support/namespace.ts'

const BENCH = fileURLToPath(new URL('../bench/main.ts', import.meta.url))

interface Idle {
  sent: Record<string, { bytes: number; packets: number }>
  shares: { what: string; share: number }[]
  memory: number[]
  views: { links: string[] }[]
}

test('the benchmark of idle nodes accounts for every byte', { skip: SKIP }, async () => {
  const args = ['idle', '--nodes', '3', '--settle', '1', '--seconds', '3', '--json']
  const { stdout } = await promisify(execFile)(process.execPath, [BENCH, ...args], {
    timeout: 60_000,
  })
  const { sent, shares, memory, views } = JSON.parse(stdout) as Idle
  assert.deepEqual(
    views.map(({ links }) => links.length),
    [2, 2, 2],
  )
  // In the first seconds nobody is silent.
  assert.equal(Object.values(sent).filter(({ bytes }) => bytes > 0).length, 3)
  assert.ok(memory.every((mb) => mb > 20))
  assert.ok(shares.some(({ what }) => what === '/warren/peer-exchange/1.0.0'))
  assert.ok(Math.abs(shares.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-6)
  // What is around the streams is what is left: less than nothing if anything were counted twice.
  assert.ok(shares.every(({ share }) => share >= 0))
})
