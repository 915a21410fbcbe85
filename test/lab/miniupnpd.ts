/** Debian's miniupnpd on a router: PCP, NAT-PMP and UPnP as home routers speak them. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './command.ts'
import type { Program, Router } from './host.ts'

/** Its rules, in a table of its own; and the router lets its hosts speak to it. */
const TABLE = `table inet miniupnpd {
  chain forward { type filter hook forward priority filter; }
  chain prerouting { type nat hook prerouting priority dstnat; }
  chain postrouting { type nat hook postrouting priority srcnat; }
}
`
const OPEN = 'insert rule ip filter itself iifname "lan" accept\n'

/** PCP is version 2 in the first byte behind the UDP header; what is dropped here leaves NAT-PMP alone. */
const WITHOUT_PCP = 'insert rule ip filter itself udp dport 5351 @th,64,8 2 drop\n'

export interface MiniupnpdOptions {
  /** What the router speaks; all by default. */
  speaks?: 'all' | 'nat-pmp' | 'upnp'
  /** Whether it maps ports although its own address is private, as routers in shops do. */
  whateverItsAddress?: boolean
}

const yes = (condition: boolean): string => (condition ? 'yes' : 'no')

/** The daemon on one router. */
export class Miniupnpd {
  readonly #router: Router
  readonly #folder: string
  readonly #options: MiniupnpdOptions
  #program: Program | undefined

  /** Prepares the router and starts the daemon. */
  static async on(
    router: Router,
    folder: string,
    options: MiniupnpdOptions = {},
  ): Promise<Miniupnpd> {
    const daemon = new Miniupnpd(router, folder, options)
    await daemon.#nft(TABLE + OPEN + (options.speaks === 'nat-pmp' ? WITHOUT_PCP : ''))
    await daemon.start()
    return daemon
  }

  private constructor(router: Router, folder: string, options: MiniupnpdOptions) {
    this.#router = router
    this.#folder = folder
    this.#options = options
  }

  /** Starts the daemon; a node asks again and again until it answers. */
  async start(): Promise<void> {
    const { name, externalAddress } = this.#router
    const { speaks = 'all', whateverItsAddress = false } = this.#options
    const file = join(this.#folder, `${name}.miniupnpd`)
    const lines = [
      'ext_ifname=wan',
      'listening_ip=lan',
      // It maps nothing when it knows that its address is private; a shop's router does not look.
      ...(whateverItsAddress ? [`ext_ip=${externalAddress}`] : []),
      `enable_natpmp=${yes(speaks !== 'upnp')}`,
      `enable_upnp=${yes(speaks !== 'nat-pmp')}`,
      'secure_mode=yes',
      'system_uptime=no',
      'upnp_table_name=miniupnpd',
      'upnp_nat_table_name=miniupnpd',
      'upnp_forward_chain=forward',
      'upnp_nat_chain=prerouting',
      'upnp_nat_postrouting_chain=postrouting',
      'uuid=00000000-0000-4000-8000-000000000001',
      'allow 1024-65535 0.0.0.0/0 1024-65535',
      'deny 0-65535 0.0.0.0/0 0-65535',
    ]
    await writeFile(file, `${lines.join('\n')}\n`)
    this.#program = this.#router.spawn(['miniupnpd', '-d', '-f', file, '-P', `${file}.pid`])
  }

  /** Ends the daemon as a crash would, and forgets what it had mapped. */
  async drop(): Promise<void> {
    await this.#program?.kill()
    await this.#nft(
      ['forward', 'prerouting', 'postrouting']
        .map((chain) => `flush chain inet miniupnpd ${chain}\n`)
        .join(''),
    )
  }

  /** The mappings in force, as `external port -> host:port`. */
  async mappings(): Promise<string[]> {
    const { stdout } = await this.#router.exec([
      'nft',
      'list',
      'chain',
      'inet',
      'miniupnpd',
      'prerouting',
    ])
    return [...stdout.matchAll(/dport (\d+) dnat ip to (\S+)/g)].map(
      ([, port, to]) => `${port} -> ${to}`,
    )
  }

  async #nft(input: string): Promise<void> {
    await run(this.#router.argv(['nft', '-f', '-']), { input })
  }
}
