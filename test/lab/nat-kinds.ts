/** The NAT kinds of the laboratory: what each is in RFC 4787 words, and the nftables rules that make it so. */

type Behaviour = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

/** What a router of one kind does, in RFC 4787 words. */
export interface NatTraits {
  mapping: Behaviour
  filtering: Behaviour
  /** How an external port comes from the inner one. */
  ports: 'preserved' | 'shifted' | 'random' | 'sequential'
  /** What a stranger's SYN meets. */
  unsolicited: 'dropped' | 'reset'
  /** One line for people. */
  title: string
}

const trait = (
  title: string,
  mapping: Behaviour,
  filtering: Behaviour,
  rest: Partial<Pick<NatTraits, 'ports' | 'unsolicited'>> = {},
): NatTraits => ({ title, mapping, filtering, ports: 'preserved', unsolicited: 'dropped', ...rest })

const EI = 'endpoint-independent'
const AD = 'address-dependent'
const APD = 'address-and-port-dependent'

/** Routers that translate with one table of rules. */
export const NAT_TRAITS = {
  full: trait('full cone', EI, EI),
  addr: trait('restricted cone', EI, AD),
  port: trait('port-restricted cone, Linux masquerade', EI, APD),
  'port-rst': trait('port-restricted, strangers get RST', EI, APD, { unsolicited: 'reset' }),
  shift: trait('port-restricted, external port = internal + 10000', EI, APD, { ports: 'shifted' }),
  sym: trait('symmetric, random ports', APD, APD, { ports: 'random' }),
  'sym-seq': trait('symmetric, sequential ports', APD, APD, { ports: 'sequential' }),
} as const satisfies Record<string, NatTraits>

export type BasicKind = keyof typeof NAT_TRAITS

/** Kinds made of two routers, the outer one first; the pair behaves as its stricter member. */
export const CHAINED = {
  cgn: ['port', 'port'],
  double: ['port', 'port'],
} as const satisfies Record<string, readonly [BasicKind, BasicKind]>

/** Every name that `natHost` takes; `v6fw` is an IPv6 stateful firewall without translation. */
export type NatKind = BasicKind | keyof typeof CHAINED | 'v6fw'

export const NAT_KINDS: readonly NatKind[] = [
  ...(Object.keys(NAT_TRAITS) as BasicKind[]),
  ...(Object.keys(CHAINED) as (keyof typeof CHAINED)[]),
  'v6fw',
]

/** What a host behind a router of this kind experiences; null where nothing is translated. */
export function traitsOf(kind: NatKind): NatTraits | null {
  if (kind === 'v6fw') return null
  return kind in CHAINED
    ? NAT_TRAITS[CHAINED[kind as keyof typeof CHAINED][1]]
    : NAT_TRAITS[kind as BasicKind]
}

/** Addresses that the internet does not carry. */
export const PRIVATE_RANGES = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10']

/** Inner ports that `shift` translates: hosts draw ephemeral ports from below its end, see `EPHEMERAL`. */
export const SHIFT = { first: 1024, last: 55_535, by: 10_000 }

/** Ephemeral ports of hosts, so that port + 10000 is always a port. */
export const EPHEMERAL = '32768 55000'

/** One router's place in the world. */
export interface RouterPlan {
  kind: BasicKind
  /** Its address on the outside. */
  external: string
  /** Whether inner hosts reach each other by the external address. */
  hairpin: boolean
  /** Whether its outside is the internet, which carries no private addresses. */
  onInternet: boolean
}

/**
 * Learnt mappings live this long: longer than any run, so that none ends by itself under a test. Linux refreshes
 * map elements only when they are rewritten, and rewriting would let a second inner host steal a port.
 */
const LEARNT = 'flags dynamic,timeout; timeout 1h; size 65535;'

