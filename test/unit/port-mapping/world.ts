import { seededRng } from '../../../protocols/kernel/rng.ts'
import { PortMappingMachine } from '../../../protocols/port-mapping/port-mapping.ts'
import type {
  Mapping,
  PortMappingInput,
  PortMappingOutput,
} from '../../../protocols/port-mapping/io.ts'
import type { HttpRequest } from '../../../protocols/port-mapping/way.ts'

/** One millisecond each way, as on a LAN. */
const HOP_MS = 1

export const NETWORK = { gateway: '192.168.1.1', ip: '192.168.1.2', port: 4001 }
export const WISH = 33_333
export const NONCE = new Uint8Array(12).fill(7)

/** A home router as far as a machine can tell; what it speaks and says can be changed while time goes on. */
export class Gateway {
  speaks = { pcp: true, natPmp: true, upnp: true }
  /** ICMP tells that nobody listens at the port of NAT-PMP and PCP. */
  unreachable = false
  externalIp = '51.20.0.10'
  /** Result codes instead of success; UPnP's by action. */
  pcpResult = 0
  natPmpResult = 0
  upnpErrors: Record<string, number> = {}
  /** External port to internal one. */
  readonly mapped = new Map<number, number>()
  lease = 1_200
  leases: number[] = []
  bootMs = 0
  location = 'http://192.168.1.1:5000/root.xml'

  /** Loses what it knows, and begins to count anew. */
  restart(now: number): void {
    this.bootMs = now
    this.mapped.clear()
  }

  datagram(protocol: 'pcp' | 'nat-pmp', question: Uint8Array, now: number): Uint8Array | undefined {
    const asked = new DataView(question.buffer, question.byteOffset, question.length)
    const answer = new Uint8Array(
      protocol === 'pcp' ? question.length : question.length === 2 ? 12 : 16,
    )
    const view = new DataView(answer.buffer)
    const seconds = Math.floor((now - this.bootMs) / 1000)
    if (protocol === 'nat-pmp') {
      if (!this.speaks.natPmp) return undefined
      answer[1] = (question[1] ?? 0) | 128
      view.setUint16(2, this.natPmpResult)
      view.setUint32(4, seconds)
      if (question.length === 2) answer.set(this.externalIp.split('.').map(Number), 8)
      else {
        const [inner, wished, lease] = [asked.getUint16(4), asked.getUint16(6), asked.getUint32(8)]
        view.setUint16(8, inner)
        view.setUint16(10, this.natPmpResult === 0 ? this.#map(inner, wished, lease) : 0)
        view.setUint32(12, lease === 0 ? 0 : this.lease)
      }
      return answer
    }
    if (!this.speaks.pcp) return undefined
    answer.set(question)
    answer.fill(0, 2, 24)
    answer[1] = (question[1] ?? 0) | 128
    answer[3] = question.length === 60 ? this.pcpResult : 0
    view.setUint32(8, seconds)
    if (question.length === 60 && this.pcpResult === 0) {
      const [inner, wished, lease] = [asked.getUint16(40), asked.getUint16(42), asked.getUint32(4)]
      view.setUint32(4, lease === 0 ? 0 : this.lease)
      view.setUint16(42, this.#map(inner, wished, lease))
      answer.set(
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...this.externalIp.split('.').map(Number)],
        44,
      )
    }
    return answer
  }

  #map(inner: number, wished: number, lease: number): number {
    if (lease > 0) this.leases.push(lease)
    for (const [outer, to] of this.mapped) if (to === inner) this.mapped.delete(outer)
    if (lease > 0) this.mapped.set(wished, inner)
    return wished
  }

