import { ipBytes, ipFromBytes } from '../kernel/address.ts'
import { PORT_MAPPING_LIMITS } from './limits.ts'
import { externalOf } from './nat-pmp.ts'
import type { Dialect, Heard } from './question.ts'
import type { Network, Refusal, Task } from './way.ts'

/** PCP, RFC 6887: the opcodes ANNOUNCE and MAP, without options. */

const VERSION = 2
const OP = { announce: 0, map: 1 } as const
const RESPONSE = 0x80
const TCP = 6
const UNSUPPORTED_OPCODE = 4
const HEAD_BYTES = 24
const MAP_BYTES = 36

/** Section 11.1: whoever knows it may renew and delete a mapping, so it is secret and stays the same. */
export const NONCE_BYTES = 12

/** What makes a question ours: where we are and the secret of our mapping. */
export interface PcpClient {
  ip: string
  port: number
  nonce: Uint8Array
}

/** The bytes of a question; everything but mapping and releasing is an ANNOUNCE, which every server answers. */
export function encodePcp(task: Task, { ip, port, nonce }: PcpClient): Uint8Array {
  const maps = task.do === 'map' || task.do === 'release'
  const bytes = new Uint8Array(HEAD_BYTES + (maps ? MAP_BYTES : 0))
  const view = new DataView(bytes.buffer)
  bytes[0] = VERSION
  bytes[1] = maps ? OP.map : OP.announce
  view.setUint32(4, task.do === 'map' ? PORT_MAPPING_LIMITS.leaseSeconds : 0)
  bytes.set(wide(ip), 8)
  if (!maps) return bytes
  bytes.set(nonce.subarray(0, NONCE_BYTES), 24)
  bytes[36] = TCP
  view.setUint16(40, port)
  // Section 15: what is to go has neither external port nor address.
  view.setUint16(42, task.do === 'release' ? 0 : task.port)
  bytes.set(wide(ip.includes(':') ? '::' : '0.0.0.0'), 44)
  return bytes
}

/** Reads the answer to a question; undefined for anything that is none. */
export function decodePcp(bytes: Uint8Array, task: Task, client: PcpClient): Heard | undefined {
  // Section 8.3: an older server says so in its own version, which may be NAT-PMP's.
  const older = (bytes[0] ?? 255) < VERSION && bytes.length >= 4 && bytes.length <= HEAD_BYTES
  if (older && bytes[3] === 1) return { outcome: { type: 'refused', reason: 'unsupported' } }
  const whole = bytes.length >= HEAD_BYTES && bytes.length <= PORT_MAPPING_LIMITS.maxPcpBytes
  if (!whole || bytes.length % 4 !== 0 || bytes[0] !== VERSION) return undefined
  const maps = task.do === 'map' || task.do === 'release'
  if (bytes[1] !== (RESPONSE | (maps ? OP.map : OP.announce))) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const [result, epoch] = [bytes[3] as number, view.getUint32(8)]
  if (!maps) {
    const known = result === 0 || result === UNSUPPORTED_OPCODE
    if (!known) return { outcome: { type: 'refused', reason: refusalOf(result) } }
    return { epoch, outcome: { type: task.do === 'ask' ? 'present' : 'standing' } }
  }
  if (bytes.length < HEAD_BYTES + MAP_BYTES || !isOurs(bytes, view, client)) return undefined
  if (result !== 0) return { outcome: { type: 'refused', reason: refusalOf(result) } }
  if (task.do === 'release') return { outcome: { type: 'released' } }
  const [port, seconds] = [view.getUint16(42), view.getUint32(4)]
  if (port === 0 || seconds === 0) return { outcome: { type: 'refused', reason: 'failed' } }
  const external = externalOf(ipFromBytes(bytes.subarray(44, 60)))
  return { epoch, outcome: { type: 'granted', grant: { port, seconds, ...external } } }
}

/** Section 11.4: nonce, protocol and internal port must be those of the question. */
function isOurs(bytes: Uint8Array, view: DataView, { nonce, port }: PcpClient): boolean {
  const same = nonce.every((byte, i) => bytes[HEAD_BYTES + i] === byte)
  return same && bytes[36] === TCP && view.getUint16(40) === port
}

/** An address in PCP's 128 bits; IPv4 as IPv4-mapped IPv6. */
function wide(ip: string): Uint8Array {
  const bytes = ipBytes(ip) ?? new Uint8Array(4)
  if (bytes.length === 16) return bytes
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...bytes)
}

function refusalOf(result: number): Refusal {
  if (result === 2) return 'not-authorized'
  if (result === 7) return 'no-network'
  if (result === 8 || result === 10) return 'no-resources'
  if (result === 11) return 'port-taken'
  if (result === 12) return 'mismatch'
  return [1, 4, 5, 9].includes(result) ? 'unsupported' : 'failed'
}

/** PCP towards one gateway. */
export function pcpDialect({ ip, port }: Network, nonce: Uint8Array): Dialect {
  const client = { ip, port, nonce }
  return {
    protocol: 'pcp',
    encode: (task) => encodePcp(task, client),
    decode: (bytes, task) => decodePcp(bytes, task, client),
  }
}
