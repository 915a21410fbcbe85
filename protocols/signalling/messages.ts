import { bytes, message, nested, uint32 } from '../kernel/protobuf.ts'
import { SIGNAL_LIMITS } from './limits.ts'

/** The messages of signal.proto as tables; `test/unit/signalling/messages.test.ts` holds the two against each other. */

// Blobs are bounded by the frame alone: a sealed part that is too big is refused by its code, not as a broken frame.
const { frameBytes } = SIGNAL_LIMITS

const Pass = message({
  to: bytes(1, frameBytes),
  sealed: bytes(2, frameBytes),
  id: uint32(3),
})

const Passed = message({
  from: bytes(1, frameBytes),
  seenIp: bytes(2, frameBytes),
  seenPort: uint32(3),
  sealed: bytes(4, frameBytes),
})

const Refused = message({ id: uint32(1), code: uint32(2) })

/** Whatever stands on a stream, in either direction. */
export const FrameMessage = message({
  pass: nested(1, Pass, frameBytes),
  passed: nested(2, Passed, frameBytes),
  refused: nested(3, Refused, frameBytes),
})
