/** What a helper vouches for towards a third peer, and what its signature is over. The cryptography is not here. */
import { endpointBytes, endpointFromBytes } from '../kernel/address.ts'
import { isPeer } from '../kernel/peer.ts'
import { attempt, Writer } from '../kernel/protobuf-bytes.ts'
import type { Endpoint } from './codec.ts'
import { PROBE_LIMITS, VOUCHER_DOMAIN } from './limits.ts'
import { Voucher as VoucherMessage } from './messages.ts'

/** Peer ids are the 38 bytes of Ed25519 ids. */
export interface Voucher {
  helper: Uint8Array
  third: Uint8Array
  asker: Uint8Array
  target: Endpoint
  nonce: Uint8Array
  /** Unix time in seconds. */
  issued: number
}

const VERSION = 1

/** The bytes of a voucher, which are signed and sent as they are. */
export function encodeVoucher({ target, ...voucher }: Voucher): Uint8Array {
  return VoucherMessage.encode({
    version: VERSION,
    ...voucher,
    target: endpointBytes(target.ip, target.port),
  })
}

/** Reads a voucher; undefined for bytes that are none. Says nothing of its signature. */
export function decodeVoucher(bytes: Uint8Array): Voucher | undefined {
  const wire = attempt(() => VoucherMessage.decode(bytes))
  if (wire === undefined || wire.version !== VERSION) return undefined
  const { helper, third, asker, nonce, issued } = wire
  const target = endpointFromBytes(wire.target)
  if (![helper, third, asker].every(isPeer) || target === undefined) return undefined
  if (nonce.length !== PROBE_LIMITS.nonceBytes) return undefined
  return { helper, third, asker, target, nonce, issued }
}

/** What is signed: the domain string and the voucher, each after its length. */
export function signedBytes(voucher: Uint8Array): Uint8Array {
  const writer = new Writer()
  writer.blob(new TextEncoder().encode(VOUCHER_DOMAIN))
  writer.blob(voucher)
  return writer.finish()
}
