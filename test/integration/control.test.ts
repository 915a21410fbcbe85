import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { WarrenClient } from '../../src/client/index.ts'
import { openControl } from '../../src/control/server.ts'
import type { Control } from '../../src/control/server.ts'
import { schemas } from '../../src/control/schema.ts'
import { createNode } from '../../src/node/create-node.ts'
import type { NodeEvent, WarrenNode } from '../../src/types.ts'

const LISTEN = ['/ip4/127.0.0.1/tcp/0']
const STRANGER = '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'
const place = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const

describe('the HTTP API of a node', { timeout: 60_000 }, () => {
  let nodes: WarrenNode[] = []
  let control: Control
  let client: WarrenClient
  const self = (): WarrenNode => nodes[0] as WarrenNode
  const other = (): WarrenNode => nodes[1] as WarrenNode
  const get = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`http://${control.address}${path}`, init)

  const post = async (body: string, type = 'application/json'): Promise<number> => {
    const init = { method: 'POST', body, headers: { 'content-type': type } }
    return (await get('/v1/services', init)).status
  }

  before(async () => {
    const first = await createNode({ listen: LISTEN })
    const bootstrap = first.status().listening
    nodes = [first, await createNode({ listen: LISTEN, bootstrap })]
    control = await openControl({ place })
    control.attach(first)
    client = new WarrenClient({ api: control.address })
  })
  after(async () => {
    await control.close()
    await Promise.all(nodes.map((node) => node.stop()))
  })

  test('answers in the schemas that it documents', async () => {
    await other().connect(self().peerId)
    schemas.NodeStatus.parse(await client.status())
    schemas.Topology.parse(await client.topology())
    const peers = await client.peers()
    assert.ok(peers.length > 0)
    for (const peer of peers) schemas.PeerStatus.parse(peer)
    assert.equal((await client.status()).peerId, self().peerId)
  })

  test('connects to a peer by id and by multiaddr, and pings it over a path it names', async () => {
    const byId = schemas.ConnectResult.parse(await client.connect(other().peerId))
    assert.deepEqual([byId.peer, byId.path.kind], [other().peerId, 'direct'])
    const [address = ''] = other().status().listening
    assert.match(address, /\/p2p\//)
    assert.equal((await client.connect(address, { path: 'direct' })).peer, other().peerId)
    const ping = schemas.PingResult.parse(await client.ping(other().peerId))
    assert.ok(ping.rttMs > 0 && ping.path.kind === 'direct')
    assert.equal((await client.peer(other().peerId)).state, 'linked')
  })

  test('says with code and status what it cannot do', async () => {
    await assert.rejects(client.peer(STRANGER), { status: 404, code: 'ERR_PEER_UNKNOWN' })
    await assert.rejects(client.connect('bob'), { status: 400, code: 'ERR_REQUEST_INVALID' })
    await assert.rejects(client.connect(STRANGER, { timeoutMs: 0 }), {
      status: 400,
      code: 'ERR_REQUEST_INVALID',
    })
    await assert.rejects(client.unexpose('nothing'), { status: 404, code: 'ERR_NOT_FOUND' })
    await assert.rejects(client.unforward('1'), { status: 404, code: 'ERR_NOT_FOUND' })
    const response = await get('/v1/nothing')
    assert.equal(response.status, 404)
    schemas.Error.parse(await response.json())
  })

  test('carries a service from one node to a port of the other until it is removed', async (t) => {
    const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
    t.after(() => echo.close())
    await once(echo, 'listening')
    const { port } = echo.address() as { port: number }
    const shared = await client.expose({ name: 'echo', target: `127.0.0.1:${port}`, allow: 'all' })
    assert.deepEqual(schemas.ServiceInfo.parse(shared).allow, 'all')
    assert.deepEqual(
      (await client.services()).map(({ name }) => name),
      ['echo'],
    )
    await assert.rejects(client.expose({ ...shared }), { code: 'ERR_NAME_TAKEN', status: 409 })

    const made = await client.forward({
      listen: '127.0.0.1:0',
      peer: other().peerId,
      service: 'echo',
    })
    schemas.ForwardInfo.parse(made)
    assert.notEqual(made.listen, '127.0.0.1:0')
    assert.deepEqual(
      (await client.forwards()).map(({ listen }) => listen),
      [made.listen],
    )
    await client.unforward(made.listen)
    await client.unexpose('echo')
    assert.deepEqual([await client.services(), await client.forwards()], [[], []])
  })

  test('streams the events of the node from the moment the stream is there', async () => {
    const events = await client.events()
    const third = await createNode({ listen: LISTEN, bootstrap: self().status().listening })
    nodes.push(third)
    const linked = await until(
      events,
      (event) => event.type === 'peer:linked' && event.peer === third.peerId,
    )
    schemas.NodeEvent.parse(linked)
  })

  test('ends a stream when its reader leaves', async () => {
    const leaving = new AbortController()
    const events = await client.events({ signal: leaving.signal })
    leaving.abort()
    assert.deepEqual(await events.next(), { done: true, value: undefined })
  })

  test('tells probes how it is, and Prometheus what it counts', async () => {
    assert.equal(await (await get('/healthz')).text(), 'ok\n')
    schemas.Readiness.parse(await client.ready())
    assert.match(await client.metrics(), /^# (HELP|TYPE) /m)
    for (const check of await client.doctor()) schemas.DoctorCheck.parse(check)
  })

  test('documents every route it answers', async () => {
    const document = (await (await get('/v1/openapi.json')).json()) as {
      openapi: string
      paths: Record<string, object>
      components: { schemas: Record<string, object> }
    }
    assert.match(document.openapi, /^3\.1\./)
    const references = JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)
    for (const [, name = ''] of references) assert.ok(name in document.components.schemas, name)
    for (const path of [
      '/v1/status',
      '/v1/peers/{id}/connect',
      '/v1/services',
      '/v1/forwards/{listen}',
      '/v1/events',
      '/readyz',
    ])
      assert.ok(path in document.paths, path)
  })

  test('serves a page whose script and style are the only ones allowed', async () => {
    const response = await get('/')
    assert.match(response.headers.get('content-type') ?? '', /text\/html/)
    const policy = response.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'; script-src 'sha256-\S+'; style-src 'sha256-\S+'/)
    assert.ok(!/src="|href="http| on\w+="/.test(await response.text()))
  })

  test('takes no body that is too large, malformed, of another type or of other shape', async () => {
    assert.equal(await post(`"${'x'.repeat(65_536)}"`), 413)
    assert.equal(await post('{'), 400)
    assert.equal(await post('{}', 'text/plain'), 415)
    assert.equal(await post('{}', 'application/x-www-form-urlencoded'), 415)
    assert.equal(await post('{"name":"web","target":"127.0.0.1:1","allow":"all","more":1}'), 400)
    assert.equal(await post('{"__proto__":{"name":"web"}}'), 400)
    assert.equal(await post(''), 400)
  })

  test('says that the node is starting until there is one', async (t) => {
    const early = await openControl({ place })
    t.after(() => early.close())
    const asked = new WarrenClient({ api: early.address })
    assert.deepEqual(await asked.ready(), { ready: false, reasons: ['the node is starting'] })
    await assert.rejects(asked.status(), { code: 'ERR_NODE_STOPPED', status: 503 })
    assert.equal(await asked.alive(), true)
  })
})

async function until(
  events: AsyncIterable<NodeEvent>,
  wanted: (event: NodeEvent) => boolean,
): Promise<NodeEvent> {
  for await (const event of events) if (wanted(event)) return event
  throw new Error('the stream ended before the event came')
}
