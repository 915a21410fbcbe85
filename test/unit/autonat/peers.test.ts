import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection, PeerId, Topology } from '@libp2p/interface'
import { AutoNatPeers } from '../../../src/drivers/autonat.ts'

const peerId = (name: string): PeerId => ({ toString: () => name }) as PeerId

/** What the stock client would be told, and whether it is shown addresses at that moment. */
function watched() {
  const peers = new AutoNatPeers()
  const asked: { peer: string; forgetting: boolean }[] = []
  const topology: Topology = {
    onConnect: (peer) => void asked.push({ peer: peer.toString(), forgetting: peers.forgetting }),
  }
  const watching = peers.watch(topology, (connection) => connection)
  const connect = (name: string): { status: string } => {
    const connection = { status: 'open' }
    void watching.onConnect?.(peerId(name), connection as Connection)
    return connection
  }
  const disconnect = (name: string): void => void watching.onDisconnect?.(peerId(name))
  return { peers, asked, connect, disconnect }
}

test('a peer is asked when it connects, and again when there is something new', (t) => {
  const { peers, asked, connect } = watched()
  t.after(() => peers.stop())
  connect('a')
  assert.equal(peers.askNow(), 1)
  assert.deepEqual(
    asked.map(({ peer }) => peer),
    ['a', 'a'],
  )
})

test('of many a few are asked at a time, and the first lets the client forget whose word it has had', (t) => {
  const { peers, asked, connect } = watched()
  t.after(() => peers.stop())
  for (const name of ['a', 'b', 'c', 'd', 'e']) connect(name)
  asked.length = 0
  assert.equal(peers.askNow(), 3)
  assert.deepEqual(
    asked.map(({ forgetting }) => forgetting),
    [true, false, false],
  )
  assert.equal(new Set(asked.map(({ peer }) => peer)).size, 3)
  assert.equal(peers.forgetting, false)
})

test('the connection of a dial-back, soon closed, does not take the place of the one that stays', (t) => {
  const { peers, connect } = watched()
  t.after(() => peers.stop())
  const link = connect('a')
  const dialBack = connect('a')
  dialBack.status = 'closed'
  assert.equal(peers.askNow(), 1)
  link.status = 'closed'
  assert.equal(peers.askNow(), 0)
})

test('who has gone is not asked', (t) => {
  const { peers, connect, disconnect } = watched()
  t.after(() => peers.stop())
  connect('a')
  disconnect('a')
  assert.equal(peers.askNow(), 0)
})
