import {
  bool,
  bytes,
  choice,
  manyBytes,
  manyUint32,
  message,
  nested,
  uint32,
} from '../kernel/protobuf.ts'
import { LIMITS } from './limits.ts'

/** The messages of punch.proto as tables; `test/unit/hole-punching/messages.test.ts` holds the two against each other. */

const BEHAVIOURS = [
  'unknown',
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'none',
] as const

/** An IPv6 address and a port. */
const ENDPOINT_BYTES = 18

const Facts = message({
  external: manyBytes(1, LIMITS.external, ENDPOINT_BYTES),
  lan: manyBytes(2, LIMITS.lan, ENDPOINT_BYTES),
  mapping: choice(3, BEHAVIOURS),
  filtering: choice(4, BEHAVIOURS),
  reachability: choice(5, ['unknown', 'public', 'private'] as const),
  ports: manyUint32(6, LIMITS.ports),
  preservesPort: bool(7),
})

const Ask = message({
  method: choice(1, ['unspecified', 'meet', 'burst', 'search'] as const),
  facts: nested(2, Facts, LIMITS.messageBytes),
  callerOpens: bool(3),
  blind: bool(4),
})

const Answer = message({ facts: nested(1, Facts, LIMITS.messageBytes) })

const Refuse = message({ code: uint32(1), afterS: uint32(2) })

export const Punch = message({
  version: uint32(1),
  campaign: bytes(2, 16),
  round: uint32(3),
  ask: nested(4, Ask, LIMITS.messageBytes),
  answer: nested(5, Answer, LIMITS.messageBytes),
  refuse: nested(6, Refuse, LIMITS.messageBytes),
})
