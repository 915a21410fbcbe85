import type { ConnectionProtector, MessageStream, Transport, Upgrader } from '@libp2p/interface'
import { AbstractMessageStream } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { overlay } from '../overlay.ts'
import { agreementOn } from './agreement.ts'
import { stripAnswer, unshadow } from './strip.ts'

interface WithUpgrader {
  upgrader: Upgrader
}

/**
 * An upgrader that does not wait for the peer to agree to the encryption when we speak first: the handshake follows
 * the question at once. That saves one round trip, and the peer's answer is checked when it comes.
 */
export function eagerUpgrader(real: Upgrader): Upgrader {
  return overlay(real, {
    upgradeOutbound: async (maConn, options) => {
      if (options.initiator !== false) agreeOnEncryption(maConn, real)
      return await real.upgradeOutbound(maConn, options)
    },
  })
}

/** A transport made by `make` that hands its connections to an eager upgrader. */
export function eagerTransport<Components extends WithUpgrader>(
  make: (components: Components) => Transport,
): (components: Components) => Transport {
  return (components) => {
    const replaced: Partial<WithUpgrader> = { upgrader: eagerUpgrader(components.upgrader) }
    return make(overlay(components, replaced as Partial<Components>))
  }
}

/**
 * A connection protector beneath which the same happens: with a network key, what an eager upgrader sees of a
 * connection is its encrypted outside.
 */
export function eagerProtector(
  make: () => ConnectionProtector,
): (components: WithUpgrader) => ConnectionProtector {
  return (components) => {
    const real = make()
    return overlay(real, {
      protect: async (connection, options) => {
        const inside = await real.protect(connection, options)
        agreeOnEncryption(inside, components.upgrader)
        return inside
      },
    })
  }
}

/**
 * Answers in the peer's place when the first thing written is the question for the only encryption there is. Anything
 * else is left alone: the nonce of a network key, or the words of the side that answers.
 */
function agreeOnEncryption(stream: MessageStream, upgrader: Upgrader): void {
  const [encryption, ...others] = upgrader.getConnectionEncrypters().keys()
  if (encryption === undefined || others.length > 0) return
  if (!(stream instanceof AbstractMessageStream)) return
  const agreement = agreementOn(encryption)
  stream.send = (data) => {
    unshadow(stream, 'send')
    const more = stream.send(data)
    if (Buffer.compare(data.subarray(), agreement) === 0) {
      const early = takeBuffered(stream)
      stream.onData(agreement)
      stripAnswer(stream, encryption)
      stream.onData(early)
    }
    return more
  }
}

/**
 * What has arrived and nobody has read yet: a peer may send its half of the negotiation without waiting for ours.
 * The buffer is protected by type only.
 */
function takeBuffered(stream: AbstractMessageStream): Uint8ArrayList {
  const { readBuffer } = stream as unknown as { readBuffer: Uint8ArrayList }
  const bytes = readBuffer.sublist()
  readBuffer.consume(bytes.byteLength)
  return bytes
}
