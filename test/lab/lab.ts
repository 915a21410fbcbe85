/** A laboratory: an internet with delay and loss, public hosts on it, and hosts behind routers. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import {
  lanAddress,
  MAX_PUBLIC,
  rangesOf,
  type Lan,
  type LanUse,
  type Ranges,
} from './addresses.ts'
import { run } from './command.ts'
import { Host, Router } from './host.ts'
import {
  CHAINED,
  EPHEMERAL,
  firewallRules,
  publicHostRules,
  routerRules,
  type BasicKind,
  type NatKind,
} from './nat-kinds.ts'
import { newPrefix, temporaryFolder } from './sweep.ts'
import { Wire, type WireOptions } from './wire.ts'

export interface LabOptions extends Partial<WireOptions> {
  /** Whether machines on the internet have IPv6 addresses too. */
  ipv6?: boolean
  /** Which addresses and ports are handed out; 0 for the usual ones. */
  rangeSeed?: number
}

export interface NatHostOptions {
  /** Put the host behind this router instead of a new one. */
  behind?: Router
  /** Whether hosts behind the new router reach each other by its external address. */
  hairpin?: boolean
}

/** What the laboratory knows of a router beyond what its users need. */
interface Inside {
  lan: Lan
  hosts: number
}

/** Kernel settings of a router, which forwards and answers neighbour discovery for the hosts behind it at once. */
const ROUTER_SETTINGS = [
  'net/ipv4/ip_forward=1',
  'net/ipv6/conf/all/forwarding=1',
  'net/ipv6/conf/all/proxy_ndp=1',
  'net/ipv6/neigh/wan/proxy_delay=0',
]

/** Kernel settings of every machine: addresses answer only on their own device, and are usable at once. */
const SETTINGS = [
  'net/ipv6/conf/all/accept_dad=0',
  'net/ipv6/conf/default/accept_dad=0',
  'net/ipv4/conf/all/arp_ignore=1',
  'net/ipv4/conf/all/rp_filter=0',
  'net/ipv4/conf/default/rp_filter=0',
  `net/ipv4/ip_local_port_range=${EPHEMERAL}`,
  // 500 Mbit/s times 300 ms are 19 MB on the way.
  'net/ipv4/tcp_rmem=4096 131072 33554432',
  'net/ipv4/tcp_wmem=4096 131072 33554432',
]

/** As many as `MAX_PORTS` in switch.c. */
const SWITCH_PORTS = 256

/** Frames that a device may hold for the switch: one burst of a full TCP window. */
const DEVICE_QUEUE = 10_000

/** Laboratories of this process that are not closed. */
const open = new Set<Lab>()
let guarded = false

function endProcess(code: number): void {
  void Promise.allSettled([...open].map((lab) => lab.close())).then(() => process.exit(code))
}

/** Removes every laboratory before the process ends on a signal or an error; the watchdog covers the rest. */
function guardProcess(): void {
  if (guarded) return
  guarded = true
  process.on('SIGINT', () => endProcess(130))
  process.on('SIGTERM', () => endProcess(143))
  process.on('SIGHUP', () => endProcess(129))
  process.on('uncaughtException', (error) => {
    console.error(error)
    endProcess(1)
  })
}

/** One laboratory. Close it, or use `await using`. */
export class Lab implements AsyncDisposable {
  readonly prefix: string
  /** For files of its hosts; removed with it. */
  readonly folder: string
  readonly #wire: Wire
  readonly #watchdog: ChildProcess
  readonly #ipv6: boolean
  readonly #ranges: Ranges
  readonly #inside = new Map<Router, Inside>()
  readonly #names = new Set<string>()
  #plugged = 0
  #addresses = 0
  #lans = 0
  #hosts = 0
  #closing: Promise<void> | undefined

  private constructor(
    prefix: string,
    wire: Wire,
    watchdog: ChildProcess,
    ipv6: boolean,
    ranges: Ranges,
  ) {
    this.prefix = prefix
    this.folder = temporaryFolder(prefix)
    this.#wire = wire
    this.#watchdog = watchdog
    this.#ipv6 = ipv6
    this.#ranges = ranges
  }

  static async create(options: LabOptions = {}): Promise<Lab> {
    const { rttMs = 50, jitterMs = 0, lossPercent = 0, ipv6 = false, rangeSeed = 0 } = options
    guardProcess()
    const prefix = newPrefix()
    const watchdog = spawn(
      process.execPath,
      [fileURLToPath(new URL('./watchdog.ts', import.meta.url)), prefix],
      {
        stdio: ['pipe', 'ignore', 'inherit'],
        detached: true,
      },
    )
    await once(watchdog, 'spawn')
    const wire = await Wire.start({ rttMs, jitterMs, lossPercent })
    const lab = new Lab(prefix, wire, watchdog, ipv6, rangesOf(rangeSeed))
    open.add(lab)
    await mkdir(lab.folder, { recursive: true, mode: 0o700 })
    return lab
  }

