import assert from 'node:assert/strict'
import { test } from 'node:test'
import { probeNode } from './nat-probe-nodes.ts'

test('a node behind nothing learns from one helper how its ports are mapped', async (t) => {
  const [asker, helper] = [await probeNode(t, { n: 2, hidden: true }), await probeNode(t, { n: 3 })]
  await asker.dial(helper)
  const finding = await asker.finding(({ type }) => type === 'sampled')
  assert.ok(finding.type === 'sampled')
  console.log(JSON.stringify(finding))
})
