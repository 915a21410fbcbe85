import { randomBytes, timingSafeEqual } from 'node:crypto'
import { RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Connection, PeerId, Stream, StreamHandler, Transport } from '@libp2p/interface'
import type { Registrar, TransportManager } from '@libp2p/interface-internal'
import type { TestOutcome } from '../../protocols/relaying/keeper.ts'
import * as wire from '../../protocols/relaying/wire.ts'
import { frames } from '../net/frames.ts'
import type { Frames } from '../net/frames.ts'
import { overlay } from '../net/overlay.ts'
import { ping } from '../net/ping.ts'
import { resume } from '../net/stream-flow.ts'

/** What came of a test; `ms` is how long question and answer took, once the circuit stood. */
export interface TestResult {
  outcome: TestOutcome
  ms?: number
}

/** The most that a test may take: four round trips of 600 ms, and a lost frame on each half. */
const TEST_MS = 5_000

/** Where the round trip is known, twice as many of them, and this for a lost frame and a busy relay. */
const SLACK_MS = 1_500

/** A relay whose circuit fails answers us in this time, or our own connection is the problem. */
const PING_MS = 3_000

/** What a ping may take beyond two usual ones: a host, or a relay, that is busier than this would fail any test. */
const PROMPT_MS = 250

/** Long enough that no relay guesses it. */
const WORD_BYTES = 16

/** What we exchange of the transport's components. */
interface TransportParts {
  registrar: Registrar
  peerId: PeerId
  transportManager: TransportManager
}

/** What goes over one circuit to ourselves. */
interface Words {
  question: Uint8Array
  answer: Uint8Array
}

/**
 * Tests a relay by a circuit to ourselves: we ask it for a connection to our own id, and it has to open the other half
 * to us and carry a word there and another one back. No third peer takes part, and the relay only has to keep what
 * it promised. See docs/decisions/0019.
 */
export class CircuitTest {
  /** One test a relay at a time. */
  readonly #open = new Map<string, Words>()
  #self: PeerId | undefined

  /**
   * The circuit relay transport made by `make`, with our own answer to circuits that come from ourselves. Nor does it
   * listen through relays by itself: whom we let relay for us is decided elsewhere.
   */
  transport<Components extends TransportParts>(
    make: (components: Components) => Transport,
  ): (components: Components) => Transport {
    return (components) => {
      this.#self = components.peerId
      const { registrar } = components
      const handle: Registrar['handle'] = (protocol, handler, options) => {
        const watched = protocol === RELAY_V2_STOP_CODEC ? this.#watched(handler) : handler
        return registrar.handle(protocol, watched, options)
      }
      const replaced: Partial<TransportParts> = {
        registrar: overlay(registrar, { handle }),
        // Made after the transports, hence looked up when it is used.
        get transportManager() {
          return overlay(components.transportManager, { listen: async () => {} })
        },
      }
      return make(overlay(components, replaced as Partial<Components>))
    }
  }

  /** Whether the relay at the other end of this connection, which granted us a reservation, passes anything on. */
  async run(relay: Connection, signal: AbortSignal, rttMs = TEST_MS): Promise<TestResult> {
    const key = relay.remotePeer.toString()
    if (this.#self === undefined || this.#open.has(key)) return { outcome: 'unclear' }
    const words = { question: randomBytes(WORD_BYTES), answer: randomBytes(WORD_BYTES) }
    this.#open.set(key, words)
    const deadline = AbortSignal.timeout(Math.ceil(Math.min(TEST_MS, SLACK_MS + 8 * rttMs)))
    try {
      const within = AbortSignal.any([signal, deadline])
      return await this.#throughIt(relay, this.#self, words, within)
    } catch {
      return { outcome: (await isPrompt(relay, rttMs, signal)) ? 'silent' : 'unclear' }
    } finally {
      this.#open.delete(key)
    }
  }

  async #throughIt(
    relay: Connection,
    self: PeerId,
    { question, answer }: Words,
    signal: AbortSignal,
  ): Promise<TestResult> {
    const stream = await relay.newStream(RELAY_V2_HOP_CODEC, { signal })
    const abort = (): void => stream.abort(new Error('the test is over'))
    try {
      const hop = frames(stream, { maxBytes: wire.MAX_FRAME })
      const options = { signal, timeoutMs: TEST_MS }
      await hop.write(wire.hopConnect(self.toMultihash().bytes), options)
      const status = wire.readHopAnswer(await hop.read(options))?.status
      if (status !== wire.STATUS_OK) return { outcome: refusedTest(status) }
      const began = performance.now()
      await hop.write(question, options)
      const came = await hop.read(options)
      return isSame(came, answer)
        ? { outcome: 'forwards', ms: performance.now() - began }
        : { outcome: 'silent' }
    } finally {
      abort()
    }
  }

  /** Only circuits from ourselves are taken; everybody else's are the transport's. */
  #watched(handler: StreamHandler): StreamHandler {
    return async (stream, connection) => {
      const words = this.#open.get(connection.remotePeer.toString())
      // Nothing is read while no test is on; a late one of ours is refused by the gater, as any of ourselves.
      if (words === undefined) return handler(stream, connection)
      const stop = frames(stream, { maxBytes: wire.MAX_FRAME })
      const request = await stop.read({ timeoutMs: TEST_MS }).catch(() => undefined)
      if (request === undefined) return stream.abort(new Error('no request came'))
      const from = wire.readStopRequest(request)
      if (from !== undefined && this.#isSelf(from)) return await answer(stream, stop, words)
      stop.unwrap()
      stream.unshift(wire.frame(request))
      const handled = handler(stream, connection)
      resume(stream)
      return handled
    }
  }

  #isSelf(id: Uint8Array): boolean {
    const own = this.#self?.toMultihash().bytes
    return own !== undefined && isSame(id, own)
  }
}

/** The other half of our own circuit. */
async function answer(stream: Stream, stop: Frames, words: Words): Promise<void> {
  const options = { timeoutMs: TEST_MS }
  try {
    await stop.write(wire.stopAccept(), options)
    if (!isSame(await stop.read(options), words.question)) throw new Error('another question')
    await stop.write(words.answer, options)
    await stream.close()
  } catch (err) {
    stream.abort(err as Error)
  }
}

/** It forgot us, or cannot reach us: nobody comes through. Of its limits and permissions a test says nothing. */
function refusedTest(status: number | undefined): TestOutcome {
  const cutOff = status === wire.STATUS_NO_RESERVATION || status === wire.STATUS_CONNECTION_FAILED
  return cutOff ? 'silent' : 'unclear'
}

async function isPrompt(relay: Connection, rttMs: number, signal: AbortSignal): Promise<boolean> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(PING_MS)])
  return await ping(relay, within).then(
    (ms) => ms <= 2 * rttMs + PROMPT_MS,
    (err: Error) => err.name === 'UnsupportedProtocolError',
  )
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}
