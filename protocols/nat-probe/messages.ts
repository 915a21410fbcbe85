import { bool, bytes, message, nested, uint32, uint64 } from '../kernel/protobuf.ts'
import { PEER_BYTES } from '../kernel/peer.ts'
import { PROBE_LIMITS } from './limits.ts'

/** The messages of nat-probe.proto as tables; `test/unit/nat-probe/messages.test.ts` holds the two against each other. */

const { messageBytes, nonceBytes, signatureBytes } = PROBE_LIMITS

/** An IPv6 address and a port. */
const ENDPOINT_BYTES = 18

const Sample = message({ connections: uint32(1) })
const Opened = message({ seen: bytes(1, ENDPOINT_BYTES), port: uint32(2) })
const Seen = message({ tag: bytes(1, nonceBytes), endpoint: bytes(2, ENDPOINT_BYTES) })
const Back = message({ nonce: bytes(1, nonceBytes), port: uint32(2), byOther: bool(3) })
const Outcome = message({ code: uint32(1) })
const Errand = message({ voucher: bytes(1, messageBytes), signature: bytes(2, signatureBytes) })
const Knock = message({ nonce: bytes(1, nonceBytes) })
const Refused = message({ code: uint32(1) })

/** What a helper signs, and a third peer goes by. */
export const Voucher = message({
  version: uint32(1),
  helper: bytes(2, PEER_BYTES),
  third: bytes(3, PEER_BYTES),
  asker: bytes(4, PEER_BYTES),
  target: bytes(5, ENDPOINT_BYTES),
  nonce: bytes(6, nonceBytes),
  issued: uint64(7),
})

/** Whatever stands on a stream, in either direction. */
export const Probe = message({
  sample: nested(1, Sample, messageBytes),
  opened: nested(2, Opened, messageBytes),
  seen: nested(3, Seen, messageBytes),
  back: nested(4, Back, messageBytes),
  outcome: nested(5, Outcome, messageBytes),
  errand: nested(6, Errand, messageBytes),
  knock: nested(7, Knock, messageBytes),
  refused: nested(8, Refused, messageBytes),
})
