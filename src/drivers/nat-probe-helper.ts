import type { Connection, Logger, PrivateKey } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { tcpAddress } from '../../protocols/kernel/address.ts'
import { keyOfPeer } from '../../protocols/kernel/peer.ts'
import type {
  DialOutcome,
  Endpoint,
  ProbeMessage,
  RefusalCode,
} from '../../protocols/nat-probe/codec.ts'
import { ProbeHelper } from '../../protocols/nat-probe/helper.ts'
import type {
  HelperInput,
  HelperOutput,
  SeenPeer,
  VouchedFor,
} from '../../protocols/nat-probe/helper.ts'
import { PROBE_LIMITS } from '../../protocols/nat-probe/limits.ts'
import { decodeVoucher, encodeVoucher, signedBytes } from '../../protocols/nat-probe/voucher.ts'
import { endpointOf } from '../net/connection.ts'
import { openSamplePort } from '../net/nat-probe/index.ts'
import type { DialRole, TcpReuseTransport } from '../net/tcp-reuse/index.ts'
import { wallClock } from './clock.ts'
import { drive } from './drive.ts'
import type { Driven } from './drive.ts'
import { Talk } from './nat-probe-talk.ts'
import { isGenuine, notation } from './overlay-records.ts'

export interface ProbeHelperDeps {
  self: string
  privateKey: PrivateKey
  transport: TcpReuseTransport
  /** Which addresses are of the internet. */
  isOutside(ip: string): boolean
  dial(address: Multiaddr, options: DialRole & { signal: AbortSignal }): Promise<Connection>
  /** Peers that may be sent: linked directly, speaking the protocol, reachable by strangers. */
  thirds(): { peer: string; connection: Connection }[]
}

type Result = DialOutcome | RefusalCode

/** One request while it is served. */
interface Job {
  talk: Talk
  errand?: { voucher: Uint8Array; signature: Uint8Array }
  answered(result: Result): void
}

/** What was done in this node's life, for metrics. */
export interface ProbeStats {
  /** Dials made for others, by outcome. */
  dials: Record<DialOutcome, number>
  refused: Record<RefusalCode, number>
}

/** Serves askers and other helpers as the helper machine decides. */
export class ProbeHelperDriver {
  readonly #deps: ProbeHelperDeps
  readonly #log: Logger
  readonly #stopping = new AbortController()
  readonly #jobs = new Map<number, Job>()
  readonly #driven: Driven<HelperInput>
  readonly #dials = { reached: 0, refused: 0, silent: 0, failed: 0 }
  readonly #refused = { 'too-many': 0, 'no-third': 0, unsupported: 0, voucher: 0, unknown: 0 }
  #numbers = 0