/** The nftables rules of an IPv4 router of this plan. Interfaces are `wan` and `lan`. */
export function routerRules(plan: RouterPlan): string {
  return `table ip nat {
  map inside { typeof meta l4proto . th dport : ip daddr . th dport; ${LEARNT} }
  set contacted { typeof meta l4proto . th dport . ip saddr; ${LEARNT} }
${plan.kind === 'shift' ? shiftMap() : ''}
  chain learn {
    type filter hook postrouting priority raw;
    oifname "wan" meta l4proto { tcp, udp } add @inside { meta l4proto . th sport : ip saddr . th sport }
    oifname "wan" meta l4proto { tcp, udp } add @contacted { meta l4proto . th sport . ip daddr }
  }
  chain inward {
    type nat hook prerouting priority dstnat;
${inwardRules(plan)}
  }
  chain outward {
    type nat hook postrouting priority srcnat;
${outwardRules(plan)}
  }
}
table ip filter {
  chain forwarded {
    type filter hook forward priority filter; policy drop;
    ${plan.onInternet ? `oifname "wan" ip daddr { ${PRIVATE_RANGES.join(', ')} } drop` : ''}
    ct state established,related accept
    iifname "lan" accept
    iifname "wan" ct status dnat accept
  }
  chain itself {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    icmp type echo-request accept
    ct state established,related accept
    ${NAT_TRAITS[plan.kind].unsolicited === 'reset' ? 'iifname "wan" meta l4proto tcp reject with tcp reset' : ''}
  }
}
`
}

/** Who gets in from outside, beyond replies: nobody, those contacted before, or anybody. */
function inwardRules({ kind, external, hairpin }: RouterPlan): string {
  const { filtering } = NAT_TRAITS[kind]
  const translate = 'meta l4proto { tcp, udp } dnat ip to meta l4proto . th dport map @inside'
  const rules: string[] = []
  if (filtering === EI) rules.push(`iifname "wan" ip daddr ${external} ${translate}`)
  if (filtering === AD) {
    rules.push(
      `iifname "wan" ip daddr ${external} meta l4proto . th dport . ip saddr @contacted ${translate}`,
    )
  }
  if (hairpin) rules.push(`iifname "lan" ip daddr ${external} ${translate}`)
  return rules.map((rule) => `    ${rule}`).join('\n')
}

function outwardRules({ kind, external, hairpin }: RouterPlan): string {
  const out = (protocols: string, source: string) =>
    `    oifname "wan" meta l4proto ${protocols} snat ip to ${external}${source}`
  const both = '{ tcp, udp }'
  const rules: Record<NatTraits['ports'], string[]> = {
    preserved: [],
    shifted: [out('tcp', ' : tcp sport map @shift'), out('udp', ' : udp sport map @shift')],
    random: [out(both, ':1024-65535 fully-random')],
    sequential: [out(both, ` : numgen inc mod ${SEQUENCE.length} map { ${sequence()} }`)],
  }
  const turn = hairpin ? [`    oifname "lan" ct status dnat snat ip to ${external}`] : []
  return [
    ...turn,
    ...rules[NAT_TRAITS[kind].ports],
    `    oifname "wan" snat ip to ${external}`,
  ].join('\n')
}

/** nftables cannot add; a table of every port can. */
function shiftMap(): string {
  const { first, last, by } = SHIFT
  const elements = Array.from(
    { length: last - first + 1 },
    (_, i) => `${first + i}:${first + i + by}`,
  )
  return `  map shift { type inet_service : inet_service; elements = { ${elements.join(',')} }; }`
}

/** External ports of `sym-seq`, handed out in order and then again; more than any run opens. */
const SEQUENCE = { first: 20_000, length: 8192 }

/** nftables puts a computed number into a port in the wrong byte order; one looked up is right. */
function sequence(): string {
  return Array.from({ length: SEQUENCE.length }, (_, i) => `${i}:${SEQUENCE.first + i}`).join(',')
}

/** The nftables rules of an IPv6 router that translates nothing and lets only replies in. */
export function firewallRules(): string {
  return `table ip6 filter {
  chain forwarded {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    meta l4proto icmpv6 accept
  }
  chain itself {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    meta l4proto icmpv6 accept
  }
}
`
}

/** The rules of a public host: what it sends to private addresses is lost, as on the internet. */
export function publicHostRules(): string {
  return `table ip filter {
  chain sent {
    type filter hook output priority filter;
    oifname "wan" ip daddr { ${PRIVATE_RANGES.join(', ')} } drop
  }
}
`
}
