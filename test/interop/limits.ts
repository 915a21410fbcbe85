/** Do Warren and go-libp2p read each other's relay limits as they were meant? */
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import type { NodeStatus } from '../../src/types.ts'
import { Lab } from '../lab/lab.ts'
import { LabNode } from '../lab/node.ts'
import { GO_LIMITS, startRelay } from './ends.ts'
import { GoPeer } from './go-peer.ts'

const PROBE = fileURLToPath(new URL('./limits-peer.ts', import.meta.url))
const PROBE_MS = 30_000
const RELAYED_MS = 10_000
const LOOK_MS = 50
/** A reservation is asked for, answered and read within this. */
const EXPIRY_SLACK_SECONDS = 30

/** libp2p states what is left of a circuit's bytes; the handshake of the connection inside has taken less than this. */
const HANDSHAKE_BYTES = 4096

/** One thing that was compared. */
export interface Finding {
  what: string
  expected: string
  found: string
}

const show = (seconds: unknown, bytes: unknown) => `${String(seconds)} s, ${String(bytes)} bytes`

/** What a go-libp2p peer reads from a reservation and a circuit at a Warren relay, and the other way round. */
export async function compareLimits(rttMs: number): Promise<Finding[]> {
  return [
    ...(await goReadsWarren(rttMs)),
    ...(await warrenReadsGo(rttMs)),
    ...(await warrenTestsGo(rttMs)),
  ]
}

async function goReadsWarren(rttMs: number): Promise<Finding[]> {
  await using lab = await Lab.create({ rttMs })
  const relay = await startRelay(lab, 'warren')
  // Symmetric NATs, so that the relayed connection is all there is.
  const a = await GoPeer.start(await lab.natHost('a', 'sym'), ['peer', '-relay', relay.address])
  const b = await GoPeer.start(await lab.natHost('b', 'sym'), ['peer', '-relay', relay.address])
  await Promise.all([a.usable(), b.usable()])
  const { line: reserved } = await a.waitFor('reserved', () => true, RELAYED_MS)
  const peer = await b.peerId()
  await a.connect(`${relay.address}/p2p-circuit/p2p/${peer}`)
  const relayed = (line: { peer: string; direct: boolean }) => line.peer === peer && !line.direct
  const { line: circuit } = await a.waitFor('connected', relayed, RELAYED_MS)
  const expected = show(SERVING_LIMITS.stranger.seconds, SERVING_LIMITS.stranger.bytes)
  const { reservationTtlMs } = SERVING_LIMITS
  const missing = reservationTtlMs / 1000 - reserved.expiresSeconds
  const inTime = missing >= -1 && missing < EXPIRY_SLACK_SECONDS
  return [
    {
      what: "go reads a Warren reservation's limits",
      expected,
      found: show(reserved.limitSeconds, reserved.limitBytes),
    },
    {
      what: "go reads a Warren circuit's limits",
      expected,
      found: show(circuit.limitSeconds, circuit.limitBytes),
    },
    {
      what: "go verifies a Warren reservation's voucher",
      expected: 'true',
      found: String(reserved.voucher),
    },
    {
      what: "go reads a Warren reservation's end",
      expected: `in ${reservationTtlMs / 60_000} min`,
      found: inTime ? `in ${reservationTtlMs / 60_000} min` : `in ${reserved.expiresSeconds} s`,
    },
  ]
}

async function warrenReadsGo(rttMs: number): Promise<Finding[]> {
  await using lab = await Lab.create({ rttMs })
  const relay = await startRelay(lab, 'go')
  const b = await GoPeer.start(await lab.natHost('b', 'sym'), ['peer', '-relay', relay.address])
  await b.usable()
  const probe = await lab.natHost('a', 'sym')
  const target = `${relay.address}/p2p-circuit/p2p/${await b.peerId()}`
  const { code, stdout, stderr } = await probe.exec([process.execPath, PROBE, target], {
    deadlineMs: PROBE_MS,
  })
  if (code !== 0) throw new Error(`the probe ended with ${code}: ${stderr}`)
  const { seconds, bytes } = JSON.parse(stdout) as { seconds: number; bytes: string }
  const used = GO_LIMITS.bytes - Number(bytes)
  const whole = used >= 0 && used < HANDSHAKE_BYTES ? GO_LIMITS.bytes : bytes
  return [
    {
      what: "Warren's parts read a go circuit's limits, before the handshake",
      expected: show(GO_LIMITS.seconds, GO_LIMITS.bytes),
      found: show(seconds, whole),
    },
  ]
}

/** A hidden Warren node tests each relay that it holds by a circuit to itself: does a go relay make one? */
async function warrenTestsGo(rttMs: number): Promise<Finding[]> {
  await using lab = await Lab.create({ rttMs })
  const relay = await startRelay(lab, 'go')
  const host = await lab.natHost('a', 'port')
  const args = ['--bootstrap', relay.address]
  const node = await LabNode.start(host, { name: 'a', folder: lab.folder, args })
  await node.waitFor('relay:held', () => true, RELAYED_MS)
  const until = performance.now() + RELAYED_MS
  let forwards: boolean | undefined
  while (forwards === undefined && performance.now() < until) {
    const { relays } = await node.api<NodeStatus>('GET', '/v1/status')
    forwards = relays[0]?.forwards
    // The outcome of a test has no event.
    await after(LOOK_MS)
  }
  return [{ what: "a go relay passes Warren's test", expected: 'true', found: String(forwards) }]
}