  constructor(deps: ProbeHelperDeps, log: Logger) {
    this.#deps = deps
    this.#log = log
    const dialable = (ip: string): boolean => deps.isOutside(ip)
    const options = { self: deps.self, rng: Math.random, dialable }
    const machine = new ProbeHelper(options, wallClock.now())
    this.#driven = drive<HelperInput, HelperOutput>(
      machine,
      (output) => this.#perform(output),
      wallClock,
    )
  }

  stats(): ProbeStats {
    return { dials: { ...this.#dials }, refused: { ...this.#refused } }
  }

  stop(): void {
    this.#stopping.abort(new Error('the node is stopping'))
    this.#driven[Symbol.dispose]()
    for (const job of this.#jobs.values()) job.answered('unsupported')
  }

  /** Answers a first message, to the end of its conversation. */
  async serve(talk: Talk, first: ProbeMessage): Promise<void> {
    const job = ++this.#numbers
    const { promise, resolve } = Promise.withResolvers<Result>()
    this.#jobs.set(job, {
      talk,
      answered: resolve,
      ...(first.type === 'errand' && { errand: first }),
    })
    const input = this.#inputFor(job, talk, first)
    if (input === undefined) resolve('unsupported')
    else this.#driven.feed(input)
    const result = await promise
    this.#jobs.delete(job)
    if (isRefusal(result)) this.#refused[result]++
    // Sampling has told what there is to tell.
    if (first.type !== 'sample' || isRefusal(result)) {
      const message = isRefusal(result)
        ? ({ type: 'refused', code: result } as const)
        : ({ type: 'outcome', outcome: result } as const)
      await talk.write(message, this.#stopping.signal)
    }
    await talk.close(this.#deadline(PROBE_LIMITS.answerMs))
  }

  #inputFor(
    job: number,
    { connection }: Talk,
    first: ProbeMessage,
  ): Exclude<HelperInput, { type: 'tick' }> | undefined {
    const seen = endpointOf(connection.remoteAddr)
    const peer = connection.remotePeer.toString()
    if (seen === undefined) return undefined // relayed: the address is the relay's
    const asker = { peer, ip: seen.host }
    if (first.type === 'sample') {
      const { localHost } = this.#deps.transport.facts(connection) ?? {}
      const able = localHost !== undefined && this.#deps.isOutside(localHost)
      return { type: 'sample', job, asker, connections: first.connections, able }
    }
    if (first.type === 'back') {
      const { port, byOther } = first
      const thirds = byOther ? this.#thirds() : []
      const nonce = toHex(first.nonce)
      return { type: 'back', job, asker, seenPort: seen.port, port, nonce, byOther, thirds }
    }
    if (first.type !== 'errand') return undefined
    return { type: 'errand', job, from: peer, voucher: readVoucher(first.voucher) }
  }

  #thirds(): SeenPeer[] {
    const known = this.#deps.thirds().flatMap(({ peer, connection }) => {
      const seen = endpointOf(connection.remoteAddr)
      return seen === undefined ? [] : [{ peer, ip: seen.host }]
    })
    return known.slice(0, PROBE_LIMITS.thirds)
  }

  #perform(output: HelperOutput): void {
    const job = this.#jobs.get(output.job)
    if (job === undefined) return
    if (output.type === 'answer') return job.answered(output.result)
    this.#carryOut(output, job).then(
      (result) => this.#driven.feed(result),
      (err: Error) => {
        this.#log('job %d failed - %e', output.job, err)
        this.#driven.feed({ type: 'ended', job: output.job, result: 'unsupported' })
      },
    )
  }

  async #carryOut(
    output: Exclude<HelperOutput, { type: 'answer' }>,
    job: Job,
  ): Promise<Extract<HelperInput, { type: 'ended' | 'verified' }>> {
    const number = output.job
    switch (output.type) {
      case 'verify':
        return { type: 'verified', job: number, genuine: await this.#isGenuine(output.by, job) }
      case 'listen':
        await this.#sample(output, job.talk)
        return { type: 'ended', job: number, result: 'reached' }
      case 'send':
        return { type: 'ended', job: number, result: await this.#send(output) }
      default: {
        const result = await this.#dial(output.peer, output.target, output.nonce)
        this.#dials[result]++
        return { type: 'ended', job: number, result }
      }
    }
  }

  async #isGenuine(by: string, { errand }: Job): Promise<boolean> {
    const helper = notation.peerBytes(by)
    if (errand === undefined || helper === undefined) return false
    const { voucher, signature } = errand
    return await isGenuine({ key: keyOfPeer(helper), bytes: signedBytes(voucher), signature })
  }

  async #sample(
    { ip, connections }: { ip: string; connections: number },
    talk: Talk,
  ): Promise<void> {
    const { localHost = '' } = this.#deps.transport.facts(talk.connection) ?? {}
    const seen = endpointOf(talk.connection.remoteAddr)
    if (seen === undefined) return
    const signal = this.#deadline(PROBE_LIMITS.sampleMs)
    const done = new AbortController()
    const { promise: all, resolve } = Promise.withResolvers<void>()
    const told: Promise<void>[] = []
    const port = await openSamplePort({
      host: localHost,
      from: ip,
      connections,
      tagBytes: PROBE_LIMITS.nonceBytes,
      signal: AbortSignal.any([signal, done.signal]),
      seen: (tag, host, from) => {
        const endpoint = { ip: host, port: from }
        const seen = { type: 'seen', tag: new Uint8Array(tag), endpoint } as const
        // An asker that is gone needs to be told nothing.
        told.push(talk.write(seen, signal).catch(() => {}))
        if (told.length === connections) resolve()
      },
    })
    const opened = { type: 'opened', seen: { ip: seen.host, port: seen.port }, port } as const
    await talk.write(opened, signal)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await all
    done.abort()
    await Promise.all(told)
  }

  /** Sends a third peer; what it says is passed on as it is. */
  async #send({ third, ...vouched }: Extract<HelperOutput, { type: 'send' }>): Promise<Result> {
    const to = this.#deps.thirds().find(({ peer }) => peer === third)
    const voucher = to === undefined ? undefined : await this.#sign({ third, ...vouched })
    if (to === undefined || voucher === undefined) return 'no-third'
    const signal = this.#deadline(PROBE_LIMITS.answerMs)
    let talk: Talk | undefined
    try {
      talk = await Talk.open(to.connection, signal)
      await talk.write({ type: 'errand', ...voucher }, signal)
      const answer = await talk.read(signal)
      await talk.close(signal)
      if (answer.type === 'outcome') return answer.outcome
      return answer.type === 'refused' ? answer.code : 'unsupported'
    } catch (err) {
      talk?.abort(err as Error)
      return 'failed' // it may have dialled: nobody else is sent
    }
  }

  async #sign(vouched: {
    third: string
    asker: string
    target: Endpoint
    nonce: string
  }): Promise<{ voucher: Uint8Array; signature: Uint8Array } | undefined> {
    const [helper, third, asker] = [this.#deps.self, vouched.third, vouched.asker].map((peer) =>
      notation.peerBytes(peer),
    )
    if (helper === undefined || third === undefined || asker === undefined) return undefined
    const voucher = encodeVoucher({
      helper,
      third,
      asker,
      target: vouched.target,
      nonce: fromHex(vouched.nonce),
      issued: Math.floor(wallClock.now() / 1000),
    })
    const signature = await this.#deps.privateKey.sign(signedBytes(voucher))
    return { voucher, signature: new Uint8Array(signature) }
  }

  /** From a port of its own, so that it looks like a stranger's; and closed again, whatever comes of it. */
  async #dial(peer: string, { ip, port }: Endpoint, nonce: string): Promise<DialOutcome> {
    const { connectMs, handshakeMs } = PROBE_LIMITS
    const began = performance.now()
    const signal = this.#deadline(connectMs + handshakeMs)
    let connection: Connection
    try {
      const address = multiaddr(`${tcpAddress(ip, port)}/p2p/${peer}`)
      connection = await this.#deps.dial(address, { signal, connectMs, fromListenPort: false })
    } catch (err) {
      return outcomeOf(err as NodeJS.ErrnoException, performance.now() - began)
    }
    try {
      const talk = await Talk.open(connection, signal)
      await talk.write({ type: 'knock', nonce: fromHex(nonce) }, signal)
      const answer = await talk.read(signal, handshakeMs)
      return answer.type === 'outcome' && answer.outcome === 'reached' ? 'reached' : 'failed'
    } catch {
      return 'failed'
    } finally {
      connection.close({ signal: this.#deadline(handshakeMs) }).catch((err: Error) => {
        connection.abort(err)
      })
    }
  }

  #deadline(ms: number): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ms)])
  }
}