  get wire(): WireOptions {
    return this.#wire.options
  }

  setDelay(rttMs: number, jitterMs = this.#wire.options.jitterMs): Promise<void> {
    return this.#wire.set({ rttMs, jitterMs })
  }

  setLoss(lossPercent: number): Promise<void> {
    return this.#wire.set({ lossPercent })
  }

  /** Makes everything that comes to a host take longer than what it sends: the two sides of a punch get out of step. */
  setLag(host: Host, extraMs: number): Promise<void> {
    return this.#wire.lag((host.router?.outermost ?? host).netns, extraMs)
  }

  /** A host on the internet, with an address of its own. */
  async publicHost(name: string): Promise<Host> {
    const { netns, address, prefix } = await this.#onTheInternet(name, {
      ipv4: true,
      ipv6: this.#ipv6,
    })
    await this.#rules(netns, publicHostRules())
    const ipv6Address = this.#ipv6 ? `${prefix}::1` : null
    return new Host(name, netns, { address, router: null, ipv6Address, ...this.#port() })
  }

  /** A host behind a router of this kind: a new one, or `behind` an existing one. */
  async natHost(name: string, kind: NatKind, options: NatHostOptions = {}): Promise<Host> {
    if (options.behind !== undefined) return this.#hostBehind(name, options.behind)
    if (kind === 'v6fw') return this.#hostBehindFirewall(name)
    const router = await this.router(`${name}-nat`, kind, options.hairpin ?? false)
    return this.#hostBehind(name, router)
  }

  /** A router on the internet; a chained kind makes two, and returns the inner one. */
  async router(name: string, kind: Exclude<NatKind, 'v6fw'>, hairpin = false): Promise<Router> {
    if (kind !== 'cgn' && kind !== 'double')
      return this.#routerOnInternet(name, kind, hairpin, 'home')
    const [outerKind, innerKind] = CHAINED[kind]
    const use = kind === 'cgn' ? 'carrier' : 'office'
    const outer = await this.#routerOnInternet(`${name}-outer`, outerKind, false, use)
    return this.#routerBehind(name, innerKind, hairpin, outer)
  }

  /** Ends every program in it and removes it. */
  close(): Promise<void> {
    this.#closing ??= this.#remove()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #remove(): Promise<void> {
    this.#watchdog.stdin?.end()
    if (this.#watchdog.exitCode === null) await once(this.#watchdog, 'exit')
    await this.#wire.close()
    open.delete(this)
  }

  /** An address on the internet that no machine has had. */
  freshAddress(): string {
    return this.#ranges.publicIPv4(this.#newNumber())
  }

  #newNumber(): number {
    if (this.#addresses === MAX_PUBLIC) throw new Error(`there are ${MAX_PUBLIC} public addresses`)
    return this.#addresses++
  }

  #port(): { listenPort: number } {
    return { listenPort: this.#ranges.listenPort(this.#hosts++) }
  }

  async #routerOnInternet(name: string, kind: BasicKind, hairpin: boolean, use: LanUse) {
    const { netns, address } = await this.#onTheInternet(name, { ipv4: true, ipv6: false })
    const router = new Router(name, netns, address, null)
    await this.#giveLan(router, use)
    await this.#rules(netns, routerRules({ kind, external: address, hairpin, onInternet: true }))
    return router
  }

  async #routerBehind(
    name: string,
    kind: BasicKind,
    hairpin: boolean,
    outer: Router,
  ): Promise<Router> {
    const netns = await this.#namespace(name)
    const address = await this.#plugInto(outer, netns)
    const router = new Router(name, netns, address, outer)
    await this.#giveLan(router, 'home')
    await this.#rules(netns, routerRules({ kind, external: address, hairpin, onInternet: false }))
    return router
  }

  async #hostBehind(name: string, router: Router): Promise<Host> {
    const netns = await this.#namespace(name)
    const address = await this.#plugInto(router, netns)
    return new Host(name, netns, { address, router, ipv6Address: null, ...this.#port() })
  }

  async #hostBehindFirewall(name: string): Promise<Host> {
    if (!this.#ipv6) throw new Error('v6fw needs a laboratory with ipv6')
    const { netns, address, prefix } = await this.#onTheInternet(`${name}-nat`, {
      ipv4: false,
      ipv6: true,
    })
    const router = new Router(`${name}-nat`, netns, address, null)
    await this.#settings(netns, ROUTER_SETTINGS)
    const inner = await this.#namespace(name)
    const hostAddress = `${prefix}:1::2`
    await this.#batch(netns, [
      'link add lan type bridge',
      'link set lan up',
      `address add ${prefix}:1::1/64 dev lan nodad`,
    ])
    await this.#veth(router, inner, 2)
    await this.#batch(inner, [
      `address add ${hostAddress}/64 dev wan nodad`,
      `route add ::/0 via ${prefix}:1::1 dev wan`,
    ])
    // The internet is flat: the router answers neighbour discovery for the host behind it.
    await this.#batch(netns, [`neighbour add proxy ${hostAddress} dev wan`])
    await this.#rules(netns, firewallRules())
    return new Host(name, inner, {
      address: hostAddress,
      router,
      ipv6Address: hostAddress,
      ...this.#port(),
    })
  }

  /** A namespace with a device on the switch. */
  async #onTheInternet(name: string, families: { ipv4: boolean; ipv6: boolean }) {
    if (this.#plugged === SWITCH_PORTS) throw new Error(`the switch has ${SWITCH_PORTS} ports`)
    this.#plugged += 1
    const n = this.#newNumber()
    const netns = await this.#namespace(name)
    await this.#wire.addPort(netns, 'wan')
    const prefix = this.#ranges.publicIPv6Prefix(n)
    const ipv4 = this.#ranges.publicIPv4(n)
    const commands = [`link set wan txqueuelen ${DEVICE_QUEUE} up`]
    if (families.ipv4)
      commands.push(`address add ${ipv4}/32 dev wan`, 'route add default dev wan scope link')
    if (families.ipv6)
      commands.push(`address add ${prefix}::1/128 dev wan nodad`, 'route add ::/0 dev wan')
    await this.#batch(netns, commands)
    return { netns, prefix, address: families.ipv4 ? ipv4 : `${prefix}::1` }
  }

  async #giveLan(router: Router, use: LanUse): Promise<void> {
    const lan = this.#ranges.lan(this.#lans++, use)
    this.#inside.set(router, { lan, hosts: 0 })
    await this.#settings(router.netns, ROUTER_SETTINGS)
    await this.#batch(router.netns, [
      'link add lan type bridge',
      `address add ${lanAddress(lan, 1)}/${lan.bits} dev lan`,
      'link set lan up',
    ])
  }

  /** Connects a namespace to a router's inner network and returns its address there. */
  async #plugInto(router: Router, netns: string): Promise<string> {
    const inside = this.#inside.get(router)
    if (inside === undefined) throw new Error(`${router.name} has no inner network`)
    const number = this.#ranges.firstHost + inside.hosts++
    const address = lanAddress(inside.lan, number)
    await this.#veth(router, netns, number)
    await this.#batch(netns, [
      `address add ${address}/${inside.lan.bits} dev wan`,
      `route add default via ${lanAddress(inside.lan, 1)}`,
    ])
    return address
  }

  async #veth(router: Router, netns: string, number: number): Promise<void> {
    const port = `lan${number}`
    await this.#batch(router.netns, [
      `link add ${port} type veth peer name wan netns ${netns}`,
      `link set ${port} master lan`,
      `link set ${port} up`,
    ])
    await this.#batch(netns, ['link set wan up'])
  }

  async #namespace(name: string): Promise<string> {
    if (this.#names.has(name)) throw new Error(`there is a machine named ${name} already`)
    this.#names.add(name)
    const netns = `${this.prefix}-${name}`
    await run(['ip', 'netns', 'add', netns])
    await this.#settings(netns, SETTINGS)
    await this.#batch(netns, ['link set lo up'])
    return netns
  }

  async #settings(netns: string, settings: readonly string[]): Promise<void> {
    const script = settings.map((setting) => {
      const [path = '', value = ''] = setting.split('=')
      return `echo '${value}' > /proc/sys/${path}`
    })
    await run(['ip', 'netns', 'exec', netns, 'sh', '-e'], { input: script.join('\n') })
  }

  async #batch(netns: string, commands: readonly string[]): Promise<void> {
    await run(['ip', '-n', netns, '-batch', '-'], { input: `${commands.join('\n')}\n` })
  }

  async #rules(netns: string, rules: string): Promise<void> {
    await run(['ip', 'netns', 'exec', netns, 'nft', '-f', '-'], { input: rules })
  }
}