  http({ body, path, headers }: HttpRequest): { status: number; body: string } | undefined {
    if (!this.speaks.upnp) return undefined
    if (path === '/root.xml') return { status: 200, body: DESCRIPTION }
    const action = /#(\w+)/.exec(headers['soapaction'] ?? '')?.[1] ?? ''
    const value = (name: string): string => new RegExp(`<${name}>(.*?)</`).exec(body)?.[1] ?? ''
    const [port, lease] = [Number(value('NewExternalPort')), Number(value('NewLeaseDuration'))]
    const known = this.mapped.get(port)
    let error = this.upnpErrors[action]
    if (action === 'AddPortMapping' && error === 725 && lease === 0) error = undefined
    if (action === 'AddPortMapping' && error === 724 && port === NETWORK.port) error = undefined
    if (action === 'AddPortMapping' && error === 718 && port !== WISH) error = undefined
    if (action === 'GetSpecificPortMappingEntry' && known === undefined) error ??= 714
    if (error !== undefined)
      return {
        status: 500,
        body: envelope(`<s:Fault><detail><errorCode>${error}</errorCode></detail></s:Fault>`),
      }
    if (action === 'AddPortMapping') {
      this.leases.push(lease)
      this.mapped.set(port, Number(value('NewInternalPort')))
    }
    if (action === 'DeletePortMapping') this.mapped.delete(port)
    const inside =
      action === 'GetExternalIPAddress'
        ? `<NewExternalIPAddress>${this.externalIp}</NewExternalIPAddress>`
        : `<NewInternalPort>${known}</NewInternalPort><NewInternalClient>${NETWORK.ip}</NewInternalClient>`
    return {
      status: 200,
      body: envelope(`<u:${action}Response xmlns:u="x">${inside}</u:${action}Response>`),
    }
  }
}

const envelope = (inside: string): string =>
  `<?xml version="1.0"?><s:Envelope xmlns:s="y"><s:Body>${inside}</s:Body></s:Envelope>`

const DESCRIPTION = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL></service></serviceList></device></root>`

export type Sent = PortMappingOutput & { atMs: number }

/** A machine, its gateway, and a clock that goes as fast as it may. */
export class World {
  readonly gateway = new Gateway()
  readonly machine: PortMappingMachine
  readonly sent: Sent[] = []
  #coming: { atMs: number; input: PortMappingInput }[] = []
  now = 0

  constructor() {
    this.machine = new PortMappingMachine({ wish: WISH, nonce: NONCE, rng: seededRng(1) })
  }

  /** The mapping as the machine last told of it. */
  held(): Mapping | undefined {
    const last = this.sent.findLast((output) => output.type === 'changed')
    return last?.type === 'changed' ? last.mapping : undefined
  }

  feed(input: PortMappingInput): void {
    for (const output of this.machine.step(input, this.now)) this.#carry(output)
  }

  enter(): this {
    this.feed({ type: 'network', network: NETWORK })
    return this
  }

  /** Lets time pass. */
  run(ms: number): this {
    const until = this.now + ms
    for (;;) {
      const [next] = this.#coming.sort((a, b) => a.atMs - b.atMs)
      const wake = this.machine.nextWake() ?? Infinity
      const at = Math.min(next?.atMs ?? Infinity, wake)
      if (at > until) break
      this.now = Math.max(this.now, at)
      if (next !== undefined && next.atMs <= wake) {
        this.#coming = this.#coming.slice(1)
        this.feed(next.input)
      } else this.feed({ type: 'tick' })
    }
    this.now = until
    return this
  }

  count(type: Sent['type'], sinceMs = 0): number {
    return this.sent.filter((one) => one.type === type && one.atMs >= sinceMs).length
  }

  #carry(output: PortMappingOutput): void {
    this.sent.push({ ...output, atMs: this.now })
    const later = (input: PortMappingInput): void =>
      void this.#coming.push({ atMs: this.now + 2 * HOP_MS, input })
    if (output.type === 'send') {
      const { protocol } = output
      const bytes = this.gateway.datagram(protocol, output.bytes, this.now)
      if (this.gateway.unreachable) later({ type: 'unreachable', protocol })
      else if (bytes !== undefined) later({ type: 'datagram', protocol, bytes })
    }
    if (output.type === 'search' && this.gateway.speaks.upnp)
      later({
        type: 'found',
        text: `HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLocation: ${this.gateway.location}\r\n\r\n`,
      })
    if (output.type === 'request')
      later({ type: 'answered', id: output.request.id, answer: this.gateway.http(output.request) })
  }
}
