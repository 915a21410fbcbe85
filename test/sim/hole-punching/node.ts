import { HolePunching } from '../../../protocols/hole-punching/hole-punching.ts'
import type { PunchInput, PunchOutput } from '../../../protocols/hole-punching/hole-punching.ts'
import type { Role } from '../../../protocols/hole-punching/outputs.ts'
import { SEARCH } from '../../../protocols/hole-punching/search-limits.ts'
import type { Target } from '../../../protocols/hole-punching/targets.ts'
import type { Alarm, Clock } from './clock.ts'
import type { Handlers, Host, Socket } from './tcp.ts'

type Dial = Extract<PunchOutput, { type: 'dial' }>
type Probe = Extract<PunchOutput, { type: 'probe' }>
type Knock = Extract<PunchOutput, { type: 'knock' }>

/** As in src/drivers/punch-dials.ts. */
const HANDSHAKE_MS = 5_000
const FINISH_MS = 2_000

/** Linux sends data again after 200 ms and the round trip, roughly. */
const DATA_MS = 300

/** What a node tells the world it is in. */
export interface Surroundings {
  carry(from: Node, output: Extract<PunchOutput, { type: 'send' }>): void
  performed(node: Node, output: PunchOutput): void
  /** One end of a connection is open, in that part. */
  opened(node: Node, socket: Socket, role: Role): void
}

/** The machine with a driver over virtual sockets, which does what src/drivers/punching.ts does over real ones. */
export class Node {
  readonly peer: string
  readonly other: string
  readonly host: Host
  readonly machine: HolePunching
  readonly #clock: Clock
  readonly #world: Surroundings
  metAt: number | undefined
  connectedAt: number | undefined
  #plan: Dial | undefined
  readonly #dialling = new Set<string>()
  readonly #sockets = new Set<Socket>()
  /** Accepted connections from there make us the client. */
  #expected: { ip: string; port?: number }[] = []
  /** What may still begin; a later one replaces it. */
  #run = { over: true }
  #search = { over: true }
  #searching = new Set<Socket>()
  #alarm: Alarm | undefined
  #localPort = 32_768

