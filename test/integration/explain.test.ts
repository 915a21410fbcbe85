import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { renderExplanation } from '../../src/cli/render-explanation.ts'
import { WarrenClient } from '../../src/client/index.ts'
import { openControl } from '../../src/control/server.ts'
import type { Control } from '../../src/control/server.ts'
import { schemas } from '../../src/control/schema.ts'
import { createNode } from '../../src/node/create-node.ts'
import type { WarrenNode } from '../../src/types.ts'
import { until } from './relay-nodes.ts'

const LISTEN = ['/ip4/127.0.0.1/tcp/0']
const STRANGER = '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'
const MAIN = new URL('../../src/cli/main.ts', import.meta.url).pathname

/** Three rounds that nobody answers to, and the start of the nodes. */
const PATIENCE_MS = 30_000

/** The `warren` command, asking the node at `api`. */
async function warren(api: string, ...args: string[]): Promise<string> {
  const run = promisify(execFile)
  return (await run(process.execPath, [MAIN, ...args, '--api', api])).stdout
}

const circuitOf = (node: WarrenNode): string | undefined =>
  node.status().addresses.find((address) => address.includes('/p2p-circuit'))

describe('an explanation', { timeout: 90_000 }, () => {
  let nodes: WarrenNode[] = []
  let control: Control
  let client: WarrenClient
  const relay = (): WarrenNode => nodes[0] as WarrenNode
  const self = (): WarrenNode => nodes[1] as WarrenNode
  const foreign = (): WarrenNode => nodes[2] as WarrenNode

  before(async () => {
    const first = await createNode({ listen: LISTEN, network: 'test', relay: 'on' })
    nodes = [first]
    const bootstrap = first.status().listening
    nodes.push(await createNode({ listen: LISTEN, network: 'test', bootstrap }))
    // Of another network nothing is known but its relay, so the only way to it is the relayed one.
    nodes.push(await createNode({ listen: LISTEN, network: 'other', bootstrap }))
    control = await openControl({ place: { kind: 'tcp', host: '127.0.0.1', port: 0 } })
    control.attach(self())
    client = new WarrenClient({ api: control.address })
  })
  after(async () => {
    await control.close()
    await Promise.all(nodes.map((node) => node.stop()))
  })

  test('of a direct path says how it came about', async () => {
    await self().connect(relay().peerId)
    const known = (): boolean => {
      const { knownFrom, addresses = [] } = self().peer(relay().peerId) ?? {}
      return knownFrom === 'config' && addresses.length > 0
    }
    await until(known, 'a record', PATIENCE_MS)
    const explanation = schemas.Explanation.parse(await client.explain(relay().peerId))
    assert.equal(explanation.text, 'direct: the peer let this node in, so it was dialled')
    assert.equal(explanation.path?.kind, 'direct')
    assert.ok(explanation.candidates.some(({ state }) => state === 'in-use'))
    assert.deepEqual([explanation.attempts, explanation.next], [[], undefined])
    assert.match(
      renderExplanation(explanation),
      /^Direct: .*\nPath: direct via \/ip4\/127\.0\.0\.1/,
    )
  })

  test('of a relayed path tells the attempts, their reason and the next one', async () => {
    await until(() => circuitOf(foreign()) !== undefined, 'a reservation', PATIENCE_MS)
    const link = await self().connect(circuitOf(foreign()) as string)
    assert.equal(link.path.kind, 'relayed')
    const atFirst = await client.explain(foreign().peerId)
    assert.match(atFirst.text, /^relayed for the moment/)

    const asked = Date.now()
    let explanation = atFirst
    while (explanation.next === undefined && Date.now() - asked < PATIENCE_MS) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      explanation = schemas.Explanation.parse(await client.explain(foreign().peerId))
    }
    assert.match(explanation.text, /^relayed, because the last attempt failed after .* s: /)
    assert.equal(explanation.prediction.chance, 'possible')
    const at = Date.parse(explanation.next?.at ?? '')
    assert.ok(at > Date.now() - 1_000 && at < Date.now() + 60_000, String(explanation.next?.at))
    assert.ok(explanation.remedy)
    const [first] = explanation.attempts
    assert.deepEqual([first?.side, first?.round, first?.method], ['caller', 1, 'punch'])
    assert.equal(first?.steps[0]?.name, 'asked')
    assert.ok(Math.abs(Date.parse(first?.at ?? '') - Date.now()) < PATIENCE_MS)
    const rounds = explanation.attempts.map(({ round }) => round)
    assert.deepEqual(
      rounds,
      rounds.toSorted((a, b) => a - b),
    )
  })

  test('is what the command line prints, as text and as JSON', async () => {
    const text = await warren(control.address, 'explain', foreign().peerId)
    assert.match(text, /^Relayed, because [^]*THIS NODE +THE PEER[^]*try 1 +punch[^]*\nTo do  /)
    const json: unknown = JSON.parse(
      await warren(control.address, 'explain', foreign().peerId, '--json'),
    )
    assert.equal(schemas.Explanation.parse(json).peer, foreign().peerId)
  })

  test('is refused for strangers, for the node itself and for nonsense, with a remedy', async () => {
    const refused = async (peer: string, status: number, code: string): Promise<void> => {
      await assert.rejects(client.explain(peer), { status, code })
    }
    await refused(STRANGER, 404, 'ERR_PEER_UNKNOWN')
    await refused(self().peerId, 400, 'ERR_PEER_INVALID')
    await refused('bob', 400, 'ERR_REQUEST_INVALID')
    await assert.rejects(client.explain(STRANGER), { remedy: /`warren connect` asks others/ })
  })

  test('has numbers beside it, which the metrics count', async () => {
    const metrics = await client.metrics()
    const failed =
      /^warren_punch_attempts_total\{method="punch",outcome="\w+",carrier="\w+"\} [1-9]/m
    assert.match(metrics, failed)
    assert.match(
      metrics,
      /^libp2p_holepunch_outcomes_total\{side="initiator",num_attempts="\d",outcome="\w+"\} 1$/m,
    )
    assert.match(await relay().metrics(), /^warren_signal_clients [12]$/m)
  })

  test('is in the OpenAPI document', async () => {
    const response = await fetch(`http://${control.address}/v1/openapi.json`)
    const document = (await response.json()) as {
      paths: Record<string, unknown>
      components: { schemas: Record<string, unknown> }
    }
    assert.ok('/v1/peers/{id}/explain' in document.paths)
    assert.ok('Explanation' in document.components.schemas)
  })
})