const REFUSED = new Set(['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH'])

/** Slack of a timer on a busy machine. */
const LATE_MS = 250

/** No connection in the time for that is silence; what fails otherwise, such as a handshake, is no answer at all. */
function outcomeOf({ code, name }: NodeJS.ErrnoException, ms: number): DialOutcome {
  if (code !== undefined && REFUSED.has(code)) return 'refused'
  if (code === 'ETIMEDOUT') return 'silent'
  const gaveUp = name === 'AbortError' || name === 'TimeoutError'
  return gaveUp && ms < PROBE_LIMITS.connectMs + LATE_MS ? 'silent' : 'failed'
}

function isRefusal(result: Result): result is RefusalCode {
  return !['reached', 'refused', 'silent', 'failed'].includes(result)
}

function readVoucher(bytes: Uint8Array): VouchedFor | undefined {
  const voucher = decodeVoucher(bytes)
  if (voucher === undefined) return undefined
  const [helper, third, asker] = [voucher.helper, voucher.third, voucher.asker].map((id) =>
    notation.peerText(id),
  )
  if (helper === undefined || third === undefined || asker === undefined) return undefined
  const { target, nonce, issued } = voucher
  return { helper, third, asker, target, nonce: toHex(nonce), issuedAt: issued * 1000 }
}

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
