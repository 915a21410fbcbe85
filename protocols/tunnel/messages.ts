import { message, nested, text, uint32 } from '../kernel/protobuf.ts'
import { TUNNEL_LIMITS } from './limits.ts'

/** The messages of tunnel.proto as tables; `test/unit/tunnel/messages.test.ts` holds the two against each other. */

// Texts are bounded by the message alone: which names and sentences are acceptable is the codec's to say.
const { messageBytes } = TUNNEL_LIMITS

/** What the user of a service sends first. */
export const Open = message({
  version: uint32(1),
  flags: uint32(2),
  service: text(3, messageBytes),
})

/** What it is answered; one of `opened` and `refused` is set. */
export const Answer = message({
  version: uint32(1),
  opened: nested(2, message({ flags: uint32(1) }), messageBytes),
  refused: nested(3, message({ code: uint32(1), message: text(2, messageBytes) }), messageBytes),
})
