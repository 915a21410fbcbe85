import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection, Logger } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import { endpoint, tcpAddress } from '../../protocols/kernel/address.ts'
import type { PunchOutput, Role } from '../../protocols/hole-punching/outputs.ts'
import type { Expected, Target } from '../../protocols/hole-punching/targets.ts'
import { isPortTaken } from '../net/tcp-reuse/index.ts'
import type { DialRole } from '../net/tcp-reuse/index.ts'

export type DialOutput = Extract<PunchOutput, { type: 'dial' }>

export interface PunchDialsDeps {
  dial(address: Multiaddr, options: DialRole & { signal: AbortSignal }): Promise<Connection>
  /** While held, connections accepted from there take the client's role. */
  expectPunch(from: { host: string; port?: number; uses?: number }): Disposable
  now(): number
}

/** A dial that has connected shakes hands for this long at most; at 300 ms that takes one second. */
const HANDSHAKE_MS = 5_000

/** When both sides have met, whatever else is about to open may be the connection that the other side uses. */
const FINISH_MS = 2_000

/** How long to wait for a pair of ports that is in use. */
const PORT_TAKEN_MS = 50

/** Dials one peer's endpoints, in one role, until both sides have met. */
export class PunchDials {
  readonly #peer: string
  readonly #deps: PunchDialsDeps
  readonly #log: Logger
  /** No new dial from then on. */
  readonly #over = new AbortController()
  /** No dial is left that has not connected. */
  readonly #hopeless = new AbortController()
  /** Not even handshakes. */
  readonly #abandoned = new AbortController()
  readonly #expected = new Map<string, Disposable>()
  readonly #dialled = new Set<string>()
  #plan: DialOutput

  constructor(plan: DialOutput, deps: PunchDialsDeps, log: Logger) {
    this.#peer = plan.peer
    this.#plan = plan
    this.#deps = deps
    this.#log = log
    this.follow(plan)
  }

  get role(): Role {
    return this.#plan.role
  }

  /** The plan as it is now: further endpoints are dialled as well, and what is under way goes on. */
  follow(plan: DialOutput): void {
    this.#plan = plan
    for (const one of plan.expect) this.#expect(one)
    for (const target of plan.targets) {
      const key = endpoint(target.ip, target.port)
      if (this.#dialled.has(key)) continue
      this.#dialled.add(key)
      void this.#dialUntilMet(target).finally(() => this.#dialled.delete(key))
    }
  }

  /** The server's connection may reach our listener instead of our socket: as client we expect it. */
  #expect({ ip, port }: Expected): void {
    if (this.role === 'server') return
    const key = `${ip} ${port ?? ''}`
    if (this.#expected.has(key)) return
    try {
      const from = { host: ip, ...(port !== undefined && { port }) }
      this.#expected.set(key, this.#deps.expectPunch(from))
    } catch (err) {
      this.#log('cannot expect %s - %e', key, err)
    }
  }

  /** Dials no more. Handshakes go on for a moment, and, if both sides have `met`, so does all that is under way. */
  stop(met: boolean): void {
    this.#over.abort()
    if (!met) this.#hopeless.abort()
    setTimeout(() => this.#abandon(), FINISH_MS).unref()
  }

  #abandon(): void {
    this.#abandoned.abort()
    for (const one of this.#expected.values()) one[Symbol.dispose]()
    this.#expected.clear()
  }

  /**
   * Dials again and again: routers that answer strangers with RST refuse until the other side's SYN has opened their NAT, and
   * those that are silent may have lost it. The plan may grow meanwhile.
   */
  async #dialUntilMet({ ip, port, dials, afterMs }: Target): Promise<void> {
    const address = multiaddr(tcpAddress(ip, port)).encapsulate(`/p2p/${this.#peer}`)
    const over = this.#over.signal
    for (let dialled = 0; dialled < dials && !over.aborted; dialled++) {
      await this.#waitUntil(this.#plan.startAt + afterMs)
      const { until, pauseMs, spreadMs } = this.#plan
      if (over.aborted || this.#deps.now() >= until) return
      try {
        await this.#dial(address)
        return
      } catch (err) {
        this.#log('dial %d of %a did not meet - %s', dialled + 1, address, (err as Error).message)
        // A dial of before still has the pair of ports: this one did not even leave.
        if (isPortTaken(err)) {
          dialled--
          await this.#pause(PORT_TAKEN_MS)
        }
      }
      await this.#pause(pauseMs + Math.random() * spreadMs)
    }
  }

  async #dial(address: Multiaddr): Promise<void> {
    const { until, resendMs, fromListenPort } = this.#plan
    const left = Math.ceil(Math.max(0, until - this.#deps.now()))
    await this.#deps.dial(address, {
      signal: AbortSignal.any([this.#abandoned.signal, AbortSignal.timeout(left + HANDSHAKE_MS)]),
      connecting: this.#hopeless.signal,
      initiator: this.role === 'client',
      connectMs: resendMs,
      fromListenPort,
      fallback: false,
    })
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#over.signal }).catch(() => {})
  }

  async #waitUntil(at: number): Promise<void> {
    const ms = at - this.#deps.now()
    if (ms > 0) await this.#pause(ms)
  }
}
