import { canonicalIp } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import { callRequest, descriptionRequest, IGD_ERROR, readCall, readDescription } from './igd.ts'
import type { CallResult, IgdService } from './igd.ts'
import { PORT_MAPPING_LIMITS } from './limits.ts'
import { externalOf } from './nat-pmp.ts'
import { readFound, searches } from './ssdp.ts'
import type { Place } from './ssdp.ts'
import type { HttpAnswer, HttpRequest, Network, Outcome, Refusal, Task } from './way.ts'
import type { Way, WayInput, WayOutput } from './way.ts'

/** What goes on with the answer to the request that is under way. */
type Next = (answer: HttpAnswer | undefined, now: Instant) => WayOutput[]

/** Asks the gateway as a UPnP Internet Gateway Device: a search, its description, SOAP calls. */
export class IgdWay implements Way {
  readonly protocol = 'upnp'
  readonly #network: Network
  #task: Task | undefined
  #services: IgdService[] = []
  #searched = 0
  #wakeAt: Instant | undefined
  #id = 0
  #next: Next | undefined
  /** Some gateways grant leases without an end only. */
  #lease: number = PORT_MAPPING_LIMITS.leaseSeconds

  constructor(network: Network) {
    this.#network = network
  }

  begin(task: Task, now: Instant): WayOutput[] {
    this.#task = task
    this.#next = undefined
    this.#searched = 0
    if (task.do === 'ask') return this.#search(now)
    const [service] = this.#services
    if (service === undefined) return this.#done({ type: 'silent' })
    if (task.do === 'map') return this.#map(0, task.port, 0, now)
    if (task.do === 'check') return this.#check(service, task.port, now)
    return this.#call(service, 'DeletePortMapping', entryOf(task.port), now, () =>
      this.#done({ type: 'released' }),
    )
  }

  step(input: WayInput, now: Instant): WayOutput[] {
    if (input.type === 'found' && this.#searched > 0) return this.#found(input.text, now)
    if (input.type === 'answered' && input.id === this.#id) return this.#answered(input.answer, now)
    if (this.#wakeAt === undefined || now < this.#wakeAt) return []
    if (this.#searched > 0) return this.#search(now)
    return this.#answered(undefined, now)
  }

  nextWake(): Instant | undefined {
    return this.#wakeAt
  }

  #search(now: Instant): WayOutput[] {
    const pauseMs = PORT_MAPPING_LIMITS.searchMs[this.#searched++]
    if (pauseMs === undefined) return this.#done({ type: 'silent' })
    this.#wakeAt = now + pauseMs
    return [{ type: 'search', texts: searches() }]
  }

  #found(text: string, now: Instant): WayOutput[] {
    const place = readFound(text, this.#network.gateway)
    if (place === undefined) return []
    this.#searched = 0
    return this.#request(descriptionRequest(this.#id + 1, place), now, (answer) =>
      this.#described(answer, place),
    )
  }

  #described(answer: HttpAnswer | undefined, from: Place): WayOutput[] {
    if (answer === undefined) return this.#done({ type: 'silent' })
    const services =
      answer.status === 200 ? readDescription(answer.body, this.#network.gateway, from) : undefined
    if (services === undefined) return this.#refused('garbage')
    this.#services = services
    return services.length === 0 ? this.#refused('unsupported') : this.#done({ type: 'present' })
  }

  /** Maps on one service after the other, and a few ports on each. */
  #map(index: number, port: number, tries: number, now: Instant): WayOutput[] {
    const service = this.#services[index]
    if (service === undefined) return this.#refused('failed')
    const args = {
      ...entryOf(port),
      NewInternalPort: this.#network.port,
      NewInternalClient: this.#network.ip,
      NewEnabled: 1,
      NewPortMappingDescription: 'warren',
      NewLeaseDuration: this.#lease,
    }
    return this.#call(service, 'AddPortMapping', args, now, (result, at) => {
      if (result.type === 'done') return this.#mapped(index, port, at)
      const otherwise = this.#retry(index, port, tries, result, at)
      if (otherwise !== undefined) return otherwise
      const last = index + 1 >= this.#services.length
      return last ? this.#refused(refusalOf(result)) : this.#map(index + 1, port, 0, at)
    })
  }

  /** What some gateways want otherwise; undefined when asking again would be of no use. */
  #retry(
    index: number,
    port: number,
    tries: number,
    result: CallResult,
    now: Instant,
  ): WayOutput[] | undefined {
    if (result.type !== 'error' || tries >= PORT_MAPPING_LIMITS.maxPortTries) return undefined
    if (result.code === IGD_ERROR.onlyPermanent && this.#lease !== 0) {
      this.#lease = 0
      return this.#map(index, port, tries + 1, now)
    }
    const own = this.#network.port
    if (result.code === IGD_ERROR.samePort && port !== own)
      return this.#map(index, own, tries + 1, now)
    const taken = result.code === IGD_ERROR.conflict || result.code === IGD_ERROR.conflictWithOther
    return taken ? this.#map(index, nextPort(port), tries + 1, now) : undefined
  }

  #mapped(index: number, port: number, now: Instant): WayOutput[] {
    // From now on only the service that granted it is spoken to.
    const service = this.#services[index] as IgdService
    this.#services = [service]
    const request = callRequest(this.#id + 1, service, 'GetExternalIPAddress', {})
    return this.#request(request, now, (answer) => {
      const result = answer && readCall(answer, 'GetExternalIPAddress')
      const said = result?.type === 'done' ? result.value('NewExternalIPAddress') : undefined
      const external = externalOf(canonicalIp(said ?? ''))
      // One without an end is asked for again like the others.
      const seconds = PORT_MAPPING_LIMITS.leaseSeconds
      return this.#done({ type: 'granted', grant: { port, seconds, ...external } })
    })
  }

  #check(service: IgdService, port: number, now: Instant): WayOutput[] {
    const action = 'GetSpecificPortMappingEntry'
    return this.#call(service, action, entryOf(port), now, (result) => {
      if (result.type === 'error') {
        const gone = result.code === IGD_ERROR.noSuchEntry
        return this.#done({ type: gone ? 'forgotten' : 'standing' })
      }
      if (result.type === 'garbage') return this.#refused('garbage')
      const { ip, port: internal } = this.#network
      const ours =
        canonicalIp(result.value('NewInternalClient') ?? '') === ip &&
        Number(result.value('NewInternalPort')) === internal
      return this.#done({ type: ours ? 'standing' : 'forgotten' })
    })
  }

  #call(
    service: IgdService,
    action: string,
    args: Record<string, string | number>,
    now: Instant,
    next: (result: CallResult, now: Instant) => WayOutput[],
  ): WayOutput[] {
    const request = callRequest(this.#id + 1, service, action, args)
    return this.#request(request, now, (answer, at) => {
      if (answer === undefined) return this.#done({ type: 'silent' })
      return next(readCall(answer, action), at)
    })
  }

  #request(request: HttpRequest, now: Instant, next: Next): WayOutput[] {
    this.#id = request.id
    this.#next = next
    // The driver ends it earlier; this is for one that never answers.
    this.#wakeAt = now + PORT_MAPPING_LIMITS.httpMs + 1_000
    return [{ type: 'request', request }]
  }

  #answered(answer: HttpAnswer | undefined, now: Instant): WayOutput[] {
    const next = this.#next
    this.#next = undefined
    this.#wakeAt = undefined
    return next?.(answer, now) ?? []
  }

  #refused(reason: Refusal): WayOutput[] {
    return this.#done({ type: 'refused', reason })
  }

  #done(outcome: Outcome): WayOutput[] {
    const task = this.#task
    this.#task = undefined
    this.#next = undefined
    this.#wakeAt = undefined
    this.#searched = 0
    return task === undefined ? [] : [{ type: 'done', task, outcome }]
  }
}

/** What names a mapping: any remote host, this external port, TCP. */
function entryOf(port: number): Record<string, string | number> {
  return { NewRemoteHost: '', NewExternalPort: port, NewProtocol: 'TCP' }
}

/** Another port in the upper half, which no service has by itself. */
function nextPort(port: number): number {
  return 32_768 + ((port * 7 + 4_241) % 32_768)
}

function refusalOf(result: CallResult): Refusal {
  if (result.type !== 'error') return 'garbage'
  const { code } = result
  if (code === IGD_ERROR.conflict || code === IGD_ERROR.conflictWithOther) return 'port-taken'
  if (code === 606) return 'not-authorized'
  if (code === 401 || code === 402) return 'unsupported'
  return code === 728 ? 'no-resources' : 'failed'
}