  constructor(
    names: { peer: string; other: string },
    host: Host,
    clock: Clock,
    world: Surroundings,
  ) {
    this.peer = names.peer
    this.other = names.other
    this.host = host
    this.#clock = clock
    this.#world = world
    this.machine = new HolePunching(this.peer, host.rng)
    host.accept = (from) => {
      const claimed = this.#expected.some(
        ({ ip, port }) => ip === from.ip && (port ?? from.port) === from.port,
      )
      return this.#shakingHands(claimed ? 'client' : 'server', () => {})
    }
  }

  feed(input: PunchInput): void {
    for (const output of this.machine.step(input, this.#clock.now)) this.#perform(output)
    this.#clock.callOff(this.#alarm)
    const wake = this.machine.nextWake()
    if (wake === undefined) return
    this.#alarm = this.#clock.after(wake - this.#clock.now, () => this.feed({ type: 'tick' }))
  }

  #perform(output: PunchOutput): void {
    this.#world.performed(this, output)
    if (output.type === 'send') this.#world.carry(this, output)
    else if (output.type === 'dial') this.#dial(output)
    else if (output.type === 'probe') this.#probe(output)
    else if (output.type === 'knock') this.#knock(output)
    else if (output.type === 'stop') this.#stop()
  }

  #dial(plan: Dial): void {
    if (this.#run.over) this.#run = { over: false }
    this.#plan = plan
    if (plan.role === 'client') this.#expected = [...plan.expect]
    for (const target of plan.targets) {
      const key = `${target.ip} ${target.port}`
      if (this.#dialling.has(key)) continue
      this.#dialling.add(key)
      this.#dialNext(target, 0, this.#run)
    }
  }

  #dialNext(target: Target, dialled: number, run: { over: boolean }): void {
    const plan = this.#plan as Dial
    const left = plan.until - this.#clock.now
    if (run.over || dialled >= target.dials || left <= 0) {
      this.#dialling.delete(`${target.ip} ${target.port}`)
      return
    }
    const early = plan.startAt + target.afterMs - this.#clock.now
    if (early > 0) {
      this.#clock.after(early, () => this.#dialNext(target, dialled, run))
      return
    }
    this.#dialOnce(target, () => {
      const { pauseMs, spreadMs } = this.#plan as Dial
      this.#clock.after(pauseMs + this.host.rng() * spreadMs, () =>
        this.#dialNext(target, dialled + 1, run),
      )
    })
  }

  #dialOnce(target: Target, failed: () => void): void {
    const handlers = this.#shakingHands((this.#plan as Dial).role, failed)
    const socket = this.host.connect(this.host.port, target, handlers)
    if (socket === undefined) {
      this.#clock.after(1, failed)
      return
    }
    this.#sockets.add(socket)
    this.#clock.after((this.#plan as Dial).resendMs, () => {
      if (socket.state === 'open' || socket.state === 'closed') return
      socket.close()
      failed()
    })
  }

  #stop(): void {
    this.#run.over = true
    const sockets = [...this.#sockets]
    this.#sockets.clear()
    this.#endSearch()
    this.#clock.after(FINISH_MS, () => {
      for (const socket of sockets) if (socket.state !== 'open') socket.close()
    })
  }

  #beginSearch(until: number): { over: boolean } {
    this.#endSearch()
    const search = { over: false }
    this.#search = search
    this.#clock.after(until - this.#clock.now, () => {
      if (this.#search === search) this.#endSearch()
    })
    return search
  }

  #endSearch(): void {
    this.#search.over = true
    for (const socket of this.#searching) if (socket.state !== 'open') socket.close()
    this.#searching.clear()
  }

  #probe(plan: Probe): void {
    const search = this.#beginSearch(plan.until)
    if (plan.role === 'client') this.#expected.push({ ip: plan.ip })
    const next = (i: number): void => {
      const port = plan.ports[i]
      if (search.over || port === undefined) return
      const handlers = this.#shakingHands(plan.role, () => {})
      const socket = this.host.connect(this.host.port, { ip: plan.ip, port }, handlers)
      if (socket !== undefined) this.#searching.add(socket)
      this.#clock.after(1_000 / SEARCH.probesPerSecond, () => next(i + 1))
    }
    next(0)
  }

  #knock(plan: Knock): void {
    const search = this.#beginSearch(plan.until)
    let [refused, paused, won] = [0, false, false]
    const failed = (): void => void refused++
    const next = (opened: number): void => {
      if (search.over || won || opened >= plan.sockets + Math.min(refused, plan.sockets)) return
      if (refused > 0 && !paused) {
        paused = true
        this.#clock.after(SEARCH.refusedPauseMs, () => next(opened))
        return
      }
      const handlers = this.#shakingHands(plan.role, failed)
      const first = (socket: Socket): void => {
        if (won || search.over) return socket.close()
        won = true
        for (const other of this.#searching) if (other !== socket) other.close()
        handlers.opened(socket)
      }
      const socket = this.host.connect(this.#localPort++, plan, { ...handlers, opened: first })
      if (socket !== undefined) this.#searching.add(socket)
      this.#clock.after(1_000 / SEARCH.socketsPerSecond, () => next(opened + 1))
    }
    this.#clock.after(plan.startAt - this.#clock.now, () => next(0))
  }

  /**
   * The handshake in place of noise and yamux: the client speaks first, and has met after one round trip, the server after one and a
   * half. Two clients see at once that something is wrong; two servers wait.
   */
  #shakingHands(role: Role, failed: () => void): Handlers {
    let socket: Socket | undefined
    let done = false
    const again = (data: string): void => {
      if (done || socket?.state !== 'open') return
      socket.write(data)
      this.#clock.after(DATA_MS, () => again(data))
    }
    const give = (): void => {
      if (done) return
      done = true
      socket?.close()
      failed()
    }
    const met = (): void => {
      if (done || socket === undefined) return
      done = true
      this.#met(socket)
    }
    return {
      opened: (open) => {
        socket = open
        this.connectedAt ??= this.#clock.now
        this.#world.opened(this, open, role)
        if (role === 'client') again('client hello')
        this.#clock.after(HANDSHAKE_MS, give)
      },
      failed: give,
      received: (data) => {
        if (data === 'client hello') {
          if (role === 'client') give()
          else again('server hello')
        } else if (data === 'server hello') {
          socket?.write('client done')
          met()
        } else met()
      },
    }
  }

  #met({ remote: { ip, port } }: Socket): void {
    this.metAt ??= this.#clock.now
    this.feed({ type: 'met', peer: this.other, address: `${ip}:${port}` })
  }
}
