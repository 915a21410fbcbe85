/**
 * The networks of libp2p's hole punching harnesses, rebuilt in namespaces: a WAN with the relay and two routers, a LAN
 * behind each router, and beside them the network of the redis server, which all but the routers are on.
 */
import { createHash } from 'node:crypto'
import { attempt, run } from '../lab/command.ts'
import { Machine } from '../lab/host.ts'
import { Lab } from '../lab/lab.ts'
import { Wire } from '../lab/wire.ts'

/** What the routers do, as the harnesses' own images do it: both keep ports; one answers strangers with RST. */
export type RouterImage = 'test-plans' | 'unified'

/** One end: the machine of a peer and the router before it. */
export interface HarnessEnd {
  peer: Machine
  router: Machine
  lanIp: string
  lanSubnet: string
  wanIp: string
  routerLanIp: string
}

export interface HarnessNetwork extends AsyncDisposable {
  testKey: string
  wanSubnet: string
  relayIp: string
  redisIp: string
  relay: Machine
  redis: Machine
  dialer: HarnessEnd
  listener: HarnessEnd
  folder: string
}

/** Docker's usual second network. */
const REDIS_NETWORK = '172.18.0'
/** What the unified harness makes of the name of a test. */
const TEST_KEY_CHARACTERS = 8

/** The addresses that the unified harness gives to a test. */
function plan(testName: string) {
  const testKey = createHash('sha256').update(testName).digest('hex').slice(0, TEST_KEY_CHARACTERS)
  const octet = (from: number) => (parseInt(testKey.slice(from, from + 2), 16) % 224) + 32
  const prefix = `10.${octet(0)}.${octet(2)}`
  return { testKey, prefix }
}

/** Builds it; `rttMs` lies between any two machines on the WAN. */
export async function harnessNetwork(
  testName: string,
  image: RouterImage,
  rttMs: number,
): Promise<HarnessNetwork> {
  const { testKey, prefix } = plan(testName)
  // Whatever goes wrong from here, the laboratory's watchdog removes all namespaces with its prefix.
  const lab = await Lab.create()
  const wire = await Wire.start({ rttMs, jitterMs: 0, lossPercent: 0 })
  const machine = async (name: string): Promise<Machine> => {
    const netns = `${lab.prefix}-${name}`
    await run(['ip', 'netns', 'add', netns])
    await run(['ip', '-n', netns, 'link', 'set', 'lo', 'up'])
    return new Machine(name, netns)
  }
  const redis = await machine('redis')
  await ip(redis, [
    'link add redis0 type bridge',
    `address add ${REDIS_NETWORK}.1/16 dev redis0`,
    'link set redis0 up',
  ])
  const onWan = async (one: Machine, last: number): Promise<string> => {
    await wire.addPort(one.netns, 'wan0')
    const address = `${prefix}.${last}`
    await ip(one, [`address add ${address}/27 dev wan0`, 'link set wan0 up'])
    return address
  }
  const end = async (name: string, wanLast: number, lan: LanPlan): Promise<HarnessEnd> => {
    const router = await machine(`${name}-router`)
    const peer = await machine(name)
    const wanIp = await onWan(router, wanLast)
    await joinLan(router, peer, prefix, lan)
    await plugIntoRedis(redis, peer, lan.peer)
    const lanSubnet = `${prefix}.${lan.network}/27`
    await beRouter(router, image, lanSubnet)
    const [lanIp, routerLanIp] = [`${prefix}.${lan.peer}`, `${prefix}.${lan.router}`]
    return { peer, router, lanIp, lanSubnet, wanIp, routerLanIp }
  }
  const relay = await machine('relay')
  const relayIp = await onWan(relay, 68)
  await plugIntoRedis(redis, relay, 68)
  return {
    testKey,
    wanSubnet: `${prefix}.64/27`,
    relayIp,
    redisIp: `${REDIS_NETWORK}.1`,
    relay,
    redis,
    dialer: await end('dialer', 66, { network: 96, router: 98, peer: 99 }),
    listener: await end('listener', 67, { network: 128, router: 130, peer: 131 }),
    folder: lab.folder,
    [Symbol.asyncDispose]: async () => {
      await lab.close()
      await wire.close()
    },
  }
}

/** Last octets inside a LAN. */
interface LanPlan {
  network: number
  router: number
  peer: number
}

async function ip(machine: Machine, commands: readonly string[]): Promise<void> {
  await run(['ip', '-n', machine.netns, '-batch', '-'], { input: `${commands.join('\n')}\n` })
}

async function joinLan(
  router: Machine,
  peer: Machine,
  prefix: string,
  lan: LanPlan,
): Promise<void> {
  await ip(router, [
    `link add lan0 type veth peer name lan0 netns ${peer.netns}`,
    `address add ${prefix}.${lan.router}/27 dev lan0`,
    'link set lan0 up',
  ])
  await ip(peer, [`address add ${prefix}.${lan.peer}/27 dev lan0`, 'link set lan0 up'])
}

async function plugIntoRedis(redis: Machine, machine: Machine, last: number): Promise<void> {
  const port = `to-${machine.name}`
  await ip(redis, [
    `link add ${port} type veth peer name redis0 netns ${machine.netns}`,
    `link set ${port} master redis0`,
    `link set ${port} up`,
  ])
  await ip(machine, [`address add ${REDIS_NETWORK}.${last}/16 dev redis0`, 'link set redis0 up'])
}

/**
 * Linux masquerading. One image answers a SYN that comes too early with RST; the other forwards what names an address of
 * its LAN, so that its relay could reach peers past their NAT.
 */
async function beRouter(router: Machine, image: RouterImage, lan: string): Promise<void> {
  const input =
    image === 'unified' ? 'ct state established,related accept; iifname "wan0" drop;' : ''
  const rules = `table ip nat {
  chain out { type nat hook postrouting priority srcnat; ip saddr ${lan} oifname "wan0" masquerade; }
}
table ip filter {
  chain in { type filter hook input priority filter; ${input} }
  chain through {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan0" oifname "wan0" accept
    ${image === 'unified' ? `iifname "wan0" oifname "lan0" ip daddr ${lan} accept` : ''}
  }
}
`
  await run(router.argv(['nft', '-f', '-']), { input: rules })
  await run(router.argv(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']))
}

/** TCP connections through a router that both sides have used, from the dialer's side. */
export async function usedConnections(router: Machine, from: string, to: string): Promise<string> {
  const { stdout } = await attempt(
    router.argv(['conntrack', '-L', '-p', 'tcp', '--orig-src', from, '--orig-dst', to]),
  )
  return stdout
    .split('\n')
    .filter((line) => line.includes('[ASSURED]'))
    .join('\n')
}
