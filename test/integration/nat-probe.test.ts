import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Libp2p, PrivateKey, Stream } from '@libp2p/interface'
import { decode, encode } from '../../protocols/nat-probe/codec.ts'
import type { ProbeMessage } from '../../protocols/nat-probe/codec.ts'
import type { Finding } from '../../protocols/nat-probe/findings.ts'
import { NAT_PROBE_PROTOCOL } from '../../protocols/nat-probe/limits.ts'
import { encodeVoucher, signedBytes } from '../../protocols/nat-probe/voucher.ts'
import type { Voucher } from '../../protocols/nat-probe/voucher.ts'
import { frames } from '../../src/net/frames.ts'
import { loopbackPeer } from '../support/loopback.ts'
import { probeNode } from './nat-probe-nodes.ts'
import type { ProbeNode } from './nat-probe-nodes.ts'

// Loopback takes milliseconds.
const PATIENCE_MS = 10_000

type Sent = Exclude<ProbeMessage, { type: 'skip' }>

const isReached = (door: string, other: boolean) => (finding: Finding) =>
  finding.type === 'reached' && finding.door === door && finding.other === other

test('a helper shows how it sees the listening port at another of its ports, and new ports', async (t) => {
  const asker = await probeNode(t, { n: 2, hidden: true })
  const helper = await probeNode(t, { n: 3 })
  await asker.dial(helper)
  const finding = await asker.finding(({ type }) => type === 'sampled')
  assert.ok(finding.type === 'sampled')
  const { seen, listening, fresh } = finding.sampling
  const here = { ip: asker.ip, port: asker.transport.listening()[0]?.port }
  assert.deepEqual(seen, here)
  assert.deepEqual(listening, here)
  assert.equal(fresh.length, 3)
  for (const one of fresh) assert.deepEqual(one.seen, { ip: asker.ip, port: one.local })
})

test('a helper dials back from another port, and has a third peer dial that the asker never met', async (t) => {
  const asker = await probeNode(t, { n: 2, hidden: true })
  const [helper, third] = [await probeNode(t, { n: 3 }), await probeNode(t, { n: 4 })]
  await helper.dial(third)
  const met = new Map<string, Connection>()
  asker.libp2p.addEventListener('connection:open', ({ detail }) => {
    met.set(detail.remotePeer.toString(), detail)
  })
  const asked = await asker.dial(helper)
  const self = await asker.finding(isReached('listening', false))
  const other = await asker.finding(isReached('listening', true))
  assert.ok(self.type === 'reached' && other.type === 'reached')
  assert.equal(self.by.peer, helper.id)
  assert.equal(other.by.peer, helper.id)
  assert.ok(other.stranger, 'its address was not contacted')
  assert.ok(met.has(third.id), 'the third peer proved who it is')
  assert.equal(asked.status, 'open', 'the asker keeps its connection')
  assert.ok(helper.probe.stats().dials.reached >= 1)
  assert.ok(third.probe.stats().dials.reached >= 1)
})

test('without a third peer a port is dialled from which nothing was sent to anybody', async (t) => {
  const asker = await probeNode(t, { n: 2, hidden: true, hasContacted: () => true })
  const helper = await probeNode(t, { n: 3 })
  await asker.dial(helper)
  await asker.finding(isReached('fresh', false))
  const finding = await asker.finding(isReached('silent', false))
  assert.ok(finding.type === 'reached' && finding.stranger)
})

test('a third peer that the asker talks to leads to a port that it has not heard of', async (t) => {
  const asker = await probeNode(t, { n: 2, hidden: true, hasContacted: () => true })
  const [helper, third] = [await probeNode(t, { n: 3 }), await probeNode(t, { n: 4 })]
  await helper.dial(third)
  await asker.dial(helper)
  const listening = await asker.finding(isReached('listening', true))
  assert.ok(listening.type === 'reached' && !listening.stranger)
  const fresh = await asker.finding(isReached('fresh', true))
  assert.ok(fresh.type === 'reached' && fresh.stranger)
})

test('what is not there is told as refused', async (t) => {
  const asker = await probeNode(t, { n: 2 })
  const helper = await probeNode(t, { n: 3 })
  const connection = await asker.dial(helper)
  const nonce = new Uint8Array(16)
  const answer = await converse(connection, { type: 'back', nonce, port: 9, byOther: false })
  assert.deepEqual(answer, { type: 'outcome', outcome: 'refused' })
})

// --- peers that do not keep to the rules ------------------------------------------------------------------

/** One message out, one back. */
async function converse(connection: Connection, message: Sent): Promise<ProbeMessage> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const stream = await connection.newStream(NAT_PROBE_PROTOCOL, { signal })
  const channel = frames(stream, { maxBytes: 512 })
  await channel.write(encode(message), { timeoutMs: PATIENCE_MS })
  const decoded = decode(await channel.read({ timeoutMs: PATIENCE_MS }))
  await stream.close({ signal })
  assert.ok(decoded.ok)
  return decoded.value
}

/** A peer that claims to speak the protocol and answers as it is told to. */
async function rogue(
  answer: (message: ProbeMessage, connection: Connection) => Promise<Sent | undefined>,
): Promise<Libp2p & AsyncDisposable> {
  const peer = await loopbackPeer()
  const onStream = async (stream: Stream, connection: Connection): Promise<void> => {
    const channel = frames(stream, { maxBytes: 512 })
    const decoded = decode(await channel.read({ timeoutMs: PATIENCE_MS }))
    const reply = decoded.ok ? await answer(decoded.value, connection) : undefined
    if (reply !== undefined) await channel.write(encode(reply), { timeoutMs: PATIENCE_MS })
    else await new Promise(() => {}) // for as long as the connection lasts
  }
  await peer.handle(NAT_PROBE_PROTOCOL, (stream, connection) => {
    onStream(stream, connection).catch(() => stream.abort(new Error('broken off')))
  })
  return peer
}

