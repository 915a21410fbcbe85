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
/** The same for an IPv6 firewall, which lets in what the daemon says: its rules have to be among the router's own. */
const FIREWALL = `delete table ip6 filter
table inet miniupnpd {
  chain pinholes { }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    icmpv6 type != echo-request accept
    iifname "lan" accept
    jump pinholes
  }
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
  /** The router is an IPv6 firewall, and translates nothing. */
  firewall?: boolean
}

/** A public IPv4 address, without which the daemon refuses everything, also what has nothing to do with it. */
const UNUSED = '51.20.255.254'

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
    if (options.firewall === true) {
      await daemon.#nft(FIREWALL)
      // The daemon does not start without an IPv4 network, where nobody is.
      await run(['ip', '-n', router.netns, 'address', 'add', '192.168.255.1/24', 'dev', 'lan'])
    } else await daemon.#nft(TABLE + OPEN + (options.speaks === 'nat-pmp' ? WITHOUT_PCP : ''))
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
    const { name } = this.#router
    const { speaks = 'all', firewall = false } = this.#options
    const file = join(this.#folder, `${name}.miniupnpd`)
    const lines = [
      'ext_ifname=wan',
      'listening_ip=lan',
      ...(firewall ? ['ext_ifname6=wan', `ext_ip=${UNUSED}`] : []),
      `enable_natpmp=${yes(speaks !== 'upnp')}`,
      `enable_upnp=${yes(speaks !== 'nat-pmp')}`,
      'secure_mode=yes',
      'system_uptime=no',
      'upnp_table_name=miniupnpd',
      'upnp_nat_table_name=miniupnpd',
      `upnp_forward_chain=${firewall ? 'pinholes' : 'forward'}`,
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
      [this.#options.firewall === true ? 'pinholes' : 'forward', 'prerouting', 'postrouting']
        .map((chain) => `flush chain inet miniupnpd ${chain}\n`)
        .join(''),
    )
  }

  /** How many holes are open in the firewall. */
  async pinholes(): Promise<number> {
    const { stdout } = await this.#router.exec('nft list chain inet miniupnpd pinholes'.split(' '))
    return [...stdout.matchAll(/dport \d+ .*accept/g)].length
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
