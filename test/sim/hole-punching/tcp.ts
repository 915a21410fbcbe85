import type { Rng } from '../../../protocols/kernel/rng.ts'
import type { Alarm, Clock } from './clock.ts'

/** A TCP segment, as far as opening a connection depends on it. */
export interface Packet {
  flag: 'syn' | 'synack' | 'ack' | 'rst'
  src: string
  sport: number
  dst: string
  dport: number
  /** The sender's initial sequence number. */
  seq: number
  /** The receiver's, where it is acknowledged. */
  ack: number
  data?: string
}

/** Where a host sends its packets: the internet, or the router it is behind. */
export interface Uplink {
  send(packet: Packet): void
}

/** Linux sends a SYN again after one second, then three, then seven. */
const RESEND_MS = [1_000, 2_000, 4_000]

export interface Handlers {
  opened(socket: Socket): void
  failed(reason: string): void
  received(data: string): void
}

/** One end of a connection, with the states that matter while it opens: simultaneous open included. */
export class Socket {
  readonly key: string
  readonly #host: Host
  readonly #to: { ip: string; port: number }
  readonly #from: number
  readonly seq: number
  /** The peer's sequence number. */
  ack = 0
  readonly passive: boolean
  state: 'syn-sent' | 'syn-rcvd' | 'open' | 'closed' = 'syn-sent'
  handlers: Handlers
  #resend: Alarm | undefined

  constructor(
    host: Host,
    from: number,
    to: { ip: string; port: number },
    handlers: Handlers,
    syn?: Packet,
  ) {
    this.key = keyOf(from, to.ip, to.port)
    this.#host = host
    this.#from = from
    this.#to = to
    this.handlers = handlers
    this.seq = 1 + Math.floor(host.rng() * 0xfffffffe)
    this.passive = syn !== undefined
    if (syn === undefined) this.#sendAgain('syn', 0)
    else this.#meet(syn)
  }

  get remote(): { ip: string; port: number } {
    return this.#to
  }

  receive(packet: Packet): void {
    if (packet.flag === 'rst') return this.#refused(packet)
    if (packet.flag === 'syn') {
      if (this.state === 'syn-sent') this.#meet(packet)
      return
    }
    if (packet.ack !== this.seq) {
      if (this.state === 'syn-sent') this.#host.reset(packet)
      return
    }
    if (packet.flag === 'synack' && this.state === 'syn-sent') {
      this.ack = packet.seq
      this.#send('ack')
      return this.#open()
    }
    if (this.state === 'syn-rcvd') this.#open()
    else if (packet.flag === 'synack' && this.state === 'open') this.#send('ack')
    if (packet.data !== undefined && this.state === 'open') this.handlers.received(packet.data)
  }

  write(data: string): void {
    if (this.state === 'open') this.#send('ack', data)
  }

  /** Before the connection is open nothing is sent: nobody is told. */
  close(): void {
    if (this.state === 'closed') return
    const told = this.state !== 'syn-sent'
    this.#end()
    if (told) this.#send('rst')
  }

  /** Both sent their SYN: each answers with the SYN it has sent, and the other's acknowledged. */
  #meet(syn: Packet): void {
    this.ack = syn.seq
    this.state = 'syn-rcvd'
    this.#sendAgain('synack', 0)
  }

  /** A router's answer to a SYN fits the SYN only; once the other side's is known, a RST must continue that. */
  #refused(packet: Packet): void {
    const fits = this.state === 'syn-sent' ? packet.ack === this.seq : packet.seq === this.ack
    if (!fits) return
    this.#end()
    this.handlers.failed('refused')
  }

  #open(): void {
    this.#host.clock.callOff(this.#resend)
    this.state = 'open'
    this.handlers.opened(this)
  }

  #end(): void {
    this.#host.clock.callOff(this.#resend)
    this.state = 'closed'
    this.#host.forget(this)
  }

  #sendAgain(flag: Packet['flag'], times: number): void {
    this.#host.clock.callOff(this.#resend)
    this.#send(flag)
    const ms = RESEND_MS[times]
    if (ms !== undefined) {
      this.#resend = this.#host.clock.after(ms, () => this.#sendAgain(flag, times + 1))
    }
  }

  #send(flag: Packet['flag'], data?: string): void {
    const { ip, uplink } = this.#host
    const { seq, ack } = this
    const packet = {
      flag,
      src: ip,
      sport: this.#from,
      dst: this.#to.ip,
      dport: this.#to.port,
      seq,
      ack,
    }
    uplink.send(data === undefined ? packet : { ...packet, data })
  }
}

/** A machine with one listening port, which its dials leave from. */
export class Host {
  readonly ip: string
  readonly port: number
  readonly clock: Clock
  readonly rng: Rng
  readonly uplink: Uplink
  /** Says what is done with a connection that the listener accepts. */
  accept: (from: { ip: string; port: number }) => Handlers = () => IGNORED
  readonly #sockets = new Map<string, Socket>()

  constructor(at: { ip: string; port: number }, uplink: Uplink, clock: Clock, rng: Rng) {
    this.ip = at.ip
    this.port = at.port
    this.uplink = uplink
    this.clock = clock
    this.rng = rng
  }

  /** Undefined when that port has a connection to there already. */
  connect(from: number, to: { ip: string; port: number }, handlers: Handlers): Socket | undefined {
    if (this.#sockets.has(keyOf(from, to.ip, to.port))) return undefined
    const socket = new Socket(this, from, to, handlers)
    this.#sockets.set(socket.key, socket)
    return socket
  }

  receive(packet: Packet): void {
    const { src, sport, dport, flag } = packet
    const socket = this.#sockets.get(keyOf(dport, src, sport))
    if (socket !== undefined) return socket.receive(packet)
    if (flag === 'rst') return
    if (flag !== 'syn' || dport !== this.port) return this.reset(packet)
    const from = { ip: src, port: sport }
    const accepted = new Socket(this, dport, from, this.accept(from), packet)
    this.#sockets.set(accepted.key, accepted)
  }

  /** Nobody here waits for that. */
  reset({ src, sport, dst, dport, seq, ack }: Packet): void {
    this.uplink.send({
      flag: 'rst',
      src: dst,
      sport: dport,
      dst: src,
      dport: sport,
      seq: ack,
      ack: seq,
    })
  }

  forget(socket: Socket): void {
    if (this.#sockets.get(socket.key) === socket) this.#sockets.delete(socket.key)
  }
}

const IGNORED: Handlers = { opened: () => {}, failed: () => {}, received: () => {} }

function keyOf(from: number, ip: string, port: number): string {
  return `${from} ${ip} ${port}`
}