async function dial(from: ProbeNode, to: Libp2p): Promise<Connection> {
  const address = to.getMultiaddrs()[0] ?? assert.fail('no address')
  const signal = AbortSignal.timeout(PATIENCE_MS)
  return await from.seam.transportManager.dial(address, { signal })
}

test('a helper that never answers keeps nobody from asking another', async (t) => {
  await using mute = await rogue(async () => undefined)
  const asker = await probeNode(t, { n: 2, hidden: true })
  const helper = await probeNode(t, { n: 3 })
  await dial(asker, mute)
  await asker.dial(helper)
  const finding = await asker.finding(isReached('listening', false))
  assert.equal(finding.by.peer, helper.id)
})

test('a helper that passes the nonce to somebody who is connected already has proven nothing', async (t) => {
  const told: ProbeMessage[] = []
  await using cheat = await rogue(async (message, connection) => {
    if (message.type !== 'back') return { type: 'refused', code: 'unsupported' }
    told.push(await converse(connection, { type: 'knock', nonce: message.nonce }))
    return { type: 'outcome', outcome: 'reached' }
  })
  const asker = await probeNode(t, { n: 2, hidden: true })
  const honest = await probeNode(t, { n: 3 })
  await dial(asker, cheat)
  await asker.dial(honest)
  await asker.finding(isReached('listening', false))
  assert.ok(told.length >= 1)
  for (const answer of told) assert.deepEqual(answer, { type: 'refused', code: 'unknown' })
  assert.ok(asker.findings.every(({ by }) => by.peer === honest.id))
})

test('a knock that nobody asked for is refused', async (t) => {
  const [one, other] = [await probeNode(t, { n: 2 }), await probeNode(t, { n: 3 })]
  const connection = await one.dial(other)
  const answer = await converse(connection, { type: 'knock', nonce: new Uint8Array(16) })
  assert.deepEqual(answer, { type: 'refused', code: 'unknown' })
})

const id = (node: ProbeNode) => node.libp2p.peerId.toMultihash().bytes

/** A helper of ours that signs what it likes, and a third peer that is asked to believe it. */
async function vouching(t: Parameters<typeof probeNode>[0]) {
  const [third, asker] = [await probeNode(t, { n: 4 }), await probeNode(t, { n: 2 })]
  const helper = await probeNode(t, { n: 3 })
  const connection = await helper.dial(third)
  const voucher: Voucher = {
    helper: id(helper),
    third: id(third),
    asker: id(asker),
    target: { ip: asker.ip, port: asker.transport.listening()[0]?.port ?? 0 },
    nonce: new Uint8Array(16).fill(7),
    issued: Math.floor(Date.now() / 1000),
  }
  const send = async (
    change: Partial<Voucher> = {},
    key: PrivateKey = helper.seam.privateKey,
  ): Promise<ProbeMessage> => {
    const bytes = encodeVoucher({ ...voucher, ...change })
    const signature = new Uint8Array(await key.sign(signedBytes(bytes)))
    return await converse(connection, { type: 'errand', voucher: bytes, signature })
  }
  return { send, third, asker }
}

const REFUSED = { type: 'refused', code: 'voucher' }

test('forged, stale and misdirected vouchers make a third peer dial nobody', async (t) => {
  const { send, third, asker } = await vouching(t)
  const now = Math.floor(Date.now() / 1000)
  assert.deepEqual(await send({}, await generateKeyPair('Ed25519')), REFUSED, 'forged')
  assert.deepEqual(await send({ issued: now - 3_600 }), REFUSED, 'stale')
  assert.deepEqual(await send({ issued: now + 3_600 }), REFUSED, 'of the future')
  const other = id(asker)
  assert.deepEqual(await send({ third: other }), REFUSED, 'for another')
  assert.deepEqual(await send({ helper: other }), REFUSED, 'by another')
  assert.deepEqual(third.probe.stats().dials, { reached: 0, refused: 0, silent: 0, failed: 0 })
})

test('a voucher is good for one dial, and that proves nothing to an asker who did not ask', async (t) => {
  const { send, third, asker } = await vouching(t)
  assert.deepEqual(await send(), { type: 'outcome', outcome: 'failed' })
  assert.deepEqual(await send(), REFUSED, 'replayed')
  assert.equal(third.probe.stats().dials.failed, 1)
  assert.deepEqual(asker.findings, [])
})

test('bytes that are no message end their stream and nothing else', async (t) => {
  const [one, other] = [await probeNode(t, { n: 2 }), await probeNode(t, { n: 3 })]
  const connection = await one.dial(other)
  const signal = AbortSignal.timeout(PATIENCE_MS)
  for (const bytes of ['ff', '03ffffff', '8108', 'ffffffffff', '020a00']) {
    const stream = await connection.newStream(NAT_PROBE_PROTOCOL, { signal })
    const { promise, resolve } = Promise.withResolvers<void>()
    stream.addEventListener('close', () => resolve(), { once: true })
    stream.send(new Uint8Array(Buffer.from(bytes, 'hex')))
    if (bytes === 'ff') await stream.close({ signal }) // a length that ends in the middle
    await promise
  }
  assert.equal(connection.status, 'open')
  const answer = await converse(connection, { type: 'knock', nonce: new Uint8Array(16) })
  assert.equal(answer.type, 'refused')
})
