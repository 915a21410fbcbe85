import { ipFromBytes, scopeOf } from '../kernel/address.ts'
import { PORT_MAPPING_LIMITS } from './limits.ts'
import type { Dialect, Heard } from './question.ts'
import type { Network, Refusal, Task } from './way.ts'

/** NAT-PMP, RFC 6886. */

const VERSION = 0
const OP = { address: 0, mapTcp: 2 } as const
const RESPONSE = 128
const NO_NETWORK = 3
const HEAD_BYTES = 8
const BYTES = { address: 12, map: 16 } as const

/** The bytes of a question; everything but mapping and releasing asks for the external address. */
export function encodeNatPmp(task: Task, internalPort: number): Uint8Array {
  if (task.do === 'ask' || task.do === 'check') return Uint8Array.of(VERSION, OP.address)
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  bytes[1] = OP.mapTcp
  view.setUint16(4, internalPort)
  // Section 3.4: both are zero when a mapping is to go.
  view.setUint16(6, task.do === 'release' ? 0 : task.port)
  view.setUint32(8, task.do === 'release' ? 0 : PORT_MAPPING_LIMITS.leaseSeconds)
  return bytes
}

/** Reads the answer to a question; undefined for anything that is none. */
export function decodeNatPmp(
  bytes: Uint8Array,
  task: Task,
  internalPort: number,
): Heard | undefined {
  if (bytes.length < HEAD_BYTES || bytes.length > BYTES.map || bytes[0] !== VERSION)
    return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const asksAddress = task.do === 'ask' || task.do === 'check'
  if (bytes[1] !== RESPONSE + (asksAddress ? OP.address : OP.mapTcp)) return undefined
  const result = view.getUint16(2)
  const epoch = view.getUint32(4)
  const positive = task.do === 'ask' ? 'present' : 'standing'
  // A router without an uplink speaks the protocol all the same, and its mapping stands.
  if (asksAddress && result === NO_NETWORK) return { epoch, outcome: { type: positive } }
  if (result !== 0) return { outcome: { type: 'refused', reason: refusalOf(result) } }
  if (asksAddress) {
    const ip = bytes.length === BYTES.address ? ipFromBytes(bytes.subarray(8, 12)) : undefined
    if (ip === undefined) return undefined
    return { epoch, outcome: { type: positive, ...externalOf(ip) } }
  }
  if (bytes.length !== BYTES.map || view.getUint16(8) !== internalPort) return undefined
  const [port, seconds] = [view.getUint16(10), view.getUint32(12)]
  if (task.do === 'release') return { outcome: { type: 'released' } }
  if (port === 0 || seconds === 0) return { outcome: { type: 'refused', reason: 'failed' } }
  return { epoch, outcome: { type: 'granted', grant: { port, seconds } } }
}

/** `0.0.0.0` is how many routers say that they have none. */
export function externalOf(ip: string | undefined): { externalIp?: string } {
  return ip === undefined || scopeOf(ip) === 'unusable' ? {} : { externalIp: ip }
}

function refusalOf(result: number): Refusal {
  if (result === 2) return 'not-authorized'
  if (result === NO_NETWORK) return 'no-network'
  if (result === 4) return 'no-resources'
  return result === 1 || result === 5 ? 'unsupported' : 'failed'
}

/** NAT-PMP towards one gateway. */
export function natPmpDialect({ port }: Network): Dialect {
  return {
    protocol: 'nat-pmp',
    encode: (task) => encodeNatPmp(task, port),
    decode: (bytes, task) => decodeNatPmp(bytes, task, port),
  }
}
