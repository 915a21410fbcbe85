import { endianness } from 'node:os'
import { ipFromBytes } from '../../../protocols/kernel/address.ts'
import type { Family } from '../../../protocols/kernel/address.ts'
import { readStart } from '../read-start.ts'

/** The router that everything leaves by for which there is no better route. */
export interface Gateway {
  /** Its address; a link-local one means something on its device only. */
  ip: string
  device: string
}

interface Route extends Gateway {
  metric: number
}

const FILES: Record<Family, string> = {
  ip4: '/proc/net/route',
  ip6: '/proc/net/ipv6_route',
}

/** Of a routing table this much is read: some hundred routes. Whoever carries the internet's whole table needs no mapping. */
const MAX_BYTES = 64 * 1024

const FLAGS = { up: 1, gateway: 2, reject: 0x200 }

/** The default gateway of a family, by the kernel's table; undefined where there is none, or no such table. */
export async function defaultGateway(family: Family): Promise<Gateway | undefined> {
  const text = await readStart(FILES[family], MAX_BYTES).catch(() => '')
  return family === 'ip4' ? readRoutes4(text) : readRoutes6(text)
}

/** Reads the text of /proc/net/route. */
export function readRoutes4(text: string): Gateway | undefined {
  const routes = text.split('\n').flatMap((line): Route[] => {
    const [device = '', destination, gateway = '', flags = '', , , metric, mask] = line.split('\t')
    const isDefault = destination === '00000000' && mask === '00000000'
    if (!isDefault || !leadsToGateway(Number.parseInt(flags, 16))) return []
    const bytes = Buffer.from(gateway, 'hex')
    // The kernel prints the address as one number in the machine's own byte order.
    const ip = ipFromBytes(endianness() === 'LE' ? bytes.reverse() : bytes)
    return ip === undefined ? [] : [{ ip, device, metric: Number(metric) }]
  })
  return best(routes)
}

/** Reads the text of /proc/net/ipv6_route. */
export function readRoutes6(text: string): Gateway | undefined {
  const routes = text.split('\n').flatMap((line): Route[] => {
    const fields = line.trim().split(/ +/)
    const [destination, length, , , next = '', metric = '', , , flags = '', device = ''] = fields
    const isDefault = /^0{32}$/.test(destination ?? '') && length === '00'
    if (!isDefault || !leadsToGateway(Number.parseInt(flags, 16))) return []
    const ip = ipFromBytes(Buffer.from(next, 'hex'))
    return ip === undefined ? [] : [{ ip, device, metric: Number.parseInt(metric, 16) }]
  })
  return best(routes)
}

function leadsToGateway(flags: number): boolean {
  const wanted = FLAGS.up | FLAGS.gateway
  return (flags & wanted) === wanted && (flags & FLAGS.reject) === 0
}

function best(routes: Route[]): Gateway | undefined {
  const [first] = routes.sort((a, b) => a.metric - b.metric)
  return first && { ip: first.ip, device: first.device }
}
